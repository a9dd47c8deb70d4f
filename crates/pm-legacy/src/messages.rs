//! Whom a tool tells what, as pm's channels and its push.

use pm_core::config::{Channel, Config, Notify, Push, Schedule, ServerName, Telegram, Via, WeCom};
use pm_core::language::Language;
use pm_core::secret::Secret;
use serde_json::Value;

use crate::doubt::{Doubt, Setting, Subject, Trouble};
use crate::json::{at, number, text};
use crate::text::shown;

/// The server that is Telegram's own.
const TELEGRAM: &str = "https://api.telegram.org";

/// Whom a tool tells what.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Messages {
    /// Thresholds and channels, each named by its kind; what it said nothing of is the default.
    pub notify: Notify,
    /// The receiver that figures are pushed to.
    pub push: Option<Push>,
    /// What was left out.
    pub(crate) doubts: Vec<Doubt>,
}

/// A channel as a tool has it, which need not be usable.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// `telegram` or `wecom`.
    pub(crate) name: &'static str,
    pub(crate) enabled: bool,
    /// Where the settings of the channel are.
    pub(crate) settings: &'a Value,
    /// How many minutes lie between two reports; 0: there are none.
    pub(crate) report_minutes: u64,
    /// Where the address of another server is, if another is to be used.
    pub(crate) server: Option<&'static str>,
}

impl Messages {
    /// Adds channels and push to what a configuration has.
    pub(crate) fn add_to(&self, config: &mut Config) {
        if config.notify.thresholds.is_default() {
            config.notify.thresholds = self.notify.thresholds.clone();
        }
        let channels = &mut config.notify.channels;
        for (name, channel) in &self.notify.channels {
            let numbered = (2..).map(|count| format!("{name}-{count}").parse());
            let names = std::iter::once(Ok(name.clone())).chain(numbered);
            let free = names
                .take(channels.len() + 1)
                .flatten()
                .find(|name| !channels.contains_key(name));
            if let Some(free) = free {
                channels.insert(free, channel.clone());
            }
        }
        if config.push.is_none() {
            config.push.clone_from(&self.push);
        }
    }

    /// Adds a channel. One that is off and says nothing is none.
    pub(crate) fn add(&mut self, draft: &Draft<'_>, secrets: &[&'static str]) {
        let is_empty = secrets
            .iter()
            .all(|name| word(draft.settings, name).is_empty());
        if !draft.enabled && is_empty {
            return;
        }
        let via = match draft.name {
            "telegram" => telegram(draft),
            _ => wecom(draft),
        };
        let channel = draft.name;
        let (name, via) = match (channel.parse(), via) {
            (Ok(name), Ok(via)) => (name, via),
            (_, via) => {
                let field = via.err().unwrap_or("name");
                return self.doubt(Trouble::ChannelUnusable { channel, field });
            }
        };
        let mut added = Channel::new(via);
        added.enabled = draft.enabled;
        // The tools speak nothing else, and whoever reads it should not have to learn.
        added.language = Some(Language::Chinese);
        if draft.report_minutes > 0 {
            let schedule = format!("every {}m", draft.report_minutes);
            added.report = schedule.parse::<Schedule>().ok();
            if added.report.is_none() {
                let field = "report";
                self.doubt(Trouble::ChannelSetting { channel, field });
            }
        }
        added.server_name = self.server_name(channel, "server_name", draft.settings);
        self.notify.channels.insert(name, added);
    }

    /// Reads where figures are pushed to. One that is off and says nothing is none.
    pub(crate) fn set_push(&mut self, enabled: bool, settings: &Value, node_id: &Value) {
        let fields = ["worker_url", "secret", "node_key"];
        let [url, secret, node] = fields.map(|name| word(settings, name));
        if !enabled && url.is_empty() && secret.is_empty() {
            return;
        }
        let unusable = |field| {
            let channel = "push";
            Trouble::ChannelUnusable { channel, field }
        };
        let url = url.parse().map_err(|_| unusable("worker_url"));
        let secret = secret.parse().map_err(|_| unusable("secret"));
        let node = node.parse().map_err(|_| unusable("node_key"));
        match (url, secret, node) {
            (Ok(url), Ok(secret), Ok(node)) => {
                let node_id: Option<ServerName> = text(node_id).trim().parse().ok();
                self.push = Some(Push {
                    enabled,
                    url,
                    node_id: node_id.filter(|id| *id != node),
                    node,
                    secret,
                    // The tool pushes them.
                    notes: true,
                });
            }
            (url, secret, node) => {
                let troubles = [url.err(), secret.err(), node.err()];
                troubles
                    .into_iter()
                    .flatten()
                    .for_each(|trouble| self.doubt(trouble));
            }
        }
    }

    /// Reads at which parts of a quota somebody is told; nothing said is the default.
    pub(crate) fn set_thresholds(&mut self, value: &Value) {
        let Some(listed) = value.as_array() else {
            return;
        };
        let mut thresholds = Vec::new();
        for value in listed {
            let percent = number(value).filter(|percent| (1..=1_000).contains(percent));
            match percent.and_then(|percent| u16::try_from(percent).ok()) {
                Some(percent) => thresholds.push(percent),
                None => self.unusable_threshold(value),
            }
        }
        thresholds.sort_unstable();
        thresholds.dedup();
        if thresholds.is_empty() {
            return;
        }
        match thresholds.try_into() {
            Ok(thresholds) => self.notify.thresholds = thresholds,
            Err(_) => self.unusable_threshold(value),
        }
    }

    fn unusable_threshold(&mut self, value: &Value) {
        let setting = Setting::Thresholds;
        let value = shown(&text(value));
        self.doubt(Trouble::Unusable { setting, value });
    }

    fn server_name(
        &mut self,
        channel: &'static str,
        field: &'static str,
        settings: &Value,
    ) -> Option<ServerName> {
        let name = word(settings, field);
        let parsed: Option<ServerName> = name.parse().ok();
        if parsed.is_none() && !name.is_empty() {
            self.doubt(Trouble::ChannelSetting { channel, field });
        }
        parsed
    }

    pub(crate) fn doubt(&mut self, trouble: Trouble) {
        let about = Subject::Everything;
        self.doubts.push(Doubt { about, trouble });
    }
}

/// Returns how Telegram is reached, or which field cannot be used. No value is repeated: it may be
/// a secret in the wrong place.
fn telegram(draft: &Draft<'_>) -> Result<Via, &'static str> {
    let server = draft
        .server
        .map(|field| (field, word(draft.settings, field)));
    let server = server
        .map(|(field, url)| (field, url.trim_end_matches('/').to_owned()))
        .filter(|(_, url)| !url.is_empty() && url != TELEGRAM);
    let api_base = match server {
        Some((field, url)) => Some(url.parse().map_err(|_| field)?),
        None => None,
    };
    Ok(Via::Telegram(Telegram {
        token: word(draft.settings, "bot_token")
            .parse()
            .map_err(|_| "bot_token")?,
        chat: word(draft.settings, "chat_id")
            .parse()
            .map_err(|_| "chat_id")?,
        thread: None,
        api_base,
    }))
}

fn wecom(draft: &Draft<'_>) -> Result<Via, &'static str> {
    let url: Secret = word(draft.settings, "webhook_url")
        .parse()
        .map_err(|_| "webhook_url")?;
    let url = url.try_into().map_err(|_| "webhook_url")?;
    Ok(Via::WeCom(WeCom { url }))
}

pub(crate) fn word(value: &Value, name: &str) -> String {
    text(at(value, &[name])).trim().to_owned()
}
