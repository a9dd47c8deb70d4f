//! What the settings of channels and of the push are called, and the kinds of channels and chats.

use pm_core::config::Via;
use pm_core::language::Language;

use crate::language::{self, tr};

/// Returns settings, named as in `config.json`, as one text.
pub(super) fn list(fields: &[&str]) -> String {
    match language::current() {
        Language::English => fields.join(", ").replace('_', " "),
        Language::Chinese => in_chinese(fields),
    }
}

/// Returns settings in Chinese.
pub(crate) fn in_chinese(fields: &[&str]) -> String {
    let names: Vec<_> = fields.iter().map(|field| chinese(field)).collect();
    names.join("、")
}

fn chinese(field: &str) -> &str {
    match field {
        "via" => "类型",
        "enabled" => "开关",
        "events" => "事件",
        "services" => "服务和分组",
        "quiet" => "免打扰时段",
        "language" => "语言",
        "server_name" => "主机名称",
        "report" => "汇总",
        "token" => "令牌",
        "chat" => "会话",
        "thread" => "话题",
        "api_base" => "反向代理",
        "url" => "地址",
        "secret" => "密钥",
        "preset" => "服务类型",
        "body" => "发送的内容",
        "server" => "邮件服务器",
        "security" => "加密方式",
        "user" => "用户名",
        "password" => "密码",
        "from" => "发件人",
        "to" => "收件人",
        "digest" => "合并邮件",
        "node" => "节点名",
        "node_id" => "显示名称",
        "notes" => "备注",
        other => other,
    }
}

/// Returns what a kind of channel, named as in `config.json`, is called in Chinese.
pub(crate) fn chinese_kind(kind: &str) -> &str {
    match kind {
        "telegram" => "Telegram",
        "wecom" => "企业微信",
        "email" => "邮件",
        other => other,
    }
}

/// Returns what a channel is.
pub(super) fn kind(via: &Via) -> String {
    match (via, language::current()) {
        (Via::Webhook(hook), _) => {
            let preset = hook.preset;
            tr!("webhook, {preset}", "webhook，{preset}")
        }
        (via, Language::English) => via.kind().to_owned(),
        (via, Language::Chinese) => chinese_kind(via.kind()).to_owned(),
    }
}

/// Returns what a kind of chat of Telegram's is called.
pub(crate) fn chat(kind: &str) -> &str {
    match (language::current(), kind) {
        (Language::Chinese, "private") => "私聊",
        (Language::Chinese, "group") => "群",
        (Language::Chinese, "supergroup") => "超级群",
        (Language::Chinese, "channel") => "频道",
        (_, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::config::{Channel, Config, Push};
    use pm_core::request::{changed_fields, changed_push_fields};

    /// Whatever can differ has a name in Chinese.
    #[test]
    fn no_setting_is_called_as_in_the_file() {
        let all = [
            (
                "telegram",
                r#""token":"1:AAAA","chat":"5","thread":7,"api_base":"https://a.example""#,
            ),
            (
                "email",
                r#""server":"a.example","security":"starttls","user":"u","password":"p",
                "from":"a@a.example","to":["b@a.example"],"digest":5"#,
            ),
            (
                "webhook",
                r#""url":"https://h.example/x","secret":"s","body":"\"{{text}}\"""#,
            ),
            ("webhook", r#""url":"https://h.example/x","preset":"ntfy""#),
        ];
        let config = |more: &str, (kind, via): (&str, &str)| {
            let text = format!(
                r#"{{"schema":1,"services":{{"80":{{}}}},"notify":{{"channels":{{"c":{{{more}"via":{{"{kind}":{{{via}}}}}}}}}}}}}"#
            );
            Config::parse(&text).unwrap()
        };
        let more = r#""enabled":false,"events":[],"services":["80"],"quiet":"23:00-07:00","language":"zh",
            "server_name":"n","report":"every 1h","#;
        let channels: Vec<Channel> = all
            .into_iter()
            .flat_map(|via| [config("", via), config(more, via)])
            .flat_map(|config| config.notify.channels.into_values())
            .collect();
        let pairs = channels
            .iter()
            .flat_map(|from| channels.iter().map(move |to| (from, to)));
        let mut fields: Vec<&str> = pairs
            .flat_map(|(from, to)| changed_fields(from, to))
            .collect();
        let push = |text: &str| -> Push {
            let text = format!(r#"{{"schema":1,"push":{{{text}}}}}"#);
            Config::parse(&text).unwrap().push.unwrap()
        };
        let from = push(r#""url":"https://w.example","node":"a","secret":"s""#);
        let to = push(
            r#""enabled":false,"url":"https://v.example","node":"b","node_id":"c","secret":"t","notes":true"#,
        );
        fields.extend(changed_push_fields(&from, &to));
        assert!(fields.len() > 26, "{fields:?}");
        for field in fields {
            assert!(!chinese(field).is_ascii(), "{field}");
        }
    }
}
