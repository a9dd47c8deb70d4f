//! What pm has in the kernel, and what it needs there.

use pm_engine::doctor::{ShapingProblem, TableState};

use super::{Trouble, join, trouble};
use crate::language::tr;
use crate::output::errors::sentence;

/// Returns how pm's table stands.
pub(super) fn table(state: TableState) -> (String, Trouble) {
    let out_of_force = || {
        trouble(
            tr!("nothing is counted or cut off", "既不计数，也不切断"),
            tr!("`pm restore` puts it back", "运行 `pm restore` 重新装入"),
        )
    };
    match state {
        TableState::Intact => (tr!("as they must be", "完好"), None),
        TableState::Due => (
            tr!(
                "as pm left it; usage, the date or the configuration asks for a change, which the \
                 next tick makes",
                "与 pm 留下的一样；用量、日期或配置要求的改动由下一次 tick 完成"
            ),
            None,
        ),
        TableState::Unneeded => (tr!("nothing is monitored yet", "还没有监控任何端口"), None),
        TableState::Missing => (
            tr!(
                "table inet port_monitor is missing",
                "表 inet port_monitor 不见了"
            ),
            Some(out_of_force()),
        ),
        TableState::Different => (
            tr!(
                "table inet port_monitor differs from what it must be",
                "表 inet port_monitor 与应有的不一样"
            ),
            Some(trouble(
                tr!(
                    "another program changed it, or what usage, the date or the configuration asks \
                     for is not in force yet",
                    "别的程序改过它，或者用量、日期、配置要求的改动还没有生效"
                ),
                tr!(
                    "the next tick puts it right; `pm monitor` does so now",
                    "下一次 tick 会改正；运行 `pm monitor` 则立即改正"
                ),
            )),
        ),
        TableState::TornDown => (
            tr!(
                "pm was taken out of the kernel by `pm teardown`",
                "pm 已被 `pm teardown` 移出内核"
            ),
            Some(out_of_force()),
        ),
        TableState::Foreign => (
            tr!(
                "table inet port_monitor belongs to pm.sh",
                "表 inet port_monitor 是 pm.sh 的"
            ),
            Some(trouble(
                tr!("two programs cannot share it", "两个程序不能共用一张表"),
                tr!(
                    "`pm import --from pm.sh` takes over what it has counted; without pm.sh's \
                     config.json, delete the table once its figures are noted",
                    "用 `pm import --from pm.sh` 接管它计的流量；没有 pm.sh 的 config.json 时，记下数字后删除这张表"
                ),
            )),
        ),
        TableState::Unknown => (
            tr!(
                "table inet port_monitor could not be read",
                "无法读取表 inet port_monitor"
            ),
            Some(trouble(
                tr!("see the checks above", "见上面的检查"),
                tr!("mend what they name first", "先解决上面指出的问题"),
            )),
        ),
    }
}

/// Returns how limits stand.
pub(super) fn shaping(
    uplinks: &[String],
    needed: bool,
    problem: Option<&ShapingProblem>,
) -> (String, Trouble) {
    let Some(problem) = problem else {
        let uplinks = join(uplinks);
        return (tr!("possible on {uplinks}", "可用，接口 {uplinks}"), None);
    };
    let why = if needed {
        tr!(
            "what services send is not limited now; everything else works",
            "服务的出站流量现在没有被限速；其余照常"
        )
    } else {
        tr!(
            "what services send could not be limited; everything else works",
            "服务的出站流量无法限速；其余照常"
        )
    };
    let (what, remedy) = match problem {
        ShapingProblem::NoHtb => (
            tr!("this kernel has no HTB", "这个内核没有 HTB"),
            tr!(
                "`modprobe sch_htb`; on Alpine the module comes with the kernel `linux-lts`, not \
                 with `linux-virt`; in a container ask who runs the host",
                "`modprobe sch_htb`；Alpine 的 `linux-lts` 内核带这个模块，`linux-virt` 没有；\
                 容器里请找宿主机的管理者"
            ),
        ),
        ShapingProblem::NoFwClassifier => (
            tr!(
                "this kernel has no fw classifier, which the classifier `fwmark` takes",
                "这个内核没有 fw 分类器，而分类方式 `fwmark` 需要它"
            ),
            tr!(
                "`modprobe cls_fw`, or do without it: `pm config set classifier priority`",
                "`modprobe cls_fw`，或者不用它：`pm config set classifier priority`"
            ),
        ),
        ShapingProblem::NotInForce { interfaces } => {
            let interfaces = join(interfaces);
            (
                tr!("not in force on {interfaces}", "在 {interfaces} 上没有生效"),
                tr!(
                    "the next tick puts it back; `pm monitor` does so now",
                    "下一次 tick 会恢复；`pm monitor` 立即恢复"
                ),
            )
        }
        ShapingProblem::ForeignQdisc { interface, kind } => (
            tr!(
                "interface {interface} has a qdisc of somebody else's: {kind}",
                "接口 {interface} 上有别人设的 qdisc：{kind}"
            ),
            tr!(
                "pm does not touch it; once nobody needs it, `tc qdisc del dev {interface} root`",
                "pm 不碰它；没人要用了就运行 `tc qdisc del dev {interface} root`"
            ),
        ),
        ShapingProblem::NoUplink => (
            tr!("no interface has a default route", "没有接口带默认路由"),
            tr!(
                "limits take effect once one has, at the next tick",
                "有了默认路由，限速就在下一次 tick 生效"
            ),
        ),
        ShapingProblem::Other(problem) => (
            sentence(&**problem),
            tr!("mend what it names", "解决它指出的问题"),
        ),
    };
    (what, Some(trouble(why, remedy)))
}

/// Returns whether what is forwarded is counted.
pub(super) fn forwarding(
    counted: bool,
    flowtables: &[String],
    docker_proxy: bool,
) -> (String, Trouble) {
    let mut what = if counted {
        tr!(
            "published ports of containers are counted",
            "容器发布的端口会计入"
        )
    } else {
        tr!(
            "nothing is forwarded to other addresses",
            "没有流量转发到别的地址"
        )
    };
    if docker_proxy {
        what.push_str(&tr!(
            "; what docker-proxy relays is counted as the host's own",
            "；docker-proxy 中转的按本机流量计"
        ));
    }
    let bypassed = counted && !flowtables.is_empty();
    let trouble = bypassed.then(|| {
        let flowtables = join(flowtables);
        trouble(
            tr!(
                "packets that flowtable {flowtables} takes pass pm by: they are neither counted \
                 nor cut off",
                "被 flowtable {flowtables} 接走的数据包绕过 pm：既不计数，也不会被切断"
            ),
            tr!(
                "leave the published ports out of it, or remove it",
                "不要让它接管发布的端口，或者删掉它"
            ),
        )
    });
    (what, trouble)
}
