//! A way to the address of a server that answers: minreq gives all of its time to the first one.
//!
//! Where that one does not answer and another one does, minreq is led to it over a relay on
//! loopback, as through a proxy. The address stays what it was for whoever checks a certificate: the
//! relay carries what is encrypted, and knows nothing of it. Nothing is carried any more when it is
//! dropped.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use minreq::{Error, Proxy};

use crate::reach::{first, lookup};

/// How long the words may be with which minreq asks for the way, in bytes.
const MOST_WORDS: usize = 4 << 10;

/// A way to one address of a server.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    server: TcpStream,
    /// Who asked for it; `None`: it was dropped before.
    client: Arc<OnceLock<Option<TcpStream>>>,
}

/// Returns a way to the server of `url`; `None`: minreq finds it itself.
///
/// # Errors
///
/// When the name cannot be looked up, or none of its addresses answers before `end`.
pub(super) fn open(url: &str, end: Instant) -> io::Result<Option<Relay>> {
    let Some((host, port)) = place(url) else {
        return Ok(None);
    };
    let host = host.to_owned();
    let (done, found) = mpsc::channel();
    // How long the system looks up a name has no bound, and nobody may wait any more afterwards.
    thread::spawn(move || done.send(lookup(&host, port).and_then(|all| to(&all, end))));
    let left = end.saturating_duration_since(Instant::now());
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    found.recv_timeout(left).unwrap_or_else(late)
}

/// Returns name and port of a server; `None` where there is no name.
fn place(url: &str) -> Option<(&str, u16)> {
    let (rest, port) = match url.strip_prefix("https://") {
        Some(rest) => (rest, 443),
        None => (url.strip_prefix("http://")?, 80),
    };
    let place = rest.split(['/', '?']).next()?;
    let (host, port) = match place.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, port),
    };
    host.parse::<Ipv4Addr>().is_err().then_some((host, port))
}

/// Returns a way to the first address that answers, unless that is the first of all.
fn to(addresses: &[SocketAddr], end: Instant) -> io::Result<Option<Relay>> {
    if addresses.len() < 2 {
        return Ok(None);
    }
    let knock = |index, address, share| {
        let stream = TcpStream::connect_timeout(&address, share)?;
        Ok((index, stream))
    };
    match first(addresses, end, knock, |_| true) {
        Ok((0, _)) => Ok(None),
        Ok((_, stream)) => Relay::start(stream).map(Some),
        Err(error) => Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
    }
}

impl Relay {
    fn start(server: TcpStream) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let client = Arc::new(OnceLock::new());
        let (far, near) = (server.try_clone()?, Arc::clone(&client));
        thread::spawn(move || {
            // Who talks through it sees that it ends, and this is all that there is to tell. The
            // listener stays to the end: its port is nobody else's meanwhile.
            let _ = carry(&listener, &far, &near);
            let _ = far.shutdown(Shutdown::Both);
        });
        Ok(Self {
            address,
            server,
            client,
        })
    }

    /// Returns it as minreq knows it.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub(super) fn proxy(&self) -> Result<Proxy, Error> {
        Proxy::new(self.address.to_string())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.server.shutdown(Shutdown::Both);
        let _ = match self.client.get_or_init(|| None) {
            Some(client) => client.shutdown(Shutdown::Both),
            // Whoever waits for a client waits no longer.
            None => TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).map(drop),
        };
    }
}

/// Lets the first who asks talk to the server, until one of them ends it.
fn carry(
    listener: &TcpListener,
    server: &TcpStream,
    near: &OnceLock<Option<TcpStream>>,
) -> io::Result<()> {
    let (client, _) = listener.accept()?;
    if near.set(Some(client.try_clone()?)).is_err() {
        return Ok(());
    }
    read_words(&client)?;
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    thread::scope(|scope| {
        scope.spawn(|| {
            copy(&client, server);
            let _ = server.shutdown(Shutdown::Write);
        });
        copy(server, &client);
        let _ = client.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// Reads what minreq asks for: there is but one way.
fn read_words(mut client: &TcpStream) -> io::Result<()> {
    let mut words = Vec::new();
    let mut byte = [0];
    while !words.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        words.extend(byte);
        if words.len() > MOST_WORDS {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::reach::tests::Dead;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// A server that answers all the same, and tells what came.
    fn server() -> (SocketAddr, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = (&stream).write_all(answer.as_bytes());
                sender.send(head.join("\n")).unwrap();
            }
        });
        (address, requests)
    }

    #[test]
    fn an_address_that_answers_is_reached_behind_one_that_does_not() {
        let dead = Dead::new();
        let (live, requests) = server();
        let began = Instant::now();
        let relay = to(&[dead.address, live], soon()).unwrap().unwrap();
        let took = began.elapsed();
        assert!(took > Duration::from_secs(4), "it was not dead: {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        let answer = minreq::get("http://hook.invalid/x")
            .with_proxy(relay.proxy().unwrap())
            .with_timeout(5)
            .send();
        assert_eq!(answer.unwrap().as_str().unwrap(), "ok");
        // The server is asked for what it is called, as on the straight way.
        let request = requests.recv().unwrap();
        assert!(request.starts_with("GET /x HTTP/1.1\n"), "{request}");
        assert!(request.contains("Host: hook.invalid"), "{request}");
    }

    #[test]
    fn who_answers_first_needs_no_relay() {
        let (live, _requests) = server();
        let dead = Dead::new();
        for addresses in [&[live][..], &[live, dead.address], &[dead.address]] {
            let began = Instant::now();
            assert!(to(addresses, soon()).unwrap().is_none());
            assert!(began.elapsed() < Duration::from_secs(2));
        }
        let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let refused = refused.unwrap();
        let error = to(&[refused, refused], soon()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(to(&[refused, live], soon()).unwrap().is_some());
    }

    /// A request that was given up is not sent after all.
    #[test]
    fn nothing_is_carried_when_it_is_dropped() {
        let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let refused = refused.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        for is_asked in [false, true] {
            let relay = to(&[refused, live], soon()).unwrap().unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let mut client = TcpStream::connect(relay.address).unwrap();
            if is_asked {
                client.write_all(b"CONNECT x:1 HTTP/1.1\r\n\r\n").unwrap();
                client.read_exact(&mut [0; 19]).unwrap();
            }
            drop(relay);
            let mut came = Vec::new();
            server.read_to_end(&mut came).unwrap();
            assert_eq!(came, b"");
            let _ = client.write_all(b"late");
            assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        }
    }

    #[test]
    fn only_a_name_has_several_addresses() {
        for (url, expected) in [
            ("https://a.example/x:1", Some(("a.example", 443))),
            ("https://a.example:8443?x", Some(("a.example", 8443))),
            ("http://localhost", Some(("localhost", 80))),
            ("https://192.0.2.1/x", None),
            ("https://[2001:db8::1]:8443/x", None),
            ("ftp://a.example", None),
            ("https://a.example:99999/", None),
        ] {
            assert_eq!(place(url), expected, "{url}");
        }
    }
}
