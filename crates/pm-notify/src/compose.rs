//! What is said, in words, before it takes the form of a channel.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::QuotaSize;
use pm_core::holder::Holder;
use pm_core::language::Language;
use pm_core::notice::{Deed, Gone, Notice, What, Whom};
use pm_core::port::PortRange;
use pm_core::request::{Request, Selection};
use pm_core::units::{SizeFamily, approximate};
use time::Date;

use crate::say::say;

pub use crate::report::summary;

/// A message: what happened in one line, and what else there is to say in some more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Shows at a glance what it is about.
    pub icon: &'static str,
    /// What the host is called.
    pub server: String,
    /// What happened, without the host.
    pub headline: String,
    /// What else there is to say, a line each.
    pub lines: Vec<String>,
    /// When it happened, in the configured zone: `2026-11-22 08:15`.
    pub time: String,
    /// The kind of event, or `report` or `test`.
    pub event: &'static str,
}

/// In what words, and by whose clock, something is said.
#[derive(Clone, Copy, Debug)]
pub struct Voice<'a> {
    /// The language.
    pub language: Language,
    /// What the host is called.
    pub server: &'a str,
    /// The zone whose dates count.
    pub zone: &'a Zone,
}

/// The most services that are named one by one.
const MOST_NAMED: usize = 12;

impl Voice<'_> {
    /// Returns what is said of a notice.
    pub fn notice(self, notice: &Notice) -> Message {
        let (icon, headline, lines) = self.said(&notice.what);
        Message {
            icon,
            server: self.server.to_owned(),
            headline,
            lines,
            time: self.time(notice.time),
            event: notice.what.kind().name(),
        }
    }

    /// Returns what is sent to try a channel.
    pub fn test(self, now: Timestamp) -> Message {
        let language = self.language;
        Message {
            icon: "👋",
            server: self.server.to_owned(),
            headline: say!(language; "this is a test", "这是一条测试消息"),
            lines: vec![say!(
                language;
                "Messages from this host arrive here.",
                "这台主机的消息会发到这里。"
            )],
            time: self.time(now),
            event: "test",
        }
    }

    /// Returns the subject of a mail that several messages are [collected](crate::digest) into.
    pub fn digest_title(self, count: usize) -> String {
        let server = self.server;
        say!(
            self.language;
            "[{server}] {count} messages",
            "[{server}] {count} 条消息"
        )
    }

    /// Returns an instant as it is said.
    pub(crate) fn time(self, time: Timestamp) -> String {
        let local = self.zone.local(time);
        let (hour, minute) = (local.hour(), local.minute());
        format!("{} {hour:02}:{minute:02}", local.date())
    }

    fn said(self, what: &What) -> (&'static str, String, Vec<String>) {
        let language = self.language;
        match what {
            What::Quota {
                whom,
                percent,
                billed,
                quota,
                next_reset,
            } => {
                let icon = if *percent < 100 { "⚠️" } else { "🔶" };
                let name = self.whom(whom);
                let headline = say!(
                    language;
                    "{name}: {percent}% of the quota used",
                    "{name}：配额已用 {percent}%"
                );
                let used = self.used(*billed, Some(*quota));
                (icon, headline, vec![used, self.next_period(*next_reset)])
            }
            What::Blocked {
                whom,
                billed,
                quota,
                next_reset,
            } => {
                let name = self.whom(whom);
                let headline = match whom.holder {
                    Holder::Service(_) => say!(
                        language;
                        "{name}: blocked, the quota is used up",
                        "{name}：配额用完，已阻断"
                    ),
                    Holder::Group(_) => say!(
                        language;
                        "{name}: its services are blocked, the quota is used up",
                        "{name}：配额用完，组内服务已阻断"
                    ),
                };
                let reset = match &whom.holder {
                    Holder::Service(ports) => Request::Reset {
                        ports: Selection::Ports((*ports).into()),
                    },
                    Holder::Group(name) => Request::ResetGroup { name: name.clone() },
                };
                let sooner = say!(
                    language;
                    "To open it at once: {reset}",
                    "立即放行：{reset}"
                );
                let used = self.used(*billed, *quota);
                (
                    "⛔",
                    headline,
                    vec![used, self.next_period(*next_reset), sooner],
                )
            }
            What::Unblocked { whom } => {
                let name = self.whom(whom);
                (
                    "✅",
                    say!(language; "{name}: open again", "{name}：恢复放行"),
                    Vec::new(),
                )
            }
            What::Reset {
                whom,
                incoming,
                outgoing,
                reopened,
                quota,
                next_reset,
            } => {
                let name = self.whom(whom);
                let family = family(*quota);
                let [incoming, outgoing] =
                    [incoming, outgoing].map(|bytes| approximate(*bytes, family));
                let headline = match reopened {
                    true => say!(
                        language;
                        "{name}: open again, a new period begins",
                        "{name}：新周期开始，恢复放行"
                    ),
                    false => say!(
                        language;
                        "{name}: a new period begins",
                        "{name}：新周期开始"
                    ),
                };
                let last = say!(
                    language;
                    "Last period: {incoming} in, {outgoing} out",
                    "上个周期：入站 {incoming}，出站 {outgoing}"
                );
                ("🔄", headline, vec![last, self.next_period(*next_reset)])
            }
            What::Punished { whom, rule } => {
                let name = self.whom(whom);
                let (trigger, punish) = (spaced(rule.trigger), spaced(rule.punish));
                let (after, during) = (rule.trigger_minutes.get(), rule.punish_minutes.get());
                let headline = say!(
                    language;
                    "{name}: slowed down to {punish}",
                    "{name}：已限速到 {punish}"
                );
                let why = say!(
                    language;
                    "Above {trigger} for {after} min; slowed down for {during} min",
                    "连续 {after} 分钟超过 {trigger}；限速持续 {during} 分钟"
                );
                ("🐢", headline, vec![why])
            }
            What::Restored { whom } => {
                let name = self.whom(whom);
                let headline = say!(
                    language;
                    "{name}: no longer slowed down",
                    "{name}：限速已解除"
                );
                ("🐇", headline, Vec::new())
            }
            What::Expiring {
                whom,
                last_day,
                days,
            } => {
                let name = self.whom(whom);
                let headline = match days {
                    0 => say!(
                        language;
                        "{name}: today is its last day",
                        "{name}：今天是最后一天"
                    ),
                    1 => say!(
                        language;
                        "{name}: tomorrow is its last day",
                        "{name}：明天是最后一天"
                    ),
                    days => say!(
                        language;
                        "{name}: expires in {days} days",
                        "{name}：{days} 天后到期"
                    ),
                };
                ("⏳", headline, self.last_day(*last_day, whom))
            }
            What::Expired { whom, last_day } => {
                let name = self.whom(whom);
                let headline = say!(
                    language;
                    "{name}: blocked, its last day has passed",
                    "{name}：已到期，已阻断"
                );
                ("📅", headline, self.last_day(*last_day, whom))
            }
            What::Healed {
                gone,
                services,
                since,
            } => self.healed(gone, services, *since),
            What::Restarted { since } => {
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
            What::Done { deed, holders } => {
                let names: Vec<_> = holders.iter().map(|it| self.holder(it)).collect();
                let whom = listed(language, &names);
                match deed {
                    Deed::Blocked => (
                        "⛔",
                        say!(language; "{whom}: blocked by the operator", "{whom}：已手动阻断"),
                        Vec::new(),
                    ),
                    Deed::Unblocked => (
                        "✅",
                        say!(
                            language;
                            "{whom}: no longer blocked by the operator",
                            "{whom}：已解除手动阻断"
                        ),
                        Vec::new(),
                    ),
                    Deed::Reset => (
                        "🔄",
                        say!(
                            language;
                            "{whom}: a new period begins, by the operator",
                            "{whom}：已手动重置，新周期开始"
                        ),
                        Vec::new(),
                    ),
                }
            }
            What::Delivery { channel, why, lost } => {
                let headline = say!(
                    language;
                    "messages to {channel} do not arrive",
                    "发往 {channel} 的消息送不到"
                );
                let mut lines = vec![crate::outcome::shown(why, language)];
                lines.extend((*lost > 0).then(|| {
                    say!(
                        language;
                        "Given up after a day: {lost}",
                        "一天后放弃的消息：{lost} 条"
                    )
                }));
                ("📭", headline, lines)
            }
        }
    }

    fn healed(
        self,
        gone: &Gone,
        services: &[PortRange],
        since: Option<Timestamp>,
    ) -> (&'static str, String, Vec<String>) {
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
                Gone::Rules | Gone::Counters | Gone::Outbox => say!(
                    language;
                    "Perhaps not counted: what passed for a while since {since}",
                    "可能未计入：{since} 之后一段时间的流量"
                ),
            }
        }));
        ("🩹", headline, lines)
    }

    fn holder(self, holder: &Holder) -> String {
        match holder {
            Holder::Service(ports) => ports.to_string(),
            Holder::Group(name) => say!(self.language; "group {name}", "组 {name}"),
        }
    }

    fn last_day(self, last_day: Option<Date>, whom: &Whom) -> Vec<String> {
        let language = self.language;
        let Some(day) = last_day else {
            return Vec::new();
        };
        let day = say!(language; "Last day: {day}", "最后一天：{day}");
        let longer = match &whom.holder {
            Holder::Service(ports) => say!(
                language;
                "To keep it open: pm set {ports} --expires DATE",
                "延长：pm set {ports} --expires 日期"
            ),
            Holder::Group(_) => return vec![day],
        };
        vec![day, longer]
    }

    fn used(self, billed: u64, quota: Option<QuotaSize>) -> String {
        let used = approximate(billed, family(quota));
        match quota.map(|quota| spaced(quota.size())) {
            Some(quota) => say!(
                self.language;
                "{used} of {quota} used",
                "已用 {used} / {quota}"
            ),
            None => say!(self.language; "{used} used", "已用 {used}"),
        }
    }

    fn next_period(self, date: Option<Date>) -> String {
        match date {
            Some(date) => say!(
                self.language;
                "Next period: from {date} on",
                "下个周期：{date} 起"
            ),
            None => say!(self.language; "Next period: none", "下个周期：没有"),
        }
    }

    /// Returns a service with its note, or a group, on one line.
    pub(crate) fn whom(self, whom: &Whom) -> String {
        match &whom.holder {
            Holder::Service(ports) => self.service(*ports, whom.note.as_str()),
            Holder::Group(name) => say!(self.language; "group {name}", "组 {name}"),
        }
    }

    pub(crate) fn service(self, ports: PortRange, note: &str) -> String {
        match one_line(note) {
            note if note.is_empty() => ports.to_string(),
            note => say!(self.language; "{ports} ({note})", "{ports}（{note}）"),
        }
    }
}

/// Returns the family of units in which something is said.
pub(crate) fn family(quota: Option<QuotaSize>) -> SizeFamily {
    quota.map_or(SizeFamily::Decimal, |quota| quota.size().unit().family())
}

/// Returns a size or a rate as it was typed, its unit apart: `100 GB`.
pub(crate) fn spaced(amount: impl std::fmt::Display) -> String {
    let text = amount.to_string();
    let unit = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    format!("{} {}", number.trim_end(), unit)
        .trim_end()
        .to_owned()
}

/// Returns a text on one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns names, as many as can be taken in.
fn listed(language: Language, names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let named = names.get(..MOST_NAMED).unwrap_or(names).join(", ");
    match more {
        0 => named,
        more => say!(language; "{named} and {more} more", "{named} 等，另有 {more} 个"),
    }
}

impl Message {
    /// Returns the headline with the host, for the subject of a mail, say.
    pub fn title(&self) -> String {
        format!("[{}] {}", self.server, self.headline)
    }

    /// Returns the first line of the text.
    pub(crate) fn first_line(&self) -> String {
        format!("{} {} · {}", self.icon, self.server, self.headline)
    }

    /// Returns all lines but the first, the time as the last.
    pub(crate) fn more_lines(&self) -> impl Iterator<Item = &str> {
        let time = Some(self.time.as_str());
        self.lines.iter().map(String::as_str).chain(time)
    }

    /// Returns the message as plain text.
    pub fn text(&self) -> String {
        let first = self.first_line();
        let lines: Vec<_> = std::iter::once(&*first).chain(self.more_lines()).collect();
        lines.join("\n")
    }
}
