//! A request as the command line that does the same.

use std::fmt;

use super::{Request, Selection, Settings};

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
            Self::SetTimeZone(Some(zone)) => write!(f, "pm config set time_zone {}", zone.as_str()),
            Self::SetTimeZone(None) => f.write_str("pm config set time_zone system"),
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

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota {
            Some(Some(quota)) => write!(f, " --quota {}", quota.size())?,
            Some(None) => f.write_str(" --quota none")?,
            None => {}
        }
        if let Some(mode) = self.mode {
            write!(f, " --mode {mode}")?;
        }
        if let Some(reset) = self.reset {
            match reset.to_string() {
                words if words.contains(' ') => write!(f, " --reset {}", quoted(&words))?,
                word => write!(f, " --reset {word}")?,
            }
        }
        if let Some(note) = &self.note {
            write!(f, " --note={}", quoted(note.as_str()))?;
        }
        Ok(())
    }
}

/// Returns the text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
