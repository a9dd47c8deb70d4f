//! Where servers are reached, and people.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NotifyError, as_text};
use crate::secret::Secret;

/// The longest address of a web server, in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// The address of a web server: `https://`, or `http://` to this host itself.
///
/// It has a host that is a name or an IP address, no user, and consists of printable ASCII, so it
/// fits a request's first line as it is.
///
/// # Examples
///
/// ```
/// use pm_core::config::WebUrl;
///
/// assert!("https://tg.example.org/proxy".parse::<WebUrl>().is_ok());
/// assert!("http://127.0.0.1:8081".parse::<WebUrl>().is_ok());
/// assert!("http://tg.example.org".parse::<WebUrl>().is_err());
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebUrl(String);

/// A web address that is secret itself, because who knows it may post there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Secret", into = "Secret")]
pub struct SecretUrl(pub(in crate::config) Secret);

/// A mail server, `HOST` or `HOST:PORT`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailServer {
    host: String,
    port: Option<u16>,
}

/// A mail address, without a name beside it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailAddress(String);

/// What is wrong with a web address.
enum Fault {
    NoUrl,
    Plain,
}

fn check(url: &str) -> Result<(), Fault> {
    if url.len() > MAX_URL_BYTES {
        return Err(Fault::NoUrl);
    }
    let is_plain = url.starts_with("http://");
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or(Fault::NoUrl)?;
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains(['#', '\\', '"', '<', '>'])
    {
        return Err(Fault::NoUrl);
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, _) = host_and_port(authority).ok_or(Fault::NoUrl)?;
    // minreq ends a host at its first colon.
    if host.starts_with('[') {
        return Err(Fault::NoUrl);
    }
    if is_plain && !is_this_host(host) {
        return Err(Fault::Plain);
    }
    Ok(())
}

/// Splits `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; brackets stay.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.find(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port| port != 0)?)
        }
        Some(_) => return None,
        None if port.is_empty() => None,
        None => return None,
    };
    is_host(host).then_some((host, port))
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']');
        return inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    // Source: RFC 1123, section 2.1; `_` is met in names inside container networks.
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253
        && host
            .strip_suffix('.')
            .unwrap_or(host)
            .split('.')
            .all(is_label)
}

fn is_this_host(host: &str) -> bool {
    let inner = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || inner.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || inner.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback())
}

/// Returns what is repeated of a text that is refused: not the secret that may stand in it.
fn repeated(text: &str) -> String {
    // What stands before an `@` may be a password.
    match text.contains('@') {
        true => "…".to_owned(),
        false => text.chars().take(80).flat_map(char::escape_debug).collect(),
    }
}

impl WebUrl {
    /// Returns the address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebUrl {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        match check(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(Fault::NoUrl) => Err(NotifyError::Url(repeated(text))),
            Err(Fault::Plain) => Err(NotifyError::PlainUrl(repeated(text))),
        }
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(WebUrl);

impl SecretUrl {
    /// Returns the whole address.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Returns what may be shown of it: scheme, host and port.
    pub fn origin(&self) -> &str {
        let url = self.0.expose();
        let host = url.find("://").map_or(0, |at| at + 3);
        let end = url[host..]
            .find(['/', '?'])
            .map_or(url.len(), |at| host + at);
        &url[..end]
    }
}

impl TryFrom<Secret> for SecretUrl {
    type Error = NotifyError;

    fn try_from(secret: Secret) -> Result<Self, NotifyError> {
        match check(secret.expose()) {
            Ok(()) => Ok(Self(secret)),
            Err(_) => Err(NotifyError::SecretUrl),
        }
    }
}

impl FromStr for SecretUrl {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        Self::try_from(text.parse::<Secret>()?)
    }
}

impl From<SecretUrl> for Secret {
    fn from(url: SecretUrl) -> Self {
        url.0
    }
}

impl MailServer {
    /// Returns its name or IP address, an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port, where one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether it is this host itself.
    pub fn is_this_host(&self) -> bool {
        is_this_host(&self.host)
    }
}

impl FromStr for MailServer {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        let refused = || NotifyError::MailServer(repeated(text));
        let (host, port) = host_and_port(text).ok_or_else(refused)?;
        let host = host.to_owned();
        Ok(Self { host, port })
    }
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

as_text!(MailServer);

impl MailAddress {
    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailAddress {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        // Source: RFC 5321, section 4.5.3.1, for the lengths; quoted local parts are met nowhere.
        let is_address = text.rsplit_once('@').is_some_and(|(local, domain)| {
            let is_atom =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
            let atoms = |local: &str| {
                local
                    .split('.')
                    .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
            };
            local.len() <= 64 && atoms(local) && !domain.ends_with('.') && is_host(domain)
        });
        if is_address {
            Ok(Self(text.to_owned()))
        } else {
            let shown = text.chars().take(80).flat_map(char::escape_debug);
            Err(NotifyError::MailAddress(shown.collect()))
        }
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(MailAddress);
