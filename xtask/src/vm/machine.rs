//! One boot of an image, and what its job reports.
//!
//! - The guest has 512 MB, as small servers do, and no network card: traffic is made between namespaces inside it.
//! - What it writes to an image goes to a file that has no name, and is gone with the machine. A disk of its own
//!   outlives it, and can be booted again.
//! - The job's lines come over a port of their own, one by one, so that they can be shown when they are written.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::image::Image;
use crate::cleanup::{self, Leftover};

/// A machine that runs. It is switched off on drop.
#[derive(Debug)]
pub(super) struct Machine {
    qemu: Child,
    lines: Receiver<std::io::Result<String>>,
    console: PathBuf,
}

impl Machine {
    /// Switches a machine on that boots from `own`, a copy of the image's disk, or from the image itself. The file
    /// `job` is its second disk. `directory` gets the console's log.
    ///
    /// # Errors
    ///
    /// When qemu cannot be started; what happens later is for [`Machine::line`] to tell.
    pub(super) fn boot(
        image: &Image,
        own: Option<&Path>,
        job: &Path,
        directory: &Path,
    ) -> Result<Self> {
        let console = directory.join("console.log");
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(acceleration())
            .args(["-smp", "2", "-m", "512"])
            .args("-nodefaults -no-user-config -display none -nic none".split(' '))
            // A guest that panics ends the process.
            .args(["-no-reboot", "-append"])
            // On a busy machine the timer's interrupts come too late for the kernel's test of the timer.
            .arg("root=/dev/vda rw console=ttyS0 panic=-1 no_timer_check quiet")
            .arg("-kernel")
            .arg(image.kernel())
            .arg("-initrd")
            .arg(image.initrd())
            .arg("-serial")
            .arg(format!("file:{}", console.display()));
        let root = match own {
            Some(disk) => (disk.to_owned(), "cache=unsafe", ""),
            None => (image.disk(), "snapshot=on,cache=unsafe", ""),
        };
        for (disk, options, device) in [root, (job.to_owned(), "readonly=on", ",serial=job")] {
            let id = if device.is_empty() { "root" } else { "job" };
            // A comma ends the value; two are one in it.
            let file = disk.display().to_string().replace(',', ",,");
            command
                .arg("-drive")
                .arg(format!("file={file},id={id},if=none,format=raw,{options}"))
                .arg("-device")
                .arg(format!("virtio-blk-pci,drive={id}{device}"));
        }
        command
            .args(["-object", "rng-random,id=entropy,filename=/dev/urandom"])
            .args(["-device", "virtio-rng-pci,rng=entropy"])
            .args(["-chardev", "stdio,id=report,signal=off"])
            .args(["-device", "virtio-serial-pci"])
            .args(["-device", "virtserialport,chardev=report,name=report"])
            // Where the nameless file goes.
            .env("TMPDIR", directory)
            // At the end of its input the port would count as unplugged.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut qemu = command.spawn().context("cannot start qemu")?;
        cleanup::register(Leftover::Process(qemu.id()));
        let (sender, lines) = sync_channel(100);
        if let Some(report) = qemu.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(report).lines() {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            qemu,
            lines,
            console,
        })
    }

    /// Waits for the next line of the job's report; `None` when the machine has ended.
    ///
    /// # Errors
    ///
    /// When there is none for so long.
    pub(super) fn line(&self, patience: Duration) -> Result<Option<String>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(line?)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("no word for {patience:?}"),
        }
    }

    /// Returns the last lines on the console, for people to read.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Killed before it is waited for, so the number is still its own.
        cleanup::discard(&Leftover::Process(self.qemu.id()));
        let _ = self.qemu.wait();
    }
}

/// A `/dev/kvm` that opens is not enough: under a hypervisor that has no hardware's help itself, a stock kernel is
/// emulated a thousand times slower and then stops.
fn acceleration() -> [&'static str; 4] {
    let modules = ["/sys/module/kvm_intel", "/sys/module/kvm_amd"];
    let helped = modules.iter().any(|path| Path::new(path).exists());
    let opens = fs::File::options().write(true).open("/dev/kvm").is_ok();
    if helped && opens {
        ["-accel", "kvm", "-cpu", "host"]
    } else {
        // A plain processor: fewer modules are loaded for it.
        ["-accel", "tcg,tb-size=256", "-cpu", "qemu64,svm=off"]
    }
}
