//! What `pm setup` writes has messages delivered, by somebody who can do nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::lab::{Lab, wait_until};
use crate::namespace::run;

const PORT: u16 = 8_099;

const OUTBOX: &str = "/var/lib/port_monitor/outbox";

/// What is pm's, and not for who delivers.
const PRIVATE: [&str; 2] = [
    "/etc/port_monitor/config.json",
    "/var/lib/port_monitor/state.db",
];

/// How long delivery may take to begin: an emulated machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has pm tell of something, by the tick that `tick` does, and checks who delivers it, and what he
/// can do. Returns how long it took, in a few words; at the end, pm is as it was.
pub(super) fn is_the_users(lab: &Lab, tick: impl Fn() -> Result<()>) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", PORT))?;
    listener.set_nonblocking(true)?;
    let add = ["notify", "add", "webhook", "--name", "hook"];
    let add = [&add[..], &["--events", "blocked", "--url-file", "-"]].concat();
    let url = format!("http://127.0.0.1:{PORT}/x\n");
    run(&mut lab.pm_command(&add), Some(&url))?.success()?;
    lab.ok(&["block", "20000"])?;
    let started = Instant::now();
    tick()?;
    let stream = accept(&listener)?;
    let waited = started.elapsed();
    // He waits for the answer, while the tick is over.
    let user = fs::metadata(OUTBOX)?.uid();
    let passwd = fs::read_to_string("/etc/passwd")?;
    let entry = format!("port_monitor:x:{user}:");
    ensure!(passwd.contains(&entry), "user {user} is not port_monitor");
    let pid = deliverer()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .with_context(|| format!("no {name} in {status}"))
    };
    let user = user.to_string();
    ensure!(field("Uid:")?.split(' ').all(|it| it == user), "{status}");
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        ensure!(field(capabilities)?.chars().all(|it| it == '0'), "{status}");
    }
    for path in PRIVATE {
        ensure!(fs::exists(path)?, "there is no {path}");
        let seen = reads(pid, &user, path)?;
        ensure!(!seen, "{path} can be read by who delivers");
    }
    ensure!(reads(pid, &user, "/etc/passwd")?, "nothing can be read");
    let message = answer(stream)?;
    ensure!(message.contains("20000"), "{message}");
    wait_until("the delivery's end", || {
        let waiting = lab.ok(&["notify", "list", "--json"])?;
        let is_over = !fs::exists(format!("/proc/{pid}"))?;
        Ok(waiting.contains("\"waiting\":0") && is_over)
    })?;
    ensure!(!fs::exists(format!("{OUTBOX}/wake"))?, "he is not answered");
    lab.ok(&["unblock", "20000"])?;
    lab.ok(&["notify", "del", "hook"])?;
    tick()?;
    Ok(format!(
        "delivered {} ms after the tick",
        waited.as_millis()
    ))
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let started = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            return Ok(stream);
        }
        ensure!(started.elapsed() < PATIENCE, "nobody delivers");
        std::thread::yield_now();
    }
}

/// Reads a request, says that it was taken, and returns its body.
fn answer(mut stream: TcpStream) -> Result<String> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "it broke off");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
    Ok(String::from_utf8(body)?)
}

/// Returns the process that delivers, which there is one of.
fn deliverer() -> Result<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // It may be gone by now.
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = line.split('\0');
        let is_pm = words.next().is_some_and(|it| it.ends_with("/pm"));
        if is_pm && words.next() == Some("deliver") {
            found.push(pid);
        }
    }
    ensure!(found.len() == 1, "{found:?} deliver");
    Ok(found[0])
}

/// Whether a file can be read where process `pid` is, as `user`.
fn reads(pid: u32, user: &str, path: &str) -> Result<bool> {
    // It becomes the user after it has gone where only root may go.
    let mut command = Command::new("chroot");
    command.arg(format!("--userspec={user}:{user}"));
    command.arg("--groups=");
    command.arg(format!("/proc/{pid}/root")).args(["cat", path]);
    let output = run(&mut command, None)?;
    Ok(output.code == Some(0))
}
