//! Whom pm.sh tells what.

use serde_json::Value;

use crate::doubt::{Setting, Subject, Trouble};
use crate::imported::Imported;
use crate::json::{at, flag, number, text};
use crate::messages::{Push, Secret, Telegram};
use crate::text::shown;

/// The server that is Telegram's own.
const TELEGRAM: &str = "https://api.telegram.org";

/// Reads the settings of Telegram and of the push.
pub(super) fn read(config: &Value, imported: &mut Imported) {
    let telegram = at(config, &["telegram"]);
    thresholds(at(telegram, &["thresholds"]), imported);
    let (token, chat) = (word(telegram, "bot_token"), word(telegram, "chat_id"));
    let enabled = flag(at(telegram, &["enable"])) == Some(true);
    if enabled || !token.is_empty() || !chat.is_empty() {
        lacking(
            imported,
            "telegram",
            &[("bot_token", &token), ("chat_id", &chat)],
        );
        let server = word(telegram, "api_url");
        let server = server.trim_end_matches('/');
        let hours = number(at(telegram, &["report_interval_hours"])).unwrap_or_default();
        let minutes = hours
            .checked_mul(60)
            .and_then(|most| u32::try_from(most).ok());
        imported.messages.telegram = Some(Telegram {
            enabled,
            token: Secret::new(token),
            chat,
            api_base: Some(server.to_owned()).filter(|base| !base.is_empty() && base != TELEGRAM),
            server_name: String::new(),
            report_minutes: minutes.filter(|minutes| *minutes > 0),
        });
    }

    let push = at(config, &["push"]);
    let (url, secret) = (word(push, "worker_url"), word(push, "secret"));
    let node = word(push, "node_key");
    let enabled = flag(at(push, &["enable"])) == Some(true);
    if enabled || !url.is_empty() || !secret.is_empty() {
        let fields = [
            ("worker_url", &url),
            ("secret", &secret),
            ("node_key", &node),
        ];
        lacking(
            imported,
            "push",
            &fields.map(|(field, text)| (field, &**text)),
        );
        imported.messages.push = Some(Push {
            enabled,
            url,
            node,
            node_id: word(config, "node_id"),
            secret: Secret::new(secret),
        });
    }
}

fn word(value: &Value, name: &str) -> String {
    text(at(value, &[name])).trim().to_owned()
}

fn lacking(imported: &mut Imported, channel: &'static str, fields: &[(&'static str, &str)]) {
    for &(field, text) in fields {
        if text.is_empty() {
            let trouble = Trouble::ChannelUnusable { channel, field };
            imported.doubt(Subject::Everything, trouble);
        }
    }
}

/// Percentages that pm can tell somebody at: 1 to 1000, each once, ascending.
fn thresholds(value: &Value, imported: &mut Imported) {
    let Some(listed) = value.as_array() else {
        return;
    };
    let mut thresholds = Vec::new();
    for value in listed {
        let percent = number(value).filter(|percent| (1..=1_000).contains(percent));
        match percent.and_then(|percent| u32::try_from(percent).ok()) {
            Some(percent) => thresholds.push(percent),
            None => {
                let setting = Setting::Thresholds;
                let value = shown(&text(value));
                let trouble = Trouble::Unusable { setting, value };
                imported.doubt(Subject::Everything, trouble);
            }
        }
    }
    thresholds.sort_unstable();
    thresholds.dedup();
    imported.messages.thresholds = Some(thresholds).filter(|listed| !listed.is_empty());
}
