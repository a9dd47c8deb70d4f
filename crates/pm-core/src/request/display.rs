//! A request as the command line that does the same.

use std::fmt;

use super::{ContractSettings, Request, Selection, Settings};

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add {
                ports,
                settings,
                or_set,
            } => {
                write!(f, "pm add {ports}{settings}")?;
                if *or_set {
                    f.write_str(" --or-set")?;
                }
                Ok(())
            }
            Self::Set {
                ports,
                settings,
                used,
            } => {
                write!(f, "pm set {ports}{settings}")?;
                match used {
                    Some(used) => write!(f, " --used {used}"),
                    None => Ok(()),
                }
            }
            Self::Delete { ports } => write!(f, "pm del {ports}"),
            Self::Reset { ports } => write!(f, "pm reset {ports}"),
            Self::Block { ports } => write!(f, "pm block {ports}"),
            Self::Unblock { ports } => write!(f, "pm unblock {ports}"),
            Self::AddGroup {
                name,
                settings,
                or_set,
            } => {
                write!(f, "pm group add {}{settings}", word(name.as_str()))?;
                if *or_set {
                    f.write_str(" --or-set")?;
                }
                Ok(())
            }
            Self::SetGroup {
                name,
                settings,
                used,
            } => {
                write!(f, "pm group set {}{settings}", word(name.as_str()))?;
                match used {
                    Some(used) => write!(f, " --used {used}"),
                    None => Ok(()),
                }
            }
            Self::DeleteGroup { name } => write!(f, "pm group del {}", word(name.as_str())),
            Self::ResetGroup { name } => write!(f, "pm group reset {}", word(name.as_str())),
            Self::SetTimeZone(Some(zone)) => write!(f, "pm config set time_zone {}", zone.as_str()),
            Self::SetTimeZone(None) => f.write_str("pm config set time_zone system"),
            Self::SetLanguage(Some(language)) => write!(f, "pm config set language {language}"),
            Self::SetLanguage(None) => f.write_str("pm config set language system"),
            Self::SetClassifier(classifier) => {
                write!(f, "pm config set classifier {classifier}")
            }
            Self::Notify(change) => change.fmt(f),
            Self::Push(change) => change.fmt(f),
            Self::SetBackup(Some(backup)) => write!(f, "pm config set backup '{backup}'"),
            Self::SetBackup(None) => f.write_str("pm config set backup off"),
            Self::Restore {
                version: Some(version),
                ..
            } => write!(f, "pm config restore {version}"),
            Self::Restore { version: None, .. } => f.write_str("pm config restore"),
            Self::Adopt(adoption) => f.write_str(&adoption.command),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("--all"),
            Self::Ports(ports) => ports.fmt(f),
        }
    }
}

impl fmt::Display for ContractSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota {
            Some(Some(quota)) => write!(f, " --quota {}", quota.size())?,
            Some(None) => f.write_str(" --quota none")?,
            None => {}
        }
        if let Some(mode) = self.mode {
            write!(f, " --mode {mode}")?;
        }
        if let Some(factor) = self.factor {
            write!(f, " --factor {factor}")?;
        }
        if let Some(reset) = self.reset {
            write!(f, " --reset {}", word(&reset.to_string()))?;
        }
        Ok(())
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(Some(group)) => write!(f, " --group {}", word(group.as_str()))?,
            Some(None) => f.write_str(" --group none")?,
            None => {}
        }
        self.contract.fmt(f)?;
        write_or(f, "limit", self.limit, "none")?;
        write_or(f, "limit-in", self.limit_in, "none")?;
        write_or(f, "dynqos", self.dynqos, "none")?;
        write_or(f, "expires", self.expires, "never")?;
        match self.routed {
            Some(true) => f.write_str(" --routed yes")?,
            Some(false) => f.write_str(" --routed no")?,
            None => {}
        }
        if let Some(note) = &self.note {
            write!(f, " --note {}", quoted(note.as_str()))?;
        }
        Ok(())
    }
}

pub(super) fn write_or(
    f: &mut fmt::Formatter<'_>,
    flag: &str,
    value: Option<Option<impl fmt::Display>>,
    nothing: &str,
) -> fmt::Result {
    match value {
        Some(Some(value)) => write!(f, " --{flag} {value}"),
        Some(None) => write!(f, " --{flag} {nothing}"),
        None => Ok(()),
    }
}

/// Returns a text as one word of a POSIX shell, in quotes only where it needs them.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Returns the text as one word of a POSIX shell, in quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
