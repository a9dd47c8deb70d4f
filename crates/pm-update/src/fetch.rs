//! The download, by HTTP with or without TLS: it is the signature that counts, not the way.
//!
//! Nothing is read beyond what was announced, and nothing waits for ever. Redirections are
//! followed, because hosts of releases use them and a request carries nothing secret but a proxy's password, which
//! only the proxy is told.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};

use minreq::{Error, ResponseLazy};

use crate::digest::Hasher;
use crate::manifest::Artefact;
use crate::proxy::{self, Proxy, ProxyRefusal};

/// Where releases are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source(String);

/// Why something could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("`{0}` is no address of releases: it must begin with https:// or http://")]
    NotAnAddress(String),
    /// Nobody answered, or not in a way that is understood.
    #[error("cannot download {url}: {why}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The system's words, or minreq's.
        why: String,
    },
    /// It took too long.
    #[error("cannot download {url}: it was not there after {seconds} s")]
    TooSlow {
        /// What was asked for.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// What answers does not speak HTTP.
    #[error("cannot download {url}: what answers there does not speak HTTP")]
    NotHttp {
        /// What was asked for.
        url: String,
    },
    /// The environment names a proxy of a kind that pm does not know.
    #[error("cannot use the proxy that {variable} names: it must be of the form http://HOST:PORT")]
    NotAProxy {
        /// Where it is named.
        variable: &'static str,
    },
    /// The proxy says no.
    #[error("cannot download {url} through the proxy that {variable} names: {why}")]
    Proxy {
        /// What was asked for.
        url: String,
        /// Where it is named.
        variable: &'static str,
        /// What it says.
        why: ProxyRefusal,
    },
    /// The server says no.
    #[error("cannot download {url}: the server answered {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// HTTP's number for it.
        status: u16,
    },
    /// It broke off.
    #[error("the download of {url} broke off after {got} of {expected} bytes")]
    Short {
        /// What was asked for.
        url: String,
        /// What arrived.
        got: u64,
        /// What was to arrive.
        expected: u64,
    },
    /// It is longer than it may be.
    #[error("{url} is longer than {most} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// How long it may be.
        most: u64,
    },
    /// It is not what the release says.
    #[error("{url} is not what the signed release says it is: its SHA-256 hash is another")]
    Tampered {
        /// What was asked for.
        url: String,
    },
    /// What arrived could not be kept.
    #[error("cannot keep what was downloaded: {0}")]
    Disk(io::Error),
}

/// How long a manifest and its signature may take.
const SHORT_SECONDS: u64 = 30;

/// How long a program may take: 6 MB at 10 kB/s.
const LONG_SECONDS: u64 = 600;

/// How often a server may send elsewhere.
const MAX_REDIRECTIONS: usize = 5;

/// How much is read at once; also how often progress is told.
const PIECE: usize = 32 << 10;

impl Source {
    /// Returns the place that `address` names.
    ///
    /// # Errors
    ///
    /// `NotAnAddress`.
    pub fn parse(address: &str) -> Result<Self, FetchError> {
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| address.strip_prefix(scheme));
        let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic());
        // What follows a `?` or `#` would swallow the names of files.
        let names_a_place = rest.is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
                && !rest.contains(['?', '#', '@', '\\'])
        });
        if is_plain && names_a_place {
            Ok(Self(address.trim_end_matches('/').to_owned()))
        } else {
            Err(FetchError::NotAnAddress(without_password(address)))
        }
    }

    /// Returns a small file.
    ///
    /// # Errors
    ///
    /// Any, but for `Short`, `Tampered` and `Disk`.
    pub fn small(&self, name: &str, most: usize) -> Result<Vec<u8>, FetchError> {
        let url = self.url(name);
        let answer = ask(&url, SHORT_SECONDS)?;
        let mut bytes = Vec::new();
        answer
            .take(most as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(&url, SHORT_SECONDS, Error::IoError(error)))?;
        if bytes.len() > most {
            let most = most as u64;
            return Err(FetchError::TooLong { url, most });
        }
        Ok(bytes)
    }

    /// Puts a program into `file`, which is empty, and on the disk. `progress` is told how many
    /// bytes are there.
    ///
    /// # Errors
    ///
    /// Any; what is in the file then is not to be used.
    pub fn program(
        &self,
        artefact: &Artefact,
        file: &mut File,
        mut progress: impl FnMut(u64),
    ) -> Result<(), FetchError> {
        let url = self.url(artefact.name.as_str());
        let mut answer = ask(&url, LONG_SECONDS)?;
        let expected = artefact.size;
        let (mut got, mut hasher) = (0, Hasher::default());
        let mut piece = vec![0; PIECE];
        loop {
            let read = match answer.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_late(&error) => {
                    return Err(broken(&url, LONG_SECONDS, Error::IoError(error)));
                }
                // A connection that is gone is the same to whoever waits as one that was closed.
                Err(_) => return Err(FetchError::Short { url, got, expected }),
            };
            got += read as u64;
            if got > expected {
                return Err(FetchError::TooLong {
                    url,
                    most: expected,
                });
            }
            hasher.update(&piece[..read]);
            file.write_all(&piece[..read]).map_err(FetchError::Disk)?;
            progress(got);
        }
        if got < expected {
            return Err(FetchError::Short { url, got, expected });
        }
        if hasher.finish() != artefact.sha256 {
            return Err(FetchError::Tampered { url });
        }
        file.sync_all().map_err(FetchError::Disk)
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Returns an address as it may be printed.
fn without_password(address: &str) -> String {
    let Some((user, host)) = address.rsplit_once('@') else {
        return address.to_owned();
    };
    let scheme = user.split_once("://").map_or("", |(scheme, _)| scheme);
    match scheme {
        "" => format!("…@{host}"),
        scheme => format!("{scheme}://…@{host}"),
    }
}

/// Returns the body of a good answer.
fn ask(url: &str, seconds: u64) -> Result<ResponseLazy, FetchError> {
    let mut request = minreq::get(url)
        .with_header("User-Agent", concat!("pm/", env!("CARGO_PKG_VERSION")))
        .with_timeout(seconds)
        .with_max_redirects(MAX_REDIRECTIONS)
        .with_max_headers_size(16 << 10);
    let proxy = proxy::of_environment(url);
    if let Some(Proxy { address, variable }) = &proxy {
        let variable = *variable;
        let address = address
            .as_deref()
            .and_then(|address| minreq::Proxy::new(address).ok());
        let address = address.ok_or(FetchError::NotAProxy { variable })?;
        request = request.with_proxy(address);
    }
    let failed = |error| match (&proxy, proxy_refusal(&error)) {
        (Some(Proxy { variable, .. }), Some(why)) => FetchError::Proxy {
            url: url.to_owned(),
            variable,
            why,
        },
        _ => broken(url, seconds, error),
    };
    // minreq panics where a proxy closes the connection before it was asked for anything.
    let answer = std::panic::catch_unwind(|| request.send_lazy());
    let answer = answer.unwrap_or(Err(Error::ProxyConnect)).map_err(failed)?;
    match answer.status_code {
        200 => Ok(answer),
        // What minreq makes of an answer that is empty, or none of HTTP's.
        503 if answer.reason_phrase == "Server did not provide a status line" => {
            Err(FetchError::NotHttp {
                url: url.to_owned(),
            })
        }
        status => Err(FetchError::Refused {
            url: url.to_owned(),
            status,
        }),
    }
}

fn proxy_refusal(error: &Error) -> Option<ProxyRefusal> {
    match error {
        Error::BadProxyCreds | Error::InvalidProxyCreds => Some(ProxyRefusal::Credentials),
        Error::BadProxy | Error::ProxyConnect => Some(ProxyRefusal::Connection),
        // It is the proxy that is asked to find the host.
        Error::IoError(error) if !is_late(error) => Some(ProxyRefusal::Connection),
        _ => None,
    }
}

fn is_late(error: &io::Error) -> bool {
    // What a socket says whose time is up depends on the system.
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn broken(url: &str, seconds: u64, error: Error) -> FetchError {
    let url = url.to_owned();
    match error {
        Error::IoError(error) if is_late(&error) => FetchError::TooSlow { url, seconds },
        error => FetchError::Unreachable {
            url,
            why: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_of_http_and_names_a_host() {
        for good in [
            "https://example.org/pm",
            "http://127.0.0.1:8000/",
            "http://[fd77::1]:80",
            "https://example.org/a/releases/latest/download",
        ] {
            assert!(Source::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.org",
            "ftp://example.org",
            "https://",
            "https:///x",
            "file:///etc/passwd",
            "https://example.org/?a=",
            "https://u:p@example.org",
            "https://example.org/a b",
            "https://é",
        ] {
            assert!(Source::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        for (address, shown) in [
            (
                "https://u:SECRET@example.org/pm",
                "https://…@example.org/pm",
            ),
            ("u:SECRET@example.org", "…@example.org"),
            ("http://u:SEC@RET@example.org", "http://…@example.org"),
        ] {
            let error = Source::parse(address).unwrap_err().to_string();
            assert!(error.contains(shown), "{error}");
            assert!(!error.contains("SEC"), "{error}");
        }
    }

    #[test]
    fn a_name_follows_the_address_after_one_slash() {
        let source = Source::parse("https://example.org/pm//").unwrap();
        assert_eq!(
            source.url("pm-release.txt"),
            "https://example.org/pm/pm-release.txt"
        );
    }

    proptest! {
        #[test]
        fn no_address_makes_it_panic(text in "\\PC{0,60}") {
            let _ = Source::parse(&text);
            let _ = Source::parse(&format!("https://{text}"));
        }
    }
}
