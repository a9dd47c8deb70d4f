//! What is to be changed of a service or a group.

use time::Date;

use super::{Context, Refusal};
use crate::calendar::ResetChoice;
use crate::config::{
    Config, Contract, Factor, Group, GroupName, Limit, Mode, Note, QuotaSize, Service,
};
use crate::dynqos::DynQos;
use crate::port::PortRange;

/// Settings of a service to be changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The group; `Some(None)`: in none.
    pub group: Option<Option<GroupName>>,
    /// What the holder of a quota has: nothing of it can be set for a service in a group.
    pub contract: ContractSettings,
    /// How fast it may send; `Some(None)`: as fast as the line.
    pub limit: Option<Option<Limit>>,
    /// How fast it may receive; `Some(None)`: as fast as the line.
    pub limit_in: Option<Option<Limit>>,
    /// When it is slowed down; `Some(None)`: never.
    pub dynqos: Option<Option<DynQos>>,
    /// The last day on which it is open; `Some(None)`: it stays so.
    pub expires: Option<Option<Date>>,
    /// Whether traffic that is only routed through the host counts, too.
    pub routed: Option<bool>,
    /// The operator's words.
    pub note: Option<Note>,
}

/// Settings of the holder of a quota to be changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContractSettings {
    /// The quota; `Some(None)`: no quota.
    pub quota: Option<Option<QuotaSize>>,
    /// What counts against it.
    pub mode: Option<Mode>,
    /// How often each byte counts.
    pub factor: Option<Factor>,
    /// When its periods end.
    pub reset: Option<ResetChoice>,
}

impl From<ContractSettings> for Settings {
    fn from(contract: ContractSettings) -> Self {
        Self {
            contract,
            ..Self::default()
        }
    }
}

impl Settings {
    pub(super) fn can_cut_off(&self) -> bool {
        let Self {
            group,
            contract,
            limit,
            limit_in,
            dynqos,
            expires,
            routed: _,
            note: _,
        } = self;
        group.is_some()
            || contract.can_cut_off()
            || [limit, limit_in]
                .iter()
                .any(|limit| limit.flatten().is_some())
            || dynqos.flatten().is_some()
            || expires.flatten().is_some()
    }

    pub(super) fn needs_shaping(&self) -> bool {
        self.limit.flatten().is_some() || self.dynqos.flatten().is_some()
    }

    pub(super) fn apply(
        &self,
        ports: PortRange,
        service: &mut Service,
        config: &Config,
        context: &Context,
    ) -> Result<(), Refusal> {
        if let Some(group) = &self.group {
            self.regroup(service, group.as_ref(), config)?;
        }
        match &service.group {
            Some(group) if self.contract != ContractSettings::default() => {
                let group = group.clone();
                return Err(Refusal::Member { ports, group });
            }
            Some(_) => {}
            None => {
                let contract = self.contract.applied(service.contract(), context)?;
                service.set_contract(contract);
            }
        }
        service.limit = self.limit.unwrap_or(service.limit);
        service.limit_in = self.limit_in.unwrap_or(service.limit_in);
        service.dynqos = self.dynqos.unwrap_or(service.dynqos);
        service.expires = self.expires.unwrap_or(service.expires);
        service.routed = self.routed.unwrap_or(service.routed);
        if let Some(note) = &self.note {
            service.note = note.clone();
        }
        Ok(())
    }

    /// Who joins a group or leaves it has no contract of his own any more, or none yet.
    fn regroup(
        &self,
        service: &mut Service,
        group: Option<&GroupName>,
        config: &Config,
    ) -> Result<(), Refusal> {
        if let Some(name) = group
            && !config.groups.contains_key(name)
        {
            return Err(Refusal::NoSuchGroup(name.clone()));
        }
        if service.group.as_ref() != group {
            service.set_contract(Contract::default());
            service.group = group.cloned();
        }
        Ok(())
    }
}

impl ContractSettings {
    fn can_cut_off(&self) -> bool {
        self.mode.is_some() || self.factor.is_some() || self.quota.flatten().is_some()
    }

    pub(super) fn apply(&self, group: &mut Group, context: &Context) -> Result<(), Refusal> {
        *group = self.applied(group.contract(), context)?.into();
        Ok(())
    }

    fn applied(&self, mut contract: Contract, context: &Context) -> Result<Contract, Refusal> {
        contract.quota = self.quota.unwrap_or(contract.quota);
        contract.tariff.mode = self.mode.unwrap_or(contract.tariff.mode);
        contract.tariff.factor = self.factor.unwrap_or(contract.tariff.factor);
        if let Some(reset) = self.reset {
            let policy = reset.applied(contract.reset, context.today);
            contract.reset = Some(policy.ok_or(Refusal::NoToday(reset))?);
        }
        Ok(contract)
    }
}
