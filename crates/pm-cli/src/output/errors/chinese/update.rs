//! Why pm was not renewed.

use pm_update::UpdateError;
use pm_update::error::Action;
use pm_update::fetch::FetchError;
use pm_update::manifest::{Fault, Field, ManifestError};
use pm_update::offer::{List, NotForThis};
use pm_update::proxy::ProxyRefusal;
use pm_update::signature::SignatureError;
use pm_update::trial::{Failure, How, Step};

use super::store::store;

pub(super) fn update(error: &UpdateError) -> String {
    match error {
        UpdateError::NoKeys => {
            "这个 pm 编译时没有给定验证新版本的密钥，所以没有更新来源".to_owned()
        }
        UpdateError::NoSource => "这个 pm 编译时没有给定新版本的下载地址".to_owned(),
        UpdateError::Packaged { path } => format!("{} 属于一个软件包", path.display()),
        UpdateError::Key(key) => format!(
            "这个 pm 编译时给定的密钥有误：`{}` 不是 minisign 公钥",
            key.0
        ),
        UpdateError::Fetch(error) => fetch(error),
        UpdateError::Untrusted { from, why } => {
            format!("{from} 上的版本不可信：{}", untrusted(*why))
        }
        UpdateError::Manifest(error) => format!("读不懂这个版本的清单：{}", manifest(error)),
        UpdateError::NotForThis(error) => not_for_this(error),
        UpdateError::Store(error) => store(error),
        UpdateError::Program { action, path, why } => {
            let path = path.display();
            match action {
                Action::Find => format!("找不到 {path}：{why}"),
                Action::Make => format!("无法建立 {path}：{why}"),
                Action::Keep => format!("无法保留 {path} 的副本：{why}"),
                Action::Replace => format!("无法替换 {path}：{why}"),
            }
        }
        UpdateError::Trial {
            version, failure, ..
        } => {
            format!(
                "pm {version} 在这里不能工作，一切都已保持原样：{}",
                failed(failure)
            )
        }
    }
}

fn fetch(error: &FetchError) -> String {
    match error {
        FetchError::NotAnAddress(address) => {
            format!("`{address}` 不是下载地址：它要以 https:// 或 http:// 开头")
        }
        FetchError::Unreachable { url, why } => format!("无法下载 {url}：{why}"),
        FetchError::TooSlow { url, seconds } => {
            format!("无法下载 {url}：等了 {seconds} 秒还没有下完")
        }
        FetchError::NotHttp { url } => format!("无法下载 {url}：对方的回答不是 HTTP"),
        FetchError::NotAProxy { variable } => {
            format!("无法使用 {variable} 指定的代理：只支持 http://主机:端口 形式的")
        }
        FetchError::Proxy { url, variable, why } => format!(
            "无法通过 {variable} 指定的代理下载 {url}：{}",
            match why {
                ProxyRefusal::Credentials => "代理不接受其中的用户名和密码",
                ProxyRefusal::Connection => "代理不肯连接",
            }
        ),
        FetchError::Refused { url, status } => format!("无法下载 {url}：服务器回答 {status}"),
        FetchError::Short { url, got, expected } => {
            format!("下载 {url} 中断：共 {expected} 字节，只收到 {got} 字节")
        }
        FetchError::TooLong { url, most } => format!("{url} 超过了 {most} 字节"),
        FetchError::Tampered { url } => {
            format!("{url} 与签名的清单不符：SHA-256 不同")
        }
        FetchError::Disk(why) => format!("无法保存下载的内容：{why}"),
    }
}

fn untrusted(error: SignatureError) -> &'static str {
    match error {
        SignatureError::Malformed => "签名文件不是 minisign 签名",
        SignatureError::UnknownKey => "签名用的密钥不是这个 pm 认识的",
        SignatureError::Wrong => "签名不符：签名之后被改动过",
    }
}

fn manifest(error: &ManifestError) -> String {
    match error {
        ManifestError::NotARelease => "它不是 pm 的版本清单：第一行不是 `pm-release 1`".to_owned(),
        ManifestError::OtherFormat { found } => format!("它是格式 {found}，这个 pm 只认格式 1"),
        ManifestError::Line { line, fault } => format!(
            "第 {line} 行有误：{}",
            match fault {
                Fault::Words => "词太少或太多",
                Fault::Repeated => "重复说了前面说过的",
                Fault::Version => "版本号不对",
                Fault::Target => "机器的名称不对",
                Fault::Size => "大小不是 1 到 67108864 之间的数",
                Fault::Digest => "SHA-256 不对",
                Fault::Name => "文件名不对",
            }
        ),
        ManifestError::Missing(Field::Version) => "它没有写明版本".to_owned(),
        ManifestError::Missing(Field::Minimum) => "它没有写明可升级的最低版本".to_owned(),
    }
}

fn not_for_this(error: &NotForThis) -> String {
    match error {
        NotForThis::Older { offered, current } => {
            format!("那里的版本是 {offered}，比当前的 {current} 旧")
        }
        NotForThis::StepBetween {
            offered,
            minimum,
            current,
        } => format!("pm {offered} 只能从 {minimum} 或更新的版本升级，当前是 {current}"),
        NotForThis::OtherMachine {
            offered,
            wanted,
            there,
        } => format!(
            "pm {offered} 没有适用于本机（{}）的程序，只有：{}",
            List(wanted),
            List(there)
        ),
    }
}

fn failed(failure: &Failure) -> String {
    let step = match failure.step {
        Step::Version => "报告版本时",
        Step::Account => "接管 config.json 和 state.db 时",
        Step::Tick => "做 tick 时",
    };
    let how = match &failure.how {
        How::NotStarted(why) => format!("它无法启动：{why}"),
        How::Code(code) => format!("它以退出码 {code} 失败"),
        How::Signal(signal) => format!("它被信号 {signal} 终止"),
        How::Hung(seconds) => format!("它 {seconds} 秒后还没有完成"),
        How::OtherVersion => "它自称是另一个版本".to_owned(),
    };
    match failure.said.trim() {
        "" => format!("{step}{how}"),
        said => format!("{step}{how}：{said}"),
    }
}
