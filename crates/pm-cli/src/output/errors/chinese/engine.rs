//! What can go wrong above the single parts.

use pm_engine::EngineError;
use pm_store::outbox_db::MOST_BODY;

use super::{kernel, request, store};

pub(super) fn engine(error: &EngineError) -> String {
    match error {
        EngineError::Store(error) => store::store(error),
        EngineError::Kernel(error) => kernel::backend(error),
        EngineError::Shaping(error) => kernel::shaping(error),
        EngineError::Refused(refusal) => request::refusal(refusal),
        EngineError::NoUplink => {
            "没有接口带默认路由：有了默认路由，服务的出站流量才会被限速".to_owned()
        }
        EngineError::RolledBack { why, left: _ } => {
            format!("改动没有生效，已恢复原样：{}", engine(why))
        }
        EngineError::OldKernel { release } => {
            format!("Linux {release} 太旧：pm 需要 5.10 或更新版本")
        }
        EngineError::Unsettled { rounds } => {
            format!("试了 {rounds} 轮，规则仍不稳定：有别的程序在不断改动表 inet port_monitor")
        }
        EngineError::Changed => "配置或用量刚刚被别人改过".to_owned(),
        EngineError::Archive(error) => {
            format!("无法生成归档：{}", crate::commands::archive::why(error))
        }
        EngineError::Random(why) => format!("系统没有给出随机数：{why}"),
        EngineError::NoOutbox { path, why } => {
            let why = match &**why {
                "it is no directory of the delivering user's" => "它不是发送用户的目录",
                "only root can act as the delivering user" => "只有 root 能以发送用户的身份操作",
                why => why,
            };
            format!(
                "无法使用 {}：{why}；请运行 `pm setup` 建立它",
                path.display()
            )
        }
        EngineError::Outbox(error) | EngineError::OutboxLost(error) => store::outbox(error),
        EngineError::PushTooLong { bytes } => {
            format!("全部服务的状态太长，无法推送：{bytes} 字节，最多 {MOST_BODY} 字节")
        }
        EngineError::NotStarted(why) => format!("无法启动 `pm deliver`：{why}"),
    }
}
