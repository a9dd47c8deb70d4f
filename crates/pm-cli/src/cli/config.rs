//! pm's own settings.

use std::path::PathBuf;

use clap::Subcommand;

use super::{ChangeOptions, Reading};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show all settings
    Show(Reading),
    /// Show one setting
    Get {
        /// Its name: `time_zone`, `language` or `classifier`
        key: String,
        #[command(flatten)]
        reading: Reading,
    },
    /// Change one setting: `pm config set time_zone Asia/Shanghai`
    Set {
        /// Its name: `time_zone`, `language` or `classifier`
        key: String,
        /// Its new value: for `time_zone` an IANA name or `system` [default]; for
        /// `language` `en`, `zh` or `system` [default]; for `classifier`
        /// how packets find the class that shapes them: `priority` [default], `fwmark` (the upper
        /// half of their mark) or `fwmark/0xffff0000` (these bits of it)
        value: String,
        #[command(flatten)]
        options: ChangeOptions,
    },
    /// Check a configuration file: the one in use, or another before it is put in place
    Check {
        /// The file [default: the one in use]
        file: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
}
