//! What happened to several at once, in one message: a month begins for all.

use pm_core::holder::Holder;
use pm_core::notice::{Ended, Notice, What, Whom};

use super::words::{listed, plural};
use super::{Said, Voice};
use crate::outcome::shown;
use crate::say::say;

impl Voice<'_> {
    /// Returns what is said of several [alike](What::is_alike), a line each.
    pub(super) fn together(self, first: &Notice, all: &[&Notice]) -> Said {
        let language = self.language;
        let who = self.count(all);
        let mut lines: Vec<String> = all.iter().map(|it| self.each(&it.what)).collect();
        let said = match &first.what {
            What::Reset(Ended { by_operator, .. }) => {
                lines.extend(self.common_reset(all));
                let headline = match by_operator {
                    false => say!(language; "{who}: a new period begins", "{who}：新周期开始"),
                    true => say!(
                        language;
                        "{who}: the operator began a new period",
                        "{who}：已手动重置，新周期开始"
                    ),
                };
                ("🔄", headline)
            }
            What::Expired { .. } => {
                let headline = say!(
                    language;
                    "{who}: blocked, their last day has passed",
                    "{who}：已到期，已阻断"
                );
                lines.push(say!(
                    language;
                    "To keep one open: pm set PORT --expires DATE",
                    "延长：pm set 端口 --expires 日期"
                ));
                ("📅", headline)
            }
            What::Expiring { .. } => {
                let headline = say!(language; "{who}: the last day is near", "{who}：即将到期");
                lines.push(say!(
                    language;
                    "To keep one open: pm set PORT --expires DATE",
                    "延长：pm set 端口 --expires 日期"
                ));
                ("⏳", headline)
            }
            What::Delivery { .. } => {
                let names = self.destinations(all);
                let headline = say!(
                    language;
                    "nothing arrives there: {names}",
                    "这些去向都送不到：{names}"
                );
                ("📭", headline)
            }
            What::DeliveredAgain { .. } => {
                let names = self.destinations(all);
                let headline = say!(
                    language;
                    "what is sent arrives again: {names}",
                    "这些去向已恢复：{names}"
                );
                ("📬", headline)
            }
            _ => ("✅", say!(language; "{who}: open again", "{who}：恢复放行")),
        };
        (said.0, said.1, lines)
    }

    /// Returns how many they are: `3 services`.
    fn count(self, all: &[&Notice]) -> String {
        let count = all.len();
        let is_group = |whom: &Whom| matches!(whom.holder, Holder::Group(_));
        let groups = all.iter().filter_map(|it| it.what.whom());
        match groups.filter(|whom| is_group(whom)).count() {
            0 => say!(self.language; "{count} services", "{count} 个服务"),
            groups if groups == count => say!(self.language; "{count} groups", "{count} 个组"),
            groups => {
                let services = count - groups;
                let (service, group) = (plural(services, "service"), plural(groups, "group"));
                say!(
                    self.language;
                    en: "{services} {service} and {groups} {group}";
                    zh: "{services} 个服务和 {groups} 个组"
                )
            }
        }
    }

    /// Returns where nothing was delivered, or is again.
    fn destinations(self, all: &[&Notice]) -> String {
        let names = all.iter().filter_map(|it| match &it.what {
            What::Delivery { to, .. } | What::DeliveredAgain { to, .. } => {
                Some(self.destination(to))
            }
            _ => None,
        });
        listed(self.language, &names.collect::<Vec<_>>())
    }

    fn each(self, what: &What) -> String {
        match what {
            What::Reset(ended) => self.ended(ended),
            What::Expired {
                whom,
                last_day: Some(day),
            } => {
                let name = self.whom(whom);
                say!(self.language; "{name}: last day {day}", "{name}：最后一天 {day}")
            }
            What::Delivery { to, why, lost } => {
                let (name, why) = (self.destination(to), shown(why, self.language));
                match lost {
                    0 => say!(self.language; "{name}: {why}", "{name}：{why}"),
                    _ => say!(
                        self.language;
                        "{name}: {why}; given up after a day: {lost}",
                        "{name}：{why}；一天后放弃的消息：{lost} 条"
                    ),
                }
            }
            What::DeliveredAgain { to, since } => {
                let (name, since) = (self.destination(to), self.time(*since));
                say!(
                    self.language;
                    "{name}: nothing since {since}",
                    "{name}：自 {since} 起一直送不到"
                )
            }
            what => match what.whom() {
                Some(whom) if matches!(what, What::Unblocked { .. }) => self.whom(whom),
                _ => self.said(what).1,
            },
        }
    }

    fn ended(self, ended: &Ended) -> String {
        let (name, usage) = (self.whom(&ended.whom), self.usage(ended));
        match ended.reopened {
            false => say!(self.language; "{name}: {usage}", "{name}：{usage}"),
            true => say!(
                self.language;
                "{name}, open again: {usage}",
                "{name}，恢复放行：{usage}"
            ),
        }
    }

    /// Returns when the next period begins, where that is the same for all.
    fn common_reset(self, all: &[&Notice]) -> Option<String> {
        let mut dates = all.iter().map(|it| match &it.what {
            What::Reset(ended) => ended.next_reset,
            _ => None,
        });
        let first = dates.next()?;
        dates
            .all(|date| date == first)
            .then(|| self.next_period(first))
    }
}
