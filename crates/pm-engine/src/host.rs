//! Facts about the host that the rules depend on.

use std::fs;
use std::ops::RangeInclusive;

use pm_core::port::PortRange;

use crate::EngineError;

/// The oldest kernel whose nf_tables does all that pm asks of it.
const OLDEST_KERNEL: (u32, u32) = (5, 10);

/// Refuses a kernel that is too old, before anything is tried on it.
pub(crate) fn require_kernel() -> Result<(), EngineError> {
    let release = kernel_release();
    match parse_release(&release) {
        Some(version) if version < OLDEST_KERNEL => Err(EngineError::OldKernel { release }),
        // A release that cannot be read is no reason to refuse a kernel that may do.
        _ => Ok(()),
    }
}

/// Returns what `uname -r` says, or nothing.
pub fn kernel_release() -> String {
    let Ok(names) = nix::sys::utsname::uname() else {
        return String::new();
    };
    names.release().to_string_lossy().into_owned()
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns the range from which the host takes ports for its own connections.
///
/// Source: ip-sysctl, `ip_local_port_range`.
pub fn ephemeral_ports() -> Option<RangeInclusive<u16>> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(first), Ok(last)) => Some(first..=last),
        _ => None,
    }
}

/// Returns the ports that the host leaves out of that range.
///
/// Source: ip-sysctl, `ip_local_reserved_ports`.
pub fn reserved_ports() -> Vec<PortRange> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports");
    let text = text.unwrap_or_default();
    text.trim()
        .split(',')
        .filter_map(|range| range.parse().ok())
        .collect()
}

/// Whether a process of that name runs.
///
/// Source: proc(5), `/proc/[pid]/comm`.
pub fn has_process(name: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("comm")).ok())
        .any(|comm| comm.trim_end() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_all_kinds_are_read() {
        assert_eq!(parse_release("6.1.0-28-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.10"), Some((5, 10)));
        assert_eq!(parse_release("5.4.0-generic"), Some((5, 4)));
        assert_eq!(parse_release("rolling"), None);
    }

    #[test]
    fn version_5_9_is_older_than_5_10() {
        assert!(parse_release("5.9.16") < Some(OLDEST_KERNEL));
        assert!(parse_release("5.10.0") >= Some(OLDEST_KERNEL));
        assert!(parse_release("10.0.1") >= Some(OLDEST_KERNEL));
    }
}
