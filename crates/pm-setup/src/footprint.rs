//! The one list of what is pm's on a host.

use std::path::{Path, PathBuf};

use pm_store::Paths;

use crate::cron;
use crate::host::{CRONTAB_DIRECTORIES, Host, Shell};
use crate::init::{Init, Schedule};
use crate::openrc;
use crate::root::Root;
use crate::seal::sealed;
use crate::systemd;
use crate::sysvinit;
use crate::user;

/// One thing that is pm's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// A directory for pm's data. What is in it is not of this list.
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// A file with a seal.
    File {
        /// Where.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// All of it.
        text: String,
    },
    /// A symbolic link.
    Link {
        /// Where.
        path: PathBuf,
        /// Where to.
        target: PathBuf,
    },
    /// The links of a boot script in `/etc/rc?.d`, whose numbers the host's own tools choose.
    RcLinks,
    /// A line of root's crontab.
    CrontabLine {
        /// The crontab.
        path: PathBuf,
        /// The line, without its end.
        line: String,
    },
    /// The user who delivers messages.
    User,
    /// His directory, in which messages wait with what it takes to send them.
    Outbox {
        /// Where.
        path: PathBuf,
    },
}

/// Returns the link that is made only for those who want one.
fn shortcut(pm: &Path) -> Piece {
    Piece::Link {
        path: DOG.into(),
        target: pm.to_owned(),
    }
}

/// What is pm's on a host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Footprint {
    /// In the order in which they are made; they are removed in the reverse one.
    pub pieces: Vec<Piece>,
}

/// Texts that are made from pm's command line.
#[derive(Clone, Debug, Default)]
pub struct Manual {
    /// Man pages: below the directory of manuals, such as `man1/pm.1`, and the text.
    pub pages: Vec<(PathBuf, String)>,
    /// What lets a shell complete commands.
    pub completions: Vec<(Shell, String)>,
}

/// Where users of port-traffic-dog type a command that opens its menu: a link to pm, for those who want one.
pub const DOG: &str = "/usr/local/bin/dog";

/// Where manuals are that no package brought.
pub const MANUALS: &str = "/usr/local/share/man";

impl Footprint {
    /// Returns what must be on `host`, with the program at `pm`.
    pub fn wanted(host: &Host, pm: &Path, manual: &Manual) -> Self {
        let mut all = Self::calling(host, pm);
        all.pieces.extend(Self::manual(host, manual).pieces);
        all
    }

    /// Returns what of that calls pm, or is needed for it.
    pub fn calling(host: &Host, pm: &Path) -> Self {
        let pm = pm.to_string_lossy();
        let mut pieces = data();
        pieces.push(Piece::User);
        pieces.push(outbox());
        pieces.extend(boot(host.init, &[host.runlevel], &pm));
        pieces.extend(schedule(&host.schedule, host.init, &pm));
        Self { pieces }
    }

    /// Returns what of it is only convenient: man pages, and what lets shells complete commands.
    pub fn manual(host: &Host, manual: &Manual) -> Self {
        let mut pieces: Vec<Piece> = pages(manual).collect();
        let shells = manual.completions.iter();
        let present = shells.filter(|(shell, _)| host.shells.contains(shell));
        pieces.extend(present.map(|(shell, text)| completions(*shell, text)));
        Self { pieces }
    }

    /// Returns what could be pm's on the host below `root`, whatever calls pm there now and whichever pm wrote it:
    /// hosts change. Its texts are of no matter.
    pub fn everywhere(root: &Root, pm: &Path) -> Self {
        let pm = pm.to_string_lossy();
        let mut pieces = data();
        pieces.push(Piece::User);
        pieces.push(outbox());
        for init in [Init::Systemd, Init::OpenRc, Init::SysVinit] {
            pieces.extend(boot(init, &openrc::RUNLEVELS, &pm));
        }
        let mut schedules = vec![Schedule::CronDirectory];
        schedules.extend(crontabs(root).into_iter().map(Schedule::Crontab));
        for one in &schedules {
            pieces.extend(schedule(one, Init::SysVinit, &pm));
        }
        pieces.extend(written_pages(root));
        pieces.push(shortcut(Path::new(&*pm)));
        pieces.extend(Shell::ALL.map(|shell| completions(shell, "")));
        let mut all = Self::default();
        for piece in pieces {
            // The scripts for two kinds of init have one place.
            if !all.pieces.iter().any(|other| other.same_place(&piece)) {
                all.pieces.push(piece);
            }
        }
        all
    }

    /// Returns what is in this one and nowhere in `other`.
    pub fn without(&self, other: &Self) -> Self {
        // What somebody asked for is nobody's leftover.
        let is_wanted = |piece: &&Piece| {
            piece.path() != Some(Path::new(DOG))
                && !other.pieces.iter().any(|wanted| wanted.same_place(piece))
        };
        Self {
            pieces: self.pieces.iter().filter(is_wanted).cloned().collect(),
        }
    }
}

impl Piece {
    /// Returns the path that stands for it; `None`: it has none.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Directory { path }
            | Self::File { path, .. }
            | Self::Link { path, .. }
            | Self::Outbox { path }
            | Self::CrontabLine { path, .. } => Some(path),
            Self::RcLinks | Self::User => None,
        }
    }

    /// Whether it is one of the many man pages.
    pub fn is_page(&self) -> bool {
        self.path().is_some_and(|path| path.starts_with(MANUALS))
    }

    /// Whether it is only convenient: a man page, or what lets a shell complete commands.
    pub fn is_manual(&self) -> bool {
        self.path()
            .is_some_and(|path| path.starts_with("/usr/local/share"))
    }

    fn same_place(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.path() == other.path()
    }
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RcLinks => write!(f, "/etc/rc?.d/*{}", sysvinit::NAME),
            Self::User => f.pad(user::NAME),
            Self::Directory { path }
            | Self::File { path, .. }
            | Self::Link { path, .. }
            | Self::Outbox { path }
            | Self::CrontabLine { path, .. } => path.display().fmt(f),
        }
    }
}

fn data() -> Vec<Piece> {
    [Paths::CONFIG_DIR, Paths::STATE_DIR, Paths::LOG_DIR]
        .map(|path| Piece::Directory { path: path.into() })
        .into()
}

fn outbox() -> Piece {
    let path = Paths::default().outbox_dir();
    Piece::Outbox { path }
}

/// Returns what is called at boot; `runlevels` are OpenRC's.
fn boot(init: Init, runlevels: &[&str], pm: &str) -> Vec<Piece> {
    match init {
        Init::Systemd => units(pm),
        Init::OpenRc => {
            let script = file(openrc::FILE, 0o755, openrc::script(pm));
            let links = runlevels.iter().map(|runlevel| Piece::Link {
                path: openrc::link(runlevel),
                target: openrc::FILE.into(),
            });
            [script].into_iter().chain(links).collect()
        }
        Init::SysVinit => vec![
            file(sysvinit::FILE, 0o755, sysvinit::script(pm)),
            Piece::RcLinks,
        ],
        Init::Unknown => Vec::new(),
    }
}

fn units(pm: &str) -> Vec<Piece> {
    let directory = Path::new(systemd::DIRECTORY);
    let files = systemd::units(pm);
    let files = files
        .into_iter()
        .map(|(name, text)| file(directory.join(name), 0o644, text));
    let links = systemd::wants().map(|(unit, name)| Piece::Link {
        path: directory.join(format!("{unit}.wants")).join(name),
        target: directory.join(name),
    });
    files.chain(links).collect()
}

fn schedule(schedule: &Schedule, init: Init, pm: &str) -> Option<Piece> {
    match schedule {
        // The timer is one of the units.
        Schedule::Timer | Schedule::None => None,
        Schedule::CronDirectory => {
            let text = cron::file(pm, init == Init::Unknown);
            Some(file(cron::FILE, 0o644, text))
        }
        Schedule::Crontab(path) => Some(Piece::CrontabLine {
            path: path.clone(),
            line: cron::line(pm),
        }),
    }
}

fn pages(manual: &Manual) -> impl Iterator<Item = Piece> {
    manual.pages.iter().map(|(path, text)| {
        let text = sealed("", ".\\\"", text);
        file(Path::new(MANUALS).join(path), 0o644, text)
    })
}

/// Returns root's crontabs, each once: on Alpine one of the directories is a link to another.
fn crontabs(root: &Root) -> Vec<PathBuf> {
    let mut paths = CRONTAB_DIRECTORIES.map(PathBuf::from).to_vec();
    let mut seen = Vec::new();
    paths.retain(|directory| {
        let place = root.join(directory);
        let place = place.canonicalize().unwrap_or(place).join("root");
        let place = place.canonicalize().unwrap_or(place);
        let is_new = !seen.contains(&place);
        seen.push(place);
        is_new
    });
    paths
        .iter()
        .map(|directory| directory.join("root"))
        .collect()
}

/// Returns the man pages that are there, of whichever version of pm.
fn written_pages(root: &Root) -> Vec<Piece> {
    let mut pages = Vec::new();
    for directory in ["man1", "zh_CN/man1"] {
        let directory = Path::new(MANUALS).join(directory);
        for entry in std::fs::read_dir(root.join(&directory))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == "pm.1" || (name.starts_with("pm-") && name.ends_with(".1")) {
                pages.push(file(directory.join(&*name), 0o644, String::new()));
            }
        }
    }
    pages.sort_by(|one, other| one.path().cmp(&other.path()));
    pages
}

fn completions(shell: Shell, text: &str) -> Piece {
    let (path, head) = match shell {
        Shell::Bash => ("/usr/local/share/bash-completion/completions/pm", ""),
        Shell::Zsh => ("/usr/local/share/zsh/site-functions/_pm", "#compdef pm\n"),
        Shell::Fish => ("/usr/local/share/fish/vendor_completions.d/pm.fish", ""),
    };
    let body = text.strip_prefix(head).unwrap_or(text);
    file(path, 0o644, sealed(head, "#", body))
}

fn file(path: impl Into<PathBuf>, mode: u32, text: String) -> Piece {
    Piece::File {
        path: path.into(),
        mode,
        text,
    }
}
