//! What pm writes on a host and removes from it, in words.

use pm_setup::apply::Done;
use pm_setup::footprint::MANUALS;
use pm_setup::init::{Init, Schedule};
use pm_setup::old_tools::Trace;
use pm_setup::{Host, Piece};

use crate::language::tr;

/// Returns what a piece is.
pub(crate) fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Directory { path } | Piece::Outbox { path } => {
            let path = path.display();
            tr!("directory {path}", "目录 {path}")
        }
        Piece::File { path, .. } | Piece::Link { path, .. } => path.display().to_string(),
        Piece::RcLinks => tr!("links in /etc/rc?.d", "/etc/rc?.d 里的链接"),
        Piece::CrontabLine { path, .. } => {
            let path = path.display();
            tr!("pm's line in {path}", "{path} 里 pm 的那一行")
        }
        Piece::User => {
            let name = pm_setup::user::NAME;
            tr!("user {name}", "用户 {name}")
        }
    }
}

/// Returns what pieces are, a line each; the many man pages share one.
pub(crate) fn pieces<'a>(all: impl IntoIterator<Item = &'a Piece>) -> Vec<String> {
    let (pages, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|piece| piece.is_page());
    let mut lines: Vec<String> = others.into_iter().map(piece).collect();
    if !pages.is_empty() {
        let (count, place) = (pages.len(), MANUALS);
        lines.push(tr!(
            "{count} man pages in {place}",
            "{place} 里的 {count} 个手册页"
        ));
    }
    lines
}

/// Returns what was done about pieces, a line each; nothing about those that were left as they were.
pub(crate) fn done(all: &[(Piece, Done)]) -> Vec<String> {
    let of = |wanted: Done| {
        let those = all.iter().filter(move |(_, done)| *done == wanted);
        pieces(those.map(|(piece, _)| piece))
    };
    let made = of(Done::Made);
    let made = made
        .iter()
        .map(|what| tr!("  made     {what}", "  新建  {what}"));
    let renewed = of(Done::Renewed);
    let renewed = renewed
        .iter()
        .map(|what| tr!("  renewed  {what}", "  更新  {what}"));
    let edited = of(Done::LeftEdited);
    let edited = edited.iter().map(|what| {
        tr!(
            "  edited   {what}: left as it is; `pm setup --force` replaces it",
            "  改过  {what}：保持原样；`pm setup --force` 会覆盖它"
        )
    });
    made.chain(renewed).chain(edited).collect()
}

/// Returns what was removed, because pm is called in another way now.
pub(crate) fn removed(all: &[Piece]) -> Vec<String> {
    let lines = pieces(all);
    let lines = lines.iter();
    lines
        .map(|what| tr!("  removed  {what}", "  删除  {what}"))
        .collect()
}

/// Returns how pm is called on a host.
pub(crate) fn host(host: &Host) -> String {
    let init = match host.init {
        Init::Systemd | Init::OpenRc | Init::SysVinit => host.init.to_string(),
        Init::Unknown => tr!("no init system that pm knows", "没有 pm 认识的 init 系统"),
    };
    let schedule = match &host.schedule {
        Schedule::Timer => tr!("a timer for the tick", "用定时器做 tick"),
        Schedule::CronDirectory => tr!("cron for the tick", "用 cron 做 tick"),
        Schedule::Crontab(path) => {
            let path = path.display();
            tr!("a line in {path} for the tick", "用 {path} 里的一行做 tick")
        }
        Schedule::None => tr!("no cron", "没有 cron"),
    };
    tr!("{init}, {schedule}", "{init}，{schedule}")
}

/// Returns what is left of an older tool.
pub(crate) fn trace(trace: &Trace) -> String {
    match trace {
        Trace::PmSh(path) => {
            let path = path.display();
            tr!(
                "pm.sh: {path} is its configuration",
                "pm.sh：{path} 是它的配置"
            )
        }
        Trace::Dog(path) => {
            let path = path.display();
            tr!("port-traffic-dog: {path}", "port-traffic-dog：{path}")
        }
        Trace::TrafficDog(path) => {
            let path = path.display();
            tr!("traffic-dog: {path}", "traffic-dog：{path}")
        }
        Trace::CronLine { path, line } => {
            let path = path.display();
            tr!("cron, in {path}: {line}", "cron，在 {path} 里：{line}")
        }
    }
}
