//! Which release's accounting the figures have: everything that files, program and table rule out
//! is crossed off, and if what is left differs in something, the operator must be asked.

use pm_core::ruleset::Direction;
use serde_json::Value;

use super::{Port, object};
use crate::accounting::{Accounting, Billing, Terms};
use crate::doubt::Trouble;
use crate::json::{at, is_absent, text};
use crate::source::{Context, Counter, Kernel};
use crate::text::shown;

/// What the fork writes beside its ports.
const MODEL: &str = "upstream-weighted-v2";

/// What is known of the accounting.
pub(super) struct Known {
    /// Those that nothing rules out, oldest first; never none.
    pub(super) candidates: Vec<Accounting>,
}

/// Finds out what can be.
pub(super) fn gather(
    config: &Value,
    entries: &[Port<'_>],
    script: Option<&str>,
    kernel: &Kernel,
    context: &Context<'_>,
) -> Known {
    if let Some(answer) = context.accounting {
        let candidates = vec![answer];
        return Known { candidates };
    }
    let mut candidates = Accounting::ALL.to_vec();
    let is_fork = text(at(config, &["global", "traffic_accounting_model"])) == MODEL;
    let has_forks_marks = entries.iter().any(|entry| {
        let policy = at(entry.kept, &["quota", "reset_policy"]);
        !is_absent(policy)
    });
    if is_fork {
        candidates.retain(|&known| known == Accounting::Fork);
    } else if !has_forks_marks {
        candidates.retain(|&known| known != Accounting::Fork);
    }
    narrow(&mut candidates, |known| {
        let mut stated = entries.iter().filter_map(|entry| billing(entry.kept).ok()?);
        stated.all(|billing| known.terms(billing).is_some())
    });
    if let Some(script) = script {
        let of_release = of_release(script);
        narrow(&mut candidates, |known| {
            of_release
                .as_ref()
                .is_none_or(|those| those.contains(&known))
        });
    }
    for entry in entries {
        narrow(&mut candidates, |known| counts_like(known, entry, kernel));
    }
    Known { candidates }
}

/// Crosses off what does not fit, unless nothing would be left: then what speaks against them is
/// wrong, such as a table that an older release has left behind.
fn narrow(candidates: &mut Vec<Accounting>, fits: impl Fn(Accounting) -> bool) {
    let fitting: Vec<_> = candidates
        .iter()
        .copied()
        .filter(|&known| fits(known))
        .collect();
    if !fitting.is_empty() {
        *candidates = fitting;
    }
}

/// Whether a port's rules count as often as those of a release do.
fn counts_like(known: Accounting, entry: &Port<'_>, kernel: &Kernel) -> bool {
    let billing = billing(entry.kept).unwrap_or(Some(Billing::Single));
    let billing = billing.unwrap_or(known.default_billing());
    let Some(terms) = known.terms(billing) else {
        return false;
    };
    let fits = |direction, end, expected| {
        let counter = kernel.counter(&object(&entry.key, end));
        // No rule inwards is a mark of one release; none outwards is a table that is broken.
        let found = counter.and_then(|counter| match direction {
            Direction::In => rules(counter, "input", entry.ports.len()),
            Direction::Out => times(counter, direction, entry.ports.len()),
        });
        found.is_none_or(|found| found == expected)
    };
    fits(Direction::In, "in", terms.times_in) && fits(Direction::Out, "out", terms.times_out)
}

/// Returns how often a packet of a port is in its counter; `None`: no rule names it.
pub(super) fn times(counter: &Counter, direction: Direction, ports: usize) -> Option<u32> {
    let chain = match direction {
        Direction::In => "input",
        Direction::Out => "output",
    };
    rules(counter, chain, ports).filter(|times| *times > 0)
}

/// Returns how many rules of a chain name a counter for each of the ports that share it; `None`:
/// that is no whole number.
fn rules(counter: &Counter, chain: &str, ports: usize) -> Option<u32> {
    let rules = counter.tcp_rules.get(chain).copied().unwrap_or_default();
    let ports = u32::try_from(ports).ok()?;
    (rules.checked_rem(ports)? == 0).then(|| rules / ports)
}

impl Known {
    /// Returns the releases that it can be.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.candidates.iter().map(|known| known.name()).collect();
        names.join(" | ")
    }

    /// Whether those that are left differ in what becomes of a port.
    pub(super) fn must_be_asked(&self, entries: &[Port<'_>]) -> bool {
        entries.iter().any(|entry| {
            let mut terms = self.candidates.iter().map(|&known| terms(known, entry));
            let first = terms.next();
            terms.any(|other| Some(other) != first)
        })
    }

    /// Returns what becomes of a port: by the newest of those that are left, until the operator has
    /// been asked.
    pub(super) fn terms(&self, entry: &Port<'_>) -> Terms {
        let newest = self.candidates.last().copied();
        terms(newest.unwrap_or(Accounting::V1_2_5B), entry)
    }

    /// Says what of a port's billing pm does another way.
    pub(super) fn explain(&self, entry: &Port<'_>, doubt: &mut dyn FnMut(Trouble)) {
        let stated = billing(entry.kept);
        if self.terms(entry).is_relay {
            doubt(Trouble::RelayBilling);
        }
        let knows_relay = self
            .candidates
            .iter()
            .any(|known| matches!(known, Accounting::V1_2_4 | Accounting::V1_2_4_3));
        match stated {
            Err(value) => doubt(Trouble::UnknownBilling(value)),
            Ok(Some(Billing::Relay)) if !knows_relay => {
                doubt(Trouble::UnknownBilling("relay".to_owned()));
            }
            Ok(_) => {}
        }
    }
}

/// Returns what a release makes of a port. What it does not know it reads as `single`.
fn terms(known: Accounting, entry: &Port<'_>) -> Terms {
    let billing = billing(entry.kept).unwrap_or(Some(Billing::Single));
    let billing = billing.unwrap_or(known.default_billing());
    known.terms(billing).unwrap_or_else(|| known.single())
}

/// Returns how a port is to be billed; `Ok(None)`: nothing is said.
///
/// # Errors
///
/// What is said, where that is nothing known.
fn billing(settings: &Value) -> Result<Option<Billing>, String> {
    let value = at(settings, &["billing_mode"]);
    match text(value).as_str() {
        _ if is_absent(value) => Ok(None),
        "single" => Ok(Some(Billing::Single)),
        "double" => Ok(Some(Billing::Double)),
        "relay" => Ok(Some(Billing::Relay)),
        other => Err(shown(other)),
    }
}

/// Returns what the program that is installed can be; `None`: that is not told.
fn of_release(script: &str) -> Option<Vec<Accounting>> {
    let version = script.lines().find_map(|line| {
        let (before, value) = line.split_once("SCRIPT_VERSION=")?;
        let is_assignment = ["", "readonly", "declare -r"].contains(&before.trim());
        is_assignment.then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    Some(match numbers?[..] {
        [1, 0 | 1, ..] | [1, 2] | [1, 2, 0..=3, ..] => vec![Accounting::V1_0],
        [1, 2, 4] => vec![Accounting::V1_2_4],
        [1, 2, 4, ..] => vec![Accounting::V1_2_4_3],
        [1, 2, 5, ..] => match rules_a_port(script) {
            Some(1) => vec![Accounting::V1_2_5B],
            Some(2) => vec![Accounting::V1_2_5A],
            _ => vec![Accounting::V1_2_5A, Accounting::V1_2_5B],
        },
        [1, 5, ..] => vec![Accounting::Fork],
        _ => return None,
    })
}

/// Returns how many rules the program adds to the chain `output` that count a TCP packet of a
/// single port in `single`; `None`: that cannot be told.
///
/// What it adds in `double` only is left aside. A port, a range and a list have rules of their own,
/// which name the counter in ways of their own: the fewest count.
fn rules_a_port(script: &str) -> Option<u32> {
    let (_, body) = script.split_once("add_nftables_rules() {")?;
    let mut found: std::collections::BTreeMap<&str, u32> = std::collections::BTreeMap::new();
    let mut is_double = false;
    for line in body.lines().take_while(|line| !line.starts_with('}')) {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let is_branch = ["if ", "elif ", "else", "fi"]
            .iter()
            .any(|word| line.starts_with(word));
        if is_branch {
            is_double = line.contains("= \"double\"");
        }
        let is_rule = line.contains("add rule") && line.contains(" output tcp ");
        if let Some((_, counter)) = line.split_once("counter name ").filter(|_| is_rule)
            && !is_double
        {
            let end = counter.find("_out").unwrap_or(counter.len());
            *found.entry(counter.get(..end)?).or_default() += 1;
        }
    }
    found.into_values().min()
}
