//! What became of a part that was sent.

mod stored;

use std::fmt;
use std::time::Duration;

use pm_core::config::ChatId;
use pm_core::language::Language;
use serde::{Deserialize, Deserializer, Serialize};

use crate::say::say;

pub use stored::shown;

/// What became of a part that was sent. It can be handed on by whoever sent it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server took it.
    Delivered {
        /// What the server said, in short.
        #[serde(deserialize_with = "in_short")]
        answer: String,
    },
    /// It may work later.
    Retry {
        /// How long the server wants to be left alone; `None`: it does not say.
        after: Option<Duration>,
        /// Why it did not work.
        failure: Failure,
    },
    /// It will not work as it is: somebody must change something.
    Refused {
        /// Why not.
        failure: Failure,
    },
    /// The group has become another, and must be written to as that.
    Moved {
        /// The chat's new number.
        chat: ChatId,
    },
}

/// Why something was not delivered. No part of it holds a secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// What is the matter.
    pub why: Why,
    /// What the server or the system said, in short; empty: nothing.
    #[serde(deserialize_with = "in_short")]
    pub answer: String,
}

/// What is the matter when something is not delivered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The server's name is unknown, or cannot be looked up.
    Name,
    /// Nobody answers there.
    Connect,
    /// The server is not who it says, or the way cannot be encrypted.
    Tls,
    /// A mail server does not encrypt from the first byte on.
    NoTls,
    /// A mail server does not encrypt when it is asked to.
    NoStartTls,
    /// A web server does not encrypt at that port.
    NoHttps,
    /// A mail server lets nobody log in.
    NoLogin,
    /// It took too long.
    Slow,
    /// The connection broke off, or the answer is no HTTP.
    Broken,
    /// The answer is longer than it may be.
    Endless,
    /// The server sends elsewhere, where the secrets are not carried.
    Redirected,
    /// Somebody else answered: a proxy or a login page.
    NotTheServer,
    /// The token, key or password is wrong.
    Credentials,
    /// There is no such robot or hook.
    NoRecipient,
    /// There is no such chat, or none that the bot may see.
    NoChat,
    /// There is no such mailbox.
    NoMailbox,
    /// The receiver of the push knows no such node, or has nothing at this address.
    NoNode,
    /// The recipient does not want it: the bot was blocked or thrown out.
    Unwanted,
    /// Too many at a time.
    TooMany,
    /// The message is too long, or not as it must be, as its server is known to say it: pm's
    /// mistake. No other message is concerned.
    Content,
    /// The chat has become another, and that one another, and so on.
    Circle,
    /// The settings cannot be read: another version wrote them.
    Settings,
    /// Nobody tries to deliver it.
    Idle,
    /// This host's clock is off by so many seconds; positive: it is ahead.
    Clock {
        /// By how much, in seconds.
        seconds: i64,
    },
    /// The server says no, with a number of its own.
    Rejected {
        /// The number.
        code: i64,
    },
    /// The server has trouble of its own.
    Server {
        /// HTTP's or SMTP's number for it.
        status: u16,
    },
}

/// How much of an answer is kept, in characters.
const KEPT: usize = 300;

impl Failure {
    pub(crate) fn new(why: Why, answer: impl AsRef<str>) -> Self {
        let answer = match why {
            // What the system calls a timeout says less, and in other words each time.
            Why::Slow => String::new(),
            _ => short(answer.as_ref()),
        };
        Self { why, answer }
    }

    /// Returns one of which nobody says more.
    pub fn of(why: Why) -> Self {
        Self::new(why, "")
    }

    /// Returns what is the matter and what to do, with what the server said.
    pub fn text(&self, language: Language) -> String {
        let answer = &self.answer;
        let number = self.why.number().map(|number| number.to_string());
        let why = match number.filter(|number| answer.contains(number)) {
            Some(_) => self.why.unnumbered(language),
            None => self.why.text(language),
        };
        if answer.is_empty() {
            return why;
        }
        say!(language; "{why} ({answer})", "{why}（{answer}）")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::English))
    }
}

impl Why {
    /// Returns what is the matter, and what to do.
    pub fn text(&self, language: Language) -> String {
        match self {
            Self::Name => say!(
                language;
                "the server's name cannot be looked up: check its spelling and this host's DNS",
                "查不到服务器的名字：请检查拼写和这台主机的 DNS"
            ),
            Self::Connect => say!(
                language;
                "nobody answers there: check the address, firewalls, and whether the network lets \
                 this host through",
                "那里没有应答：请检查地址、防火墙，以及网络是否放行这台主机"
            ),
            Self::Tls => say!(
                language;
                "the server cannot prove who it is: check the address, this host's clock and the \
                 authorities that it trusts (ca-certificates), or somebody is in between",
                "服务器无法证明自己的身份：请检查地址、这台主机的时钟和它信任的证书颁发机构\
                 （ca-certificates），也可能中间有人截取"
            ),
            Self::NoTls => say!(
                language;
                "the server does not encrypt from the beginning: say `--security starttls`, or use \
                 its port for TLS, often 465",
                "服务器不是从一开始就加密：请改用 `--security starttls`，或换成它的 TLS 端口，通常是 465"
            ),
            Self::NoStartTls => say!(
                language;
                "the server offers no STARTTLS: say `--security tls`, and use its port for that, \
                 often 465",
                "服务器不提供 STARTTLS：请改用 `--security tls`，并换成相应的端口，通常是 465"
            ),
            Self::NoHttps => say!(
                language;
                "the server does not encrypt at that port: check the address and its port; \
                 https:// is often 443, and http:// leads to this host only",
                "服务器在那个端口上不加密：请检查地址和端口；https:// 通常是 443，\
                 http:// 只能用于这台主机自己"
            ),
            Self::NoLogin => say!(
                language;
                "the server lets nobody log in there: say `--user none`, or use another port or \
                 `--security`",
                "服务器在这里不提供登录：请用 `--user none` 去掉用户名，或换端口、换 `--security`"
            ),
            Self::Slow => say!(language; "the server took too long", "服务器太久没有答复"),
            Self::Broken => say!(
                language;
                "the connection broke off, or the answer cannot be understood",
                "连接中断，或答复无法理解"
            ),
            Self::Endless => say!(
                language;
                "the answer is far too long: this is not the server that was meant",
                "答复长得离谱：这不是要找的服务器"
            ),
            Self::Redirected => say!(
                language;
                "the server sends elsewhere, and secrets are not carried there: write the address \
                 that it leads to",
                "服务器要求转到别处，而密钥不会被带过去：请直接填写最终的地址"
            ),
            Self::NotTheServer => say!(
                language;
                "somebody else answers there, such as a proxy or a login page: check the address",
                "应答的不是那个服务器，可能是代理或登录页：请检查地址"
            ),
            Self::Credentials => say!(
                language;
                "the token, key or password is wrong: set it anew",
                "令牌、密钥或密码不对：请重新设置"
            ),
            Self::NoRecipient => say!(
                language;
                "there is no such hook or robot: check whether it still exists, and its address",
                "没有这个 webhook 或机器人：请检查它是否还在，以及地址是否正确"
            ),
            Self::NoChat => say!(
                language;
                "there is no such chat for the bot: check its number; the bot must be written to \
                 first, or be in the group",
                "机器人找不到这个会话：请检查编号；要先给机器人发一条消息，或把它拉进群"
            ),
            Self::NoMailbox => say!(
                language;
                "the server has no such mailbox, or takes nothing for it from here: check the recipients",
                "服务器没有这个邮箱，或不从这里为它收信：请检查收件人"
            ),
            Self::NoNode => say!(
                language;
                "the receiver does not know the node, or the address leads elsewhere: check both",
                "接收端不认识这个节点，或地址不对：请检查两者"
            ),
            Self::Unwanted => say!(
                language;
                "the recipient does not let it through: unblock the bot, or let it in again",
                "接收者不让它发：请解除对机器人的屏蔽，或重新拉它进群"
            ),
            Self::TooMany => say!(
                language;
                "too many messages at a time: the server takes more later",
                "一时消息太多：服务器过一会儿才接收"
            ),
            Self::Content => say!(
                language;
                "the server does not understand the message; please report this",
                "服务器看不懂这条消息；请反馈这个问题"
            ),
            Self::Circle => say!(
                language;
                "the chat moves in a circle: look up its number again with `pm notify find-chat`",
                "会话来回迁移：请用 `pm notify find-chat` 重新查它的编号"
            ),
            Self::Idle => say!(
                language;
                "nobody sends what waits: `pm setup` puts back who does, `pm log` shows why he cannot be started",
                "没有人在发送：`pm setup` 会重新安排，`pm log` 说明为何无法启动"
            ),
            Self::Settings => say!(
                language;
                "the settings cannot be read: set the channel, or the push, anew",
                "读不懂设置：请重新设置这个渠道或推送"
            ),
            Self::Clock { seconds } => {
                let off = seconds.unsigned_abs();
                match *seconds >= 0 {
                    true => say!(
                        language;
                        "this host's clock is {off} s ahead: set it, or let NTP do it",
                        "这台主机的时钟快了 {off} 秒：请校准，或启用 NTP"
                    ),
                    false => say!(
                        language;
                        "this host's clock is {off} s behind: set it, or let NTP do it",
                        "这台主机的时钟慢了 {off} 秒：请校准，或启用 NTP"
                    ),
                }
            }
            Self::Rejected { code } => {
                let no = self.unnumbered(language);
                say!(language; "{no}, with number {code}", "{no}，编号 {code}")
            }
            Self::Server { status } => {
                let trouble = self.unnumbered(language);
                say!(language; "{trouble} (number {status})", "{trouble}（编号 {status}）")
            }
        }
    }

    /// Returns the server's number, where the text has it.
    fn number(&self) -> Option<i64> {
        match self {
            Self::Rejected { code } => Some(*code),
            Self::Server { status } => Some((*status).into()),
            _ => None,
        }
    }

    /// Returns the text without the number, for where that stands beside it.
    fn unnumbered(&self, language: Language) -> String {
        match self {
            Self::Rejected { .. } => say!(language; "the server says no", "服务器拒绝"),
            Self::Server { .. } => say!(
                language;
                "the server has trouble of its own",
                "服务器自身有问题"
            ),
            other => other.text(language),
        }
    }

    /// Whether it may be gone later without anybody's doing.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Name
            | Self::Connect
            | Self::Tls
            | Self::NoTls
            | Self::NoStartTls
            | Self::NoHttps
            | Self::Slow
            | Self::Broken
            | Self::Endless
            | Self::Redirected
            | Self::NotTheServer
            | Self::NoNode
            | Self::TooMany
            | Self::Clock { .. }
            | Self::Rejected { .. }
            | Self::Server { .. } => true,
            Self::Circle
            | Self::Settings
            | Self::Idle
            | Self::Credentials
            | Self::NoLogin
            | Self::NoRecipient
            | Self::NoChat
            | Self::NoMailbox
            | Self::Unwanted
            | Self::Content => false,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure.why.may_pass() {
            true => Self::Retry {
                after: None,
                failure,
            },
            false => Self::Refused { failure },
        }
    }
}

/// Returns a stranger's text so that it does no more than stand there: one line, not long.
pub(crate) fn short(text: &str) -> String {
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let line = words.into_iter().filter(|word| !word.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Reads a stranger's text as [`short`] leaves it.
pub(crate) fn in_short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| short(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_said_once() {
        let said = |why, answer| {
            let failure = Failure::new(why, answer);
            [Language::English, Language::Chinese].map(|language| failure.text(language))
        };
        let server = |status, answer| said(Why::Server { status }, answer);
        assert_eq!(
            server(500, "HTTP 500 oops"),
            [
                "the server has trouble of its own (HTTP 500 oops)",
                "服务器自身有问题（HTTP 500 oops）"
            ]
        );
        assert_eq!(
            server(503, ""),
            [
                "the server has trouble of its own (number 503)",
                "服务器自身有问题（编号 503）"
            ]
        );
        assert_eq!(
            said(Why::Rejected { code: 60_020 }, "60020 not allowed"),
            [
                "the server says no (60020 not allowed)",
                "服务器拒绝（60020 not allowed）"
            ]
        );
        assert_eq!(
            said(Why::Rejected { code: 7 }, "go away"),
            [
                "the server says no, with number 7 (go away)",
                "服务器拒绝，编号 7（go away）"
            ]
        );
    }

    #[test]
    fn a_timeout_is_not_said_in_the_systems_words() {
        let said = "network error: Resource temporarily unavailable (os error 11)";
        let slow = Failure::new(Why::Slow, said);
        assert_eq!(slow.text(Language::English), "the server took too long");
        assert_eq!(slow.text(Language::Chinese), "服务器太久没有答复");
    }
}
