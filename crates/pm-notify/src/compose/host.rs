//! What is said of the host, and of pm itself.

use pm_core::calendar::Timestamp;
use pm_core::notice::{Destination, Gone};
use pm_core::port::PortRange;

use super::words::listed;
use super::{Said, Voice};
use crate::say::say;

impl Voice<'_> {
    pub(super) fn healed(
        self,
        gone: &Gone,
        services: &[PortRange],
        since: Option<Timestamp>,
    ) -> Said {
        let language = self.language;
        let headline = match gone {
            Gone::Rules => say!(
                language;
                "another program removed rules; they are back",
                "规则被其他程序删除，现已恢复"
            ),
            Gone::Limits { interface } => say!(
                language;
                "another program removed the limits on {interface}; they are back",
                "{interface} 上的限速被其他程序删除，现已恢复"
            ),
            Gone::Counters => say!(
                language;
                "another program replaced counters; counting goes on from there",
                "计数器被其他程序替换，从替换后的数值继续计数"
            ),
            Gone::Outbox => say!(
                language;
                "the outbox was damaged and is made anew; messages that waited in it are lost",
                "发件箱损坏，已重建；其中等待发送的消息已丢失"
            ),
            Gone::Outdated { count: 1 } => say!(
                language;
                "1 message was more than a day old and was left out",
                "略过了 1 条超过一天的消息"
            ),
            Gone::Outdated { count } => say!(
                language;
                "{count} messages were more than a day old and were left out",
                "略过了 {count} 条超过一天的消息"
            ),
            Gone::Messages { count: 1 } => say!(
                language;
                "1 message of another version of pm was left out: this one cannot read it",
                "略过了 1 条由其他版本的 pm 写下的消息：此版本无法读取"
            ),
            Gone::Messages { count } => say!(
                language;
                "{count} messages of another version of pm were left out: this one cannot read them",
                "略过了 {count} 条由其他版本的 pm 写下的消息：此版本无法读取"
            ),
        };
        let mut lines = Vec::new();
        if !services.is_empty() {
            let names: Vec<_> = services.iter().map(PortRange::to_string).collect();
            let names = listed(language, &names);
            lines.push(say!(language; "Services: {names}", "涉及的服务：{names}"));
        }
        lines.extend(since.map(|since| {
            let since = self.time(since);
            match gone {
                Gone::Limits { .. } => say!(
                    language;
                    "Not limited as it should be: for a while since {since}",
                    "未按设定限速：{since} 之后的一段时间"
                ),
                Gone::Rules
                | Gone::Counters
                | Gone::Outbox
                | Gone::Outdated { .. }
                | Gone::Messages { .. } => say!(
                    language;
                    "Perhaps not counted: what passed for a while since {since}",
                    "可能未计入：{since} 之后一段时间的流量"
                ),
            }
        }));
        ("🩹", headline, lines)
    }

    pub(super) fn restarted(self, since: Option<Timestamp>) -> Said {
        let language = self.language;
        let headline = say!(language; "the host was restarted", "主机重新启动过");
        let lost = match since.map(|since| self.time(since)) {
            Some(since) => say!(
                language;
                "Not counted: what passed between {since} and the moment it stopped",
                "未计入：从 {since} 到停机那一刻的流量"
            ),
            None => say!(
                language;
                "Not counted: what passed before it stopped, since the last tick",
                "未计入：停机前最后一次 tick 之后的流量"
            ),
        };
        ("🔌", headline, vec![lost])
    }

    pub(super) fn undelivered(self, to: &Destination, why: &str, lost: u64) -> Said {
        let language = self.language;
        let headline = match to {
            Destination::Channel(channel) => say!(
                language;
                "messages to {channel} do not arrive",
                "发往 {channel} 的消息送不到"
            ),
            Destination::Push => say!(
                language;
                "the push does not arrive",
                "云端推送送不到"
            ),
        };
        let mut lines = vec![crate::outcome::shown(why, language)];
        lines.extend((lost > 0).then(|| {
            say!(
                language;
                "Given up after a day: {lost}",
                "一天后放弃的消息：{lost} 条"
            )
        }));
        ("📭", headline, lines)
    }

    pub(super) fn delivered_again(self, to: &Destination, since: Timestamp) -> Said {
        let language = self.language;
        let headline = match to {
            Destination::Channel(channel) => say!(
                language;
                "messages to {channel} arrive again",
                "发往 {channel} 的消息又能送到了"
            ),
            Destination::Push => say!(
                language;
                "the push arrives again",
                "云端推送恢复正常"
            ),
        };
        let since = self.time(since);
        let line = say!(
            language;
            "Nothing arrived since {since}",
            "自 {since} 起一直送不到"
        );
        ("📬", headline, vec![line])
    }

    /// Returns where something is delivered, in a list.
    pub(super) fn destination(self, to: &Destination) -> String {
        match to {
            Destination::Channel(name) => name.to_string(),
            Destination::Push => say!(self.language; "the push", "云端推送"),
        }
    }
}
