//! Every request: what it changes, what it refuses.

mod blocks;
mod groups;
mod guards;
mod resets;
mod restores;
mod warnings;

use std::time::Duration;

use super::*;
use crate::calendar::{Period, ResetPolicy, Timestamp, Zone};
use crate::config::{Limit, Mode, Service, Tariff};
use crate::ledger::{Account, Ledger, State, Usage};
use crate::ruleset::Epoch;
use crate::strategies::{config, date, request};
use crate::tick::Now;
use crate::units::BitRate;
use proptest::prelude::*;
use time::macros::date;

/// Applies it on a day in 2027, to who has no past.
fn apply_to_usage(request: &Request, config: &Config, state: &mut State) {
    let now = Now {
        time: Timestamp::from_unix(1_800_000_000),
        since_boot: Duration::ZERO,
        zone: &Zone::utc(),
        not_before: Timestamp::from_unix(0),
        next_epoch: Epoch(2),
    };
    request.apply_to_usage(config, state, &[], now);
}

fn ports(text: &str) -> PortRange {
    text.parse().unwrap()
}

fn these(text: &str) -> Selection {
    Selection::Ports(text.parse().unwrap())
}

fn quota(text: &str) -> Settings {
    contract(text).into()
}

fn contract(quota: &str) -> ContractSettings {
    let size: Size = quota.parse().unwrap();
    ContractSettings {
        quota: Some(Some(size.try_into().unwrap())),
        ..ContractSettings::default()
    }
}

fn no_quota() -> Settings {
    let quota = Some(None);
    ContractSettings {
        quota,
        ..ContractSettings::default()
    }
    .into()
}

fn mode(mode: Mode) -> Settings {
    let mode = Some(mode);
    ContractSettings {
        mode,
        ..ContractSettings::default()
    }
    .into()
}

fn reset(text: &str) -> Settings {
    let reset = Some(text.parse().unwrap());
    ContractSettings {
        reset,
        ..ContractSettings::default()
    }
    .into()
}

fn note(text: &str) -> Settings {
    Settings {
        note: Some(text.parse().unwrap()),
        ..Settings::default()
    }
}

fn limit(text: &str) -> Option<Option<Limit>> {
    Some(Some(text.parse::<BitRate>().unwrap().try_into().unwrap()))
}

fn rule(text: &str) -> Settings {
    Settings {
        dynqos: Some(Some(text.parse().unwrap())),
        ..Settings::default()
    }
}

fn expires(day: Date) -> Settings {
    Settings {
        expires: Some(Some(day)),
        ..Settings::default()
    }
}

fn limits(out: Option<Option<Limit>>, into: Option<Option<Limit>>) -> Settings {
    Settings {
        limit: out,
        limit_in: into,
        ..Settings::default()
    }
}

fn add(text: &str, settings: Settings) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings,
        or_set: false,
    }
}

fn add_or_set(text: &str, settings: Settings) -> Request {
    Request::Add {
        ports: text.parse().unwrap(),
        settings,
        or_set: true,
    }
}

fn set(ports: Selection, settings: Settings) -> Request {
    Request::Set {
        ports,
        settings,
        used: None,
    }
}

fn used(ports: Selection, text: &str) -> Request {
    Request::Set {
        ports,
        settings: Settings::default(),
        used: Some(text.parse().unwrap()),
    }
}

fn apply(request: &Request, config: &Config) -> Result<Config, Refusal> {
    request.apply(config, &Context::default())
}

/// Returns a configuration with these services, without settings.
fn monitoring(text: &str) -> Config {
    apply(&add(text, Settings::default()), &Config::default()).unwrap()
}

fn on(today: Date) -> Context {
    Context {
        today: Some(today),
        ..Context::default()
    }
}

fn spent(text: &str) -> Context {
    Context {
        spent: BTreeSet::from([ports(text)]),
        ..Context::default()
    }
}

fn ssh_on(port: u16) -> Context {
    Context {
        ssh_ports: BTreeSet::from([port]),
        ..Context::default()
    }
}

fn forced(context: Context) -> Context {
    Context {
        force: true,
        ..context
    }
}

fn names(config: &Config) -> Vec<String> {
    config.services.keys().map(PortRange::to_string).collect()
}

/// Fault 21 of the scripts pm replaces: a range could be added over another, and its ports
/// were counted twice.
#[test]
fn an_added_port_must_be_free() {
    let config = monitoring("80,30000-30100");
    for (wanted, existing) in [
        ("80", "80"),
        ("80-90", "80"),
        ("1-65535", "80"),
        ("30100", "30000-30100"),
        ("30100-30200", "30000-30100"),
        ("29000-30000", "30000-30100"),
        ("30000-30100", "30000-30100"),
    ] {
        let refusal = Refusal::Overlap {
            wanted: ports(wanted),
            existing: ports(existing),
        };
        assert_eq!(
            apply(&add(wanted, Settings::default()), &config),
            Err(refusal)
        );
    }
    let next = apply(
        &add("79,81,8080,30101,65534,65535", Settings::default()),
        &config,
    )
    .unwrap();
    assert_eq!(
        names(&next),
        [
            "79",
            "80",
            "81",
            "8080",
            "30000-30100",
            "30101",
            "65534",
            "65535"
        ]
    );
}

#[test]
fn one_port_that_is_taken_refuses_all() {
    let config = monitoring("80");
    let request = add("70,80,90", quota("5GB"));
    assert!(matches!(
        apply(&request, &config),
        Err(Refusal::Overlap { .. })
    ));
    assert_eq!(names(&config), ["80"]);
}

#[test]
fn or_set_changes_what_is_there_and_adds_the_rest() {
    let config = apply(&set(Selection::All, note("old")), &monitoring("80")).unwrap();
    let next = apply(&add_or_set("80,90", quota("5GB")), &config).unwrap();
    for (name, note) in [("80", "old"), ("90", "")] {
        let service = &next.services[&ports(name)];
        assert_eq!(service.quota.unwrap().bytes(), 5_000_000_000);
        assert_eq!(service.note.as_str(), note);
    }
    // Only a service of that very name is meant.
    assert!(matches!(
        apply(&add_or_set("80-81", quota("5GB")), &config),
        Err(Refusal::Overlap { .. })
    ));
}

#[test]
fn a_service_is_named_as_it_was_added() {
    let config = monitoring("80,30000-30100");
    let requests = |ports: Selection| {
        let ports = || ports.clone();
        [
            set(ports(), quota("5GB")),
            used(ports(), "5GB"),
            Request::Delete { ports: ports() },
            Request::Reset { ports: ports() },
            Request::Block { ports: ports() },
            Request::Unblock { ports: ports() },
        ]
    };
    for (named, refusal) in [
        (
            "30000",
            Refusal::Partial {
                wanted: ports("30000"),
                existing: ports("30000-30100"),
            },
        ),
        (
            "79-80",
            Refusal::Partial {
                wanted: ports("79-80"),
                existing: ports("80"),
            },
        ),
        ("81", Refusal::Unknown(ports("81"))),
        ("80,8080", Refusal::Unknown(ports("8080"))),
    ] {
        for request in requests(these(named)) {
            assert_eq!(apply(&request, &config), Err(refusal.clone()), "{request}");
        }
    }
    for request in requests(Selection::All) {
        let refused = apply(&request, &Config::default());
        assert_eq!(refused, Err(Refusal::NoServices), "{request}");
    }
}

/// Fault 8 of the scripts pm replaces: names were compared by their first digits, so touching
/// port 80 removed what belonged to 8080 and 80-90.
#[test]
fn touching_one_port_leaves_those_that_begin_alike() {
    let config = apply(
        &set(Selection::All, quota("5GB")),
        &monitoring("8,80,800-900,8080,30080,18080"),
    )
    .unwrap();
    for request in [
        set(these("80"), note("x")),
        Request::Block { ports: these("80") },
        Request::Delete { ports: these("80") },
    ] {
        let next = apply(&request, &config).unwrap();
        let touched: Vec<_> = differences(&config, &next).into_keys().collect();
        assert_eq!(touched, [ports("80")], "{request}");
    }
    let mut state = used_state(&config, 1_000);
    apply_to_usage(&Request::Reset { ports: these("80") }, &config, &mut state);
    for (&range, ledger) in &state.ledgers {
        let left = if range == ports("80") { 0 } else { 1_000 };
        assert_eq!(ledger.account.billed(), left, "{range}");
    }
}

#[test]
fn what_is_set_changes_and_the_rest_stays() {
    let all = Settings {
        contract: ContractSettings {
            mode: Some(Mode::Out),
            reset: Some(ResetPolicy::Never.into()),
            ..contract("5GB")
        },
        ..note("a note")
    };
    let config = apply(&set(Selection::All, all), &monitoring("80,90")).unwrap();
    let service = &config.services[&ports("80")];
    assert_eq!(service.quota.unwrap().size().to_string(), "5GB");
    assert_eq!(
        (service.mode, service.reset, service.note.as_str()),
        (Mode::Out, Some(ResetPolicy::Never), "a note")
    );
    let next = apply(&set(these("90"), no_quota()), &config).unwrap();
    assert_eq!(&next.services[&ports("80")], service);
    let expected = Service {
        quota: None,
        ..service.clone()
    };
    assert_eq!(next.services[&ports("90")], expected);
}

#[test]
fn a_change_without_a_change_is_refused() {
    let config = monitoring("80,90");
    let nothing = set(these("80"), Settings::default());
    assert_eq!(apply(&nothing, &config), Err(Refusal::Nothing));
    // Before anything is looked at: a wrong name says nothing then.
    let nothing = set(these("81"), Settings::default());
    assert_eq!(apply(&nothing, &config), Err(Refusal::Nothing));
}

#[test]
fn what_was_used_is_corrected_for_one_service_at_a_time() {
    let config = monitoring("80,90");
    for ports in [Selection::All, these("80,90")] {
        assert_eq!(
            apply(&used(ports, "5GB"), &config),
            Err(Refusal::UsedOfSeveral)
        );
    }
    assert_eq!(apply(&used(these("80"), "0"), &config), Ok(config.clone()));
    assert!(apply(&used(Selection::All, "5GB"), &monitoring("80")).is_ok());
}

#[test]
fn a_request_reads_like_the_command_line() {
    let settings = Settings {
        contract: ContractSettings {
            mode: Some(Mode::Out),
            reset: Some("31".parse().unwrap()),
            ..contract("1.5GiB")
        },
        ..note("it's 5 o'clock")
    };
    let corrected = Request::Set {
        ports: Selection::All,
        settings: no_quota(),
        used: Some("12MB".parse().unwrap()),
    };
    for (request, expected) in [
        (
            add_or_set("81,80", settings),
            r"pm add 80,81 --quota 1.5GiB --mode out --reset 31 --note 'it'\''s 5 o'\''clock' --or-set",
        ),
        (
            set(these("80"), reset("every 3 months on 15")),
            "pm set 80 --reset 'every 3 months on 15'",
        ),
        (
            set(these("80"), reset("every 1 days from 2026-12-01")),
            "pm set 80 --reset 'every 1 day from 2026-12-01'",
        ),
        (
            set(these("80"), reset("Yearly 06-18")),
            "pm set 80 --reset 'yearly 06-18'",
        ),
        (corrected, "pm set --all --quota none --used 12MB"),
        (Request::Delete { ports: these("80") }, "pm del 80"),
        (
            Request::Reset {
                ports: Selection::All,
            },
            "pm reset --all",
        ),
        (Request::Block { ports: these("80") }, "pm block 80"),
        (Request::Unblock { ports: these("80") }, "pm unblock 80"),
        (
            Request::SetTimeZone(Some("asia/shanghai".parse().unwrap())),
            "pm config set time_zone Asia/Shanghai",
        ),
        (Request::SetTimeZone(None), "pm config set time_zone system"),
    ] {
        assert_eq!(request.to_string(), expected);
    }
}

/// Returns a state in which every service has used `bytes` incoming.
fn used_state(config: &Config, bytes: u64) -> State {
    let mut state = State::new(Epoch(1));
    let period = Period::restore(ResetPolicy::Never, None);
    for &range in config.services.keys() {
        let mut account = Account::new(Tariff::default(), period, None);
        account.usage = Usage {
            incoming: bytes,
            outgoing: 0,
        };
        state.ledgers.insert(range, Ledger::new(None, account));
    }
    state
}

#[test]
fn what_was_used_is_set_to_the_byte() {
    let config = monitoring("80,90");
    let mut state = used_state(&config, 1_000);
    for (text, billed) in [("1500B", 1_500), ("400B", 400), ("0", 0)] {
        apply_to_usage(&used(these("80"), text), &config, &mut state);
        let account = &state.ledgers[&ports("80")].account;
        assert_eq!(account.billed(), billed);
        assert_eq!(
            account.usage.incoming, 1_000,
            "what was counted stays visible"
        );
    }
    assert_eq!(state.ledgers[&ports("90")].account.adjust, 0);
}

proptest! {
    #[test]
    fn a_request_is_pure_and_counts_its_changes(
        config in config(),
        request in request(),
        force in any::<bool>(),
        today in prop::option::of(date()),
        pick in any::<prop::sample::Index>(),
        (is_spent, is_expired) in any::<(bool, bool)>(),
    ) {
        let mut context = Context { force, today, ..Context::default() };
        if !config.services.is_empty() {
            let chosen = *config.services.keys().nth(pick.index(config.services.len())).unwrap();
            context.spent.extend(Some(chosen).filter(|_| is_spent));
            context.expired.extend(Some(chosen).filter(|_| is_expired));
            context.ssh_ports.insert(chosen.first());
        }
        let untouched = config.clone();
        let done = request.apply(&config, &context);
        prop_assert_eq!(&config, &untouched);
        prop_assert_eq!(&request.apply(&config, &context), &done);
        if let Ok(next) = done {
            let same = Config { revision: config.revision, ..next.clone() } == config;
            prop_assert_eq!(next.revision, config.revision.saturating_add(u64::from(!same)));
            prop_assert_eq!(Config::parse(&next.emit()).unwrap(), next);
        }
    }
}
