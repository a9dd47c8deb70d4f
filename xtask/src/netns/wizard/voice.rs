//! Channels and the push, set up in the menu: what is typed in secret is on no screen and in no answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use anyhow::{Context, Result, ensure};
use pm_core::config::Via;
use serde_json::{Value, json};

use super::{ENTER, config};
use crate::lab::Lab;
use crate::terminal::Terminal;

/// What must be shown nowhere.
const PLANTED: &str = "planted7Hq2";

const PORT: u16 = 8_099;

/// Answers as the Bot API and as a receiver of pushes, in the lab's VPS, as long as the process lives.
fn serve(lab: &Lab) -> Result<()> {
    let listener = lab
        .vps
        .enter(|| Ok(TcpListener::bind(("127.0.0.1", PORT))?))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever does not get an answer says so.
            let _ = answer(stream);
        }
    });
    Ok(())
}

fn answer(mut stream: std::net::TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let asks_for_chats = line.contains("/getUpdates");
    let mut length = 0;
    while !line.trim().is_empty() {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "it broke off");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let chat = json!({"id": -1001, "title": "ops room", "type": "supergroup"});
    let result: Value = match asks_for_chats {
        true => json!([{"message": {"chat": chat}}]),
        false => json!({"message_id": 7}),
    };
    let body = json!({"ok": true, "result": result}).to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}

/// The menu of pm.sh has both under these numbers, with how they stand.
pub(super) fn channels_and_the_push_are_set_up_in_the_menu(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    serve(lab)?;
    let mut wizard = Terminal::pm(lab, &["--lang", "zh"])?;
    wizard.see("4. 通知 ⚪未配置")?;
    wizard.see("5. 推送 ⚪未配置")?;
    wizard.answer("0. 退出", "4\r")?;
    wizard.answer("通知设置", "1\r")?;
    wizard.answer("添加哪种渠道", "1\r")?;
    wizard.see("@BotFather")?;
    wizard.see("/newbot")?;
    wizard.answer("机器人的令牌", &format!("123456:AA{PLANTED}\r"))?;
    wizard.answer("的反向代理", &format!("http://127.0.0.1:{PORT}\r"))?;
    wizard.see("ops room")?;
    wizard.answer("重新查找", ENTER)?;
    wizard.answer("渠道名称", "ops\r")?;
    wizard.answer("免打扰时段", ENTER)?;
    wizard.answer("汇总", ENTER)?;
    wizard.see("pm notify add telegram --name ops --token-file - --chat=-1001")?;
    wizard.answer("确认执行", ENTER)?;
    wizard.answer("测试消息", ENTER)?;
    wizard.see("测试消息已送达（message 7）")?;
    wizard.answer("按任意键", ENTER)?;
    wizard.see("4. 通知 ✅已开启")?;
    wizard.answer("0. 退出", "5\r")?;
    wizard.answer("接收端地址", &format!("http://127.0.0.1:{PORT}/api/push\r"))?;
    wizard.answer("节点名", "hk-01\r")?;
    wizard.answer("接收端的密钥", &format!("{PLANTED}\r"))?;
    wizard.answer("备注和分组名称", ENTER)?;
    wizard.answer("确认执行", ENTER)?;
    wizard.answer("现在推送", ENTER)?;
    wizard.see("已接收")?;
    wizard.answer("按任意键", ENTER)?;
    wizard.see("5. 推送 ✅已开启")?;
    // And off again, with the settings kept.
    wizard.answer("0. 退出", "5\r")?;
    wizard.answer("关闭推送", "2\r")?;
    wizard.see("pm push off")?;
    wizard.answer("按任意键", ENTER)?;
    wizard.see("5. 推送 ⚪已关闭")?;
    wizard.answer("0. 退出", "4\r")?;
    wizard.answer("通知设置", "3\r")?;
    wizard.answer("删除哪个渠道", "1\r")?;
    wizard.answer("确认执行", ENTER)?;
    wizard.answer("按任意键", "x")?;
    wizard.see("4. 通知 ⚪未配置")?;
    wizard.answer("0. 退出", "0\r")?;
    ensure!(wizard.ends()? == 0, "it failed");
    let printed = String::from_utf8_lossy(wizard.raw()).into_owned();
    ensure!(!printed.contains(PLANTED), "{printed}");
    let config = config(lab)?;
    let push = config.push.context("no push")?;
    ensure!(!push.enabled && push.secret.expose() == PLANTED);
    ensure!(config.notify.channels.is_empty());
    Ok(())
}

/// A terminal that can do no more than lines shows what is typed by itself, but not this.
pub(super) fn a_secret_is_not_shown_by_a_terminal_of_lines_either(lab: &mut Lab) -> Result<()> {
    lab.ok(&["add", "20000"])?;
    let mut command = lab.pm_command(&["--lang", "en"]);
    command.env("TERM", "dumb");
    let mut wizard = Terminal::open(command)?;
    wizard.answer("4. Notify (off)", "4\n")?;
    wizard.answer("Notifications", "1\n")?;
    wizard.answer("What kind of channel?", "2\n")?;
    wizard.see("it is not shown")?;
    wizard.answer("> ", &format!("https://qyapi.example/send?key={PLANTED}\n"))?;
    wizard.see("* taken")?;
    wizard.answer("Name of the channel", "work\n")?;
    // What is no secret is shown again.
    wizard.see("work")?;
    wizard.answer("Quiet hours", "\n")?;
    wizard.answer("summary", "\n")?;
    wizard.answer("Do it?", "y\n")?;
    wizard.answer("test message now?", "n\n")?;
    wizard.answer("4. Notify (on)", "0\n")?;
    ensure!(wizard.ends()? == 0, "it failed");
    let printed = String::from_utf8_lossy(wizard.raw()).into_owned();
    ensure!(!printed.contains(PLANTED), "{printed}");
    let config = config(lab)?;
    let channel = config.notify.channels.get(&"work".parse()?);
    let Some(Via::WeCom(wecom)) = channel.map(|channel| &channel.via) else {
        anyhow::bail!("{channel:?}");
    };
    ensure!(wecom.url.secret().expose().ends_with(PLANTED));
    Ok(())
}
