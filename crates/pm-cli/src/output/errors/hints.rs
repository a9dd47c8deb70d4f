//! What to do about an error.

mod refusal;
mod update;

use std::io::ErrorKind;

use pm_core::backend::{BackendError, ShapingError};
use pm_core::config::ConfigError;
use pm_engine::EngineError;
use pm_setup::SetupError;
use pm_store::StoreError;
use pm_takeover::TakeoverError;
use pm_update::UpdateError;

use crate::language::tr;

/// Returns what to do about an error, where that is known.
pub(super) fn of(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return engine(error);
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return store(error);
    }
    if let Some(error) = error.downcast_ref::<UpdateError>() {
        return update::of(error);
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return config(error);
    }
    if let Some(error) = error.downcast_ref::<ShapingError>() {
        return shaping(error);
    }
    if let Some(error) = error.downcast_ref::<SetupError>() {
        return setup(error);
    }
    if let Some(error) = error.downcast_ref::<TakeoverError>() {
        return takeover(error);
    }
    error.downcast_ref::<BackendError>().and_then(backend)
}

fn takeover(error: &TakeoverError) -> Option<String> {
    Some(match error {
        TakeoverError::Engine(error) => return engine(error),
        TakeoverError::Store(error) => return store(error),
        TakeoverError::Kernel(error) => return backend(error),
        TakeoverError::Setup(error) => return setup(error),
        TakeoverError::NotThere { .. } => tr!(
            "say where its configuration is: `pm import --from TOOL DIR`",
            "请指明它的配置在哪里：`pm import --from 工具 目录`"
        ),
        TakeoverError::TakenOver { .. } => tr!(
            "`pm list` shows its services, and `pm import --undo` gives them back",
            "用 `pm list` 查看它的服务，用 `pm import --undo` 还回去"
        ),
        TakeoverError::AtWork { .. } | TakeoverError::Changed { .. } => tr!(
            "leave its menu, and run the same command again",
            "退出它的菜单，再运行同一条命令"
        ),
        TakeoverError::InTheWay { path } => {
            let path = path.display();
            tr!(
                "move it away (`mv {path} {path}.new`), and run the same command again",
                "把它移走（`mv {path} {path}.new`），再运行同一条命令"
            )
        }
        TakeoverError::Io { .. } | TakeoverError::TrafficControl(_) => tr!(
            "mend that and run the same command again: it goes on from here",
            "解决之后再运行同一条命令，会从这里继续"
        ),
        TakeoverError::Occupied { path } => {
            let path = path.display();
            tr!(
                "take over from there (`pm import --from pm.sh`, without a directory), or move it away \
                 (`mv {path} {path}.old`)",
                "直接接管它（`pm import --from pm.sh`，不带目录），或把它移走（`mv {path} {path}.old`）"
            )
        }
        TakeoverError::Overlap { tool, ports } => {
            let pms = pm_takeover::ports(ports.iter().map(|(pms, _)| pms)).replace(' ', "");
            tr!(
                "nothing was changed; delete these in {tool}'s menu, or in pm (`pm del {pms}`, which forgets what they \
                 used), and run the same command again",
                "没有做任何改动；请在 {tool} 的菜单里删除它们，或在 pm 里删除（`pm del {pms}`，已用流量随之清除），\
                 再运行同一条命令"
            )
        }
        TakeoverError::Unreadable { .. }
        | TakeoverError::Interrupted
        | TakeoverError::Signals(_)
        | TakeoverError::Damaged { .. }
        | TakeoverError::NothingToUndo => return None,
    })
}

fn setup(error: &SetupError) -> Option<String> {
    Some(match error {
        SetupError::Foreign { path } => {
            let path = path.display();
            tr!(
                "look at it, move it away if nobody needs it (`mv {path} {path}.old`), and run the \
                 command again",
                "先看看它；没人要用就移走（`mv {path} {path}.old`），再运行一次"
            )
        }
        SetupError::ForeignUser { name } => tr!(
            "rename or remove that user (`userdel {name}`) if nobody needs him, and run the command \
             again",
            "没人要用就给该用户改名或删除（`userdel {name}`），再运行一次"
        ),
        SetupError::ForeignGroup { name } => tr!(
            "rename or remove that group (`groupmod -n NEW {name}`, `groupdel {name}`) if nobody \
             needs it, and run the command again",
            "没人要用就给该组改名或删除（`groupmod -n 新名字 {name}`、`groupdel {name}`），再运行一次"
        ),
        SetupError::Program { path, .. } => {
            let path = path.display();
            tr!(
                "`install -m 755 {path} /usr/local/bin/pm`, then `/usr/local/bin/pm setup`",
                "先 `install -m 755 {path} /usr/local/bin/pm`，再 `/usr/local/bin/pm setup`"
            )
        }
        SetupError::NoUserTool { .. } => tr!(
            "install them (`apt-get install passwd`, `apk add shadow`) and run the command again",
            "安装它们（`apt-get install passwd`、`apk add shadow`），再运行一次"
        ),
        SetupError::Io { .. } | SetupError::Command { .. } => tr!(
            "mend that and run the same command again: it goes on from here",
            "解决之后再运行同一条命令，会从这里继续"
        ),
    })
}

/// Returns what to do about an error of the engine's.
pub(super) fn engine(error: &EngineError) -> Option<String> {
    match error {
        EngineError::Kernel(error) => backend(error),
        EngineError::Shaping(error) => shaping(error),
        EngineError::Refused(refused) => Some(refusal::of(refused)),
        EngineError::RolledBack { why, left: None } => engine(why),
        EngineError::RolledBack { left: Some(_), .. } => Some(tr!(
            "the rules before are not all back yet; the next tick puts them back, `pm monitor` does \
             so now",
            "原来的规则还没有全部恢复；下一次 tick 会恢复，`pm monitor` 立即恢复"
        )),
        EngineError::OldKernel { .. } => Some(tr!(
            "install a newer kernel; Debian 11, Ubuntu 22.04 and Alpine 3.13 have one",
            "安装更新的内核；Debian 11、Ubuntu 22.04 和 Alpine 3.13 自带的就够新"
        )),
        EngineError::Unsettled { .. } => Some(tr!(
            "look for it with `nft monitor`, stop it, then run `pm monitor`",
            "用 `nft monitor` 找出它并停掉，再运行 `pm monitor`"
        )),
        EngineError::Store(error) => store(error),
        EngineError::NoUplink
        | EngineError::Changed
        | EngineError::Archive(_)
        | EngineError::Random(_)
        | EngineError::NoOutbox { .. }
        | EngineError::Outbox(_)
        | EngineError::OutboxLost(_)
        | EngineError::PushTooLong { .. }
        | EngineError::NotStarted(_) => None,
    }
}

/// Most of these errors say themselves what to do.
fn store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::ConfigUnreadable { why, .. } if why.kind() == ErrorKind::PermissionDenied => {
            Some(tr!(
                "run it as root (with `sudo`)",
                "以 root 运行（加 `sudo`）"
            ))
        }
        StoreError::ConfigInvalid { why, .. } => Some(config(why).unwrap_or_else(last_good)),
        StoreError::ConfigNotUtf8 { .. } | StoreError::ConfigGone { .. } => Some(last_good()),
        StoreError::ConfigRefused { why, .. } => config(why),
        StoreError::ConfigOfPmSh { .. } => Some(tr!(
            "`pm import --from pm.sh` takes over what is in it, with all that was used; to begin \
             without it, uninstall pm.sh first (its menu, entry 7)",
            "用 `pm import --from pm.sh` 连同已用流量一起接管；不想要它，就先卸载 pm.sh（它的菜单第 7 项）"
        )),
        StoreError::NoSuchVersion { .. } | StoreError::VersionUnusable { .. } => Some(tr!(
            "`pm config history` lists the versions that there are",
            "`pm config history` 列出现有的版本"
        )),
        StoreError::Database { .. } => Some(ask_doctor()),
        _ => None,
    }
}

/// Returns what to do about what the system refused.
fn system(why: &std::io::Error) -> Option<String> {
    match why.kind() {
        ErrorKind::PermissionDenied => Some(tr!(
            "run it as root (with `sudo`)",
            "以 root 运行（加 `sudo`）"
        )),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(tr!(
            "nothing was installed; free some space and run `pm update` again",
            "没有安装任何东西；请腾出空间，再运行 `pm update`"
        )),
        ErrorKind::ReadOnlyFilesystem => Some(tr!(
            "its file system is read-only: mount it writable (`mount -o remount,rw`)",
            "所在的文件系统是只读的：请以可写方式挂载（`mount -o remount,rw`）"
        )),
        _ => None,
    }
}

fn config(error: &ConfigError) -> Option<String> {
    match error {
        ConfigError::NoSuchGroup { group, .. } => Some(tr!(
            "add \"{group}\": {{}} to \"groups\", or take \"group\" out of the service",
            "在 \"groups\" 里加上 \"{group}\": {{}}，或从服务里去掉 \"group\""
        )),
        _ => None,
    }
}

fn last_good() -> String {
    tr!(
        "`pm config restore` puts the last good configuration back; what is there is kept as a \
         version",
        "`pm config restore` 恢复上一份可用的配置；现有的内容存为一个版本"
    )
}

fn ask_doctor() -> String {
    tr!(
        "`pm doctor` looks for what is wrong",
        "运行 `pm doctor` 查找问题"
    )
}

fn ask_for_privilege() -> String {
    tr!(
        "pm needs root, or CAP_NET_ADMIN: run it with `sudo`",
        "pm 需要 root 或 CAP_NET_ADMIN：加 `sudo` 运行"
    )
}

fn backend(error: &BackendError) -> Option<String> {
    Some(match error {
        BackendError::Permission(_) => ask_for_privilege(),
        BackendError::Unsupported(_) => tr!(
            "load it with `modprobe nf_tables`; in a container, ask who runs the host for it",
            "用 `modprobe nf_tables` 载入；容器里请找宿主机的管理者"
        ),
        BackendError::ForeignTable => tr!(
            "`pm import --from pm.sh` takes over what it has counted, where pm.sh's config.json is \
             still in its place; else delete the table with `nft delete table inet port_monitor` \
             once its figures are noted",
            "pm.sh 的 config.json 还在原处的话，用 `pm import --from pm.sh` 接管它计的流量；否则记下数字后用 \
             `nft delete table inet port_monitor` 删除这张表"
        ),
        BackendError::Raced => tr!("try again", "再试一次"),
        BackendError::Kernel { .. } => ask_doctor(),
    })
}

fn shaping(error: &ShapingError) -> Option<String> {
    Some(match error {
        ShapingError::Unsupported(_) => tr!(
            "load it with `modprobe sch_htb`; Alpine has it in the kernel `linux-lts`, not in \
             `linux-virt`; in a container, ask who runs the host for it",
            "用 `modprobe sch_htb` 载入；Alpine 的 `linux-lts` 内核有它，`linux-virt` 没有；\
             容器里请找宿主机的管理者"
        ),
        ShapingError::NoFwClassifier(_) => tr!(
            "load it with `modprobe cls_fw`, or do without it: `pm config set classifier priority`",
            "用 `modprobe cls_fw` 载入，或者不用它：`pm config set classifier priority`"
        ),
        ShapingError::Permission(_) => ask_for_privilege(),
        ShapingError::ForeignQdisc { interface, .. } => tr!(
            "pm could not put it back and leaves it alone; look at it with `tc qdisc show dev \
             {interface}`, and once nobody needs it, `tc qdisc del dev {interface} root`",
            "pm 动了就无法还原，所以不碰它；用 `tc qdisc show dev {interface}` 查看，\
             没人要用了就 `tc qdisc del dev {interface} root`"
        ),
        ShapingError::Kernel(_) => ask_doctor(),
    })
}
