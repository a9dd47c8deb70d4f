//! What is said of a quota's holder, and of a service.

use pm_core::config::QuotaSize;
use pm_core::dynqos::DynQos;
use pm_core::holder::Holder;
use pm_core::notice::{Deed, Ended, Whom};
use pm_core::request::{Request, Selection};
use pm_core::units::approximate;
use time::Date;

use super::words::{all_of, family, listed, spaced};
use super::{Said, Voice};
use crate::say::say;

impl Voice<'_> {
    pub(super) fn quota(
        self,
        whom: &Whom,
        percent: u16,
        billed: u64,
        quota: QuotaSize,
        next_reset: Option<Date>,
    ) -> Said {
        let name = self.whom(whom);
        let headline = say!(
            self.language;
            "{name}: {percent}% of the quota used",
            "{name}：配额已用 {percent}%"
        );
        let icon = if percent < 100 { "⚠️" } else { "🔶" };
        let used = self.used(billed, Some(quota));
        (icon, headline, vec![used, self.next_period(next_reset)])
    }

    pub(super) fn blocked(
        self,
        whom: &Whom,
        billed: u64,
        quota: Option<QuotaSize>,
        next_reset: Option<Date>,
    ) -> Said {
        let name = self.whom(whom);
        let (headline, reset) = match &whom.holder {
            Holder::Service(ports) => (
                say!(
                    self.language;
                    "{name}: blocked, the quota is used up",
                    "{name}：配额用完，已阻断"
                ),
                Request::Reset {
                    ports: Selection::Ports((*ports).into()),
                },
            ),
            Holder::Group(group) => (
                say!(
                    self.language;
                    "{name}: its services are blocked, the quota is used up",
                    "{name}：配额用完，组内服务已阻断"
                ),
                Request::ResetGroup {
                    name: group.clone(),
                },
            ),
        };
        let used = self.used(all_of(quota, billed), quota);
        let sooner = say!(
            self.language;
            "To open it at once: {reset}",
            "立即放行：{reset}"
        );
        let lines = vec![used, self.next_period(next_reset), sooner];
        ("⛔", headline, lines)
    }

    pub(super) fn unblocked(self, whom: &Whom) -> Said {
        let name = self.whom(whom);
        let headline = say!(self.language; "{name}: open again", "{name}：恢复放行");
        ("✅", headline, Vec::new())
    }

    pub(super) fn reset(self, ended: &Ended) -> Said {
        let language = self.language;
        let name = self.whom(&ended.whom);
        let headline = match (ended.by_operator, ended.reopened) {
            (false, true) => say!(
                language;
                "{name}: open again, a new period begins",
                "{name}：新周期开始，恢复放行"
            ),
            (false, false) => say!(
                language;
                "{name}: a new period begins",
                "{name}：新周期开始"
            ),
            (true, true) => say!(
                language;
                "{name}: open again, the operator began a new period",
                "{name}：已手动重置，新周期开始，恢复放行"
            ),
            (true, false) => say!(
                language;
                "{name}: the operator began a new period",
                "{name}：已手动重置，新周期开始"
            ),
        };
        let usage = self.usage(ended);
        let last = say!(language; "Last period: {usage}", "上个周期：{usage}");
        (
            "🔄",
            headline,
            vec![last, self.next_period(ended.next_reset)],
        )
    }

    /// Returns what a period used.
    pub(super) fn usage(self, ended: &Ended) -> String {
        let family = family(ended.quota);
        let [incoming, outgoing] =
            [ended.incoming, ended.outgoing].map(|bytes| approximate(bytes, family));
        say!(
            self.language;
            "{incoming} in, {outgoing} out",
            "入站 {incoming}，出站 {outgoing}"
        )
    }

    pub(super) fn punished(self, whom: &Whom, rule: DynQos) -> Said {
        let name = self.whom(whom);
        let (trigger, punish) = (spaced(rule.trigger), spaced(rule.punish));
        let (after, during) = (rule.trigger_minutes.get(), rule.punish_minutes.get());
        let headline = say!(
            self.language;
            "{name}: slowed down to {punish}",
            "{name}：已降速到 {punish}"
        );
        let why = say!(
            self.language;
            "Above {trigger} for {after} min; slowed down for {during} min",
            "连续 {after} 分钟超过 {trigger}；降速持续 {during} 分钟"
        );
        ("🐢", headline, vec![why])
    }

    pub(super) fn restored(self, whom: &Whom) -> Said {
        let name = self.whom(whom);
        let headline = say!(
            self.language;
            "{name}: no longer slowed down",
            "{name}：惩罚结束，不再降速"
        );
        ("🐇", headline, Vec::new())
    }

    pub(super) fn expiring(self, whom: &Whom, last_day: Option<Date>, days: u16) -> Said {
        let name = self.whom(whom);
        let headline = match days {
            0 => say!(
                self.language;
                "{name}: today is its last day",
                "{name}：今天是最后一天"
            ),
            1 => say!(
                self.language;
                "{name}: tomorrow is its last day",
                "{name}：明天是最后一天"
            ),
            days => say!(
                self.language;
                "{name}: expires in {days} days",
                "{name}：{days} 天后到期"
            ),
        };
        ("⏳", headline, self.last_day(last_day, whom))
    }

    pub(super) fn expired(self, whom: &Whom, last_day: Option<Date>) -> Said {
        let name = self.whom(whom);
        let headline = say!(
            self.language;
            "{name}: blocked, its last day has passed",
            "{name}：已到期，已阻断"
        );
        ("📅", headline, self.last_day(last_day, whom))
    }

    fn last_day(self, last_day: Option<Date>, whom: &Whom) -> Vec<String> {
        let Some(day) = last_day else {
            return Vec::new();
        };
        let day = say!(self.language; "Last day: {day}", "最后一天：{day}");
        let longer = match &whom.holder {
            Holder::Service(ports) => say!(
                self.language;
                "To keep it open: pm set {ports} --expires DATE",
                "延长：pm set {ports} --expires 日期"
            ),
            Holder::Group(_) => return vec![day],
        };
        vec![day, longer]
    }

    pub(super) fn done(self, deed: Deed, whom: &[Whom]) -> Said {
        let names: Vec<_> = whom.iter().map(|it| self.whom(it)).collect();
        let whom = listed(self.language, &names);
        match deed {
            Deed::Blocked => (
                "⛔",
                say!(
                    self.language;
                    "{whom}: blocked by the operator",
                    "{whom}：已手动阻断"
                ),
                Vec::new(),
            ),
            Deed::Unblocked => (
                "✅",
                say!(
                    self.language;
                    "{whom}: no longer blocked by the operator",
                    "{whom}：已解除手动阻断"
                ),
                Vec::new(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use pm_core::calendar::Zone;
    use pm_core::language::Language;

    use super::*;

    /// A tenant who is told "blocked" at 99 % argues.
    #[test]
    fn who_is_cut_off_has_used_all_though_the_last_packet_was_dropped() {
        let voice = Voice {
            language: Language::English,
            server: "hk-01",
            zone: &Zone::utc(),
        };
        let whom = Whom {
            holder: "20000".parse().unwrap(),
            note: Default::default(),
        };
        let quota: pm_core::units::Size = "20MB".parse().unwrap();
        let quota = QuotaSize::try_from(quota).ok();
        let used = |billed| voice.blocked(&whom, billed, quota, None).2.remove(0);
        assert_eq!(used(19_998_600), "20 MB of 20 MB used");
        assert_eq!(used(25_000_000), "25 MB of 20 MB used");
    }
}
