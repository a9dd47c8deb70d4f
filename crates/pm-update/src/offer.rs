//! Whether a release is for this pm.

use std::cmp::Ordering;
use std::fmt;

use semver::Version;

use crate::manifest::{Artefact, Manifest};
use crate::target::Target;

/// What a release means to a pm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Offer<'a> {
    /// It is the one that runs.
    UpToDate,
    /// It is to be installed.
    Program(&'a Artefact),
}

/// Why a release is not for this pm.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotForThis {
    /// It is older.
    #[error("the release offered is {offered}, older than this pm, {current}")]
    Older {
        /// The release.
        offered: Version,
        /// What runs.
        current: Version,
    },
    /// It needs a step in between.
    #[error("pm {offered} can only follow pm {minimum} or newer, and this is {current}")]
    StepBetween {
        /// The release.
        offered: Version,
        /// The oldest that may go straight to it.
        minimum: Version,
        /// What runs.
        current: Version,
    },
    /// It has no program for this machine.
    #[error(
        "pm {offered} is not there for this machine ({}), only for: {}",
        List(wanted),
        List(there)
    )]
    OtherMachine {
        /// The release.
        offered: Version,
        /// What would run here.
        wanted: Vec<Target>,
        /// What there is.
        there: Vec<Target>,
    },
}

/// Targets with commas between them.
pub struct List<'a>(pub &'a [Target]);

/// Says what `manifest` means to a pm of version `current`, on a machine on which programs for
/// `targets` run, the best first. With `force` an older release and the same one are installed too.
///
/// Versions are ordered as Semantic Versioning 2.0.0, §11 says: what follows a `+` counts for nothing.
///
/// # Errors
///
/// When it must not be installed.
pub fn judge<'a>(
    manifest: &'a Manifest,
    current: &Version,
    targets: &[Target],
    force: bool,
) -> Result<Offer<'a>, NotForThis> {
    let offered = manifest.version.clone();
    match offered.cmp_precedence(current) {
        Ordering::Equal if !force => return Ok(Offer::UpToDate),
        Ordering::Less if !force => {
            let current = current.clone();
            return Err(NotForThis::Older { offered, current });
        }
        _ => {}
    }
    if current.cmp_precedence(&manifest.minimum) == Ordering::Less {
        return Err(NotForThis::StepBetween {
            offered,
            minimum: manifest.minimum.clone(),
            current: current.clone(),
        });
    }
    let found = targets
        .iter()
        .find_map(|target| manifest.programs.get(target));
    found
        .map(Offer::Program)
        .ok_or_else(|| NotForThis::OtherMachine {
            offered,
            wanted: targets.to_vec(),
            there: manifest.programs.keys().cloned().collect(),
        })
}

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, target) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{target}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Digest;

    fn release(version: &str, minimum: &str, targets: &[&str]) -> Manifest {
        let program = |target: &&str| {
            let artefact = Artefact {
                size: 1,
                sha256: Digest::of(target.as_bytes()),
                name: format!("pm-{target}").parse().unwrap(),
            };
            (target.parse().unwrap(), artefact)
        };
        Manifest {
            version: Version::parse(version).unwrap(),
            minimum: Version::parse(minimum).unwrap(),
            programs: targets.iter().map(program).collect(),
        }
    }

    fn targets(names: &[&str]) -> Vec<Target> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_program_that_runs_here_is_taken() {
        let all = release("0.2.0", "0.1.0", &["a-gnu", "a-musl", "b-musl"]);
        let current = Version::new(0, 1, 0);
        let name = |wanted: &[&str]| match judge(&all, &current, &targets(wanted), false) {
            Ok(Offer::Program(artefact)) => artefact.name.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(name(&["a-musl", "a-gnu"]), "pm-a-musl");
        assert_eq!(name(&["c-musl", "a-gnu"]), "pm-a-gnu");
        let refused = judge(&all, &current, &targets(&["c-musl"]), true).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "pm 0.2.0 is not there for this machine (c-musl), only for: a-gnu, a-musl, b-musl"
        );
    }

    #[test]
    fn versions_are_ordered_as_the_standard_says() {
        // Source: Semantic Versioning 2.0.0, §11.
        let order = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.10",
        ];
        let here = targets(&["a"]);
        for (index, current) in order.iter().enumerate() {
            let current = Version::parse(current).unwrap();
            for (other, offered) in order.iter().enumerate() {
                let offer = release(offered, "0.0.1", &["a"]);
                let verdict = judge(&offer, &current, &here, false);
                match index.cmp(&other) {
                    Ordering::Less => assert!(matches!(verdict, Ok(Offer::Program(_)))),
                    Ordering::Equal => assert_eq!(verdict, Ok(Offer::UpToDate)),
                    Ordering::Greater => assert!(matches!(verdict, Err(NotForThis::Older { .. }))),
                }
            }
        }
        let rebuilt = release("1.0.0+2", "0.0.1", &["a"]);
        assert_eq!(
            judge(&rebuilt, &Version::new(1, 0, 0), &here, false),
            Ok(Offer::UpToDate)
        );
    }

    #[test]
    fn a_step_is_not_left_out_even_by_force() {
        let offer = release("2.0.0", "1.5.0", &["a"]);
        let here = targets(&["a"]);
        let verdict = judge(&offer, &Version::new(1, 4, 9), &here, true);
        assert!(matches!(verdict, Err(NotForThis::StepBetween { .. })));
        assert!(judge(&offer, &Version::new(1, 5, 0), &here, false).is_ok());
    }

    proptest! {
        #[test]
        fn without_force_nobody_goes_back(
            offered in (0..4_u64, 0..4_u64, 0..4_u64), current in (0..4_u64, 0..4_u64, 0..4_u64)
        ) {
            let version = |(a, b, c)| Version::new(a, b, c);
            let offer = release(&version(offered).to_string(), "0.0.0", &["a"]);
            let current = version(current);
            let verdict = judge(&offer, &current, &targets(&["a"]), false);
            prop_assert_eq!(matches!(verdict, Ok(Offer::Program(_))), offer.version > current);
            prop_assert!(matches!(judge(&offer, &current, &targets(&["a"]), true), Ok(Offer::Program(_))));
        }
    }
}
