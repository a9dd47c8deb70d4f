//! Whether there is room to write.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};
use pm_store::paths::Paths;

use super::StorageProblem;

/// What a save of thousands of services takes at most, in bytes: the database, its log and a copy.
const ENOUGH: u64 = 16 << 20;

/// Returns what keeps pm from writing its files, without writing any.
pub(super) fn problems(paths: &Paths) -> Vec<StorageProblem> {
    [&paths.state_dir, &paths.config_dir]
        .into_iter()
        .filter_map(|dir| problem(dir))
        .collect()
}

fn problem(dir: &Path) -> Option<StorageProblem> {
    // What is not there yet will be made in the nearest directory that is.
    let there = dir.ancestors().find(|dir| dir.is_dir())?;
    let found = statvfs(there).ok()?;
    let dir = dir.to_owned();
    if found.flags().contains(FsFlags::ST_RDONLY) {
        return Some(StorageProblem::ReadOnly { dir });
    }
    // Some file systems, such as overlays of others, do not say how large they are.
    if found.blocks() == 0 {
        return None;
    }
    // Root may use what is reserved, too.
    let free = found.blocks_free().saturating_mul(found.fragment_size());
    (free < ENOUGH).then_some(StorageProblem::LittleSpace { dir, free })
}
