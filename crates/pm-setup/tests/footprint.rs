//! What setup writes below a root, and what uninstall leaves of it: nothing, from wherever setup was interrupted.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pm_setup::apply::{Done, Standing, apply, standing};
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
}

impl Tools for Fake {
    fn find(&self, name: &str) -> Option<PathBuf> {
        self.has
            .contains(&name)
            .then(|| Path::new("/bin").join(name))
    }

    fn run(&mut self, name: &str, args: &[&str]) -> Result<(), SetupError> {
        self.called.push(format!("{name} {}", args.join(" ")));
        let passwd = self.root.join("/etc/passwd");
        let text = fs::read_to_string(&passwd).unwrap();
        match name {
            "useradd" | "adduser" => {
                let line = "port_monitor:x:998:998:made by pm setup:/nonexistent:/sbin/nologin\n";
                fs::write(passwd, text + line).unwrap();
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
        };
        Self {
            directory,
            root,
            tools,
        }
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
        assert_eq!(data::remove(&self.root, false).unwrap(), None);
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
    let left = data::remove(&house.root, true).unwrap();
    assert_eq!(left, Some("/etc/port_monitor".into()));
    assert!(config.join("config.json").exists() && config.join("state/443.txt").exists());
    assert!(!config.join("versions").exists());
}
