//! `pm setup`: says what it finds, writes what calls pm, and starts it.

use std::process::ExitCode;

use anyhow::Result;
use pm_engine::doctor::Finding;
use pm_setup::apply::{Done, Standing};
use pm_setup::init::Schedule;
use pm_setup::tools::HostTools;
use pm_setup::{Footprint, activate, apply, check, old_tools, program, remove};
use pm_update::trial::WITH_PROBLEMS;

use super::premises::{self, Premises};
use crate::cli::{Places, Setup};
use crate::language::tr;
use crate::output::progress::Progress;
use crate::output::words::caution;
use crate::output::{diagnosis, errors, footprint, say, tell};

/// Settles on this host.
pub(crate) fn run(places: &Places, flags: Setup) -> Result<ExitCode> {
    premises::require(places, "setup")?;
    let premises = Premises::look()?;
    program::check(&premises.root, &premises.pm)?;
    let wanted = premises.wanted()?;
    apply::refuse_foreign(&premises.root, &wanted)?;
    say_found(places, &premises)?;
    if flags.dry_run {
        return preview(&premises, &wanted, flags);
    }
    let progress = Progress::new();
    let (lines, changed) = write(&premises, &wanted, flags, &progress)?;
    progress.step(tr!("starting pm", "正在启动 pm"));
    let pm = premises.pm.to_string_lossy();
    activate::start(
        &premises.root,
        &mut HostTools,
        premises.host.init,
        &pm,
        changed,
    )?;
    let tried = activate::try_tick(&mut HostTools, premises.host.init);
    drop(progress);
    say!("{}", tr!("Done:", "已完成："));
    for line in &lines {
        say!("{line}");
    }
    say_end(&premises, lines.is_empty())?;
    super::import::offer(places)?;
    match tried {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tell!(
                "{}",
                caution(
                    &errors::sentence(&error),
                    &tr!(
                        "the first tick failed, and so will the next: see `pm log` and `systemctl \
                         status port-monitor-tick.service`; in a container that allows no \
                         sandbox (status=226/NAMESPACE), ask who runs the host for nesting",
                        "第一次 tick 失败了，之后的也会失败：看 `pm log` 和 `systemctl status \
                         port-monitor-tick.service`；容器不允许沙箱时（status=226/NAMESPACE），\
                         请宿主机的管理者允许嵌套"
                    )
                )
            );
            Ok(ExitCode::from(WITH_PROBLEMS))
        }
    }
}

/// Says what pm has to do with here.
fn say_found(places: &Places, premises: &Premises) -> Result<()> {
    say!("{}", tr!("Found:", "发现："));
    say!("  {}", footprint::host(&premises.host));
    let findings = super::engine_regardless(places)?.doctor();
    let matters = |finding: &&Finding| {
        matches!(
            finding,
            Finding::Kernel { .. }
                | Finding::Access { .. }
                | Finding::Shaping { .. }
                | Finding::Ssh { .. }
                | Finding::Clock { .. }
        )
    };
    for finding in findings.iter().filter(matters) {
        for line in diagnosis::of(finding).to_string().trim_end().lines() {
            say!("  {line}");
        }
    }
    let traces = old_tools::traces(&premises.root);
    if !traces.is_empty() {
        say!(
            "{}",
            tr!(
                "Left by other tools, or by hand; pm does not touch it:",
                "别的工具或手工留下的，pm 不碰："
            )
        );
        for trace in &traces {
            say!("  {}", footprint::trace(trace));
        }
    }
    Ok(())
}

/// Says what would be written.
fn preview(premises: &Premises, wanted: &Footprint, flags: Setup) -> Result<ExitCode> {
    say!(
        "{}",
        tr!(
            "Nothing was changed. `pm setup` would do this:",
            "没有做任何改动。`pm setup` 会这样做："
        )
    );
    let mut expected = Vec::new();
    for piece in &wanted.pieces {
        let done = match apply::standing(&premises.root, piece)? {
            Standing::Missing => Done::Made,
            Standing::Edited if !flags.force => Done::LeftEdited,
            Standing::Outdated | Standing::Edited => Done::Renewed,
            Standing::Current | Standing::Foreign => Done::Kept,
        };
        expected.push((piece.clone(), done));
    }
    let stale = premises.everywhere().without(wanted);
    let stale = remove::present(&premises.root, &stale);
    let mut lines = footprint::removed(&stale);
    lines.extend(footprint::done(&expected));
    for line in &lines {
        say!("{line}");
    }
    if lines.is_empty() {
        say!("{}", tr!("  nothing", "  什么也不做"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes everything. Returns what was done, and whether that concerns what is started.
fn write(
    premises: &Premises,
    wanted: &Footprint,
    flags: Setup,
    progress: &Progress,
) -> Result<(Vec<String>, bool)> {
    let (root, mut tools) = (&premises.root, HostTools);
    // First what must not call pm beside what will.
    let mut stale = Vec::new();
    let everywhere = premises.everywhere();
    remove::remove_stale(root, &mut tools, &everywhere, wanted, |piece| {
        stale.push(piece.clone());
    })?;
    let mut all = Vec::new();
    apply::apply(root, &mut tools, wanted, flags.force, |piece, done| {
        progress.step(footprint::piece(piece));
        all.push((piece.clone(), done));
    })?;
    let is_change = |(_, done): &(_, Done)| matches!(done, Done::Made | Done::Renewed);
    let changed = !stale.is_empty() || all.iter().any(is_change);
    let mut lines = footprint::removed(&stale);
    lines.extend(footprint::done(&all));
    Ok((lines, changed))
}

fn say_end(premises: &Premises, nothing: bool) -> Result<()> {
    if nothing {
        say!(
            "{}",
            tr!(
                "  nothing: everything was in place already",
                "  无需改动：一切早已就绪"
            )
        );
    }
    match &premises.host.schedule {
        Schedule::Timer => {}
        Schedule::CronDirectory | Schedule::Crontab(_) => {
            if !check::cron_runs(&premises.root) {
                tell!(
                    "{}",
                    caution(
                        &tr!("no cron runs", "cron 没有在运行"),
                        &tr!(
                            "start it, and let it start at boot: without it there are no ticks",
                            "启动它，并让它开机自启：没有它就没有 tick"
                        )
                    )
                );
            }
        }
        Schedule::None => tell!(
            "{}",
            caution(
                &tr!(
                    "there is neither systemd nor cron: nothing does the minute's tick",
                    "既没有 systemd，也没有 cron：没有东西来做每分钟的 tick"
                ),
                &tr!(
                    "install cron and run `pm setup` again, or let whatever there is call `pm \
                     monitor` once a minute",
                    "安装 cron 后再运行 `pm setup`，或者让别的程序每分钟运行一次 `pm monitor`"
                )
            )
        ),
    }
    say!(
        "{}",
        tr!(
            "pm is set up. `pm` opens the menu, `pm log` shows what the ticks say, `pm uninstall` \
             takes everything away.",
            "pm 已装好。`pm` 打开菜单，`pm log` 查看 tick 的日志，`pm uninstall` 彻底卸载。"
        )
    );
    Ok(())
}
