//! What nobody but the host and its peers shall know, in a configuration that leaves the host.

use serde_json::{Map, Value};

use crate::config::Config;

/// The secrets of each way to reach people, and what says which peer they are for: a secret that
/// a host has is not told to another one that an archive names.
const WAYS: [(&str, &[&str], &[&str]); 4] = [
    ("telegram", &["token"], &["api_base"]),
    ("wecom", &["url"], &[]),
    ("email", &["password"], &["server", "security", "user"]),
    ("webhook", &["url", "secret"], &[]),
];

/// The same of the push.
const PUSH: (&[&str], &[&str]) = (&["secret"], &["url"]);

/// Returns a configuration, as `config.json` has it, with `null` for every secret.
pub fn held_back(config: &Config) -> Value {
    let mut value = serde_json::to_value(config).unwrap_or_default();
    each(&mut value, |_, fields, secrets, _| {
        for name in secrets {
            if let Some(secret) = fields.get_mut(*name) {
                *secret = Value::Null;
            }
        }
        true
    });
    value
}

/// Puts the secrets of `present` where they were held back. What it has none for is left out; the
/// names of that are returned.
pub(super) fn filled_in(mut value: Value, present: &Config) -> (Value, Vec<String>) {
    let mut own = std::collections::BTreeMap::new();
    let mut known = serde_json::to_value(present).unwrap_or_default();
    each(&mut known, |name, fields, _, _| {
        own.insert(name.to_owned(), fields.clone());
        true
    });
    let mut left_out = Vec::new();
    each(&mut value, |name, fields, secrets, peer| {
        let missing = secrets.iter();
        let missing = missing.filter(|secret| fields.get(**secret) == Some(&Value::Null));
        let missing: Vec<&str> = missing.copied().collect();
        if missing.is_empty() {
            return true;
        }
        let own = own.get(name);
        let own = own.filter(|own| peer.iter().all(|key| own.get(*key) == fields.get(*key)));
        for secret in missing {
            let Some(found) = own.and_then(|own| own.get(secret)) else {
                left_out.push(
                    name.rsplit_once('/')
                        .map_or(name, |(name, _)| name)
                        .to_owned(),
                );
                return false;
            };
            fields.insert(secret.to_owned(), found.clone());
        }
        true
    });
    (value, left_out)
}

/// Shows `look` the fields of all that has secrets, by its name and kind, and takes out what it
/// does not want to keep.
fn each(
    config: &mut Value,
    mut look: impl FnMut(&str, &mut Map<String, Value>, &[&str], &[&str]) -> bool,
) {
    let channels = config.pointer_mut("/notify/channels");
    if let Some(channels) = channels.and_then(Value::as_object_mut) {
        channels.retain(|name, channel| {
            let Some(via) = channel.get_mut("via").and_then(Value::as_object_mut) else {
                return true;
            };
            WAYS.iter().all(|(kind, secrets, peer)| {
                let fields = via.get_mut(*kind).and_then(Value::as_object_mut);
                fields.is_none_or(|fields| look(&format!("{name}/{kind}"), fields, secrets, peer))
            })
        });
    }
    let keeps_push = match config.get_mut("push").and_then(Value::as_object_mut) {
        Some(push) => look("push", push, PUSH.0, PUSH.1),
        None => true,
    };
    if let (false, Some(config)) = (keeps_push, config.as_object_mut()) {
        config.remove("push");
    }
}
