//! Whether what setup wrote is still there, and runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::apply::{Standing, standing};
use crate::cron;
use crate::footprint::{Footprint, Piece};
use crate::host::Host;
use crate::init::Schedule;
use crate::root::Root;
use crate::shell::quoted;
use crate::systemd;
use crate::tools::Tools;

/// What was found of the footprint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Check {
    /// Whether there is anything of pm's: a host on which setup never ran has none.
    pub is_set_up: bool,
    /// What is not there.
    pub missing: Vec<String>,
    /// What somebody has edited.
    pub edited: Vec<String>,
    /// What an older pm wrote.
    pub outdated: Vec<String>,
    /// What stands in the way.
    pub foreign: Vec<String>,
    /// Whether that which calls the tick runs; `None`: there is nothing that could.
    pub runs: Option<bool>,
}

/// Compares the host with `wanted`.
pub fn check(root: &Root, tools: &mut impl Tools, host: &Host, wanted: &Footprint) -> Check {
    let mut check = Check::default();
    for piece in &wanted.pieces {
        let Ok(standing) = standing(root, piece) else {
            continue;
        };
        let list = match standing {
            Standing::Current => {
                // The directories may be a mere `pm add`'s.
                check.is_set_up |= !matches!(piece, Piece::Directory { .. });
                continue;
            }
            Standing::Missing => &mut check.missing,
            Standing::Outdated => &mut check.outdated,
            Standing::Edited => &mut check.edited,
            Standing::Foreign => &mut check.foreign,
        };
        check.is_set_up |= matches!(standing, Standing::Outdated | Standing::Edited);
        list.push(piece.to_string());
    }
    check.runs = runs(root, tools, &host.schedule);
    check
}

/// Whether something that setup wrote, on this host as it is or as it was, calls the program at `pm`. `everywhere` is
/// what could be there.
pub fn calls(root: &Root, everywhere: &Footprint, pm: &Path) -> bool {
    let pm = pm.to_string_lossy();
    let words = [systemd::quoted(&pm), quoted(&pm), cron::escaped(&pm)];
    callers(root, everywhere)
        .iter()
        .any(|text| words.iter().any(|word| has_word(text, word)))
}

/// Returns the program that what setup wrote calls; `None`: nothing is set up, or it cannot be told.
pub fn called(root: &Root, everywhere: &Footprint) -> Option<PathBuf> {
    let texts = callers(root, everywhere);
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .filter_map(|line| line.split_once(" monitor").or(line.split_once(" restore ")))
        .filter_map(|(before, _)| before.split([' ', '\t', '=']).next_back())
        .map(|word| word.trim_start_matches('-'))
        .find(|word| word.starts_with('/'))
        .map(PathBuf::from)
}

/// Returns the texts that setup wrote, on this host as it is or as it was, and that call some program.
fn callers(root: &Root, everywhere: &Footprint) -> Vec<String> {
    let text = |piece: &Piece| {
        let (Piece::File { path, .. } | Piece::CrontabLine { path, .. }) = piece else {
            return None;
        };
        let is_ours = matches!(
            standing(root, piece),
            Ok(Standing::Current | Standing::Outdated | Standing::Edited)
        );
        let is_line = matches!(piece, Piece::CrontabLine { .. });
        let text = root.text(path);
        let lines = text
            .lines()
            .filter(|line| !is_line || cron::is_ours(line.as_bytes()))
            .filter(|line| !line.starts_with('#'));
        (is_ours && !piece.is_manual()).then(|| lines.collect::<Vec<_>>().join("\n"))
    };
    everywhere.pieces.iter().filter_map(text).collect()
}

/// Whether `word` is in `text`, and not a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        // Before a command line of systemd's: `ExecStart=-`.
        before.is_none_or(|c| c.is_whitespace() || "=-".contains(c))
            && after.is_none_or(char::is_whitespace)
    })
}

/// Whether what calls the tick runs.
fn runs(root: &Root, tools: &mut impl Tools, schedule: &Schedule) -> Option<bool> {
    match schedule {
        Schedule::None => None,
        Schedule::Timer => {
            let asked = tools.run("systemctl", &["is-active", "--quiet", systemd::TIMER]);
            Some(asked.is_ok())
        }
        Schedule::CronDirectory | Schedule::Crontab(_) => Some(cron_runs(root)),
    }
}

/// Whether a cron runs. Source: proc(5), `/proc/[pid]/comm`.
pub fn cron_runs(root: &Root) -> bool {
    let processes = fs::read_dir(root.join("/proc"))
        .into_iter()
        .flatten()
        .flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("comm")).ok())
        .any(|comm| ["cron", "crond", "fcron"].contains(&comm.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::Init;

    #[test]
    fn what_setup_wrote_calls_the_program_that_it_names_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let pm = Path::new("/usr/local/bin/pm");
        let calls = |pm: &Path| calls(&root, &Footprint::everywhere(&root, pm), pm);
        fs::create_dir_all(root.join("/etc/systemd/system")).unwrap();
        assert!(!calls(pm));
        // Somebody else's.
        let tick = root.join("/etc/systemd/system").join(systemd::TICK);
        fs::write(&tick, "[Service]\nExecStart=/usr/local/bin/pm monitor\n").unwrap();
        assert!(!calls(pm));
        // An older pm's.
        let text = crate::seal::sealed("", "#", "[Service]\nExecStart=/usr/local/bin/pm tick\n");
        fs::write(&tick, &text).unwrap();
        assert!(calls(pm));
        assert!(!calls(Path::new("/opt/pm")));
        // A part of its name is another's.
        for other in ["/usr/local/bin/p", "/local/bin/pm", "/usr/local/bin"] {
            assert!(!calls(Path::new(other)), "{other}");
        }
        let everywhere = Footprint::everywhere(&root, pm);
        assert_eq!(called(&root, &everywhere), None);
        let beta = "[Service]\nExecStart=-/usr/local/bin/pm-beta restore --boot\n";
        fs::write(&tick, crate::seal::sealed("", "#", beta)).unwrap();
        assert!(!calls(pm));
        let beta = Path::new("/usr/local/bin/pm-beta");
        assert!(calls(beta));
        assert_eq!(called(&root, &everywhere).as_deref(), Some(beta));
        // Edited, or on a host that has no systemd any more.
        fs::write(&tick, text + "# mine\n").unwrap();
        assert!(calls(pm));
        assert_eq!(Host::look(&root).init, Init::Unknown);
    }
}
