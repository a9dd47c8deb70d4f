//! `pm setup` and `pm uninstall` on hosts of several kinds: a root of their own, in which `/` is this machine's, what
//! is written goes to memory, and `/usr/local` is empty.

pub(super) mod mishaps;
pub(super) mod package;
pub(crate) mod renewal;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::cleanup::{self, Leftover};
use crate::lab::{Family, Lab, check_refusal, wait_until};
use crate::namespace::{Output, run};
use crate::portrait::Portrait;
use crate::terminal::Terminal;
use crate::traffic::{Udp, Way};

tests!["settling":
    systemd_comes_and_goes_without_a_trace,
    cron_and_sysvinit_come_and_go_without_a_trace,
    busybox_and_openrc_come_and_go_without_a_trace,
    setup_twice_changes_nothing_and_renews_what_is_old,
    what_pm_did_not_write_stays,
    half_an_install_is_completed_and_removed,
    data_can_be_kept,
    the_menu_uninstalls_in_both_languages,
    whoever_says_no_keeps_everything,
    the_log_is_shown_and_followed,
];

const PAYLOAD: usize = 972;
/// An IPv4 datagram of that payload.
const DATAGRAM: u64 = 1000;
pub(super) const PM: &str = "/usr/local/bin/pm";

/// A host of one kind: files of its own, and the network of the lab's VPS.
pub(super) struct House<'a> {
    lab: &'a Lab,
    /// Where its `/` is, as seen from its own mount namespace.
    root: PathBuf,
    /// It holds the mount namespace until its input ends.
    holder: Child,
}

/// What calls pm there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Systemd,
    CronAndSysvinit,
    BusyboxAndOpenRc,
}

/// Makes a root in memory: this machine's `/`, with what pm may write to as layers above it.
const MOUNTS: &str = r#"
set -e
mount --make-rprivate /
mkdir "$1/root" "$1/layers"
mount -t tmpfs none "$1/layers"
mount --rbind / "$1/root"
mount --make-rprivate "$1/root"
for directory in etc usr var; do
    mkdir -p "$1/layers/$directory/upper" "$1/layers/$directory/work"
    mount -t overlay overlay -o "lowerdir=/$directory,upperdir=$1/layers/$directory/upper,workdir=$1/layers/$directory/work" "$1/root/$directory"
done
for directory in opt root usr/local; do
    mount -t tmpfs -o mode=755 none "$1/root/$directory"
done
mount -t tmpfs -o mode=755 none "$1/root/run"
echo ready
exec cat
"#;

impl<'a> House<'a> {
    pub(super) fn build(lab: &'a Lab, kind: Kind) -> Result<Self> {
        let built = fs::read_dir(lab.directory())?.count();
        let directory = lab.directory().join(format!("house-{built}"));
        fs::create_dir(&directory)?;
        let mut command = lab.vps.command("unshare");
        command.args(["--mount", "--", "sh", "-c", MOUNTS, "sh"]);
        command.arg(&directory);
        let holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot make a mount namespace")?;
        cleanup::register(Leftover::Process(holder.id()));
        let mut house = Self {
            lab,
            root: directory.join("root"),
            holder,
        };
        let marker = house.outside("/run");
        wait_until("the root is mounted", || {
            let over = house.holder.try_wait()?;
            ensure!(over.is_none(), "the mounts failed: {over:?}");
            // A tmpfs is the last of them.
            Ok(marker
                .read_dir()
                .is_ok_and(|mut entries| entries.next().is_none()))
        })?;
        house.furnish(kind)?;
        Ok(house)
    }

    /// Puts in what makes it a host of its kind, and what is somebody else's on any.
    fn furnish(&self, kind: Kind) -> Result<()> {
        fs::create_dir_all(self.outside("/usr/local/bin"))?;
        fs::create_dir_all(self.outside("/usr/local/sbin"))?;
        self.program(PM, self.lab.pm_path())?;
        let script = |path: &str, text: &str| {
            self.write(path, text)?;
            fs::set_permissions(self.outside(path), fs::Permissions::from_mode(0o755))?;
            anyhow::Ok(())
        };
        match kind {
            Kind::Systemd => {
                fs::create_dir_all(self.outside("/run/systemd/system"))?;
                script(
                    "/usr/local/sbin/systemctl",
                    "#!/bin/sh\necho \"$*\" >>/run/systemctl.log\n",
                )?;
            }
            Kind::CronAndSysvinit => {
                script("/usr/local/sbin/cron", "#!/bin/sh\n")?;
                script("/usr/local/sbin/init", "#!/bin/sh\n")?;
                fs::create_dir_all(self.outside("/etc/rc2.d"))?;
            }
            Kind::BusyboxAndOpenRc => {
                script("/usr/local/sbin/openrc-run", "#!/bin/sh\n")?;
                symlink("/bin/busybox", self.outside("/usr/local/sbin/crond"))?;
                fs::create_dir_all(self.outside("/etc/crontabs"))?;
                self.write("/etc/runlevels/boot/networking", "")?;
                // Its last line has no end.
                self.write("/etc/crontabs/root", FOREIGN_CRONTAB.trim_end())?;
                fs::create_dir_all(self.outside("/var/spool/cron/crontabs"))?;
                fs::remove_dir_all(self.outside("/var/spool/cron/crontabs"))?;
                symlink("/etc/crontabs", self.outside("/var/spool/cron/crontabs"))?;
            }
        }
        self.write("/etc/cron.d/pm", FOREIGN_CRONTAB)?;
        self.write(
            "/etc/systemd/system/pm-backup.service",
            "[Unit]\nDescription=pm setup\n",
        )?;
        self.write("/etc/init.d/pm-web", "#!/bin/sh\n# pm setup\n")?;
        self.write("/usr/local/share/man/man1/pm-tool.1", ".TH pm-tool 1\n")?;
        self.write("/root/pm.txt", "pm\n")?;
        Ok(())
    }

    /// Returns where a path of the host's is, as seen from here.
    pub(super) fn outside(&self, path: &str) -> PathBuf {
        let seen = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.root.strip_prefix("/").unwrap_or(&self.root);
        seen.join(inside).join(path.trim_start_matches('/'))
    }

    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        let place = self.outside(path);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&place, text).with_context(|| format!("cannot write {path}"))
    }

    pub(super) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.outside(path)).with_context(|| format!("cannot read {path}"))
    }

    fn program(&self, path: &str, from: &Path) -> Result<()> {
        fs::copy(from, self.outside(path)).with_context(|| format!("cannot copy {path}"))?;
        fs::set_permissions(self.outside(path), fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Returns a command that will run on the host, with nothing in its environment.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.holder.id().to_string())
            .args(["--mount", "--net", "--", "chroot"])
            .arg(&self.root)
            .args(["env", "-i", "TZ=UTC"])
            .args(words);
        command
    }

    /// Runs a command in a terminal.
    pub(super) fn terminal(&self, words: &[&str]) -> Result<Terminal> {
        let environment = ["env", "LANG=C.UTF-8", "TERM=xterm-256color"];
        Terminal::open(self.command(&[&environment[..], words].concat()))
    }

    pub(super) fn run(&self, words: &[&str]) -> Result<Output> {
        run(&mut self.command(words), None)
    }

    pub(super) fn ok(&self, words: &[&str]) -> Result<String> {
        let output = self.run(words)?.success();
        output.with_context(|| words.join(" "))
    }

    fn portrait(&self) -> Result<Portrait> {
        Portrait::take(&self.outside("/"), &self.lab.vps)
    }

    /// Does what cron would do in a minute: runs pm's command line with an environment that has no `PATH`.
    pub(super) fn minute(&self, kind: Kind) -> Result<()> {
        let (crontab, fields) = match kind {
            Kind::Systemd => {
                let unit = self.read("/etc/systemd/system/port-monitor-tick.service")?;
                let line = unit
                    .lines()
                    .find_map(|line| line.strip_prefix("ExecStart="));
                let line = line.context("the unit starts nothing")?;
                self.ok(&line.split(' ').collect::<Vec<_>>())?;
                return Ok(());
            }
            Kind::CronAndSysvinit => ("/etc/cron.d/port_monitor", 6),
            Kind::BusyboxAndOpenRc => ("/etc/crontabs/root", 5),
        };
        let text = self.read(crontab)?;
        let mut lines = text
            .lines()
            .filter(|line| line.contains("monitor --log-to-file"));
        let line = lines.next().context("cron is not told of pm")?;
        ensure!(lines.next().is_none(), "cron is told twice: {text}");
        let command = line.splitn(fields + 1, ' ').last().unwrap_or_default();
        self.ok(&["/bin/sh", "-c", command])?;
        Ok(())
    }
}

impl Drop for House<'_> {
    fn drop(&mut self) {
        cleanup::discard(&Leftover::Process(self.holder.id()));
        let _ = self.holder.wait();
    }
}

/// Lines that say "pm" and are none of pm's.
const FOREIGN_CRONTAB: &str = "\
# pm setup and pm uninstall
SHELL=/bin/sh
7 3 * * * root /usr/local/bin/pm2 save
0 4 * * * root /opt/pm/backup # written by `pm setup`
@daily root npm run pm
";

fn systemd_comes_and_goes_without_a_trace(lab: &mut Lab) -> Result<()> {
    comes_and_goes(lab, Kind::Systemd)
}

fn cron_and_sysvinit_come_and_go_without_a_trace(lab: &mut Lab) -> Result<()> {
    comes_and_goes(lab, Kind::CronAndSysvinit)
}

fn busybox_and_openrc_come_and_go_without_a_trace(lab: &mut Lab) -> Result<()> {
    comes_and_goes(lab, Kind::BusyboxAndOpenRc)
}

/// Fault 16 of the tools that pm's users come from: uninstall deletes foreign cron lines (everything that contains
/// "pm") and foreign qdiscs, or leaves its own behind.
fn comes_and_goes(lab: &Lab, kind: Kind) -> Result<()> {
    lab.vps.tc(&[
        "qdisc", "add", "dev", "eth0", "root", "pfifo", "limit", "77",
    ])?;
    lab.vps
        .nft_load("table inet pm {\n counter pm {\n }\n}\n")?;
    let house = House::build(lab, kind)?;
    let before = house.portrait()?;

    let preview = house.ok(&[PM, "setup", "--dry-run"])?;
    ensure!(preview.contains("user port_monitor"), "{preview}");
    // The self-check takes a lock, and `/run` is gone with the boot.
    fs::remove_dir_all(house.outside("/run/port_monitor"))?;
    house.portrait()?.equals(&before).context("a dry run")?;

    house.ok(&[PM, "setup"])?;
    let added = house.portrait()?;
    let again = house.ok(&[PM, "setup"])?;
    ensure!(again.contains("nothing: everything"), "{again}");
    house
        .portrait()?
        .equals(&added)
        .context("the second setup")?;
    let added = added.added_since(&before);
    let expected = match kind {
        Kind::Systemd => "etc/systemd/system/timers.target.wants/port-monitor-tick.timer",
        Kind::CronAndSysvinit => "etc/cron.d/port_monitor",
        Kind::BusyboxAndOpenRc => "etc/runlevels/boot/port-monitor",
    };
    ensure!(added.contains(&expected), "{expected} is not in {added:?}");

    house.ok(&[PM, "add", "20000", "--quota", "1GB", "--limit", "50M"])?;
    let qdiscs = lab.vps.tc(&["qdisc", "show", "dev", "eth0"])?;
    ensure!(qdiscs.contains("htb"), "nothing is limited: {qdiscs}");
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, PAYLOAD)?;
    house.minute(kind)?;
    let list = house.ok(&[PM, "list", "--json"])?;
    let counted = format!("\"in_bytes\":{}", 10 * DATAGRAM);
    ensure!(list.contains(&counted), "not counted: {list}");

    let announced = house.ok(&[PM, "uninstall", "--dry-run"])?;
    for path in [PM, "/etc/port_monitor", "user port_monitor"] {
        ensure!(
            announced.contains(path),
            "{path} is not announced: {announced}"
        );
    }
    // Without a terminal nobody can be asked.
    check_refusal(&house.run(&[PM, "uninstall"])?, &["--yes"])?;
    house.ok(&[PM, "uninstall", "--yes"])?;
    ensure!(!house.outside(PM).exists(), "the program is still there");
    house.program(PM, lab.pm_path())?;
    house.portrait()?.equals(&before)
}

fn setup_twice_changes_nothing_and_renews_what_is_old(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::Systemd)?;
    house.ok(&[PM, "setup"])?;
    let once = house.portrait()?;
    let again = house.ok(&[PM, "setup"])?;
    ensure!(again.contains("nothing"), "{again}");
    house.portrait()?.equals(&once)?;

    // A mode of an older pm's, a link that somebody removed, and a line that somebody added.
    let timer = "/etc/systemd/system/port-monitor-tick.timer";
    let tick = "/etc/systemd/system/port-monitor-tick.service";
    fs::set_permissions(house.outside(timer), fs::Permissions::from_mode(0o600))?;
    fs::remove_file(
        house.outside("/etc/systemd/system/timers.target.wants/port-monitor-tick.timer"),
    )?;
    let edited = house.read(tick)? + "# mine\n";
    house.write(tick, &edited)?;
    let said = house.ok(&[PM, "setup"])?;
    ensure!(said.contains("edited") && said.contains(tick), "{said}");
    ensure!(house.read(tick)? == edited, "what was edited is replaced");
    let doctor = house.run(&[PM, "doctor"])?;
    ensure!(doctor.stdout.contains("edited since"), "{}", doctor.stdout);
    house.ok(&[PM, "setup", "--force"])?;
    house.portrait()?.equals(&once)
}

fn what_pm_did_not_write_stays(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    house.write("/etc/cron.d/port_monitor", "# mine\n")?;
    let before = house.portrait()?;
    check_refusal(&house.run(&[PM, "setup"])?, &["/etc/cron.d/port_monitor"])?;
    house.portrait()?.equals(&before).context("a refusal")?;
    house.ok(&[PM, "uninstall", "--yes"])?;
    ensure!(house.read("/etc/cron.d/port_monitor")? == "# mine\n");
    house.program(PM, lab.pm_path())?;
    house.portrait()?.equals(&before)
}

fn half_an_install_is_completed_and_removed(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    let before = house.portrait()?;
    // The user comes before anything that calls pm.
    house.write(
        "/usr/local/sbin/useradd",
        "#!/bin/sh\necho no room >&2\nexit 1\n",
    )?;
    fs::set_permissions(
        house.outside("/usr/local/sbin/useradd"),
        fs::Permissions::from_mode(0o755),
    )?;
    check_refusal(&house.run(&[PM, "setup"])?, &["useradd", "no room"])?;
    fs::remove_file(house.outside("/usr/local/sbin/useradd"))?;
    house.ok(&[PM, "uninstall", "--yes"])?;
    house.program(PM, lab.pm_path())?;
    house
        .portrait()?
        .equals(&before)
        .context("after a failed setup")?;

    house.ok(&[PM, "setup"])?;
    // Half of it gone, by whatever means, and the usage with it.
    house.ok(&[PM, "add", "20000"])?;
    for path in ["/etc/cron.d/port_monitor", "/var/lib/port_monitor/state.db"] {
        fs::remove_file(house.outside(path))?;
    }
    house.write("/usr/local/bin/.pm.new", "half an update\n")?;
    house.ok(&[PM, "uninstall", "--yes"])?;
    house.program(PM, lab.pm_path())?;
    house.portrait()?.equals(&before)
}

fn data_can_be_kept(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    house.ok(&[PM, "setup"])?;
    house.ok(&[PM, "add", "20000"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, PAYLOAD)?;
    house.ok(&[PM, "uninstall", "--yes", "--keep-data"])?;
    ensure!(lab.table()?.is_empty(), "{}", lab.table()?);
    house.program(PM, lab.pm_path())?;
    house.ok(&[PM, "setup"])?;
    Udp::open(lab, Family::V4, 20000)?.send(Way::In, 10, PAYLOAD)?;
    house.minute(Kind::CronAndSysvinit)?;
    let list = house.ok(&[PM, "list", "--json"])?;
    let counted = format!("\"in_bytes\":{}", 20 * DATAGRAM);
    ensure!(list.contains(&counted), "not kept and counted: {list}");

    // What the operator took out himself stays out.
    house.ok(&[PM, "teardown"])?;
    house.ok(&[PM, "uninstall", "--yes", "--keep-data"])?;
    house.program(PM, lab.pm_path())?;
    house.ok(&[PM, "setup"])?;
    ensure!(lab.table()?.is_empty(), "{}", lab.table()?);
    Ok(())
}

fn the_menu_uninstalls_in_both_languages(lab: &mut Lab) -> Result<()> {
    for (language, [menu, which, sure, read, gone]) in [
        (
            "en",
            [
                "What next?",
                "Uninstall pm?",
                "Go on?",
                "Any key",
                "pm is gone.",
            ],
        ),
        (
            "zh",
            ["请选择", "卸载 pm？", "继续吗？", "按任意键", "pm 已卸载。"],
        ),
    ] {
        let house = House::build(lab, Kind::CronAndSysvinit)?;
        let before = house.portrait()?;
        house.ok(&[PM, "setup"])?;
        house.ok(&[PM, "add", "20000"])?;
        let set_up = house.portrait()?;
        // Back, no, and only then yes.
        let mut wizard = house.terminal(&[PM, "--lang", language])?;
        wizard.answer(menu, "7\r")?;
        wizard.answer(which, "0\r")?;
        wizard.answer(read, " ")?;
        wizard.answer(menu, "7\r")?;
        wizard.answer(which, "1\r")?;
        wizard.answer(sure, "n\r")?;
        wizard.answer(read, " ")?;
        wizard.see(menu)?;
        // Its own lock apart.
        fs::remove_file(house.outside("/run/port_monitor/edit.lock"))?;
        house
            .portrait()?
            .equals(&set_up)
            .context("nothing was said yet")?;
        wizard.keys("7\r")?;
        wizard.answer(which, "1\r")?;
        wizard.see(PM)?;
        wizard.answer(sure, "y\r")?;
        wizard.see(gone)?;
        ensure!(wizard.ends()? == 0, "it failed: {}", wizard.text());
        house.program(PM, lab.pm_path())?;
        house.portrait()?.equals(&before)?;
    }
    Ok(())
}

fn whoever_says_no_keeps_everything(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    house.ok(&[PM, "setup"])?;
    let before = house.portrait()?;
    for answer in ["n\r", "\r"] {
        let mut terminal = house.terminal(&[PM, "uninstall"])?;
        terminal.answer("Go on?", answer)?;
        terminal.see("Nothing was changed.")?;
        ensure!(terminal.ends()? == 1, "{}", terminal.text());
        house.portrait()?.equals(&before)?;
    }
    // What somebody sees at work on a terminal, nobody reads in a pipe.
    let output = house.run(&[PM, "uninstall", "--yes"])?;
    ensure!(output.stderr.is_empty(), "{}", output.stderr);
    Ok(())
}

fn the_log_is_shown_and_followed(lab: &mut Lab) -> Result<()> {
    let house = House::build(lab, Kind::CronAndSysvinit)?;
    house.ok(&[PM, "setup"])?;
    house.ok(&[PM, "add", "20000"])?;
    house.minute(Kind::CronAndSysvinit)?;
    let log = || house.ok(&[PM, "log"]);
    ensure!(
        log()?.is_empty(),
        "an uneventful minute is told: {}",
        log()?
    );
    let mut follower = house.terminal(&[PM, "log", "--follow"])?;
    for count in 1..=2 {
        lab.vps.nft(&["delete", "table", "inet", "port_monitor"])?;
        house.minute(Kind::CronAndSysvinit)?;
        follower.see("are back")?;
        let lines = log()?.lines().count();
        ensure!(lines >= count, "{lines} lines after {count} events");
    }
    let last = house.ok(&[PM, "log", "-n", "1"])?;
    ensure!(last.lines().count() == 1, "{last}");
    ensure!(
        log()?.ends_with(&last),
        "{last:?} is not the end of {:?}",
        log()?
    );
    Ok(())
}
