//! A conversation with a mail server.
//!
//! Each step has errors of its own, which say what to do; a recipient whom the server will not have
//! costs the others nothing.
//!
//! Source: RFC 5321, sections 3.3 and 4.2; RFC 3207; RFC 4954.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::ANSWER_SECONDS;
use crate::TIMEOUT_SECONDS;
use crate::http::judge_io;
use crate::outcome::Why;
use crate::reach::{first, lookup};

/// Why a mail was not taken, and what the server or the system said.
pub(super) type Refusal = (Why, String);

/// With whom one talks, and as whom.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) way: Way,
    pub(super) hello: ClientId,
    pub(super) credentials: Option<Credentials>,
}

/// How the way there is secured.
pub(super) enum Way {
    /// From the first byte on.
    Tls(TlsParameters),
    /// From `STARTTLS` on, which must be.
    StartTls(TlsParameters),
    Plain,
}

/// A mail, as it is sent.
pub(super) struct Post {
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
    pub(super) text: Vec<u8>,
}

impl Server {
    /// Gets ready to hand mails over.
    ///
    /// # Errors
    ///
    /// When nobody answers, the way cannot be secured, or the server does not let pm in.
    pub(super) fn open(&self) -> Result<SmtpConnection, Refusal> {
        let timeout = Duration::from_secs(TIMEOUT_SECONDS);
        let end = Instant::now() + timeout;
        let addresses =
            lookup(&self.host, self.port).map_err(|error| (judge_io(&error), error.to_string()))?;
        let mut connection = self.greet(&addresses, end)?;
        // The address that answers may have had less.
        let reset = connection.set_timeout(Some(timeout));
        reset.map_err(|error| (judge_io(&error), error.to_string()))?;
        if let Way::StartTls(tls) = &self.way {
            if !connection.can_starttls() {
                return Err((Why::NoStartTls, String::new()));
            }
            let begun = connection.starttls(tls, &self.hello);
            begun.map_err(|error| refusal(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            let offered = connection.server_info();
            if offered.get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
                return Err((Why::NoLogin, String::new()));
            }
            let known = connection.auth(DEFAULT_MECHANISMS, credentials);
            known.map_err(|error| refusal(&error))?;
        }
        Ok(connection)
    }

    /// Waits for the greeting of one of the server's addresses.
    fn greet(&self, addresses: &[SocketAddr], end: Instant) -> Result<SmtpConnection, Refusal> {
        let tls = match &self.way {
            Way::Tls(tls) => Some(tls),
            Way::StartTls(_) | Way::Plain => None,
        };
        let knock = |_, address, share| {
            SmtpConnection::connect(address, Some(share), &self.hello, tls, None)
        };
        let is_elsewhere =
            |error: &Error| matches!(judge(error), Why::Connect | Why::Slow | Why::Broken);
        first(addresses, end, knock, is_elsewhere).map_err(|error| {
            let Some(error) = error else {
                return (Why::Name, String::new());
            };
            let (why, said) = refusal(&error);
            // The greeting of a server that speaks plainly is no record of TLS.
            match tls.is_some() && said.contains("InvalidContentType") {
                true => (Why::NoTls, said),
                false => (why, said),
            }
        })
    }
}

/// Hands a mail over, and returns what the server said, with whom it will not have. `begin` says, at
/// the last moment before the server has all of it, whether it is still wanted.
///
/// # Errors
///
/// When nobody of the recipients gets it.
pub(super) fn hand_over(
    connection: &mut SmtpConnection,
    post: Post,
    begin: impl FnOnce() -> bool,
) -> Result<String, Refusal> {
    let failed = |error: Error| refusal(&error);
    let sender = Mail::new(Some(post.from), Vec::new());
    connection.command(sender).map_err(failed)?;
    let mut left_out = Vec::new();
    let count = post.to.len();
    for to in post.to {
        match connection.command(Rcpt::new(to.clone(), Vec::new())) {
            Ok(_) => {}
            Err(error) if is_his_alone(&error) => left_out.push((to, refusal(&error))),
            Err(error) => return Err(refusal(&error)),
        }
    }
    if left_out.len() == count
        && let Some((_, refusal)) = left_out.pop()
    {
        return Err(refusal);
    }
    connection.command(Data).map_err(failed)?;
    let patience = Some(Duration::from_secs(ANSWER_SECONDS));
    if !begin() || connection.set_timeout(patience).is_err() {
        return Err((Why::Slow, String::new()));
    }
    let response = connection.message(&post.text).map_err(failed)?;
    let mut answer = response.message().collect::<Vec<_>>().join(" ");
    for (to, (_, said)) in left_out {
        answer.push_str(&format!("; not to {to}: {said}"));
    }
    Ok(answer)
}

/// Whether a server says of a recipient what holds for that one, and stays: 452 is what a full
/// mailbox gets. A server that is busy, or wants to see pm again later, says so of all.
fn is_his_alone(error: &Error) -> bool {
    error.is_permanent() || has_no_place(error) || code(error) == Some(452)
}

/// Whether an address is in doubt for now: Postfix says so, with 450, of one that it cannot verify.
///
/// Source: RFC 3463, section 3.2.
fn has_no_place(error: &Error) -> bool {
    matches!(code(error), Some(450 | 451)) && error.to_string().contains(" 4.1.")
}

fn code(error: &Error) -> Option<u16> {
    error.status().map(u16::from)
}

fn refusal(error: &Error) -> Refusal {
    (judge(error), error.to_string())
}

fn judge(error: &Error) -> Why {
    if let Some(code) = code(error) {
        return match code {
            530 | 534 | 535 | 538 => Why::Credentials,
            550 | 551 | 553 => Why::NoMailbox,
            code if has_no_place(error) => Why::Rejected { code: code.into() },
            421 | 450..=452 => Why::TooMany,
            400..=499 => Why::Server { status: code },
            // The message is too large, or the mailbox too full: RFC 3463 tells them apart.
            552 if error.to_string().contains("5.3.4") => Why::Content,
            552 => Why::TooMany,
            code => Why::Rejected { code: code.into() },
        };
    }
    if error.is_tls() {
        return Why::Tls;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return judge_io(io);
        }
        cause = inner.source();
    }
    match error.is_timeout() {
        true => Why::Slow,
        false => Why::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::reach::tests::Dead;

    #[test]
    fn a_server_is_reached_behind_an_address_that_does_not_answer() {
        let (dead, live) = (Dead::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = [dead.address, live.local_addr().unwrap()];
        thread::spawn(move || {
            let (stream, _) = live.accept().unwrap();
            (&stream).write_all(b"220 mail.test\r\n").unwrap();
            for _ in BufReader::new(&stream).lines().map_while(Result::ok) {
                (&stream).write_all(b"250 mail.test\r\n").unwrap();
            }
        });
        let server = Server {
            host: "mail.test".into(),
            port: 25,
            way: Way::Plain,
            hello: ClientId::Domain("example.org".into()),
            credentials: None,
        };
        let began = Instant::now();
        let end = began + Duration::from_secs(TIMEOUT_SECONDS);
        assert!(server.greet(&addresses, end).is_ok());
        let took = began.elapsed();
        assert!(took > Duration::from_secs(4), "it was not dead: {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}
