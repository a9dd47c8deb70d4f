//! Why the kernel did not do its part.

use pm_core::backend::{BackendError, ShapingError};
use pm_netlink::{Malformed, Rejection};
use pm_tc::ShapeError;

use super::cause;

pub(super) fn backend(error: &BackendError) -> String {
    match error {
        BackendError::Permission(why) => format!("内核不允许访问 nftables：{}", cause(&**why)),
        BackendError::Unsupported(_) => "这个内核没有 nf_tables".to_owned(),
        BackendError::ForeignTable => "表 inet port_monitor 是 pm.sh 的".to_owned(),
        BackendError::Raced => "别的程序同时改动了规则".to_owned(),
        BackendError::Kernel { context, source } => {
            let task = context.strip_prefix("cannot ").unwrap_or(context);
            format!("{}：{}", cannot(task), cause(&**source))
        }
    }
}

pub(super) fn shaping(error: &ShapingError) -> String {
    match error {
        ShapingError::Unsupported(_) => "这个内核没有 HTB".to_owned(),
        ShapingError::NoFwClassifier(_) => "这个内核没有 fw 分类器".to_owned(),
        ShapingError::Permission(why) => format!("内核不允许访问流量控制：{}", cause(&**why)),
        ShapingError::ForeignQdisc { interface, kind } => foreign_qdisc(interface, kind),
        ShapingError::Kernel(why) => cause(&**why),
    }
}

pub(super) fn tc(error: &pm_tc::Error) -> String {
    use pm_tc::Error;
    match error {
        Error::NoSuchInterface(name) => format!("没有可以限速的接口 {name}"),
        Error::ForeignQdisc { interface, kind } => foreign_qdisc(interface, kind),
        Error::Unsupported(_) => "这个内核没有 HTB（模块 sch_htb）".to_owned(),
        Error::NoFwClassifier(_) => "这个内核没有 fw 分类器（模块 cls_fw）".to_owned(),
        Error::Permission(_) => "内核不允许访问流量控制".to_owned(),
        Error::Raced => "读取流量控制时它一直在变".to_owned(),
        Error::Refused {
            interface, request, ..
        } => format!("在接口 {interface} 上{}", cannot(request)),
        Error::Read { what, .. } => cannot(what),
        Error::Clock(_) => "无法从 /proc/net/psched 读取包调度器的时钟".to_owned(),
    }
}

fn foreign_qdisc(interface: &str, kind: &str) -> String {
    format!("接口 {interface} 上有别人设的 qdisc：{kind}")
}

pub(super) fn shape(error: &ShapeError) -> String {
    match error {
        ShapeError::Minor(minor) => format!("类 {minor:x} 不在 1 到 fffe 之间"),
        ShapeError::MarkTooNarrow { minor, mask } => {
            format!("类 {minor:x} 放不进标记的 {mask:#010x} 这些位")
        }
    }
}

pub(super) fn netlink(error: &pm_netlink::Error) -> String {
    use pm_netlink::Error;
    match error {
        Error::PermissionDenied => "不允许的操作".to_owned(),
        Error::SubsystemMissing => "内核没有 nf_tables".to_owned(),
        Error::GenerationChanged => "规则同时被改动了".to_owned(),
        Error::NotFound => "没有这个对象".to_owned(),
        Error::Rejected(rejections) => format!("内核拒绝了请求：{}", listed(rejections)),
        Error::DumpInterrupted => "读取规则时它一直在变".to_owned(),
        Error::TooLong { bytes } => format!("{bytes} 字节的请求放不下"),
        Error::Malformed(error) => malformed(error),
        Error::ReplyLost => "内核的应答丢失了".to_owned(),
        Error::Io(why) => format!("netlink 套接字：{why}"),
    }
}

pub(super) fn malformed(Malformed(what): &Malformed) -> String {
    format!("应答格式不对：{what}")
}

/// Returns the first of what the kernel said, in its own words.
fn listed(rejections: &[Rejection]) -> String {
    match rejections {
        [] => "原因不明".to_owned(),
        [only] => rejection(only),
        [first, rest @ ..] => format!("{}，另有 {} 条", rejection(first), rest.len()),
    }
}

fn rejection(rejection: &Rejection) -> String {
    let Rejection {
        index, errno, text, ..
    } = rejection;
    let mut said = errno.desc().to_owned();
    if let Some(text) = text {
        said.push_str(&format!("（{text}）"));
    }
    if let Some(index) = index {
        said.push_str(&format!("，第 {index} 条消息"));
    }
    said
}

/// Returns that something could not be done, of which the libraries say `read the routes` or
/// `add chain in_80`. What nobody translated stays English in brackets.
fn cannot(task: &str) -> String {
    const WHOLE: [(&str, &str); 6] = [
        ("open a netlink socket", "打开 netlink 套接字"),
        (
            "tell this network namespace from others",
            "辨认当前的网络命名空间",
        ),
        ("list the flowtables", "列出 flowtable"),
        ("read the routes", "读取路由"),
        ("read the interfaces", "读取接口"),
        ("delete filters", "删除 filter"),
    ];
    const VERBS: [(&str, &str); 14] = [
        ("read the qdiscs of interface ", "读取接口的 qdisc："),
        ("find interface ", "找到接口 "),
        ("look for qdisc ", "查找 qdisc "),
        ("add a rule to ", "添加规则到 "),
        ("add ", "添加 "),
        ("make ", "建立 "),
        ("create ", "建立 "),
        ("change ", "修改 "),
        ("delete ", "删除 "),
        ("empty ", "清空 "),
        ("restore ", "恢复 "),
        ("set ", "设置 "),
        ("read ", "读取 "),
        ("inspect ", "检查 "),
    ];
    if let Some((_, chinese)) = WHOLE.iter().find(|(english, _)| *english == task) {
        return format!("无法{chinese}");
    }
    let verb = VERBS
        .iter()
        .find_map(|(english, chinese)| Some((task.strip_prefix(english)?, chinese)));
    match verb {
        Some((object, chinese)) => format!("无法{chinese}{object}"),
        None => format!("操作失败（{task}）"),
    }
}
