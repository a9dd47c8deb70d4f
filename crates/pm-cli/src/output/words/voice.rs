//! What changed about channels and the push.

use std::collections::BTreeMap;

use pm_core::config::{Channel, ChannelName, Config, ServerName};
use pm_core::request::{changed_fields, changed_push_fields};

use super::fields::{kind, list};
use crate::language::tr;

/// Returns what differs, a line each; of secrets only that they do.
pub(super) fn differences(before: &Config, after: &Config) -> Vec<String> {
    let mut lines = channels(&before.notify.channels, &after.notify.channels);
    if before.notify.server_name != after.notify.server_name {
        lines.push(
            match after.notify.server_name.as_ref().map(ServerName::as_str) {
                Some(name) => tr!(
                    "server name in messages: {name}",
                    "消息里的主机名称：{name}"
                ),
                None => tr!(
                    "server name in messages: the host name",
                    "消息里的主机名称：系统的主机名"
                ),
            },
        );
    }
    if before.notify.thresholds != after.notify.thresholds {
        let thresholds = &after.notify.thresholds;
        lines.push(if thresholds.percents().is_empty() {
            tr!("no warnings before a quota is spent", "配额用完之前不预警")
        } else {
            tr!(
                "quota warnings at {thresholds} %",
                "配额预警：{thresholds} %"
            )
        });
    }
    lines.extend(match (&before.push, &after.push) {
        (None, Some(push)) => {
            let (node, url) = (&push.node, &push.url);
            Some(tr!(
                "push: as {node} to {url}",
                "推送：以 {node} 推送到 {url}"
            ))
        }
        (Some(_), None) => Some(tr!("push: removed", "推送：已删除")),
        (Some(from), Some(to)) if from != to => Some(match changed_push_fields(from, to)[..] {
            ["enabled"] if to.enabled => tr!("push: on", "推送：已开启"),
            ["enabled"] => tr!("push: off", "推送：已关闭"),
            ref fields => {
                let fields = list(fields);
                tr!("push: changed {fields}", "推送：修改了{fields}")
            }
        }),
        _ => None,
    });
    lines
}

fn channels(
    before: &BTreeMap<ChannelName, Channel>,
    after: &BTreeMap<ChannelName, Channel>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, from) in before {
        match after.get(name) {
            None => lines.push(tr!("channel {name}: removed", "渠道 {name}：已删除")),
            Some(to) if from != to => lines.push(match changed_fields(from, to)[..] {
                ["enabled"] if to.enabled => tr!("channel {name}: on", "渠道 {name}：已开启"),
                ["enabled"] => tr!("channel {name}: off", "渠道 {name}：已关闭"),
                ref fields => {
                    let fields = list(fields);
                    tr!(
                        "channel {name}: changed {fields}",
                        "渠道 {name}：修改了{fields}"
                    )
                }
            }),
            Some(_) => {}
        }
    }
    for (name, channel) in after.iter().filter(|(name, _)| !before.contains_key(name)) {
        let kind = kind(&channel.via);
        lines.push(tr!(
            "channel {name}: added ({kind})",
            "渠道 {name}：已添加（{kind}）"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;

    fn config(sections: &str) -> Config {
        Config::parse(&format!("{{\"schema\":1{sections}}}")).unwrap()
    }

    const OPS: &str = r#"{"via":{"telegram":{"token":"1:planted","chat":"5"}}}"#;

    /// Fault 17 of the scripts pm replaces: secrets where others read them.
    #[test]
    fn what_differs_is_said_without_secrets() {
        let none = config("");
        let some = config(&format!(
            r#","notify":{{"server_name":"hk","thresholds":[80],"channels":{{"ops":{OPS}}}}},
            "push":{{"url":"https://w.example/p","node":"n","secret":"planted"}}"#
        ));
        let other = config(&format!(
            r#","notify":{{"thresholds":[],"channels":{{"ops":{}}}}},
            "push":{{"enabled":false,"url":"https://w.example/p","node":"n","secret":"planted"}}"#,
            OPS.replace("planted", "planted2").replace("\"5\"", "\"6\""),
        ));
        let off = config(&format!(
            r#","notify":{{"channels":{{"ops":{}}}}}"#,
            OPS.replacen('{', "{\"enabled\":false,", 1)
        ));
        let all = || {
            let pairs = [
                (&none, &some),
                (&some, &other),
                (&some, &off),
                (&off, &some),
            ];
            let lines = pairs.map(|(before, after)| differences(before, after).join("\n"));
            lines.join("\n\n")
        };
        insta::assert_snapshot!(format!("{}\n\n{}", all(), in_chinese(all)));
        assert!(differences(&some, &some).is_empty());
        assert!(!all().contains("planted"));
    }
}
