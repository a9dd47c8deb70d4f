//! Why a channel or the push cannot be so.

use pm_core::config::{
    EventKind, MAX_NAME_BYTES, MAX_TEMPLATE_BYTES, MAX_URL_BYTES, NotifyError, Preset,
};
use pm_core::request::NotifyRefusal;
use pm_core::secret::{MAX_SECRET_BYTES, SecretError};

use crate::output::words::fields;

pub(super) fn refusal(refusal: &NotifyRefusal) -> String {
    match refusal {
        NotifyRefusal::ChannelExists(name) => format!("渠道 {name} 已经有了"),
        NotifyRefusal::NoSuchChannel(name) => format!("没有渠道 {name}"),
        NotifyRefusal::NotOfKind { name, kind, field } => {
            let (kind, field) = (fields::chinese_kind(kind), fields::in_chinese(&[*field]));
            format!("渠道 {name} 的类型是 {kind}，没有“{field}”这一项")
        }
        NotifyRefusal::Setting(error) => setting(error),
        NotifyRefusal::Nothing { .. } => "没有写要改什么".to_owned(),
        NotifyRefusal::PushLacks(lacking) => {
            let lacking = fields::in_chinese(lacking);
            format!("第一次设置推送要写{lacking}")
        }
        NotifyRefusal::NoPush => "还没有设置推送".to_owned(),
    }
}

pub(super) fn setting(error: &NotifyError) -> String {
    match error {
        NotifyError::ChannelName(text) => format!(
            "`{text}` 不能作渠道名：请写 1 到 {MAX_NAME_BYTES} 字节，由文字、数字、`-`、`_`、`.` 组成，\
             以文字或数字开头，不是 `all` 或 `none`"
        ),
        NotifyError::ChannelTwice(name) => format!("渠道 {name} 出现了两次"),
        NotifyError::Name(text) => {
            format!("`{text}` 不能作名称：请写 1 到 {MAX_NAME_BYTES} 字节的一行文字，首尾没有空格")
        }
        NotifyError::EventKind(text) => {
            format!("没有 `{text}` 这种事件：请写 {} 之一", EventKind::list())
        }
        NotifyError::Thresholds(text) => {
            format!("`{text}` 不是预警线：请写最多 20 个百分比，从 1 到 1000")
        }
        NotifyError::TimeOfDay(text) => {
            format!("`{text}` 不是时刻：请写 00:00 到 23:59 之间的一个")
        }
        NotifyError::QuietHours(text) => {
            format!("`{text}` 不是时段：请写两个不同的时刻，例如 23:00-07:00")
        }
        NotifyError::Schedule(text) => format!(
            "`{text}` 没有说明何时：请写例如 `every 60m`（从 1m 到 24h）或 `at 08:00,20:00`"
        ),
        NotifyError::Minutes(text) => format!("`{text}` 不是分钟数：请写 1 到 1440"),
        NotifyError::Url(text) => format!(
            "`{text}` 不是地址：请写 https://主机/路径，最多 {MAX_URL_BYTES} 个字符，不含用户名、空格和 `#`；\
             主机写名称或 IPv4 地址"
        ),
        NotifyError::PlainUrl(text) => format!(
            "去 `{text}` 的路上没有加密：请写 https://（http:// 只能通往本机，例如 http://127.0.0.1）"
        ),
        NotifyError::Query(text) => {
            format!("`{text}` 带有查询参数：请去掉 `?` 和后面的内容，Bot API 的方法名要接在它后面")
        }
        NotifyError::SecretUrl => format!(
            "这不是 webhook 的地址：请写 https://主机/路径，最多 {MAX_URL_BYTES} 个字符，不含用户名、\
             空格和 `#`；主机写名称或 IPv4 地址，http:// 只能通往本机"
        ),
        NotifyError::BotToken => "这不是机器人的令牌：请完整复制 @BotFather 给的内容，例如 \
                                  123456789:AA-example（数字、冒号、字母和数字）"
            .to_owned(),
        NotifyError::ChatId(text) => {
            format!("`{text}` 不是会话：请写编号，例如 -1001234567890，或公开频道的 @名称")
        }
        NotifyError::MailServer(text) => {
            format!("`{text}` 不是邮件服务器：请写 主机 或 主机:端口，例如 smtp.example.org:587")
        }
        NotifyError::Security(text) => {
            format!("`{text}` 没有说明邮件怎样加密：请写 tls、starttls 或 none")
        }
        NotifyError::MailAddress(text) => {
            format!("`{text}` 不是邮箱地址：请写例如 ops@example.org，不带姓名")
        }
        NotifyError::Recipients => "邮件要有 1 到 20 个收件人".to_owned(),
        NotifyError::PlainMail(server) => {
            format!("发给 {server} 的邮件必须加密：请写 tls 或 starttls（none 只能发给本机）")
        }
        NotifyError::Login => "邮件服务器的用户名和密码要么都写，要么都不写".to_owned(),
        NotifyError::Preset(text) => {
            format!("没有 `{text}` 这种 webhook：请写 {} 之一", Preset::list())
        }
        NotifyError::TemplateOfPreset => "只有 generic 类的 webhook 可以自定正文".to_owned(),
        NotifyError::SecretOfPreset(preset) => {
            format!("{preset} 类的 webhook 不签名：请去掉密钥")
        }
        NotifyError::TemplateTooLong(bytes) => {
            format!("正文有 {bytes} 字节：最多 {MAX_TEMPLATE_BYTES} 字节")
        }
        NotifyError::Placeholder(name) => format!(
            "正文里的 {{{{{name}}}}} 没有含义：请写 {{{{text}}}}、{{{{title}}}}、{{{{server}}}}、\
             {{{{event}}}} 或 {{{{time}}}}"
        ),
        NotifyError::TemplateNotJson(why) => {
            format!("正文不是 JSON：{why}；占位符写在引号里面，例如 {{\"text\": \"{{{{text}}}}\"}}")
        }
        NotifyError::Secret(error) => secret(error),
    }
}

pub(super) fn secret(error: &SecretError) -> String {
    match error {
        SecretError::Empty => "内容是空的：请填写".to_owned(),
        SecretError::TooLong(bytes) => {
            format!("密钥有 {bytes} 字节：最多 {MAX_SECRET_BYTES} 字节")
        }
        SecretError::Control => "密钥里有换行或其他控制字符：请去掉".to_owned(),
        SecretError::Spaces => "密钥首尾有空格：请去掉".to_owned(),
        SecretError::NotText => "密钥是文字：请写在引号里".to_owned(),
    }
}
