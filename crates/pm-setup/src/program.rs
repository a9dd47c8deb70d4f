//! The program itself: whether it is where it can be called from for years, and whose it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Action, SetupError, Unsuitable};
use crate::root::Root;

/// Directories that are emptied at boot or by time, or that the units' sandbox hides.
const UNSUITABLE: [&str; 7] = [
    "/tmp", "/var/tmp", "/run", "/dev", "/proc", "/home", "/root",
];

/// Refuses a program that root should not run each minute from now on.
///
/// # Errors
///
/// `Program`, or as the system says.
pub fn check(root: &Root, path: &Path) -> Result<(), SetupError> {
    let refused = |why| SetupError::Program {
        path: path.to_owned(),
        why,
    };
    if UNSUITABLE.iter().any(|place| path.starts_with(place)) {
        return Err(refused(Unsuitable::Place));
    }
    let found = fs::metadata(root.join(path)).map_err(SetupError::io(Action::Read, path))?;
    if found.uid() != 0 || found.mode() & 0o022 != 0 {
        return Err(refused(Unsuitable::Writable));
    }
    let staff = staff(root);
    for directory in path.ancestors().skip(1) {
        let found = fs::metadata(root.join(directory));
        let found = found.map_err(SetupError::io(Action::Read, directory))?;
        // Debian gives /usr/local to the group staff, who are root's equals there.
        let is_roots_group = found.gid() == 0 || Some(found.gid()) == staff;
        let others = if is_roots_group { 0o002 } else { 0o022 };
        if found.uid() != 0 || found.mode() & others != 0 {
            return Err(refused(Unsuitable::Replaceable));
        }
    }
    Ok(())
}

/// Returns the number of the group `staff`.
fn staff(root: &Root) -> Option<u32> {
    let groups = root.text("/etc/group");
    let mut groups = groups.lines().map(|line| line.split(':'));
    groups.find_map(|mut fields| match fields.next() {
        Some("staff") => fields.nth(1)?.parse().ok(),
        _ => None,
    })
}

/// Returns the program and what updates and `install.sh` may have left beside it, as far as it is there; the program last.
pub fn files(root: &Root, path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (new, old) = (format!(".{name}.new"), format!(".{name}.old"));
    // The rest is the number of the script's process.
    let install = format!(".{name}.install.");
    let directory = path.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(root.join(directory));
    let names = entries.into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_left = |found: &String| {
        let number = found.strip_prefix(&install);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        *found == new || *found == old || number.is_some_and(is_number)
    };
    let mut files: Vec<PathBuf> = names
        .filter(is_left)
        .map(|found| directory.join(found))
        .collect();
    files.sort();
    files.push(path.to_owned());
    files
}

/// Whether a package of the host's brought the file, which is then the package manager's to remove.
///
/// Source: dpkg(1), FILES; apk's `installed` has a directory and its files by lines `F:` and `R:`.
pub fn is_packaged(root: &Root, path: &Path) -> bool {
    let lists = fs::read_dir(root.join("/var/lib/dpkg/info"));
    let lists = lists
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let of_dpkg = lists
        .filter(|list| {
            list.extension()
                .is_some_and(|extension| extension == "list")
        })
        // Most lists are of packages without programs: a search in bytes is fast enough for all of them.
        .any(|list| {
            let text = fs::read_to_string(list).unwrap_or_default();
            text.lines().any(|line| Path::new(line) == path)
        });
    of_dpkg || is_in_apk(&root.text("/lib/apk/db/installed"), path)
}

fn is_in_apk(installed: &str, path: &Path) -> bool {
    let path = path.strip_prefix("/").unwrap_or(path);
    let mut directory = Path::new("");
    for line in installed.lines() {
        if let Some(name) = line.strip_prefix("F:") {
            directory = Path::new(name);
        } else if let Some(name) = line.strip_prefix("R:")
            && directory.join(name) == path
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_that_goes_or_that_others_can_change_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let refused = |path: &str| match check(&root, Path::new(path)) {
            Err(SetupError::Program { why, .. }) => Some(why),
            _ => None,
        };
        for path in ["/tmp/pm", "/home/me/pm/target/release/pm", "/root/pm"] {
            assert_eq!(refused(path), Some(Unsuitable::Place), "{path}");
        }
        fs::create_dir_all(root.join("/usr/local/bin")).unwrap();
        let pm = "/usr/local/bin/pm";
        fs::write(root.join(pm), "").unwrap();
        fs::set_permissions(root.join(pm), Permissions::from_mode(0o775)).unwrap();
        assert_eq!(refused(pm), Some(Unsuitable::Writable));
    }

    #[test]
    fn a_directory_that_others_can_change_is_refused_but_for_debians_staff() {
        if !nix::unistd::geteuid().is_root() {
            // Only root can give files away.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let pm = Path::new("/opt/bob/pm");
        let place = root.join("/opt/bob");
        fs::create_dir_all(&place).unwrap();
        fs::create_dir_all(root.join("/etc")).unwrap();
        fs::write(root.join("/etc/group"), "root:x:0:\nstaff:x:50:\n").unwrap();
        fs::write(root.join(pm), "").unwrap();
        fs::set_permissions(root.join(pm), Permissions::from_mode(0o755)).unwrap();
        for (owner, group, mode, is_fine) in [
            (0, 0, 0o755, true),
            (0, 0, 0o775, true),
            (0, 50, 0o2775, true),
            (0, 1000, 0o755, true),
            (0, 1000, 0o775, false),
            (0, 0, 0o777, false),
            (0, 0, 0o1777, false),
            (1000, 0, 0o755, false),
        ] {
            std::os::unix::fs::chown(&place, Some(owner), Some(group)).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(mode)).unwrap();
            let checked = check(&root, pm);
            let why = match &checked {
                Err(SetupError::Program { why, .. }) => Some(*why),
                _ => None,
            };
            let expected = (!is_fine).then_some(Unsuitable::Replaceable);
            assert_eq!(why, expected, "{owner} {group} {mode:o}: {checked:?}");
        }
    }

    #[test]
    fn what_is_left_beside_the_program_goes_before_it_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let bin = Path::new("/usr/local/bin");
        fs::create_dir_all(root.join(bin)).unwrap();
        let left = [".pm.install.4711", ".pm.new", ".pm.old", "pm"];
        let others = [".pm.install.sh", ".pm.install.", ".pm2.old", "pm.old"];
        for name in left.iter().chain(&others) {
            fs::write(root.join(bin.join(name)), "").unwrap();
        }
        let files = files(&root, &bin.join("pm"));
        assert_eq!(files, left.map(|name| bin.join(name)));
    }

    #[test]
    fn a_package_is_known_by_its_list() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        fs::create_dir_all(root.join("/var/lib/dpkg/info")).unwrap();
        fs::write(root.join("/var/lib/dpkg/info/pm.list"), "/.\n/usr/bin/pm\n").unwrap();
        assert!(is_packaged(&root, Path::new("/usr/bin/pm")));
        assert!(!is_packaged(&root, Path::new("/usr/bin/p")));
        assert!(!is_packaged(&root, Path::new("/usr/local/bin/pm")));
        let apk = "P:other\nF:usr/bin\nR:vi\nP:pm\nF:usr/bin\nR:pm\n";
        assert!(is_in_apk(apk, Path::new("/usr/bin/pm")));
        assert!(!is_in_apk(apk, Path::new("/bin/pm")));
    }
}
