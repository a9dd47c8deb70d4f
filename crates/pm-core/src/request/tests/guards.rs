//! What could cut the operator off, by a service's own settings or by its group's; what the host
//! cannot do.

use super::*;
use crate::config::Tariff;

fn join(name: &str) -> Settings {
    Settings {
        group: Some(Some(name.parse().unwrap())),
        ..Settings::default()
    }
}

pub(super) fn group_request(settings: ContractSettings, used: Option<&str>) -> Request {
    Request::SetGroup {
        name: "vip".parse().unwrap(),
        settings,
        used: used.map(|used| used.parse().unwrap()),
    }
}

pub(super) fn add_group(quota: Option<&str>, or_set: bool) -> Request {
    Request::AddGroup {
        name: "vip".parse().unwrap(),
        settings: quota.map(contract).unwrap_or_default(),
        or_set,
    }
}

pub(super) fn done(config: &Config, requests: &[Request]) -> Config {
    requests.iter().fold(config.clone(), |config, request| {
        request.apply(&config, &forced(ssh_on(22))).unwrap()
    })
}

/// What the engine does: it asks which ports those are only where a request could matter.
fn judged(request: &Request, config: &Config) -> Result<Config, Refusal> {
    let context = match request.can_cut_off() {
        true => ssh_on(22),
        false => Context::default(),
    };
    request.apply(config, &context)
}

#[test]
fn what_slows_down_or_ends_ssh_needs_force() {
    let counting = monitoring("20-25");
    let slow = Settings {
        expires: Some(Some(date!(2027 - 01 - 31))),
        ..rule("100M/5/5M/60")
    };
    let slow = done(
        &counting,
        &[
            set(these("20-25"), slow),
            set(these("20-25"), limits(limit("5M"), limit("6M"))),
        ],
    );
    for (config, request) in [
        (&counting, set(these("20-25"), limits(limit("5M"), None))),
        (&counting, set(these("20-25"), limits(None, limit("100G")))),
        (&counting, set(Selection::All, rule("100G/10080/100G/1"))),
        (
            &counting,
            set(these("20-25"), expires(date!(9999 - 12 - 31))),
        ),
        (&Config::default(), add("22", limits(None, limit("1G")))),
        (&slow, set(these("20-25"), limits(limit("4999K"), None))),
        (&slow, set(these("20-25"), limits(None, limit("5M")))),
        (&slow, set(these("20-25"), rule("100M/5/6M/60"))),
        (&slow, add_or_set("20-25", expires(date!(2027 - 01 - 30)))),
    ] {
        let refused = judged(&request, config);
        assert!(
            matches!(refused, Err(Refusal::Ssh { .. })),
            "{request}: {refused:?}"
        );
        assert!(
            request.apply(config, &forced(ssh_on(22))).is_ok(),
            "{request}"
        );
        assert!(request.apply(config, &ssh_on(26)).is_ok(), "{request}");
    }
    let none = Settings {
        dynqos: Some(None),
        expires: Some(None),
        ..limits(Some(None), Some(None))
    };
    for request in [
        set(these("20-25"), limits(limit("5M"), limit("6001K"))),
        set(these("20-25"), limits(limit("6M"), None)),
        set(these("20-25"), rule("100M/5/5M/60")),
        set(these("20-25"), expires(date!(2027 - 02 - 01))),
        set(these("20-25"), none),
    ] {
        assert!(judged(&request, &slow).is_ok(), "{request}");
    }
}

#[test]
fn what_a_group_does_to_ssh_needs_force() {
    let in_group = |quota| {
        done(
            &monitoring("22,80"),
            &[add_group(quota, false), set(these("22"), join("vip"))],
        )
    };
    let (free, limited) = (in_group(None), in_group(Some("5GB")));
    let alone = done(&monitoring("22,80"), &[add_group(Some("5GB"), false)]);
    let factor = |text: &str| ContractSettings {
        factor: Some(text.parse().unwrap()),
        ..ContractSettings::default()
    };
    let by_mode = |mode| ContractSettings {
        mode: Some(mode),
        ..ContractSettings::default()
    };
    for (config, request) in [
        (&alone, set(these("22"), join("vip"))),
        (&alone, set(Selection::All, join("vip"))),
        (&alone, add_or_set("22", join("vip"))),
        (&free, group_request(contract("5GB"), None)),
        (&free, add_group(Some("5GB"), true)),
        (&limited, group_request(contract("4GB"), None)),
        (&limited, add_group(Some("4GB"), true)),
        (&limited, group_request(factor("1.001"), None)),
        (&limited, group_request(by_mode(Mode::Max), None)),
        (
            &limited,
            group_request(ContractSettings::default(), Some("1B")),
        ),
    ] {
        let refused = judged(&request, config);
        assert!(
            matches!(refused, Err(Refusal::Ssh { .. })),
            "{request}: {refused:?}"
        );
        assert!(
            request.apply(config, &forced(ssh_on(22))).is_ok(),
            "{request}"
        );
    }
    let left = Settings {
        group: Some(None),
        ..Settings::default()
    };
    for (config, request) in [
        (&alone, group_request(contract("1B"), None)),
        (&alone, set(these("80"), join("vip"))),
        (&free, group_request(factor("2"), Some("1GB"))),
        (&limited, group_request(contract("5GB"), None)),
        (&limited, add_group(Some("6GB"), true)),
        (&limited, group_request(factor("0.5"), None)),
        (
            &limited,
            group_request(ContractSettings::default(), Some("0")),
        ),
        (&limited, set(these("22"), left)),
        (
            &limited,
            Request::ResetGroup {
                name: "vip".parse().unwrap(),
            },
        ),
        (
            &limited,
            Request::Reset {
                ports: Selection::All,
            },
        ),
    ] {
        assert!(judged(&request, config).is_ok(), "{request}");
    }
}

#[test]
fn a_limit_needs_a_host_that_can_shape() {
    let context = Context {
        no_shaping: Some(ShapingError::Unsupported("no".into()).into()),
        force: true,
        ..Context::default()
    };
    let config = monitoring("80");
    for settings in [limits(limit("5M"), None), rule("100M/5/5M/60")] {
        for request in [set(these("80"), settings.clone()), add("81", settings)] {
            let refused = request.apply(&config, &context).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "what a port sends cannot be limited on this host: this kernel offers no HTB"
            );
            assert!(request.needs_shaping(&config));
        }
    }
    let limited = set(these("80"), limits(limit("5M"), None));
    let limited = limited.apply(&config, &Context::default()).unwrap();
    let restore = |config: &Config| Request::Restore {
        version: Some(7),
        config: Box::new(config.clone()),
    };
    let refused = restore(&limited).apply(&config, &context);
    assert!(matches!(refused, Err(Refusal::NoShaping(_))));
    // What has it already may keep it, and lose it.
    assert!(restore(&limited).apply(&limited, &context).is_ok());
    assert!(restore(&config).apply(&limited, &context).is_ok());
    for settings in [
        limits(None, limit("5M")),
        limits(Some(None), None),
        quota("5GB"),
    ] {
        let request = set(these("80"), settings);
        assert!(request.apply(&config, &context).is_ok(), "{request}");
    }
}

/// What a service's holder bills by, and how fast it may be.
fn hardness(config: &Config, service: &Service) -> (Option<u64>, Tariff) {
    let contract = config.contract(service);
    (contract.quota.map(|quota| quota.bytes()), contract.tariff)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Whatever is asked for, without `--force` a port of SSH is cut off and slowed down by
    /// nothing that did not do so before, or later, or less: not by its group either.
    #[test]
    fn nobody_locks_himself_out(
        config in config(),
        request in request(),
        pick in any::<prop::sample::Index>(),
    ) {
        let first = |ports: &PortRange| ports.first();
        let known: Vec<_> = config.services.keys().map(first).chain([22]).collect();
        let ssh_port = known[pick.index(known.len())];
        let context = Context {
            today: Some(date!(2027 - 01 - 31)),
            ..ssh_on(ssh_port)
        };
        let done = request.apply(&config, &context);
        // Where it cannot, nobody asks which ports those are.
        let refused = matches!(done, Err(Refusal::Ssh { .. }));
        prop_assert!(!refused || request.can_cut_off());
        let Ok(next) = done else { return Ok(()) };
        for (range, service) in next.services.iter().filter(|(range, _)| range.contains(ssh_port)) {
            let old = config.services.get(range).cloned().unwrap_or_default();
            prop_assert!(!service.blocked || old.blocked);
            let (had, old_tariff) = hardness(&config, &old);
            let (has, tariff) = hardness(&next, service);
            let no_less = had.is_some()
                && had <= has
                && old.group == service.group
                && old_tariff.mode == tariff.mode
                && old_tariff.factor.thousandths() >= tariff.factor.thousandths();
            prop_assert!(has.is_none() || no_less);
            for (old, new) in [(old.limit, service.limit), (old.limit_in, service.limit_in)] {
                prop_assert!(new.is_none() || (old.is_some() && old <= new));
            }
            prop_assert!(service.dynqos.is_none() || service.dynqos == old.dynqos);
            let no_sooner = old.expires.is_some() && old.expires <= service.expires;
            prop_assert!(service.expires.is_none() || no_sooner);
        }
    }

    /// What needs no more than some services' totals concerns no others, and no group.
    #[test]
    fn a_scope_is_all_that_a_request_changes(config in config(), request in request()) {
        let Some(scope) = request.scope(&config) else { return Ok(()) };
        let context = forced(on(date!(2027 - 01 - 31)));
        let Ok(next) = request.apply(&config, &context) else { return Ok(()) };
        prop_assert_eq!(&next.groups, &config.groups);
        prop_assert_eq!(next.time_zone == config.time_zone, next.classifier == config.classifier);
        for (range, change) in differences(&config, &next) {
            prop_assert!(scope.iter().any(|one| one == range), "{range}: {change:?}");
            let group = |config: &Config| config.services.get(&range)?.group.clone();
            prop_assert_eq!((group(&config), group(&next)), (None, None));
        }
    }
}

#[test]
fn what_could_cut_off_ssh_needs_force() {
    let counting = monitoring("20-25,80");
    let limited = Request::apply(
        &set(these("20-25"), quota("5GB")),
        &counting,
        &forced(ssh_on(22)),
    )
    .unwrap();
    for (config, request) in [
        (&Config::default(), add("22", quota("5GB"))),
        (&Config::default(), add("1-25", quota("5GB"))),
        (&counting, add_or_set("20-25", quota("5GB"))),
        (&counting, set(these("20-25"), quota("5GB"))),
        (&counting, set(Selection::All, quota("5GB"))),
        (
            &counting,
            Request::Block {
                ports: Selection::All,
            },
        ),
        (&limited, set(these("20-25"), quota("4GB"))),
        (&limited, set(these("20-25"), mode(Mode::Out))),
        (&limited, used(these("20-25"), "5GB")),
        (&limited, used(these("20-25"), "1B")),
        (
            &limited,
            Request::Block {
                ports: these("20-25"),
            },
        ),
    ] {
        let refused = request.apply(config, &ssh_on(22));
        assert!(
            matches!(refused, Err(Refusal::Ssh { ssh_port: 22, .. })),
            "{request}: {refused:?}"
        );
        assert!(
            request.apply(config, &forced(ssh_on(22))).is_ok(),
            "{request}"
        );
        assert!(request.apply(config, &ssh_on(26)).is_ok(), "{request}");
    }
}

#[test]
fn what_cannot_newly_cut_off_ssh_is_free() {
    let counting = monitoring("22,80");
    let limited = Request::apply(
        &set(these("22"), quota("5GB")),
        &counting,
        &forced(ssh_on(22)),
    )
    .unwrap();
    let blocked = Request::apply(
        &Request::Block { ports: these("22") },
        &limited,
        &forced(ssh_on(22)),
    )
    .unwrap();
    for (config, request) in [
        (&Config::default(), add("22", note("counted"))),
        (&counting, set(these("80"), quota("5GB"))),
        (&counting, set(these("22"), note("x"))),
        (&counting, used(these("22"), "5GB")),
        (&limited, set(these("22"), note("x"))),
        (&limited, set(these("22"), quota("5GB"))),
        (&limited, set(these("22"), no_quota())),
        (&limited, used(these("22"), "0")),
        (&limited, Request::Reset { ports: these("22") }),
        (&limited, Request::Delete { ports: these("22") }),
        (&limited, add("90", quota("5GB"))),
        (&blocked, Request::Unblock { ports: these("22") }),
        (&blocked, Request::Block { ports: these("22") }),
        (&blocked, set(these("22"), note("x"))),
    ] {
        let done = request.apply(config, &ssh_on(22));
        assert!(done.is_ok(), "{request}: {done:?}");
    }
}
