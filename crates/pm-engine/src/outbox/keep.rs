//! What keeps messages that their server would take: quiet hours, and mails that are collected.
//!
//! The tick asks so that nobody is started in vain, whoever delivers asks so that nothing is sent
//! too early: both by the same rules.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Channel, Config, QuietHours, Via};
use pm_store::outbox_db::{ChannelStanding, Standing};

/// Within how many seconds something must be due for the delivering side to be started.
const SOON: i64 = 60;

/// Whether there is something to send now or soon, that nothing keeps.
pub(super) fn is_due(standing: &Standing, config: &Config, now: Timestamp, zone: &Zone) -> bool {
    standing.is_due(now, SOON, |name, it| {
        let channel = config.notify.channels.get(name);
        channel.is_some_and(|channel| is_kept(channel, it, now, zone))
    })
}

/// Whether something keeps what waits for a channel.
pub(crate) fn is_kept(
    channel: &Channel,
    standing: &ChannelStanding,
    now: Timestamp,
    zone: &Zone,
) -> bool {
    let is_collected = |oldest| is_collected(&channel.via, oldest, now);
    let collects = standing.lost == 0 && standing.oldest.is_some_and(is_collected);
    is_quiet(channel.quiet, now, zone) || collects
}

/// Whether messages wait for the end of quiet hours.
pub(crate) fn is_quiet(quiet: Option<QuietHours>, now: Timestamp, zone: &Zone) -> bool {
    quiet.is_some_and(|quiet| quiet.left(now, zone).is_some())
}

/// Whether messages, the first of which is of `oldest`, wait for more to be sent with them.
pub(crate) fn is_collected(via: &Via, oldest: Timestamp, now: Timestamp) -> bool {
    let Via::Email(email) = via else {
        return false;
    };
    email.digest.is_some_and(|minutes| {
        let age = now.unix().saturating_sub(oldest.unix());
        // A clock that went back would hold it up.
        (0..i64::from(minutes.get()) * 60).contains(&age)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// 2026-11-22, at midnight.
    const MIDNIGHT: i64 = 1_795_305_600;

    fn at(hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_unix(MIDNIGHT + hour * 3_600 + minute * 60)
    }

    /// Returns whether `one`, of the channel with these settings, is due.
    fn due(settings: &str, one: ChannelStanding, now: Timestamp) -> bool {
        let config =
            format!(r#"{{"schema": 1, "notify": {{"channels": {{"one": {{{settings}}}}}}}}}"#);
        let config = Config::parse(&config).unwrap();
        let standing = Standing {
            channels: BTreeMap::from([("one".parse().unwrap(), one)]),
            push: None,
        };
        is_due(&standing, &config, now, &Zone::utc())
    }

    fn waiting(oldest: Timestamp) -> ChannelStanding {
        ChannelStanding {
            waiting: 3,
            oldest: Some(oldest),
            ..ChannelStanding::default()
        }
    }

    #[test]
    fn nobody_is_started_in_quiet_hours() {
        let settings = r#""quiet": "23:00-07:00", "via": {"wecom": {"url": "https://q/x"}}"#;
        for (now, expected) in [
            (at(22, 59), true),
            (at(23, 0), false),
            (at(30, 59), false),
            (at(31, 0), true),
        ] {
            assert_eq!(due(settings, waiting(at(22, 58)), now), expected, "{now:?}");
        }
        assert!(!due(settings, ChannelStanding::default(), at(12, 0)));
    }

    #[test]
    fn nobody_is_started_while_mails_are_collected_unless_there_is_something_to_own_up_to() {
        let settings = r#""via": {"email": {"server": "smtp.example.org", "from": "pm@example.org",
            "to": ["a@example.org"], "digest": 60}}"#;
        assert!(!due(settings, waiting(at(12, 0)), at(12, 59)));
        assert!(due(settings, waiting(at(12, 0)), at(13, 0)));
        // A clock that went back.
        assert!(due(settings, waiting(at(12, 0)), at(11, 59)));
        let lost = ChannelStanding {
            lost: 1,
            ..waiting(at(12, 0))
        };
        assert!(due(settings, lost, at(12, 1)));
    }
}
