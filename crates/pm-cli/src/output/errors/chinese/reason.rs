//! What is wrong in a configuration.
//!
//! serde passes the text of an error on, not the error itself. The text that was refused stands
//! in it: read once more, it gives the same error, which can be said in Chinese.

use std::error::Error;
use std::str::FromStr;

use pm_core::calendar::{ResetPolicy, iso_date};
use pm_core::config::{
    Factor, GroupName, Limit, MAX_NOTE_CHARS, Mode, Note, NotifyError, Preset, QuotaSize,
    ValueError, ZoneName,
};
use pm_core::dynqos::{DynQos, DynQosError};
use pm_core::holder::Holder;
use pm_core::language::Language;
use pm_core::port::{PortError, PortRange};
use pm_core::secret::SecretError;
use pm_core::shaping::Classifier;
use pm_core::units::{BitRate, Size};

use super::{calendar, cause, notify, values};

/// Returns the reason in Chinese where it is pm's; what serde found stays in serde's words.
pub(super) fn of(reason: &str) -> String {
    of_services(reason)
        .or_else(|| of_note(reason))
        .or_else(|| of_value(reason))
        .or_else(|| of_channel(reason))
        .unwrap_or_else(|| reason.to_owned())
}

fn of_services(reason: &str) -> Option<String> {
    if reason == "there is no schema 0" {
        return Some("没有 schema 0".to_owned());
    }
    if let Some(rest) = reason.strip_prefix("service ") {
        let ports = rest.strip_suffix(" is there twice")?;
        return Some(format!("服务 {ports} 出现了两次"));
    }
    let mut words = reason.strip_prefix("services ")?.split(' ');
    let (one, other) = (words.next()?, words.nth(1)?);
    let overlap = PortError::Overlap(one.parse().ok()?, other.parse().ok()?);
    (format!("services {overlap}") == reason).then(|| values::port(&overlap))
}

fn of_note(reason: &str) -> Option<String> {
    let numbers = reason.split(|c: char| !c.is_ascii_hexdigit());
    let errors = numbers.flat_map(|number| {
        let long = number
            .parse()
            .ok()
            .filter(|&length| length > MAX_NOTE_CHARS);
        let code = u32::from_str_radix(number, 16).ok();
        [
            long.map(ValueError::NoteTooLong),
            code.map(ValueError::NoteControl),
        ]
    });
    let error = errors.flatten().find(|error| error.to_string() == reason)?;
    Some(values::value(&error))
}

fn of_value(reason: &str) -> Option<String> {
    let quoted = reason.split('`').skip(1).step_by(2);
    let words = reason.split([' ', ':', ',']);
    quoted
        .chain(words)
        .chain([""])
        .find_map(|text| refused(text, reason))
}

/// What is wrong in a channel or the push: what has nothing of the text in it, and what has.
fn of_channel(reason: &str) -> Option<String> {
    use NotifyError as E;
    let same = |error: NotifyError| (error.to_string() == reason).then(|| notify::setting(&error));
    let whole = [
        E::SecretUrl,
        E::BotToken,
        E::Recipients,
        E::Login,
        E::TemplateOfPreset,
    ];
    let secrets = [
        SecretError::Empty,
        SecretError::Control,
        SecretError::Spaces,
        SecretError::NotText,
    ];
    let presets = Preset::ALL.map(E::SecretOfPreset);
    let fixed = whole.into_iter().chain(presets);
    if let Some(said) = fixed.chain(secrets.map(E::Secret)).find_map(same) {
        return Some(said);
    }
    let number = reason.split(' ').find_map(|word| word.parse().ok());
    if let Some(bytes) = number {
        let long = [
            E::TemplateTooLong(bytes),
            SecretError::TooLong(bytes).into(),
        ];
        if let Some(said) = long.into_iter().find_map(same) {
            return Some(said);
        }
    }
    if let Some(rest) = reason.strip_prefix("channel ") {
        let name = rest.strip_suffix(" is there twice")?;
        return same(E::ChannelTwice(name.parse().ok()?));
    }
    if let Some(rest) = reason.strip_prefix("mail to ") {
        let (server, _) = rest.split_once(" needs encryption")?;
        return same(E::PlainMail(server.to_owned()));
    }
    if let Some(rest) = reason.strip_prefix("nothing stands for {{") {
        let (name, _) = rest.split_once("}}")?;
        return same(E::Placeholder(name.to_owned()));
    }
    if let Some(rest) = reason.strip_prefix("the body is not JSON: ") {
        let (why, _) = rest.rsplit_once("; placeholders")?;
        return same(E::TemplateNotJson(why.to_owned()));
    }
    // Some repeat a text that serde or they themselves have changed, so it is taken as it stands.
    let text = || Some(reason.strip_prefix('`')?.rsplit_once('`')?.0.to_owned());
    let first = text()?.split("` ").next()?.to_owned();
    let quoted = [
        E::ChannelName,
        E::Name,
        E::EventKind,
        E::Thresholds,
        E::TimeOfDay,
        E::QuietHours,
        E::Schedule,
        E::Minutes,
        E::Url,
        E::PlainUrl,
        E::Query,
        E::ChatId,
        E::MailServer,
        E::Security,
        E::MailAddress,
        E::Preset,
    ];
    quoted
        .into_iter()
        .find_map(|error| same(error(first.clone())))
}

/// Returns the error that reading `text` gives, if it is the one that says `reason`.
fn refused(text: &str, reason: &str) -> Option<String> {
    let quota = |text: &str| text.parse::<Size>().ok().map(QuotaSize::try_from);
    let limit = |text: &str| text.parse::<BitRate>().ok().map(Limit::try_from);
    given::<PortRange>(text, reason)
        .or_else(|| given::<Size>(text, reason))
        .or_else(|| same(quota(text)?.err()?, reason))
        .or_else(|| given::<BitRate>(text, reason))
        .or_else(|| same(limit(text)?.err()?, reason))
        .or_else(|| same(DynQosError::TriggerTooLow(text.parse().ok()?), reason))
        .or_else(|| given::<Mode>(text, reason))
        .or_else(|| given::<Factor>(text, reason))
        .or_else(|| given::<ResetPolicy>(text, reason))
        .or_else(|| given::<DynQos>(text, reason))
        .or_else(|| given::<GroupName>(text, reason))
        .or_else(|| given::<Note>(text, reason))
        .or_else(|| given::<ZoneName>(text, reason))
        .or_else(|| given::<Classifier>(text, reason))
        .or_else(|| given::<Language>(text, reason))
        .or_else(|| given::<Holder>(text, reason))
        .or_else(|| {
            let is_date = iso_date::parse(text).is_some();
            let starts = reason.starts_with(&format!("`{text}` is not a date:"));
            (!is_date && starts).then(|| calendar::no_date(text))
        })
}

fn given<T: FromStr<Err: Error + 'static>>(text: &str, reason: &str) -> Option<String> {
    same(text.parse::<T>().err()?, reason)
}

fn same(error: impl Error + 'static, reason: &str) -> Option<String> {
    (error.to_string() == reason).then(|| cause(&error))
}
