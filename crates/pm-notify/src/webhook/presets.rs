//! What the servers of web hooks understand, a row each.

use pm_core::config::Preset;

use crate::outcome::Why;

/// What one kind of server understands.
pub(super) struct Row {
    pub(super) preset: Preset,
    /// What its addresses look like.
    pub(super) url: &'static str,
    pub(super) body: Body,
    /// The most that a text may have, as `measure` counts.
    pub(super) most: usize,
    pub(super) measure: fn(&str) -> usize,
    /// Makes a line text where it would be markup.
    pub(super) escape: fn(&str) -> String,
    pub(super) sign: Sign,
    pub(super) success: Success,
    /// What its error numbers mean.
    pub(super) known: &'static [(i64, Why)],
    /// What it says, with a status of 400 or 422, of a message that it will never take.
    pub(super) faults: &'static [&'static str],
}

/// What is posted.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Body {
    Template(&'static str),
    /// The text as it is.
    Plain,
}

/// What is done with a channel's secret.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Sign {
    Never,
    /// Headers, as for the push.
    AsPush,
    /// An access token.
    Bearer,
    /// Time and signature in the address.
    DingTalk,
    /// Time and signature in the body.
    Feishu,
}

/// By what an answer is good.
#[derive(Clone, Copy)]
pub(super) enum Success {
    /// HTTP's number.
    Status,
    /// A field of the JSON that is answered.
    Field(Field),
}

#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) good: i64,
    /// Where the server says in words what is wrong.
    pub(super) said: &'static str,
}

/// Every kind. Limits are the servers' own or below.
///
/// Source: api.slack.com/messaging/webhooks; discord.com/developers/docs/resources/webhook;
/// open.dingtalk.com "Custom robot access"; open.feishu.cn "Custom bot usage guide";
/// docs.ntfy.sh/publish; github.com/Finb/bark-server docs/API_V2.md.
pub(super) static ROWS: [Row; 7] = [
    Row {
        preset: Preset::Generic,
        url: "https://HOST/PATH",
        body: Body::Template(
            r#"{"server":"{{server}}","event":"{{event}}","time":"{{time}}","title":"{{title}}","text":"{{text}}"}"#,
        ),
        most: 64 << 10,
        measure: str::len,
        escape: str::to_owned,
        sign: Sign::AsPush,
        success: Success::Status,
        known: &[],
        faults: &[],
    },
    Row {
        preset: Preset::Slack,
        url: "https://hooks.slack.com/services/T…/B…/…",
        body: Body::Template(r#"{"text":"{{text}}","mrkdwn":false,"unfurl_links":false}"#),
        most: 4_000,
        measure: chars,
        escape: entities,
        sign: Sign::Never,
        success: Success::Status,
        known: &[],
        faults: &["invalid_payload", "no_text"],
    },
    Row {
        preset: Preset::Discord,
        url: "https://discord.com/api/webhooks/…/…",
        // No mention of a note's wakes anybody; 4: no previews of links.
        body: Body::Template(r#"{"content":"{{text}}","allowed_mentions":{"parse":[]},"flags":4}"#),
        most: 2_000,
        measure: |text| text.encode_utf16().count(),
        escape: backslashes,
        sign: Sign::Never,
        success: Success::Status,
        known: &[],
        faults: &["Invalid Form Body", "Cannot send an empty message"],
    },
    Row {
        preset: Preset::DingTalk,
        url: "https://oapi.dingtalk.com/robot/send?access_token=…",
        body: Body::Template(r#"{"msgtype":"text","text":{"content":"{{text}}"}}"#),
        most: 16_000,
        measure: str::len,
        escape: str::to_owned,
        sign: Sign::DingTalk,
        success: Success::Field(Field {
            name: "errcode",
            good: 0,
            said: "errmsg",
        }),
        known: &[
            (310_000, Why::Credentials),
            (300_001, Why::NoRecipient),
            (400_101, Why::NoRecipient),
            (400_102, Why::Unwanted),
            (130_101, Why::TooMany),
            (410_100, Why::TooMany),
            (660_026, Why::TooMany),
            (430_101, Why::Content),
            (400_105, Why::Content),
            (-1, Why::Server { status: 200 }),
        ],
        faults: &[],
    },
    Row {
        preset: Preset::Feishu,
        url: "https://open.feishu.cn/open-apis/bot/v2/hook/…",
        body: Body::Template(r#"{"msg_type":"text","content":{"text":"{{text}}"}}"#),
        most: 16_000,
        measure: str::len,
        // `<at user_id="all">` in a note would call everybody.
        escape: |line| line.replace('<', "＜"),
        sign: Sign::Feishu,
        success: Success::Field(Field {
            name: "code",
            good: 0,
            said: "msg",
        }),
        known: &[
            (19_001, Why::NoRecipient),
            (19_021, Why::Credentials),
            (11_232, Why::TooMany),
            (9_499, Why::Content),
        ],
        faults: &[],
    },
    Row {
        preset: Preset::Ntfy,
        url: "https://ntfy.sh/TOPIC",
        body: Body::Plain,
        // Above it, a message becomes a file.
        most: 4_000,
        measure: str::len,
        escape: str::to_owned,
        sign: Sign::Bearer,
        success: Success::Status,
        known: &[],
        faults: &[],
    },
    Row {
        preset: Preset::Bark,
        url: "https://api.day.app/KEY",
        body: Body::Template(r#"{"title":"{{title}}","body":"{{text}}","group":"pm"}"#),
        // Apple takes 4 kB, everything included.
        most: 2_500,
        measure: str::len,
        escape: str::to_owned,
        sign: Sign::Never,
        success: Success::Field(Field {
            name: "code",
            good: 200,
            said: "message",
        }),
        known: &[(400, Why::NoRecipient), (500, Why::Server { status: 500 })],
        faults: &[],
    },
];

/// Returns what the addresses of a kind of web hook look like, for whoever asks for one.
pub fn shape(preset: Preset) -> &'static str {
    row(preset).url
}

pub(super) fn row(preset: Preset) -> &'static Row {
    let found = ROWS.iter().find(|row| row.preset == preset);
    found.unwrap_or(&ROWS[0])
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Slack's three special characters.
fn entities(line: &str) -> String {
    line.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Discord's Markdown takes a backslash before anything that is no letter.
fn backslashes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        if r"\*_~`|>[]()#<".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}
