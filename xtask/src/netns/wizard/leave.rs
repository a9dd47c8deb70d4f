//! Every entry of the menu, left from every question, in both languages: after a wrong answer, and with all that was
//! right before. Nothing has changed then.
//!
//! That every entry does what it is for is in [`super::entries`].

use std::fs;

use anyhow::{Context, Result, ensure};

use super::ENTER;
use crate::lab::Lab;
use crate::terminal::{END, INTERRUPT, Terminal};

/// A language: its name, and which of two words is in it.
const LANGUAGES: [(&str, usize); 2] = [("en", 0), ("zh", 1)];

const MENU: [&str; 2] = ["What next?", "请选择"];
const BACK: [&str; 2] = ["Back in the menu.", "已返回菜单"];

/// One question of an entry.
struct Step {
    question: [&'static str; 2],
    /// What nobody should answer, and what is said about it.
    wrong: &'static str,
    complaint: [&'static str; 2],
    right: &'static str,
}

/// Something typed into a list of numbered things that it does not have.
const fn choice(question: [&'static str; 2], right: &'static str) -> Step {
    let complaint = ["there is no entry `77`", "没有“77”这一项"];
    Step {
        question,
        wrong: "77\r",
        complaint,
        right,
    }
}

/// The same of services and groups.
const fn pick(question: [&'static str; 2], right: &'static str) -> Step {
    let complaint = ["`77` is not in the table", "表中没有“77”"];
    Step {
        question,
        wrong: "77\r",
        complaint,
        right,
    }
}

/// The last question. Yes is only typed, not confirmed.
const CONFIRM: Step = Step {
    question: ["Do it?", "确认执行"],
    wrong: "maybe\r",
    complaint: [
        "`maybe` is neither yes nor no",
        "“maybe”既不是“是”也不是“否”",
    ],
    right: "y",
};

const QUOTA: Step = Step {
    question: ["Quota of a period", "每周期流量配额"],
    wrong: "5 apples\r",
    complaint: ["`apples` is no unit", "没有单位 `apples`"],
    right: "5\r",
};

const ENTRIES: [(&str, &[Step]); 9] = [
    (
        "1",
        &[
            Step {
                question: ["Which ports?", "要监控哪些端口"],
                wrong: "80x\r",
                complaint: ["`80x` is not a port", "`80x` 不是端口"],
                right: "8080\r",
            },
            QUOTA,
            choice(["What counts", "计费模式"], ENTER),
            choice(["When does a new period", "流量重置日"], "4\r"),
            Step {
                question: ["On which day of the year?", "每年哪一天"],
                wrong: "02-30\r",
                complaint: [
                    "`02-30` is not a day of the year",
                    "`02-30` 不是一年里的日子",
                ],
                right: "6/18\r",
            },
            Step {
                question: ["it sends, in Mbps", "出站限速，单位"],
                wrong: "1MB\r",
                complaint: ["`1MB` may mean bytes", "`1MB` 可能指字节"],
                right: "50\r",
            },
        ],
    ),
    (
        "2",
        &[
            pick(["Configure which?", "修改哪一个"], "20000\r"),
            choice(["What to change", "的哪一项"], "1\r"),
            QUOTA,
        ],
    ),
    (
        "3",
        &[
            pick(["Stop monitoring which?", "删除哪些端口"], "all\r"),
            CONFIRM,
        ],
    ),
    (
        "8",
        &[
            pick(["Begin a new period", "重置哪些的已用流量"], " \r"),
            CONFIRM,
        ],
    ),
    (
        "9",
        &[
            choice(["Block or unblock?", "阻断还是解除"], "1\r"),
            pick(["Block which?", "阻断哪些"], "1\r"),
            CONFIRM,
        ],
    ),
    (
        "10",
        &[
            choice(["Groups:", "分组：多个端口"], "1\r"),
            Step {
                question: ["Name of the group", "分组名称"],
                wrong: "a,b\r",
                complaint: ["`a,b` cannot be a group", "`a,b` 不能作组名"],
                right: "vip\r",
            },
            QUOTA,
        ],
    ),
    (
        "11",
        &[choice(["Enter: by period", "直接回车：按周期"], "2")],
    ),
    (
        "13",
        &[
            choice(
                ["Go back to before which change?", "回到哪次改动之前"],
                ENTER,
            ),
            CONFIRM,
        ],
    ),
    ("14", &[choice(["Language / 语言"; 2], "2")]),
];

pub(super) fn whoever_leaves_a_question_has_changed_nothing(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB"])?;
    lab.ok(&["add", "20001", "--quota", "5GB"])?;
    let before = fs::read(lab.config_dir().join("config.json"))?;
    for (language, word) in LANGUAGES {
        let mut wizard = Terminal::pm(lab, &["--lang", language])?;
        for way_out in [INTERRUPT, END] {
            for (entry, steps) in &ENTRIES {
                for count in 0..=steps.len() {
                    let what = format!("{language}, {entry}, {count}, {way_out:?}");
                    leave(&mut wizard, word, entry, steps, count, way_out).context(what.clone())?;
                    let now = fs::read(lab.config_dir().join("config.json"))?;
                    ensure!(now == before, "{what}");
                }
            }
        }
        // The self-check asks nothing: every key leads back.
        for key in [INTERRUPT, END, "\x1b", "x"] {
            wizard.answer(MENU[word], "12\r")?;
            wizard.see("pm doctor")?;
            wizard.answer(["Any key", "任意键"][word], key)?;
        }
        wizard.answer(MENU[word], "0\r")?;
        ensure!(wizard.ends()? == 0, "it failed");
    }
    Ok(())
}

/// Answers so many questions, gives the next one a wrong answer, and leaves.
fn leave(
    wizard: &mut Terminal,
    word: usize,
    entry: &str,
    steps: &[Step],
    count: usize,
    way_out: &str,
) -> Result<()> {
    wizard.answer(MENU[word], &format!("{entry}\r"))?;
    for step in &steps[..count] {
        wizard.answer(step.question[word], step.right)?;
    }
    if let Some(step) = steps.get(count) {
        wizard.answer(step.question[word], step.wrong)?;
        wizard.see(step.complaint[word])?;
    }
    // What is typed and not confirmed yet is left, too; a Ctrl-D needs an empty line.
    if way_out == END {
        wizard.keys("\x15")?;
    }
    wizard.keys(way_out)?;
    wizard.see(BACK[word])
}
