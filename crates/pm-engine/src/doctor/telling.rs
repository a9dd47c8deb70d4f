//! Whether those who are to be told what happens hear of it.

use pm_core::calendar::Timestamp;
use pm_core::cause::Cause;
use pm_core::config::Config;
use pm_store::Paths;
use pm_store::outbox_db::Standing;

use super::finding::{Failing, Finding};
use crate::outbox::TROUBLE_AFTER;
use crate::{clock, standing};

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
        failing: failing(&standing, clock::now()),
        problem,
    }
}

/// Returns what has failed for so long that others are told: an attempt that fails once is no news.
fn failing(standing: &Standing, now: Timestamp) -> Vec<Failing> {
    let channels = standing
        .channels
        .iter()
        .map(|(name, it)| (Some(name.clone()), it.failing_since, &it.error));
    let push = standing
        .push
        .iter()
        .map(|it| (None, it.failing_since, &it.error));
    let failing = channels.chain(push).filter_map(|(channel, since, why)| {
        let age = now.unix().saturating_sub(since?.unix());
        (age >= TROUBLE_AFTER).then(|| Failing {
            channel,
            age,
            why: why.clone().unwrap_or_default(),
        })
    });
    failing.collect()
}

#[cfg(test)]
mod tests {
    use pm_store::outbox_db::{ChannelStanding, PushStanding};

    use super::*;

    #[test]
    fn who_fails_is_found_when_the_others_are_told() {
        let now = Timestamp::from_unix(1_795_330_800);
        let since = |age: i64| Some(Timestamp::from_unix(now.unix() - age));
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
                channel("well", None),
            ]
            .into(),
            push: Some(PushStanding {
                failing_since: since(7_200),
                ..PushStanding::default()
            }),
        };
        let found = failing(&standing, now);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.channel.as_ref().map(ToString::to_string), it.age))
            .collect();
        let known = Some("known".to_owned());
        assert_eq!(found, [(known, TROUBLE_AFTER), (None, 7_200)]);
    }
}
