//! What the tests share: a namespace, the real `nft`, and what they want of pm.

use std::io::Write;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use pm_nft::Nftables;

pub(crate) use crate::wanted::*;

/// Runs `test` in a new network namespace, which goes with the thread.
pub(crate) fn in_namespace(test: impl FnOnce(&mut Nftables) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            println!("skipped: needs root");
            return;
        }
        test(&mut Nftables::open().unwrap());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs nft in the thread's namespace with `input` as its file, and returns what it prints.
pub(crate) fn nft(input: &str) -> String {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && errors.is_empty(),
        "nft: {input}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Loads what `nft list ruleset` prints, in the place of what there is.
pub(crate) fn reload() {
    let listing = nft("list ruleset\n");
    nft("flush ruleset\n");
    nft(&listing);
    assert_eq!(nft("list ruleset\n"), listing);
}
