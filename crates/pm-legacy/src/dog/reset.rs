//! When a port starts over: its day of the month, and in the fork one of six policies, which count
//! before that.

use pm_core::calendar::{ResetPolicy, Timestamp, YearMonth, Zone, iso_date};
use serde_json::Value;
use time::Date;

use crate::doubt::{Setting, Trouble};
use crate::json::{at, is_absent, number, text};
use crate::text::shown;

/// When the tool makes its resets.
const AT_MINUTE: u8 = 5;

/// When a port starts over.
pub(super) struct Reset {
    pub(super) policy: ResetPolicy,
    /// The next date, where the tool says it, as only the fork does. It makes up for resets that
    /// it has missed; without such a date, the tool does not.
    pub(super) due: Option<Date>,
}

/// Reads a port's policy.
pub(super) fn read(settings: &Value, doubt: &mut dyn FnMut(Trouble)) -> Reset {
    let quota = at(settings, &["quota"]);
    let policy = at(quota, &["reset_policy"]);
    let day = at(quota, &["reset_day"]);
    if !is_absent(policy) {
        let due = iso_date::parse(&text(at(policy, &["next_reset_date"])));
        return match of_fork(policy, due) {
            Some(policy) => Reset {
                policy,
                due: due.filter(|_| policy != ResetPolicy::Never),
            },
            None => {
                doubt(unusable(policy));
                never()
            }
        };
    }
    if is_absent(day) || number(day) == Some(0) {
        return never();
    }
    match number(day).and_then(|day| day.to_string().parse().ok()) {
        Some(policy) => Reset { policy, due: None },
        None => {
            doubt(unusable(day));
            never()
        }
    }
}

impl Reset {
    /// Returns a reset of today that the tool has not come to yet, and says which one before today
    /// it has missed: it will not make up for that.
    pub(super) fn left_over(
        &self,
        last: Timestamp,
        now: Timestamp,
        zone: &Zone,
        doubt: &mut dyn FnMut(Trouble),
    ) -> Option<Date> {
        let date = self.policy.next_after(zone.date_at(last))?;
        let local = zone.local(now);
        let is_to_come = local.hour() == 0 && local.minute() <= AT_MINUTE;
        if date == local.date() && is_to_come {
            return Some(date);
        }
        if date <= local.date() {
            doubt(Trouble::ResetMissed(date));
        }
        None
    }
}

fn never() -> Reset {
    Reset {
        policy: ResetPolicy::Never,
        due: None,
    }
}

fn unusable(value: &Value) -> Trouble {
    Trouble::Unusable {
        setting: Setting::Reset,
        value: shown(&text(value)),
    }
}

/// Returns the policy that an object of the fork's is; an interval goes on from the next date, or
/// from its own start where there is none.
fn of_fork(policy: &Value, due: Option<Date>) -> Option<ResetPolicy> {
    let field = |name| at(policy, &[name]);
    let figure = |name| number(field(name));
    let date = |name| iso_date::parse(&text(field(name)));
    let from = due.or_else(|| date("anchor_date"));
    let written = match text(field("type")).as_str() {
        "none" => "never".to_owned(),
        "monthly" => figure("day")?.to_string(),
        "interval_days" => format!("every {} days from {}", figure("every")?, from?),
        "interval_months" => {
            let (every, day) = (figure("every")?, figure("day")?);
            format!(
                "every {every} months on {day} from {}",
                YearMonth::of(from?)
            )
        }
        "yearly" => format!("yearly {:02}-{:02}", figure("month")?, figure("day")?),
        "fixed_date" => format!("once {}", date("date")?),
        _ => return None,
    };
    written.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::date;

    fn policy(policy: Value) -> (String, Option<Date>, usize) {
        let mut troubles = 0;
        let settings = json!({"quota": {"reset_day": 9, "reset_policy": policy}});
        let reset = read(&settings, &mut |_| troubles += 1);
        (reset.policy.to_string(), reset.due, troubles)
    }

    #[test]
    fn a_policy_of_the_forks_counts_before_the_day() {
        let due = Some(date!(2026 - 12 - 02));
        for (written, read) in [
            (json!({"type": "none"}), ("never", None)),
            (
                json!({"type": "monthly", "day": 2, "next_reset_date": "2026-12-02"}),
                ("2", due),
            ),
            (
                json!({"type": "interval_days", "every": 30, "anchor_date": "2026-11-02",
                       "next_reset_date": "2026-12-02"}),
                ("every 30 days from 2026-12-02", due),
            ),
            (
                json!({"type": "interval_days", "every": 30, "anchor_date": "2026-11-02"}),
                ("every 30 days from 2026-11-02", None),
            ),
            (
                json!({"type": "interval_months", "every": "3", "anchor_date": "2026-09-02",
                       "day": 2, "next_reset_date": "2026-12-02"}),
                ("every 3 months on 2 from 2026-12", due),
            ),
            (
                json!({"type": "yearly", "month": 2, "day": 29, "next_reset_date": null}),
                ("yearly 02-29", None),
            ),
            (
                json!({"type": "fixed_date", "date": "2026-12-02",
                       "next_reset_date": "2026-12-02"}),
                ("once 2026-12-02", due),
            ),
        ] {
            assert_eq!(
                policy(written.clone()),
                (read.0.to_owned(), read.1, 0),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_policy_never_resets_and_is_said() {
        for written in [
            json!({"type": "monthly", "day": 32}),
            json!({"type": "interval_days", "every": 0, "anchor_date": "2026-11-02"}),
            json!({"type": "interval_days", "every": 30}),
            json!({"type": "yearly", "month": 2, "day": 30}),
            json!({"type": "fixed_date", "date": "soon"}),
            json!({"type": "weekly"}),
            json!("monthly"),
            json!([1]),
        ] {
            assert_eq!(
                policy(written.clone()),
                ("never".to_owned(), None, 1),
                "{written}"
            );
        }
    }

    #[test]
    fn a_missed_reset_is_said_and_one_of_this_very_day_is_made() {
        let reset = Reset {
            policy: "1".parse().unwrap(),
            due: None,
        };
        let zone = Zone::named("Asia/Shanghai").unwrap();
        // 2026-11-01 00:05 in Beijing, when the tool made its last one.
        let last = Timestamp::from_unix(1_793_462_700);
        let left_over = |now| {
            let mut troubles = Vec::new();
            let due = reset.left_over(last, now, &zone, &mut |trouble| troubles.push(trouble));
            (due, troubles)
        };
        let later = |seconds| Timestamp::from_unix(last.unix() + seconds);
        let month = 30 * 86_400;
        assert_eq!(left_over(later(month - 301)), (None, Vec::new()));
        assert_eq!(
            left_over(later(month)),
            (Some(date!(2026 - 12 - 01)), Vec::new())
        );
        let missed = vec![Trouble::ResetMissed(date!(2026 - 12 - 01))];
        assert_eq!(left_over(later(month + 60)), (None, missed.clone()));
        assert_eq!(left_over(later(month + 86_400)), (None, missed));
    }
}
