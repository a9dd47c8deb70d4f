//! `install.sh` as it is published: with the keys and the address that programs are built with.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::test::root;

/// What in the script is filled in, and the variable that it is filled with.
const SLOTS: [&str; 3] = ["PM_UPDATE_KEY", "PM_UPDATE_NEXT_KEY", "PM_RELEASE_URL"];

/// Writes the script into `out`.
///
/// # Errors
///
/// When a value would not stay a value in a shell.
pub(super) fn write(out: &Path) -> Result<()> {
    let script = root().join("install.sh");
    let text =
        fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    let filled = fill(&text, |name| std::env::var(name).unwrap_or_default())?;
    fs::write(out.join("install.sh"), filled)?;
    Ok(())
}

/// Returns the script with `BUILT_IN_NAME=''` set for each of [`SLOTS`].
pub(crate) fn fill(script: &str, value: impl Fn(&str) -> String) -> Result<String> {
    let mut text = script.to_owned();
    for name in SLOTS {
        let value = value(name);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "+/=:._-~[]".contains(c);
        ensure!(
            value.chars().all(is_plain),
            "{name} is not plain: {value:?}"
        );
        let slot = format!("\nBUILT_IN_{name}=''\n");
        ensure!(text.contains(&slot), "install.sh has no slot for {name}");
        text = text.replacen(&slot, &format!("\nBUILT_IN_{name}='{value}'\n"), 1);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_slots_are_filled_and_nothing_can_leave_them() {
        let script = include_str!("../../../install.sh");
        let filled = fill(script, |name| format!("{name}/x=")).unwrap();
        for name in SLOTS {
            assert!(filled.contains(&format!("BUILT_IN_{name}='{name}/x='")));
        }
        for bad in ["a'b", "a b", "$(x)", "a\nb"] {
            assert!(fill(script, |_| bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
