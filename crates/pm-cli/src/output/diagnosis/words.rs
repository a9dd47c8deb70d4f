//! What each check found, why it matters and what to do.

mod backups;
mod kernel;
mod telling;

use std::collections::BTreeSet;

use pm_core::port::PortRange;
use pm_core::units::{SizeFamily, approximate};
use pm_engine::doctor::{Finding, StorageProblem};
use pm_store::StoreError;
use pm_store::locks::command_and_process;

use crate::language::tr;
use crate::output::errors::sentence;
use crate::output::words::{reserve, services as services_counted};

/// Why it matters, and what to do where `what` does not say so already.
pub(super) type Trouble = Option<(String, Option<String>)>;

/// Returns what was found, and what is wrong about it.
pub(super) fn of(finding: &Finding) -> (String, Trouble) {
    match finding {
        Finding::Kernel { release, supported } => (
            format!("Linux {release}"),
            (!supported).then(|| {
                trouble(
                    tr!(
                        "pm needs Linux 5.10 or newer",
                        "pm 需要 Linux 5.10 或更新版本"
                    ),
                    tr!("install a newer kernel", "安装更新的内核"),
                )
            }),
        ),
        Finding::Access { problem } => (
            problem
                .as_deref()
                .map_or_else(|| tr!("reachable", "可以访问"), |error| sentence(error)),
            problem.is_some().then(|| {
                trouble(
                    tr!(
                        "without it pm can neither count nor cut off",
                        "没有它，pm 既不能计数，也不能切断"
                    ),
                    tr!(
                        "run pm as root; if you did, `modprobe nf_tables`, and in a container ask \
                         who runs the host for CAP_NET_ADMIN",
                        "以 root 运行 pm；已经是 root 则 `modprobe nf_tables`，容器里请向宿主机的\
                         管理者要 CAP_NET_ADMIN"
                    ),
                )
            }),
        ),
        Finding::Config { services, problem } => (
            problem
                .as_deref()
                .map_or_else(|| services_counted(*services), |error| sentence(error)),
            problem.as_deref().map(|problem| match problem {
                StoreError::ConfigOfPmSh { .. } => trouble(
                    tr!("pm does nothing here yet", "pm 在这里还不会做任何事"),
                    tr!(
                        "`pm import --from pm.sh` takes over its services with all they have used",
                        "用 `pm import --from pm.sh` 接管它的服务和全部已用流量"
                    ),
                ),
                _ => self_explaining(tr!(
                    "ticks go on with the last good configuration, and no change is accepted",
                    "tick 沿用上一份可用的配置，任何改动都不被接受"
                )),
            }),
        ),
        Finding::Database { problem } => (
            problem
                .as_deref()
                .map_or_else(|| tr!("sound", "完好"), |error| sentence(error)),
            problem.is_some().then(|| {
                self_explaining(tr!(
                    "the kernel goes on counting and cutting, but nothing is saved",
                    "内核照常计数和切断，但什么也没有保存"
                ))
            }),
        ),
        Finding::Storage { problems } => storage(problems),
        Finding::Table(state) => kernel::table(*state),
        Finding::Ticks { age, overdue } => ticks(*age, *overdue),
        Finding::Backups {
            schedule,
            age,
            overdue,
            problem,
        } => match problem.as_deref() {
            Some(error) => (
                sentence(error),
                Some(self_explaining(backups::why_it_matters())),
            ),
            None => backups::of(*schedule, *age, *overdue),
        },
        Finding::Telling {
            channels,
            push,
            waiting,
            failing,
            problem,
        } => match problem.as_deref() {
            Some(error) => (
                sentence(error),
                Some(self_explaining(telling::why_it_matters())),
            ),
            None => telling::of(*channels, *push, *waiting, failing),
        },
        Finding::Menu { holder } => (menu(holder.as_deref()), None),
        Finding::Ephemeral { overlaps } => ephemeral(overlaps),
        Finding::Ssh { ports, covered } => ssh(ports, covered),
        Finding::Clock {
            zone,
            wrong,
            unzoned,
        } => clock(zone, *wrong, *unzoned),
        Finding::Shaping {
            uplinks,
            needed,
            problem,
        } => kernel::shaping(uplinks, *needed, problem.as_ref()),
        Finding::Forwarding {
            counted,
            flowtables,
            docker_proxy,
        } => kernel::forwarding(*counted, flowtables, *docker_proxy),
    }
}

fn trouble(why: String, remedy: String) -> (String, Option<String>) {
    (why, Some(remedy))
}

fn self_explaining(why: String) -> (String, Option<String>) {
    (why, None)
}

fn storage(problems: &[StorageProblem]) -> (String, Trouble) {
    let Some(problem) = problems.first() else {
        return (tr!("enough room", "空间充足"), None);
    };
    let what = match problem {
        StorageProblem::ReadOnly { dir } => {
            let dir = dir.display();
            tr!(
                "the file system of {dir} is read-only",
                "{dir} 所在的文件系统是只读的"
            )
        }
        StorageProblem::LittleSpace { dir, free } => {
            let (dir, free) = (dir.display(), approximate(*free, SizeFamily::Decimal));
            tr!("{free} left for {dir}", "{dir} 所在的磁盘只剩 {free}")
        }
    };
    let why = if problem.is_fatal() {
        tr!(
            "nothing can be saved: the kernel goes on counting and cutting, and the next tick \
             that can save catches up",
            "什么也存不下：内核照常计数和切断，等到能保存的那次 tick 再补上"
        )
    } else {
        tr!(
            "once the disk is full, nothing can be saved",
            "磁盘一满，就什么也存不下"
        )
    };
    let remedy = match problem {
        StorageProblem::ReadOnly { dir } => {
            let dir = dir.display();
            tr!(
                "mount it read-write (`findmnt -T {dir}` shows what it is); after an error of the \
                 disk check that first",
                "以读写方式挂载（`findmnt -T {dir}` 显示是哪个）；如果是磁盘出错，先检查磁盘"
            )
        }
        StorageProblem::LittleSpace { dir, .. } => {
            let dir = dir.display();
            tr!(
                "make room (`df -h {dir}`, `journalctl --vacuum-size=100M`)",
                "腾出空间（`df -h {dir}`、`journalctl --vacuum-size=100M`）"
            )
        }
    };
    (what, Some(trouble(why, remedy)))
}

fn ticks(age: Option<i64>, overdue: bool) -> (String, Trouble) {
    let what = match age {
        Some(age) => tr!("the last one {age} s ago", "上一次在 {age} 秒前"),
        None => tr!("never", "从未运行"),
    };
    let trouble = overdue.then(|| {
        trouble(
            tr!(
                "one is due each minute: until then resets wait, and a crash of the host would \
                 cost what was counted since",
                "应当每分钟一次：不运行，到期的重置就得等着，主机一旦崩溃，上次之后计的流量也会丢失"
            ),
            tr!(
                "run `pm monitor` each minute, by a systemd timer or cron",
                "用 systemd timer 或 cron 每分钟运行一次 `pm monitor`"
            ),
        )
    });
    (what, trouble)
}

fn menu(holder: Option<&str>) -> String {
    match holder.map(command_and_process) {
        None => tr!("not open", "没有打开"),
        Some(None) => tr!("open; it stops no tick", "已打开；不妨碍 tick"),
        Some(Some((command, process))) => tr!(
            "open, by {command}, process {process}; it stops no tick",
            "已打开（{command}，进程 {process}）；不妨碍 tick"
        ),
    }
}

fn ephemeral(overlaps: &[PortRange]) -> (String, Trouble) {
    if overlaps.is_empty() {
        return (tr!("no service overlaps them", "没有服务与它们重叠"), None);
    }
    let ports = join(overlaps);
    let why = tr!(
        "the host takes these ports for its own connections, which are then billed to the service",
        "本机对外连接会取用这些端口，流量就算到了服务头上"
    );
    (
        tr!(
            "services overlap them at {ports}",
            "有服务与它们重叠：{ports}"
        ),
        Some(trouble(why, reserve(overlaps))),
    )
}

fn ssh(ports: &BTreeSet<u16>, covered: &[(PortRange, u16)]) -> (String, Trouble) {
    let Some((service, port)) = covered.first() else {
        let what = if ports.is_empty() {
            tr!("no SSH server was found", "没有发现 SSH 服务")
        } else {
            let ports = join(ports);
            tr!(
                "no quota, last day or block covers port {ports}",
                "没有配额、期限或阻断涉及端口 {ports}"
            )
        };
        return (what, None);
    };
    (
        tr!(
            "service {service} covers port {port} and can be cut off",
            "服务 {service} 包含端口 {port}，而它可能被切断"
        ),
        Some(trouble(
            tr!(
                "whoever administers this host is locked out then",
                "那样就再也登录不了这台主机"
            ),
            tr!(
                "take away what can do so: `pm set {service} --group none --quota none --expires \
                 never`, or `pm unblock {service}`",
                "去掉会切断它的设置：`pm set {service} --group none --quota none --expires \
                 never`，或 `pm unblock {service}`"
            ),
        )),
    )
}

fn clock(zone: &str, wrong: bool, unzoned: bool) -> (String, Trouble) {
    if wrong {
        return (
            tr!(
                "shows a time before this pm was built",
                "显示的时间早于这个 pm 的构建时间"
            ),
            Some(trouble(
                tr!(
                    "no period ends until the clock is right",
                    "时钟校准之前，周期不会结束"
                ),
                tr!("set the clock, or let NTP do it", "校准时钟，或交给 NTP"),
            )),
        );
    }
    let trouble = unzoned.then(|| {
        trouble(
            tr!(
                "neither the configuration nor the system names a time zone, so days and periods \
                 begin at midnight UTC",
                "配置和系统都没有指定时区，每天和每个周期从 UTC 零点开始"
            ),
            tr!(
                "`pm config set time_zone Asia/Shanghai`, or wherever you are",
                "`pm config set time_zone Asia/Shanghai`，或你所在的时区"
            ),
        )
    });
    (
        tr!(
            "plausible; dates are those of {zone}",
            "时间可信；日期按 {zone} 计"
        ),
        trouble,
    )
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(",")
}
