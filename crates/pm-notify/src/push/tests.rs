use std::time::Duration;

use pm_core::config::Note;
use pm_core::ledger::Usage;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn push(notes: bool) -> Push {
    Push {
        enabled: true,
        url: "https://w.example/api/push".parse().unwrap(),
        node: "hk-01".parse().unwrap(),
        node_id: None,
        secret: "pLaNtEd".parse().unwrap(),
        notes,
    }
}

fn report(ports: &str, note: &str, quota: Option<&str>) -> Report {
    Report {
        ports: ports.parse().unwrap(),
        note: note.parse().unwrap(),
        group: None,
        tariff: Tariff::default(),
        usage: Usage {
            incoming: 1_000,
            outgoing: 2_000,
        },
        adjust: 0,
        billed: 3_000,
        quota: quota.map(|text| {
            QuotaSize::try_from(text.parse::<pm_core::units::Size>().unwrap()).unwrap()
        }),
        blocked_by: None,
        is_spent: false,
        is_expired: false,
        reset: "5".parse().unwrap(),
        next_reset: None,
        limit: None,
        limit_in: None,
        dynqos: None,
        punished: None,
        expires: None,
        routed: false,
    }
}

fn pushed(push: &Push, services: &[Report], groups: &[GroupReport]) -> Value {
    serde_json::from_str(&body(push, "eth0", services, groups)).unwrap()
}

fn vip(quota: &str) -> GroupReport {
    let quota = quota.parse::<pm_core::units::Size>().unwrap();
    GroupReport {
        name: "vip 老王".parse().unwrap(),
        members: Vec::new(),
        tariff: Tariff::default(),
        usage: Usage::default(),
        adjust: 0,
        billed: 7,
        quota: Some(QuotaSize::try_from(quota).unwrap()),
        is_spent: false,
        reset: "5".parse().unwrap(),
        next_reset: None,
    }
}

#[test]
fn receivers_of_old_find_what_they_know() {
    let mut service = report("20000", "老王", Some("100GiB"));
    service.limit = Some(
        "2500Kbps"
            .parse::<pm_core::units::BitRate>()
            .unwrap()
            .try_into()
            .unwrap(),
    );
    service.dynqos = Some("100M/5/5M/60".parse().unwrap());
    service.punished = Some(Duration::from_secs(60));
    let said = pushed(&push(false), &[service], &[]);
    assert_eq!(said["node_id"], "hk-01");
    assert_eq!(said["interface"], "eth0");
    let port = &said["ports"]["20000"];
    for (field, value) in [
        ("quota_gb", json!(100)),
        ("quota_mode", json!("in_out")),
        ("limit_mbps", json!(2.5)),
        ("reset_day", json!(5)),
        ("comment", json!("")),
        ("stats", json!({ "acc_in": 1_000, "acc_out": 2_000 })),
    ] {
        assert_eq!(port[field], value, "{field}");
    }
    assert_eq!(port["dyn_limit"]["is_punished"], true);
    assert_eq!(port["dyn_limit"]["punish_mbps"], 5.0);
    assert_eq!(port["pm"]["billed"], 3_000);
}

#[test]
fn a_factor_leaves_the_share_of_the_quota_right() {
    let mut service = report("20000", "", Some("100GiB"));
    service.tariff.factor = "2".parse().unwrap();
    let said = pushed(&push(false), &[service], &[]);
    assert_eq!(said["ports"]["20000"]["quota_gb"], 50.0);
    assert_eq!(said["ports"]["20000"]["pm"]["factor"], "2");
}

/// What pm.sh corrects is in its sums, so its receivers look for it there; none of them knows `max`.
#[test]
fn what_receivers_of_old_add_up_is_what_is_billed() {
    let of = |tariff: Tariff, adjust: i64, incoming: u64, outgoing: u64| {
        let mut service = report("20000", "", Some("100GiB"));
        service.tariff = tariff;
        service.usage = Usage { incoming, outgoing };
        service.adjust = adjust;
        let said = pushed(&push(false), &[service], &[]);
        let port = said["ports"]["20000"].clone();
        assert_eq!(port["pm"]["in"], incoming, "what passed stays visible");
        assert_eq!(port["pm"]["out"], outgoing);
        let stats = &port["stats"];
        (
            port["quota_mode"].as_str().unwrap().to_owned(),
            stats["acc_in"].as_u64().unwrap(),
            stats["acc_out"].as_u64().unwrap(),
        )
    };
    let tariff = |mode, factor: &str| Tariff {
        mode,
        factor: factor.parse().unwrap(),
    };
    let both = tariff(Mode::Both, "1");
    let said = |mode: &str, acc_in, acc_out| (mode.to_owned(), acc_in, acc_out);
    assert_eq!(of(both, 0, 10, 20), said("in_out", 10, 20));
    assert_eq!(of(both, 7, 10, 20), said("in_out", 10, 27));
    assert_eq!(of(both, -5, 10, 20), said("in_out", 10, 15));
    assert_eq!(of(both, -25, 10, 20), said("in_out", 5, 0));
    let doubled = tariff(Mode::Both, "2");
    assert_eq!(of(doubled, 8, 10, 20), said("in_out", 10, 24));
    let out = tariff(Mode::Out, "1");
    assert_eq!(of(out, -5, 10, 20), said("out_only", 10, 15));
    let max = tariff(Mode::Max, "1");
    assert_eq!(of(max, 0, 10, 20), said("out_only", 10, 20));
    assert_eq!(of(max, 0, 30, 20), said("out_only", 30, 30));
}

#[test]
fn members_show_the_quota_of_their_group_and_not_its_name() {
    let mut member = report("80-90", "", None);
    member.group = Some("vip 老王".parse().unwrap());
    let said = pushed(&push(false), std::slice::from_ref(&member), &[vip("1GiB")]);
    let port = &said["ports"]["80-90"];
    assert_eq!(port["group_id"], "g1");
    assert_eq!(port["quota_gb"], 1.0);
    assert_eq!(port["pm"]["billed"], 7);
    let said = pushed(&push(true), &[member], &[vip("1GiB")]);
    assert_eq!(said["ports"]["80-90"]["group_id"], "vip 老王");
}

proptest! {
    /// Fault 19 of the scripts pm replaces: the "desensitised" push sends everything.
    #[test]
    fn nothing_but_the_fields_of_the_list_leaves_the_host(
        note in pm_core::strategies::note(),
        notes in any::<bool>(),
    ) {
        let mut service = report("20000", "", Some("1GB"));
        service.note = note.clone();
        let said = pushed(&push(notes), &[service], &[]);
        let names = |value: &Value| -> Vec<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        prop_assert_eq!(names(&said), ["interface", "node_id", "pm", "ports"]);
        let port = &said["ports"]["20000"];
        prop_assert_eq!(names(port), [
            "comment", "dyn_limit", "group_id", "limit_mbps", "pm", "quota_gb", "quota_mode",
            "reset_day", "stats",
        ]);
        let expected = if notes { note } else { Note::default() };
        prop_assert_eq!(port["comment"].as_str().unwrap(), expected.as_str());
        prop_assert!(!said.to_string().contains("pLaNtEd"));
    }
}

/// Receivers of old take some of these for whole numbers, and choke on `100.0`.
#[test]
fn a_whole_number_is_written_as_one() {
    let said = body(
        &push(false),
        "eth0",
        &[report("20000", "", Some("100GiB"))],
        &[],
    );
    for field in [
        r#""quota_gb":100,"#,
        r#""limit_mbps":0,"#,
        r#""trigger_mbps":0,"#,
        r#""punish_mbps":0}"#,
    ] {
        assert!(said.contains(field), "{field} in {said}");
    }
    let half = body(
        &push(false),
        "eth0",
        &[report("20000", "", Some("512MiB"))],
        &[],
    );
    assert!(half.contains(r#""quota_gb":0.5,"#), "{half}");
}
