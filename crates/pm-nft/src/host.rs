//! Where a reading was taken: the boot and the network namespace, and what else is there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use pm_core::backend::HostId;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
// The thread's own, which is where its sockets are.
const NETNS: &str = "/proc/thread-self/ns/net";
const INIT_STAT: &str = "/proc/1/stat";
// The tables of iptables-legacy that are in use in the thread's namespace, one a line.
const LEGACY_TABLES: [&str; 2] = [
    "/proc/thread-self/net/ip_tables_names",
    "/proc/thread-self/net/ip6_tables_names",
];

/// Returns the marks of this boot and namespace.
///
/// Without a cookie (before Linux 5.14) a namespace is told by its inode, which a later one can
/// get again, and the start time of its process 1.
pub(crate) fn host_id(cookie: Option<u64>) -> io::Result<HostId> {
    let boot = fs::read_to_string(BOOT_ID)?.trim().to_owned();
    let netns = match cookie {
        Some(cookie) => format!("cookie {cookie}"),
        None => {
            let inode = fs::metadata(NETNS)?.ino();
            format!(
                "inode {inode} since {}",
                start_time(&fs::read_to_string(INIT_STAT)?)
            )
        }
    };
    Ok(HostId { boot, netns })
}

/// Whether iptables-legacy has a table that translates addresses, of which nf_tables knows
/// nothing.
///
/// A kernel without it has no such file; where a sandbox hides it, there is nothing to find out.
pub(crate) fn has_legacy_nat() -> bool {
    LEGACY_TABLES
        .iter()
        .any(|path| fs::read_to_string(path).is_ok_and(|tables| lists_nat(&tables)))
}

fn lists_nat(tables: &str) -> bool {
    tables.lines().any(|table| table == "nat")
}

/// Returns the start time in clock ticks, as text: the 22nd field, of which the second, the name
/// in parentheses, may hold anything.
///
/// Source: proc_pid_stat(5).
fn start_time(stat: &str) -> &str {
    let after_name = stat.rsplit_once(')').map_or(stat, |(_, rest)| rest);
    after_name
        .split_ascii_whitespace()
        .nth(19)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{host_id, lists_nat, start_time};

    #[test]
    fn a_namespace_without_a_cookie_is_told_by_its_inode() {
        let (with, without) = (host_id(Some(7)).unwrap(), host_id(None).unwrap());
        assert_eq!(with.boot, without.boot);
        assert_eq!(with.netns, "cookie 7");
        assert!(without.netns.starts_with("inode "), "{}", without.netns);
    }

    #[test]
    fn a_legacy_table_is_told_by_its_whole_name() {
        assert!(lists_nat("filter\nnat\n"));
        assert!(!lists_nat("filter\nmangle\n"));
        assert!(!lists_nat("natural\n"));
    }

    #[test]
    fn the_start_time_is_found_behind_a_hostile_name() {
        let stat = "1 (a) b 7) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 42 100 5";
        assert_eq!(start_time(stat), "42");
        assert_eq!(start_time(""), "");
    }
}
