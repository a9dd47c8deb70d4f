//! Why a text is not a configuration.

use pm_core::config::{ConfigError, SCHEMA};

use super::reason;

pub(super) fn config(error: &ConfigError) -> String {
    match error {
        ConfigError::Invalid {
            line,
            column,
            reason,
        } => format!("第 {line} 行第 {column} 列：{}", reason::of(reason)),
        ConfigError::NewerSchema { found } => {
            format!("它的 schema 是 {found}，这个 pm 最高只认 {SCHEMA}：请更新 pm")
        }
        ConfigError::Overlap(one, other) => {
            format!("服务 {one} 和 {other} 重叠：一个端口只能属于一个服务")
        }
        ConfigError::NoSuchGroup { ports, group } => {
            format!("服务 {ports} 在组 {group} 里，而 groups 里没有这个组")
        }
        ConfigError::PmSh => "它是 pm.sh 的：导入之前 pm 不碰它".to_owned(),
    }
}
