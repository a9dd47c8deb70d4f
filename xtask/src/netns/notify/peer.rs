//! Servers that are programs of their own, in the lab's VPS, and the authorities that vouch for them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::{Lab, wait_until};
use crate::namespace::run;
use crate::test;

/// Where the programs are that belong to these tests.
const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/netns/notify/servers");

/// Where those are that they share with pm-notify's.
const SHARED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/pm-notify/tests/servers"
);

/// A program that prints its port, and then a line of JSON for each thing that it gets.
pub(super) struct Peer {
    child: Child,
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Peer {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let what = format!("{command:?}");
        // What is on the way to a registry is not on the way to a neighbour.
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env_remove(proxy);
        }
        // Python says at length who hung up.
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let port = lines.next().and_then(Result::ok);
        let port = port.and_then(|line| line.trim().parse().ok());
        let port = port.with_context(|| format!("{what} says no port"))?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                all.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(value);
            }
        });
        Ok(Self { child, port, seen })
    }

    /// Starts one that is written in Python.
    pub(super) fn python(lab: &Lab, python: &str, program: &Path, args: &[&str]) -> Result<Self> {
        let mut command = lab.vps.command(python);
        command.arg(program).args(args);
        Self::start(command)
    }

    /// Starts the strict Bot API, which knows one token.
    pub(super) fn bot_api(lab: &Lab, token: &str, elsewhere: &str) -> Result<Self> {
        let program = Path::new(SERVERS).join("bot_api.py");
        Self::python(lab, "python3", &program, &[token, elsewhere])
    }

    /// Starts a receiver of the push.
    pub(super) fn receiver(lab: &Lab, args: &[&str]) -> Result<Self> {
        let program = Path::new(SHARED).join("receiver.py");
        Self::python(lab, "python3", &program, args)
    }

    /// Starts aiosmtpd, with a password that it wants.
    pub(super) fn mail(lab: &Lab, args: &[&str], password: &str) -> Result<Self> {
        let python = test::python_with("aiosmtpd").context("install python3-aiosmtpd")?;
        let mut command = lab.vps.command(python);
        command.arg(Path::new(SHARED).join("mail.py")).args(args);
        command.env("PASSWORD", password);
        Self::start(command)
    }

    /// Starts the Bot API of telegram-test-api, which npm installs beside what is built here.
    pub(super) fn others_bot_api(lab: &Lab, token: &str) -> Result<Self> {
        let directory = test::root().join("target/test-peers");
        fs::create_dir_all(&directory)?;
        for file in ["package.json", "package-lock.json", "others_bot_api.mjs"] {
            fs::copy(Path::new(SERVERS).join(file), directory.join(file))?;
        }
        let mut npm = Command::new("npm");
        let quietly = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
        npm.current_dir(&directory).args(quietly);
        run(&mut npm, None)?
            .success()
            .context("`npm ci` of the tests' peers")?;
        let mut command = lab.vps.command("node");
        command.arg(directory.join("others_bot_api.mjs")).arg(token);
        Self::start(command)
    }

    /// Returns what arrived.
    pub(super) fn seen(&self) -> Vec<Value> {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what arrived, as soon as it is so much.
    pub(super) fn wait_for(&self, count: usize) -> Result<Vec<Value>> {
        let waited = wait_until("what a server is to get", || Ok(self.seen().len() >= count));
        waited.with_context(|| format!("{count} of {:?}", self.seen()))?;
        Ok(self.seen())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority that the lab makes, and what it vouches for: 127.0.0.1.
pub(super) struct Authority {
    roots: PathBuf,
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn make(lab: &Lab) -> Result<Self> {
        let script = r#"cd "$1"
            new="req -newkey rsa:2048 -nodes"
            openssl $new -x509 -subj /CN=lab -keyout ca.key -out ca.pem -days 2
            printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > leaf.cnf
            openssl $new -subj /CN=lab-server -keyout leaf.key -out leaf.csr
            openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile leaf.cnf -days 2 -out leaf.pem"#;
        let mut shell = Command::new("sh");
        shell.args(["-ec", script, "sh"]).arg(lab.directory());
        run(&mut shell, None)?.success().context("openssl")?;
        let file = |name: &str| lab.directory().join(name).to_string_lossy().into_owned();
        Ok(Self {
            roots: lab.directory().join("ca.pem"),
            certificate: file("leaf.pem"),
            key: file("leaf.key"),
        })
    }

    /// Returns a wrapper for a host that knows this authority and no other.
    pub(super) fn known(&self) -> [&str; 6] {
        among(self.roots.to_str().unwrap_or_default())
    }
}

/// Returns a wrapper for a host that knows the authorities of a file, and no other.
pub(super) fn among(roots: &str) -> [&str; 6] {
    // Where the system's programs and OpenSSL look: `/etc/ssl/certs` of Debian and Alpine.
    let script = r#"mount -t tmpfs tmpfs /etc/ssl
        mkdir /etc/ssl/certs
        cp "$0" /etc/ssl/certs/ca-certificates.crt
        chmod -R a+rX /etc/ssl
        exec "$@""#;
    ["unshare", "--mount", "sh", "-ec", script, roots]
}

/// Runs pm under a wrapper, with what it is to read; it must succeed.
pub(super) fn under(lab: &Lab, wrapper: &[&str], args: &[&str], input: &str) -> Result<String> {
    let output = run(&mut lab.pm_command_under(wrapper, args), Some(input))?;
    let said = output.success();
    said.with_context(|| format!("pm {}", args.join(" ")))
}

/// Runs pm under a wrapper; it must fail, and say so in these words. Returns all that it said.
pub(super) fn refused_under(
    lab: &Lab,
    wrapper: &[&str],
    args: &[&str],
    words: &str,
) -> Result<String> {
    let output = run(&mut lab.pm_command_under(wrapper, args), None)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure!(output.code == Some(1), "{args:?}: {output:?}");
    ensure!(said.contains(words), "not {words:?} but {said}");
    Ok(said)
}
