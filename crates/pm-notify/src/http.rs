//! One request over HTTP, and its answer: the only user of minreq.
//!
//! No redirection is followed, since minreq would carry headers and body to any host. The answer,
//! its headers and the whole time are bounded. Errors and answers hold none of the secrets that the
//! request was made with.

mod interim;
mod relay;

use std::io::{self, BufReader, Read};
use std::time::{Duration, Instant};

use minreq::{Error, Method, ResponseLazy};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::TIMEOUT_SECONDS;
use crate::outcome::{Failure, Outcome, Why};
use interim::{Head, is_bare, is_interim, read_body, read_last};

/// How long an answer may be, in bytes, unless more is expected.
const MOST: u64 = 64 << 10;

/// How long the headers of all answers to one request may be, in bytes.
const MOST_HEADERS: usize = 16 << 10;

/// A request.
pub(crate) struct Call<'a> {
    method: Method,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    secrets: Vec<&'a str>,
    most: u64,
    is_by_status: bool,
}

/// What a server answered.
pub(crate) struct Answer {
    /// HTTP's number.
    pub(crate) status: u16,
    /// The server's time, in seconds since 1970.
    pub(crate) date: Option<i64>,
    /// How long it wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// The body as it came: it is judged, and never shown.
    body: String,
    /// What must not be in anything that is shown.
    secrets: Vec<String>,
}

impl<'a> Call<'a> {
    /// Returns a request that posts JSON; `secrets` are what its address and body hold.
    pub(crate) fn post(url: String, json: String, secrets: Vec<&'a str>) -> Self {
        Self {
            method: Method::Post,
            url,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: json.into_bytes(),
            secrets,
            most: MOST,
            is_by_status: false,
        }
    }

    /// Makes it one that puts.
    pub(crate) fn put(mut self) -> Self {
        self.method = Method::Put;
        self
    }

    /// Adds a header, or replaces it.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Allows a longer answer.
    pub(crate) fn at_most(mut self, bytes: u64) -> Self {
        self.most = bytes;
        self
    }

    /// Makes it one whose answer is HTTP's number: of the body counts what came, however it ends.
    pub(crate) fn by_status(mut self) -> Self {
        self.is_by_status = true;
        self
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    ///
    /// When there is no whole answer, or one that leads elsewhere.
    pub(crate) fn send(self) -> Result<Answer, Failure> {
        // A line break would end a header, and begin one of somebody else's.
        let breaks = |text: &str| text.chars().any(char::is_control);
        if breaks(&self.url) || self.headers.iter().any(|(_, value)| breaks(value)) {
            return Err(Failure::new(Why::Content, "line break in a header"));
        }
        let secrets = self.secrets;
        let failed = |error: Error| {
            let (why, answer) = judge(error);
            Failure::new(why, without(&answer, &secrets))
        };
        let end = Instant::now() + Duration::from_secs(TIMEOUT_SECONDS);
        let relay = relay::open(&self.url, end).map_err(|error| failed(Error::IoError(error)))?;
        let left = end.saturating_duration_since(Instant::now());
        let mut request = minreq::Request::new(self.method, self.url)
            .with_header("User-Agent", concat!("pm/", env!("CARGO_PKG_VERSION")))
            .with_header("Accept", "application/json")
            // There is no second request, and a server that waits for one must not be waited for.
            .with_header("Connection", "close")
            .with_body(self.body)
            .with_timeout(left.as_secs().max(1))
            .with_follow_redirects(false)
            .with_max_headers_size(MOST_HEADERS)
            .with_max_status_line_length(1 << 10);
        for (name, value) in self.headers {
            request = request.with_header(name, value);
        }
        if let Some(relay) = &relay {
            request = request.with_proxy(relay.proxy().map_err(failed)?);
        }
        let answer = request.send_lazy().map_err(failed)?;
        // What minreq makes of an answer that is no HTTP.
        if answer.status_code == 503
            && answer.reason_phrase == "Server did not provide a status line"
        {
            return Err(Failure::new(Why::Broken, ""));
        }
        let mut bytes = Vec::new();
        let (head, whole) = read(answer, self.most + 1, &mut bytes)
            .map_err(|error| failed(Error::IoError(error)))?;
        let status = head.status;
        if (300..400).contains(&status) {
            return Err(Failure::new(Why::Redirected, status.to_string()));
        }
        // A message that is taken would be sent again for the sake of what is only shown.
        if !self.is_by_status {
            whole.map_err(|error| failed(Error::IoError(error)))?;
            if bytes.len() as u64 > self.most {
                return Err(Failure::new(Why::Endless, ""));
            }
        }
        let date = head.header("date").and_then(seconds);
        let retry_after = head.header("retry-after");
        Ok(Answer {
            status,
            date,
            retry_after: retry_after.and_then(|it| pause(it, date)),
            body: String::from_utf8_lossy(&bytes).into_owned(),
            secrets: secrets.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// Reads the body of the last answer, and returns that one's head with whether it was all of it.
///
/// # Errors
///
/// When there is no such head.
fn read(
    mut answer: ResponseLazy,
    most: u64,
    body: &mut Vec<u8>,
) -> io::Result<(Head, io::Result<()>)> {
    let head = Head {
        status: answer.status_code,
        headers: std::mem::take(&mut answer.headers),
    };
    // Such an answer says no length: its body would end with the connection only.
    let is_read = |status| !is_bare(status) && !(300..400).contains(&status);
    if is_interim(head.status) {
        let rest = answer.take(most.saturating_add(MOST_HEADERS as u64));
        let mut rest = BufReader::new(rest);
        let head = read_last(&mut rest)?;
        let whole = match is_read(head.status) {
            true => read_body(rest, &head, most, body),
            false => Ok(()),
        };
        return Ok((head, whole));
    }
    let whole = match is_read(head.status) {
        true => answer.take(most).read_to_end(body).map(drop),
        false => Ok(()),
    };
    Ok((head, whole))
}

impl Answer {
    /// Returns the body as JSON, where it is an object.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        let json: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        json.is_object().then_some(json)
    }

    /// Returns what an answer means that is not in the server's own language.
    pub(crate) fn foreign(&self) -> Failure {
        let why = match self.status {
            429 => Why::TooMany,
            status @ 500.. => Why::Server { status },
            _ => Why::NotTheServer,
        };
        Failure::new(why, self.excerpt())
    }

    /// Returns what becomes of what was sent: where it may work later, when the server says.
    pub(crate) fn outcome(&self, failure: Failure) -> Outcome {
        match failure.into() {
            Outcome::Retry { failure, .. } => Outcome::Retry {
                after: self.retry_after,
                failure,
            },
            outcome => outcome,
        }
    }

    /// Returns a failure that the server explains in the body.
    pub(crate) fn failure(&self, why: Why, said: &str) -> Failure {
        Failure::new(why, self.shown(said))
    }

    /// Whether it is a page for people to look at. XML is none: programs answer in it, too.
    pub(crate) fn is_page(&self) -> bool {
        let body = self.body.trim_start();
        body.starts_with('<') && (!body.starts_with("<?xml") || body.contains("<html"))
    }

    /// Whether the body has these words.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.body.contains(words)
    }

    /// Returns what can be shown of the answer: a page of HTML says nothing to an operator.
    pub(crate) fn excerpt(&self) -> String {
        match self.is_page() {
            true => format!("HTTP {}, a web page", self.status),
            false => {
                let body = self.shown(&self.body);
                format!("HTTP {} {}", self.status, crate::outcome::short(&body))
            }
        }
    }

    /// Returns a text of the body as it can be shown.
    pub(crate) fn shown(&self, text: &str) -> String {
        let secrets: Vec<_> = self.secrets.iter().map(String::as_str).collect();
        without(text, &secrets)
    }
}

/// Reads a date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// Source: RFC 9110, section 5.6.7.
fn seconds(text: &str) -> Option<i64> {
    let date = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?;
    Some(date.unix_timestamp())
}

/// Reads how long a server wants to be left alone: so many seconds, or until a date, which counts by
/// the server's own clock.
///
/// Source: RFC 9110, section 10.2.3.
fn pause(text: &str, date: Option<i64>) -> Option<Duration> {
    let until = || seconds(text)?.saturating_sub(date?).try_into().ok();
    let seconds = text.parse().ok().or_else(until);
    seconds.map(Duration::from_secs)
}

/// What stands in the path of anybody's address.
const COMMON: [&str; 5] = ["cgi-bin", "open-apis", "services", "webhook", "webhooks"];

/// Returns what of an address may be a secret: all of it, and each piece of its path and each value
/// behind that. Short pieces are none, and would make an answer unreadable.
pub(crate) fn secrets_of(address: &str) -> Vec<&str> {
    let behind = address.find("://").map_or(0, |at| at + 3);
    let host = &address[behind..];
    let path = host.find(['/', '?']).map_or("", |at| &host[at + 1..]);
    let pieces = path.split(['/', '?', '&']);
    let values = pieces.map(|piece| piece.split_once('=').map_or(piece, |(_, value)| value));
    let whole = [address, path];
    let all = whole.into_iter().chain(values);
    all.filter(|piece| piece.len() >= 6 && !COMMON.contains(piece))
        .collect()
}

/// Returns a text without secrets: a server can say again what it was asked.
fn without(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    let mut secrets = secrets.to_vec();
    // One may be a piece of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "…");
    }
    text
}

/// Returns what an error of the network means, and what it says itself.
fn judge(error: Error) -> (Why, String) {
    let said = error.to_string();
    let why = match &error {
        Error::AddressNotFound => Why::Name,
        Error::RustlsCreateConnection(_) => Why::Tls,
        Error::HeadersOverflow | Error::StatusLineOverflow => Why::Endless,
        // An answer that speaks plainly is no record of TLS.
        Error::IoError(_) if said.contains("InvalidContentType") => Why::NoHttps,
        Error::IoError(error) => judge_io(error),
        _ => Why::Broken,
    };
    (why, said)
}

/// Returns what an error of the system means, or of TLS, which comes in its clothes.
pub(crate) fn judge_io(error: &io::Error) -> Why {
    use io::ErrorKind as E;
    match error.kind() {
        E::TimedOut | E::WouldBlock => Why::Slow,
        E::ConnectionRefused
        | E::HostUnreachable
        | E::NetworkUnreachable
        | E::AddrNotAvailable
        | E::PermissionDenied
        | E::NetworkDown => Why::Connect,
        E::InvalidData => Why::Tls,
        // The standard library has no kind for it.
        _ if error.to_string().starts_with("failed to lookup address") => Why::Name,
        _ => Why::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_http_writes_it() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn a_pause_is_a_number_or_ends_at_a_date_of_the_server() {
        let (date, later) = (784_111_777, "Sun, 06 Nov 1994 08:51:37 GMT");
        for (text, date, expected) in [
            ("70", None, Some(70)),
            (later, Some(date), Some(120)),
            (later, None, None),
            (later, Some(date + 121), None),
            ("soon", Some(date), None),
            ("-1", Some(date), None),
        ] {
            let pause = pause(text, date).map(|it| it.as_secs());
            assert_eq!(pause, expected, "{text} {date:?}");
        }
    }

    #[test]
    fn secrets_are_taken_out_of_what_is_said() {
        assert_eq!(
            without("no bot123:AA here", &["123:AA", ""]),
            "no bot… here"
        );
    }

    #[test]
    fn no_line_break_reaches_a_header() {
        for (url, value) in [
            ("http://127.0.0.1:9/a\r\nX: y", "v"),
            ("http://127.0.0.1:9/", "v\r\nX: y"),
        ] {
            let call = Call::post(url.to_owned(), String::new(), Vec::new()).with("X-Node", value);
            assert_eq!(call.send().err().map(|it| it.why), Some(Why::Content));
        }
    }
}
