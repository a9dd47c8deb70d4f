//! How pm is renewed.

use clap::Args;

use crate::language::tr;

#[derive(Args, Debug, Default)]
pub(crate) struct Update {
    #[arg(
        long,
        help = tr!("Only say whether there is a newer one", "只说明有没有新版本")
    )]
    pub(crate) check: bool,
    #[arg(
        long,
        help = tr!(
            "Also install an older release, or the same one again",
            "也允许装回旧版本，或重装同一版本",
        )
    )]
    pub(crate) force: bool,
    #[arg(
        long,
        value_name = "URL",
        env = "PM_MIRROR",
        hide_env_values = true,
        help = tr!(
            "Where to download from instead; the signature is checked all the same",
            "改从这个地址下载；签名照样要验",
        )
    )]
    pub(crate) mirror: Option<String>,
}

impl Update {
    /// Returns the flags of a `pm update` without any.
    pub(crate) fn from_environment() -> Self {
        Self {
            mirror: std::env::var("PM_MIRROR").ok(),
            ..Self::default()
        }
    }
}
