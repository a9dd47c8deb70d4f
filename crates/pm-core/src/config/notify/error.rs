//! Why a setting of a channel, or of the push, is not one.

use super::{ChannelName, EventKind, MAX_NAME_BYTES, MAX_TEMPLATE_BYTES, MAX_URL_BYTES, Preset};
use crate::secret::SecretError;

/// Why a setting of a channel, or of the push, is not one. None repeats what may be secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotifyError {
    /// A name that a channel cannot have.
    #[error(
        "`{0}` cannot be a channel's name: write 1 to {MAX_NAME_BYTES} bytes of letters, digits, `-`, `_` and `.`, a letter or digit first, and not `all` or `none`"
    )]
    ChannelName(String),
    /// Two channels of one name.
    #[error("channel {0} is there twice")]
    ChannelTwice(ChannelName),
    /// A name that a host cannot have in messages and headers.
    #[error(
        "`{0}` cannot be a name: write 1 to {MAX_NAME_BYTES} bytes on one line, without a space at either end"
    )]
    Name(String),
    /// No kind of event.
    #[error("`{0}` is not a kind of event: write one of {kinds}", kinds = EventKind::list())]
    EventKind(String),
    /// No parts of a quota.
    #[error("`{0}` is not a list of thresholds: write up to 20 percentages from 1 to 1000")]
    Thresholds(String),
    /// No time of day.
    #[error("`{0}` is not a time of day: write one from 00:00 to 23:59")]
    TimeOfDay(String),
    /// No span of a day.
    #[error("`{0}` is not a span of the day: write two different times, such as 23:00-07:00")]
    QuietHours(String),
    /// No times of reports.
    #[error(
        "`{0}` does not say when: write `every 60m` (from 1m to 24h) or `at 08:00,20:00`, for example"
    )]
    Schedule(String),
    /// No number of minutes.
    #[error("`{0}` is not a number of minutes: write one from 1 to 1440")]
    Minutes(String),
    /// No address of a web server.
    #[error(
        "`{0}` is not an address: write https://HOST/PATH of at most {MAX_URL_BYTES} characters, without user, spaces and `#`; HOST is a name or an IPv4 address"
    )]
    Url(String),
    /// An address where others on the way would read what is sent.
    #[error(
        "`{0}` would be reached without encryption: write https:// (http:// goes to this host only, such as http://127.0.0.1)"
    )]
    PlainUrl(String),
    /// The base of other addresses, with a query.
    #[error(
        "`{0}` has a query: write it without `?` and what follows, because the methods of the Bot API are put behind it"
    )]
    Query(String),
    /// What would be an address, but for its secret part.
    #[error(
        "this is not a web hook's address: write https://HOST/PATH of at most {MAX_URL_BYTES} characters, without user, spaces and `#`; HOST is a name or an IPv4 address, and with http:// this host"
    )]
    SecretUrl,
    /// No token of a Telegram bot.
    #[error(
        "this is not a bot's token: copy all that @BotFather says, such as 123456789:AA-example (digits, a colon, letters and digits)"
    )]
    BotToken,
    /// No chat of Telegram's.
    #[error(
        "`{0}` is not a chat: write its number, such as -1001234567890, or @NAME of a public channel"
    )]
    ChatId(String),
    /// No mail server.
    #[error("`{0}` is not a mail server: write HOST or HOST:PORT, such as smtp.example.org:587")]
    MailServer(String),
    /// No way to secure mail.
    #[error("`{0}` does not say how mail is secured: write tls, starttls or none")]
    Security(String),
    /// No mail address.
    #[error("`{0}` is not a mail address: write one such as ops@example.org, without a name")]
    MailAddress(String),
    /// A message that nobody would get.
    #[error("mail needs 1 to 20 recipients")]
    Recipients,
    /// Mail whose text and password others on the way would read.
    #[error("mail to {0} needs encryption: write tls or starttls (none goes to this host only)")]
    PlainMail(String),
    /// A user without password, or the other way round.
    #[error("a mail server's user and password belong together: write both or neither")]
    Login,
    /// No kind of web hook.
    #[error("`{0}` is not a kind of web hook: write one of {kinds}", kinds = Preset::list())]
    Preset(String),
    /// A template where the preset has one.
    #[error("only web hooks of the kind generic have a body of their own")]
    TemplateOfPreset,
    /// A key that nothing is signed with.
    #[error("web hooks of the kind {0} are not signed: leave the secret out")]
    SecretOfPreset(Preset),
    /// A template with too much in it.
    #[error("the body has {0} bytes: the most is {MAX_TEMPLATE_BYTES}")]
    TemplateTooLong(usize),
    /// A placeholder that stands for nothing.
    #[error(
        "nothing stands for {{{{{0}}}}} in a body: write {{{{text}}}}, {{{{title}}}}, {{{{server}}}}, {{{{event}}}} or {{{{time}}}}"
    )]
    Placeholder(String),
    /// What would be sent is not JSON.
    #[error(
        "the body is not JSON: {0}; placeholders stand inside quotes, such as {{\"text\": \"{{{{text}}}}\"}}"
    )]
    TemplateNotJson(String),
    /// A secret that is none.
    #[error(transparent)]
    Secret(#[from] SecretError),
}
