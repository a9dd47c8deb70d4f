//! Whether those who are to be told what happens hear of it.

use pm_core::calendar::{Timestamp, Zone};
use pm_core::cause::Cause;
use pm_core::config::{Channel, Config};
use pm_notify::{Failure, Why};
use pm_store::Paths;
use pm_store::outbox_db::{ChannelStanding, Standing};

use super::finding::{Failing, Finding};
use crate::outbox::{TROUBLE_AFTER, is_kept};
use crate::{clock, standing};

/// After how long something that waits should have been tried, in seconds.
const IDLE_AFTER: i64 = 900;

/// Returns how channels and push stand, by what the delivering side notes.
pub(super) fn finding(paths: &Paths, config: &Config) -> Finding {
    let channels = config.notify.channels.values();
    let channels = channels.filter(|channel| channel.enabled).count();
    let push = config.push.as_ref().is_some_and(|push| push.enabled);
    let found = match channels > 0 || push {
        true => standing(paths),
        // The next tick removes what is still there.
        false => Ok(None),
    };
    let (standing, problem) = match found {
        Ok(standing) => (standing.unwrap_or_default(), None),
        Err(error) => (Standing::default(), Some(Cause::from(error))),
    };
    Finding::Telling {
        channels,
        push,
        waiting: standing.channels.values().map(|it| it.waiting).sum(),
        failing: failing(&standing, config, clock::now(), &clock::zone(config)),
        problem,
    }
}

/// Returns what has failed for so long that others are told: an attempt that fails once is no news.
fn failing(standing: &Standing, config: &Config, now: Timestamp, zone: &Zone) -> Vec<Failing> {
    // What stands there besides is not pm's.
    let channels = standing
        .channels
        .iter()
        .filter_map(|(name, it)| Some((name, config.notify.channels.get(name)?, it)));
    let channels = channels.filter_map(|(name, channel, it)| {
        let (age, why) = match it.failing_since {
            Some(since) => (now.unix().saturating_sub(since.unix()), it.error.clone()),
            None => (
                idle(channel, it, now, zone)?,
                Some(Failure::of(Why::Idle).stored()),
            ),
        };
        Some((Some(name.clone()), age, why))
    });
    let push = standing.push.iter().filter_map(|it| {
        let age = now.unix().saturating_sub(it.failing_since?.unix());
        Some((None, age, it.error.clone()))
    });
    let failing = channels
        .chain(push)
        .filter(|(_, age, _)| *age >= TROUBLE_AFTER);
    let failing = failing.map(|(channel, age, why)| Failing {
        channel,
        age,
        why: why.unwrap_or_default(),
    });
    failing.collect()
}

/// Returns for how long something waits that nothing keeps, and that nobody tried to deliver though
/// there was time for it, in seconds.
fn idle(channel: &Channel, standing: &ChannelStanding, now: Timestamp, zone: &Zone) -> Option<i64> {
    let before = Timestamp::from_unix(now.unix().saturating_sub(IDLE_AFTER));
    let was_kept = [before, now]
        .into_iter()
        .any(|at| is_kept(channel, standing, at, zone));
    let is_tried = standing.next_try.is_some() || standing.delivered.is_some_and(|at| at > before);
    let oldest = standing.oldest.filter(|&oldest| oldest <= before)?;
    (!was_kept && !is_tried).then(|| now.unix().saturating_sub(oldest.unix()))
}

#[cfg(test)]
mod tests {
    use pm_store::outbox_db::PushStanding;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_330_800);

    fn since(age: i64) -> Option<Timestamp> {
        Some(Timestamp::from_unix(NOW.unix() - age))
    }

    /// Returns who is found failing, and for how long.
    fn found(standing: &Standing, settings: &str) -> Vec<(Option<String>, i64)> {
        let via = r#""via": {"webhook": {"url": "https://hook.example/x"}}"#;
        let one = |name: &str| format!(r#""{name}": {{{via}{settings}}}"#);
        let all = ["ahead", "just-now", "known", "well"].map(one).join(",");
        let config = format!(r#"{{"schema": 1, "notify": {{"channels": {{{all}}}}}}}"#);
        let config = Config::parse(&config).unwrap();
        let found = failing(standing, &config, NOW, &Zone::utc());
        let found = found.into_iter();
        found
            .map(|it| (it.channel.map(|name| name.to_string()), it.age))
            .collect()
    }

    #[test]
    fn who_fails_is_found_when_the_others_are_told() {
        let channel = |name: &str, failing_since| {
            let standing = ChannelStanding {
                failing_since,
                error: Some("[connect]".to_owned()),
                ..ChannelStanding::default()
            };
            (name.parse().unwrap(), standing)
        };
        let standing = Standing {
            channels: [
                channel("ahead", since(-60)),
                channel("just-now", since(TROUBLE_AFTER - 1)),
                channel("known", since(TROUBLE_AFTER)),
                channel("strange", since(TROUBLE_AFTER)),
                channel("well", None),
            ]
            .into(),
            push: Some(PushStanding {
                failing_since: since(7_200),
                ..PushStanding::default()
            }),
        };
        let known = Some("known".to_owned());
        assert_eq!(
            found(&standing, ""),
            [(known, TROUBLE_AFTER), (None, 7_200)]
        );
    }

    #[test]
    fn what_nobody_tries_to_deliver_is_found() {
        let waiting = |oldest, delivered| Standing {
            channels: [(
                "well".parse().unwrap(),
                ChannelStanding {
                    waiting: 1,
                    oldest: since(oldest),
                    delivered: since(delivered),
                    ..ChannelStanding::default()
                },
            )]
            .into(),
            push: None,
        };
        let idle = [(Some("well".to_owned()), IDLE_AFTER)];
        assert_eq!(found(&waiting(IDLE_AFTER, 9_999), ""), idle);
        assert_eq!(found(&waiting(IDLE_AFTER - 1, 9_999), ""), []);
        // A long queue, of which something was delivered just now.
        assert_eq!(found(&waiting(IDLE_AFTER, 60), ""), []);
        let all_day = r#", "quiet": "00:00-23:59""#;
        assert_eq!(found(&waiting(IDLE_AFTER, 9_999), all_day), []);
    }
}
