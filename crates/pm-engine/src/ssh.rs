//! The ports through which the operator reaches this host: nobody locks himself out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// `TCP_LISTEN`, as `/proc/net/tcp` writes it. Source: `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

/// Names under which SSH servers run.
const SERVERS: [&str; 4] = ["sshd", "sshd-session", "sshd-auth", "dropbear"];

/// Returns the ports of the present SSH session, of every SSH server that listens, and of the
/// sshd configuration, whether sshd runs or not.
///
/// What cannot be read is left out: this is a guard, not a gate.
pub fn ports() -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    if let Ok(connection) = std::env::var("SSH_CONNECTION") {
        ports.extend(session_port(&connection));
    }
    let servers = processes().filter(|process| SERVERS.contains(&comm(process).as_str()));
    let owned: BTreeSet<u64> = servers
        .flat_map(|process| socket_inodes(&process))
        .collect();
    // `sudo` drops SSH_CONNECTION, and systemd may hold sshd's socket: ask our own ancestors
    // and the configuration too.
    let own: BTreeSet<u64> = ancestors()
        .filter(|process| SERVERS.contains(&comm(process).as_str()))
        .flat_map(|process| socket_inodes(&process))
        .collect();
    // The kernel's tables are long: they are not read where there is nobody to look for.
    if !(owned.is_empty() && own.is_empty()) {
        ports.extend(sockets().iter().filter_map(|socket| {
            let of = if socket.listening { &owned } else { &own };
            of.contains(&socket.inode).then_some(socket.port)
        }));
    }
    ports.extend(configured());
    ports
}

/// Returns the server's port from `SSH_CONNECTION`. Source: ssh(1), ENVIRONMENT.
fn session_port(connection: &str) -> Option<u16> {
    connection.split_whitespace().nth(3)?.parse().ok()
}

/// Returns the ports that the configuration of sshd names; 22 where it names none.
fn configured() -> BTreeSet<u16> {
    let Ok(main) = fs::read_to_string("/etc/ssh/sshd_config") else {
        return BTreeSet::new();
    };
    let mut texts = vec![main];
    for entry in fs::read_dir("/etc/ssh/sshd_config.d")
        .into_iter()
        .flatten()
        .flatten()
    {
        texts.extend(fs::read_to_string(entry.path()));
    }
    let ports: BTreeSet<u16> = texts.iter().flat_map(|text| configured_in(text)).collect();
    if ports.is_empty() {
        BTreeSet::from([22])
    } else {
        ports
    }
}

/// Source: sshd_config(5), `Port` and `ListenAddress`.
fn configured_in(text: &str) -> impl Iterator<Item = u16> + '_ {
    text.lines().filter_map(|line| {
        let (keyword, value) = line
            .trim()
            .split_once(|c: char| c.is_whitespace() || c == '=')?;
        let value = value
            .trim_start_matches(|c: char| c.is_whitespace() || c == '=')
            .trim();
        if keyword.eq_ignore_ascii_case("port") {
            return value.parse().ok();
        }
        if keyword.eq_ignore_ascii_case("listenaddress") {
            let (host, port) = value.rsplit_once(':')?;
            // A bare IPv6 address ends in something that only looks like a port.
            return (!host.contains(':') || host.ends_with(']')).then(|| port.parse().ok())?;
        }
        None
    })
}

struct Socket {
    inode: u64,
    port: u16,
    listening: bool,
}

fn sockets() -> Vec<Socket> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|path| parse_sockets(&fs::read_to_string(path).unwrap_or_default()))
        .collect()
}

/// Source: proc_net_tcp in the kernel's documentation.
fn parse_sockets(table: &str) -> Vec<Socket> {
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, port) = fields.get(1)?.rsplit_once(':')?;
            Some(Socket {
                inode: fields.get(9)?.parse().ok()?,
                port: u16::from_str_radix(port, 16).ok()?,
                listening: *fields.get(3)? == LISTEN,
            })
        })
        .collect()
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn ancestors() -> impl Iterator<Item = String> {
    let own = std::process::id().to_string();
    std::iter::successors(Some(own), |process| parent(process))
}

fn parent(process: &str) -> Option<String> {
    let status = fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Some(line.trim().to_owned())
}

fn comm(process: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc").join(process).join("comm"));
    text.unwrap_or_default().trim_end().to_owned()
}

fn socket_inodes(process: &str) -> Vec<u64> {
    let links = fs::read_dir(Path::new("/proc").join(process).join("fd"))
        .into_iter()
        .flatten();
    links
        .flatten()
        .filter_map(|link| {
            let target = fs::read_link(link.path()).ok()?;
            target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_tells_the_port_it_came_through() {
        assert_eq!(
            session_port("198.51.100.7 52144 203.0.113.5 2222"),
            Some(2222)
        );
        assert_eq!(session_port("2001:db8::7 52144 2001:db8::5 22"), Some(22));
        assert_eq!(session_port(""), None);
    }

    #[test]
    fn the_configuration_is_read_as_sshd_reads_it() {
        let text = "#Port 1\nport 2222\nPort=2022\nListenAddress 0.0.0.0:2200\n\
                    ListenAddress [::]:2201\nListenAddress 2001:db8::1\nMatch User x\n";
        let ports: Vec<u16> = configured_in(text).collect();
        assert_eq!(ports, [2222, 2022, 2200, 2201]);
    }

    #[test]
    fn the_kernels_table_of_sockets_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0\n\
             1: 0100007F:08AE 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 12346 1 0 100 0 0 10 0\n";
        let sockets = parse_sockets(table);
        assert_eq!(
            (sockets[0].inode, sockets[0].port, sockets[0].listening),
            (12345, 22, true)
        );
        assert_eq!(
            (sockets[1].inode, sockets[1].port, sockets[1].listening),
            (12346, 2222, false)
        );
    }
}
