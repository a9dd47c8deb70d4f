//! These changes as the command lines that do the same.
//!
//! A secret never stands on a command line: in its place is the name of a flag that takes a file,
//! and `-`, which takes the next line of standard input, in the order in which the flags stand.

use std::fmt;

use super::{ChannelSettings, NotifyChange, PushChange, PushSettings};
use crate::request::display::{word, write_or};

impl fmt::Display for NotifyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { name, channel } => {
                let (kind, settings) = (channel.via.kind(), ChannelSettings::of(channel));
                write!(f, "pm notify add {kind} --name {name}{settings}")
            }
            Self::Set { name, settings } => write!(f, "pm notify set {name}{settings}"),
            Self::Delete { name } => write!(f, "pm notify del {name}"),
            Self::General {
                server_name,
                thresholds,
            } => {
                f.write_str("pm notify set")?;
                match server_name {
                    Some(Some(name)) => write!(f, " --server-name={}", word(name.as_str()))?,
                    Some(None) => f.write_str(" --server-name=")?,
                    None => {}
                }
                match thresholds {
                    Some(thresholds) => write!(f, " --thresholds {thresholds}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for ChannelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            enabled,
            events,
            services,
            quiet,
            language,
            server_name,
            report,
            token,
            chat,
            thread,
            api_base,
            url,
            secret,
            preset,
            body,
            server,
            security,
            user,
            password,
            from,
            to,
            digest,
        } = self;
        let some = |flag: &str, is_set: bool| match is_set {
            true => format!(" --{flag} -"),
            false => String::new(),
        };
        f.write_str(&some("token-file", token.is_some()))?;
        // `=`, since the number of a group begins with `-`.
        if let Some(chat) = chat {
            write!(f, " --chat={chat}")?;
        }
        write_or(f, "thread", *thread, "none")?;
        write_or(
            f,
            "api-base",
            api_base
                .as_ref()
                .map(|base| base.as_ref().map(|base| word(base.as_str()))),
            "none",
        )?;
        f.write_str(&some("url-file", url.is_some()))?;
        match secret {
            Some(Some(_)) => f.write_str(" --secret-file -")?,
            Some(None) => f.write_str(" --no-secret")?,
            None => {}
        }
        write_or(f, "preset", preset.map(Some), "")?;
        write_or(
            f,
            "body",
            body.as_ref()
                .map(|body| body.as_ref().map(|body| word(&body.to_string()))),
            "none",
        )?;
        write_or(f, "server", server.as_ref().map(Some), "")?;
        write_or(f, "security", security.map(Some), "")?;
        match user {
            Some(Some(user)) => write!(f, " --user={}", word(user))?,
            Some(None) => f.write_str(" --user=")?,
            None => {}
        }
        f.write_str(&some("password-file", password.is_some()))?;
        write_or(
            f,
            "from",
            from.as_ref().map(|from| Some(word(from.as_str()))),
            "",
        )?;
        let to = to.as_ref().map(|to| word(&joined(to)));
        write_or(f, "to", to.map(Some), "")?;
        write_or(f, "digest", *digest, "none")?;
        let events = events.as_ref().map(|events| events.as_ref().map(joined));
        write_or(f, "events", events, "all")?;
        let services = services
            .as_ref()
            .map(|services| services.as_ref().map(|all| word(&joined(all))));
        write_or(f, "services", services, "all")?;
        write_or(f, "quiet", *quiet, "none")?;
        write_or(f, "language", *language, "system")?;
        match server_name {
            Some(Some(name)) => write!(f, " --server-name={}", word(name.as_str()))?,
            Some(None) => f.write_str(" --server-name=")?,
            None => {}
        }
        let report = report
            .as_ref()
            .map(|report| report.as_ref().map(|report| word(&report.to_string())));
        write_or(f, "report", report, "none")?;
        match enabled {
            Some(true) => f.write_str(" --enabled yes"),
            Some(false) => f.write_str(" --enabled no"),
            None => Ok(()),
        }
    }
}

/// Returns a list as one word, `none` for an empty one.
fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    match items.is_empty() {
        true => "none".to_owned(),
        false => items.join(","),
    }
}

impl fmt::Display for PushChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(settings) => write!(f, "pm push set{settings}"),
            Self::Enable(true) => f.write_str("pm push on"),
            Self::Enable(false) => f.write_str("pm push off"),
        }
    }
}

impl fmt::Display for PushSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = &self.url {
            write!(f, " --url {}", word(url.as_str()))?;
        }
        if let Some(node) = &self.node {
            write!(f, " --node={}", word(node.as_str()))?;
        }
        match &self.node_id {
            Some(Some(id)) => write!(f, " --node-id={}", word(id.as_str()))?,
            Some(None) => f.write_str(" --node-id=")?,
            None => {}
        }
        if self.secret.is_some() {
            f.write_str(" --secret-file -")?;
        }
        match self.notes {
            Some(true) => f.write_str(" --notes yes"),
            Some(false) => f.write_str(" --notes no"),
            None => Ok(()),
        }
    }
}
