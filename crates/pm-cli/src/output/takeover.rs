//! Taking over from an older tool: what is seen, asked and done.

use pm_legacy::{Doubt, Imported, Tool, Trouble};
use pm_takeover::{Journal, Outcome, Program, Returned, Seen, Stage};

use super::moving;
use crate::language::tr;

/// Returns what is taken over, before and after, and everything in it that is not as it was.
pub(crate) fn shown(imported: &Imported) -> Vec<String> {
    let (tool, version) = (imported.tool, &imported.version);
    // pm.sh numbers the formats of its configuration, the others their releases.
    let title = match tool {
        Tool::PmSh => tr!(
            "From {tool}, configuration version {version}:",
            "来自 {tool}，配置版本 {version}："
        ),
        _ if version.is_empty() => tr!("From {tool}:", "来自 {tool}："),
        _ => tr!("From {tool}, {version}:", "来自 {tool}，{version}："),
    };
    let mut lines = vec![title, moving::table(imported, None)];
    lines.extend(messages(imported));
    lines.extend(Some(moving::doubts(imported, None)).filter(|doubts| !doubts.is_empty()));
    lines
}

/// Returns who is told, and where the state is pushed; without anything secret.
fn messages(imported: &Imported) -> Vec<String> {
    let switched = |on: bool| match on {
        true => tr!("on", "开启"),
        false => tr!("off", "关闭"),
    };
    let messages = &imported.messages;
    let channels = messages.notify.channels.iter();
    let mut lines: Vec<String> = channels
        .map(|(name, channel)| {
            let state = switched(channel.enabled);
            match &channel.report {
                Some(report) => tr!(
                    "Channel {name}: {state}, report {report}.",
                    "通知渠道 {name}：{state}，汇总 {report}。"
                ),
                None => tr!("Channel {name}: {state}.", "通知渠道 {name}：{state}。"),
            }
        })
        .collect();
    if let Some(push) = &messages.push {
        let (node, state) = (&push.node, switched(push.enabled));
        lines.push(tr!(
            "Push, as {node}: {state}.",
            "推送，以 {node} 之名：{state}。"
        ));
    }
    lines
}

/// Returns what leaves the host.
pub(crate) fn leaving(seen: &Seen) -> Vec<String> {
    let tool = seen.estate.tool;
    let mut lines = vec![tr!(
        "This goes, after a copy was made; `pm import --undo` brings it back:",
        "以下内容在备份之后移除；`pm import --undo` 可以恢复："
    )];
    if seen.live.table.is_some() {
        let table = tool.table();
        lines.push(tr!("  table inet {table}", "  表 inet {table}"));
    }
    for root in &seen.live.roots {
        let interface = &root.interface;
        lines.push(tr!(
            "  its queueing discipline htb 1: on {interface}; what it had replaced is not known, the kernel's default comes",
            "  {interface} 上它的队列规则 htb 1:；它替换了什么已无从得知，恢复内核默认的"
        ));
    }
    for lines_of in &seen.estate.cron {
        let path = lines_of.path.display();
        for (_, line) in &lines_of.lines {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end();
            lines.push(tr!("  in {path}: {line}", "  {path} 里：{line}"));
        }
    }
    let files = seen.estate.files.iter().filter(|path| is_shown(tool, path));
    lines.extend(files.map(|path| format!("  {}", path.display())));
    if lines.len() == 1 {
        return vec![tr!(
            "Nothing of {tool}'s is taken away: there is nothing but the files that are read.",
            "{tool} 的东西一样也不移除：这里只有要读取的文件。"
        )];
    }
    lines
}

/// Returns what calls the tool, or looks like it, and stays: the operator wrote it, and knows what else it does.
pub(crate) fn staying(seen: &Seen) -> Vec<String> {
    let estate = &seen.estate;
    if estate.stays.is_empty() && estate.units.is_empty() {
        return Vec::new();
    }
    let tool = estate.tool;
    let mut lines = vec![tr!(
        "This is not {tool}'s own, names it, and stays; take it away by hand if it calls {tool} (`crontab -e`, \
         `systemctl disable --now UNIT`):",
        "以下内容不是 {tool} 自己写的，但提到了它，会留下；如果会调用 {tool}，请手动去掉（`crontab -e`、\
         `systemctl disable --now 单元`）："
    )];
    for (path, line) in &estate.stays {
        let path = path.display();
        let line = line.replace(char::is_control, " ");
        lines.push(tr!("  in {path}: {line}", "  {path} 里：{line}"));
    }
    lines.extend(
        estate
            .units
            .iter()
            .map(|path| format!("  {}", path.display())),
    );
    lines
}

/// Whether a file is named: those in the tool's directory go with it.
fn is_shown(tool: Tool, path: &std::path::Path) -> bool {
    let directory = std::path::Path::new(tool.directory());
    match path.strip_prefix(directory) {
        Ok(inside) => inside.components().count() == 1,
        Err(_) => true,
    }
}

/// Returns how it ended.
pub(crate) fn done(outcome: &Outcome) -> Vec<String> {
    let tool = outcome.imported.tool;
    let services = super::words::services(outcome.imported.services.len());
    let backup = outcome.backup.display();
    let mut lines = vec![
        tr!(
            "Taken over from {tool}: {services}.",
            "已从 {tool} 接管：{services}。"
        ),
        tr!(
            "What it had is kept in {backup}; `pm import --undo` gives the host back to it.",
            "它原有的内容保存在 {backup}；`pm import --undo` 可以还给它。"
        ),
    ];
    let is_limit = |doubt: &&Doubt| matches!(doubt.trouble, Trouble::LimitImpossible(_));
    let unlimited = outcome.imported.doubts.iter().filter(is_limit).count();
    if unlimited > 0 {
        let unlimited = super::words::services(unlimited);
        lines.push(tr!(
            "{unlimited} came without their limits, which this host cannot have now; `pm doctor` says why.",
            "{unlimited}未带限速导入，本机目前无法限速；原因见 `pm doctor`。"
        ));
    }
    lines
}

/// Returns what is being done.
pub(crate) fn stage(stage: Stage) -> String {
    match stage {
        Stage::Copying => tr!("copying what is there", "正在备份"),
        Stage::Waiting => tr!("waiting until the tool is at rest", "正在等旧工具停下"),
        Stage::Switching => tr!("changing over", "正在切换"),
        Stage::Clearing => tr!("taking away what is left", "正在清理"),
    }
}

/// Says that there is one to complete.
pub(crate) fn interrupted(tool: Tool) -> String {
    tr!(
        "An import from {tool} was interrupted: `pm import --from {tool}` completes it or takes it back.",
        "从 {tool} 的接管中断了：`pm import --from {tool}` 会完成它，或者还原。"
    )
}

/// Says that one was completed.
pub(crate) fn completed(tool: Tool) -> String {
    tr!(
        "An import from {tool} was interrupted, and is completed now.",
        "从 {tool} 的接管曾经中断，现已完成。"
    )
}

/// Says that one was taken back.
pub(crate) fn taken_back(tool: Tool) -> String {
    tr!(
        "An import or undo of {tool} was interrupted, and is settled now.",
        "从 {tool} 的接管或归还曾经中断，现已处理完毕。"
    )
}

/// Says how to go on.
pub(crate) fn again(tool: Tool) -> String {
    tr!(
        "mend that, and run `pm import --from {tool}` again: it goes on from here",
        "解决之后再运行 `pm import --from {tool}`，会从这里继续"
    )
}

/// Warns of an open menu.
pub(crate) fn menu_is_open() -> String {
    super::words::caution(
        &tr!("pm.sh's menu seems to be open", "pm.sh 的菜单似乎开着"),
        &tr!(
            "leave it before you go on: what it saves later is lost",
            "请先退出再继续：之后它保存的内容会丢失"
        ),
    )
}

/// Says that nothing calls pm yet.
pub(crate) fn call_setup() -> String {
    tr!(
        "hint: nothing calls pm each minute yet: run `pm setup`",
        "提示：还没有东西每分钟调用 pm：请运行 `pm setup`"
    )
}

/// Returns what will be given back, where pm has so many services beside what was imported.
pub(crate) fn going_back(tool: Tool, journal: &Journal, others: usize) -> Vec<String> {
    let services = super::words::services(journal.services.len());
    let is_elsewhere = journal.directory != std::path::Path::new(tool.directory());
    let mut lines = vec![match is_elsewhere {
        false => tr!(
            "The host goes back to {tool}: pm forgets {services}, and {tool} has its files, programs and cron lines again, with what was counted since.",
            "主机还给 {tool}：pm 不再管 {services}，{tool} 的文件、程序和 cron 行恢复，并写入这段时间计到的流量。"
        ),
        true => {
            let directory = journal.directory.display();
            tr!(
                "The host goes back to {tool}: pm forgets {services}, and {tool} has its programs and cron lines again. {directory} was only read and stays as it is: what was counted since is not written there.",
                "主机还给 {tool}：pm 不再管 {services}，{tool} 的程序和 cron 行恢复。{directory} 只被读取过，保持原样：这段时间计到的流量不会写进去。"
            )
        }
    }];
    if !is_elsewhere {
        lines.push(tr!(
            "Bytes go back, corrections do not: what was set with `--used` or forgiven is in none of its figures.",
            "归还的是字节数，不含更正：用 `--used` 改过的或免除的用量，不会体现在它的数字里。"
        ));
    }
    if tool == Tool::PmSh && !is_elsewhere {
        lines.push(tr!(
            "pm's own configuration and usage have to make way, and are put aside.",
            "pm 自己的配置和用量须让位，会另存。"
        ));
        if others > 0 {
            let others = super::words::services(others);
            lines.push(tr!(
                "{others} that pm has beside them go with these: nothing counts or cuts them off then.",
                "pm 另有的 {others}也会随之移走：之后不再计数，也不切断。"
            ));
        }
    }
    lines
}

/// Returns what was given back.
pub(crate) fn returned(returned: &Returned) -> Vec<String> {
    let tool = returned.tool;
    let is_back = tr!(
        "{tool} is back. Open its menu once: it makes its rules anew then, and until then nothing is counted or cut off.",
        "{tool} 已恢复。请打开一次它的菜单，它才会重建规则；在此之前不计数，也不切断。"
    );
    let mut lines = match &returned.program {
        Program::There => vec![is_back],
        Program::Aside(program) => {
            let program = program.display();
            let called = tr!(
                "Its menu is opened by `{program}`; `pm` is this program.",
                "用 `{program}` 打开它的菜单；`pm` 是本程序。"
            );
            vec![is_back, called]
        }
        Program::Overwritten(program) => {
            let program = program.display();
            let lost = tr!(
                "{program} is this pm, which was installed over {tool}'s program: install {tool} again to run it.",
                "{program} 是本 pm，当初覆盖了 {tool} 的程序：要运行 {tool}，请重新安装它。"
            );
            vec![is_back, lost]
        }
        Program::Elsewhere => vec![tr!(
            "pm no longer has what was imported; {tool} was never on this host, and its files are as they were.",
            "pm 已去掉导入的内容；{tool} 本来就不在这台主机上，它的文件没有动过。"
        )],
    };
    if let Some(aside) = &returned.aside {
        let aside = aside.display();
        lines.push(tr!(
            "pm's own configuration and usage are in {aside}.",
            "pm 自己的配置和用量在 {aside}。"
        ));
    }
    lines
}

/// Says that a tool is there.
pub(crate) fn found(tool: Tool) -> String {
    tr!(
        "{tool} is on this host. pm can take over its services with all they have used.",
        "这台主机上有 {tool}。pm 可以接管它的服务和全部已用流量。"
    )
}

/// Says how to take over.
pub(crate) fn how(tool: Tool) -> String {
    tr!(
        "{tool} is on this host: `pm import --from {tool}` takes over its services with all they have used",
        "这台主机上有 {tool}：用 `pm import --from {tool}` 接管它的服务和全部已用流量"
    )
}

/// Asks what becomes of those over their quota.
pub(crate) fn ask_overuse() -> String {
    tr!(
        "Some are over their quota, and the tool let them pass. Block them? Y/n (n: what they used so far is not billed); Enter: block",
        "有服务已超配额而旧工具放行。要切断吗？Y/n（n：之前用的不计费）；直接回车：切断"
    )
}

/// Asks for a release.
pub(crate) fn ask_accounting(names: &str) -> String {
    tr!(
        "Which release counted? One of {names} (1.2.5a is the 1.2.5 of 2025-12-09, 1.2.5b the one since 2025-12-29):",
        "是哪一版计的数？可选 {names}（1.2.5a 是 2025-12-09 的 1.2.5，1.2.5b 是 2025-12-29 起的）："
    )
}

/// Asks for the shortcut.
pub(crate) fn ask_shortcut() -> String {
    tr!(
        "Shall the command `dog` open pm's menu? y/N; Enter: no",
        "要让 `dog` 命令打开 pm 的菜单吗？y/N；直接回车：否"
    )
}
