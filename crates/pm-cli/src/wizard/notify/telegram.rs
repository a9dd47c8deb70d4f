//! A Telegram bot, step by step: nobody opens an address with a token in it.

use pm_core::config::{BotToken, ChatId, Telegram, WebUrl};
use pm_notify::telegram::Chat;
use pm_store::Paths;

use super::ask;
use crate::language::{self, tr};
use crate::output::errors;
use crate::output::notify::no_chats;
use crate::output::words::fields;
use crate::wizard::text;
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
            "1. 在 Telegram 中找到 @BotFather，发送 /newbot，按提示起两个名字，得到令牌（token）。"
        ),
        tr!(
            "2. Write anything to your new bot, or add it to a group and write /start there.",
            "2. 给新机器人发一条任意消息；要发到群里，就把它拉进群，并在群里发送 /start。"
        ),
        tr!(
            "3. Paste the token here: pm finds the chat by itself.",
            "3. 把令牌粘贴到这里：会话由 pm 自动查找。"
        ),
    ] {
        ui.say(&line)?;
    }
    let mut bot = Bot {
        token: token(ui)?,
        api_base: api_base(ui, None)?,
    };
    let (chat, thread) = chat(ui, &mut bot, find)?;
    Ok(Telegram {
        token: bot.token,
        chat,
        thread,
        api_base: bot.api_base,
    })
}

/// What a bot is asked with.
pub(super) struct Bot {
    pub(super) token: BotToken,
    pub(super) api_base: Option<WebUrl>,
}

pub(super) fn token(ui: &mut Ui) -> Answer<BotToken> {
    ask::secret(ui, tr!("Token of the bot", "机器人的令牌"))
}

/// Asks where the Bot API is reached; `None`: at Telegram's.
pub(super) fn api_base(ui: &mut Ui, present: Option<&WebUrl>) -> Answer<Option<WebUrl>> {
    let title = tr!(
        "Reverse proxy of api.telegram.org",
        "api.telegram.org 的反向代理"
    );
    let hint = tr!(
        "an address with https://; it sees the token",
        "https:// 开头的地址，它会看到令牌"
    );
    let read = |typed: &str| {
        let base: WebUrl = ask::read(typed)?;
        Telegram::check_base(&base).map_err(|error| text::why(&error))?;
        Ok(base)
    };
    ask::optional(ui, title, hint, present, read)
}

/// What there is to do beside choosing a chat.
#[derive(Clone, Copy)]
enum Otherwise {
    LookAgain,
    TypeNumber,
    NewToken,
    NewBase,
}

/// Lets the user choose among the chats that the bot has heard of, look again, or type a number;
/// where the bot could not be asked, also another token or another way to it.
pub(super) fn chat(ui: &mut Ui, bot: &mut Bot, find: &Find<'_>) -> Answer<(ChatId, Option<i64>)> {
    loop {
        let looking = tr!("Looking for chats…", "正在查找会话…");
        ui.note(&looking, Paint::Dim)?;
        let found = find(&bot.token, bot.api_base.as_ref());
        ui.forget_typed();
        let mut others = vec![Otherwise::LookAgain, Otherwise::TypeNumber];
        let chats = match found {
            Ok(chats) => {
                if chats.is_empty() {
                    ui.note(&no_chats(), Paint::Warn)?;
                }
                chats
            }
            Err(why) => {
                ui.note(&why, Paint::Bad)?;
                others.extend([Otherwise::NewToken, Otherwise::NewBase]);
                Vec::new()
            }
        };
        let texts = chats.iter().map(described);
        let texts = texts.chain(others.iter().copied().map(Otherwise::text));
        let texts = texts.enumerate();
        let entries: Vec<Entry> = texts
            .map(|(index, text)| Entry::new(index + 1, text))
            .collect();
        let title = tr!("Which chat?", "发到哪个会话？");
        let enter = entries.first().map_or(String::new(), |it| it.text.clone());
        let chosen = ui.choose(&title, &enter, &entries)?.unwrap_or(0);
        if let Some(chat) = chats.get(chosen) {
            return Ok((chat.id.clone(), chat.thread));
        }
        match others.get(chosen - chats.len()) {
            Some(Otherwise::TypeNumber) => return Ok((number(ui)?, None)),
            Some(Otherwise::NewToken) => bot.token = token(ui)?,
            Some(Otherwise::NewBase) => bot.api_base = api_base(ui, bot.api_base.as_ref())?,
            Some(Otherwise::LookAgain) | None => {}
        }
    }
}

impl Otherwise {
    fn text(self) -> String {
        match self {
            Self::LookAgain => tr!("look again", "重新查找"),
            Self::TypeNumber => tr!("type its number", "手动输入编号"),
            Self::NewToken => tr!("type the token again", "重新输入令牌"),
            Self::NewBase => tr!(
                "take a reverse proxy of api.telegram.org, or another one",
                "填写或更换 api.telegram.org 的反向代理"
            ),
        }
    }
}

fn number(ui: &mut Ui) -> Answer<ChatId> {
    let question = Question::new(
        tr!("Number of the chat", "会话编号"),
        tr!(
            "a person's is positive, a group's negative, such as -1001234567890",
            "个人为正数，群为负数，如 -1001234567890"
        ),
    );
    ui.ask(&question, ask::read, ChatId::to_string)
}

fn described(chat: &Chat) -> String {
    let Chat { id, title, .. } = chat;
    let kind = fields::chat(&chat.kind);
    match chat.thread {
        Some(thread) => tr!(
            "{title} ({kind} {id}, topic {thread})",
            "{title}（{kind} {id}，话题 {thread}）"
        ),
        None => tr!("{title} ({kind} {id})", "{title}（{kind} {id}）"),
    }
}
