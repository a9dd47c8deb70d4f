//! What setup notes of the host as it was, so that uninstall takes back that, and no more.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::apply::write;
use crate::error::SetupError;
use crate::root::Root;

/// Where it is.
pub const FILE: &str = "/var/lib/port_monitor/made-by-setup";

/// What stands before a crontab whose last line had no end.
const UNENDED: &str = "unended ";
/// The line that says that pm made the group of its user.
const GROUP: &str = "group";

/// One line each; it is noted before it is done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Record {
    /// Directories and crontabs that pm had to make.
    pub(crate) made: BTreeSet<PathBuf>,
    /// Crontabs whose last line had no end before pm's came after it.
    pub(crate) unended: BTreeSet<PathBuf>,
    /// Whether pm made the group of its user in a step of its own.
    pub(crate) group: bool,
}

impl Record {
    /// Returns what was noted; nothing where nothing was.
    pub(crate) fn load(root: &Root) -> Self {
        let mut record = Self::default();
        for line in root.text(FILE).lines() {
            if line == GROUP {
                record.group = true;
            } else if let Some(path) = line.strip_prefix(UNENDED) {
                record.unended.insert(path.into());
            } else {
                record.made.insert(line.into());
            }
        }
        record
    }

    /// Notes it, for good.
    ///
    /// # Errors
    ///
    /// As the system says; what was noted before is still there.
    pub(crate) fn save(&self, root: &Root) -> Result<(), SetupError> {
        let made = self.made.iter().map(|path| format!("{}\n", path.display()));
        let unended = self.unended.iter();
        let unended = unended.map(|path| format!("{UNENDED}{}\n", path.display()));
        let group = self.group.then(|| format!("{GROUP}\n"));
        let text: String = made.chain(unended).chain(group).collect();
        let mode = Permissions::from_mode(0o600);
        write(root, Path::new(FILE), text.as_bytes(), mode, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_noted_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        assert_eq!(Record::load(&root), Record::default());
        fs::create_dir_all(root.join("/var/lib/port_monitor")).unwrap();
        let record = Record {
            made: ["/usr/local/share/man/zh CN".into()].into(),
            unended: ["/etc/crontabs/root".into()].into(),
            group: true,
        };
        record.save(&root).unwrap();
        assert_eq!(Record::load(&root), record);
    }
}
