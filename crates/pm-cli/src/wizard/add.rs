//! Adding services: which ports, and what they may use.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::calendar::{DayOfMonth, ResetPolicy};
use pm_core::config::{Config, Factor, GroupName, Mode, Note};
use pm_core::port::{PortList, PortRange};
use pm_core::request::{ContractSettings, Refusal, Request, Settings};
use pm_engine::listeners::{self, Listener};
use pm_engine::ssh;

use super::Desk;
use super::apply::{Confirm, apply};
use super::ui::look::Paint;
use super::ui::{Answer, Ui};
use super::{settings, text, when};
use crate::language::tr;

/// Asks for everything and adds it.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let (found, ssh_ports) = (listeners::all(), ssh::ports());
    let request = ask(&mut desk.ui, &desk.view.config, &found, &ssh_ports)?;
    apply(desk, &request, Confirm::Always)?;
    Ok(())
}

/// Asks for everything.
pub(super) fn ask(
    ui: &mut Ui,
    config: &Config,
    found: &BTreeMap<u16, Listener>,
    ssh_ports: &BTreeSet<u16>,
) -> Answer<Request> {
    let ports = which(ui, config, found, ssh_ports)?;
    let groups: Vec<GroupName> = config.groups.keys().cloned().collect();
    let settings = settings_of(ui, &groups)?;
    Ok(Request::Add {
        ports,
        settings,
        or_set: false,
    })
}

/// Asks which ports.
fn which(
    ui: &mut Ui,
    config: &Config,
    found: &BTreeMap<u16, Listener>,
    ssh_ports: &BTreeSet<u16>,
) -> Answer<PortList> {
    let ports: Vec<u16> = found.keys().copied().collect();
    let items: Vec<String> = found
        .iter()
        .map(|(&port, listener)| label(port, listener, config, ssh_ports))
        .collect();
    let title = tr!("Which ports?", "要监控哪些端口？");
    let hint = match (ports.is_empty(), ui.ticks()) {
        (true, _) => tr!(
            "Nothing listens here yet: type ports and ranges, such as 20000,30000-30100",
            "没有扫描到监听端口：请直接输入端口或范围，如 20000,30000-30100"
        ),
        (false, true) => tr!(
            "Found by a scan. Space ticks, Enter goes on; or type ports and ranges: 20000,30000-30100",
            "以下为扫描到的监听端口。空格勾选，回车继续；也可直接输入端口或范围：20000,30000-30100"
        ),
        (false, false) => tr!(
            "Found by a scan. Type ports and ranges: 20000,30000-30100",
            "以上为扫描到的监听端口。请输入端口或范围：20000,30000-30100"
        ),
    };
    let read = |ticked: &BTreeSet<usize>, typed: &str| {
        let mut ranges: Vec<PortRange> = Vec::new();
        for port in ticked.iter().filter_map(|&index| ports.get(index)) {
            ranges.extend(PortRange::new(*port, *port));
        }
        if !text::tidy(typed).is_empty() || ranges.is_empty() {
            ranges.extend(text::ports(typed)?.iter());
        }
        let list = PortList::new(ranges).map_err(|error| text::why(&error))?;
        let taken = list
            .iter()
            .find_map(|wanted| Some((wanted, config.overlapping(wanted)?)));
        match taken {
            Some((wanted, existing)) => Err(text::why(&Refusal::Overlap { wanted, existing })),
            None => Ok(list),
        }
    };
    loop {
        let list = ui.several(
            &title,
            &hint,
            &items,
            BTreeSet::new(),
            read,
            PortList::to_string,
        )?;
        let ssh = ssh_ports
            .iter()
            .find(|port| list.iter().any(|range| range.contains(**port)));
        let Some(ssh) = ssh else { return Ok(list) };
        let warning = tr!(
            "Port {ssh} is how this host is administered by SSH. Counting it is safe; a quota, a limit or an expiry could lock you out.",
            "端口 {ssh} 是本机的 SSH 管理端口。仅统计流量是安全的；设置配额、限速或到期日可能把你自己挡在门外。"
        );
        ui.note(&warning, Paint::Warn)?;
        if ui.confirm(tr!("Monitor it all the same?", "仍要监控它吗？"), false)? {
            return Ok(list);
        }
    }
}

fn label(port: u16, listener: &Listener, config: &Config, ssh_ports: &BTreeSet<u16>) -> String {
    let protocols = match (listener.tcp, listener.udp) {
        (true, true) => "tcp+udp",
        (true, false) => "tcp",
        _ => "udp",
    };
    let names: Vec<&str> = listener.programs.iter().map(String::as_str).collect();
    let mut label = format!("{port:<5} {protocols:<7} {}", names.join(&tr!(", ", "、")));
    if !listener.containers.is_empty() {
        let containers: Vec<&str> = listener.containers.iter().map(String::as_str).collect();
        let containers = containers.join(&tr!(", ", "、"));
        label.push_str(&tr!(" (container {containers})", "（容器 {containers}）"));
    }
    let is_monitored =
        PortRange::new(port, port).is_ok_and(|range| config.overlapping(range).is_some());
    if is_monitored {
        label.push_str(&tr!(" [monitored]", " [已监控]"));
    }
    if ssh_ports.contains(&port) {
        label.push_str(&tr!(" [SSH]", " [SSH]"));
    }
    // What a program calls itself must not steer the terminal.
    let label: String = label.chars().filter(|c| !c.is_control()).collect();
    label.trim_end().to_owned()
}

/// Asks for the settings of new services: only what differs from their defaults is set.
fn settings_of(ui: &mut Ui, groups: &[GroupName]) -> Answer<Settings> {
    let mut chosen = Settings::default();
    if !groups.is_empty() {
        chosen.group = settings::group(ui, groups, None)?.map(Some);
    }
    if chosen.group.is_none() {
        chosen.contract = contract(ui)?;
    }
    chosen.limit = settings::limit(ui, None)?.map(Some);
    chosen.limit_in = settings::limit_in(ui, None)?.map(Some);
    chosen.note = Some(settings::note(ui, &Note::default())?).filter(|note| !note.is_empty());
    let title = tr!(
        "More settings: factor, DynQoS, expiry, routed traffic?",
        "更多设置：倍率、动态限速 DynQoS、到期日、路由流量？"
    );
    if ui.confirm(title, false)? {
        if chosen.group.is_none() {
            chosen.contract.factor =
                Some(settings::factor(ui, Factor::ONE)?).filter(|factor| !factor.is_one());
        }
        chosen.dynqos = settings::dynqos(ui, None)?.map(Some);
        chosen.expires = settings::expires(ui, None)?.map(Some);
        chosen.routed = Some(settings::routed(ui, false)?).filter(|yes| *yes);
    }
    Ok(chosen)
}

/// Asks for the contract of a new holder of a quota; no factor.
pub(super) fn contract(ui: &mut Ui) -> Answer<ContractSettings> {
    let quota = settings::quota(ui, None)?;
    let mut chosen = ContractSettings {
        quota: quota.map(Some),
        ..ContractSettings::default()
    };
    if quota.is_some() {
        let first = ResetPolicy::Monthly(DayOfMonth::FIRST);
        chosen.mode = Some(settings::mode(ui, Mode::Both)?).filter(|mode| *mode != Mode::Both);
        chosen.reset = Some(when::ask(ui, first)?).filter(|reset| *reset != first.into());
    }
    Ok(chosen)
}
