//! What one channel is sent of a message: one or more parts, each as long as its server takes.

use pm_core::config::Via;
use serde::{Deserialize, Serialize};

use crate::compose::Message;
use crate::{telegram, webhook, wecom};

/// One thing to send. It is kept until it is delivered, and complete in itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What happened, in one line of plain text: the subject of a mail.
    pub title: String,
    /// The text, in the markup that `format` says.
    pub text: String,
    /// How the text is written.
    pub format: Format,
    /// What the host is called.
    pub server: String,
    /// The kind of event, or `report` or `test`.
    pub event: String,
    /// When it happened, as it is said.
    pub time: String,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As it is.
    Plain,
    /// With Telegram's HTML.
    Html,
    /// With WeCom's Markdown.
    Markdown,
}

/// How a channel wants its lines, and how long a part may be.
pub(crate) struct Style {
    /// The most that one part may have, as `measure` counts.
    pub(crate) most: usize,
    /// How long a text is for the server.
    pub(crate) measure: fn(&str) -> usize,
    /// Turns the first line into markup.
    pub(crate) first: fn(&str) -> String,
    /// Turns any other line into markup.
    pub(crate) line: fn(&str) -> String,
}

/// How long a title may be, in bytes: Apple takes 4 kB of all that Bark sends.
const MOST_TITLE: usize = 300;

/// What `(12/34)` and a line break take at most.
const NUMBER: usize = 16;

/// Returns the parts of a message, in the order in which they are to arrive.
pub fn parts(via: &Via, message: &Message) -> Vec<Part> {
    let (format, texts) = match via {
        Via::Telegram(_) => (Format::Html, telegram::texts(message)),
        Via::WeCom(_) => wecom::texts(message),
        Via::Email(_) => (Format::Plain, vec![message.text()]),
        Via::Webhook(webhook) => (Format::Plain, webhook::texts(webhook, message)),
    };
    let title = shortened(message.title());
    let part = |text| Part {
        title: title.clone(),
        text,
        format,
        server: message.server.clone(),
        event: message.event.to_owned(),
        time: message.time.clone(),
    };
    texts.into_iter().map(part).collect()
}

/// Returns a title that leaves room for the text, where both have to fit.
fn shortened(mut title: String) -> String {
    if title.len() > MOST_TITLE {
        title.truncate(title.floor_char_boundary(MOST_TITLE - '…'.len_utf8()));
        title.push('…');
    }
    title
}

/// Returns several mails as one; `None` for none.
///
/// `title` says which they are, as [`collected`](crate::delivery::collected)
/// does; a single one stays as it is.
pub fn digest(mails: &[Part], title: &str) -> Option<Part> {
    let (first, rest) = mails.split_first()?;
    if rest.is_empty() {
        return Some(first.clone());
    }
    let texts: Vec<_> = mails.iter().map(|mail| &*mail.text).collect();
    let last = rest.last().unwrap_or(first);
    Some(Part {
        title: title.to_owned(),
        text: texts.join("\n\n"),
        event: "digest".to_owned(),
        time: last.time.clone(),
        ..first.clone()
    })
}

/// Returns a message's texts: whole lines where they fit.
pub(crate) fn paged(message: &Message, style: &Style) -> Vec<String> {
    let most = style.most.saturating_sub(NUMBER).max(1);
    let mut lines = Vec::new();
    fit(
        &message.first_line(),
        style.first,
        most,
        style.measure,
        &mut lines,
    );
    for line in message.more_lines() {
        fit(line, style.line, most, style.measure, &mut lines);
    }
    let mut pages: Vec<String> = Vec::new();
    for line in lines {
        match pages.last_mut() {
            Some(page) if (style.measure)(page) + 1 + (style.measure)(&line) <= most => {
                page.push('\n');
                page.push_str(&line);
            }
            _ => pages.push(line),
        }
    }
    let count = pages.len();
    if count > 1 {
        for (index, page) in pages.iter_mut().enumerate() {
            page.push_str(&format!("\n({}/{count})", index + 1));
        }
    }
    pages
}

/// Adds a line, in pieces where it is too long for a part. What is cut is the text, not its markup.
fn fit(
    line: &str,
    markup: fn(&str) -> String,
    most: usize,
    measure: fn(&str) -> usize,
    lines: &mut Vec<String>,
) {
    let whole = markup(line);
    let chars = line.chars().count();
    if measure(&whole) <= most || chars < 2 {
        lines.push(whole);
        return;
    }
    let middle = line
        .char_indices()
        .nth(chars / 2)
        .map_or(line.len(), |(at, _)| at);
    let (one, other) = line.split_at(middle);
    fit(one, markup, most, measure, lines);
    fit(other, markup, most, measure, lines);
}
