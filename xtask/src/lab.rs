//! A throw-away lab: a "VPS" and a client, two network namespaces on one machine, joined by a veth pair.
//!
//! - Nothing outside the two namespaces and one temporary directory is touched; both go when the [`Lab`] is
//!   dropped, on a panic and on Ctrl-C too.
//! - `pm` runs in the VPS with its own configuration, state and run directories. After each run the lab checks
//!   that `nft list ruleset` prints and that what it printed loads again, so that no test has to think of it.
//! - In a machine of its own ([`Lab::on_this_machine`]) the VPS is that machine, and what a lab leaves there goes
//!   with the lab too: the veth pair, the whole ruleset.
//! - Addresses: VPS 10.77.0.1 and fd77::1, client 10.77.0.2 and fd77::2.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::cleanup::{self, Leftover};
use crate::namespace::{Namespace, Output, run};
use crate::truth::{self, Bytes, Place};

/// A program that a lab calls, and the Debian package that has it.
pub(crate) const PROGRAMS: [(&str, &str); 7] = [
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("ethtool", "ethtool"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("python3", "python3"),
];

/// The lab. Make one per test.
#[derive(Debug)]
pub(crate) struct Lab {
    /// The server's namespace: pm and the services run here.
    pub(crate) vps: Namespace,
    /// The client's namespace.
    pub(crate) client: Namespace,
    /// An empty one, to try things in.
    pub(crate) scratch: Namespace,
    directory: PathBuf,
    pm: PathBuf,
    own_directories: bool,
    /// Whether a machine of its own stays as the lab made it.
    machine_stays: bool,
    seed: u64,
    made: Instant,
    /// How old the lab is by pm's boot clock; `None`: as old as it is.
    age: Option<Duration>,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    /// IPv4, 20 bytes of header.
    V4,
    /// IPv6, 40 bytes of header.
    V6,
}

/// One service as `pm list --json` shows it; the fields that tests compare.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Service {
    /// A port or a range.
    pub(crate) port: String,
    /// The operator's text.
    pub(crate) note: String,
    /// The group whose quota it shares.
    pub(crate) group: Option<String>,
    /// `both`, `out` or `max`.
    pub(crate) mode: String,
    /// What arrived in this period.
    pub(crate) in_bytes: u64,
    /// What was sent in this period.
    pub(crate) out_bytes: u64,
    /// The operator's correction.
    pub(crate) adjust_bytes: i64,
    /// What counts against the quota.
    pub(crate) billed_bytes: u64,
    /// The quota, if there is one.
    pub(crate) quota_bytes: Option<u64>,
    /// `ok`, `punished` or `blocked`.
    pub(crate) state: String,
    /// Why it is blocked.
    pub(crate) blocked_by: Option<String>,
    /// How fast it may send now, in bits a second.
    pub(crate) ceil_bps: Option<u64>,
    /// How fast it may receive now, in bits a second.
    pub(crate) ceil_in_bps: Option<u64>,
    /// For how long it is still punished.
    pub(crate) punished_seconds: Option<u64>,
    /// The date of the next reset.
    pub(crate) next_reset: Option<String>,
}

/// One group as `pm list --json` shows it; the fields that tests compare.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: String,
    /// Its services.
    pub(crate) members: Vec<String>,
    /// What its members received in this period.
    pub(crate) in_bytes: u64,
    /// What they sent.
    pub(crate) out_bytes: u64,
    /// What counts against the quota.
    pub(crate) billed_bytes: u64,
    /// `ok` or `blocked`.
    pub(crate) state: String,
}

#[derive(Deserialize)]
struct Listing {
    version: u32,
    services: Vec<Service>,
    groups: Vec<Group>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// How long to wait for something that must happen. Long, because a loaded machine is no fault of pm.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Lab {
    /// Makes a lab whose `pm` is the program at `pm`. `seed` is for the test's own random choices.
    ///
    /// # Errors
    ///
    /// Without root, or when `ip`, `nft`, `ethtool` or `nsenter` are missing.
    pub(crate) fn new(pm: &Path, seed: u64) -> Result<Self> {
        require_root()?;
        let prefix = next_prefix();
        let vps = Namespace::create(&format!("{prefix}-vps"))?;
        Self::around(vps, &prefix, pm, seed)
    }

    /// Makes a lab whose VPS is the machine that this runs on, with a network card of four queues. For machines that
    /// are there for nothing else.
    ///
    /// # Errors
    ///
    /// As [`Lab::new`].
    pub(crate) fn on_this_machine(pm: &Path) -> Result<Self> {
        Self::around(Namespace::ours(), &next_prefix(), pm, 0)
    }

    fn around(vps: Namespace, prefix: &str, pm: &Path, seed: u64) -> Result<Self> {
        let directory = std::env::temp_dir().join(prefix);
        cleanup::register(Leftover::Directory(directory.clone()));
        std::fs::create_dir(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        for name in ["config", "state", "run"] {
            std::fs::create_dir(directory.join(name))?;
        }
        let lab = Self {
            vps,
            client: Namespace::create(&format!("{prefix}-client"))?,
            scratch: Namespace::create(&format!("{prefix}-scratch"))?,
            directory,
            pm: pm.to_owned(),
            own_directories: false,
            machine_stays: false,
            seed,
            made: Instant::now(),
            age: None,
        };
        lab.connect()?;
        Ok(lab)
    }

    /// Returns the seed of this run.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the program under test.
    pub(crate) fn pm_path(&self) -> &Path {
        &self.pm
    }

    /// Tests another program from now on.
    pub(crate) fn use_program(&mut self, pm: PathBuf) {
        self.pm = pm;
    }

    /// Returns the lab's own directory; world-readable, so that a test may run something as another user.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the directory of `config.json`.
    pub(crate) fn config_dir(&self) -> PathBuf {
        self.directory.join("config")
    }

    /// Returns the directory of `state.db`.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Returns the directory of the locks.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Lets pm use the directories that it has by itself, as an operator's does, from now on.
    pub(crate) fn use_pms_own_directories(&mut self) {
        self.own_directories = true;
    }

    /// Puts pm where an installer does, and runs it from there.
    ///
    /// # Errors
    ///
    /// When this is no machine of its own, or the program cannot be copied.
    pub(crate) fn install_pm(&mut self) -> Result<()> {
        ensure!(self.vps.is_ours(), "pm is installed on test machines only");
        let path = PathBuf::from("/usr/local/bin/pm");
        std::fs::copy(&self.pm, &path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.pm = path;
        Ok(())
    }

    /// Leaves the machine's rules as they are when the lab goes: what happens at shutdown is the test.
    pub(crate) fn leave_machine(&mut self) {
        self.machine_stays = true;
    }

    /// Replaces the VPS's namespace by a fresh one, as when a container restarts: same boot id, same files, no ruleset.
    ///
    /// # Errors
    ///
    /// When a namespace cannot be made.
    pub(crate) fn restart_vps(&mut self) -> Result<()> {
        ensure!(!self.vps.is_ours(), "this machine cannot be restarted");
        let name = self.vps.name().to_owned();
        // The pair goes by hand: an open socket would keep the old namespace, and its end, alive.
        self.client.ip("link del eth0\n")?;
        cleanup::discard(&Leftover::Namespace(name.clone()));
        let fresh = Namespace::create(&name)?;
        // The old handle must not delete the new namespace of the same name.
        std::mem::forget(std::mem::replace(&mut self.vps, fresh));
        self.connect()
    }

    /// From now on, pm runs in a time in which the lab was made `age` ago; everything else runs in the present.
    ///
    /// It is a time namespace: pm's boot clock differs, the wall clock does not.
    pub(crate) fn aged(&mut self, age: Duration) -> &Self {
        self.age = Some(age);
        self
    }

    /// Undoes [`Lab::aged`].
    pub(crate) fn in_the_present(&mut self) {
        self.age = None;
    }

    /// Returns a command line of pm in the VPS that has not run yet, for tests that kill it or change its environment.
    pub(crate) fn pm_command(&self, args: &[&str]) -> Command {
        self.pm_command_under(&[], args)
    }

    /// As [`Lab::pm_command`], under a wrapper such as `strace` with its options.
    pub(crate) fn pm_command_under(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let ahead = self.age.map(|age| {
            let seconds = age.as_secs_f64() - self.made.elapsed().as_secs_f64();
            format!("--boottime={seconds:.0}")
        });
        let shifted = ahead
            .iter()
            .flat_map(|ahead| ["unshare", "--fork", "--time", ahead.as_str(), "--"]);
        let mut words = shifted
            .chain(wrapper.iter().copied())
            .map(OsStr::new)
            .chain([self.pm.as_os_str()]);
        let mut command = self.vps.command(words.next().unwrap_or_default());
        command.args(words).args(args);
        for (key, _) in std::env::vars_os() {
            let text = key.to_string_lossy();
            if text.starts_with("SSH_")
                || text.starts_with("PM_")
                || text.starts_with("LC_")
                || text == "LANGUAGE"
            {
                command.env_remove(&key);
            }
        }
        command.env("LANG", "C.UTF-8").env("TZ", "UTC");
        if !self.own_directories {
            command
                .env("PM_CONFIG_DIR", self.config_dir())
                .env("PM_STATE_DIR", self.state_dir())
                .env("PM_RUN_DIR", self.run_dir());
        }
        command
    }

    /// Runs pm in the VPS and checks what is left: no panic, a ruleset that prints and loads again.
    ///
    /// # Errors
    ///
    /// When one of these checks fails; pm's own exit code is for the caller to judge.
    pub(crate) fn pm(&self, args: &[&str]) -> Result<Output> {
        self.finish(&mut self.pm_command(args))
    }

    /// Runs a command made by [`Lab::pm_command`] to its end, with the checks of [`Lab::pm`].
    ///
    /// # Errors
    ///
    /// As [`Lab::pm`].
    pub(crate) fn finish(&self, command: &mut Command) -> Result<Output> {
        let output = run(command, None)?;
        let what = shown(command);
        ensure!(
            !output.stderr.contains("panicked at"),
            "{what} panicked: {}",
            output.stderr
        );
        ensure!(
            output.code.is_some(),
            "{what} was ended by a signal: {}",
            output.stderr
        );
        self.check_ruleset()
            .with_context(|| format!("after {what}"))?;
        Ok(output)
    }

    /// Runs pm, which must succeed; returns its standard output.
    ///
    /// # Errors
    ///
    /// When it exits with anything but 0.
    pub(crate) fn ok(&self, args: &[&str]) -> Result<String> {
        self.pm(args)?
            .success()
            .with_context(|| format!("pm {}", args.join(" ")))
    }

    /// Runs pm, which must refuse: exit code 1 or 2, one `error:` on stderr that contains each of `words`.
    ///
    /// # Errors
    ///
    /// When it does anything else.
    pub(crate) fn refused(&self, args: &[&str], words: &[&str]) -> Result<String> {
        let output = self.pm(args)?;
        check_refusal(&output, words).with_context(|| format!("pm {}", args.join(" ")))?;
        Ok(output.stderr)
    }

    /// Returns all services as `pm list --json` shows them.
    ///
    /// # Errors
    ///
    /// When pm fails or prints another schema.
    pub(crate) fn list(&self) -> Result<Vec<Service>> {
        Ok(self.listing()?.services)
    }

    /// Returns a group as `pm list --json` shows it.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub(crate) fn group(&self, name: &str) -> Result<Group> {
        let all = self.listing()?.groups;
        let found = all.into_iter().find(|group| group.name == name);
        found.with_context(|| format!("there is no group {name}"))
    }

    fn listing(&self) -> Result<Listing> {
        let text = self.ok(&["list", "--json"])?;
        let listing: Listing = serde_json::from_str(&text)
            .with_context(|| format!("`pm list --json` printed {text}"))?;
        ensure!(
            listing.version == 1,
            "`pm list --json` has version {}",
            listing.version
        );
        Ok(listing)
    }

    /// Returns one service.
    ///
    /// # Errors
    ///
    /// When there is none of that port.
    pub(crate) fn service(&self, port: &str) -> Result<Service> {
        let all = self.list()?;
        let ports: Vec<_> = all.iter().map(|service| service.port.clone()).collect();
        all.into_iter()
            .find(|service| service.port == port)
            .with_context(|| format!("no service {port} among {ports:?}"))
    }

    /// Starts counting ports in the client, the reference for accounting. A service must not exist before.
    ///
    /// # Errors
    ///
    /// When nft refuses.
    pub(crate) fn watch(&self, ports: &[&str]) -> Result<()> {
        truth::watch_client(&self.client, ports)
    }

    /// Starts counting ports in the VPS on both sides of pm, the reference for cuts.
    ///
    /// # Errors
    ///
    /// When nft refuses.
    pub(crate) fn watch_cut(&self, ports: &[&str]) -> Result<()> {
        truth::watch_server(&self.vps, ports)
    }

    /// Returns what went over the wire for one watched port, at one place.
    ///
    /// # Errors
    ///
    /// When it is not watched.
    pub(crate) fn truth(&self, place: Place, port: &str) -> Result<Bytes> {
        let namespace = if place == Place::Client {
            &self.client
        } else {
            &self.vps
        };
        let all: BTreeMap<String, Bytes> = truth::read(namespace, place)?;
        all.get(port)
            .copied()
            .with_context(|| format!("port {port} is not watched"))
    }

    /// Checks that pm bills each port exactly what the client counted since it was first watched.
    ///
    /// # Errors
    ///
    /// With both figures, if they still differ when traffic has been at rest for long, or if it
    /// never rests.
    pub(crate) fn exact(&self, ports: &[&str]) -> Result<()> {
        for port in ports {
            self.exact_since(port, Bytes::default())?;
        }
        Ok(())
    }

    /// As [`Lab::exact`], counted from an earlier reading of the truth.
    ///
    /// # Errors
    ///
    /// As [`Lab::exact`].
    pub(crate) fn exact_since(&self, port: &str, earlier: Bytes) -> Result<()> {
        // The kernel may still answer a last FIN. Totals only grow, so figures that agree once agree at rest.
        let started = Instant::now();
        loop {
            let truth = self.truth(Place::Client, port)? - earlier;
            let billed = self.service(port)?.bytes();
            if billed == truth {
                return Ok(());
            }
            let settled = self.truth(Place::Client, port)? - earlier == truth;
            if settled && started.elapsed() > Duration::from_secs(1) {
                bail!("port {port}: pm says {billed:?}, the wire says {truth:?}");
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "port {port}: there is traffic all the time, so nothing can be compared"
            );
        }
    }

    /// Checks that `nft list ruleset` prints in the VPS, and that what it printed loads into an empty namespace and
    /// prints the same there.
    ///
    /// # Errors
    ///
    /// With nft's words, or the first line that differs.
    pub(crate) fn check_ruleset(&self) -> Result<String> {
        let printed = self
            .vps
            .nft(&["list", "ruleset"])
            .context("`nft list ruleset` fails")?;
        self.scratch
            .nft_load(&format!("flush ruleset\n{printed}"))
            .with_context(|| {
                format!("what `nft list ruleset` printed does not load again:\n{printed}")
            })?;
        let again = self.scratch.nft(&["list", "ruleset"])?;
        if printed != again {
            let line = printed.lines().zip(again.lines()).find(|(a, b)| a != b);
            bail!("the ruleset changes when it is reloaded: {line:?}");
        }
        Ok(printed)
    }

    /// Returns pm's table as nft prints it; empty if there is none.
    ///
    /// # Errors
    ///
    /// When nft fails.
    pub(crate) fn table(&self) -> Result<String> {
        let all = self.vps.nft(&["list", "tables"])?;
        if all.lines().any(|line| line == "table inet port_monitor") {
            self.vps.nft(&["list", "table", "inet", "port_monitor"])
        } else {
            Ok(String::new())
        }
    }

    /// Mounts a file system of `size` (as `tmpfs` reads it) on a directory of the lab until the lab goes.
    ///
    /// # Errors
    ///
    /// When `mount` refuses.
    pub(crate) fn mount_small(&self, directory: &Path, size: &str) -> Result<()> {
        cleanup::register(Leftover::Mount(directory.to_owned()));
        let mut mount = Command::new("mount");
        mount
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "tmpfs",
            ])
            .arg(directory);
        run(&mut mount, None)?.success()?;
        Ok(())
    }

    fn connect(&self) -> Result<()> {
        let (vps, client) = (self.vps.name(), self.client.name());
        let queues = if self.vps.is_ours() {
            "numtxqueues 4 numrxqueues 4"
        } else {
            ""
        };
        // The addresses are there from the start: udev gives a card that has none of its own another.
        let line = format!(
            "link add eth0 address 02:00:00:00:00:01 {queues} netns {vps} \
             type veth peer name eth0 address 02:00:00:00:00:02 netns {client}"
        );
        run(Command::new("ip").args(line.split_whitespace()), None)?
            .success()
            .context("cannot make a veth pair")?;
        for (namespace, own, other) in [(&self.vps, 1, 2), (&self.client, 2, 1)] {
            // No link-local address: its duplicate detection would be traffic of its own. Fixed neighbours: the
            // kernel may drop what waits for an address to be resolved, and a test would take it for a cut.
            namespace.ip(&format!(
                "link set eth0 addrgenmode none\n\
                 addr add 10.77.0.{own}/24 dev eth0\n\
                 addr add fd77::{own}/64 dev eth0 nodad\n\
                 link set eth0 up\n\
                 neigh replace 10.77.0.{other} lladdr 02:00:00:00:00:0{other} dev eth0 nud permanent\n\
                 neigh replace fd77::{other} lladdr 02:00:00:00:00:0{other} dev eth0 nud permanent\n\
                 route add default via 10.77.0.{other}\n"
            ))?;
            // GRO would merge packets between the two counts.
            run(
                namespace
                    .command("ethtool")
                    .args(["-K", "eth0", "gro", "off"]),
                None,
            )?
            .success()?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        cleanup::discard(&Leftover::Mount(self.state_dir()));
        cleanup::discard(&Leftover::Mount(self.config_dir()));
        cleanup::discard(&Leftover::Mount(self.directory.join("bin")));
        cleanup::discard(&Leftover::Directory(self.directory.clone()));
        if self.vps.is_ours() && !self.machine_stays {
            let _ = self.vps.ip("link del eth0\n");
            let _ = self.vps.nft(&["flush", "ruleset"]);
        }
    }
}

impl Family {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the VPS's address.
    pub(crate) fn vps(self) -> IpAddr {
        self.address(1)
    }

    /// Returns the client's address.
    pub(crate) fn client(self) -> IpAddr {
        self.address(2)
    }

    /// Returns the length of a UDP datagram of `payload` bytes as an IP packet.
    pub(crate) fn udp_length(self, payload: usize) -> u64 {
        let headers = match self {
            Self::V4 => 20 + 8,
            Self::V6 => 40 + 8,
        };
        headers + payload as u64
    }

    fn address(self, host: u16) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, 77, 0, host as u8).into(),
            Self::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, host).into(),
        }
    }
}

impl Service {
    /// Returns its bytes in the form of the truth.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes {
            inbound: self.in_bytes,
            outbound: self.out_bytes,
        }
    }
}

impl Group {
    /// Returns its bytes in the form of the truth.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes {
            inbound: self.in_bytes,
            outbound: self.out_bytes,
        }
    }
}

/// Checks that an outcome of pm is a clean refusal: exit code 1 or 2, an `error:` with each of `words` in it.
///
/// # Errors
///
/// With what it printed, when it is not.
pub(crate) fn check_refusal(output: &Output, words: &[&str]) -> Result<()> {
    ensure!(
        // What each of them means stands in docs/recipes.md.
        matches!(output.code, Some(1..=4)),
        "expected a refusal, got exit code {:?}: {}{}",
        output.code,
        output.stdout,
        output.stderr
    );
    ensure!(
        output.stderr.contains("error"),
        "stderr names no error: {:?}",
        output.stderr
    );
    for word in words {
        ensure!(
            output.stderr.contains(word),
            "the error does not mention {word:?}: {}",
            output.stderr.trim()
        );
    }
    Ok(())
}

/// Calls `done` until it returns true.
///
/// # Errors
///
/// When it has not after [`PATIENCE`]; `what` says what was waited for.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(
            started.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain: {what}"
        );
        std::thread::yield_now();
    }
    Ok(())
}

/// Refuses to go on without root.
///
/// # Errors
///
/// Without root.
pub(crate) fn require_root() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run the same command under `sudo -E env \"PATH=$PATH\"` (nothing outside its own namespaces is touched)"
    );
    Ok(())
}

fn next_prefix() -> String {
    format!(
        "pmlab-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy())
        .collect();
    format!("`{}`", words.join(" "))
}
