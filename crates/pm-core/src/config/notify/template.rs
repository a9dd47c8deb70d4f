//! The body that a web hook is sent: JSON with placeholders.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NotifyError, as_text};

/// The longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 4096;

/// A JSON text in whose strings placeholders stand: `{"text": "{{text}}"}`.
///
/// # Examples
///
/// ```
/// use pm_core::config::{Placeholder, Template};
///
/// let template: Template = r#"{"msg": "{{server}}: {{text}}"}"#.parse()?;
/// let body = template.fill(|placeholder| match placeholder {
///     Placeholder::Server => "hk".to_owned(),
///     _ => "say \"hi\"\n".to_owned(),
/// });
/// assert_eq!(body, r#"{"msg": "hk: say \"hi\"\n"}"#);
/// # Ok::<(), pm_core::config::NotifyError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(String);

/// What a template can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placeholder {
    /// `{{text}}`: the message.
    Text,
    /// `{{title}}`: its first line.
    Title,
    /// `{{server}}`: what the host is called.
    Server,
    /// `{{event}}`: the kind of event.
    Event,
    /// `{{time}}`: when it happened, in the configured zone.
    Time,
}

impl Placeholder {
    fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "title" => Some(Self::Title),
            "server" => Some(Self::Server),
            "event" => Some(Self::Event),
            "time" => Some(Self::Time),
            _ => None,
        }
    }
}

impl Template {
    /// Returns the text with what stands for each placeholder, escaped as JSON's strings are.
    pub fn fill(&self, mut value: impl FnMut(Placeholder) -> String) -> String {
        let filled = fill(&self.0, |name| {
            let placeholder = Placeholder::named(name).ok_or(())?;
            Ok::<_, ()>(value(placeholder))
        });
        filled.unwrap_or_else(|()| unreachable!("all placeholders were known when it was read"))
    }
}

fn fill<E>(template: &str, mut value: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}").filter(|(name, _)| is_name(name)) else {
            // Two braces that open JSON's own objects.
            filled.push_str(before);
            filled.push('{');
            rest = &rest[before.len() + 1..];
            continue;
        };
        filled.push_str(before);
        let quoted = serde_json::Value::String(value(name)?).to_string();
        filled.push_str(&quoted[1..quoted.len() - 1]);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl FromStr for Template {
    type Err = NotifyError;

    fn from_str(text: &str) -> Result<Self, NotifyError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(NotifyError::TemplateTooLong(text.len()));
        }
        let sample = fill(text, |name| match Placeholder::named(name) {
            // Breaks what it stands in, but for a string.
            Some(_) => Ok("\"\\".to_owned()),
            None => Err(NotifyError::Placeholder(name.to_owned())),
        })?;
        let json: Result<serde_json::Value, _> = serde_json::from_str(&sample);
        json.map_err(|error| NotifyError::TemplateNotJson(error.to_string()))?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(Template);
