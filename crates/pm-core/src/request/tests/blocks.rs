//! Blocks: whose they are, and who lifts them.

use super::*;

fn expired(text: &str) -> Context {
    Context {
        expired: BTreeSet::from([ports(text)]),
        ..Context::default()
    }
}

#[test]
fn a_block_is_lifted_by_who_made_it() {
    let config = apply(&set(Selection::All, quota("5GB")), &monitoring("80,90")).unwrap();
    let unblock = Request::Unblock { ports: these("80") };
    let refused = |text| Refusal::Spent {
        ports: ports(text),
        holder: ports(text).into(),
    };
    assert_eq!(unblock.apply(&config, &spent("80")), Err(refused("80")));
    assert_eq!(
        unblock.apply(&config, &spent("90")),
        Ok(config.clone()),
        "another's quota is no reason"
    );

    let blocked = apply(&Request::Block { ports: these("80") }, &config).unwrap();
    assert!(blocked.services[&ports("80")].blocked);
    let warnings = |context: &Context| {
        let open = unblock.apply(&blocked, context).unwrap();
        assert_eq!(open.services, config.services);
        unblock.warnings(&blocked, &open, context, None, &[])
    };
    assert_eq!(warnings(&Context::default()), []);
    assert_eq!(warnings(&spent("90")), []);
    assert_eq!(
        warnings(&spent("80")),
        [Warning::StillSpent {
            ports: ports("80"),
            holder: ports("80").into(),
        }],
        "the operator's block goes, the quota's stays"
    );
    // One that only its quota blocks refuses all that are named, and none is opened.
    let both = Request::Unblock {
        ports: these("80,90"),
    };
    assert_eq!(both.apply(&blocked, &spent("90")), Err(refused("90")));
}

/// Who says `--all` means what he has blocked, and need not know what else is cut off.
#[test]
fn all_blocks_are_lifted_whatever_else_is_cut_off() {
    let config = monitoring("80,90,100");
    let blocked = apply(&Request::Block { ports: these("80") }, &config).unwrap();
    let all = Request::Unblock {
        ports: Selection::All,
    };
    let context = Context {
        expired: BTreeSet::from([ports("100")]),
        ..spent("90")
    };
    let open = all.apply(&blocked, &context).unwrap();
    assert_eq!(open.services, config.services);
    let spent = Warning::StillSpent {
        ports: ports("90"),
        holder: ports("90").into(),
    };
    assert_eq!(
        all.warnings(&blocked, &open, &context, None, &[]),
        [spent, Warning::StillExpired(ports("100"))]
    );
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
