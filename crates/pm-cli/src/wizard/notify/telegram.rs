//! A Telegram bot, step by step: nobody opens an address with a token in it.

use pm_core::config::{BotToken, ChatId, Telegram, WebUrl};
use pm_notify::telegram::Chat;
use pm_store::Paths;

use super::ask;
use crate::language::{self, tr};
use crate::output::errors;
use crate::output::notify::no_chats;
use crate::wizard::ui::look::Paint;
use crate::wizard::ui::{Answer, Entry, Question, Ui};

/// Asks a bot for its chats; why not, as a sentence.
pub(super) type Find<'a> = dyn Fn(&BotToken, Option<&WebUrl>) -> Result<Vec<Chat>, String> + 'a;

/// Returns what asks a bot over the network.
pub(super) fn finder(
    paths: Paths,
) -> impl Fn(&BotToken, Option<&WebUrl>) -> Result<Vec<Chat>, String> {
    move |token, base| match pm_engine::find_chats(&paths, token, base) {
        Ok(found) => found.map_err(|failure| failure.text(language::current())),
        Err(error) => Err(errors::text(&error.into())),
    }
}

/// Asks for all that a bot takes.
pub(super) fn new(ui: &mut Ui, find: &Find<'_>) -> Answer<Telegram> {
    for line in [
        tr!(
            "1. In Telegram, write to @BotFather: /newbot. He asks for two names and gives a token.",
            "1. 在 Telegram 中找到 @BotFather，发送 /newbot，按提示起两个名字，得到 Token。"
        ),
        tr!(
            "2. Write anything to your new bot, or add it to a group and write /start there.",
            "2. 给新机器人发一条任意消息；要发到群里，就把它拉进群，并在群里发送 /start。"
        ),
        tr!(
            "3. Paste the token here: pm finds the chat by itself.",
            "3. 把 Token 粘贴到这里：会话由 pm 自动查找。"
        ),
    ] {
        ui.say(&line)?;
    }
    let mut token = ask_token(ui)?;
    let api_base = ask::optional(
        ui,
        tr!(
            "Reverse proxy of api.telegram.org",
            "api.telegram.org 的反向代理"
        ),
        tr!(
            "an address with https://; it sees the token",
            "https:// 开头的地址，它会看到 Token"
        ),
    )?;
    let (chat, thread) = chat(ui, &mut token, api_base.as_ref(), find)?;
    Ok(Telegram {
        token,
        chat,
        thread,
        api_base,
    })
}

fn ask_token(ui: &mut Ui) -> Answer<BotToken> {
    ask::secret(ui, tr!("Token of the bot", "机器人的 Token"))
}

/// Lets the user choose among the chats that the bot has heard of, look again, or type a number;
/// where the bot could not be asked, also another token.
pub(super) fn chat(
    ui: &mut Ui,
    token: &mut BotToken,
    api_base: Option<&WebUrl>,
    find: &Find<'_>,
) -> Answer<(ChatId, Option<i64>)> {
    loop {
        let looking = tr!("Looking for chats…", "正在查找会话…");
        ui.note(&looking, Paint::Dim)?;
        let found = find(token, api_base);
        ui.forget_typed();
        let is_refused = found.is_err();
        let chats = match found {
            Ok(chats) => {
                if chats.is_empty() {
                    ui.note(&no_chats(), Paint::Warn)?;
                }
                chats
            }
            Err(why) => {
                ui.note(&why, Paint::Bad)?;
                Vec::new()
            }
        };
        let mut entries: Vec<Entry> = chats
            .iter()
            .enumerate()
            .map(|(index, chat)| Entry::new(index + 1, described(chat)))
            .collect();
        let (again, typed) = (chats.len() + 1, chats.len() + 2);
        entries.push(Entry::new(again, tr!("look again", "重新查找")));
        entries.push(Entry::new(typed, tr!("type its number", "手动输入编号")));
        if is_refused {
            let again = tr!("type the token again", "重新输入 Token");
            entries.push(Entry::new(typed + 1, again));
        }
        let title = tr!("Which chat?", "发到哪个会话？");
        let enter = match chats.first() {
            Some(chat) => described(chat),
            None => tr!("look again", "重新查找"),
        };
        let chosen = ui.choose(&title, &enter, &entries)?.unwrap_or(0);
        if let Some(chat) = chats.get(chosen) {
            return Ok((chat.id.clone(), chat.thread));
        }
        if chosen == chats.len() + 2 {
            *token = ask_token(ui)?;
            continue;
        }
        if chosen == chats.len() + 1 {
            let question = Question::new(
                tr!("Number of the chat", "会话编号"),
                tr!(
                    "a person's is positive, a group's negative, such as -1001234567890",
                    "个人为正数，群为负数，如 -1001234567890"
                ),
            );
            let chat = ui.ask(&question, ask::read, ChatId::to_string)?;
            return Ok((chat, None));
        }
    }
}

fn described(chat: &Chat) -> String {
    let Chat {
        id, title, kind, ..
    } = chat;
    match chat.thread {
        Some(thread) => tr!(
            "{title} ({kind} {id}, topic {thread})",
            "{title}（{kind} {id}，话题 {thread}）"
        ),
        None => tr!("{title} ({kind} {id})", "{title}（{kind} {id}）"),
    }
}
