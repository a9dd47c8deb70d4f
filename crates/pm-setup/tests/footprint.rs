//! What setup writes below a root, and what uninstall leaves of it: nothing, from wherever setup was interrupted.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pm_setup::apply::{Done, Standing, apply, standing};
use pm_setup::data::Remains;
use pm_setup::footprint::Manual;
use pm_setup::host::Shell;
use pm_setup::tools::Tools;
use pm_setup::{Footprint, Host, Init, Piece, Root, Schedule, SetupError, data, remove};
use tempfile::TempDir;

const PM: &str = "/usr/local/bin/pm";
const CRONTAB: &str = "# pm\n* * * * * /usr/local/bin/pm2 save\n";

/// A host in a directory, with tools that change nothing but its users.
struct House {
    directory: TempDir,
    root: Root,
    tools: Fake,
}

struct Fake {
    root: Root,
    called: Vec<String>,
    has: Vec<&'static str>,
    fails: Option<&'static str>,
}

impl Tools for Fake {
    fn find(&self, name: &str) -> Option<PathBuf> {
        self.has
            .contains(&name)
            .then(|| Path::new("/bin").join(name))
    }

    fn run(&mut self, name: &str, args: &[&str]) -> Result<(), SetupError> {
        self.called.push(format!("{name} {}", args.join(" ")));
        if self.fails == Some(name) {
            let (command, why) = (name.to_owned(), "no room".to_owned());
            return Err(SetupError::Command { command, why });
        }
        let passwd = self.root.join("/etc/passwd");
        let text = fs::read_to_string(&passwd).unwrap();
        match name {
            "useradd" | "adduser" => {
                let line = "port_monitor:x:998:998:made by pm setup:/nonexistent:/sbin/nologin\n";
                fs::write(passwd, text + line).unwrap();
            }
            "addgroup" if self.root.has_file("/etc/group") => {
                let text = self.root.text("/etc/group");
                let text = text + "port_monitor:x:998:\n";
                fs::write(self.root.join("/etc/group"), text).unwrap();
            }
            "delgroup" => {
                let text = self.root.text("/etc/group");
                let text = text.replace("port_monitor:x:998:\n", "");
                fs::write(self.root.join("/etc/group"), text).unwrap();
            }
            "userdel" | "deluser" => {
                let lines = text
                    .lines()
                    .filter(|line| !line.starts_with("port_monitor:"));
                fs::write(
                    passwd,
                    lines.map(|line| format!("{line}\n")).collect::<String>(),
                )
                .unwrap();
            }
            _ => {}
        }
        Ok(())
    }
}

impl House {
    fn build() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for path in [
            "/etc/cron.d",
            "/etc/crontabs",
            "/etc/init.d",
            "/etc/rcS.d",
            "/etc/rc6.d",
            "/etc/runlevels/boot",
            "/etc/systemd/system",
            "/usr/local/bin",
            "/var/lib",
            "/var/log",
        ] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for (path, text) in [
            (
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\npm:x:1:1::/:/bin/sh\n",
            ),
            ("/etc/crontabs/root", CRONTAB),
            ("/etc/cron.d/pm", CRONTAB),
            ("/etc/systemd/system/pm-backup.timer", "[Timer]\n"),
            (PM, ""),
        ] {
            fs::write(root.join(path), text).unwrap();
        }
        let mode = fs::Permissions::from_mode(0o620);
        fs::set_permissions(root.join("/etc/crontabs/root"), mode).unwrap();
        let tools = Fake {
            root: root.clone(),
            called: Vec::new(),
            has: vec!["useradd", "userdel"],
            fails: None,
        };
        Self {
            directory,
            root,
            tools,
        }
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    fn apply(&mut self, footprint: &Footprint) -> Result<Vec<Done>, SetupError> {
        let mut all = Vec::new();
        apply(&self.root, &mut self.tools, footprint, false, |_, done| {
            all.push(done);
        })?;
        Ok(all)
    }

    fn leave(&mut self) {
        let everywhere = Footprint::everywhere(&self.root, Path::new(PM));
        remove::remove(&self.root, &mut self.tools, &everywhere, |_| {}).unwrap();
        assert_eq!(data::remove(&self.root).unwrap(), []);
    }

    /// Every path with its mode and content.
    fn portrait(&self) -> BTreeMap<PathBuf, String> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.directory.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let found = fs::symlink_metadata(&path).unwrap();
                let content = if found.is_symlink() {
                    fs::read_link(&path).unwrap().display().to_string()
                } else if found.is_file() {
                    fs::read_to_string(&path).unwrap()
                } else {
                    open.push(path.clone());
                    String::new()
                };
                files.insert(path, format!("{:o} {content}", found.mode()));
            }
        }
        files
    }
}

fn hosts() -> Vec<Host> {
    let host = |init, schedule| Host {
        init,
        runlevel: "boot",
        schedule,
        shells: Shell::ALL.into(),
    };
    vec![
        host(Init::Systemd, Schedule::Timer),
        host(Init::SysVinit, Schedule::CronDirectory),
        host(Init::OpenRc, Schedule::Crontab("/etc/crontabs/root".into())),
        host(Init::Unknown, Schedule::CronDirectory),
        host(Init::Unknown, Schedule::None),
    ]
}

fn wanted(host: &Host) -> Footprint {
    let manual = Manual {
        pages: vec![
            ("man1/pm.1".into(), ".TH pm 1\n".into()),
            ("zh_CN/man1/pm-add.1".into(), ".TH pm-add 1\n".into()),
        ],
        completions: Shell::ALL
            .map(|shell| (shell, "#compdef pm\n".to_owned()))
            .into(),
    };
    Footprint::wanted(host, Path::new(PM), &manual)
}

/// Fault 16 of the tools that pm's users come from: uninstall deletes what is somebody else's, or leaves its own.
#[test]
fn from_wherever_setup_was_interrupted_nothing_is_left() {
    for host in hosts() {
        let wanted = wanted(&host);
        for done in 0..=wanted.pieces.len() {
            let mut house = House::build();
            let before = house.portrait();
            let part = Footprint {
                pieces: wanted.pieces[..done].to_vec(),
            };
            house.apply(&part).unwrap();
            house.leave();
            assert_eq!(house.portrait(), before, "{host:?}, {done} pieces");
        }
    }
}

#[test]
fn setup_goes_on_from_wherever_it_was_interrupted() {
    for host in hosts() {
        let wanted = wanted(&host);
        for done in 0..=wanted.pieces.len() {
            let mut house = House::build();
            let part = Footprint {
                pieces: wanted.pieces[..done].to_vec(),
            };
            house.apply(&part).unwrap();
            house.apply(&wanted).unwrap();
            for piece in &wanted.pieces {
                let standing = standing(&house.root, piece).unwrap();
                assert_eq!(standing, Standing::Current, "{host:?}: {piece}");
            }
            let once = house.portrait();
            let again = house.apply(&wanted).unwrap();
            assert!(again.iter().all(|done| *done == Done::Kept), "{again:?}");
            assert_eq!(house.portrait(), once);
        }
    }
}

#[test]
fn a_host_that_changes_its_init_keeps_nothing_of_the_former() {
    let hosts = hosts();
    for former in &hosts {
        for present in &hosts {
            let mut house = House::build();
            house.apply(&wanted(former)).unwrap();
            let wanted = wanted(present);
            let everywhere = Footprint::everywhere(&house.root, Path::new(PM));
            let (root, tools) = (&house.root, &mut house.tools);
            remove::remove_stale(root, tools, &everywhere, &wanted, |_| {}).unwrap();
            house.apply(&wanted).unwrap();
            let ours = remove::present(
                &house.root,
                &Footprint::everywhere(&house.root, Path::new(PM)),
            );
            let stale: Vec<&Piece> = ours
                .iter()
                .filter(|piece| !wanted.pieces.iter().any(|one| one.path() == piece.path()))
                .collect();
            assert!(stale.is_empty(), "{former:?}, then {present:?}: {stale:?}");
        }
    }
}

#[test]
fn what_is_somebody_elses_refuses_everything() {
    for host in hosts() {
        for piece in wanted(&host).pieces {
            let Piece::File { path, .. } = piece else {
                continue;
            };
            let mut house = House::build();
            let place = house.root.join(&path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, "# mine, though pm setup could have written it\n").unwrap();
            let before = house.portrait();
            let error = house.apply(&wanted(&host)).unwrap_err();
            assert!(
                matches!(&error, SetupError::Foreign { path: named } if *named == path),
                "{error}"
            );
            assert_eq!(house.portrait(), before);
            house.leave();
            assert_eq!(house.portrait(), before);
        }
    }
}

#[test]
fn a_user_of_that_name_who_is_somebody_elses_stays() {
    let mut house = House::build();
    let line = "port_monitor:x:1000:1000:Port Monitor,,,:/home/pm:/bin/bash\n";
    fs::write(house.root.join("/etc/passwd"), line).unwrap();
    let before = house.portrait();
    let error = house.apply(&wanted(&hosts()[0])).unwrap_err();
    assert!(matches!(error, SetupError::ForeignUser { .. }), "{error}");
    house.leave();
    assert_eq!(house.portrait(), before);
    assert_eq!(house.tools.called, [""; 0]);
}

#[test]
fn where_users_cannot_be_made_it_says_so() {
    let mut house = House::build();
    house.tools.has = vec![];
    let error = house.apply(&wanted(&hosts()[0])).unwrap_err();
    assert!(matches!(error, SetupError::NoUserTool { .. }), "{error}");
    house.tools.has = vec!["adduser", "deluser"];
    house.apply(&wanted(&hosts()[0])).unwrap();
    house.leave();
    assert_eq!(
        house.tools.called,
        [
            "addgroup -S port_monitor",
            "adduser -S -D -H -h /nonexistent -s /sbin/nologin -G port_monitor -g made by pm setup \
             port_monitor",
            "deluser port_monitor",
        ]
    );
}

#[test]
fn pm_shs_files_in_the_same_directory_stay() {
    let house = House::build();
    let config = house.root.join("/etc/port_monitor");
    fs::create_dir_all(config.join("state")).unwrap();
    fs::create_dir_all(config.join("versions")).unwrap();
    fs::write(config.join("config.json"), r#"{"ports": {}}"#).unwrap();
    fs::write(config.join("state/443.txt"), "s_acc_in=1\n").unwrap();
    let left = data::remove(&house.root).unwrap();
    assert_eq!(left, [Remains::Foreign("/etc/port_monitor".into())]);
    assert!(config.join("config.json").exists() && config.join("state/443.txt").exists());
    assert!(!config.join("versions").exists());
}

/// Fault 16 of the tools that pm's users come from: uninstall deletes what is somebody else's.
#[test]
fn data_that_is_not_pms_stays_whatever_its_name() {
    for theirs in [
        r#"{"node_id": "hk", "ports": {}, "torn"#,
        r#"{"tool": "other"}"#,
        "",
    ] {
        let house = House::build();
        house.write("/etc/port_monitor/config.json", theirs);
        house.write("/var/lib/port_monitor/notes.txt", "theirs\n");
        house.write("/var/log/port_monitor/other.log", "theirs\n");
        let before = house.portrait();
        house.write("/var/lib/port_monitor/state.db", "");
        house.write("/var/lib/port_monitor/state.db-wal", "");
        house.write("/var/lib/port_monitor/update/point.json", "");
        house.write("/var/log/port_monitor/pm.log.2", "");
        house.write("/etc/port_monitor/.pm-x.tmp", "");
        let theirs = [
            "/etc/port_monitor/config.json",
            "/var/lib/port_monitor/notes.txt",
        ];
        let theirs = theirs
            .into_iter()
            .chain(["/var/log/port_monitor/other.log"]);
        let theirs: Vec<PathBuf> = theirs.map(PathBuf::from).collect();
        assert_eq!(data::foreign(&house.root), theirs);
        let left = data::remove(&house.root).unwrap();
        assert_eq!(left.len(), 3, "{left:?}");
        assert_eq!(house.portrait(), before);
    }
}

#[test]
fn a_torn_configuration_of_pms_goes() {
    let house = House::build();
    let before = house.portrait();
    house.write(
        "/etc/port_monitor/config.json",
        "{\n  \"schema\": 1,\n  \"revi",
    );
    assert_eq!(data::remove(&house.root).unwrap(), []);
    assert_eq!(house.portrait(), before);
}

#[test]
fn data_that_is_elsewhere_goes_and_the_link_to_it_stays() {
    let mut house = House::build();
    for (path, target) in [
        ("/var/lib/port_monitor", "big/state"),
        ("/var/log/port_monitor", "big/log"),
        ("/etc/port_monitor", "big/config"),
    ] {
        // Relative, so that it does not lead out of the root.
        let up = if path.starts_with("/etc") {
            ".."
        } else {
            "../.."
        };
        fs::create_dir_all(house.root.join("/opt").join(target)).unwrap();
        let target = Path::new(up).join("opt").join(target);
        std::os::unix::fs::symlink(target, house.root.join(path)).unwrap();
    }
    let before = house.portrait();
    house.apply(&wanted(&hosts()[2])).unwrap();
    house.write("/etc/port_monitor/config.json", r#"{"schema": 1}"#);
    house.write("/var/lib/port_monitor/state.db", "");
    house.write("/var/log/port_monitor/pm.log", "");
    let everywhere = Footprint::everywhere(&house.root, Path::new(PM));
    remove::remove(&house.root, &mut house.tools, &everywhere, |_| {}).unwrap();
    let elsewhere = [
        "/etc/port_monitor",
        "/var/lib/port_monitor",
        "/var/log/port_monitor",
    ];
    let elsewhere = elsewhere.map(|path| Remains::Elsewhere(path.into()));
    assert_eq!(data::remove(&house.root).unwrap(), elsewhere);
    assert_eq!(house.portrait(), before);
}

#[test]
fn a_group_of_that_name_that_is_somebody_elses_stays() {
    for has in [
        vec!["useradd", "userdel"],
        vec!["adduser", "deluser", "delgroup"],
    ] {
        let mut house = House::build();
        house.tools.has = has;
        house.write("/etc/group", "root:x:0:\nport_monitor:x:1000:bob\n");
        let before = house.portrait();
        let error = house.apply(&wanted(&hosts()[0])).unwrap_err();
        assert!(matches!(error, SetupError::ForeignGroup { .. }), "{error}");
        house.leave();
        assert_eq!(house.portrait(), before);
        assert_eq!(house.tools.called, [""; 0]);
    }
}

#[test]
fn a_group_that_pm_made_before_it_was_interrupted_is_used_or_removed() {
    for goes_on in [true, false] {
        let mut house = House::build();
        house.tools.has = vec!["addgroup", "adduser", "deluser", "delgroup"];
        house.write("/etc/group", "root:x:0:\n");
        let before = house.portrait();
        house.tools.fails = Some("adduser");
        house.apply(&wanted(&hosts()[0])).unwrap_err();
        assert_ne!(house.portrait(), before);
        house.tools.fails = None;
        if goes_on {
            house.apply(&wanted(&hosts()[0])).unwrap();
        }
        house.leave();
        assert_eq!(house.portrait(), before);
    }
}

/// On Alpine `/var/spool/cron/crontabs` is a link to `/etc/crontabs`.
#[test]
fn a_crontab_with_two_names_is_edited_once() {
    let mut house = House::build();
    fs::create_dir_all(house.root.join("/var/spool/cron")).unwrap();
    let link = house.root.join("/var/spool/cron/crontabs");
    std::os::unix::fs::symlink("../../../etc/crontabs", link).unwrap();
    let before = house.portrait();
    let wanted = wanted(&hosts()[2]);
    house.apply(&wanted).unwrap();
    let once = house.portrait();
    let everywhere = Footprint::everywhere(&house.root, Path::new(PM));
    let (root, tools) = (&house.root, &mut house.tools);
    remove::remove_stale(root, tools, &everywhere, &wanted, |piece| {
        panic!("{piece} is no stale one")
    })
    .unwrap();
    assert_eq!(house.portrait(), once);
    house.leave();
    assert_eq!(house.portrait(), before);
}

#[test]
fn a_crontab_comes_back_to_the_byte() {
    for text in ["", "a", "a\n", "a\nb", "a\r\nb\r\n", "\n\n"] {
        let mut house = House::build();
        let crontab = house.root.join("/etc/crontabs/root");
        fs::write(&crontab, text).unwrap();
        let before = house.portrait();
        let wanted = wanted(&hosts()[2]);
        house.apply(&wanted).unwrap();
        house.apply(&wanted).unwrap();
        house.leave();
        assert_eq!(house.portrait(), before, "{text:?}");
    }
}

#[test]
fn a_crontab_that_is_a_link_stays_one() {
    let mut house = House::build();
    let crontab = house.root.join("/etc/crontabs/root");
    fs::rename(&crontab, house.root.join("/etc/crontab-of-root")).unwrap();
    std::os::unix::fs::symlink("../crontab-of-root", &crontab).unwrap();
    let before = house.portrait();
    house.apply(&wanted(&hosts()[2])).unwrap();
    assert!(crontab.is_symlink());
    assert_ne!(fs::read_to_string(&crontab).unwrap(), CRONTAB);
    house.leave();
    assert_eq!(house.portrait(), before);
}

/// As `systemctl enable` of some versions makes them.
#[test]
fn a_relative_link_to_a_unit_is_pms() {
    let mut house = House::build();
    let before = house.portrait();
    let timer = "/etc/systemd/system/timers.target.wants/port-monitor-tick.timer";
    house.apply(&wanted(&hosts()[0])).unwrap();
    fs::remove_file(house.root.join(timer)).unwrap();
    std::os::unix::fs::symlink("../port-monitor-tick.timer", house.root.join(timer)).unwrap();
    let again = house.apply(&wanted(&hosts()[0])).unwrap();
    assert!(again.iter().all(|done| *done == Done::Kept), "{again:?}");
    house.leave();
    assert_eq!(house.portrait(), before);
}

#[test]
fn directories_that_setup_makes_are_everybodys_under_any_umask() {
    use nix::sys::stat::{Mode, umask};
    // Other tests of this process make files meanwhile, which concerns none of their checks.
    let former = umask(Mode::from_bits_truncate(0o077));
    let mut house = House::build();
    house.apply(&wanted(&hosts()[0])).unwrap();
    umask(former);
    for path in ["/usr/local/share", "/usr/local/share/man/zh_CN/man1"] {
        let mode = fs::metadata(house.root.join(path)).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o755, "{path}");
    }
}
