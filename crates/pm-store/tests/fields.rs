//! A save writes what differs: each field is looked at.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use common::strategies::{account, interface_mark, ledger, quota_mark, room_mark};
use common::{at, paths};
use pm_core::config::GroupName;
use pm_core::ledger::{Account, InterfaceMark, Ledger, QuotaMark, RoomMark, State};
use pm_core::ruleset::{Epoch, Metered, QuotaId, Variant};
use pm_store::state_db::StateDb;
use proptest::prelude::*;

/// Boxed, as so many values need more than a thread's stack.
fn two<T: std::fmt::Debug>(one: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Vec<T>> {
    prop::collection::vec(one, 2).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// What most ticks change is written by itself; nothing else may be forgotten for that.
    #[test]
    fn a_field_that_changes_alone_is_saved(
        ledgers in two(ledger()),
        rooms in two(room_mark()),
        groups in two(account()),
        quotas in two(quota_mark()),
        interfaces in two(interface_mark()),
    ) {
        let (ports, group) = (at(80), "vip".parse::<GroupName>().unwrap());
        let quota = QuotaId {
            holder: group.clone().into(),
            variant: Variant::B,
            metered: Metered::Out,
        };
        let [mut first, other] = [0, 1].map(|index| {
            let mut state = State::new(Epoch(1));
            let mut ledger = ledgers[index].clone();
            *ledger.rooms.slot(Variant::B) = Some(rooms[index].clone());
            state.ledgers.insert(ports, ledger);
            state.groups.insert(group.clone(), groups[index]);
            state.quotas.insert(quota.clone(), quotas[index]);
            state.interfaces.insert("eth0".into(), interfaces[index].clone());
            state
        });
        let (_dir, paths) = paths();
        let mut db = StateDb::open(&paths).unwrap();
        db.save(&State::new(Epoch(1)), &first, None).unwrap();
        let mut next = first.clone();
        let mut check = |next: &State| {
            db.save(&first, next, None).unwrap();
            assert_eq!(db.load().unwrap().as_ref(), Some(next));
            first = next.clone();
        };
        let fields: [fn(&mut Account, &Account); 7] = [
            |account, other| account.usage = other.usage,
            |account, other| account.adjust = other.adjust,
            |account, other| account.tariff = other.tariff,
            |account, other| account.spent = other.spent,
            |account, other| account.warned = other.warned,
            |account, other| account.period = other.period,
            |account, other| account.began = other.began,
        ];
        for field in fields {
            let account = &mut next.ledgers.get_mut(&ports).unwrap().account;
            field(account, &other.ledgers[&ports].account);
            check(&next);
            field(next.groups.get_mut(&group).unwrap(), &other.groups[&group]);
            check(&next);
        }
        let fields: [fn(&mut Ledger, &Ledger); 8] = [
            |ledger, other| ledger.total = other.total,
            |ledger, other| ledger.group.clone_from(&other.group),
            |ledger, other| ledger.hog.sample = other.hog.sample,
            |ledger, other| ledger.hog.above = other.hog.above,
            |ledger, other| ledger.hog.punished = other.hog.punished,
            |ledger, other| ledger.expired = other.expired,
            |ledger, other| ledger.expiring = other.expiring,
            |ledger, other| ledger.deleted = other.deleted,
        ];
        for field in fields {
            field(next.ledgers.get_mut(&ports).unwrap(), &other.ledgers[&ports]);
            check(&next);
        }
        let fields: [fn(&mut QuotaMark, &QuotaMark); 3] = [
            |quota, other| quota.reading = other.reading,
            |quota, other| quota.counted = other.counted,
            |quota, other| quota.sound = other.sound,
        ];
        for field in fields {
            field(next.quotas.get_mut(&quota).unwrap(), &other.quotas[&quota]);
            check(&next);
        }
        let fields: [fn(&mut InterfaceMark, &InterfaceMark); 2] = [
            |interface, other| interface.host.clone_from(&other.host),
            |interface, other| interface.idle_ticks = other.idle_ticks,
        ];
        for field in fields {
            let interface = next.interfaces.get_mut("eth0").unwrap();
            field(interface, &other.interfaces["eth0"]);
            check(&next);
        }
        let fields: [fn(&mut RoomMark, &RoomMark); 6] = [
            |room, other| room.room.policing = other.room.policing,
            |room, other| room.room.metering.clone_from(&other.room.metering),
            |room, other| room.room.class = other.room.class,
            |room, other| room.incoming = other.incoming,
            |room, other| room.outgoing = other.outgoing,
            |room, other| room.sound = other.sound,
        ];
        for field in fields {
            let ledger = next.ledgers.get_mut(&ports).unwrap();
            let room = ledger.rooms.slot(Variant::B).as_mut().unwrap();
            field(room, &rooms[1]);
            check(&next);
        }
        *next.ledgers.get_mut(&ports).unwrap().rooms.slot(Variant::A) =
            other.ledgers[&ports].rooms.get(Variant::A).cloned();
        check(&next);
        prop_assert_eq!(next, other);
    }
}
