//! Which of a server's addresses is talked to.
//!
//! A name may have several, and the first may lead nowhere: IPv6 that is routed on paper only, say.
//! Each has a share of the time, so that there is some for the others.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The most that an address has while others wait: three lost packets are made up for in it.
const SHARE: Duration = Duration::from_secs(5);

/// The least that an address has.
const LEAST: Duration = Duration::from_millis(100);

/// Returns a server's addresses, the best first: at least one. How long it takes is up to the system.
///
/// # Errors
///
/// When the name is unknown, or cannot be looked up.
pub(crate) fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    match addresses.is_empty() {
        // As the standard library begins.
        true => Err(io::Error::other("failed to lookup address: it has none")),
        false => Ok(addresses),
    }
}

/// Tries one address after the other until `attempt` comes to a good or a bad end with one; it is
/// told how long it may take. Where all failed, the first one, which was the best, says why; `None`:
/// there is no address.
pub(crate) fn first<T, E>(
    addresses: &[SocketAddr],
    end: Instant,
    mut attempt: impl FnMut(usize, SocketAddr, Duration) -> Result<T, E>,
    is_elsewhere: impl Fn(&E) -> bool,
) -> Result<T, Option<E>> {
    let mut failed = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = end.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = match others {
            1 => left,
            others => SHARE.min(left / others),
        };
        match attempt(index, *address, share.max(LEAST)) {
            Ok(good) => return Ok(good),
            Err(error) if !is_elsewhere(&error) => return Err(Some(error)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{TcpListener, TcpStream};

    use nix::sys::socket::{Backlog, listen};

    use super::*;

    /// An address whose packets are lost.
    pub(crate) struct Dead {
        pub(crate) address: SocketAddr,
        _listener: TcpListener,
        _waiting: Vec<TcpStream>,
    }

    impl Dead {
        /// The queue of who wants to talk is full, so that the kernel drops whatever asks.
        pub(crate) fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listen(&listener, Backlog::new(0).unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            let knock = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
            let waiting: Vec<_> = std::iter::from_fn(knock).collect();
            assert!(!waiting.is_empty());
            Self {
                address,
                _listener: listener,
                _waiting: waiting,
            }
        }
    }

    #[test]
    fn each_address_has_its_share() {
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        for (count, best) in [(1, 20_000), (2, 5_000), (5, 4_000), (40, 500)] {
            let end = Instant::now() + Duration::from_secs(20);
            let mut all = Vec::new();
            let outcome: Result<(), _> = first(
                &vec![address; count],
                end,
                |_, _, share| {
                    all.push(share);
                    Err(all.len())
                },
                |_| true,
            );
            assert_eq!(outcome, Err(Some(1)));
            let (last, others) = all.split_last().unwrap();
            assert!(*last > Duration::from_secs(19), "nobody took any time");
            assert!(others.iter().all(|share| *share <= SHARE));
            let best = Duration::from_millis(best);
            assert!((best / 2..=best).contains(&all[0]), "{all:?}");
        }
        let end = Instant::now();
        let outcome: Result<(), _> = first(&[], end, |_, _, _| Err(1), |_| true);
        assert_eq!(outcome, Err(None));
        let outcome: Result<(), _> =
            first(&[address; 3], end, |index, _, _| Err(index), |at| *at < 1);
        assert_eq!(outcome, Err(Some(1)));
    }
}
