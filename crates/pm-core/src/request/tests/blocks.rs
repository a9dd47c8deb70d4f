//! Blocks: whose they are, and who lifts them.

use super::*;

fn expired(text: &str) -> Context {
    Context {
        expired: BTreeSet::from([ports(text)]),
        ..Context::default()
    }
}

#[test]
fn a_block_does_not_hide_that_the_last_day_has_passed() {
    let config = monitoring("80,90");
    let unblock = Request::Unblock { ports: these("80") };
    assert_eq!(
        unblock.apply(&config, &expired("80")),
        Err(Refusal::Expired(ports("80")))
    );
    assert_eq!(unblock.apply(&config, &expired("90")), Ok(config.clone()));
    // It comes before the quota: a new period does not help him.
    let both = Context {
        spent: BTreeSet::from([ports("80")]),
        ..expired("80")
    };
    assert_eq!(
        unblock.apply(&config, &both),
        Err(Refusal::Expired(ports("80")))
    );

    let blocked = apply(&Request::Block { ports: these("80") }, &config).unwrap();
    let warnings = |context: &Context| {
        let open = unblock.apply(&blocked, context).unwrap();
        assert_eq!(open.services, config.services);
        unblock.warnings(&blocked, &open, context, None, &[])
    };
    assert_eq!(warnings(&expired("90")), []);
    assert_eq!(
        warnings(&expired("80")),
        [Warning::StillExpired(ports("80"))]
    );
    let spent = Warning::StillSpent {
        ports: ports("80"),
        holder: ports("80").into(),
    };
    assert_eq!(
        warnings(&both),
        [Warning::StillExpired(ports("80")), spent],
        "both have to go"
    );
}
