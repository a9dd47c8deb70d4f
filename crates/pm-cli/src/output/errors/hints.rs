//! What to do about an error.

use std::io::ErrorKind;

use pm_core::backend::{BackendError, ShapingError};
use pm_core::calendar::ResetChoice;
use pm_core::config::ConfigError;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::request::{NotifyRefusal, Refusal, Request};
use pm_engine::EngineError;
use pm_setup::SetupError;
use pm_store::StoreError;
use pm_takeover::TakeoverError;
use pm_update::UpdateError;
use pm_update::fetch::FetchError;
use pm_update::offer::NotForThis;
use pm_update::signature::SignatureError;

use crate::language::tr;
use crate::output::table::join;
use crate::output::words::{add_group, another_last_day, reset_group, set_group, ways_out};

/// Returns what to do about an error, where that is known.
pub(super) fn of(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return engine(error);
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return store(error);
    }
    if let Some(error) = error.downcast_ref::<UpdateError>() {
        return update(error);
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
        EngineError::Refused(refused) => Some(refusal(refused)),
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

fn update(error: &UpdateError) -> Option<String> {
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

fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Overlap { wanted, existing } if wanted == existing => tr!(
            "change it with `pm set {existing}`, or say `--or-set`",
            "用 `pm set {existing}` 修改，或加上 `--or-set`"
        ),
        Refusal::Overlap { existing, .. } => tr!(
            "delete that one first (`pm del {existing}`), or choose other ports",
            "先删除那个服务（`pm del {existing}`），或换别的端口"
        ),
        Refusal::Unknown(ports) => tr!(
            "see `pm list`; monitor it with `pm add {ports}`",
            "看 `pm list`；要监控它，运行 `pm add {ports}`"
        ),
        Refusal::Partial { existing, .. } => tr!(
            "name the whole service: {existing}",
            "写出整个服务：{existing}"
        ),
        Refusal::Ssh { .. } => tr!(
            "if that is what you want, say it again with `--force`",
            "确实要这样，就加上 `--force` 再来一次"
        ),
        Refusal::Spent { holder, .. } => ways_out(holder),
        Refusal::Expired(ports) => another_last_day(*ports),
        Refusal::NoToday(choice) => {
            let from = match choice {
                ResetChoice::EveryMonths(..) => "YYYY-MM",
                ResetChoice::EveryDays(_) | ResetChoice::Policy(_) => "YYYY-MM-DD",
            };
            tr!(
                "set the clock, or say from when: `{choice} from {from}`",
                "校准时钟，或写明从何时起：`{choice} from {from}`"
            )
        }
        Refusal::Nothing => tr!(
            "the command with `--help` says what can be set, such as `pm set --help`",
            "能改什么，在命令后加 `--help` 查看，例如 `pm set --help`"
        ),
        Refusal::UsedOfSeveral => tr!("name one service", "只写一个服务"),
        Refusal::UsedWithGroup => tr!(
            "say it in two commands, first the one with `--group`",
            "分两条命令来做，先做带 `--group` 的那条"
        ),
        Refusal::NoServices => tr!("begin with `pm add PORT`", "先运行 `pm add 端口`"),
        Refusal::NoSuchGroup(name) => {
            let add = add_group(name);
            tr!(
                "make it with `{add}`, or see `pm group list`",
                "用 `{add}` 建立，或看看 `pm group list`"
            )
        }
        Refusal::GroupExists(name) => {
            let set = set_group(name);
            tr!(
                "change it with `{set}`, or say `--or-set`",
                "用 `{set}` 修改，或加上 `--or-set`"
            )
        }
        Refusal::HasPast(Holder::Service(ports)) => tr!(
            "leave it out, or delete it first (`pm del {ports}`): what was used stays in `pm history`",
            "略过它，或先删除它（`pm del {ports}`）：用过的流量仍在 `pm history` 里"
        ),
        Refusal::HasPast(Holder::Group(name)) => {
            let delete = Request::DeleteGroup { name: name.clone() };
            tr!(
                "leave it out, or delete it first (`{delete}`): what was used stays in `pm history`",
                "略过它，或先删除它（`{delete}`）：用过的流量仍在 `pm history` 里"
            )
        }
        Refusal::HasMembers { members, .. } => {
            let ports = short(members);
            tr!(
                "take them out of it first (`pm set {ports} --group none`), or delete them \
                 (`pm del {ports}`)",
                "先把它们移出去（`pm set {ports} --group none`），或删除它们（`pm del {ports}`）"
            )
        }
        Refusal::Member { ports, group } => {
            let (set, reset) = (set_group(group), reset_group(group));
            tr!(
                "change the group (`{set} …`, `{reset}`), or take the service out of it first \
                 (`pm set {ports} --group none`)",
                "改组的设置（`{set} …`、`{reset}`），或先把服务移出组\
                 （`pm set {ports} --group none`）"
            )
        }
        Refusal::NoShaping(_) => tr!(
            "counting, quotas and `--limit-in` work without it; `pm doctor` says what to do about \
             it",
            "计数、配额和 `--limit-in` 不受影响；怎么解决，运行 `pm doctor`"
        ),
        Refusal::NoClassifier { .. } => tr!(
            "the kernel's modules for it are sch_htb and cls_fw; `pm config set classifier \
             priority` does without the second",
            "它需要内核模块 sch_htb 和 cls_fw；`pm config set classifier priority` 不需要后者"
        ),
        Refusal::Notify(refusal) => notify_refusal(refusal),
    }
}

fn notify_refusal(refusal: &NotifyRefusal) -> String {
    match refusal {
        NotifyRefusal::ChannelExists(name) => tr!(
            "change it with `pm notify set {name}`",
            "用 `pm notify set {name}` 修改"
        ),
        NotifyRefusal::NoSuchChannel(_) => tr!(
            "see `pm notify list`, or make one with `pm notify add`",
            "看看 `pm notify list`，或用 `pm notify add` 添加"
        ),
        NotifyRefusal::NotOfKind { name, .. } => tr!(
            "leave it out, or delete the channel (`pm notify del {name}`) and add one of the other \
             kind",
            "去掉它，或删除这个渠道（`pm notify del {name}`）再添加另一种"
        ),
        NotifyRefusal::Setting(_) => tr!(
            "see `pm notify add --help` for what goes together",
            "哪些设置能搭配，见 `pm notify add --help`"
        ),
        NotifyRefusal::PushLacks(_) | NotifyRefusal::NoPush => tr!(
            "set it up with `pm push set --url URL --node NAME --secret-file FILE`",
            "用 `pm push set --url 地址 --node 名称 --secret-file 文件` 设置"
        ),
    }
}

/// Returns services as they are typed, or what stands for them where they are many.
fn short(ports: &[PortRange]) -> String {
    const MOST: usize = 8;
    if ports.len() > MOST {
        tr!("PORTS", "端口")
    } else {
        join(ports)
    }
}
