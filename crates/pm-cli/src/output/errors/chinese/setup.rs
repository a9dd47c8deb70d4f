//! Why pm could not settle on a host, or leave it.

use pm_setup::SetupError;
use pm_setup::error::{Action, Unsuitable};

pub(super) fn setup(error: &SetupError) -> String {
    match error {
        SetupError::Foreign { path } => {
            format!("{} 已存在，但不是 pm 写的", path.display())
        }
        SetupError::ForeignUser { name } => format!("用户 {name} 已存在，但不是 pm 建的"),
        SetupError::ForeignGroup { name } => format!("组 {name} 已存在，但不是 pm 建的"),
        SetupError::Program { path, why } => {
            let why = match why {
                Unsuitable::Place => "服务访问不到那个目录，或者它会被清空",
                Unsuitable::Writable => "root 以外的人能改这个文件，而 root 会运行它",
                Unsuitable::Replaceable => "root 以外的人能改它上层的目录，换掉 root 会运行的文件",
            };
            format!("pm 不能一直放在 {}：{why}", path.display())
        }
        SetupError::NoUserTool { name } => {
            format!("无法增删用户 {name}：主机上没有 useradd、adduser 这类工具")
        }
        SetupError::Io {
            action,
            path,
            source,
        } => {
            let action = match action {
                Action::Read => "读取",
                Action::Write => "写入",
                Action::MakeDirectory => "新建目录",
                Action::Link => "新建链接",
                Action::Remove => "删除",
            };
            format!("无法{action} {}：{source}", path.display())
        }
        SetupError::Command { command, why } => format!("`{command}` 失败：{why}"),
    }
}
