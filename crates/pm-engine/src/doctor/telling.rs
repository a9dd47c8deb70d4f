//! Whether those who are to be told what happens hear of it.

use pm_core::cause::Cause;
use pm_core::config::Config;
use pm_store::Paths;
use pm_store::outbox_db::Standing;

use super::finding::{Failing, Finding};
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
        failing: failing(&standing),
        problem,
    }
}

fn failing(standing: &Standing) -> Vec<Failing> {
    let now = clock::now().unix();
    let channels = standing
        .channels
        .iter()
        .map(|(name, it)| (Some(name.clone()), it.failing_since, &it.error));
    let push = standing
        .push
        .iter()
        .map(|it| (None, it.failing_since, &it.error));
    let failing = channels.chain(push).filter_map(|(channel, since, why)| {
        Some(Failing {
            channel,
            age: now.saturating_sub(since?.unix()).max(0),
            why: why.clone().unwrap_or_default(),
        })
    });
    failing.collect()
}
