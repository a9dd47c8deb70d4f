//! The program that stood in pm's place before it, such as pm.sh.
//!
//! `install.sh` keeps it beside pm, under a name that nothing else has; uninstall gives it its own back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Action, SetupError};
use crate::root::Root;

/// Returns where what stood in the place of `program` is kept; `None`: nothing did.
pub fn of(root: &Root, program: &Path) -> Option<PathBuf> {
    let name = program.file_name()?.to_string_lossy();
    let kept = program.with_file_name(format!("{name}.before-pm"));
    // Not what a link leads to: that may be gone, and the link comes back all the same.
    fs::symlink_metadata(root.join(&kept)).ok().map(|_| kept)
}

/// Puts what stood in the place of `program` back there, whatever stands there now.
///
/// # Errors
///
/// As the system says; it is still kept then.
pub fn put_back(root: &Root, program: &Path) -> Result<(), SetupError> {
    let Some(kept) = of(root, program) else {
        return Ok(());
    };
    let renamed = fs::rename(root.join(kept), root.join(program));
    renamed.map_err(SetupError::io(Action::Write, program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_was_there_comes_back_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let (pm, kept) = (
            Path::new("/usr/local/bin/pm"),
            Path::new("/usr/local/bin/pm.before-pm"),
        );
        fs::create_dir_all(root.join("/usr/local/bin")).unwrap();
        fs::write(root.join(pm), "new").unwrap();
        put_back(&root, pm).unwrap();
        assert_eq!(fs::read_to_string(root.join(pm)).unwrap(), "new");

        fs::write(root.join(kept), "old").unwrap();
        assert_eq!(of(&root, pm).as_deref(), Some(kept));
        put_back(&root, pm).unwrap();
        assert_eq!(fs::read_to_string(root.join(pm)).unwrap(), "old");
        assert_eq!(of(&root, pm), None);

        symlink("/nowhere", root.join(kept)).unwrap();
        put_back(&root, pm).unwrap();
        let target = fs::read_link(root.join(pm)).unwrap();
        assert_eq!(target, Path::new("/nowhere"));
    }
}
