//! What of a tool's is on a host: files, programs, lines in crontabs, and what it leaves lying about.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use pm_legacy::{Files, MAX_FILE_BYTES, Tool};
use pm_setup::{Root, old_tools};
use serde::{Deserialize, Serialize};

use crate::error::{Action, TakeoverError, io};
use crate::{cron, locks};

/// What is a tool's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Estate {
    /// Whose.
    pub tool: Tool,
    /// Where its configuration is.
    pub directory: PathBuf,
    /// Its files and programs, and links to them, in order: kept, then taken away.
    pub files: Vec<PathBuf>,
    /// Its lines in crontabs.
    pub cron: Vec<Lines>,
    /// Lines of crontabs that name it and are not as it writes them: they stay.
    pub stays: Vec<(PathBuf, String)>,
    /// Units of systemd that somebody wrote to call it: they stay.
    pub units: Vec<PathBuf>,
}

/// Lines of one crontab, with their numbers from 0.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lines {
    /// The crontab.
    pub path: PathBuf,
    /// The lines, each with its end.
    pub lines: Vec<(usize, Vec<u8>)>,
}

/// Where `install.sh` puts pm.sh, which stands in pm's place.
pub(crate) const PM_SH_ASIDE: &str = "/usr/local/bin/pm.before-pm";

/// Where programs and what calls them are, and a word that each must hold to be the tool's own.
const PROGRAMS: [(Tool, &str, &str); 8] = [
    (Tool::PmSh, "/usr/local/bin/pm", "port_monitor"),
    (Tool::PmSh, PM_SH_ASIDE, "port_monitor"),
    (
        Tool::Dog,
        "/usr/local/bin/port-traffic-dog.sh",
        "port_traffic_monitor",
    ),
    (Tool::Dog, "/usr/local/bin/dog", "port-traffic-dog"),
    (
        Tool::TrafficDog,
        "/usr/local/bin/port-traffic-stat",
        "port_traffic_stat",
    ),
    (
        Tool::TrafficDog,
        "/etc/init.d/port-traffic-stat",
        "port-traffic-stat",
    ),
    (
        Tool::TrafficDog,
        "/etc/systemd/system/port-traffic-stat.service",
        "port-traffic-stat",
    ),
    (
        Tool::TrafficDog,
        "/etc/systemd/system/multi-user.target.wants/port-traffic-stat.service",
        "port-traffic-stat",
    ),
];

/// As deep as any of these tools nests directories, and deeper.
const DEPTH: usize = 8;

impl Estate {
    /// Looks for `tool`, its configuration in `directory` or where it usually is. A directory elsewhere is only read:
    /// whose copy it is cannot be known. `this_program` is never the tool's.
    ///
    /// # Errors
    ///
    /// `NotThere`, or as the system says.
    pub fn find(
        root: &Root,
        tool: Tool,
        directory: Option<&Path>,
        this_program: &Path,
    ) -> Result<Self, TakeoverError> {
        let usual = Path::new(tool.directory());
        let directory = directory.unwrap_or(usual);
        if !has_configuration(root, tool, directory) {
            return Err(TakeoverError::NotThere {
                tool,
                directory: directory.to_owned(),
            });
        }
        let mut files = Vec::new();
        if directory == usual {
            walk(root, directory, &mut files, DEPTH)?;
            files.retain(|path| is_its(tool, path));
        }
        let programs = PROGRAMS.iter().filter(|(whose, ..)| *whose == tool);
        files.extend(programs.filter_map(|(_, path, word)| {
            let path = Path::new(path);
            (path != this_program && is_program(root, path, word)).then(|| path.to_owned())
        }));
        Ok(Self {
            tool,
            directory: directory.to_owned(),
            files,
            cron: its_lines(root, tool)?,
            stays: strange_lines(root, tool)?,
            units: strange_units(root, tool),
        })
    }

    /// Returns the tools that are there where they usually are.
    pub fn found(root: &Root) -> Vec<Tool> {
        let is_there = |tool: &Tool| has_configuration(root, *tool, Path::new(tool.directory()));
        Tool::ALL.into_iter().filter(is_there).collect()
    }

    /// Reads what matters of its files.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn read(&self, root: &Root) -> Result<Files, TakeoverError> {
        read_files(root, self.tool, &self.directory, &|path| root.join(path))
    }

    /// Returns what a tool leaves lying about that nobody wants back.
    pub fn leftovers(tool: Tool) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = locks::files(tool).iter().map(PathBuf::from).collect();
        if tool == Tool::PmSh {
            all.push("/tmp/pm_user_editing".into());
        }
        all
    }

    /// Whether its menu seems to be open.
    pub fn is_being_edited(&self, root: &Root) -> bool {
        self.tool == Tool::PmSh && root.join("/tmp/pm_user_editing").exists()
    }
}

/// Reads what matters of a tool's files, each from where `place` says that it is now.
pub(crate) fn read_files(
    root: &Root,
    tool: Tool,
    directory: &Path,
    place: &dyn Fn(&Path) -> PathBuf,
) -> Result<Files, TakeoverError> {
    let mut paths = Vec::new();
    let from = place(directory);
    walk(&Root::at("/"), &from, &mut paths, DEPTH)?;
    let mut files = Files::default();
    for path in paths {
        let Ok(relative) = path.strip_prefix(&from) else {
            continue;
        };
        let relative = relative.to_string_lossy().into_owned();
        if tool.wants(&relative) {
            files.insert(relative, read(&path)?);
        }
    }
    let script = PROGRAMS.iter().find(|(whose, ..)| *whose == tool);
    if let (Tool::Dog, Some((_, path, word))) = (tool, script) {
        let path = Path::new(path);
        let kept = place(path);
        if kept.is_file() && (kept != root.join(path) || is_program(root, path, word)) {
            files.script = Some(read(&kept)?);
        }
    }
    Ok(files)
}

/// Reads a file, but no more of it than it takes to know that it is too large.
fn read(path: &Path) -> Result<Vec<u8>, TakeoverError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let done = fs::File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    done.map(|_| bytes).map_err(io(Action::Read, path))
}

fn has_configuration(root: &Root, tool: Tool, directory: &Path) -> bool {
    let has = |name: &str| root.has_file(directory.join(name));
    match tool {
        // It shares its directory with pm.
        Tool::PmSh => {
            let text = root.text(directory.join("config.json"));
            has("config.json") && (old_tools::is_pm_shs(&text) || is_damaged(&text))
        }
        Tool::Dog => has("config.json"),
        Tool::TrafficDog => has("ports"),
    }
}

/// Whether what is pm.sh's or pm's is no JSON, and pm.sh left its state beside it.
fn is_damaged(text: &str) -> bool {
    !text.contains("\"schema\"") && text.contains("\"node_id\"")
}

/// Whether a file of its directory is a tool's; pm.sh shares its directory with pm.
fn is_its(tool: Tool, path: &Path) -> bool {
    let Ok(relative) = path.strip_prefix(tool.directory()) else {
        return false;
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_lock = locks::directories(tool, Path::new(tool.directory()))
        .iter()
        .any(|lock| path.starts_with(lock));
    let is_pms = tool == Tool::PmSh
        && (relative.starts_with("versions") || name.starts_with(".pm-") && name.ends_with(".tmp"));
    !is_lock && !is_pms
}

/// Whether there is a script, or a link to one, that holds a word; a link to nothing need not.
fn is_program(root: &Root, path: &Path, word: &str) -> bool {
    let place = root.join(path);
    if let Ok(target) = fs::read_link(&place) {
        return target.to_string_lossy().contains(word);
    }
    let text = root.text(path);
    let is_script = text.starts_with("#!") || text.starts_with("[Unit]");
    is_script && text.contains(word)
}

/// Adds directories, files and links below `directory`, each directory before what is in it.
fn walk(
    root: &Root,
    directory: &Path,
    all: &mut Vec<PathBuf>,
    depth: usize,
) -> Result<(), TakeoverError> {
    if depth == 0 {
        return Ok(());
    }
    let failed = || io(Action::Read, directory);
    let entries = fs::read_dir(root.join(directory)).map_err(failed())?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed())?;
        let kind = entry.file_type().map_err(failed())?;
        found.push((directory.join(entry.file_name()), kind));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    for (path, kind) in found {
        if kind.is_dir() {
            all.push(path.clone());
            walk(root, &path, all, depth - 1)?;
        } else if kind.is_file() || kind.is_symlink() {
            all.push(path);
        }
    }
    Ok(())
}

/// Whether a crontab names a user in each line.
pub(crate) fn has_users(path: &Path) -> bool {
    path == Path::new("/etc/crontab") || path.starts_with("/etc/cron.d")
}

fn its_lines(root: &Root, tool: Tool) -> Result<Vec<Lines>, TakeoverError> {
    let mut all = Vec::new();
    for path in old_tools::crontabs(root) {
        let text = fs::read(root.join(&path)).map_err(io(Action::Read, &path))?;
        let (_, lines) = cron::without(tool, &text, has_users(&path));
        if !lines.is_empty() {
            all.push(Lines { path, lines });
        }
    }
    Ok(all)
}

fn strange_lines(root: &Root, tool: Tool) -> Result<Vec<(PathBuf, String)>, TakeoverError> {
    let mut all = Vec::new();
    for path in old_tools::crontabs(root) {
        let text = fs::read(root.join(&path)).map_err(io(Action::Read, &path))?;
        let lines = cron::strange(tool, &text, has_users(&path)).into_iter();
        all.extend(lines.map(|line| (path.clone(), line)));
    }
    Ok(all)
}

/// Where units are that an operator writes.
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// None of the tools but traffic-dog has units of its own, and that one's are among its files.
fn strange_units(root: &Root, tool: Tool) -> Vec<PathBuf> {
    if tool != Tool::PmSh {
        return Vec::new();
    }
    let places = UNITS.iter().flat_map(|directory| {
        let directory = Path::new(directory);
        ["pm.timer", "pm.service"].map(|name| directory.join(name))
    });
    places.filter(|path| root.has_file(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn host() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        (directory, root)
    }

    fn write(root: &Root, path: &str, text: &str) {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    #[test]
    fn what_is_a_tools_is_found_and_what_is_pms_is_not() {
        let (_directory, root) = host();
        let pm = Path::new("/usr/local/bin/pm");
        let find = || Estate::find(&root, Tool::PmSh, None, pm);
        assert!(matches!(find(), Err(TakeoverError::NotThere { .. })));
        write(&root, "/etc/port_monitor/config.json", r#"{"schema": 1}"#);
        assert!(matches!(find(), Err(TakeoverError::NotThere { .. })));
        write(&root, "/etc/port_monitor/config.json", r#"{"ports": {}}"#);
        write(&root, "/etc/port_monitor/state/1.txt", "s_acc_in=1\n");
        write(&root, "/etc/port_monitor/versions/config-1.json", "{}");
        write(&root, "/usr/local/bin/pm", "#!/bin/bash\n# port_monitor\n");
        write(
            &root,
            "/etc/cron.d/x",
            "* * * * * root /usr/local/bin/pm --monitor\n# pm\n",
        );
        let estate = find().unwrap();
        let expected = ["config.json", "state", "state/1.txt"];
        let expected = expected.map(|name| Path::new("/etc/port_monitor").join(name));
        assert_eq!(estate.files, expected);
        assert_eq!(estate.cron[0].lines.len(), 1);
        // It is this program's place no more.
        let elsewhere = Estate::find(&root, Tool::PmSh, None, Path::new("/usr/bin/pm")).unwrap();
        assert_eq!(elsewhere.files.last().map(PathBuf::as_path), Some(pm));
        assert_eq!(Estate::found(&root), [Tool::PmSh]);
        let files = estate.read(&root).unwrap();
        let mut same = Files::default();
        same.insert("config.json", r#"{"ports": {}}"#);
        same.insert("state/1.txt", "s_acc_in=1\n");
        assert_eq!(files, same);
    }

    #[test]
    fn links_and_locks_of_a_dog_are_told_from_others() {
        let (_directory, root) = host();
        write(&root, "/etc/port-traffic-dog/config.json", "{}");
        write(&root, "/etc/port-traffic-dog/config.lock/owner", "1 1\n");
        write(&root, "/etc/port-traffic-dog/logs/a.log", "x");
        write(
            &root,
            "/usr/local/bin/port-traffic-dog.sh",
            "#!/bin/bash\nport_traffic_monitor",
        );
        let link = "/usr/local/bin/dog";
        symlink("/usr/local/bin/port-traffic-dog.sh", root.join(link)).unwrap();
        let find = || Estate::find(&root, Tool::Dog, None, Path::new("/pm")).unwrap();
        assert!(find().files.contains(&link.into()));
        assert!(
            !find()
                .files
                .iter()
                .any(|path| path.to_string_lossy().contains("lock"))
        );
        fs::remove_file(root.join(link)).unwrap();
        // Of the DNS tool of that name.
        write(&root, link, "\u{7f}ELF");
        assert!(!find().files.contains(&link.into()));
        assert!(find().read(&root).unwrap().script.is_some());
    }
}
