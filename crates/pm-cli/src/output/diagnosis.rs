//! What a self-check found, in words: what, why it matters, what to do.

pub(crate) mod schedule;
mod words;

use std::fmt;

use pm_core::language::Language;
use pm_engine::doctor::{Finding, Severity};
use serde::Serialize;

use crate::language::tr;

/// One check for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    check: &'static str,
    #[serde(skip)]
    name: String,
    status: &'static str,
    #[serde(skip)]
    severity: Severity,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Diagnosis {
    /// Returns how bad it is.
    pub(crate) fn severity(&self) -> Severity {
        self.severity
    }

    fn new(
        (check, name): (&'static str, String),
        severity: Severity,
        (what, trouble): (String, words::Trouble),
    ) -> Self {
        let status = match severity {
            Severity::Fine => "ok",
            Severity::Warning => "warning",
            Severity::Failure => "failure",
        };
        let (why, remedy) = trouble.map_or((None, None), |(why, remedy)| (Some(why), remedy));
        Self {
            check,
            name,
            status,
            severity,
            what,
            why,
            remedy,
        }
    }
}

/// Returns a finding in words.
pub(crate) fn of(finding: &Finding) -> Diagnosis {
    Diagnosis::new(check(finding), finding.severity(), words::of(finding))
}

/// Returns where what is said about a check begins in its line.
pub(crate) fn indent() -> usize {
    match crate::language::current() {
        Language::English => 9,
        Language::Chinese => 5,
    }
}

/// Returns the name of a check, for programs and for people.
fn check(finding: &Finding) -> (&'static str, String) {
    match finding {
        Finding::Kernel { .. } => ("kernel", tr!("kernel", "内核")),
        Finding::Access { .. } => ("nftables", tr!("nftables", "nftables")),
        Finding::Config { .. } => ("configuration", tr!("configuration", "配置")),
        Finding::Database { .. } => ("usage", tr!("usage", "用量")),
        Finding::Storage { .. } => ("storage", tr!("storage", "存储")),
        Finding::Table(_) => ("rules", tr!("rules", "规则")),
        Finding::Ticks { .. } => ("ticks", tr!("ticks", "tick")),
        Finding::Backups { .. } => ("backups", tr!("backups", "备份")),
        Finding::Telling { .. } => ("notifications", tr!("notifications", "通知")),
        Finding::Menu { .. } => ("menu", tr!("menu", "菜单")),
        Finding::Ephemeral { .. } => ("ephemeral ports", tr!("ephemeral ports", "临时端口")),
        Finding::Ssh { .. } => ("ssh", tr!("ssh", "SSH")),
        Finding::Clock { .. } => ("clock", tr!("clock", "时钟")),
        Finding::Shaping { .. } => ("limits", tr!("limits", "限速")),
        Finding::Forwarding { .. } => ("forwarding", tr!("forwarding", "转发")),
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, what, .. } = self;
        let status = match self.severity {
            Severity::Fine => tr!("ok      ", "正常"),
            Severity::Warning => tr!("warning ", "警告"),
            Severity::Failure => tr!("failure ", "失败"),
        };
        writeln!(f, "{status} {}", tr!("{name}: {what}", "{name}：{what}"))?;
        if let Some(why) = &self.why {
            writeln!(f, "{}", tr!("         why: {why}", "     原因：{why}"))?;
        }
        if let Some(remedy) = &self.remedy {
            writeln!(
                f,
                "{}",
                tr!("         do:  {remedy}", "     办法：{remedy}")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
