//! `pm setup`: says what it finds, writes what calls pm, and starts it; man pages and completions come last.
//!
//! That nobody reads what it says stops nothing.

use std::process::ExitCode;

use anyhow::Result;
use pm_engine::doctor::Finding;
use pm_setup::apply::{Done, Standing};
use pm_setup::init::Schedule;
use pm_setup::tools::HostTools;
use pm_setup::{
    Footprint, Piece, SetupError, activate, apply, check, data, old_tools, program, remove,
};
use pm_update::trial::WITH_PROBLEMS;

use super::import::Caller;
use super::monitor::report_move;
use super::premises::{self, Premises};
use crate::cli::{Places, Setup};
use crate::language::tr;
use crate::output::progress::Progress;
use crate::output::words::{self, caution};
use crate::output::{self, diagnosis, errors, footprint, note, say, tell};

/// Settles on this host.
pub(crate) fn run(places: &Places, flags: Setup) -> Result<ExitCode> {
    premises::require(places, "setup")?;
    let premises = Premises::look()?;
    program::check(&premises.root, &premises.pm)?;
    apply::refuse_foreign(&premises.root, &premises.calling())?;
    if flags.dry_run {
        say_found(places, &premises)?;
        super::import::say_how();
        output::check_noted()?;
        return preview(&premises, &premises.wanted()?, flags);
    }
    say_found(places, &premises)?;
    // Before pm is started: as long as pm.sh's configuration is in the place of its own, it cannot be.
    super::import::offer(places, Caller::Setup)?;
    let lock = premises::lock(places)?;
    let progress = Progress::new();
    let mut written = Written::default();
    // First what must not call pm beside what will.
    let (stale, stale_manual) = divided(premises.everywhere().without(&premises.wanted()?));
    written.write(&premises, &stale, &premises.calling(), flags, &progress)?;
    let changed = !written.is_nothing();
    progress.step(tr!("starting pm", "正在启动 pm"));
    let put_back = put_back(places, &premises);
    let init = premises.host.init;
    let pm = premises.pm.to_string_lossy();
    let started = activate::start(&premises.root, &mut HostTools, init, &pm, changed);
    let waits = super::import::has_pm_shs_configuration(places);
    let tried = match started {
        Err(_) if waits => Ok(()),
        started => {
            started?;
            activate::try_tick(&mut HostTools, init)
        }
    };
    let (_, manual) = divided(premises.wanted()?);
    let manual = written.write(&premises, &stale_manual, &manual, flags, &progress);
    drop(progress);
    drop(lock);
    note!("{}", tr!("Done:", "已完成："));
    for line in written.lines() {
        note!("{line}");
    }
    say_end(&premises, written.is_nothing());
    let mut code = ExitCode::SUCCESS;
    if waits {
        tell!("{}", waits_for_pm_sh());
        code = ExitCode::from(WITH_PROBLEMS);
    }
    if let Err(error) = manual {
        tell!("{}", without_manual(&error));
    }
    if let Err(error) = put_back {
        errors::print(&error);
        code = ExitCode::FAILURE;
    }
    if let Err(error) = tried {
        tell!("{}", without_tick(&error));
        code = ExitCode::from(WITH_PROBLEMS);
    }
    output::check_noted()?;
    Ok(code)
}

fn without_tick(error: &SetupError) -> String {
    caution(
        &errors::sentence(error),
        &tr!(
            "the first tick failed, and so will the next: see `pm log` and `systemctl status \
             port-monitor-tick.service`; in a container that allows no sandbox \
             (status=226/NAMESPACE), ask who runs the host for nesting",
            "第一次 tick 失败了，之后的也会失败：看 `pm log` 和 `systemctl status \
             port-monitor-tick.service`；容器不允许沙箱时（status=226/NAMESPACE），\
             请宿主机的管理者允许嵌套"
        ),
    )
}

fn waits_for_pm_sh() -> String {
    caution(
        &tr!(
            "pm does nothing yet: pm.sh's configuration is in the place of its own",
            "pm 还不会做任何事：pm.sh 的配置占着它的位置"
        ),
        &tr!(
            "`pm import --from pm.sh` takes it over with all that was used; pm.sh goes on until then",
            "用 `pm import --from pm.sh` 连同已用流量一起接管；在那之前 pm.sh 照常工作"
        ),
    )
}

fn without_manual(error: &SetupError) -> String {
    caution(
        &errors::sentence(error),
        &tr!(
            "pm runs all the same, without all of its man pages and completions; mend that and \
             run `pm setup` again",
            "pm 照常运行，只是手册页和命令补全不全；解决之后再运行 `pm setup`"
        ),
    )
}

/// Puts the rules back into the kernel that `pm uninstall --keep-data` took out.
fn put_back(places: &Places, premises: &Premises) -> Result<()> {
    if !data::is_kept(&premises.root) {
        return Ok(());
    }
    let moved = super::engine_regardless(places)?.restore(false)?;
    // What is amiss was told, and each tick will tell it again.
    let _ = report_move(&moved);
    data::forget_kept(&premises.root)?;
    let services = words::services(moved.services);
    note!(
        "{}",
        tr!(
            "Back since `pm uninstall --keep-data`: {services}.",
            "`pm uninstall --keep-data` 保留的已恢复：{services}。"
        )
    );
    Ok(())
}

/// Returns what calls pm, and what is only convenient.
fn divided(footprint: Footprint) -> (Footprint, Footprint) {
    let (manual, calling) = footprint.pieces.into_iter().partition(Piece::is_manual);
    (Footprint { pieces: calling }, Footprint { pieces: manual })
}

/// Says what pm has to do with here.
fn say_found(places: &Places, premises: &Premises) -> Result<()> {
    note!("{}", tr!("Found:", "发现："));
    note!("  {}", footprint::host(&premises.host));
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
            note!("  {line}");
        }
    }
    let traces = old_tools::traces(&premises.root);
    if !traces.is_empty() {
        note!(
            "{}",
            tr!(
                "Left by other tools, or by hand; pm touches none of it unasked:",
                "别的工具或手工留下的，没有你的同意 pm 不碰："
            )
        );
        for trace in &traces {
            note!("  {}", footprint::trace(trace));
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

/// What was done so far.
#[derive(Default)]
struct Written {
    stale: Vec<Piece>,
    all: Vec<(Piece, Done)>,
}

impl Written {
    /// Removes what is of an older pm's or of another way to call it, and writes what is wanted.
    fn write(
        &mut self,
        premises: &Premises,
        stale: &Footprint,
        wanted: &Footprint,
        flags: Setup,
        progress: &Progress,
    ) -> Result<(), SetupError> {
        let (root, mut tools) = (&premises.root, HostTools);
        let nothing = Footprint::default();
        remove::remove_stale(root, &mut tools, stale, &nothing, |piece| {
            self.stale.push(piece.clone());
        })?;
        apply::apply(root, &mut tools, wanted, flags.force, |piece, done| {
            progress.step(footprint::piece(piece));
            self.all.push((piece.clone(), done));
        })
    }

    /// Whether everything was as it must be.
    fn is_nothing(&self) -> bool {
        let is_change = |(_, done): &(_, Done)| matches!(done, Done::Made | Done::Renewed);
        self.stale.is_empty() && !self.all.iter().any(is_change)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = footprint::removed(&self.stale);
        lines.extend(footprint::done(&self.all));
        lines
    }
}

fn say_end(premises: &Premises, nothing: bool) {
    if nothing {
        note!(
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
    note!(
        "{}",
        tr!(
            "pm is set up. `pm` opens the menu, `pm log` shows what the ticks say, `pm uninstall` \
             takes everything away.",
            "pm 已装好。`pm` 打开菜单，`pm log` 查看 tick 的日志，`pm uninstall` 彻底卸载。"
        )
    );
}
