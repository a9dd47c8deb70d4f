//! Mail, by SMTP.
//!
//! lettre bounds how long a server may take for one line, but not how many there are, or how slowly
//! they come: the whole of it has its own time, too. Up to where the mail is handed over, it is
//! [given up](HandOver) when that is over, and never handed over afterwards. From there on it is
//! waited for the answer: a mail that is given up although it was taken comes twice.

mod session;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::TlsParameters;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use pm_core::config::{Email, MailAddress, Security};
use sha2::{Digest, Sha256};

use crate::TIMEOUT_SECONDS;
use crate::hmac::hex;
use crate::outcome::{Failure, Outcome, Why};
use crate::part::Part;
use session::{Post, Server, Way, hand_over};

/// How long a server may take for a mail that was handed over, in seconds: it looks for viruses and
/// more. RFC 5321, section 4.5.3.2.6, would have ten minutes, in which whoever delivers may be ended.
const ANSWER_SECONDS: u64 = 4 * 60;

/// How long it is waited for the answer to a good-bye.
const GOOD_BYE: Duration = Duration::from_secs(2);

pub(crate) fn send(email: &Email, part: &Part) -> Outcome {
    let prepared = post(email, part).and_then(|post| Ok((post, server(email)?)));
    let (post, server) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return failure.into(),
    };
    let (done, answered) = mpsc::channel();
    let handed_over = HandOver::default();
    let begins = handed_over.clone();
    thread::spawn(move || {
        // Nobody waits any more where telling this fails.
        let _ = match server.open() {
            Ok(mut connection) => {
                let told = done.send(hand_over(&mut connection, post, || begins.begin()));
                // The mail is taken, or not: no good-bye changes that.
                let _ = connection.set_timeout(Some(GOOD_BYE));
                connection.abort();
                told
            }
            Err(refusal) => done.send(Err(refusal)),
        };
    });
    let secret = email.password.as_ref().map(|password| password.expose());
    let shown = |said: String| secret.map_or(said.clone(), |secret| said.replace(secret, "…"));
    let mut told = answered.recv_timeout(Duration::from_secs(TIMEOUT_SECONDS + 1));
    if matches!(told, Err(RecvTimeoutError::Timeout)) && !handed_over.give_up() {
        told = answered.recv_timeout(Duration::from_secs(ANSWER_SECONDS + 1));
    }
    match told {
        Ok(Ok(answer)) => Outcome::Delivered {
            answer: shown(answer),
        },
        Ok(Err((why, said))) => Failure::new(why, shown(said)).into(),
        Err(_) => Failure::new(Why::Slow, "").into(),
    }
}

/// Whether a mail is handed over, or given up before that: whichever is first.
#[derive(Clone, Default)]
struct HandOver {
    begun: Arc<OnceLock<bool>>,
}

impl HandOver {
    /// Returns whether it may be handed over: from here on it cannot be given up.
    fn begin(&self) -> bool {
        *self.begun.get_or_init(|| true)
    }

    /// Returns whether it is given up: from here on it cannot be handed over.
    fn give_up(&self) -> bool {
        !*self.begun.get_or_init(|| false)
    }
}

fn post(email: &Email, part: &Part) -> Result<Post, Failure> {
    let address = |address: &MailAddress| -> Result<Address, Failure> {
        let parsed = address.as_str().parse();
        parsed.map_err(|error: lettre::address::AddressError| {
            Failure::new(Why::Content, error.to_string())
        })
    };
    let from = address(&email.from)?;
    let to = email
        .to
        .iter()
        .map(address)
        .collect::<Result<Vec<_>, _>>()?;
    let message = message(email, part, &from, &to)?;
    // All of it is ASCII: headers and text are encoded where they are more.
    let text = message.formatted();
    Ok(Post { from, to, text })
}

fn message(email: &Email, part: &Part, from: &Address, to: &[Address]) -> Result<Message, Failure> {
    let mailbox = |address: &Address| Mailbox::new(None, address.clone());
    let to = to.iter().map(mailbox);
    let builder: MessageBuilder = to.fold(Message::builder(), MessageBuilder::to);
    // Nobody's holiday answers to a machine: RFC 3834, section 5.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
    builder
        .from(mailbox(from))
        .subject(&part.title)
        .message_id(Some(message_id(email, part)))
        .raw_header(automatic)
        .header(ContentType::TEXT_PLAIN)
        .body(format!("{}\n", part.text))
        .map_err(|error| Failure::new(Why::Content, error.to_string()))
}

/// The same part has the same, so that mailboxes show what was sent twice only once.
fn message_id(email: &Email, part: &Part) -> String {
    let mut hasher = Sha256::new();
    for piece in [&part.title, &part.text, &part.time, &part.server] {
        hasher.update(piece.as_bytes());
        hasher.update([0]);
    }
    let digest = hex(&hasher.finalize()[..16]);
    format!("<{digest}@{}>", domain(email))
}

fn domain(email: &Email) -> &str {
    let from = email.from.as_str();
    from.rsplit_once('@').map_or(from, |(_, domain)| domain)
}

fn server(email: &Email) -> Result<Server, Failure> {
    let host = email.server.host().to_owned();
    let tls = || {
        TlsParameters::new(host.clone()).map_err(|error| Failure::new(Why::Tls, error.to_string()))
    };
    let way = match email.security {
        Security::Tls => Way::Tls(tls()?),
        Security::StartTls => Way::StartTls(tls()?),
        Security::None => Way::Plain,
    };
    let credentials = email.user.as_ref().zip(email.password.as_ref());
    let credentials = credentials
        .map(|(user, password)| Credentials::new(user.clone(), password.expose().to_owned()));
    Ok(Server {
        host,
        port: email.server.port().unwrap_or(email.security.port()),
        way,
        hello: ClientId::Domain(domain(email).to_owned()),
        credentials,
    })
}
