//! Every older setup that there is: each version of pm.sh's configuration, each release of port-traffic-dog whose counters
//! or bills differ, its fork, and traffic-dog.

use super::cron;
use super::old::Old;

pub(in crate::netns) const ASIDE: &str = "/usr/local/bin/pm.before-pm";
pub(in crate::netns) const PM_SH_SCRIPT: &str = "#!/bin/bash\n# table inet port_monitor\n";
const PM_SH_CONFIG: &str = "/etc/port_monitor/config.json";
const DOG_CONFIG: &str = "/etc/port-traffic-dog/config.json";
const DOG_SCRIPT: (&str, &str) = (
    "/usr/local/bin/port-traffic-dog.sh",
    "#!/bin/bash\n# port_traffic_monitor\n",
);

/// Version 3 of its configuration, with a state file.
pub(in crate::netns) const PM_SH: Old = Old {
    name: "pm.sh",
    table: "port_monitor",
    cron: "* * * * * /usr/local/bin/pm --monitor",
    script: cron::PM_SH_STATE,
    files: &[
        (
            PM_SH_CONFIG,
            r#"{"node_id":"hk","interface":"eth0","config_version":3,"ports":{
                    "20000":{"quota_gb":100,"quota_mode":"in_out","limit_mbps":0,"reset_day":0,"comment":"老王","group_id":""}}}"#,
        ),
        (
            "/etc/port_monitor/state/20000.txt",
            "s_acc_in=4999500\ns_acc_out=7000000\ns_last_k_in=0\ns_last_k_out=0\n",
        ),
        // Where `install.sh` has moved it.
        (ASIDE, PM_SH_SCRIPT),
    ],
    services: 1,
    times: [(1, 1), (0, 0)],
    // It has looked at 0 of 500.
    shown: [(500, 0), (0, 0)],
    before: [(5_000_000, 7_000_000), (0, 0)],
    forwards: false,
};

const fn pm_sh_before_3(files: &'static [(&'static str, &'static str)]) -> Old {
    Old {
        script: cron::PM_SH_STATS,
        files,
        ..PM_SH
    }
}

pub(in crate::netns) const PM_SH_0: Old = pm_sh_before_3(&[(
    PM_SH_CONFIG,
    r#"{"node_id":"unknown","interface":"","ports":{
        "20000":{"quota_gb":100,"quota_mode":"in_out","limit_mbps":0,"reset_day":0,"last_reset_ts":1770000000,"comment":"VMess","legacy_field":"x",
        "stats":{"acc_in":4999500,"acc_out":7000000,"last_kernel_in":0,"last_kernel_out":0},
        "dyn_limit":{"enable":false}}}}"#,
)]);
pub(in crate::netns) const PM_SH_1: Old = pm_sh_before_3(&[(
    PM_SH_CONFIG,
    r#"{"node_id":"jp-02","interface":"eth0","config_version":1,"ports":{
        "20000":{"quota_gb":100,"quota_mode":"out_only","limit_mbps":0,"reset_day":0,"last_reset_ts":1770000000,"comment":"甲","group_id":"vip1",
        "stats":{"acc_in":4999500,"acc_out":7000000,"last_kernel_in":0,"last_kernel_out":0},
        "dyn_limit":{"enable":false}}}}"#,
)]);
pub(in crate::netns) const PM_SH_2: Old = pm_sh_before_3(&[(
    PM_SH_CONFIG,
    r#"{"node_id":"hk-01","interface":"eth0","config_version":2,"ports":{
        "20000":{"quota_gb":100,"quota_mode":"in_out","limit_mbps":0,"reset_day":0,"last_reset_ts":1770000000,"comment":"Snell","group_id":"",
        "stats":{"acc_in":4999500,"acc_out":7000000,"last_kernel_in":0,"last_kernel_out":0},
        "dyn_limit":{"enable":false},
        "ip_limit":{"enable":true,"max_ips":3,"action":"block","cooldown_min":30,"whitelist":[],"last_alert_ts":0,"last_alert_ips":[]}}}}"#,
)]);

/// The program of a release, whose ports are billed as said.
macro_rules! dog_files {
    ($global:literal, $first:literal, $second:literal, $script:expr) => {
        &[
            (
                DOG_CONFIG,
                concat!(
                    r#"{"global":{"#,
                    $global,
                    r#"},"ports":{
                    "20000":{"name":"a","enabled":true,"billing_mode":""#,
                    $first,
                    r#"","bandwidth_limit":{"enabled":false,"rate":"unlimited"},
                      "quota":{"enabled":true,"monthly_limit":"300GB"},"remark":"alice"},
                    "30000-30100":{"name":"b","enabled":true,"billing_mode":""#,
                    $second,
                    r#"","bandwidth_limit":{"enabled":false,"rate":"unlimited"},
                      "quota":{"enabled":true,"monthly_limit":"unlimited"},"remark":""}},
                    "nftables":{"table_name":"port_traffic_monitor","family":"inet"}}"#
                ),
            ),
            $script,
        ]
    };
}

/// Its program, which says its release.
macro_rules! dog_script {
    ($release:literal) => {
        (
            DOG_SCRIPT.0,
            concat!(
                "#!/bin/bash\nreadonly SCRIPT_VERSION=\"",
                $release,
                "\"\n# port_traffic_monitor\n"
            ),
        )
    };
}

/// The second 1.2.5, with both ports in `double`.
pub(in crate::netns) const DOG: Old = Old {
    name: "port-traffic-dog",
    table: "port_traffic_monitor",
    cron: "*/5 * * * * /usr/local/bin/port-traffic-dog.sh --check-scheduled-resets >/dev/null 2>&1  # port-traffic-dog scheduled reset check",
    script: cron::DOG_RESET,
    files: dog_files!(r#""billing_mode":"double""#, "double", "double", DOG_SCRIPT),
    services: 2,
    times: [(2, 2), (2, 2)],
    shown: [(10_000_000, 14_000_000), (4_000, 8_000)],
    before: [(5_000_000, 7_000_000), (2_000, 4_000)],
    forwards: true,
};

/// One whose counters hold what passed.
const fn dog_that_counts_once(files: &'static [(&'static str, &'static str)]) -> Old {
    Old {
        files,
        times: [(1, 1), (1, 1)],
        shown: DOG.before,
        ..DOG
    }
}

pub(in crate::netns) const DOG_1_0: Old = Old {
    forwards: false,
    cron: "5 0 2 * * /usr/local/bin/port-traffic-dog.sh --reset-port 20000 >/dev/null 2>&1  # 端口流量狗自动重置",
    ..dog_that_counts_once(dog_files!(
        r#""billing_mode":"single""#,
        "single",
        "double",
        DOG_SCRIPT
    ))
};
pub(in crate::netns) const DOG_1_2_3: Old = dog_that_counts_once(dog_files!(
    r#""billing_mode":"single""#,
    "double",
    "single",
    dog_script!("1.2.3")
));
pub(in crate::netns) const DOG_1_2_4: Old = dog_that_counts_once(dog_files!(
    r#""billing_mode":"single""#,
    "relay",
    "single",
    dog_script!("1.2.4")
));
pub(in crate::netns) const DOG_1_2_4_3: Old = dog_that_counts_once(dog_files!(
    r#""billing_mode":"single""#,
    "relay",
    "double",
    dog_script!("1.2.4.3")
));
/// The first 1.2.5, which counts twice in `single`, too.
pub(in crate::netns) const DOG_1_2_5A: Old = Old {
    files: dog_files!(r#""billing_mode":"double""#, "single", "double", DOG_SCRIPT),
    ..DOG
};
/// The second, which counts nothing that comes in for a port in `single`, and once what it sends.
pub(in crate::netns) const DOG_1_2_5B: Old = Old {
    files: dog_files!(r#""billing_mode":"double""#, "double", "single", DOG_SCRIPT),
    times: [(2, 2), (0, 1)],
    shown: [(10_000_000, 14_000_000), (0, 4_000)],
    before: [(5_000_000, 7_000_000), (0, 4_000)],
    ..DOG
};
pub(in crate::netns) const FORK: Old = Old {
    cron: "*/10 * * * * /usr/local/bin/port-traffic-dog.sh --snapshot-traffic >/dev/null 2>&1  # port-traffic-dog traffic snapshot",
    script: cron::FORK_SNAPSHOT,
    files: dog_files!(
        r#""billing_mode":"double","traffic_accounting_model":"upstream-weighted-v2""#,
        "double",
        "single",
        DOG_SCRIPT
    ),
    times: [(2, 2), (1, 1)],
    shown: [(10_000_000, 14_000_000), (2_000, 4_000)],
    ..DOG
};

pub(in crate::netns) const TRAFFIC_DOG: Old = Old {
    name: "traffic-dog",
    table: "port_traffic_stat",
    cron: "*/5 * * * * /usr/local/bin/port-traffic-stat save >/dev/null 2>&1",
    script: cron::TRAFFIC_DOG_SAVE,
    files: &[
        ("/etc/port-traffic-stat/ports", "20000\n30000-30100\n"),
        (
            "/etc/port-traffic-stat/state",
            "20000 1288490188 5153960755 2026-07-06T20:00:00+0800\n30000-30100 524288000 0 2026-07-06T20:00:00+0800\n",
        ),
        ("/etc/port-traffic-stat/limits", "20000 10737418240000\n"),
        ("/etc/port-traffic-stat/used", ""),
    ],
    services: 2,
    times: [(1, 1), (1, 1)],
    shown: [(0, 0), (0, 0)],
    before: [(1_288_490_188, 5_153_960_755), (524_288_000, 0)],
    forwards: false,
};
