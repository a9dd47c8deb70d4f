//! Waiting until no packet runs an older generation of the rules any more.

use std::io;

use nix::unistd::{SysconfVar, sysconf};

/// `include/uapi/linux/membarrier.h`, `MEMBARRIER_CMD_GLOBAL`.
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1 << 0;

/// Waits for an RCU grace period: packets that were in the old rules when it was called have left
/// them when it returns.
///
/// The kernel implements this membarrier command by `synchronize_rcu()`. It skips the wait where
/// only one CPU is online, although a preempted sender may then still be inside the rules; that
/// case is an error here, so that the caller looks for another way.
///
/// # Errors
///
/// `Unsupported` with one CPU online, and the kernel's own error with `nohz_full` (EINVAL) or
/// where a sandbox forbids the call (ENOSYS, EPERM). Nothing has been waited for then.
///
/// Source: membarrier(2); `kernel/sched/membarrier.c`.
pub fn wait_for_grace_period() -> io::Result<()> {
    match sysconf(SysconfVar::_NPROCESSORS_ONLN) {
        Ok(Some(online)) if online > 1 => membarrier_global(),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

// nix has no wrapper for membarrier(2).
#[allow(unsafe_code)]
fn membarrier_global() -> io::Result<()> {
    // SAFETY: membarrier takes three integers, reads and writes no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_returns() {
        if let Err(error) = super::wait_for_grace_period() {
            println!("no membarrier here: {error}");
        }
    }
}
