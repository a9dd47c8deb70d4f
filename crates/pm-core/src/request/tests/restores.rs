//! Putting kept versions back.

use super::*;

fn restore(version: u64, config: &Config) -> Request {
    Request::Restore {
        version: Some(version),
        config: Box::new(config.clone()),
    }
}

#[test]
fn the_revision_goes_on_from_the_present_one() {
    let old = Config {
        revision: 3,
        ..Config::default()
    };
    let present = Config {
        revision: 8,
        ..config_of("80")
    };
    let context = Context::default();
    let next = restore(1, &old).apply(&present, &context).unwrap();
    assert_eq!(next.revision, 9);
    assert!(next.services.is_empty());
    // The same again changes nothing, so it counts nothing.
    let again = restore(1, &old).apply(&next, &context).unwrap();
    assert_eq!(again, next);
}

#[test]
fn a_version_that_cuts_off_ssh_is_refused_without_force() {
    let blocked = Request::Block { ports: these("22") };
    let open = config_of("22");
    let mut context = Context {
        ssh_ports: [22].into(),
        force: true,
        ..Context::default()
    };
    let shut = blocked.apply(&open, &context).unwrap();
    assert!(restore(1, &shut).apply(&open, &context).is_ok());
    context.force = false;
    assert!(restore(1, &shut).can_cut_off());
    let refused = restore(1, &shut).apply(&open, &context);
    assert!(matches!(refused, Err(Refusal::Ssh { ssh_port: 22, .. })));
    // To open it, or to forget it, locks nobody out.
    assert!(restore(1, &open).apply(&shut, &context).is_ok());
    let nothing = Config::default();
    assert!(restore(1, &nothing).apply(&shut, &context).is_ok());
}

#[test]
fn it_is_told_that_a_block_ends_and_another_one_stays() {
    let open = config_of("80,81,82");
    let context = Context {
        spent: [ports("80")].into(),
        expired: [ports("81")].into(),
        ..Context::default()
    };
    let block = Request::Block {
        ports: Selection::All,
    };
    let shut = block.apply(&open, &context).unwrap();
    let request = restore(4, &open);
    let after = request.apply(&shut, &context).unwrap();
    assert_eq!(
        request.warnings(&shut, &after, &context, None, &[]),
        [
            Warning::StillSpent {
                ports: ports("80"),
                holder: ports("80").into()
            },
            Warning::StillExpired(ports("81")),
        ]
    );
    // Who was open before hears nothing.
    let none = restore(4, &after).warnings(&open, &after, &context, None, &[]);
    assert_eq!(none, []);
}

fn config_of(list: &str) -> Config {
    let add = Request::Add {
        ports: list.parse().unwrap(),
        settings: Settings::default(),
        or_set: false,
    };
    add.apply(&Config::default(), &Context::default()).unwrap()
}

proptest! {
    /// Whatever was asked for in between, and whichever version is put back.
    #[test]
    fn any_version_comes_back_as_it_was(
        first in config(),
        requests in prop::collection::vec(request(), 0..8),
        pick in any::<prop::sample::Index>(),
    ) {
        let context = Context {
            force: true,
            today: Some(date!(2027 - 01 - 31)),
            ..Context::default()
        };
        let mut seen = vec![first];
        for request in requests {
            let present = &seen[seen.len() - 1];
            if let Ok(next) = request.apply(present, &context) {
                seen.push(next);
            }
        }
        let present = &seen[seen.len() - 1];
        let version = pick.get(&seen);
        let request = restore(1, version);
        let next = request.apply(present, &context).unwrap();
        prop_assert!(next.asks_the_same(version));
        prop_assert!(next.revision >= present.revision);
        prop_assert!(request.scope(present).is_none());
        // Undone, it is as before.
        let back = restore(2, present).apply(&next, &context).unwrap();
        prop_assert!(back.asks_the_same(present));
    }

    /// What is running runs on, and who was never there begins at nothing: at the next step.
    #[test]
    fn usage_of_who_stays_is_left_alone(before in config(), version in config()) {
        let mut state = State::new(Epoch(1));
        for &ports in before.services.keys() {
            let account = Account::new(Tariff::default(), Period::restore(ResetPolicy::Never, None), None);
            state.ledgers.insert(ports, Ledger::new(None, account));
        }
        let untouched = state.clone();
        apply_to_usage(&restore(1, &version), &version, &mut state);
        prop_assert_eq!(state, untouched);
    }
}
