//! A terminal that changes its size under a question.

use anyhow::{Result, ensure};

use super::ENTER;
use crate::lab::Lab;
use crate::terminal::{INTERRUPT, Terminal};

pub(super) fn a_terminal_that_changes_its_size_is_painted_anew(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB", "--note", "alice"])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "zh"])?;
    for (columns, rows) in [(80, 24), (40, 20), (120, 40), (30, 9), (80, 24)] {
        wizard.see("请选择")?;
        wizard.resize(columns, rows)?;
        wizard.keys("2\r")?;
        wizard.answer("修改哪一个", "1")?;
        wizard.resize(40, 12)?;
        wizard.keys("\r")?;
        wizard.see("的哪一项")?;
        wizard.keys("\x1b[B\x1b[B")?;
        wizard.resize(columns, rows)?;
        wizard.keys(INTERRUPT)?;
        wizard.see("已返回菜单")?;
    }
    wizard.answer("请选择", "0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    Ok(())
}

/// At once, without a key, and with what was typed.
pub(super) fn a_new_size_is_painted_without_a_key(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000", "--quota", "5GB", "--note", "alice"])?;
    for [language, menu, narrow, wide, back, key] in [
        [
            "en",
            "What next?",
            "Used / Quota",
            "refreshed every minute",
            "Back in the menu.",
            "Any key",
        ],
        [
            "zh",
            "请选择",
            "已用流量 / 总配额",
            "后台每分钟刷新",
            "已返回菜单",
            "按任意键",
        ],
    ] {
        let mut wizard = Terminal::pm(lab, &["--lang", language])?;
        wizard.answer(menu, "1")?;
        for (columns, title) in [(40, narrow), (80, wide), (120, wide)] {
            wizard.resize(columns, 24)?;
            wizard.see(title)?;
            wizard.see(menu)?;
            wizard.see("❯ 1")?;
        }
        wizard.keys("4\r")?;
        wizard.answer("Language / 语言", "x")?;
        wizard.resize(60, 24)?;
        wizard.see("❯ x")?;
        wizard.keys(INTERRUPT)?;
        wizard.see(back)?;
        wizard.answer(menu, "12\r")?;
        wizard.see(key)?;
        wizard.resize(80, 24)?;
        wizard.answer(key, ENTER)?;
        wizard.answer(menu, "0\r")?;
        ensure!(wizard.ends()? == 0, "it failed");
    }
    Ok(())
}

/// A table that does not fit is turned page by page, by keys that a phone has, too.
pub(super) fn a_long_table_is_turned_page_by_page(lab: &mut Lab) -> Result<()> {
    lab.ok(&[
        "add",
        "7001,7002,7003,7004,7005,7006,7007,7008",
        "--quota",
        "5GB",
    ])?;
    let mut wizard = Terminal::pm(lab, &["--lang", "zh"])?;
    wizard.see("请选择")?;
    wizard.resize(40, 22)?;
    for (key, page) in [
        ("", "1-4"),
        ("+", "5-8"),
        ("+", "1-4"),
        ("-", "5-8"),
        ("\x1b[5~", "1-4"),
    ] {
        wizard.keys(key)?;
        wizard.see(&format!("第 {page} 项，共 8 项"))?;
        wizard.see("请选择")?;
    }
    wizard.keys("\x1b[6~")?;
    wizard.see("7008")?;
    wizard.answer("请选择", "0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    Ok(())
}
