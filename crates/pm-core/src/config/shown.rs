//! The configuration as it may be shown.

use super::{BotToken, Config, Email, Push, SecretUrl, Telegram, Via, WeCom, Webhook};
use crate::secret::Secret;

impl Config {
    /// Returns the configuration with `set` in the place of each secret: to be shown, never saved.
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_core::config::Config;
    ///
    /// let text = r#"{"schema":1,"services":{},"push":{"url":"https://w.example","node":"n","secret":"hunter2"}}"#;
    /// let shown = Config::parse(text)?.without_secrets().emit();
    /// assert!(shown.contains(r#""secret": "set""#) && !shown.contains("hunter2"));
    /// # Ok::<(), pm_core::config::ConfigError>(())
    /// ```
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        for channel in shown.notify.channels.values_mut() {
            hide(&mut channel.via);
        }
        if let Some(Push {
            enabled: _,
            url: _,
            node: _,
            node_id: _,
            secret,
            notes: _,
        }) = &mut shown.push
        {
            *secret = Secret::hidden();
        }
        shown
    }
}

/// Names every field, so that a new one cannot be forgotten.
fn hide(via: &mut Via) {
    match via {
        Via::Telegram(Telegram {
            token,
            chat: _,
            thread: _,
            api_base: _,
        }) => *token = BotToken(Secret::hidden()),
        Via::WeCom(WeCom { url }) => *url = SecretUrl(Secret::hidden()),
        Via::Email(Email {
            server: _,
            security: _,
            user: _,
            password,
            from: _,
            to: _,
            digest: _,
        }) => *password = password.take().map(|_| Secret::hidden()),
        Via::Webhook(Webhook {
            url,
            secret,
            preset: _,
            body: _,
        }) => {
            *url = SecretUrl(Secret::hidden());
            *secret = secret.take().map(|_| Secret::hidden());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::strategies::{PLANTED, config};

    proptest! {
        /// Fault 17 of the scripts pm replaces: secrets where others read them.
        #[test]
        fn what_is_shown_holds_no_secret_and_everything_else(config in config()) {
            let shown = config.without_secrets();
            let text = shown.emit();
            prop_assert!(!text.contains(PLANTED), "{}", text);
            prop_assert_eq!(text.lines().count(), config.emit().lines().count());
            prop_assert_eq!(&shown.services, &config.services);
        }
    }
}
