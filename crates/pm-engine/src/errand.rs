//! What an operator has sent at once: a test, the push, or a question to a bot.
//!
//! - What talks to the internet is not root here, either: a child that is the user who delivers
//!   does it, and root reads its answer as a stranger's.
//! - What it needs, secrets too, comes to it by its standard input, and by nothing that others see.
//! - Where there is no such user, or pm is not root, the process itself does it.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{geteuid, setsid};
use pm_core::config::{BotToken, Push, Via, WebUrl};
use pm_notify::telegram::{self, Chat};
use pm_notify::{Failure, Outcome, Part};
use pm_store::Paths;
use serde::{Deserialize, Serialize};

use crate::outbox::Owner;
use crate::{EngineError, clock};

/// The longest errand and the longest answer, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// What is to be done.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Errand {
    Send {
        via: Via,
        part: Part,
    },
    Push {
        push: Push,
        body: String,
    },
    FindChats {
        token: BotToken,
        api_base: Option<WebUrl>,
    },
}

/// What came of it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Outcome(Outcome),
    Chats(Result<Vec<Chat>, Failure>),
}

impl Errand {
    /// Has it done by the user to whom the outbox of `paths` belongs, where there is one. It takes
    /// as long as the network does.
    ///
    /// # Errors
    ///
    /// `NotStarted` where he could not be asked, or gave no answer.
    pub(crate) fn entrust(self, paths: &Paths) -> Result<Answer, EngineError> {
        match Owner::of(&paths.outbox_dir()) {
            Ok(owner) if geteuid().is_root() => self.give(owner).map_err(EngineError::NotStarted),
            _ => Ok(self.run()),
        }
    }

    fn give(&self, owner: Owner) -> io::Result<Answer> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["deliver", "--errand"])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The system's other groups go, too.
            .gid(owner.group)
            .uid(owner.user)
            .spawn()?;
        let mut said = Vec::new();
        let talked = (|| {
            if let Some(mut input) = child.stdin.take() {
                input.write_all(&serde_json::to_vec(self)?)?;
            }
            match child.stdout.take() {
                Some(output) => output.take(MOST_BYTES).read_to_end(&mut said),
                None => Ok(0),
            }
        })();
        child.wait()?;
        talked?;
        let no_answer = |_| io::Error::new(io::ErrorKind::InvalidData, "it gave no answer");
        serde_json::from_slice(&said).map_err(no_answer)
    }

    fn run(self) -> Answer {
        let now = clock::now().unix();
        match self {
            Self::Send { via, part } => Answer::Outcome(pm_notify::send(&via, &part, now)),
            Self::Push { push, body } => Answer::Outcome(pm_notify::push::send(&push, &body, now)),
            Self::FindChats { token, api_base } => {
                Answer::Chats(telegram::find_chats(&token, api_base.as_ref()))
            }
        }
    }
}

impl Answer {
    /// Returns what became of what was sent.
    ///
    /// # Errors
    ///
    /// `NotStarted` where it is the answer to something else.
    pub(crate) fn outcome(self) -> Result<Outcome, EngineError> {
        match self {
            Self::Outcome(outcome) => Ok(outcome),
            Self::Chats(_) => Err(misunderstood()),
        }
    }

    /// Returns the chats of a bot, or why it could not be asked.
    ///
    /// # Errors
    ///
    /// As [`outcome`](Self::outcome).
    pub(crate) fn chats(self) -> Result<Result<Vec<Chat>, Failure>, EngineError> {
        match self {
            Self::Chats(chats) => Ok(chats),
            Self::Outcome(_) => Err(misunderstood()),
        }
    }
}

fn misunderstood() -> EngineError {
    let why = "it gave another answer than it was asked for";
    EngineError::NotStarted(io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Does what standard input asks for, and says on standard output what came of it: `pm deliver
/// --errand`.
///
/// # Errors
///
/// `NotStarted` where it asks for nothing that is known, or nobody reads the answer.
pub fn do_errand() -> Result<(), EngineError> {
    // The operator's terminal is none of its business. Who leads a group already has none here.
    let _ = setsid();
    let done = set_no_new_privs().map_err(io::Error::from).and_then(|()| {
        let errand: Errand = serde_json::from_reader(io::stdin().lock().take(MOST_BYTES))?;
        serde_json::to_writer(io::stdout().lock(), &errand.run())?;
        io::stdout().flush()
    });
    done.map_err(EngineError::NotStarted)
}

/// Asks a bot for the chats it has heard of; why not is the answer's, too. It takes as long as the
/// server does.
///
/// # Errors
///
/// `NotStarted`.
pub fn find_chats(
    paths: &Paths,
    token: &BotToken,
    api_base: Option<&WebUrl>,
) -> Result<Result<Vec<Chat>, Failure>, EngineError> {
    let errand = Errand::FindChats {
        token: token.clone(),
        api_base: api_base.cloned(),
    };
    errand.entrust(paths)?.chats()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_answers_is_one_short_line() {
        let long = "x".repeat(9_999);
        for answer in ["ok\u{1b}[2J\nroot:", &long] {
            let answer = serde_json::to_string(answer).unwrap();
            let said = format!(r#"{{"outcome":{{"delivered":{{"answer":{answer}}}}}}}"#);
            let said: Answer = serde_json::from_str(&said).unwrap();
            let Outcome::Delivered { answer } = said.outcome().unwrap() else {
                unreachable!("it was delivered");
            };
            assert!(answer.chars().count() < 400 && !answer.contains(char::is_control));
        }
        assert!(serde_json::from_str::<Answer>(r#"{"outcome":"delivered"}"#).is_err());
        let chats: Answer = serde_json::from_str(r#"{"chats":{"Ok":[]}}"#).unwrap();
        assert!(chats.outcome().is_err());
    }
}
