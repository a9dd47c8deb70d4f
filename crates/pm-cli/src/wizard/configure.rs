//! Changing a service or a group: every setting it has, one request each.

use pm_core::calendar::ResetChoice;
use pm_core::config::{Contract, Service};
use pm_core::holder::Holder;
use pm_core::port::{PortList, PortRange};
use pm_core::request::{ContractSettings, Request, Selection, Settings};
use pm_core::units::{Size, approximate};

use super::apply::{Confirm, apply};
use super::ui::look::Paint;
use super::ui::{Answer, Entry, Stop};
use super::{Desk, pick, settings, when};
use crate::language::tr;
use crate::output::table::{family, one_line};
use crate::output::words;

/// What there is to change. Their order is that of the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Setting {
    Quota,
    Mode,
    Reset,
    Limit,
    LimitIn,
    DynQos,
    Group,
    Note,
    Used,
    Factor,
    Expires,
    Routed,
}

const OF_SERVICE: [Setting; 12] = [
    Setting::Quota,
    Setting::Mode,
    Setting::Reset,
    Setting::Limit,
    Setting::LimitIn,
    Setting::DynQos,
    Setting::Group,
    Setting::Note,
    Setting::Used,
    Setting::Factor,
    Setting::Expires,
    Setting::Routed,
];

const OF_GROUP: [Setting; 5] = [
    Setting::Quota,
    Setting::Mode,
    Setting::Reset,
    Setting::Used,
    Setting::Factor,
];

/// Asks what to change, until it is enough.
pub(super) fn open(desk: &mut Desk<'_>) -> Answer<()> {
    let mut candidates = pick::all_services(desk);
    candidates.extend(pick::all_groups(desk));
    if pick::is_empty(desk, &candidates)? {
        return Ok(());
    }
    let title = tr!("Configure which?", "修改哪一个？");
    let holder = pick::one(desk, &title, &candidates)?;
    change(desk, &holder)
}

/// Asks what to change of one of them, until it is enough.
pub(super) fn change(desk: &mut Desk<'_>, holder: &Holder) -> Answer<()> {
    loop {
        let Some(subject) = Subject::of(desk, holder) else {
            let name = words::holder(holder);
            return desk
                .ui
                .say(&tr!("{name} is not there any more.", "{name} 已不存在。"));
        };
        let listed: &[Setting] = match holder {
            Holder::Service(_) => &OF_SERVICE,
            Holder::Group(_) => &OF_GROUP,
        };
        let mut entries: Vec<Entry> = listed
            .iter()
            .enumerate()
            .map(|(index, &setting)| subject.entry(index + 1, setting))
            .collect();
        entries.push(Entry::new(0, tr!("done", "完成")));
        let name = words::holder(holder);
        let title = tr!("What to change of {name}?", "修改 {name} 的哪一项？");
        let done = tr!("done", "完成");
        let chosen = desk.ui.choose(&title, &done, &entries)?;
        let Some(&setting) = chosen.and_then(|index| listed.get(index)) else {
            return Ok(());
        };
        match subject.ask(desk, setting) {
            Ok(Some(request)) => {
                apply(desk, &request, Confirm::IfHarmful)?;
            }
            Ok(None) => desk
                .ui
                .note(&tr!("It stays as it is.", "保持不变。"), Paint::Dim)?,
            Err(Stop::Back) => {}
            Err(stop) => return Err(stop),
        }
    }
}

/// A service or a group as it is now.
struct Subject {
    holder: Holder,
    /// Who has the quota: itself, or its group.
    payer: Holder,
    contract: Contract,
    service: Service,
    /// What counts against the quota so far.
    billed: String,
}

impl Subject {
    fn of(desk: &Desk<'_>, holder: &Holder) -> Option<Self> {
        let config = &desk.view.config;
        let (service, payer) = match holder {
            Holder::Service(ports) => {
                let service = config.services.get(ports)?.clone();
                let group = service.group.clone();
                (service, group.map_or_else(|| holder.clone(), Holder::Group))
            }
            Holder::Group(_) => (Service::default(), holder.clone()),
        };
        let (contract, billed) = match &payer {
            Holder::Service(ports) => {
                let report = desk
                    .view
                    .reports
                    .iter()
                    .find(|report| report.ports == *ports)?;
                (service.contract(), report.billed)
            }
            Holder::Group(name) => {
                let report = desk
                    .view
                    .groups
                    .iter()
                    .find(|report| report.name == *name)?;
                (config.groups.get(name)?.contract(), report.billed)
            }
        };
        Some(Self {
            holder: holder.clone(),
            payer,
            billed: approximate(billed, family(contract.quota)),
            contract,
            service,
        })
    }

    /// Returns what a setting is called, and how it is now.
    fn entry(&self, number: usize, setting: Setting) -> Entry {
        let (service, contract) = (&self.service, &self.contract);
        let (name, value) = match setting {
            Setting::Quota => (tr!("Quota", "配额"), settings::show_quota(&contract.quota)),
            Setting::Mode => (
                tr!("Counts", "计费模式"),
                settings::show_mode(contract.tariff.mode),
            ),
            Setting::Reset => {
                let reset = ResetChoice::from(contract.reset_policy());
                (tr!("Reset", "重置日"), when::show(&reset))
            }
            Setting::Limit => (
                tr!("Limit out", "出站限速"),
                settings::show_limit(&service.limit),
            ),
            Setting::LimitIn => (
                tr!("Limit in", "入站限速"),
                settings::show_limit(&service.limit_in),
            ),
            Setting::DynQos => ("DynQoS".to_owned(), settings::show_dynqos(&service.dynqos)),
            Setting::Group => {
                let group = service
                    .group
                    .as_ref()
                    .map_or(String::new(), ToString::to_string);
                (tr!("Group", "分组"), settings::or_none(&group))
            }
            Setting::Note => (
                tr!("Note", "备注"),
                settings::or_none(&one_line(&service.note)),
            ),
            Setting::Used => (tr!("Used so far", "已用流量"), self.billed.clone()),
            Setting::Factor => (tr!("Factor", "倍率"), contract.tariff.factor.to_string()),
            Setting::Expires => (
                tr!("Last day", "到期日"),
                settings::show_expires(&service.expires),
            ),
            Setting::Routed => (
                tr!("Routed traffic", "统计路由流量"),
                settings::show_yes(service.routed),
            ),
        };
        let whose = match (&self.payer, setting) {
            (
                Holder::Group(name),
                Setting::Quota | Setting::Mode | Setting::Reset | Setting::Used | Setting::Factor,
            ) if self.payer != self.holder => tr!(" (of group {name})", "（属于组 {name}）"),
            _ => String::new(),
        };
        Entry::new(number, name).now(format!("{value}{whose}"))
    }

    /// Asks for one setting; `None`: it is to stay as it is.
    fn ask(&self, desk: &mut Desk<'_>, setting: Setting) -> Answer<Option<Request>> {
        if let (Holder::Service(_), Holder::Group(name)) = (&self.holder, &self.payer)
            && OF_GROUP.contains(&setting)
        {
            let text = tr!(
                "This is the group's: it changes for all services of {name}.",
                "这是分组的设置：将对组 {name} 的所有服务生效。"
            );
            desk.ui.note(&text, Paint::Warn)?;
        }
        let (service, contract) = (&self.service, &self.contract);
        let ui = &mut desk.ui;
        let mut own = Settings::default();
        let mut shared = ContractSettings::default();
        match setting {
            Setting::Quota => {
                shared.quota = changed(contract.quota, settings::quota(ui, contract.quota)?)
            }
            Setting::Mode => {
                let present = contract.tariff.mode;
                shared.mode = changed(present, settings::mode(ui, present)?);
            }
            Setting::Factor => {
                let present = contract.tariff.factor;
                shared.factor = changed(present, settings::factor(ui, present)?);
            }
            Setting::Reset => {
                let present = contract.reset_policy();
                shared.reset = changed(present.into(), when::ask(ui, present)?);
            }
            Setting::Used => {
                let used = settings::used(ui, &self.billed)?;
                return Ok(used.map(|used| self.correct(used)));
            }
            Setting::Limit => {
                own.limit = changed(service.limit, settings::limit(ui, service.limit)?)
            }
            Setting::LimitIn => {
                own.limit_in = changed(service.limit_in, settings::limit_in(ui, service.limit_in)?)
            }
            Setting::DynQos => {
                own.dynqos = changed(service.dynqos, settings::dynqos(ui, service.dynqos)?)
            }
            Setting::Expires => {
                own.expires = changed(service.expires, settings::expires(ui, service.expires)?)
            }
            Setting::Routed => {
                own.routed = changed(service.routed, settings::routed(ui, service.routed)?)
            }
            Setting::Note => {
                own.note = changed(service.note.clone(), settings::note(ui, &service.note)?)
            }
            Setting::Group => {
                let groups: Vec<_> = desk.view.config.groups.keys().cloned().collect();
                if groups.is_empty() {
                    desk.ui.say(&tr!(
                        "There is no group yet: make one in the menu, 10.",
                        "还没有分组：请先在菜单 10 中新建。"
                    ))?;
                    return Ok(None);
                }
                let chosen = settings::group(&mut desk.ui, &groups, service.group.as_ref())?;
                own.group = changed(service.group.clone(), chosen);
            }
        }
        Ok(self.request(own, shared))
    }

    /// Returns the request that changes what is set, of whom it belongs to.
    fn request(&self, own: Settings, shared: ContractSettings) -> Option<Request> {
        if own == Settings::default() && shared == ContractSettings::default() {
            return None;
        }
        match (&self.payer, &self.holder) {
            (Holder::Group(name), _) if own == Settings::default() => Some(Request::SetGroup {
                name: name.clone(),
                settings: shared,
                used: None,
            }),
            (_, Holder::Service(ports)) => Some(Request::Set {
                ports: one(*ports)?,
                settings: Settings {
                    contract: shared,
                    ..own
                },
                used: None,
            }),
            _ => None,
        }
    }

    fn correct(&self, used: Size) -> Request {
        match &self.payer {
            Holder::Group(name) => Request::SetGroup {
                name: name.clone(),
                settings: ContractSettings::default(),
                used: Some(used),
            },
            Holder::Service(ports) => Request::Set {
                ports: one(*ports).unwrap_or(Selection::All),
                settings: Settings::default(),
                used: Some(used),
            },
        }
    }
}

fn one(ports: PortRange) -> Option<Selection> {
    PortList::new(vec![ports]).ok().map(Selection::Ports)
}

/// Returns the new value where it is another one.
fn changed<T: PartialEq>(present: T, chosen: T) -> Option<T> {
    (chosen != present).then_some(chosen)
}
