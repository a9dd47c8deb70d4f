//! Every entry of the menu, in both languages.

use anyhow::{Context, Result, ensure};
use pm_core::config::{Mode, Service};

use super::{ENTER, config};
use crate::lab::Lab;
use crate::terminal::Terminal;

/// What is to be read in one language.
struct Words {
    /// Its number in the question for it.
    number: &'static str,
    /// What the configuration calls it.
    name: &'static str,
    title: &'static str,
    menu: &'static str,
    ports: &'static str,
    not_in_menu: &'static str,
    quota: &'static str,
    mode: &'static str,
    reset: &'static str,
    day_of_month: &'static str,
    every_days: &'static str,
    counted_from: &'static str,
    limit: &'static str,
    limit_in: &'static str,
    note: &'static str,
    more: &'static str,
    factor: &'static str,
    after: &'static str,
    above: &'static str,
    slow: &'static str,
    during: &'static str,
    expires: &'static str,
    routed: &'static str,
    confirm: &'static str,
    command: &'static str,
    done: &'static str,
    any_key: &'static str,
    which: &'static str,
    what: &'static str,
    used: &'static str,
    share: &'static str,
    groups: &'static str,
    group_name: &'static str,
    join_now: &'static str,
    join: &'static str,
    reset_which: &'static str,
    block: &'static str,
    block_which: &'static str,
    unblock_which: &'static str,
    history: &'static str,
    undo: &'static str,
    delete: &'static str,
    delete_group: &'static str,
    leave_group: &'static str,
    which_group: &'static str,
    /// How the table shows them.
    out_only: &'static str,
    blocked: &'static str,
    unlimited: &'static str,
}

const ENGLISH: Words = Words {
    number: "1",
    name: "en",
    title: "Linux Port Traffic Manager (v",
    menu: "What next?",
    ports: "Which ports?",
    not_in_menu: "there is no entry `77`",
    quota: "Quota of a period",
    mode: "What counts against",
    reset: "When does a new period",
    day_of_month: "On which day of the month?",
    every_days: "Every how many days?",
    counted_from: "Counted from which day?",
    limit: "it sends",
    limit_in: "it receives",
    note: "Note",
    more: "More settings",
    factor: "each byte count",
    after: "N: for how many",
    above: "X: above",
    slow: "Y: slowed",
    during: "M: for how many",
    expires: "Last day on which",
    routed: "only routes",
    confirm: "Do it?",
    command: "The same as a command: ",
    done: "Done.",
    any_key: "Any key",
    which: "Configure which?",
    what: "What to change of",
    used: "Used so far in this",
    share: "Share the quota",
    groups: "Groups:",
    group_name: "Name of the group",
    join_now: "Put services into it now?",
    join: "Which services join",
    reset_which: "Begin a new period",
    block: "Block or unblock?",
    block_which: "Block which?",
    unblock_which: "Unblock which?",
    history: "Enter: by period",
    undo: "Go back to before which change?",
    delete: "Stop monitoring which?",
    delete_group: "Delete which group?",
    leave_group: "leave their group?",
    which_group: "Which group?",
    out_only: "[out only]",
    blocked: "[your block]",
    unlimited: "unlimited",
};

const CHINESE: Words = Words {
    number: "2",
    name: "zh",
    title: "Linux 端口流量管理 (v",
    menu: "请选择",
    ports: "要监控哪些端口",
    not_in_menu: "没有“77”这一项",
    quota: "每周期流量配额",
    mode: "计费模式",
    reset: "流量重置日",
    day_of_month: "每月几日？",
    every_days: "每隔多少天？",
    counted_from: "从哪一天算起？",
    limit: "出站限速，单位",
    limit_in: "入站限速，单位",
    note: "备注",
    more: "更多设置",
    factor: "流量倍率",
    after: "N：连续几分钟",
    above: "X：速率超过多少",
    slow: "Y：则限速至多少",
    during: "M：持续几分钟",
    expires: "到期日（当天仍可用）",
    routed: "仅经本机路由",
    confirm: "确认执行",
    command: "等效命令：",
    done: "已完成。",
    any_key: "按任意键",
    which: "修改哪一个",
    what: "的哪一项",
    used: "本周期已用流量",
    share: "加入分组",
    groups: "分组：多个端口",
    group_name: "分组名称",
    join_now: "现在把端口加入该组",
    join: "哪些端口加入组",
    reset_which: "重置哪些的已用流量",
    block: "阻断还是解除",
    block_which: "阻断哪些",
    unblock_which: "解除哪些",
    history: "直接回车：按周期",
    undo: "回到哪次改动之前？",
    delete: "删除哪些端口",
    delete_group: "删除哪个分组",
    leave_group: "哪些端口移出分组",
    which_group: "哪个分组",
    out_only: "[仅出站]",
    blocked: "[手动阻断]",
    unlimited: "无限制",
};

pub(super) fn every_entry_works_in_english(lab: &mut Lab) -> Result<()> {
    every_entry_works(lab, &ENGLISH)
}

pub(super) fn every_entry_works_in_chinese(lab: &mut Lab) -> Result<()> {
    every_entry_works(lab, &CHINESE)
}

fn every_entry_works(lab: &mut Lab, words: &Words) -> Result<()> {
    let mut wizard = Terminal::pm(lab, &[])?;
    first_run(lab, &mut wizard, words).context("the first run")?;
    arrows(&mut wizard, words).context("arrows")?;
    configure(lab, &mut wizard, words).context("2, configure")?;
    groups(lab, &mut wizard, words).context("10, groups")?;
    reset_and_block(lab, &mut wizard, words).context("8 and 9, reset and block")?;
    look_up(&mut wizard, words).context("11 and 12, history and doctor")?;
    undo(lab, &mut wizard, words).context("13, undo")?;
    delete(lab, &mut wizard, words).context("3, delete")?;
    language(lab, &mut wizard, words).context("14 and 0, language and leave")?;
    ensure!(wizard.ends()? == 0, "it failed");
    Ok(())
}

/// Goes back to the menu after something was done.
fn back(wizard: &mut Terminal, words: &Words) -> Result<()> {
    wizard.answer(words.any_key, ENTER)?;
    wizard.see(words.title)
}

fn open(wizard: &mut Terminal, words: &Words, number: &str) -> Result<()> {
    wizard.answer(words.menu, &format!("{number}{ENTER}"))
}

fn first_run(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    wizard.answer("Language / 语言", "9\r")?;
    wizard.answer("9", &format!("{}\r", words.number))?;
    wizard.see(words.command)?;
    wizard.see(&format!("pm config set language {}", words.name))?;
    wizard.see(words.title)?;
    wizard.answer(words.ports, "80x\r")?;
    wizard.see("80x")?;
    // As a phone with a Chinese keyboard, and a paste from elsewhere, send it.
    wizard.keys("２００００，３００００－３０１００ \r\n")?;
    wizard.answer(words.quota, "many\r")?;
    wizard.answer("many", "１００ＧＢ\r")?;
    wizard.answer(words.mode, "2\r")?;
    wizard.answer(words.reset, "32\r")?;
    wizard.answer("32", "1\r")?;
    wizard.answer(words.day_of_month, "32\r")?;
    wizard.answer("32", " １５日 \r")?;
    wizard.answer(words.limit, "50\r")?;
    wizard.answer(words.limit_in, "1.5G\r")?;
    wizard.answer(words.note, "租户x\x7f 1\r")?;
    wizard.answer(words.more, "y\r")?;
    wizard.answer(words.factor, "2\r")?;
    wizard.answer(words.after, "5\r")?;
    wizard.answer(words.above, ENTER)?;
    wizard.answer(words.slow, ENTER)?;
    wizard.answer(words.during, "60\r")?;
    wizard.answer(words.expires, "2037-01-31\r")?;
    wizard.answer(words.routed, "y\r")?;
    wizard.see(words.command)?;
    wizard.see(
        "pm add 20000,30000-30100 --quota 100GB --mode out --factor 2 --reset 15 --limit 50Mbps",
    )?;
    wizard.answer(words.confirm, ENTER)?;
    wizard.see(words.done)?;
    back(wizard, words)?;
    wizard.see(words.out_only.trim_end_matches(']'))?;
    wizard.see("/ 100 GB [R15]")?;
    let config = config(lab)?;
    ensure!(
        config
            .language
            .map(|language| language.to_string())
            .as_deref()
            == Some(words.name),
        "{config:?}"
    );
    let expected: Service = serde_json::from_str(
        r#"{"quota": "100GB", "mode": "out", "factor": "2", "reset": "15", "limit": "50Mbps", "limit_in": "1.5Gbps",
            "dynqos": "100Mbps/5/5Mbps/60", "expires": "2037-01-31", "routed": true, "note": "租户 1"}"#,
    )?;
    for ports in ["20000", "30000-30100"] {
        let service = config.services.get(&ports.parse()?);
        ensure!(service == Some(&expected), "{ports}: {service:?}");
    }
    let listed = lab.service("20000")?;
    ensure!(
        listed.note == "租户 1" && listed.ceil_bps == Some(50_000_000),
        "{listed:?}"
    );
    Ok(())
}

fn arrows(wizard: &mut Terminal, words: &Words) -> Result<()> {
    wizard.answer(words.menu, "77\r")?;
    wizard.see(words.not_in_menu)?;
    // Down and right is the second entry; both ways of writing an arrow.
    wizard.keys("\x1b[B\x1bOC\r")?;
    wizard.answer(words.which, "99\r")?;
    wizard.answer("99", "\x03")?;
    wizard.see(words.title)?;
    // Enter alone looks again.
    wizard.answer(words.menu, ENTER)?;
    wizard.see(words.title)
}

/// Changes every setting of 20000, one after the other, and looks what it is then.
fn configure(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    open(wizard, words, "2")?;
    wizard.answer(words.which, "20000\r")?;
    let service = || -> Result<Service> {
        let config = config(lab)?;
        let service = config.services.get(&"20000".parse()?);
        service.cloned().context("20000 has gone")
    };
    let mut expected = service()?;
    for (number, questions, json) in [
        ("1", &[(words.quota, "2TB\r")][..], r#"{"quota": "2TB"}"#),
        ("2", &[(words.mode, "3\r")], r#"{"mode": "max"}"#),
        (
            "3",
            &[
                (words.reset, "2\r"),
                (words.every_days, ENTER),
                (words.counted_from, "2037/1/1\r"),
            ],
            r#"{"reset": "every 30 days from 2037-01-01"}"#,
        ),
        ("4", &[(words.limit, "0\r")], r#"{"limit": null}"#),
        (
            "5",
            &[(words.limit_in, "800k\r")],
            r#"{"limit_in": "800Kbps"}"#,
        ),
        (
            "6",
            &[
                (words.after, "10\r"),
                (words.above, "50\r"),
                (words.slow, "1.5\r"),
                (words.during, ENTER),
            ],
            r#"{"dynqos": "50Mbps/10/1.5Mbps/60"}"#,
        ),
        ("8", &[(words.note, "0\r")], r#"{"note": "0"}"#),
        ("10", &[(words.factor, "1.5\r")], r#"{"factor": "1.5"}"#),
        ("11", &[(words.expires, "0\r")], r#"{"expires": null}"#),
        ("12", &[(words.routed, "n\r")], r#"{"routed": false}"#),
        ("6", &[(words.after, "0\r")], r#"{"dynqos": null}"#),
    ] {
        wizard.answer(words.what, &format!("{number}\r"))?;
        for (question, keys) in questions {
            wizard.answer(question, keys)?;
        }
        wizard.see(words.command)?;
        wizard.see(words.done)?;
        let mut fields = serde_json::to_value(&expected)?;
        let change: serde_json::Value = serde_json::from_str(json)?;
        for (key, value) in change.as_object().into_iter().flatten() {
            if let Some(fields) = fields.as_object_mut() {
                match value.is_null() {
                    true => fields.remove(key),
                    false => fields.insert(key.clone(), value.clone()),
                };
            }
        }
        expected = serde_json::from_value(fields)?;
        let now = service()?;
        ensure!(now == expected, "{number}: {now:?} is not {expected:?}");
    }
    // What stays as it is asks for nothing.
    let revision = config(lab)?.revision;
    wizard.answer(words.what, "1\r")?;
    wizard.answer(words.quota, ENTER)?;
    wizard.answer(words.what, "9\r")?;
    wizard.answer(words.used, "1.25\r")?;
    wizard.see("pm set 20000 --used 1.25GB")?;
    wizard.answer(words.confirm, "y\r")?;
    wizard.see(words.done)?;
    wizard.answer(words.what, "0\r")?;
    back(wizard, words)?;
    ensure!(config(lab)?.revision == revision, "it was changed");
    let used = lab.service("20000")?;
    ensure!(used.billed_bytes == 1_250_000_000, "{used:?}");
    wizard.see("1.25 GB / 2 TB [R30d]")?;
    wizard.see(words.unlimited)
}

fn groups(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    open(wizard, words, "10")?;
    wizard.answer(words.groups, "1\r")?;
    wizard.answer(words.group_name, "a,b\r")?;
    wizard.answer("a,b", "租户 甲\r")?;
    wizard.answer(words.quota, "1\r")?;
    wizard.answer(words.mode, ENTER)?;
    wizard.answer(words.reset, ENTER)?;
    wizard.see("pm group add '租户 甲' --quota 1GB")?;
    wizard.answer(words.confirm, ENTER)?;
    wizard.answer(words.join_now, ENTER)?;
    // The second of the list.
    wizard.answer(words.join, "\x1b[B \r")?;
    wizard.see("pm set 30000-30100 --group '租户 甲'")?;
    wizard.answer(words.confirm, "y\r")?;
    wizard.see(words.done)?;
    back(wizard, words)?;
    let group = lab.group("租户 甲")?;
    ensure!(group.members == ["30000-30100"], "{group:?}");
    // A member's quota is its group's, for all of them.
    open(wizard, words, "2")?;
    wizard.answer(words.which, "30000-30100\r")?;
    wizard.answer(words.what, "2\r")?;
    wizard.answer(words.mode, "2\r")?;
    wizard.see("pm group set '租户 甲' --mode out")?;
    wizard.answer(words.what, "7\r")?;
    wizard.answer(words.share, "0\r")?;
    wizard.answer(words.confirm, "n\r")?;
    wizard.answer(words.what, ENTER)?;
    back(wizard, words)?;
    ensure!(
        config(lab)?
            .groups
            .values()
            .all(|group| group.mode == Mode::Out),
        "the mode stayed"
    );
    // In, out, and away with it.
    open(wizard, words, "10")?;
    wizard.answer(words.groups, "3\r")?;
    wizard.answer(words.which_group, ENTER)?;
    wizard.answer(words.join, "20000\r")?;
    wizard.answer(words.confirm, "y\r")?;
    back(wizard, words)?;
    ensure!(lab.group("租户 甲")?.members.len() == 2, "it did not join");
    open(wizard, words, "10")?;
    wizard.answer(words.groups, "4\r")?;
    wizard.answer(words.leave_group, "all\r")?;
    wizard.answer(words.confirm, "y\r")?;
    back(wizard, words)?;
    open(wizard, words, "10")?;
    wizard.answer(words.groups, "5\r")?;
    wizard.answer(words.delete_group, "g1\r")?;
    wizard.see("pm group del '租户 甲'")?;
    wizard.answer(words.confirm, "y\r")?;
    back(wizard, words)?;
    ensure!(config(lab)?.groups.is_empty(), "it is still there");
    Ok(())
}

fn reset_and_block(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    lab.ok(&["set", "20000", "--quota", "5GB", "--used", "2GB"])?;
    // Once more, so that the wizard has seen it.
    wizard.answer(words.menu, ENTER)?;
    open(wizard, words, "8")?;
    wizard.answer(words.reset_which, "20000\r")?;
    wizard.see("pm reset 20000")?;
    wizard.answer(words.confirm, "y\r")?;
    back(wizard, words)?;
    ensure!(lab.service("20000")?.billed_bytes == 0, "it was not reset");
    open(wizard, words, "9")?;
    wizard.answer(words.block, "1\r")?;
    wizard.answer(words.block_which, " \r")?;
    wizard.answer(words.confirm, ENTER)?;
    back(wizard, words)?;
    ensure!(
        lab.service("20000")?.state == "ok",
        "Enter alone blocked it"
    );
    open(wizard, words, "9")?;
    wizard.answer(words.block, "1\r")?;
    wizard.answer(words.block_which, " \r")?;
    wizard.answer(words.confirm, "y\r")?;
    back(wizard, words)?;
    wizard.see(words.blocked)?;
    let blocked = lab.service("20000")?;
    ensure!(
        blocked.blocked_by.as_deref() == Some("operator"),
        "{blocked:?}"
    );
    open(wizard, words, "9")?;
    wizard.answer(words.block, "2\r")?;
    wizard.answer(words.unblock_which, "1\r")?;
    wizard.see(words.done)?;
    back(wizard, words)?;
    ensure!(lab.service("20000")?.state == "ok", "it is still blocked");
    Ok(())
}

fn look_up(wizard: &mut Terminal, words: &Words) -> Result<()> {
    open(wizard, words, "11")?;
    wizard.answer(words.history, ENTER)?;
    wizard.see("20000")?;
    wizard.see("pm history")?;
    back(wizard, words)?;
    open(wizard, words, "11")?;
    wizard.answer(words.history, "2\r")?;
    wizard.see("pm history --by day")?;
    back(wizard, words)?;
    open(wizard, words, "12")?;
    wizard.see("pm doctor")?;
    back(wizard, words)
}

/// Takes the last change back, which was to unblock a service, and does it again.
fn undo(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    let before = config(lab)?;
    // What blocks again is done only by who says so.
    for (is_blocked, answer) in [(true, "y\r"), (false, ENTER)] {
        open(wizard, words, "13")?;
        wizard.answer(words.undo, "999\r")?;
        wizard.answer("999", ENTER)?;
        wizard.see("pm config restore ")?;
        wizard.answer(words.confirm, answer)?;
        back(wizard, words)?;
        let service = lab.service("20000")?;
        ensure!((service.state != "ok") == is_blocked, "{service:?}");
    }
    let now = config(lab)?;
    ensure!(now.asks_the_same(&before), "{now:?} is not {before:?}");
    // An earlier one, by its number, and nothing after all.
    let versions = lab.ok(&["config", "history", "--json"])?;
    let versions: serde_json::Value = serde_json::from_str(&versions)?;
    let number = versions["versions"][2]["number"].to_string();
    open(wizard, words, "13")?;
    wizard.answer(words.undo, &format!("{number}\r"))?;
    wizard.see(&format!("pm config restore {number}"))?;
    wizard.answer(words.confirm, "n\r")?;
    back(wizard, words)?;
    open(wizard, words, "13")?;
    wizard.answer(words.undo, "0\r")?;
    back(wizard, words)?;
    ensure!(config(lab)? == now, "it was not meant");
    Ok(())
}

fn delete(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    open(wizard, words, "3")?;
    wizard.answer(words.delete, "2\r")?;
    wizard.see("pm del 30000-30100")?;
    wizard.answer(words.confirm, ENTER)?;
    back(wizard, words)?;
    ensure!(lab.list()?.len() == 2, "Enter alone deleted it");
    open(wizard, words, "3")?;
    wizard.answer(words.delete, "\x1b[A \r")?;
    wizard.answer(words.confirm, "ｙ\r")?;
    back(wizard, words)?;
    let left: Vec<String> = lab
        .list()?
        .into_iter()
        .map(|service| service.port)
        .collect();
    ensure!(left == ["20000"], "{left:?}");
    Ok(())
}

fn language(lab: &Lab, wizard: &mut Terminal, words: &Words) -> Result<()> {
    let other = if words.name == "en" {
        &CHINESE
    } else {
        &ENGLISH
    };
    open(wizard, words, "14")?;
    wizard.answer("Language / 语言", &format!("{}\r", other.number))?;
    wizard.see(&format!("pm config set language {}", other.name))?;
    wizard.answer(other.any_key, ENTER)?;
    wizard.see(other.title)?;
    ensure!(
        config(lab)?
            .language
            .map(|language| language.to_string())
            .as_deref()
            == Some(other.name),
        "it was not saved"
    );
    open(wizard, other, "0")
}
