use std::time::Duration;

use proptest::prelude::*;

use super::{Archive, ArchiveError, FORMAT, held_back};
use crate::adoption::{Books, ServiceBooks};
use crate::calendar::{Period, Timestamp};
use crate::config::Config;
use crate::history::{ClosedPeriod, DayTotal, Why};
use crate::ledger::{Account, Usage};
use crate::strategies;

const SECRETIVE: &str = r#"{"schema": 1, "services": {"20000": {}},
    "notify": {"channels": {
        "ops": {"via": {"telegram": {"token": "123456:AAFh2fO0zVYKqD3kdlOGsPSrlUyZ-xyzABCDE", "chat": "-1001"}}},
        "hook": {"via": {"webhook": {"url": "https://example.net/h/k3y", "secret": "s3cret"}}}}},
    "push": {"url": "https://example.net/push", "node": "n1", "secret": "p4ss"}}"#;

fn books(config: &Config, bytes: u64) -> Books {
    let used = Usage {
        incoming: bytes,
        outgoing: bytes / 3,
    };
    let account = |contract: crate::config::Contract| Account {
        usage: used,
        adjust: -7,
        ..Account::new(
            contract.tariff,
            Period::begin(contract.reset_policy(), time::macros::date!(2026 - 11 - 22)),
            Some(Timestamp::from_unix(1_790_000_000)),
        )
    };
    let services = config.services.iter().map(|(&ports, service)| {
        let books = ServiceBooks {
            total: used.plus(used),
            account: account(service.contract()),
            expired: false,
            punished: Some(Duration::from_secs(90)),
        };
        (ports, books)
    });
    let closed = config.groups.keys().map(|name| ClosedPeriod {
        holder: name.clone().into(),
        group: None,
        began: None,
        ended: Timestamp::from_unix(1_790_000_000),
        why: Why::Calendar,
        usage: used,
        tariff: Default::default(),
        adjust: 5,
    });
    let days = config.services.keys().map(|&ports| DayTotal {
        date: time::macros::date!(2026 - 11 - 22),
        ports,
        usage: used,
    });
    let groups = config.groups.iter();
    Books {
        services: services.collect(),
        groups: groups
            .map(|(name, group)| (name.clone(), account(group.contract())))
            .collect(),
        closed: closed.collect(),
        days: days.collect(),
    }
}

fn archive(config: &Config, with_secrets: bool, books: Books) -> Archive {
    let made = Timestamp::from_unix(1_795_300_000);
    let zone = Some("Asia/Shanghai".to_owned());
    Archive::new(made, "0.1.0", zone, config, with_secrets, books)
}

proptest! {
    #[test]
    fn what_is_written_is_read(config in strategies::config(), bytes in any::<u64>()) {
        let books = books(&config, bytes);
        let encoded = archive(&config, true, books.clone()).encode().unwrap();
        let decoded = Archive::decode(&encoded).unwrap();
        prop_assert_eq!(&decoded.books, &books);
        prop_assert_eq!(decoded.zone.as_deref(), Some("Asia/Shanghai"));
        let (read, left_out) = decoded.config_for(&Config::default()).unwrap();
        prop_assert_eq!(read, config);
        prop_assert!(left_out.is_empty());
    }

    #[test]
    fn any_other_byte_is_damage(at in any::<prop::sample::Index>(), flip in 1..=255u8, cut in any::<bool>()) {
        let config = Config::parse(SECRETIVE).unwrap();
        let mut encoded = archive(&config, true, books(&config, 5)).encode().unwrap();
        let at = at.index(encoded.len());
        match cut {
            true => encoded.truncate(at),
            false => encoded[at] ^= flip,
        }
        prop_assert!(Archive::decode(&encoded).is_err());
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Archive::decode(&bytes).is_err());
    }
}

#[test]
fn secrets_stay_where_they_are() {
    let config = Config::parse(SECRETIVE).unwrap();
    let encoded = archive(&config, false, Books::default()).encode().unwrap();
    let text = String::from_utf8(encoded.clone()).unwrap();
    for secret in ["AAFh2fO0", "k3y", "s3cret", "p4ss"] {
        assert!(!text.contains(secret), "{secret}");
        assert!(!format!("{:?}", held_back(&config)).contains(secret));
    }
    let decoded = Archive::decode(&encoded).unwrap();
    // The same host has them.
    let (same, left_out) = decoded.config_for(&config).unwrap();
    assert_eq!((same, left_out.len()), (config.clone(), 0));
    // Another host does not, and goes without these channels.
    let (other, left_out) = decoded.config_for(&Config::default()).unwrap();
    assert_eq!(left_out, ["hook", "ops", "push"]);
    assert!(other.notify.channels.is_empty() && other.push.is_none());
    assert_eq!(other.services, config.services);
}

/// An archive must not be able to send the host's secret to somebody else.
#[test]
fn a_secret_is_for_the_peer_that_has_it() {
    let config = Config::parse(SECRETIVE).unwrap();
    let elsewhere = SECRETIVE.replace("example.net/push", "example.org/push");
    let elsewhere = Config::parse(&elsewhere).unwrap();
    let decoded = archive(&elsewhere, false, Books::default());
    let (read, left_out) = decoded.config_for(&config).unwrap();
    assert_eq!(left_out, ["push"]);
    assert!(read.push.is_none());
}

fn with_body(format: u64, body: &str) -> Vec<u8> {
    let head = super::Head {
        pm_archive: format,
        bytes: body.len() as u64,
        sha256: super::hash(body.as_bytes()),
    };
    let head = serde_json::to_string(&head).unwrap();
    format!("{head}\n{body}").into_bytes()
}

#[test]
fn a_newer_one_is_refused_and_one_with_less_in_it_is_read() {
    let body =
        r#"{"made": 1790000000, "pm": "0.0.9", "config": {"schema": 1, "services": {"80": {}}}}"#;
    let read = Archive::decode(&with_body(FORMAT, body)).unwrap();
    assert_eq!(read.books, Books::default());
    assert_eq!(
        read.config_for(&Config::default())
            .unwrap()
            .0
            .services
            .len(),
        1
    );
    let newer = Archive::decode(&with_body(FORMAT + 1, body));
    assert!(matches!(newer, Err(ArchiveError::Newer(2))));
    let newer = Archive::decode(b"{\"pm_archive\": 7, \"blake3\": \"...\"}\n\x00\x01");
    assert!(matches!(newer, Err(ArchiveError::Newer(7))));
    let newer = body.replace("\"schema\": 1", "\"schema\": 999");
    let newer = Archive::decode(&with_body(FORMAT, &newer)).unwrap();
    let newer = newer.config_for(&Config::default());
    assert!(matches!(newer, Err(ArchiveError::Config(_))));
    let unknown = body.replace("\"pm\"", "\"more\": 5, \"pm\"");
    let unknown = Archive::decode(&with_body(FORMAT, &unknown));
    assert!(matches!(unknown, Err(ArchiveError::Invalid { .. })));
    let zero = Archive::decode(&with_body(0, body));
    assert!(matches!(zero, Err(ArchiveError::NotOne)));
}

#[test]
fn usage_of_nobody_is_refused() {
    let body = r#"{"made": 1, "pm": "0", "config": {"schema": 1, "services": {}},
        "services": {"80": {"total": {"in": 1, "out": 1},
                            "period": {"used": {"in": 1, "out": 1}, "reset": "never"}}}}"#;
    let read = Archive::decode(&with_body(FORMAT, body)).unwrap();
    let refused = read.config_for(&Config::default());
    assert!(matches!(refused, Err(ArchiveError::Stranger(_))));
}
