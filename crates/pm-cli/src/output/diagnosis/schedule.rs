//! Whether pm is called as it must be, in words.

use pm_engine::doctor::Severity;
use pm_setup::check::Check;

use super::Diagnosis;
use crate::language::tr;

/// Returns what was found of that which setup writes.
pub(crate) fn of(check: &Check) -> Diagnosis {
    let name = ("setup", tr!("setup", "安装"));
    let (severity, what, trouble) = judge(check);
    let trouble = trouble.map(|(why, remedy)| (why, Some(remedy)));
    Diagnosis::new(name, severity, (what, trouble))
}

fn judge(check: &Check) -> (Severity, String, Option<(String, String)>) {
    let no_ticks = || {
        tr!(
            "without ticks nothing is accounted for, reset or put back",
            "没有 tick，就不会记账、重置和恢复规则"
        )
    };
    if !check.is_set_up {
        return (
            Severity::Warning,
            tr!("`pm setup` was not run", "没有运行过 `pm setup`"),
            Some((
                tr!(
                    "nothing of pm's does the minute's tick, restores the rules at boot, or does a \
                     last tick at shutdown",
                    "pm 没有安排每分钟的 tick、开机恢复规则和关机前的最后一次 tick"
                ),
                tr!("`pm setup`", "`pm setup`"),
            )),
        );
    }
    if check.runs == Some(false) {
        return (
            Severity::Failure,
            tr!(
                "what calls the tick does not run",
                "负责 tick 的程序没有在运行"
            ),
            Some((
                no_ticks(),
                tr!(
                    "`systemctl start port-monitor-tick.timer`, or start cron where there is no \
                     systemd",
                    "`systemctl start port-monitor-tick.timer`；没有 systemd 就启动 cron"
                ),
            )),
        );
    }
    if check.runs.is_none() {
        return (
            Severity::Warning,
            tr!("neither systemd nor cron", "既没有 systemd，也没有 cron"),
            Some((
                no_ticks(),
                tr!(
                    "install cron and run `pm setup`, or let something else call `pm monitor` once \
                     a minute",
                    "安装 cron 后运行 `pm setup`，或让别的程序每分钟运行一次 `pm monitor`"
                ),
            )),
        );
    }
    differences(check)
}

fn differences(check: &Check) -> (Severity, String, Option<(String, String)>) {
    let list = |names: &[String]| names.join(" ");
    let (what, remedy) = if !check.missing.is_empty() {
        let names = list(&check.missing);
        (
            tr!("missing: {names}", "缺少：{names}"),
            tr!("`pm setup`", "`pm setup`"),
        )
    } else if !check.edited.is_empty() {
        let names = list(&check.edited);
        (
            tr!("edited since: {names}", "被人改过：{names}"),
            tr!(
                "`pm setup --force` puts pm's own back; a unit of systemd's is better changed with \
                 `systemctl edit`",
                "`pm setup --force` 恢复 pm 写的内容；要改 systemd 的单元，最好用 `systemctl edit`"
            ),
        )
    } else if !check.outdated.is_empty() {
        let names = list(&check.outdated);
        (
            tr!("of an older pm: {names}", "由旧版 pm 写的：{names}"),
            tr!("`pm setup`", "`pm setup`"),
        )
    } else if !check.foreign.is_empty() {
        let names = list(&check.foreign);
        (
            tr!("not pm's: {names}", "不是 pm 写的：{names}"),
            tr!(
                "look at them, move them away, and run `pm setup`",
                "看看它们，移走，再运行 `pm setup`"
            ),
        )
    } else {
        let what = tr!("complete, and running", "完整，且在运行");
        return (Severity::Fine, what, None);
    };
    let why = tr!(
        "pm may not be called as it should be",
        "pm 可能不会按应有的方式被调用"
    );
    (Severity::Warning, what, Some((why, remedy)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_chinese;

    fn checks() -> String {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let complete = Check {
            is_set_up: true,
            runs: Some(true),
            ..Check::default()
        };
        let checks = [
            complete.clone(),
            Check::default(),
            Check {
                runs: Some(false),
                ..complete.clone()
            },
            Check {
                runs: None,
                ..complete.clone()
            },
            Check {
                missing: names(&["/etc/cron.d/port_monitor", "port_monitor"]),
                ..complete.clone()
            },
            Check {
                edited: names(&["/etc/init.d/port-monitor"]),
                ..complete.clone()
            },
            Check {
                outdated: names(&["/etc/init.d/port-monitor"]),
                ..complete.clone()
            },
            Check {
                foreign: names(&["/etc/init.d/port-monitor"]),
                ..complete
            },
        ];
        checks.iter().map(|check| of(check).to_string()).collect()
    }

    #[test]
    fn what_setup_wrote_is_judged() {
        insta::assert_snapshot!(checks());
    }

    #[test]
    fn what_setup_wrote_is_judged_zh() {
        insta::assert_snapshot!(in_chinese(checks));
    }
}
