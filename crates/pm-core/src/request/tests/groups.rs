//! Groups: who may be in them, and what is theirs to set.

use super::*;
use crate::config::{Factor, Group, Tariff};
use crate::holder::Holder;

fn group(name: &str) -> GroupName {
    name.parse().unwrap()
}

fn add_group(name: &str, settings: ContractSettings, or_set: bool) -> Request {
    Request::AddGroup {
        name: group(name),
        settings,
        or_set,
    }
}

fn set_group(name: &str, settings: ContractSettings) -> Request {
    Request::SetGroup {
        name: group(name),
        settings,
        used: None,
    }
}

fn group_used(name: &str, text: &str) -> Request {
    Request::SetGroup {
        name: group(name),
        settings: ContractSettings::default(),
        used: Some(text.parse().unwrap()),
    }
}

fn join(name: &str) -> Settings {
    Settings {
        group: Some(Some(group(name))),
        ..Settings::default()
    }
}

fn leave() -> Settings {
    Settings {
        group: Some(None),
        ..Settings::default()
    }
}

/// Returns a configuration with 80 and 90 in `vip`, which has a quota of 5 GB, and 100 in none.
fn grouped() -> Config {
    let mut config = monitoring("80,90,100");
    for request in [
        add_group("vip", contract("5GB"), false),
        add_group("1", ContractSettings::default(), false),
        set(these("80,90"), join("vip")),
    ] {
        config = apply(&request, &config).unwrap();
    }
    config
}

#[test]
fn a_group_is_made_once_and_changed_by_name() {
    let config = grouped();
    let vip = &config.groups[&group("vip")];
    assert_eq!(vip.quota.unwrap().bytes(), 5_000_000_000);
    let again = add_group("vip", contract("6GB"), false);
    assert_eq!(
        apply(&again, &config),
        Err(Refusal::GroupExists(group("vip")))
    );
    let tariff = ContractSettings {
        mode: Some(Mode::Max),
        factor: Some("1.5".parse().unwrap()),
        reset: Some("20".parse().unwrap()),
        ..ContractSettings::default()
    };
    for request in [add_group("vip", tariff, true), set_group("vip", tariff)] {
        let next = apply(&request, &config).unwrap();
        let expected = Group {
            mode: Mode::Max,
            factor: Factor::from_thousandths(1_500).unwrap(),
            reset: Some("20".parse().unwrap()),
            ..vip.clone()
        };
        assert_eq!(next.groups[&group("vip")], expected);
        assert_eq!(next.groups[&group("1")], config.groups[&group("1")]);
        assert_eq!(next.services, config.services);
        let named: Vec<_> = group_differences(&config, &next).into_keys().collect();
        assert_eq!(named, [group("vip")]);
    }
    let nothing = set_group("vip", ContractSettings::default());
    assert_eq!(apply(&nothing, &config), Err(Refusal::Nothing));
}

#[test]
fn only_a_group_that_there_is_can_be_meant() {
    let config = grouped();
    let missing = || Err(Refusal::NoSuchGroup(group("VIP")));
    for request in [
        set_group("VIP", contract("5GB")),
        group_used("VIP", "1GB"),
        Request::DeleteGroup { name: group("VIP") },
        Request::ResetGroup { name: group("VIP") },
        set(these("100"), join("VIP")),
        add("101", join("VIP")),
    ] {
        assert_eq!(apply(&request, &config), missing(), "{request}");
    }
}

#[test]
fn a_group_with_services_cannot_be_removed() {
    let config = grouped();
    let remove = |name| Request::DeleteGroup { name: group(name) };
    let refused = Refusal::HasMembers {
        group: group("vip"),
        members: vec![ports("80"), ports("90")],
    };
    assert_eq!(refused.to_string(), "group vip still has services: 80,90");
    assert_eq!(apply(&remove("vip"), &config), Err(refused));
    assert!(
        !apply(&remove("1"), &config)
            .unwrap()
            .groups
            .contains_key(&group("1"))
    );
    let empty = apply(&set(these("80,90"), leave()), &config).unwrap();
    assert!(
        !apply(&remove("vip"), &empty)
            .unwrap()
            .groups
            .contains_key(&group("vip"))
    );
}

#[test]
fn who_joins_or_leaves_has_no_contract_of_his_own() {
    let own = ContractSettings {
        mode: Some(Mode::Out),
        factor: Some("2".parse().unwrap()),
        reset: Some("15".parse().unwrap()),
        ..contract("5GB")
    };
    let config = apply(&set(these("100"), own.into()), &grouped()).unwrap();
    let joined = apply(&set(these("100"), join("1")), &config).unwrap();
    let service = &joined.services[&ports("100")];
    assert_eq!(service.contract(), Default::default());
    assert_eq!(
        joined.contract(service),
        joined.groups[&group("1")].contract()
    );
    let left = apply(&set(these("100"), leave()), &joined).unwrap();
    assert_eq!(left.services[&ports("100")], Service::default());
    // To stay where one is changes nothing, and leaves a contract alone.
    for (ports, settings) in [("80", join("vip")), ("100", leave())] {
        assert_eq!(
            apply(&set(these(ports), settings), &config).unwrap(),
            config
        );
    }
    // Who leaves can be given one in the same breath, who joins cannot.
    let with = |settings| Settings {
        contract: contract("7GB"),
        ..settings
    };
    let next = apply(&set(these("80"), with(leave())), &config).unwrap();
    assert_eq!(
        next.services[&ports("80")].quota.unwrap().bytes(),
        7_000_000_000
    );
    let refused = Refusal::Member {
        ports: ports("100"),
        group: group("1"),
    };
    assert_eq!(
        apply(&set(these("100"), with(join("1"))), &config),
        Err(refused)
    );
}

#[test]
fn what_the_group_decides_is_not_a_members_to_set() {
    let config = grouped();
    let refused = |port| {
        Err(Refusal::Member {
            ports: ports(port),
            group: group("vip"),
        })
    };
    for settings in [quota("5GB"), no_quota(), mode(Mode::Both), reset("1"), {
        let factor = Some(Factor::ONE);
        ContractSettings {
            factor,
            ..ContractSettings::default()
        }
        .into()
    }] {
        assert_eq!(
            apply(&set(these("80"), settings.clone()), &config),
            refused("80")
        );
        // Of all or none.
        assert_eq!(
            apply(&set(these("90,100"), settings.clone()), &config),
            refused("90")
        );
        assert_eq!(apply(&add_or_set("90", settings), &config), refused("90"));
    }
    for request in [
        used(these("80"), "1GB"),
        Request::Reset { ports: these("80") },
    ] {
        assert_eq!(apply(&request, &config), refused("80"), "{request}");
    }
    // Everything else is.
    let limit = Some(Some(
        "5M".parse::<crate::units::BitRate>()
            .unwrap()
            .try_into()
            .unwrap(),
    ));
    let settings = Settings { limit, ..note("x") };
    let next = apply(&set(these("80"), settings), &config).unwrap();
    assert_eq!(next.services[&ports("80")].group, Some(group("vip")));
    let ports = Selection::All;
    assert_eq!(apply(&Request::Reset { ports }, &config), Ok(config));
}

#[test]
fn who_joins_or_leaves_begins_at_nothing_used() {
    for settings in [join("vip"), leave()] {
        for ports in ["100", "80"] {
            let request = Request::Set {
                ports: these(ports),
                settings: settings.clone(),
                used: Some("1GB".parse().unwrap()),
            };
            let refused = apply(&request, &grouped());
            assert!(matches!(
                refused,
                Err(Refusal::UsedWithGroup | Refusal::Member { .. })
            ));
        }
    }
}

#[test]
fn a_reset_or_a_correction_is_of_those_it_names() {
    let config = grouped();
    let state = || {
        let mut state = used_state(&config, 1_000);
        for (ports, ledger) in &mut state.ledgers {
            ledger.group.clone_from(&config.services[ports].group);
        }
        for name in config.groups.keys() {
            let period = Period::restore(ResetPolicy::Never, None);
            let mut account = Account::new(Tariff::default(), period, None);
            account.usage.outgoing = 2_000;
            state.groups.insert(name.clone(), account);
        }
        state
    };
    let billed = |state: &State| {
        let services = state.ledgers.values().map(|ledger| ledger.account.billed());
        let groups = state.groups.values().map(Account::billed);
        services.chain(groups).collect::<Vec<_>>()
    };
    let after = |request: Request| {
        let mut state = state();
        apply_to_usage(&request, &config, &mut state);
        (billed(&state), state.closed.len())
    };
    // 80, 90, 100; 1, vip.
    assert_eq!(billed(&state()), [1_000, 1_000, 1_000, 2_000, 2_000]);
    let vip = || group("vip");
    for (request, left, closed) in [
        (
            Request::ResetGroup { name: vip() },
            [0, 0, 1_000, 2_000, 0],
            3,
        ),
        (
            Request::ResetGroup { name: group("1") },
            [1_000, 1_000, 1_000, 0, 2_000],
            1,
        ),
        (
            Request::Reset {
                ports: Selection::All,
            },
            [0; 5],
            5,
        ),
        (
            Request::Reset {
                ports: these("100"),
            },
            [1_000, 1_000, 0, 2_000, 2_000],
            1,
        ),
        (group_used("vip", "7B"), [1_000, 1_000, 1_000, 2_000, 7], 0),
        (used(these("100"), "7B"), [1_000, 1_000, 7, 2_000, 2_000], 0),
    ] {
        assert_eq!(after(request.clone()), (left.to_vec(), closed), "{request}");
    }
}

#[test]
fn requests_about_groups_read_like_the_command_line() {
    let all = ContractSettings {
        mode: Some(Mode::Max),
        factor: Some("1.5".parse().unwrap()),
        reset: Some("every 3 months on 15".parse().unwrap()),
        ..contract("1TB")
    };
    let limits = Settings {
        limit: Some(Some(
            "5M".parse::<crate::units::BitRate>()
                .unwrap()
                .try_into()
                .unwrap(),
        )),
        limit_in: Some(None),
        dynqos: Some(Some("100M/5/5M/60".parse().unwrap())),
        expires: Some(Some(date!(2027 - 01 - 31))),
        routed: Some(true),
        ..join("it's 5")
    };
    let free = Settings {
        limit: Some(None),
        dynqos: Some(None),
        expires: Some(None),
        routed: Some(false),
        ..leave()
    };
    for (request, expected) in [
        (
            add_group("vip", all, true),
            "pm group add vip --quota 1TB --mode max --factor 1.5 --reset 'every 3 months on 15' --or-set",
        ),
        (
            group_used("租户 甲", "12MB"),
            "pm group set '租户 甲' --used 12MB",
        ),
        (Request::DeleteGroup { name: group("1") }, "pm group del 1"),
        (
            Request::ResetGroup { name: group("a'b") },
            r"pm group reset 'a'\''b'",
        ),
        (
            set(these("80"), limits),
            r"pm set 80 --group 'it'\''s 5' --limit 5Mbps --limit-in none --dynqos 100Mbps/5/5Mbps/60 --expires 2027-01-31 --routed yes",
        ),
        (
            set(Selection::All, free),
            "pm set --all --group none --limit none --dynqos none --expires never --routed no",
        ),
        (
            Request::SetClassifier("fwmark".parse().unwrap()),
            "pm config set classifier fwmark",
        ),
    ] {
        assert_eq!(request.to_string(), expected);
    }
}

#[test]
fn whose_quota_is_spent_is_said() {
    let config = grouped();
    let holder: Holder = group("vip").into();
    let unblock = Request::Unblock { ports: these("80") };
    assert_eq!(
        unblock.apply(&config, &spent("80")),
        Err(Refusal::Spent {
            ports: ports("80"),
            holder: holder.clone()
        })
    );
    let blocked = apply(&Request::Block { ports: these("80") }, &config).unwrap();
    let open = unblock.apply(&blocked, &spent("80")).unwrap();
    assert_eq!(
        unblock.warnings(&blocked, &open, &spent("80"), None, &[]),
        [Warning::StillSpent {
            ports: ports("80"),
            holder
        }]
    );
}
