//! Why nothing can be taken over from an older tool.

use pm_legacy::{Foreign, MAX_FILE_BYTES, Refusal};

pub(super) fn refusal(error: &Refusal) -> String {
    match error {
        Refusal::Missing(file) => format!("缺少文件 {file}"),
        Refusal::Damaged {
            file,
            line,
            column,
            reason,
        } => format!("{file} 第 {line} 行第 {column} 列：{reason}"),
        Refusal::TooLarge { file, bytes } => {
            format!("{file} 有 {bytes} 字节：最多读取 {MAX_FILE_BYTES} 字节")
        }
        Refusal::Foreign { file, tool, reason } => {
            let reason = match reason {
                Foreign::NoObject => "不是 JSON 对象",
                Foreign::Own => "它是 pm 自己的",
                Foreign::NoPorts => "其中没有端口",
            };
            format!("{file} 不是 {tool} 的配置：{reason}")
        }
        Refusal::Newer { file, found, known } => {
            format!("{file} 的版本是 {found}，而本 pm 最高只认识 {known}：请更新 pm")
        }
    }
}
