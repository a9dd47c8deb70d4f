//! A request that the kernel refuses leaves everything as it was, and nobody cut off.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::{Config, GroupName, Mode, Tariff};
use pm_core::history::ClosedPeriod;
use pm_core::holder::Holder;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::report::{GroupReport, Report};
use pm_core::request::{ContractSettings, Request, Selection, Settings};
use pm_core::ruleset::{Changes, Direction, Metering, QuotaId, RoomId, Variant};
use pm_store::config_file;

use crate::backend::{Act, Fate, Script};
use crate::books::Books;
use crate::host::{End, Host, Pm};
use crate::kernel::Packet;
use crate::requests::{
    add, add_group, alone, group, in_group, is_open, limit, limit_in, mode, no_limit, no_quota,
    ports, quota, reset_group, restore, set, set_group, set_group_used, set_used, some,
};
use crate::task::Task;

/// One service of each kind: spent, corrected, far from its quota, without one, blocked; limited
/// and corrected with its group, in a group alone, in one that is spent, in one without a quota.
pub(crate) fn busy() -> Host {
    let mut host = Host::with(&[
        ("20000", quota(1_000)),
        ("20001", quota(50_000)),
        ("20002", quota(1 << 31)),
        ("20003", no_quota()),
        ("20004", quota(9_000)),
    ]);
    host.tc(|tc| {
        tc.add_interface("eth0");
        tc.choose("eth0", "mq", &["fq", "sfq"]);
        tc.uplinks.insert("eth0".to_owned());
    });
    let max = ContractSettings {
        mode: Some(Mode::Max),
        ..quota(1 << 31)
    };
    for (name, settings) in [
        ("vip", quota(60_000)),
        ("duo", max),
        ("dry", quota(1_000)),
        ("free", no_quota()),
    ] {
        host.request(&add_group(name, settings));
    }
    host.request(&add("20005,20006", in_group("vip")));
    host.request(&add("20007", in_group("duo")));
    host.request(&add("20008", in_group("dry")));
    host.request(&add("20009", in_group("free")));
    host.request(&set("20005", limit("5M")));
    for service in host.config().services.into_keys() {
        host.send(&service.to_string(), Direction::In, 700);
        host.send(&service.to_string(), Direction::Out, 300);
    }
    host.request(&set_used("20001", 4_321));
    host.request(&set_group_used("vip", 4_321));
    host.request(&Request::Block {
        ports: some("20004"),
    });
    host.tick();
    assert!(host.ledger("20000").account.spent.is_some());
    assert!(host.saved().unwrap().groups[&group("dry")].spent.is_some());
    host
}

pub(crate) fn requests() -> Vec<Request> {
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
    requests.extend(group_requests());
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
    requests.extend([earlier(), Config::default()].map(restore));
    requests
}

/// A version in which some of what is there is missing, some is otherwise, and some is more.
fn earlier() -> Config {
    let config = r#"{
        "schema": 1,
        "revision": 2,
        "groups": {
            "vip": {"quota": "40000B", "reset": "never"},
            "dry": {"quota": "5000B", "reset": "never"},
            "old": {"quota": "1GB", "reset": "never"}
        },
        "services": {
            "20000": {"quota": "3000B", "reset": "never"},
            "20002": {"quota": "2147483648B", "reset": "never"},
            "20003": {"group": "old"},
            "20004": {"quota": "9000B", "reset": "never"},
            "20005": {"group": "vip"},
            "20006": {"limit": "6Mbps"},
            "20008": {"group": "dry"},
            "20010-20019": {"group": "old", "limit": "7Mbps"}
        }
    }"#;
    Config::parse(config).unwrap()
}

/// What concerns groups and limits.
fn group_requests() -> Vec<Request> {
    let factor = ContractSettings {
        factor: Some("1.5".parse().unwrap()),
        ..ContractSettings::default()
    };
    let both = Settings {
        limit: limit("6M").limit,
        ..in_group("duo")
    };
    let mut requests = vec![
        add_group("new", quota(5_000)),
        set_group("vip", quota(100)),
        set_group("vip", quota(40_000)),
        set_group("vip", no_quota()),
        set_group("vip", mode(Mode::Out)),
        set_group("vip", mode(Mode::Max)),
        set_group("vip", factor),
        set_group("duo", mode(Mode::Both)),
        set_group("duo", quota(100)),
        set_group("dry", quota(3_000)),
        set_group("free", quota(1 << 32)),
        set_group_used("vip", 0),
        set_group_used("dry", 0),
        set_group_used("free", 77),
        reset_group("vip"),
        reset_group("dry"),
        add("20010,20011", in_group("vip")),
        set("20000", in_group("vip")),
        set("20002", in_group("vip")),
        set("20003", in_group("dry")),
        set("20006", in_group("duo")),
        set("20005", both),
        set("20006", alone()),
        set("20006,20008", alone()),
        set("20003", limit("4M")),
        set("20005", limit("4M")),
        set("20005", no_limit()),
        set("20001,20006", limit_in("4M")),
        Request::SetClassifier("fwmark".parse().unwrap()),
    ];
    for ports in ["20005", "20008"] {
        requests.push(Request::Delete { ports: some(ports) });
        requests.push(Request::Block { ports: some(ports) });
    }
    requests
}

/// The services that are used all the time: one on its own, one in a group.
const USED: [&str; 2] = ["20002", "20006"];

/// Whether a service that is used may be deleted.
fn deletes_used(request: &Request) -> bool {
    match request {
        Request::Delete { .. } => true,
        Request::Restore { config, .. } => !USED
            .iter()
            .all(|name| config.services.contains_key(&ports(name))),
        _ => false,
    }
}

fn with_traffic(fate: Fate) -> Script {
    let packets = USED.map(|name| Packet {
        ports: ports(name),
        direction: Direction::Out,
        bytes: 10,
    });
    Script {
        fate,
        packets: packets.into(),
        ..Script::default()
    }
}

/// What the operator sees, and what passed until he saw it.
#[derive(Debug)]
struct Seen {
    services: BTreeMap<PortRange, Report>,
    groups: BTreeMap<GroupName, GroupReport>,
    passed: [Usage; 2],
    closed: Vec<ClosedPeriod>,
}

impl Seen {
    fn on(host: &mut Host) -> Self {
        let view = host.run(Script::default(), Pm::view).done();
        let services = view.reports.into_iter();
        let groups = view.groups.into_iter();
        Self {
            services: services.map(|report| (report.ports, report)).collect(),
            groups: groups.map(|report| (report.name.clone(), report)).collect(),
            passed: USED.map(|name| host.passed(name)),
            closed: host.closed(),
        }
    }

    /// Returns what must be seen when so much has passed.
    fn grown(mut self, passed: [Usage; 2]) -> Self {
        for (name, (before, now)) in USED.iter().zip(self.passed.into_iter().zip(passed)) {
            let report = self.services.get_mut(&ports(name)).unwrap();
            let counted = now.since(before);
            grow(
                &mut report.usage,
                &mut report.billed,
                report.tariff,
                report.adjust,
                counted,
            );
            let group = report
                .group
                .as_ref()
                .and_then(|name| self.groups.get_mut(name));
            if let Some(group) = group {
                grow(
                    &mut group.usage,
                    &mut group.billed,
                    group.tariff,
                    group.adjust,
                    counted,
                );
            }
        }
        self.passed = passed;
        self
    }
}

/// Makes a report's figures what they must be after `counted` more bytes.
fn grow(usage: &mut Usage, billed: &mut u64, tariff: Tariff, adjust: i64, counted: Usage) {
    *usage = usage.plus(counted);
    let sum = tariff.bill(usage.incoming, usage.outgoing);
    *billed = sum.saturating_add_signed(adjust);
}

fn assert_as_before(host: &mut Host, before: Seen, when: &str) -> Seen {
    let now = Seen::on(host);
    let wanted = before.grown(now.passed);
    assert_eq!(now.services, wanted.services, "{when}");
    assert_eq!(now.groups, wanted.groups, "{when}");
    assert_eq!(now.closed, wanted.closed, "{when}");
    now
}

/// Asserts that packets pass where pm says that a service is open, and nowhere else.
fn assert_passage(host: &Host, when: &str) {
    let state = host.saved().unwrap();
    for (ports, service) in host.config().services {
        let open = is_open(&service, &state.ledgers[&ports], &state);
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
            let before = Seen::on(&mut host);
            let mut books = Books::of(&host);
            let config = host.config();
            let end = host.run_request(&request, with_traffic(Fate::Refuse(refused)));
            let calls = host.calls();
            if !calls.met {
                end.done();
                break;
            }
            let batch = &calls.batches[refused];
            if takes_out_of_a_group(&request) && only_gives_back(batch, &busy) {
                // He who left the group is out of it already.
                let done = end.done();
                assert_eq!(done.leftover.len(), 1, "{when}");
                assert_eq!(host.config(), done.after, "{when}");
                books.follow(&host, &when);
                host.tick();
                assert_no_room_too_many(&host, &when);
                assert_passage(&host, &when);
                continue;
            }
            if batch.is_cleanup() {
                let done = end.done();
                // Where several were to be deleted at once, each was tried again on its own.
                let several = batch.delete_rooms.len() + batch.delete_quotas.len() > 1;
                assert_eq!(done.leftover.is_empty(), several, "{when}");
                host.tick();
                assert_eq!(host.config(), done.after, "{when}");
                assert_no_room_too_many(&host, &when);
                assert_passage(&host, &when);
                continue;
            }
            end.failed();
            books.follow(&host, &when);
            assert_eq!(host.config(), config, "{when}");
            let before = assert_as_before(&mut host, before, &when);
            host.tick();
            books.follow(&host, &when);
            assert_as_before(&mut host, before, &when);
            assert_no_room_too_many(&host, &when);
            assert_passage(&host, &when);
            // The same again, when nothing hinders it.
            let done = host.request(&request);
            assert_eq!(host.config(), done.after, "{when}");
            assert_passage(&host, &when);
        }
    }
}

fn takes_out_of_a_group(request: &Request) -> bool {
    matches!(request, Request::Set { settings, .. } if settings.group.is_some())
}

/// Whether a batch does nothing but raise groups' limits, by bytes that they are given back.
fn only_gives_back(batch: &Changes, before: &Host) -> bool {
    let others = Changes {
        move_limits: BTreeMap::new(),
        ..batch.clone()
    };
    let limits = before.kernel(|kernel| kernel.installed().quotas);
    let is_raised = |(id, &limit): (&QuotaId, &u64)| {
        matches!(id.holder, Holder::Group(_)) && limits[id] < Some(limit)
    };
    others.is_empty() && !batch.is_empty() && batch.move_limits.iter().all(is_raised)
}

/// Asserts that an open service has one room, and another none, and that every quota is named, or
/// a group's whose members are all blocked.
fn assert_no_room_too_many(host: &Host, when: &str) {
    let state = host.saved().unwrap();
    let services = host.config().services.into_iter();
    let open = services.filter(|(ports, service)| is_open(service, &state.ledgers[ports], &state));
    let open: Vec<PortRange> = open.map(|(ports, _)| ports).collect();
    let rooms = host.kernel(|kernel| kernel.rooms()).into_iter();
    let rooms: Vec<PortRange> = rooms.map(|room| room.ports).collect();
    assert_eq!(rooms, open, "{when}");
    let installed = host.kernel(|kernel| kernel.installed());
    let rooms = installed
        .rooms
        .values()
        .filter_map(|room| room.intact.as_ref());
    let named = rooms.flat_map(|room| room.metering.iter().flat_map(Metering::quotas));
    let named: BTreeSet<QuotaId> = named.collect();
    for quota in installed
        .quotas
        .keys()
        .filter(|quota| !named.contains(quota))
    {
        let Holder::Group(name) = &quota.holder else {
            panic!("{when}: nothing names {quota}")
        };
        let account = &state.groups[name];
        assert!(account.spent.is_none(), "{when}: nothing names {quota}");
        let config = host.config();
        let mut members = config.members(name).map(|ports| &config.services[&ports]);
        assert!(
            members.all(|member| member.blocked),
            "{when}: nothing names {quota}"
        );
    }
}

/// Nor does one that fails at anything else than a batch.
#[test]
fn a_request_that_fails_leaves_no_trace() {
    let busy = busy();
    for request in requests() {
        for moment in 0.. {
            let mut host = busy.copy();
            let when = format!("`{request}`, failing in moment {moment}");
            let before = Seen::on(&mut host);
            let mut books = Books::of(&host);
            let config = host.config();
            let end = host.run_request(&request, with_traffic(Fate::Fail(moment)));
            if !host.calls().met {
                end.done();
                break;
            }
            books.follow(&host, &when);
            if let End::Failed(_) = end {
                assert_eq!(host.config(), config, "{when}");
                host.tick();
                books.follow(&host, &when);
                // What passes while its service is unlinked to be deleted is nobody's bill.
                if !deletes_used(&request) {
                    assert_as_before(&mut host, before, &when);
                }
            }
            host.tick();
            books.follow(&host, &when);
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
            let mut books = Books::of(&host);
            let end = host.run_request(&request, with_traffic(Fate::Die(moment)));
            books.follow(&host, &when);
            host.tick();
            books.follow(&host, &when);
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
        let before = Seen::on(&mut host);
        let mut books = Books::of(&host);
        let config = host.config();
        let after = request.apply(&config, &Default::default());
        config_file::save(&host.paths, &after.unwrap()).unwrap();
        host.tick();
        books.follow(&host, &when);
        let now = Seen::on(&mut host);
        for (ports, report) in now.services {
            let before = before.services.get(&ports);
            // Who changes groups begins anew.
            if let Some(before) = before.filter(|before| before.group == report.group) {
                assert_eq!(report.usage.incoming, before.usage.incoming, "{when}");
                // Without a correction, another mode bills another sum.
                if report.tariff == before.tariff || before.adjust != 0 {
                    assert_eq!(report.billed, before.billed, "{when}: {ports}");
                }
            }
        }
        for (name, report) in now.groups {
            if let Some(before) = before.groups.get(&name) {
                assert_eq!(report.usage.incoming, before.usage.incoming, "{when}");
                if report.tariff == before.tariff || before.adjust != 0 {
                    assert_eq!(report.billed, before.billed, "{when}: group {name}");
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
                let before = Seen::on(&mut host);
                let mut books = Books::of(&host);
                let config = host.config();
                let race = Fate::Race { first, times };
                let end = host.run_request(&request, with_traffic(race));
                books.follow(&host, &when);
                if let End::Failed(_) = end {
                    assert_eq!(host.config(), config, "{when}");
                    host.tick();
                    books.follow(&host, &when);
                    // What passes while its service is unlinked to be deleted is nobody's bill.
                    if !deletes_used(&request) {
                        assert_as_before(&mut host, before, &when);
                    }
                }
                host.tick();
                books.follow(&host, &when);
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

/// Somebody's own rules name quotas, so that these cannot be deleted for as long. Who must have
/// new ones, and has no other name left for them, is told why he cannot.
#[test]
fn a_quota_that_somebody_holds_on_to_hinders_nobody_else() {
    let busy = busy();
    let fate = Fate::RefuseDeletingQuotas(Variant::A);
    let changes = [quota(60_000), no_quota(), mode(Mode::Out), mode(Mode::Max)];
    let about = |name: &str, settings| match name {
        "vip" => set_group("vip", settings),
        name => set(name, settings),
    };
    for name in ["20001", "20002", "vip"] {
        let mut host = busy.copy();
        let mut books = Books::of(&host);
        let mut held = 0;
        for round in 0..3 {
            for settings in changes {
                let request = about(name, settings);
                let when = format!("`{request}` in round {round}");
                let config = host.config();
                let end = host.run_request(&request, with_traffic(fate));
                let is_met = host.calls().met;
                held += usize::from(is_met);
                match end {
                    End::Done(done) => assert_eq!(done.leftover.is_empty(), !is_met, "{when}"),
                    End::Failed(error) => {
                        assert!(error.to_string().contains("busy"), "{when}: {error}");
                        assert_eq!(host.config(), config, "{when}");
                    }
                    End::Died => panic!("{when}"),
                }
                books.follow(&host, &when);
                let done = Task::Tick.run(&mut host, with_traffic(fate)).done();
                assert_eq!(done.leftover.is_empty(), !host.calls().met, "{when}");
                books.follow(&host, &when);
                assert_passage(&host, &when);
            }
        }
        assert!(held > 0, "{name}");
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
    assert_eq!(host.ledger("20003").account.usage, passed);
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

/// All rules are lost while a request is under way that adds a service, and then it fails.
#[test]
fn what_a_service_used_that_went_and_came_in_one_request_is_counted_once() {
    for (used, refused) in (0..12).flat_map(|used| (1..4).map(move |refused| (used, refused))) {
        let mut host = Host::with(&[("20000", no_quota())]);
        host.request(&add_group("vip", no_quota()));
        let mut books = Books::of(&host);
        let packet = Packet {
            ports: ports("20001"),
            direction: Direction::In,
            bytes: 20,
        };
        // What others do makes pm send another batch when the new service is in use.
        let mut acts = vec![Act::Nothing, Act::Nothing, Act::Nothing, Act::Nothing];
        acts.push(Act::Unlink(ports("20000")));
        acts.resize(5 + used, Act::Send(packet));
        acts.push(Act::Flush);
        let script = Script {
            fate: Fate::Refuse(refused),
            acts: acts.into(),
            ..Script::default()
        };
        drop(host.run_request(&add("20001", in_group("vip")), script));
        books.follow(&host, &format!("{used} packets, batch {refused} refused"));
    }
}

#[test]
fn what_is_undone_twice_is_as_before() {
    let mut host = busy();
    let present = host.config();
    let before = Seen::on(&mut host);
    let mut books = Books::of(&host);
    let versions = |host: &Host| config_file::versions(&host.paths).unwrap();
    let taken = versions(&host)[0].number;
    let undo = |host: &mut Host| {
        let mut past = pm_engine::Past::load(&host.paths).unwrap();
        let number = past.last().unwrap().number;
        let request = past.take(number).unwrap().restore().unwrap();
        host.run_request(&request, with_traffic(Fate::Live)).done()
    };
    // The block of 20004 was the last change of the configuration.
    let undone = undo(&mut host);
    assert!(!undone.after.services[&ports("20004")].blocked);
    assert_eq!(versions(&host)[0].number, taken + 1);
    books.follow(&host, "undone");
    let redone = undo(&mut host);
    assert!(redone.after.asks_the_same(&present));
    assert_eq!(redone.after.revision, present.revision + 2);
    books.follow(&host, "redone");
    assert_as_before(&mut host, before, "undone twice");
    assert_passage(&host, "undone twice");
}

/// Puts the latest version back that differs.
fn undo(host: &mut Host) {
    let mut past = pm_engine::Past::load(&host.paths).unwrap();
    let number = past.last().unwrap().number;
    let request = past.take(number).unwrap().restore().unwrap();
    host.request(&request);
}

#[test]
fn a_service_that_comes_back_has_its_bill_and_is_cut_off_as_ever() {
    let mut host = busy();
    let seen = host.config();
    host.send("20001", Direction::Out, 39_000);
    host.request(&Request::Delete {
        ports: some("20001"),
    });
    let mut books = Books::of(&host);
    undo(&mut host);
    books.follow(&host, "back");
    assert!(host.config().asks_the_same(&seen));
    // Corrected to 4,321 before it sent that.
    let report = host.report("20001");
    assert_eq!((report.usage, report.billed), (Usage::default(), 43_321));
    let closed = host.closed();
    let last = closed.last().unwrap();
    assert_eq!(last.holder, Holder::Service(ports("20001")));
    assert_eq!((last.usage.outgoing, last.billed()), (39_300, 43_321));
    assert!(host.send("20001", Direction::Out, 6_679));
    assert!(!host.send("20001", Direction::Out, 1));
    host.tick();
    let report = host.report("20001");
    assert_eq!(report.usage.outgoing, 6_679);
    assert!(report.is_spent);
    books.follow(&host, "spent");
    // Spent, deleted and back, it is still spent; reset before, it is not.
    let delete = Request::Delete {
        ports: some("20001"),
    };
    host.request(&delete);
    undo(&mut host);
    assert!(host.report("20001").is_spent);
    host.request(&Request::Reset {
        ports: some("20001"),
    });
    host.request(&delete);
    undo(&mut host);
    assert_eq!(host.report("20001").billed, 0);
    assert!(host.send("20001", Direction::Out, 50_000));
}

#[test]
fn a_group_that_comes_back_has_its_bill_and_its_members_none() {
    let mut host = busy();
    let seen = host.config();
    let mut without = seen.clone();
    without
        .services
        .retain(|_, service| service.group.is_none());
    without.groups.clear();
    host.request(&restore(without));
    undo(&mut host);
    assert!(host.config().asks_the_same(&seen));
    let state = host.saved().unwrap();
    let billed = |name: &str| state.groups[&group(name)].billed();
    // Corrected; the larger of the two; both; both.
    assert_eq!(
        ["vip", "duo", "dry", "free"].map(billed),
        [4_321, 700, 1_000, 1_000]
    );
    for name in ["20005", "20006", "20007", "20008", "20009"] {
        assert_eq!(host.ledger(name).account.billed(), 0, "{name}");
    }
    assert!(state.groups[&group("dry")].spent.is_some());
    assert!(!host.send("20008", Direction::In, 1));
    assert!(host.send("20005", Direction::Out, 30_000));
    assert!(host.send("20006", Direction::Out, 25_679));
    assert!(!host.send("20006", Direction::Out, 1));
    // A member that goes and comes alone takes nothing of what its group has.
    host.request(&Request::Delete {
        ports: some("20005"),
    });
    undo(&mut host);
    assert_eq!(host.ledger("20005").account.billed(), 0);
    assert_eq!(host.saved().unwrap().groups[&group("vip")].billed(), 60_000);
}

/// While another program holds on to its room, a deleted service's ledger stays.
#[test]
fn who_comes_back_before_his_rooms_are_gone_has_his_bill() {
    let mut host = busy();
    let held = RoomId {
        ports: ports("20001"),
        variant: Variant::A,
    };
    let script = Script {
        fate: Fate::RefuseDeleting(held),
        ..Script::default()
    };
    let delete = Request::Delete {
        ports: some("20001"),
    };
    host.run_request(&delete, script).done();
    assert!(host.ledger("20001").deleted);
    undo(&mut host);
    let account = host.ledger("20001").account;
    assert_eq!((account.usage, account.billed()), (Usage::default(), 4_321));
    host.tick();
    assert_eq!(host.ledger("20001").account.billed(), 4_321);
}

#[test]
fn a_return_that_fails_leaves_no_trace() {
    let mut failures = 0;
    for refused in 0..6 {
        let mut host = busy();
        let seen = host.config();
        host.request(&Request::Delete {
            ports: some("20001,20003"),
        });
        let (closed, gone) = (host.closed(), host.config());
        let script = Script {
            fate: Fate::Refuse(refused),
            ..Script::default()
        };
        let end = host.run_request(&restore(seen.clone()), script);
        if matches!(end, End::Done(_)) {
            continue;
        }
        failures += 1;
        host.tick();
        assert!(host.config().asks_the_same(&gone), "batch {refused}");
        assert_eq!(host.closed(), closed, "batch {refused}");
        host.request(&restore(seen));
        assert_eq!(host.report("20001").billed, 4_321, "batch {refused}");
    }
    assert!(failures > 0);
}
