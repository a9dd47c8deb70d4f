//! A request from the last answer to what it changed: shown before, confirmed, carried out, told.

use pm_core::config::{Config, Service};
use pm_core::port::PortRange;
use pm_core::report::{BlockedBy, Report};
use pm_core::request::{Refusal, Request};
use pm_engine::{EngineError, Executed, Options, Seen};

use super::Desk;
use super::patience::patiently;
use super::text::tidy;
use super::ui::look::Paint;
use super::ui::{Answer, Question, size};
use crate::commands::{self, notify::Waiting};
use crate::language::tr;
use crate::output::{errors, words};

/// When to ask before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Confirm {
    /// Always: it is the end of many questions.
    Always,
    /// Where something is lost or cut off.
    IfHarmful,
}

/// Carries out `request`, and says whether it was.
pub(super) fn apply(desk: &mut Desk<'_>, request: &Request, confirm: Confirm) -> Answer<bool> {
    let mut force = false;
    let mut was_shown = false;
    loop {
        let mut options = Options {
            force,
            dry_run: true,
        };
        let rehearsed = match execute(desk, request, options) {
            Ok(executed) => executed,
            Err(error) => match resolve(desk, request, &error, &mut force)? {
                true => continue,
                false => return Ok(false),
            },
        };
        let dropped = dropped(desk, &rehearsed);
        let is_harmful = is_harmful(request, &rehearsed) || !dropped.is_empty();
        if !was_shown && (is_harmful || confirm == Confirm::Always) {
            show(desk, request, &rehearsed, &dropped, force)?;
            if !desk.ui.confirm(tr!("Do it?", "确认执行？"), !is_harmful)? {
                desk.ui
                    .note(&tr!("Nothing was changed.", "未做任何改动。"), Paint::Dim)?;
                return Ok(false);
            }
            was_shown = true;
        }
        options.dry_run = false;
        match execute(desk, request, options) {
            Ok(executed) => {
                tell(desk, request, &executed, force, was_shown)?;
                desk.refresh()?;
                return Ok(true);
            }
            Err(error) => {
                if !resolve(desk, request, &error, &mut force)? {
                    return Ok(false);
                }
                // What will change may be something else by now.
                was_shown = false;
            }
        }
    }
}

fn execute(desk: &mut Desk<'_>, request: &Request, options: Options) -> anyhow::Result<Executed> {
    let mut engine = commands::engine(desk.places)?;
    let seen = Seen {
        config: &desk.view.config,
        state: Some(&desk.view.state),
    };
    let work = || engine.execute_on(seen, request, options);
    let (done, was_slow) = patiently(&commands::paths(desk.places), work);
    if was_slow {
        desk.ui.forget_typed();
    }
    Ok(done?)
}

/// Says why it was not done; returns whether to try again.
fn resolve(
    desk: &mut Desk<'_>,
    request: &Request,
    error: &anyhow::Error,
    force: &mut bool,
) -> Answer<bool> {
    match error.downcast_ref() {
        Some(EngineError::Changed) => {
            desk.refresh()?;
            let text = tr!(
                "Somebody else changed the configuration or a figure meanwhile. This is how it is now:",
                "配置或用量刚刚被其他人修改。以下是现在的状态："
            );
            desk.ui.note(&text, Paint::Warn)?;
            desk.show(ROOM_FOR_THE_REST)?;
            let line = command(desk, request, *force);
            desk.ui.say(&tr!(
                "What you were about to do: {line}",
                "你正要执行：{line}"
            ))?;
            desk.ui.confirm(tr!("Still do it?", "仍要执行吗？"), false)
        }
        Some(refused @ EngineError::Refused(Refusal::Ssh { ssh_port, .. })) if !*force => {
            // What its hint says is asked at once.
            desk.ui.note(&errors::without_hint(refused), Paint::Bad)?;
            *force = insists(desk, *ssh_port)?;
            Ok(*force)
        }
        _ => {
            desk.ui.note(&errors::text(error), Paint::Bad)?;
            Ok(false)
        }
    }
}

/// Asks somebody who may lock himself out, so that no habit answers it.
fn insists(desk: &mut Desk<'_>, port: u16) -> Answer<bool> {
    let question = Question::new(
        tr!(
            "Do it all the same, though you may lose your access?",
            "仍要执行？你可能无法再登录本机！"
        ),
        tr!(
            "To go on, type the SSH port, {port}; Enter: no",
            "确认请输入 SSH 端口号 {port}；直接回车：不执行"
        ),
    );
    let read = |typed: &str| match tidy(typed) {
        typed if typed.is_empty() || typed.eq_ignore_ascii_case("n") => Ok(false),
        typed if typed == port.to_string() => Ok(true),
        _ => Err(tr!("that is not {port}", "输入的不是 {port}")),
    };
    desk.ui.ask(&question, read, |yes| {
        if *yes {
            tr!("yes, by force", "是，强制执行")
        } else {
            tr!("no", "否")
        }
    })
}

/// Whether something is lost, or lets nothing through any more.
fn is_harmful(request: &Request, executed: &Executed) -> bool {
    let loses = match request {
        Request::Delete { .. }
        | Request::Reset { .. }
        | Request::Block { .. }
        | Request::DeleteGroup { .. }
        | Request::ResetGroup { .. } => true,
        Request::Set { settings, used, .. } => settings.group.is_some() || used.is_some(),
        Request::SetGroup { used, .. } => used.is_some(),
        Request::Restore { .. } => ends_periods(&executed.before, &executed.after),
        Request::Adopt(_) => true,
        _ => false,
    };
    let cuts = |now: &Report| {
        let was = executed
            .reports_before
            .iter()
            .find(|was| was.ports == now.ports);
        let was_open = was.is_none_or(|was| was.blocked_by.is_none());
        was_open
            && matches!(
                now.blocked_by,
                Some(BlockedBy::Quota | BlockedBy::Expiry | BlockedBy::Operator)
            )
    };
    loses || executed.reports_after.iter().any(cuts)
}

/// Whether a service or a group goes, or a service is in another group.
fn ends_periods(before: &Config, after: &Config) -> bool {
    let stays = |(ports, service): (&PortRange, &Service)| {
        let now = after.services.get(ports);
        now.is_some_and(|now| now.group == service.group)
    };
    let mut groups = before.groups.keys();
    !before.services.iter().all(stays) || !groups.all(|name| after.groups.contains_key(name))
}

/// Returns which messages are not sent any more, a line for each channel.
fn dropped(desk: &Desk<'_>, executed: &Executed) -> Vec<String> {
    let Executed { before, after, .. } = executed;
    match before.notify == after.notify {
        true => Vec::new(),
        false => Waiting::of(desk.places).dropped_by(before, after),
    }
}

fn show(
    desk: &mut Desk<'_>,
    request: &Request,
    executed: &Executed,
    dropped: &[String],
    force: bool,
) -> Answer<()> {
    desk.ui
        .note(&tr!("This will change:", "将要做出以下改动："), Paint::Bold)?;
    changes(desk, request, executed)?;
    for line in dropped {
        let line = desk.ui.look().paint(line, Paint::Warn);
        desk.ui.say(&format!("  {line}"))?;
    }
    tell_command(desk, request, force)
}

fn tell(
    desk: &mut Desk<'_>,
    request: &Request,
    executed: &Executed,
    force: bool,
    was_shown: bool,
) -> Answer<()> {
    for event in executed.events.iter().filter(|event| words::is_news(event)) {
        desk.ui.say(&words::event(event))?;
    }
    for error in &executed.leftover {
        desk.ui.note(&errors::leftover(error), Paint::Warn)?;
    }
    for error in &executed.problems {
        desk.ui.note(&errors::problem(error), Paint::Warn)?;
    }
    if executed.torn_down {
        desk.ui.note(words::not_in_force(), Paint::Warn)?;
    }
    if !was_shown {
        changes(desk, request, executed)?;
        tell_command(desk, request, force)?;
    }
    desk.ui.note(&tr!("Done.", "已完成。"), Paint::Good)?;
    if let Request::Delete { .. } | Request::DeleteGroup { .. } = request {
        let back = tr!(
            "Undo, 13 in the menu, brings it back.",
            "可用菜单 13（撤销改动）恢复。"
        );
        desk.ui.note(&back, Paint::Dim)?;
    }
    Ok(())
}

fn changes(desk: &mut Desk<'_>, request: &Request, executed: &Executed) -> Answer<()> {
    let room = size().rows.saturating_sub(ROOM_FOR_THE_REST).max(FEWEST);
    for line in abridged(words::changes(request, executed), room) {
        desk.ui.say(&format!("  {line}"))?;
    }
    let warnings = executed.warnings.iter().map(words::warning).collect();
    for warning in abridged(warnings, FEWEST) {
        desk.ui.note(&warning, Paint::Warn)?;
    }
    Ok(())
}

/// The lines of the screen that something else stands on: the question, the command.
const ROOM_FOR_THE_REST: usize = 10;

/// How many lines, or warnings, are shown at least.
const FEWEST: usize = 4;

/// Returns the first of many lines, and the last one, which is about all of them.
fn abridged(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        let hidden = lines.len() - most + 1;
        let more = tr!(
            "({hidden} more; the command with --dry-run shows all)",
            "（另有 {hidden} 条；在等效命令后加 --dry-run 可看全部）"
        );
        lines.splice(most - 2..lines.len() - 1, [more]);
    }
    lines
}

fn tell_command(desk: &mut Desk<'_>, request: &Request, force: bool) -> Answer<()> {
    let line = command(desk, request, force);
    desk.ui
        .quote(&tr!("The same as a command: {line}", "等效命令：{line}"))
}

fn command(desk: &Desk<'_>, request: &Request, force: bool) -> String {
    let flag = if force { " --force" } else { "" };
    format!("{request}{flag}{}", desk.places.as_flags())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        crate::language::speak(pm_core::language::Language::English);
        let lines = |count: usize| (0..count).map(|line| line.to_string()).collect::<Vec<_>>();
        assert_eq!(abridged(lines(4), 4), lines(4));
        let shown = abridged(lines(25), 4);
        assert_eq!(shown.len(), 4);
        assert!(shown[2].starts_with("(22 more;"), "{shown:?}");
        assert_eq!((&*shown[1], &*shown[3]), ("1", "24"));
    }
}
