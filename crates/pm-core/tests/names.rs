//! Names in the kernel: every name belongs to one thing, and is read back as that.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeSet;

use pm_core::config::{GroupName, MAX_GROUP_BYTES, Mode};
use pm_core::holder::Holder;
use pm_core::ruleset::{Direction, Epoch, LimitId, Metered, Metering, QuotaId, RoomId, Variant};
use pm_core::strategies::{group_name, port_range};
use proptest::prelude::*;
use proptest::sample::select;

/// The longest name that the kernel takes, without the zero at its end.
///
/// Source: `include/uapi/linux/netfilter/nf_tables.h`, `NFT_NAME_MAXLEN`.
const LONGEST: usize = 255;

fn variant() -> impl Strategy<Value = Variant> {
    select(Variant::BOTH.to_vec())
}

fn direction() -> impl Strategy<Value = Direction> {
    select(Direction::BOTH.to_vec())
}

/// Any holder, many of them called like parts of names.
fn holder() -> impl Strategy<Value = Holder> {
    let odd = select(vec![
        "b", "_b", "a_b", "_", "group", "group_a", "in_80", "80", "80_90", "80-90", "0b", "_5f",
        "5f", "q_", "A", "a", "é", "𝟘", "a b", "a\u{301}", "x%", "\\", "'", "\"", "{", "$(id)",
        ".", "...", "*",
    ]);
    let odd = odd.prop_map(|name| Holder::Group(name.parse().unwrap()));
    prop_oneof![
        2 => port_range().prop_map(Holder::Service),
        1 => (1u16..200).prop_map(|port| Holder::Service(port.to_string().parse().unwrap())),
        2 => odd,
        2 => group_name().prop_map(Holder::Group),
        1 => "[a-z0-9_]{1,6}".prop_filter_map("none", |name| {
            Some(Holder::Group(name.parse().ok()?))
        }),
    ]
}

fn quota_id() -> impl Strategy<Value = QuotaId> {
    (holder(), variant(), select(Metered::ALL.to_vec())).prop_map(|(holder, variant, metered)| {
        QuotaId {
            holder,
            variant,
            metered,
        }
    })
}

fn room_id() -> impl Strategy<Value = RoomId> {
    (port_range(), variant()).prop_map(|(ports, variant)| RoomId { ports, variant })
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= LONGEST
}

/// Texts that look like names of pm's.
fn near_name() -> impl Strategy<Value = String> {
    let part = select(vec![
        "q_",
        "in_",
        "out_",
        "l_",
        "epoch_",
        "group_",
        "_b",
        "_",
        "b",
        "0",
        "8",
        "80",
        "65535",
        "65536",
        "5f",
        "20",
        "2D",
        "c3a9",
        "+",
        "-",
        " ",
        "00000000000000ff",
    ]);
    proptest::collection::vec(part, 0..7).prop_map(|parts| parts.concat())
}

/// Fault 8 of the scripts pm replaces: names were compared by their beginnings, so that touching
/// port 80 touched 8080 and 80-90 as well.
#[test]
fn names_that_begin_alike_are_names_of_different_things() {
    let rooms = ["80", "8080", "80-90", "8", "808", "1080"].map(|ports| {
        let ports = ports.parse().unwrap();
        Variant::BOTH.map(|variant| RoomId { ports, variant })
    });
    let names: BTreeSet<_> = rooms
        .iter()
        .flatten()
        .map(|room| room.chain(Direction::In))
        .collect();
    assert_eq!(names.len(), 12);
    for room in rooms.iter().flatten() {
        let read = RoomId::parse_chain(&room.chain(Direction::Out));
        assert_eq!(read, Some((*room, Direction::Out)));
    }
}

#[test]
fn the_longest_names_fit() {
    let longest: GroupName = "é".repeat(MAX_GROUP_BYTES / 2).parse().unwrap();
    let quota = QuotaId {
        holder: Holder::Group(longest),
        variant: Variant::B,
        metered: Metered::Out,
    };
    assert!(is_identifier(&quota.to_string()));
    let limit = LimitId {
        room: RoomId {
            ports: "10000-65535".parse().unwrap(),
            variant: Variant::B,
        },
        direction: Direction::Out,
        rate: u64::MAX,
    };
    assert!(is_identifier(&limit.to_string()));
}

#[test]
fn what_pm_would_not_write_is_not_pms() {
    for name in [
        "",
        "q_",
        "q_0",
        "q_080",
        "q_80_80",
        "q_90_80",
        "q_80_b_b",
        "q_65536",
        "q_80-90",
        "q_ 80",
        "q_+80",
        "q_in_",
        "q_in_q_80",
        "q_group_",
        "q_group__",
        "q_group__2",
        "q_group__6",
        "q_group__61",
        "q_group__2D",
        "q_group_a__2c_b",
        "q_group_none",
        "q_group__20a",
        "q_group__c3",
        "q_group_é",
        "q_group__0a",
        "Q_80",
        "q_80 ",
        "q_group__2da",
    ] {
        assert_eq!(QuotaId::parse(name), None, "{name}");
    }
    for name in [
        "",
        "in_",
        "80",
        "in_080",
        "in_80_80",
        "in_80_b_c",
        "in__b",
        "fwd_80",
        "in_80_90_91",
        "in_+80",
    ] {
        assert_eq!(RoomId::parse_chain(name), None, "{name}");
    }
    for name in [
        "l_",
        "l_in_80",
        "l_in_80_",
        "l_in_80_01",
        "l_in_80_+1",
        "l_80_1",
        "l_in_80_18446744073709551616",
    ] {
        assert_eq!(LimitId::parse(name), None, "{name}");
    }
    for name in [
        "epoch_",
        "epoch_ff",
        "epoch_00000000000000FF",
        "epoch_+0000000000000ff",
        "epoch_000000000000000ff",
    ] {
        assert_eq!(Epoch::parse_chain(name), None, "{name}");
    }
}

#[test]
fn a_set_has_a_quota_for_each_sum_that_counts() {
    for (mode, names) in [
        (Mode::Both, &["q_80_b"][..]),
        (Mode::Out, &["q_out_80_b"]),
        (Mode::Max, &["q_in_80_b", "q_out_80_b"]),
    ] {
        let metering = Metering {
            holder: "80".parse().unwrap(),
            variant: Variant::B,
            mode,
        };
        let quotas: Vec<_> = metering.quotas().map(|quota| quota.to_string()).collect();
        assert_eq!(quotas, names);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_quotas_name_is_read_back_as_it(quota in quota_id()) {
        let name = quota.to_string();
        prop_assert!(is_identifier(&name), "{name}");
        prop_assert_eq!(QuotaId::parse(&name), Some(quota));
    }

    #[test]
    fn two_quotas_never_share_a_name(one in quota_id(), other in quota_id()) {
        prop_assert_eq!(one.to_string() == other.to_string(), one == other);
    }

    #[test]
    fn a_rooms_names_are_read_back_as_it(room in room_id(), direction in direction(), rate: u64) {
        let chain = room.chain(direction);
        prop_assert!(is_identifier(&chain), "{chain}");
        prop_assert_eq!(RoomId::parse_chain(&chain), Some((room, direction)));
        let limit = LimitId { room, direction, rate };
        let name = limit.to_string();
        prop_assert!(is_identifier(&name), "{name}");
        prop_assert_eq!(LimitId::parse(&name), Some(limit));
    }

    #[test]
    fn an_epochs_name_is_read_back_as_it(bits: u64) {
        let name = Epoch(bits).chain();
        prop_assert!(is_identifier(&name), "{name}");
        prop_assert_eq!(Epoch::parse_chain(&name), Some(Epoch(bits)));
        prop_assert_eq!(RoomId::parse_chain(&name), None);
    }

    /// Whatever is read as a thing of pm's is called just as pm would call it.
    #[test]
    fn a_name_that_is_read_is_the_things_own(name in prop_oneof![near_name(), any::<String>()]) {
        if let Some(quota) = QuotaId::parse(&name) {
            prop_assert_eq!(quota.to_string(), &*name);
        }
        if let Some((room, direction)) = RoomId::parse_chain(&name) {
            prop_assert_eq!(room.chain(direction), &*name);
        }
        if let Some(limit) = LimitId::parse(&name) {
            prop_assert_eq!(limit.to_string(), &*name);
        }
        if let Some(epoch) = Epoch::parse_chain(&name) {
            prop_assert_eq!(epoch.chain(), &*name);
        }
    }

    #[test]
    fn a_holder_reads_as_it_is_written(one in holder(), other in holder()) {
        prop_assert_eq!(one.to_string().parse(), Ok(one.clone()));
        prop_assert_eq!(one.to_string() == other.to_string(), one == other);
    }
}
