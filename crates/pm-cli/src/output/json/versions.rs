//! The versions of the configuration.

use std::collections::BTreeMap;
use std::fmt::Display;

use pm_core::config::Config;
use pm_core::request::{Difference, differences as of_services, group_differences};
use pm_engine::{Past, PastVersion};
use serde::Serialize;
use serde_json::Value;

use super::VERSION;
use crate::output::versions::changes;

#[derive(Serialize)]
struct Versions {
    version: u32,
    versions: Vec<Version>,
}

#[derive(Serialize)]
struct Version {
    number: u64,
    replaced: Option<String>,
    revision: Option<u64>,
    changes: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Differences {
    version: u32,
    since: Option<u64>,
    changes: Vec<Change>,
}

/// One thing that differs; exactly one of the first three says which.
#[derive(Serialize)]
struct Change {
    port: Option<String>,
    group: Option<String>,
    setting: Option<&'static str>,
    change: &'static str,
    before: Value,
    after: Value,
}

/// Returns the document of `pm config history --json`.
pub(crate) fn versions(past: &Past) -> serde_json::Result<String> {
    let version = |version: &PastVersion| Version {
        number: version.number,
        replaced: version.replaced.map(|time| time.to_string()),
        revision: version.revision,
        changes: changes(version, past),
    };
    serde_json::to_string(&Versions {
        version: VERSION,
        versions: past.versions.iter().map(version).collect(),
    })
}

/// Returns the document of `pm config diff --json`: what differs `now` from the version `then`.
pub(crate) fn differences(
    then: Option<&(u64, Config)>,
    now: &Config,
) -> serde_json::Result<String> {
    serde_json::to_string(&Differences {
        version: VERSION,
        since: then.map(|(number, _)| *number),
        changes: match then {
            Some((_, then)) => between(then, now)?,
            None => Vec::new(),
        },
    })
}

fn between(then: &Config, now: &Config) -> serde_json::Result<Vec<Change>> {
    let mut changes = settings(then, now)?;
    for (name, change) in all(group_differences(then, now), |name| then.groups.get(name))? {
        let group = Some(name);
        changes.push(Change { group, ..change });
    }
    for (ports, change) in all(of_services(then, now), |ports| then.services.get(ports))? {
        let port = Some(ports);
        changes.push(Change { port, ..change });
    }
    Ok(changes)
}

/// Returns the settings of pm's own that differ.
fn settings(then: &Config, now: &Config) -> serde_json::Result<Vec<Change>> {
    let value = |config: &Config| {
        let shown = config.without_secrets();
        let notify = Some(shown.notify).filter(|notify| !notify.is_default());
        Ok([
            ("time_zone", serde_json::to_value(&config.time_zone)?),
            ("language", serde_json::to_value(config.language)?),
            ("classifier", serde_json::to_value(config.classifier)?),
            ("notify", serde_json::to_value(notify)?),
            ("push", serde_json::to_value(shown.push)?),
            ("backup", serde_json::to_value(config.backup)?),
        ])
    };
    // Where only a secret differs, both look the same.
    let differs = |setting| match setting {
        "notify" => then.notify != now.notify,
        "push" => then.push != now.push,
        _ => false,
    };
    let both = value(then)?.into_iter().zip(value(now)?);
    let differing =
        both.filter(|((setting, before), (_, after))| before != after || differs(*setting));
    let change = |((setting, before), (_, after)): ((&'static str, Value), (_, Value))| Change {
        port: None,
        group: None,
        setting: Some(setting),
        change: "changed",
        before,
        after,
    };
    Ok(differing.map(change).collect())
}

/// Returns all differences by name, each without saying whose it is.
fn all<'a, K: Display, T: Serialize + 'a>(
    differences: BTreeMap<K, Difference<T>>,
    then: impl Fn(&K) -> Option<&'a T>,
) -> serde_json::Result<Vec<(String, Change)>> {
    let change = |(key, difference): (K, Difference<T>)| {
        let (change, after) = match &difference {
            Difference::Added(after) => ("added", Some(after)),
            Difference::Removed => ("removed", None),
            Difference::Changed { to, .. } => ("changed", Some(to)),
        };
        let change = Change {
            port: None,
            group: None,
            setting: None,
            change,
            before: serde_json::to_value(then(&key))?,
            after: serde_json::to_value(after)?,
        };
        Ok((key.to_string(), change))
    };
    differences.into_iter().map(change).collect()
}
