//! What listens on this host, as what an operator may want to monitor.
//!
//! - Only what can be reached from outside: loopback is never billed.
//! - A port that Docker publishes is there even where no process of the host holds it.
//! - What cannot be read is left out: this is an offer, not a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use procfs::net::{TcpState, UdpState};
use procfs::process::{FDTarget, Process};
use serde::Deserialize;

/// Where Docker keeps what it knows of its containers.
const CONTAINERS: &str = "/var/lib/docker/containers";

/// The letters of a container's whole name, as Docker calls its directory.
const ID_LETTERS: usize = 64;

/// A port that something listens on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listener {
    /// Whether by TCP.
    pub tcp: bool,
    /// Whether by UDP.
    pub udp: bool,
    /// The programs that do.
    pub programs: BTreeSet<String>,
    /// The containers they run in.
    pub containers: BTreeSet<String>,
}

/// Returns what listens on each port.
pub fn all() -> BTreeMap<u16, Listener> {
    let containers = containers(Path::new(CONTAINERS));
    merge(&sockets(), &owners(), &containers)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Tcp,
    Udp,
}

struct Socket {
    protocol: Protocol,
    address: SocketAddr,
    inode: u64,
}

/// The process that holds a socket.
#[derive(Clone)]
struct Owner {
    program: String,
    /// Docker's name of its container.
    container: Option<String>,
}

#[derive(Debug, Eq, PartialEq)]
struct Container {
    name: String,
    published: Vec<(u16, Protocol)>,
}

fn merge(
    sockets: &[Socket],
    owners: &BTreeMap<u64, Owner>,
    containers: &BTreeMap<String, Container>,
) -> BTreeMap<u16, Listener> {
    let mut listeners: BTreeMap<u16, Listener> = BTreeMap::new();
    let reachable = |socket: &&Socket| {
        socket.address.port() != 0 && !socket.address.ip().to_canonical().is_loopback()
    };
    for socket in sockets.iter().filter(reachable) {
        let listener = listeners.entry(socket.address.port()).or_default();
        listener.speaks(socket.protocol);
        if let Some(owner) = owners.get(&socket.inode) {
            listener.programs.insert(owner.program.clone());
            let container = owner.container.as_ref().and_then(|id| containers.get(id));
            listener
                .containers
                .extend(container.map(|container| container.name.clone()));
        }
    }
    for container in containers.values() {
        for &(port, protocol) in &container.published {
            let listener = listeners.entry(port).or_default();
            listener.speaks(protocol);
            listener.containers.insert(container.name.clone());
        }
    }
    listeners
}

impl Listener {
    fn speaks(&mut self, protocol: Protocol) {
        match protocol {
            Protocol::Tcp => self.tcp = true,
            Protocol::Udp => self.udp = true,
        }
    }
}

fn sockets() -> Vec<Socket> {
    let mut sockets = Vec::new();
    for table in [procfs::net::tcp(), procfs::net::tcp6()] {
        let listening = table
            .unwrap_or_default()
            .into_iter()
            .filter(|socket| socket.state == TcpState::Listen);
        sockets.extend(listening.map(|socket| Socket {
            protocol: Protocol::Tcp,
            address: socket.local_address,
            inode: socket.inode,
        }));
    }
    for table in [procfs::net::udp(), procfs::net::udp6()] {
        // One that is connected talks to somebody; the others wait for anybody.
        let waiting = table
            .unwrap_or_default()
            .into_iter()
            .filter(|socket| socket.state == UdpState::Close);
        sockets.extend(waiting.map(|socket| Socket {
            protocol: Protocol::Udp,
            address: socket.local_address,
            inode: socket.inode,
        }));
    }
    sockets
}

fn owners() -> BTreeMap<u64, Owner> {
    let mut owners = BTreeMap::new();
    for process in procfs::process::all_processes()
        .into_iter()
        .flatten()
        .flatten()
    {
        let Ok(files) = process.fd() else { continue };
        let inodes: Vec<u64> = files
            .flatten()
            .filter_map(|file| match file.target {
                FDTarget::Socket(inode) => Some(inode),
                _ => None,
            })
            .collect();
        if inodes.is_empty() {
            continue;
        }
        let Ok(stat) = process.stat() else { continue };
        let owner = Owner {
            program: stat.comm,
            container: container_of(&process),
        };
        for inode in inodes {
            // A socket that was handed down is its first holder's: PIDs ascend.
            owners.entry(inode).or_insert_with(|| owner.clone());
        }
    }
    owners
}

fn container_of(process: &Process) -> Option<String> {
    let groups = process.cgroups().ok()?;
    groups
        .into_iter()
        .find_map(|group| container_in(&group.pathname))
}

/// Returns the container that a control group's path names: `/docker/ID`, or
/// `/system.slice/docker-ID.scope`.
fn container_in(path: &str) -> Option<String> {
    path.split(|c: char| !c.is_ascii_hexdigit())
        .find(|part| part.len() == ID_LETTERS)
        .map(str::to_owned)
}

/// Source: Docker's `config.v2.json`, which has no other description than its code
/// (moby, `container/container.go`).
fn containers(directory: &Path) -> BTreeMap<String, Container> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| {
        let id = entry.file_name().into_string().ok()?;
        let text = fs::read_to_string(entry.path().join("config.v2.json")).ok()?;
        Some((id, parse_container(&text)?))
    });
    known.collect()
}

/// Returns a container that runs.
fn parse_container(text: &str) -> Option<Container> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        name: String,
        #[serde(default)]
        state: State,
        #[serde(default)]
        network_settings: Option<Network>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct State {
        #[serde(default)]
        running: bool,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Network {
        #[serde(default)]
        ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Binding {
        #[serde(default)]
        host_ip: String,
        host_port: String,
    }

    let file: File = serde_json::from_str(text).ok()?;
    if !file.state.running {
        return None;
    }
    let network = file.network_settings.unwrap_or_default();
    let mut published = Vec::new();
    for (inside, bindings) in network.ports.unwrap_or_default() {
        let protocol = match inside.rsplit_once('/') {
            Some((_, "tcp")) => Protocol::Tcp,
            Some((_, "udp")) => Protocol::Udp,
            _ => continue,
        };
        for binding in bindings.unwrap_or_default() {
            let is_loopback = binding.host_ip.starts_with("127.") || binding.host_ip == "::1";
            if let (false, Ok(port)) = (is_loopback, binding.host_port.parse()) {
                published.push((port, protocol));
            }
        }
    }
    // One binding for IPv4, one for IPv6.
    published.dedup();
    Some(Container {
        name: file.name.trim_start_matches('/').to_owned(),
        published,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn socket(protocol: Protocol, address: &str, inode: u64) -> Socket {
        Socket {
            protocol,
            address: address.parse().unwrap(),
            inode,
        }
    }

    #[test]
    fn sockets_processes_and_containers_become_ports() {
        let text = r#"{"Name":"/web","State":{"Running":true},"NetworkSettings":{"Ports":{
            "80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],
            "90/tcp":[{"HostIp":"127.0.0.1","HostPort":"9090"}], "99/sctp":[], "53/udp":null}}}"#;
        let containers = BTreeMap::from([(ID.to_owned(), parse_container(text).unwrap())]);
        let owner = |program: &str, container: Option<&str>| Owner {
            program: program.to_owned(),
            container: container.map(str::to_owned),
        };
        let owners = BTreeMap::from([
            (1, owner("sshd", None)),
            (2, owner("ss-server", Some(ID))),
            (3, owner("cupsd", None)),
        ]);
        let sockets = [
            socket(Protocol::Tcp, "0.0.0.0:22", 1),
            socket(Protocol::Tcp, "[::]:22", 1),
            socket(Protocol::Tcp, "0.0.0.0:20000", 2),
            socket(Protocol::Udp, "0.0.0.0:20000", 2),
            socket(Protocol::Tcp, "127.0.0.1:631", 3),
            socket(Protocol::Tcp, "[::1]:631", 3),
            socket(Protocol::Udp, "0.0.0.0:51820", 0),
        ];
        let found = merge(&sockets, &owners, &containers);
        let shown: Vec<String> = found
            .iter()
            .map(|(port, listener)| {
                let names: Vec<_> = listener
                    .programs
                    .iter()
                    .chain(&listener.containers)
                    .collect();
                format!("{port} {}{} {names:?}", listener.tcp, listener.udp)
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"22 truefalse ["sshd"]"#,
                r#"8080 truefalse ["web"]"#,
                r#"20000 truetrue ["ss-server", "web"]"#,
                r#"51820 falsetrue []"#,
            ]
        );
    }

    #[test]
    fn a_container_is_known_by_its_control_group() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/besteffort/pod1/{ID}"),
        ] {
            assert_eq!(container_in(&path).as_deref(), Some(ID), "{path}");
        }
        assert_eq!(
            container_in("/user.slice/user-0.slice/session-1.scope"),
            None
        );
    }

    #[test]
    fn a_container_that_does_not_run_publishes_nothing() {
        for text in [
            r#"{"Name":"/web","State":{"Running":false}}"#,
            r#"{"Name":"/web"}"#,
            "",
            "[]",
        ] {
            assert_eq!(parse_container(text), None, "{text}");
        }
    }
}
