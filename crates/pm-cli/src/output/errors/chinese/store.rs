//! Why the disk did not do its part.

use std::path::Path;

use pm_store::StoreError;
use pm_store::action::{Action, Expected};
use pm_store::locks::{UNKNOWN_HOLDER, command_and_process};
use pm_store::outbox_db::OutboxError;
use pm_store::paths::LockKind;

use super::config::config;

pub(super) fn store(error: &StoreError) -> String {
    match error {
        StoreError::ConfigUnreadable { path, why } => {
            format!("{}：{why}", cannot(Action::Read, path))
        }
        StoreError::ConfigGone {
            path,
            versions,
            state,
        } => format!(
            "{}：它不见了；从 {} 里放回一个旧版本，或者把 {} 也移走，从零开始",
            unusable(path),
            versions.display(),
            state.display()
        ),
        StoreError::ConfigChanged { path } => {
            format!("{}：刚刚有人改过它；请再来一次", cannot(Action::Save, path))
        }
        StoreError::StateGone { path } => format!(
            "{}：它不见了或是空的，每个服务的用量也随之丢失；放回备份，或用 `pm restore --anew` \
             从零用量开始",
            unusable(path)
        ),
        StoreError::ConfigNotUtf8 { path, line } => format!(
            "{}：第 {line} 行不是 UTF-8；请改正，或放回旁边的一个旧版本",
            unusable(path)
        ),
        StoreError::ConfigInvalid { path, why } => format!(
            "{}：{}；请改正，或放回旁边的一个旧版本",
            unusable(path),
            config(why)
        ),
        StoreError::ConfigNewer { path, why } | StoreError::ConfigOfPmSh { path, why } => {
            format!("{}：{}", unusable(path), config(why))
        }
        StoreError::ConfigRefused { path, why } => format!(
            "{}：{}；没有做任何改动",
            cannot(Action::Save, path),
            config(why)
        ),
        StoreError::NoSuchVersion { number, dir } => {
            format!("{} 里没有版本 {number}", dir.display())
        }
        StoreError::VersionUnusable { path, why } => {
            format!("无法使用 {}：{}；请选别的版本", path.display(), config(why))
        }
        StoreError::Linked {
            path,
            target,
            option,
        } => format!(
            "{}：它是指向 {} 的符号链接，而 pm 只在自己的目录里写；请链接整个目录，或用 {option} \
             指定那个目录",
            cannot(Action::Write, path),
            target.display()
        ),
        StoreError::Exists { path } => format!(
            "无法写入 {}：它已经存在；请换个文件名，或加上 `--force`",
            path.display()
        ),
        StoreError::TooLarge { path, most } => {
            format!("{}：超过 {} MiB", unusable(path), most >> 20)
        }
        StoreError::WrongKind { path, expected } => format!(
            "{}：它不是{}；请把它移走",
            unusable(path),
            match expected {
                Expected::File => "文件",
                Expected::Directory => "目录",
            }
        ),
        StoreError::NotAFile { path } => format!(
            "{}：它不是普通文件，而是链接、目录之类；请直接指定文件本身",
            unusable(path)
        ),
        StoreError::NotThere { action, path } => {
            format!("{}：它不存在；请检查名称", cannot(*action, path))
        }
        StoreError::NotPrivate { path } => format!(
            "{}：所有用户都能写它；请对它运行 `chmod 700`",
            unusable(path)
        ),
        StoreError::Permission { action, path, why } => {
            format!(
                "{}：{why}；请以 root 运行（加 sudo）",
                cannot(*action, path)
            )
        }
        StoreError::ReadOnly { action, path } => format!(
            "{}：所在的文件系统是只读的；请以可写方式挂载（`mount -o remount,rw`）：{CATCHES_UP}",
            cannot(*action, path)
        ),
        StoreError::DiskFull { action, path, why } => {
            format!("{}：{why}；请腾出空间：{CATCHES_UP}", cannot(*action, path))
        }
        StoreError::Io { action, path, why } => format!(
            "{}：{why}；请在内核日志（dmesg）里看看磁盘的情况",
            cannot(*action, path)
        ),
        StoreError::Locked { action, path } => {
            format!("{}：另一个进程正在使用它；请再试", cannot(*action, path))
        }
        StoreError::Damaged { path, why } => format!(
            "{} 已损坏：{why}；内核照常计数和切断；请从备份恢复，或把它（连同 -wal 和 -shm 文件）\
             移走，用 `pm restore --anew` 从零开始",
            path.display()
        ),
        StoreError::Foreign { path } => format!(
            "{} 不是 pm 的，是别的程序的数据库；请把它移走，或用 --state-dir 指定别的目录",
            path.display()
        ),
        StoreError::NewerSchema { path, found, known } => format!(
            "{} 的 schema 是 {found}，这个 pm 最高只认 {known}：请更新 pm",
            path.display()
        ),
        StoreError::OlderSchema { path, found } => format!(
            "{} 的 schema 还是旧的 {found}：运行一次 `pm monitor` 就会更新",
            path.display()
        ),
        StoreError::Superseded { path } => format!(
            "{}：另一个进程刚刚保存过它；请重新载入",
            cannot(Action::Save, path)
        ),
        StoreError::Database { action, path, why } => {
            format!("{}：{why}", cannot(*action, path))
        }
        StoreError::Held {
            kind,
            path,
            holder,
            waited,
        } => format!(
            "等了 {} 秒也没有拿到{}锁（{}）：{}；等它完成后再试",
            waited.as_secs(),
            match kind {
                LockKind::Update => "更新",
                LockKind::Edit => "编辑",
                LockKind::Write => "写入",
                LockKind::Tick => " tick ",
            },
            path.display(),
            held_by(holder)
        ),
    }
}

const CATCHES_UP: &str = "内核照常计数和切断，下一次能保存的 tick 会补上";

/// Returns who holds a lock.
fn held_by(holder: &str) -> String {
    if holder == UNKNOWN_HOLDER {
        return "它被另一个进程占用".to_owned();
    }
    match command_and_process(holder) {
        Some((command, id)) => format!("它被 {command}（进程 {id}）占用"),
        None => format!("它被 {holder} 占用"),
    }
}

fn unusable(path: &Path) -> String {
    format!("无法使用 {}", path.display())
}

fn cannot(action: Action, path: &Path) -> String {
    let path = path.display();
    match action {
        Action::LookAt => format!("无法查看 {path}"),
        Action::MakeDirectory => format!("无法建立目录 {path}"),
        Action::SyncDirectory => format!("无法把目录 {path} 写到磁盘"),
        Action::Make => format!("无法建立 {path}"),
        Action::Read => format!("无法读取 {path}"),
        Action::Write => format!("无法写入 {path}"),
        Action::Lock => format!("无法锁定 {path}"),
        Action::Open => format!("无法打开 {path}"),
        Action::Copy => format!("无法复制 {path}"),
        Action::Remove => format!("无法删除 {path}"),
        Action::KeepVersion => format!("无法保留 {path} 的旧版本"),
        Action::List => format!("无法列出 {path}"),
        Action::ChangeMode => format!("无法更改 {path} 的权限"),
        Action::Load => format!("无法载入 {path}"),
        Action::Save => format!("无法保存 {path}"),
        Action::Check => format!("无法检查 {path}"),
        Action::Upgrade => format!("无法把 {path} 更新到新的 schema"),
    }
}

pub(super) fn outbox(error: &OutboxError) -> String {
    match error {
        OutboxError::Damaged { path, why } => {
            format!("{} 已不是 pm 留下的样子：{why}", path.display())
        }
        OutboxError::Busy { path } => format!("{} 正在使用中", path.display()),
        OutboxError::Unusable { path, why } => format!("无法使用 {}：{why}", path.display()),
    }
}
