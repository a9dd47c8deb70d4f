//! A request that the kernel refuses leaves everything as it was, and nobody cut off.

use std::collections::BTreeMap;

use pm_core::config::Mode;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::report::Report;
use pm_core::request::{Request, Selection};
use pm_core::ruleset::{Direction, RoomId, Variant};
use pm_engine::Engine;
use pm_store::config_file;

use crate::backend::{Fate, Script};
use crate::host::{End, Host};
use crate::kernel::Packet;
use crate::requests::{add, is_open, mode, no_quota, ports, quota, set, set_used, some};

/// One service of each kind: spent, corrected, far from its quota, without one, blocked.
fn busy() -> Host {
    let mut host = Host::with(&[
        ("20000", quota(1_000)),
        ("20001", quota(50_000)),
        ("20002", quota(1 << 31)),
        ("20003", no_quota()),
        ("20004", quota(9_000)),
    ]);
    for name in ["20000", "20001", "20002", "20003", "20004"] {
        host.send(name, Direction::In, 700);
        host.send(name, Direction::Out, 300);
    }
    host.request(&set_used("20001", 4_321));
    host.request(&Request::Block {
        ports: some("20004"),
    });
    host.tick();
    assert!(host.ledger("20000").spent.is_some());
    host
}

fn requests() -> Vec<Request> {
    let mut requests = vec![
        add("20010", quota(1_000)),
        add("20010,20011", no_quota()),
        set("20000", quota(3_000)),
        set("20001", mode(Mode::Out)),
        set("20001", quota(100)),
        set("20001", quota(40_000)),
        set("20001", no_quota()),
        set("20002", mode(Mode::Out)),
        set("20002", quota(100)),
        set("20003", quota(1 << 32)),
        set("20003", quota(100)),
        set_used("20000", 0),
        set_used("20000", 500),
        set_used("20001", 0),
        set_used("20001", 50_000),
        set_used("20002", 1 << 31),
        set_used("20003", 77),
        set_used("20004", 77),
    ];
    for ports in ["20000", "20001", "20002", "20003", "20004", "all"] {
        let ports = match ports {
            "all" => Selection::All,
            ports => some(ports),
        };
        requests.extend([
            Request::Delete {
                ports: ports.clone(),
            },
            Request::Reset {
                ports: ports.clone(),
            },
            Request::Block {
                ports: ports.clone(),
            },
        ]);
    }
    requests.push(Request::Unblock {
        ports: some("20004"),
    });
    requests.push(Request::Unblock {
        ports: some("20001,20004"),
    });
    requests
}

fn with_traffic(fate: Fate) -> Script {
    Script {
        fate,
        packet: Some(Packet {
            ports: ports("20002"),
            direction: Direction::Out,
            bytes: 10,
        }),
        ..Script::default()
    }
}

fn by_ports(reports: Vec<Report>) -> BTreeMap<PortRange, Report> {
    let reports = reports.into_iter();
    reports.map(|report| (report.ports, report)).collect()
}

/// Returns a report as it must be after `counted` more bytes.
fn grown(mut report: Report, counted: Usage) -> Report {
    report.usage.incoming += counted.incoming;
    report.usage.outgoing += counted.outgoing;
    let counted = match report.mode {
        Mode::Both => counted.incoming + counted.outgoing,
        Mode::Out => counted.outgoing,
    };
    report.billed += counted;
    report
}

fn assert_as_before(host: &mut Host, before: &[Report], passed: &Usage, when: &str) {
    let view = host.run(Script::default(), Engine::view).done();
    let now = by_ports(view.reports);
    let mut wanted = by_ports(before.to_vec());
    let counted = host.passed("20002");
    let counted = Usage {
        incoming: counted.incoming - passed.incoming,
        outgoing: counted.outgoing - passed.outgoing,
    };
    let busy = wanted.remove(&ports("20002")).unwrap();
    wanted.insert(ports("20002"), grown(busy, counted));
    assert_eq!(now, wanted, "{when}");
}

/// Asserts that packets pass where pm says that a service is open, and nowhere else.
fn assert_passage(host: &Host, when: &str) {
    let state = host.saved().unwrap();
    for (ports, service) in host.config().services {
        let open = is_open(&service, &state.ledgers[&ports]);
        let passes = host.send(&ports.to_string(), Direction::Out, 1);
        assert_eq!(passes, open, "{when}: service {ports}");
    }
}

#[test]
fn a_refused_request_leaves_no_trace() {
    let busy = busy();
    for request in requests() {
        for refused in 0.. {
            let mut host = busy.copy();
            let when = format!("`{request}`, batch {refused} refused");
            let before = host.run(Script::default(), Engine::view).done().reports;
            let (config, passed) = (host.config(), host.passed("20002"));
            let end = host.run_request(&request, with_traffic(Fate::Refuse(refused)));
            let calls = host.calls();
            if !calls.met {
                end.done();
                break;
            }
            if calls.batches[refused].is_cleanup() {
                let done = end.done();
                // Where several were to be deleted at once, each was tried again on its own.
                let several = calls.batches[refused].delete_rooms.len() > 1;
                assert_eq!(done.leftover.is_empty(), several, "{when}");
                host.tick();
                assert_eq!(host.config(), done.after, "{when}");
                assert_no_room_too_many(&host, &when);
                assert_passage(&host, &when);
                continue;
            }
            end.failed();
            assert_eq!(host.config(), config, "{when}");
            assert_as_before(&mut host, &before, &passed, &when);
            host.tick();
            assert_as_before(&mut host, &before, &passed, &when);
            assert_no_room_too_many(&host, &when);
            assert_passage(&host, &when);
            // The same again, when nothing hinders it.
            let done = host.request(&request);
            assert_eq!(host.config(), done.after, "{when}");
            assert_passage(&host, &when);
        }
    }
}

/// Asserts that an open service has one room, and another none.
fn assert_no_room_too_many(host: &Host, when: &str) {
    let state = host.saved().unwrap();
    let services = host.config().services.into_iter();
    let open = services.filter(|(ports, service)| is_open(service, &state.ledgers[ports]));
    let open: Vec<PortRange> = open.map(|(ports, _)| ports).collect();
    let rooms = host.kernel(|kernel| kernel.rooms()).into_iter();
    let rooms: Vec<PortRange> = rooms.map(|room| room.ports).collect();
    assert_eq!(rooms, open, "{when}");
}

/// Nor does one that fails at anything else than a batch.
#[test]
fn a_request_that_fails_leaves_no_trace() {
    let busy = busy();
    for request in requests() {
        for moment in 0.. {
            let mut host = busy.copy();
            let when = format!("`{request}`, failing in moment {moment}");
            let before = host.run(Script::default(), Engine::view).done().reports;
            let (config, passed) = (host.config(), host.passed("20002"));
            let end = host.run_request(&request, with_traffic(Fate::Fail(moment)));
            if !host.calls().met {
                end.done();
                break;
            }
            if let End::Failed(_) = end {
                assert_eq!(host.config(), config, "{when}");
                host.tick();
                // What passes while its service is unlinked to be deleted is nobody's bill.
                if !matches!(request, Request::Delete { .. }) {
                    assert_as_before(&mut host, &before, &passed, &when);
                }
            }
            host.tick();
            assert_no_room_too_many(&host, &when);
            assert_passage(&host, &when);
        }
    }
}

#[test]
fn one_tick_after_any_death_what_is_open_passes() {
    let busy = busy();
    for request in requests() {
        for moment in 0.. {
            let mut host = busy.copy();
            let when = format!("`{request}`, killed in moment {moment}");
            let end = host.run_request(&request, with_traffic(Fate::Die(moment)));
            host.tick();
            assert_passage(&host, &when);
            assert_no_room_too_many(&host, &when);
            if let End::Done(_) = end {
                break;
            }
        }
    }
}

/// pm is killed after the new configuration was saved and before any usage was.
#[test]
fn a_death_between_two_saves_loses_nothing() {
    let busy = busy();
    for request in requests() {
        let mut host = busy.copy();
        let when = format!("`{request}`");
        let before = host.run(Script::default(), Engine::view).done().reports;
        let config = host.config();
        let after = request.apply(&config, &Default::default());
        config_file::save(&host.paths, &after.unwrap()).unwrap();
        host.tick();
        for report in host.run(Script::default(), Engine::view).done().reports {
            let before = before.iter().find(|before| before.ports == report.ports);
            if let Some(before) = before {
                assert_eq!(report.usage.incoming, before.usage.incoming, "{when}");
                // Without a correction, another mode bills another sum.
                if report.mode == before.mode || before.adjust != 0 {
                    assert_eq!(report.billed, before.billed, "{when}: {}", report.ports);
                }
            }
        }
        assert_passage(&host, &when);
        assert_no_room_too_many(&host, &when);
    }
}

#[test]
fn one_tick_after_races_what_is_open_passes() {
    let busy = busy();
    for request in requests() {
        for first in 0..4 {
            // pm gives up after some.
            for times in [1, 2, 8, 9, 10, 11] {
                let mut host = busy.copy();
                let when = format!("`{request}`, {times} races from batch {first} on");
                let before = host.run(Script::default(), Engine::view).done().reports;
                let passed = host.passed("20002");
                let config = host.config();
                let race = Fate::Race { first, times };
                if let End::Failed(_) = host.run_request(&request, with_traffic(race)) {
                    assert_eq!(host.config(), config, "{when}");
                    host.tick();
                    // What passes while its service is unlinked to be deleted is nobody's bill.
                    if !matches!(request, Request::Delete { .. }) {
                        assert_as_before(&mut host, &before, &passed, &when);
                    }
                }
                host.tick();
                assert_passage(&host, &when);
                assert_no_room_too_many(&host, &when);
            }
        }
    }
}

/// Somebody's own rule jumps into a room, so that it cannot be deleted for as long.
#[test]
fn a_room_that_somebody_holds_on_to_hinders_nobody() {
    let busy = busy();
    for name in ["20001", "20002", "20003"] {
        let mut host = busy.copy();
        let held = RoomId {
            ports: ports(name),
            variant: Variant::A,
        };
        let fate = Fate::RefuseDeleting(held);
        let mut moves = 0;
        for bytes in [60_000, 70_000, 80_000] {
            for settings in [quota(bytes), no_quota(), mode(Mode::Out), mode(Mode::Both)] {
                let request = set(name, settings);
                let done = host.run_request(&request, with_traffic(fate)).done();
                moves += usize::from(host.calls().met);
                assert_eq!(done.leftover.is_empty(), !host.calls().met, "`{request}`");
                host.run_tick(with_traffic(fate)).done();
                assert_passage(&host, &format!("`{request}` with {held} held"));
            }
        }
        assert!(moves > 0);
        host.tick();
        host.tick();
        assert_no_room_too_many(&host, "afterwards");
        assert_passage(&host, "afterwards");
    }
}

/// While a room is held on to, its service's usage and quota are right all the same.
#[test]
fn a_quota_holds_although_a_room_cannot_be_deleted() {
    let mut host = busy();
    let fate = Fate::RefuseDeleting(RoomId {
        ports: ports("20003"),
        variant: Variant::A,
    });
    for settings in [quota(100_000), no_quota(), quota(20_000)] {
        host.send("20003", Direction::In, 1_000);
        host.run_request(&set("20003", settings), with_traffic(fate))
            .done();
    }
    for _ in 0..300 {
        host.send("20003", Direction::In, 100);
    }
    host.run_tick(with_traffic(fate)).done();
    host.tick();
    let passed = host.passed("20003");
    assert_eq!(host.ledger("20003").usage, passed);
    assert_eq!(passed.incoming + passed.outgoing, 20_000);
}

/// The rooms of a deleted service are still there when another one of its name begins.
#[test]
fn what_a_deleted_service_used_is_not_its_successors() {
    let busy = busy();
    let delete = Request::Delete {
        ports: some("20003"),
    };
    let held = Fate::RefuseDeleting(RoomId {
        ports: ports("20003"),
        variant: Variant::A,
    });
    for moment in 0.. {
        let mut host = busy.copy();
        host.run_request(&delete, with_traffic(held)).done();
        let again = add("20003", quota(5_000));
        let end = host.run_request(&again, with_traffic(Fate::Die(moment)));
        host.tick();
        if !host.config().services.contains_key(&ports("20003")) {
            continue;
        }
        let when = format!("killed in moment {moment}");
        assert_eq!(host.report("20003").billed, 0, "{when}");
        assert!(host.send("20003", Direction::In, 5_000), "{when}");
        assert!(!host.send("20003", Direction::In, 1), "{when}");
        if let End::Done(_) = end {
            break;
        }
    }
}

/// The same, where pm is killed after the new configuration was saved and before any usage was.
#[test]
fn what_a_deleted_service_used_is_not_its_successors_whose_usage_was_not_saved() {
    let mut host = busy();
    let delete = Request::Delete {
        ports: some("20003"),
    };
    let held = Fate::RefuseDeleting(RoomId {
        ports: ports("20003"),
        variant: Variant::A,
    });
    host.run_request(&delete, with_traffic(held)).done();
    let after = add("20003", quota(5_000)).apply(&host.config(), &Default::default());
    config_file::save(&host.paths, &after.unwrap()).unwrap();
    host.tick();
    assert_eq!(host.report("20003").billed, 0);
}
