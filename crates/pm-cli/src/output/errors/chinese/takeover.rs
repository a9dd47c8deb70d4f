//! Why a host could not be taken over from an older tool, or given back.

use pm_takeover::{Action, TakeoverError};

use super::cause;

pub(super) fn takeover(error: &TakeoverError) -> String {
    match error {
        TakeoverError::NotThere { tool, directory } => {
            format!("没有找到 {tool}：{} 里没有它的配置", directory.display())
        }
        TakeoverError::TakenOver { tool } => format!("{tool} 已经接管过了"),
        TakeoverError::Unreadable { tool, .. } => format!("无法读取 {tool} 写的文件"),
        TakeoverError::AtWork { tool, path } => {
            format!("{tool} 正在运行：它占用着 {}", path.display())
        }
        TakeoverError::Changed { tool } => format!("{tool} 的端口在此期间变了"),
        TakeoverError::Io {
            action,
            path,
            source,
        } => {
            let action = match action {
                Action::Read => "读取",
                Action::Write => "写入",
                Action::Remove => "删除",
                Action::Lock => "锁定",
            };
            format!("无法{action} {}：{source}", path.display())
        }
        TakeoverError::Damaged { path, source } => format!("{} 已损坏：{source}", path.display()),
        TakeoverError::Occupied { path } => {
            format!(
                "{} 是 pm.sh 自己的配置，而 pm 的配置也要放在那里",
                path.display()
            )
        }
        TakeoverError::Overlap { tool, ports } => {
            let pms = pm_takeover::ports(ports.iter().map(|(pms, _)| pms));
            let its = pm_takeover::ports(ports.iter().map(|(_, its)| its));
            format!("pm 已有 {pms}，而 {tool} 也有 {its}")
        }
        TakeoverError::Interrupted => "已中断，一切保持原样".to_owned(),
        TakeoverError::Signals(source) => format!("无法暂缓信号：{source}"),
        TakeoverError::NothingToUndo => "没有从别的工具接管过，或者已经还回去了".to_owned(),
        TakeoverError::InTheWay { path } => {
            format!("{} 又存在了，而且不是 pm 留下的", path.display())
        }
        TakeoverError::Kernel(error) => cause(error),
        TakeoverError::TrafficControl(error) => cause(error),
        TakeoverError::Setup(error) => cause(error),
        TakeoverError::Engine(error) => cause(error),
        TakeoverError::Store(error) => cause(error),
    }
}
