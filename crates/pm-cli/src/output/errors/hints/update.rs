//! What to do about an update that failed.

use pm_update::UpdateError;
use pm_update::fetch::FetchError;
use pm_update::offer::NotForThis;
use pm_update::signature::SignatureError;

use super::{store, system};
use crate::language::tr;

/// Returns what to do about an update that failed.
pub(super) fn of(error: &UpdateError) -> Option<String> {
    Some(match error {
        UpdateError::NoKeys | UpdateError::Key(_) => tr!(
            "install a signed release with `install.sh`, or build the newest source: in a checkout, \
             `git pull && sudo ./install.sh`; who makes releases gives the key when building, in \
             PM_UPDATE_KEY",
            "用 `install.sh` 安装签名的版本，或编译最新源码：在源码目录里运行 `git pull && sudo \
             ./install.sh`；发布者编译时用 PM_UPDATE_KEY 给定密钥"
        ),
        UpdateError::NoSource => tr!(
            "name a place that has them: `pm update --mirror https://…`, or PM_MIRROR",
            "指定一个下载地址：`pm update --mirror https://…`，或用 PM_MIRROR"
        ),
        UpdateError::Packaged { .. } => tr!(
            "renew it with the package manager that brought it: download the new release's .deb and run `dpkg -i FILE`, \
             or `apk upgrade`",
            "请用安装它的软件包管理器更新：下载新版本的 .deb 再运行 `dpkg -i 文件`，或运行 `apk upgrade`"
        ),
        UpdateError::Fetch(error) => return fetch(error),
        UpdateError::Untrusted {
            why: SignatureError::UnknownKey,
            ..
        } => tr!(
            "nothing was installed; if releases have a new key since, install one anew with \
             `install.sh`, from a place that you trust",
            "没有安装任何东西；如果发布者换了密钥，请从可信的地方用 `install.sh` 重新安装"
        ),
        UpdateError::Untrusted { .. } => tr!(
            "nothing was installed; try again, or another place (`--mirror`); if it stays, tell \
             whoever makes the releases",
            "没有安装任何东西；再试一次，或换个地址（`--mirror`）；如果一直如此，请告诉发布者"
        ),
        UpdateError::Manifest(_) => tr!(
            "install the newest release with `install.sh`",
            "用 `install.sh` 安装最新版本"
        ),
        UpdateError::NotForThis(why) => not_for_this(why),
        UpdateError::Program { why, .. } => return system(why),
        UpdateError::Store(error) => return store(error),
        UpdateError::Trial {
            is_old_failing: true,
            ..
        } => tr!(
            "this pm fails at the same: mend what it names first (`pm monitor`, `pm doctor`), then run `pm update` again",
            "当前的 pm 也同样失败：先按它说的修好（`pm monitor`、`pm doctor`），再运行 `pm update`"
        ),
        UpdateError::Trial { .. } => tr!(
            "go on with this pm, and tell whoever makes the releases what it said",
            "继续用当前的 pm，并把它说的告诉发布者"
        ),
    })
}

fn not_for_this(why: &NotForThis) -> String {
    match why {
        NotForThis::Older { .. } => tr!(
            "if you want to go back to it, say `--force`",
            "确实要装回旧版本，就加上 `--force`"
        ),
        NotForThis::StepBetween { minimum, .. } => tr!(
            "update to pm {minimum} first: `pm update --mirror` with the place of that release",
            "先升级到 pm {minimum}：用 `pm update --mirror` 指定那个版本的地址"
        ),
        NotForThis::OtherMachine { .. } => tr!(
            "build it here from its source: in a checkout, `git pull && sudo ./install.sh`",
            "在本机编译源码：在源码目录里运行 `git pull && sudo ./install.sh`"
        ),
    }
}

fn fetch(error: &FetchError) -> Option<String> {
    Some(match error {
        FetchError::NotAnAddress(_) => return None,
        FetchError::NotAProxy { variable } | FetchError::Proxy { variable, .. } => tr!(
            "name a proxy that takes CONNECT, such as https_proxy=http://127.0.0.1:3128 (http_proxy for http://), or go \
             without one: `env -u {variable} pm update`; no_proxy counts for nothing here",
            "请指定支持 CONNECT 的代理，如 https_proxy=http://127.0.0.1:3128（http:// 地址用 http_proxy），或不用代理：\
             `env -u {variable} pm update`；no_proxy 在这里不起作用"
        ),
        FetchError::Unreachable { .. }
        | FetchError::NotHttp { .. }
        | FetchError::Refused { .. } => tr!(
            "see whether this host reaches it (`wget -O /dev/null URL`), or name another place: \
             `pm update --mirror https://…`",
            "看看本机能否连上（`wget -O /dev/null 地址`），或换个地址：`pm update --mirror https://…`"
        ),
        FetchError::TooSlow { .. } | FetchError::Short { .. } => tr!(
            "nothing was installed; run `pm update` again, it begins anew; a nearer place may be \
             faster (`--mirror`)",
            "没有安装任何东西；再运行一次 `pm update`，会从头下载；换个近的地址可能更快（`--mirror`）"
        ),
        FetchError::TooLong { .. } | FetchError::Tampered { .. } => tr!(
            "nothing was installed; try again, or another place (`--mirror`); if it stays, tell \
             whoever makes the releases",
            "没有安装任何东西；再试一次，或换个地址（`--mirror`）；如果一直如此，请告诉发布者"
        ),
        FetchError::Disk(why) => return system(why),
    })
}
