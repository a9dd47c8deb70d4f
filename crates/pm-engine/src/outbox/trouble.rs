//! Whose trouble is told of.
//!
//! - Who fails for five minutes is told of once, once more when that has cost the first messages, and
//!   once when it is over.
//! - Nobody is told as long as nobody gets through who wants to know: it would wait, and be told when it
//!   is over.
//! - A channel is never told of its own.

use std::collections::BTreeMap;

use pm_core::calendar::Timestamp;
use pm_core::config::{Config, EventKind};
use pm_core::notice::{Destination, What};
use pm_store::outbox_db::Standing;

/// For how long something fails before others are told, in seconds.
pub(crate) const TROUBLE_AFTER: i64 = 300;

/// How it goes with one destination.
struct Course<'a> {
    failing_since: Option<Timestamp>,
    why: Option<&'a String>,
    lost: u64,
    /// When something was delivered last.
    delivered: Option<Timestamp>,
}

/// Returns whose trouble is told of by now, of whom it was before, and what is to be told.
pub(super) fn told_of(
    told: &BTreeMap<Destination, Timestamp>,
    standing: &Standing,
    config: &Config,
    now: Timestamp,
) -> (BTreeMap<Destination, Timestamp>, Vec<What>) {
    let courses = courses(standing, config);
    let mut troubles = told.clone();
    let mut news = Vec::new();
    troubles.retain(|to, told| {
        let since = courses.get(to).and_then(|it| it.failing_since);
        since.is_some_and(|since| [since, with_loss(since)].contains(told))
    });
    for (to, mark) in told {
        let since = began(*mark);
        let is_over = |it: &Course<'_>| {
            it.failing_since.is_none() && it.delivered.is_some_and(|at| at >= since)
        };
        if courses.get(to).is_some_and(is_over) {
            let to = to.clone();
            news.push(What::DeliveredAgain { to, since });
        }
    }
    for (to, course) in &courses {
        let Some(since) = course.failing_since else {
            continue;
        };
        let mark = match course.lost {
            0 => since,
            _ => with_loss(since),
        };
        let is_known = match course.lost {
            0 => troubles.contains_key(to),
            _ => troubles.get(to) == Some(&mark),
        };
        let is_short = now.unix().saturating_sub(since.unix()) < TROUBLE_AFTER;
        if is_known || is_short || !has_listener(&courses, config, to) {
            continue;
        }
        troubles.insert(to.clone(), mark);
        news.push(What::Delivery {
            to: to.clone(),
            why: course.why.cloned().unwrap_or_default(),
            lost: course.lost,
        });
    }
    (troubles, news)
}

/// Returns how it goes with all to whom something is delivered.
fn courses<'a>(standing: &'a Standing, config: &Config) -> BTreeMap<Destination, Course<'a>> {
    let is_there = |name| config.notify.channels.contains_key(name);
    let channels = standing.channels.iter().filter(|(name, _)| is_there(name));
    let channels = channels.map(|(name, it)| {
        let course = Course {
            failing_since: it.failing_since,
            why: it.error.as_ref(),
            lost: it.lost,
            delivered: it.delivered,
        };
        (Destination::Channel(name.clone()), course)
    });
    let push = standing.push.as_ref().map(|it| {
        let course = Course {
            failing_since: it.failing_since,
            why: it.error.as_ref(),
            lost: 0,
            delivered: it.sent,
        };
        (Destination::Push, course)
    });
    channels.chain(push).collect()
}

/// Whether a channel gets through that is told of another's trouble.
fn has_listener(
    courses: &BTreeMap<Destination, Course<'_>>,
    config: &Config,
    of: &Destination,
) -> bool {
    let listens = |to: &Destination| match to {
        Destination::Channel(name) => {
            let channel = config.notify.channels.get(name);
            to != of && channel.is_some_and(|it| it.wants(EventKind::Delivery))
        }
        Destination::Push => false,
    };
    let mut all = courses.iter();
    all.any(|(to, course)| course.failing_since.is_none() && listens(to))
}

/// Returns how a trouble is noted that was told of with the messages it has cost: by the negative of
/// when it began, which is no instant of any trouble.
fn with_loss(since: Timestamp) -> Timestamp {
    Timestamp::from_unix(since.unix().saturating_neg())
}

/// Returns when the trouble began that is noted so.
fn began(mark: Timestamp) -> Timestamp {
    Timestamp::from_unix(mark.unix().saturating_abs())
}

#[cfg(test)]
mod tests {
    use pm_store::outbox_db::{ChannelStanding, PushStanding};

    use super::*;

    const NOW: i64 = 1_000_000;

    fn at(unix: i64) -> Timestamp {
        Timestamp::from_unix(unix)
    }

    fn channel(name: &str) -> Destination {
        Destination::Channel(name.parse().unwrap())
    }

    fn config() -> Config {
        let one = r#"{"via": {"wecom": {"url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k"}}}"#;
        let config = format!(
            r#"{{"schema":1,"services":{{}},"notify":{{"channels":{{"a":{one},"b":{one},"c":{one}}}}}}}"#
        );
        Config::parse(&config).unwrap()
    }

    /// Since when channels a, b, c and the push fail.
    fn standing(since: [Option<i64>; 3], push: Option<i64>) -> Standing {
        let of = |since: Option<i64>| ChannelStanding {
            failing_since: since.map(at),
            error: since.map(|_| "no".to_owned()),
            delivered: Some(at(NOW)),
            ..ChannelStanding::default()
        };
        let names = ["a", "b", "c"].map(|name| name.parse().unwrap());
        Standing {
            channels: names.into_iter().zip(since.map(of)).collect(),
            push: Some(PushStanding {
                sent: Some(at(NOW)),
                failing_since: push.map(at),
                ..PushStanding::default()
            }),
        }
    }

    fn trouble(to: Destination, why: &str) -> What {
        What::Delivery {
            to,
            why: why.to_owned(),
            lost: 0,
        }
    }

    #[test]
    fn trouble_is_told_of_once_and_once_when_it_is_over() {
        let config = config();
        let since = NOW - TROUBLE_AFTER;
        let step = |told: &_, standing: &_| told_of(told, standing, &config, at(NOW));
        let short = standing([Some(since + 1), None, None], None);
        let (told, news) = step(&BTreeMap::new(), &short);
        assert_eq!((told.len(), news), (0, vec![]));
        let failing = standing([Some(since), None, None], Some(since));
        let (told, news) = step(&told, &failing);
        let both = vec![trouble(channel("a"), "no"), trouble(Destination::Push, "")];
        assert_eq!(news, both);
        let (told, news) = step(&told, &failing);
        assert_eq!(news, []);
        let (told, news) = step(&told, &standing([None; 3], None));
        let over = |to| What::DeliveredAgain {
            to,
            since: at(since),
        };
        assert_eq!(news, [over(channel("a")), over(Destination::Push)]);
        assert!(told.is_empty());
    }

    /// The network is down: what would be told waits where nobody gets it, and is past when he does.
    #[test]
    fn nobody_is_told_while_nobody_gets_through() {
        let config = config();
        let since = NOW - TROUBLE_AFTER;
        let all = standing([Some(since); 3], Some(since));
        let (told, news) = told_of(&BTreeMap::new(), &all, &config, at(NOW));
        assert_eq!((told.len(), news), (0, vec![]));
        let (_, news) = told_of(&told, &standing([None; 3], None), &config, at(NOW));
        assert_eq!(news, []);
        let one = standing([Some(since), None, None], None);
        let (_, news) = told_of(&told, &one, &config, at(NOW));
        assert_eq!(news, [trouble(channel("a"), "no")]);
    }

    #[test]
    fn who_does_not_want_to_know_is_no_listener() {
        let mut config = config();
        let since = NOW - TROUBLE_AFTER;
        let c = config.notify.channels.get_mut(&"c".parse().unwrap());
        c.unwrap().events = Some([EventKind::Quota].into());
        let two = standing([Some(since), Some(since), None], None);
        let (_, news) = told_of(&BTreeMap::new(), &two, &config, at(NOW));
        assert_eq!(news, []);
        let one = standing([Some(since), None, None], None);
        let (_, news) = told_of(&BTreeMap::new(), &one, &config, at(NOW));
        assert_eq!(news, [trouble(channel("a"), "no")]);
    }
}
