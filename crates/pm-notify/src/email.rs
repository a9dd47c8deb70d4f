//! Mail, by SMTP.
//!
//! lettre bounds how long a server may take for one line, but not how many there are: the whole of
//! it has its own time, too.

use std::error::Error as _;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message, SmtpTransport, Transport};
use pm_core::config::{Email, MailAddress, Security};
use sha2::{Digest, Sha256};

use crate::TIMEOUT_SECONDS;
use crate::hmac::hex;
use crate::http::judge_io;
use crate::outcome::{Failure, Outcome, Why};
use crate::part::Part;

pub(crate) fn send(email: &Email, part: &Part) -> Outcome {
    let prepared = message(email, part).and_then(|message| Ok((message, transport(email)?)));
    let (message, transport) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return failure.into(),
    };
    let (done, answered) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more where this fails.
        let _ = done.send(transport.send(&message));
    });
    let secret = email.password.as_ref().map(|password| password.expose());
    match answered.recv_timeout(Duration::from_secs(TIMEOUT_SECONDS + 1)) {
        Ok(Ok(response)) => Outcome::Delivered {
            answer: response.message().collect::<Vec<_>>().join(" "),
        },
        Ok(Err(error)) => {
            let mut said = error.to_string();
            if let Some(secret) = secret {
                said = said.replace(secret, "…");
            }
            Failure::new(judge(&error), said).into()
        }
        Err(_) => Failure::new(Why::Slow, "").into(),
    }
}

fn message(email: &Email, part: &Part) -> Result<Message, Failure> {
    let content = |error: &dyn std::fmt::Display| Failure::new(Why::Content, error.to_string());
    let mailbox = |address: &MailAddress| -> Result<Mailbox, Failure> {
        let address: Address = address.as_str().parse().map_err(|error| content(&error))?;
        Ok(Mailbox::new(None, address))
    };
    let to = email
        .to
        .iter()
        .map(mailbox)
        .collect::<Result<Vec<_>, _>>()?;
    let builder: MessageBuilder = to.into_iter().fold(Message::builder(), MessageBuilder::to);
    builder
        .from(mailbox(&email.from)?)
        .subject(&part.title)
        .message_id(Some(message_id(email, part)))
        .header(ContentType::TEXT_PLAIN)
        .body(format!("{}\n", part.text))
        .map_err(|error| content(&error))
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

fn transport(email: &Email) -> Result<SmtpTransport, Failure> {
    let host = email.server.host().to_owned();
    let tls = || {
        TlsParameters::new(host.clone()).map_err(|error| Failure::new(Why::Tls, error.to_string()))
    };
    let tls = match email.security {
        Security::Tls => Tls::Wrapper(tls()?),
        Security::StartTls => Tls::Required(tls()?),
        Security::None => Tls::None,
    };
    let port = email.server.port().unwrap_or(email.security.port());
    let mut builder = SmtpTransport::builder_dangerous(host)
        .port(port)
        .tls(tls)
        .hello_name(ClientId::Domain(domain(email).to_owned()))
        .timeout(Some(Duration::from_secs(TIMEOUT_SECONDS)));
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        let password = password.expose().to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn judge(error: &Error) -> Why {
    if let Some(code) = error.status() {
        let code: u16 = code.into();
        return match code {
            530 | 534 | 535 | 538 => Why::Credentials,
            550 | 551 | 553 => Why::NoRecipient,
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
    match () {
        () if error.is_timeout() => Why::Slow,
        // It says so itself only in words: the server offers no encryption, or no way to log in.
        () if error.is_client() && error.to_string().contains("STARTTLS") => Why::Tls,
        () if error.is_client() => Why::Credentials,
        () => Why::Broken,
    }
}
