//! What pm refuses or warns of, so that nobody is locked out or billed by surprise.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};

use super::requests::{everything, refused_whole};
use super::tests;
use crate::lab::{Family, Lab, check_refusal};
use crate::traffic::{Udp, Way};

tests!["guards":
    a_port_where_sshd_listens_is_not_cut_without_force,
    the_port_of_the_present_ssh_session_is_not_cut_without_force,
    a_range_or_all_that_covers_ssh_is_not_cut_without_force,
    a_port_where_sshd_listens_is_not_slowed_down_or_ended_without_force,
    the_ephemeral_range_is_warned_of_with_the_line_that_cures_it,
    a_table_of_the_old_script_is_left_alone,
    a_configuration_of_the_old_script_is_left_alone,
    without_root_one_error_says_what_to_do,
    a_kernel_before_5_10_is_refused,
    a_kernel_without_nf_tables_is_refused,
    doctor_finds_nothing_wrong_with_a_healthy_lab,
];

/// A process that listens under another program's name; it ends when dropped.
pub(super) struct Impostor(Child);

impl Impostor {
    pub(super) fn start(lab: &Lab, name: &str, address: &str) -> Result<Self> {
        let program = lab.directory().join(name);
        std::fs::copy(std::env::current_exe()?, &program)?;
        let mut child = lab
            .vps
            .command(&program)
            .args(["traffic", "listen", address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
        ensure!(line == "ready\n", "the listener said {line:?}");
        Ok(Self(child))
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        drop(self.0.stdin.take().map(|mut pipe| pipe.flush()));
        let _ = self.0.wait();
    }
}

fn a_port_where_sshd_listens_is_not_cut_without_force(lab: &mut Lab) -> Result<()> {
    let _sshd = Impostor::start(lab, "sshd", "0.0.0.0:2222")?;
    lab.ok(&["add", "2222"])?;
    lab.ok(&["set", "2222", "--note", "counting is free"])?;
    refused_whole(
        lab,
        &["set", "2222", "--quota", "1GB"],
        &["2222", "--force"],
    )?;
    refused_whole(lab, &["block", "2222"], &["2222", "--force"])?;
    lab.ok(&["add", "2223", "--quota", "1GB"])?;
    lab.ok(&["set", "2222", "--quota", "1GB", "--force"])?;
    lab.ok(&["block", "2222", "--force"])?;
    lab.ok(&["monitor"])?;
    ensure!(
        lab.service("2222")?.state == "blocked",
        "--force did not block"
    );
    lab.ok(&["del", "2222"])?;
    refused_whole(
        lab,
        &["add", "2222", "--quota", "1GB"],
        &["2222", "--force"],
    )
}

fn the_port_of_the_present_ssh_session_is_not_cut_without_force(lab: &mut Lab) -> Result<()> {
    // The first command makes an empty state.db.
    lab.ok(&["restore"])?;
    for (client, server) in [("10.77.0.2", "10.77.0.1"), ("fd77::2", "fd77::1")] {
        let connection = format!("{client} 50000 {server} 8022");
        let before = everything(lab)?;
        for args in [
            &["add", "8022", "--quota", "1GB"][..],
            &["add", "8000-8100", "--quota", "1GB"],
        ] {
            let output = lab.finish(lab.pm_command(args).env("SSH_CONNECTION", &connection))?;
            check_refusal(&output, &["8022", "--force"])?;
            ensure!(
                everything(lab)? == before,
                "a refused request has changed something"
            );
        }
    }
    let connection = "10.77.0.2 50000 10.77.0.1 8022";
    lab.finish(
        lab.pm_command(&["add", "8022"])
            .env("SSH_CONNECTION", connection),
    )?
    .success()?;
    lab.finish(
        lab.pm_command(&["add", "8023", "--quota", "1GB"])
            .env("SSH_CONNECTION", connection),
    )?
    .success()?;
    let forced = &["add", "8022", "--quota", "1GB", "--force", "--or-set"];
    lab.finish(lab.pm_command(forced).env("SSH_CONNECTION", connection))?
        .success()?;
    // Garbage in the variable is no session.
    lab.finish(
        lab.pm_command(&["add", "8024", "--quota", "1GB"])
            .env("SSH_CONNECTION", "garbage 99999999"),
    )?
    .success()?;
    Ok(())
}

fn a_range_or_all_that_covers_ssh_is_not_cut_without_force(lab: &mut Lab) -> Result<()> {
    let _sshd = Impostor::start(lab, "sshd", "[::]:2222")?;
    // The first command makes an empty state.db.
    lab.ok(&["restore"])?;
    refused_whole(
        lab,
        &["add", "2000-3000", "--quota", "1GB"],
        &["2222", "--force"],
    )?;
    refused_whole(
        lab,
        &["add", "100,2222,200", "--quota", "1GB"],
        &["2222", "--force"],
    )?;
    lab.ok(&["add", "100,2200-2300"])?;
    refused_whole(lab, &["block", "--all"], &["2222", "--force"])?;
    refused_whole(
        lab,
        &["set", "--all", "--quota", "1GB"],
        &["2222", "--force"],
    )?;
    let other = Impostor::start(lab, "notsshd", "0.0.0.0:2400")?;
    lab.ok(&["add", "2400", "--quota", "1GB"])?;
    drop(other);
    Ok(())
}

fn a_port_where_sshd_listens_is_not_slowed_down_or_ended_without_force(
    lab: &mut Lab,
) -> Result<()> {
    let _sshd = Impostor::start(lab, "sshd", "0.0.0.0:2222")?;
    lab.ok(&["group", "add", "vip", "--quota", "1GB"])?;
    lab.ok(&["group", "add", "free"])?;
    lab.ok(&["add", "2222"])?;
    let words = &["2222", "SSH", "--force"];
    for args in [
        &["--limit", "5M"][..],
        &["--limit-in", "5M"],
        &["--dynqos", "9M/5/5M/60"],
        &["--expires", "2020-01-31"],
        &["--expires", "2999-01-31"],
        &["--group", "vip"],
    ] {
        refused_whole(lab, &[&["set", "--all"], args].concat(), words)?;
    }
    lab.ok(&["del", "2222"])?;
    for args in [
        &["2200-2230", "--limit", "5M"][..],
        &["100,2222", "--limit-in", "5M"],
        &["2222", "--dynqos", "9M/5/5M/60"],
        &["2222", "--expires", "2999-01-31"],
        &["100,2222", "--group", "vip"],
    ] {
        refused_whole(lab, &[&["add"], args].concat(), words)?;
    }
    lab.ok(&["add", "2222"])?;
    // What makes it freer needs no force, and nothing happens behind its back.
    lab.ok(&["set", "2222", "--group", "free", "--note", "ours"])?;
    refused_whole(lab, &["group", "set", "free", "--quota", "1GB"], words)?;
    lab.ok(&["group", "set", "free", "--quota", "1GB", "--force"])?;
    lab.ok(&["group", "set", "free", "--quota", "2GB"])?;
    refused_whole(lab, &["group", "set", "free", "--factor", "2"], words)?;
    refused_whole(lab, &["group", "set", "free", "--used", "2GB"], words)?;
    lab.ok(&[
        "set",
        "2222",
        "--limit",
        "5M",
        "--limit-in",
        "5M",
        "--force",
    ])?;
    lab.ok(&["set", "2222", "--limit", "6M", "--limit-in", "none"])?;
    refused_whole(lab, &["set", "2222", "--limit", "5M"], words)
}

fn the_ephemeral_range_is_warned_of_with_the_line_that_cures_it(lab: &mut Lab) -> Result<()> {
    let sysctl = |value: &str, name: &str| {
        let path = format!("/proc/sys/net/ipv4/{name}");
        lab.vps.enter(|| Ok(std::fs::write(&path, value)?))
    };
    sysctl("40000 50000", "ip_local_port_range")?;
    for (port, warned) in [
        ("39999", false),
        ("40000", true),
        ("50001", false),
        ("30000-30100", false),
        ("49990-50000", true),
    ] {
        let output = lab.pm(&["add", port])?;
        let said = format!("{}{}", output.stdout, output.stderr);
        output.success()?;
        ensure!(
            said.contains("ip_local_reserved_ports") == warned,
            "port {port}: {said}"
        );
        ensure!(
            !warned || said.contains(port),
            "the line that cures it does not name {port}: {said}"
        );
    }
    sysctl("45000-45010", "ip_local_reserved_ports")?;
    let output = lab.pm(&["add", "45000-45010"])?;
    ensure!(
        !output.stderr.contains("ip_local_reserved_ports"),
        "a reserved range is warned of: {}",
        output.stderr
    );
    Ok(())
}

/// The script's table as it stands on a machine in use.
const OLD_TABLE: &str = "table inet port_monitor {
    counter cnt_in_20000 { packets 12 bytes 3456 }
    counter cnt_out_20000 { packets 7 bytes 890 }
    set blocked_ports { type inet_service; }
    chain input { type filter hook input priority filter; policy accept;
        tcp dport @blocked_ports drop
        tcp dport 20000 counter name \"cnt_in_20000\"
    }
    chain output { type filter hook output priority filter; policy accept;
        tcp sport 20000 counter name \"cnt_out_20000\"
    }
}";

fn a_table_of_the_old_script_is_left_alone(lab: &mut Lab) -> Result<()> {
    lab.vps.nft_load(OLD_TABLE)?;
    let before = lab.table()?;
    lab.refused(&["add", "20001", "--quota", "1GB"], &["port_monitor"])?;
    for args in [
        &["monitor"][..],
        &["restore"],
        &["teardown"],
        &["list"],
        &["doctor"],
    ] {
        lab.pm(args)?;
        ensure!(
            lab.table()? == before,
            "`pm {}` touched the old script's table",
            args.join(" ")
        );
    }
    Ok(())
}

fn a_configuration_of_the_old_script_is_left_alone(lab: &mut Lab) -> Result<()> {
    let path = lab.config_dir().join("config.json");
    let text = r#"{"node_id":"hk-01","interface":"eth0","config_version":3,"ports":{"10086":{"quota_gb":100,"quota_mode":"in_out",
        "limit_mbps":100,"reset_day":1,"comment":"Snell","group_id":""}},"telegram":{"enable":true,"bot_token":"1:secret"}}"#;
    std::fs::write(&path, text)?;
    for args in [
        &["add", "20001"][..],
        &["set", "10086", "--quota", "1GB"],
        &["monitor"],
        &["restore"],
        &["list"],
        &["config", "check"],
    ] {
        let output = lab.pm(args)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(
            !said.contains("1:secret"),
            "`pm {}` prints the token",
            args.join(" ")
        );
        ensure!(
            std::fs::read_to_string(&path)? == text,
            "`pm {}` changed the old configuration",
            args.join(" ")
        );
        ensure!(
            lab.table()?.is_empty(),
            "`pm {}` made rules from the old configuration",
            args.join(" ")
        );
    }
    lab.refused(&["add", "20001"], &["config.json"])?;
    Ok(())
}

fn without_root_one_error_says_what_to_do(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    // A place that `nobody` can reach, wherever the build directory is.
    let pm = lab.directory().join("pm");
    std::fs::copy(lab.pm_path(), &pm)?;
    std::fs::set_permissions(&pm, std::fs::Permissions::from_mode(0o755))?;
    let before = everything(lab)?;
    for args in [
        &["add", "20001"][..],
        &["monitor"],
        &["block", "20000"],
        &["teardown"],
        &["restore"],
    ] {
        let mut command = lab.vps.command("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&pm)
            .args(args);
        for (key, directory) in [
            ("PM_CONFIG_DIR", lab.config_dir()),
            ("PM_STATE_DIR", lab.state_dir()),
            ("PM_RUN_DIR", lab.run_dir()),
        ] {
            command.env(key, directory);
        }
        let output = lab.finish(&mut command)?;
        check_refusal(&output, &["sudo"]).with_context(|| args.join(" "))?;
        ensure!(
            everything(lab)? == before,
            "`pm {}` without root has changed something",
            args.join(" ")
        );
    }
    Ok(())
}

fn a_kernel_before_5_10_is_refused(lab: &mut Lab) -> Result<()> {
    for args in [&["add", "20000"][..], &["restore"]] {
        let output = lab.finish(&mut lab.pm_command_under(&["setarch", "--uname-2.6"], args))?;
        check_refusal(&output, &["5.10", "2.6"]).with_context(|| args.join(" "))?;
    }
    ensure!(lab.table()?.is_empty(), "rules were made all the same");
    lab.ok(&["add", "20000"])?;
    Ok(())
}

fn a_kernel_without_nf_tables_is_refused(lab: &mut Lab) -> Result<()> {
    let strace = &[
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=socket",
        "-e",
        "inject=socket:error=EPROTONOSUPPORT",
    ];
    let before = everything(lab)?;
    let output = lab.finish(&mut lab.pm_command_under(strace, &["add", "20000"]))?;
    check_refusal(&output, &["nf"])?;
    ensure!(everything(lab)?.1 == before.1);
    ensure!(
        lab.list()?.is_empty(),
        "a service was recorded that never came into force"
    );
    Ok(())
}

fn doctor_finds_nothing_wrong_with_a_healthy_lab(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "1GB"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 5, 500)?;
    lab.ok(&["monitor"])?;
    let healthy = lab.pm(&["doctor"])?;
    lab.vps.nft(&["flush", "ruleset"])?;
    let sick = lab.pm(&["doctor"])?;
    ensure!(
        healthy.stdout != sick.stdout,
        "doctor does not notice that the table is gone: {}",
        sick.stdout
    );
    Ok(())
}
