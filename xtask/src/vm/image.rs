//! The machine's disk: Debian as its installer leaves it, with the distribution's own kernel.
//!
//! - It is made of the same release as this machine and from the same package sources, so that programs built here
//!   run there.
//! - It is kept under the target directory, named after its recipe: another recipe is another image. It is never
//!   written to.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::MARKER;
use crate::cleanup::{self, Leftover};
use crate::namespace::run;

/// What starts services in a machine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum System {
    /// systemd, which is Debian's own choice.
    Systemd,
    /// OpenRC and cron, under sysvinit's init.
    OpenRc,
}

/// What a server has, what the tests call, and nothing else.
const PACKAGES: &[&str] = &[
    "ethtool",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "linux-image-cloud-amd64",
    "nftables",
    "procps",
    "udev",
];

impl System {
    /// Both.
    const ALL: [Self; 2] = [Self::Systemd, Self::OpenRc];

    /// Returns the packages that make it this system.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Systemd => &["systemd-sysv"],
            Self::OpenRc => &["cron", "openrc", "sysvinit-core"],
        }
    }
}

/// Documentation costs a third of the time; nothing else is left out.
const LEFT_OUT: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// Runs before the kernel is installed. An initrd with the root disk's drivers only is unpacked sooner.
const SMALL_INITRD: &str = r#"
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
printf 'MODULES=list\nCOMPRESS=gzip\n' >"$1/etc/initramfs-tools/conf.d/vm"
printf 'ext4\nvirtio_blk\nvirtio_pci\n' >"$1/usr/share/initramfs-tools/modules.d/vm"
"#;

const JOB_PROGRAM: &str = include_str!("guest/vm-job.sh");
const JOB_UNIT: &str = include_str!("guest/vm-job.service");
/// The same for sysvinit's init: once, after the runlevel's own services.
const JOB_LINE: &str = "vj:2345:once:/usr/lib/vm-job >/dev/console 2>&1\n";

/// The disk's size; the file has holes.
const SIZE: &str = "1G";

/// An image, ready to boot.
#[derive(Debug)]
pub(super) struct Image {
    directory: PathBuf,
}

/// All that makes an image what it is.
#[derive(Debug, Hash)]
struct Recipe {
    /// Debian's name of the release.
    release: String,
    /// The file with the package sources, and its text.
    sources: (PathBuf, String),
    /// The rest is the same on all machines.
    constants: [&'static str; 6],
    packages: &'static [&'static str],
    system: System,
    left_out: &'static [&'static str],
}

impl Image {
    /// Returns the image of a system in `directory`, and makes it where there is none of the present recipe.
    ///
    /// # Errors
    ///
    /// With the last words of the program that failed; a half-made image is not left behind.
    pub(super) fn in_directory(directory: &Path, system: System) -> Result<Self> {
        let recipe = Recipe::read(system)?;
        let image = Self {
            directory: directory.join(recipe.name()),
        };
        if image.disk().exists() {
            return Ok(image);
        }
        println!(
            "making an image of Debian {} with {system:?}, which takes about a minute",
            recipe.release
        );
        discard_others(directory)?;
        let workshop = directory.join(format!("making-{}", std::process::id()));
        cleanup::register(Leftover::Directory(workshop.clone()));
        let made = recipe.make(&workshop).and_then(|()| {
            // Another process may have been faster; its image is as good.
            match fs::rename(&workshop, &image.directory) {
                Err(error) if !image.disk().exists() => Err(error.into()),
                _ => Ok(()),
            }
        });
        cleanup::discard(&Leftover::Directory(workshop));
        made.context("cannot make the image")?;
        Ok(image)
    }

    /// Returns the file with the root file system.
    pub(super) fn disk(&self) -> PathBuf {
        self.directory.join("root.img")
    }

    /// Copies the disk into `directory`, for a machine that keeps what it writes.
    ///
    /// # Errors
    ///
    /// When there is no room.
    pub(super) fn copy(&self, directory: &Path) -> Result<PathBuf> {
        let copy = directory.join("disk.img");
        let mut command = Command::new("cp");
        command.args(["--sparse=always", "--reflink=auto"]);
        succeed(command.arg(self.disk()).arg(&copy))?;
        Ok(copy)
    }

    /// Returns the kernel.
    pub(super) fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// Returns what the kernel unpacks first.
    pub(super) fn initrd(&self) -> PathBuf {
        self.directory.join("initrd.img")
    }
}

impl Recipe {
    fn read(system: System) -> Result<Self> {
        let release = super::debian_release().context("this is no Debian")?;
        let sources = ["sources.list.d/debian.sources", "sources.list"]
            .map(|name| Path::new("/etc/apt").join(name))
            .into_iter()
            .find(|path| path.exists())
            .context("apt has no package sources")?;
        let text = fs::read_to_string(&sources)?;
        Ok(Self {
            release,
            sources: (sources, text),
            constants: [SMALL_INITRD, JOB_PROGRAM, JOB_UNIT, JOB_LINE, SIZE, MARKER],
            packages: PACKAGES,
            system,
            left_out: LEFT_OUT,
        })
    }

    /// Returns the name of the image that it makes.
    fn name(&self) -> String {
        let mut hash = DefaultHasher::new();
        self.hash(&mut hash);
        format!("image-{:016x}", hash.finish())
    }

    fn make(&self, workshop: &Path) -> Result<()> {
        fs::create_dir_all(workshop)?;
        let root = workshop.join("root");
        let packages = [self.packages, self.system.packages()].concat();
        let mut bootstrap = Command::new("mmdebstrap");
        bootstrap
            .args(["--mode=root", "--variant=minbase"])
            .arg(format!("--include={}", packages.join(",")))
            .arg(format!("--essential-hook={SMALL_INITRD}"));
        for path in self.left_out {
            bootstrap.arg(format!("--dpkgopt=path-exclude={path}"));
        }
        bootstrap.arg(&self.release).arg(&root).arg(&self.sources.0);
        succeed(&mut bootstrap)?;
        furnish(&root, self.system)?;
        for (pattern, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd.img")] {
            let found = find_by_prefix(&root.join("boot"), pattern)?;
            fs::copy(found, workshop.join(name))?;
        }
        // The name that makes the image whole comes last.
        let disk = workshop.join("root.img");
        file_system(&root, &disk, SIZE)?;
        fs::remove_dir_all(root)?;
        Ok(())
    }
}

/// Makes an ext4 file system of `size` in the file `disk` with what is in `directory`.
///
/// # Errors
///
/// When it does not fit.
pub(super) fn file_system(directory: &Path, disk: &Path, size: &str) -> Result<()> {
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-t", "ext4", "-d"])
        .args([directory, disk])
        .arg(size);
    succeed(&mut make)
}

/// Puts what a guest needs into its root, and takes away what it must not keep.
fn furnish(root: &Path, system: System) -> Result<()> {
    fs::write(root.join("etc/hostname"), "vps\n")?;
    fs::write(
        root.join("etc/fstab"),
        "/dev/vda / ext4 errors=remount-ro 0 1\n",
    )?;
    // Set at the first boot, as on a new server.
    fs::write(root.join("etc/machine-id"), "")?;
    fs::write(root.join(MARKER.trim_start_matches('/')), "")?;
    fs::remove_file(root.join("etc/apt/sources.list")).or_else(missing_is_fine)?;
    for entry in fs::read_dir(root.join("etc/apt/sources.list.d"))? {
        fs::remove_file(entry?.path())?;
    }
    let program = root.join("usr/lib/vm-job");
    fs::write(&program, JOB_PROGRAM)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    match system {
        System::Systemd => {
            let units = root.join("etc/systemd/system");
            fs::write(units.join("vm-job.service"), JOB_UNIT)?;
            let wanted = units.join("multi-user.target.wants");
            fs::create_dir_all(&wanted)?;
            symlink("../vm-job.service", wanted.join("vm-job.service"))?;
        }
        System::OpenRc => {
            let table = root.join("etc/inittab");
            let text = fs::read_to_string(&table)?;
            fs::write(table, text + JOB_LINE)?;
        }
    }
    Ok(())
}

/// Removes images of other recipes, and what builds that were killed have left.
fn discard_others(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let present = System::ALL.map(|system| Ok(Recipe::read(system)?.name()));
    let present = present.into_iter().collect::<Result<Vec<_>>>()?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix("making-");
        let abandoned = maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        let outdated = name.starts_with("image-") && !present.contains(&name);
        if abandoned || outdated {
            fs::remove_dir_all(entry.path()).or_else(missing_is_fine)?;
        }
    }
    Ok(())
}

fn find_by_prefix(directory: &Path, prefix: &str) -> Result<PathBuf> {
    fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().and_then(OsStr::to_str);
            name.is_some_and(|name| name.starts_with(prefix))
        })
        .with_context(|| format!("no {prefix}* in {}", directory.display()))
}

/// Takes a file that is not there for one that was removed.
pub(super) fn missing_is_fine(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = run(command, None)?;
    let last: Vec<_> = output.stderr.lines().rev().take(10).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    ensure!(output.code == Some(0), "{name} failed: {}", last.join("\n"));
    Ok(())
}
