//! The numbers by which the screen calls services and groups.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::config::GroupName;
use pm_core::holder::Holder;
use pm_core::port::PortRange;
use pm_core::report::{GroupReport, Report};

use super::text::{separated, tidy};
use crate::language::tr;

/// Services and groups in the order in which they are shown: services that are in no group, then
/// each group with its services.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Ids {
    services: Vec<PortRange>,
    groups: Vec<GroupName>,
    /// Where each service stands, from 1.
    places: BTreeMap<PortRange, usize>,
}

impl Ids {
    pub(super) fn new(reports: &[Report], groups: &[GroupReport]) -> Self {
        let of = |name: Option<&GroupName>| {
            let members = reports
                .iter()
                .filter(move |report| report.group.as_ref() == name);
            members.map(|report| report.ports).collect::<Vec<_>>()
        };
        let mut services = of(None);
        for group in groups {
            services.extend(of(Some(&group.name)));
        }
        Self {
            places: services.iter().copied().zip(1..).collect(),
            services,
            groups: groups.iter().map(|group| group.name.clone()).collect(),
        }
    }

    pub(super) fn services(&self) -> &[PortRange] {
        &self.services
    }

    pub(super) fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// Returns how the screen calls it: `3`, or `G1` for a group.
    pub(super) fn of(&self, holder: &Holder) -> String {
        let place = match holder {
            Holder::Service(ports) => self.places.get(ports).copied(),
            Holder::Group(name) => {
                let index = self.groups.iter().position(|one| one == name);
                index.map(|index| index + 1)
            }
        };
        let sign = if matches!(holder, Holder::Group(_)) {
            "G"
        } else {
            ""
        };
        place.map_or(String::new(), |place| format!("{sign}{place}"))
    }

    /// Reads any number of services and groups: `2`, `1,3-5`, `20000`, `G1`, a group's name, `all`.
    ///
    /// # Errors
    ///
    /// What is wrong about it, in words.
    pub(super) fn read(&self, text: &str) -> Result<Vec<Holder>, String> {
        if let Some(name) = self.groups.iter().find(|name| name.as_str() == text.trim()) {
            return Ok(vec![Holder::Group(name.clone())]);
        }
        let mut found = BTreeSet::new();
        for part in separated(text).split(',').filter(|part| !part.is_empty()) {
            found.extend(self.part(part)?);
        }
        Ok(found.into_iter().collect())
    }

    fn part(&self, part: &str) -> Result<Vec<Holder>, String> {
        if is_all(part) {
            return Ok(self.services.iter().copied().map(Holder::Service).collect());
        }
        if let Some(name) = self.groups.iter().find(|name| name.as_str() == part) {
            return Ok(vec![Holder::Group(name.clone())]);
        }
        if let Some(number) = part.strip_prefix(['G', 'g']) {
            let index = number.parse::<usize>().ok();
            let name = index.and_then(|index| self.groups.get(index.checked_sub(1)?));
            if let Some(name) = name {
                return Ok(vec![Holder::Group(name.clone())]);
            }
        }
        let by_id = self.by_id(part.strip_prefix('#').unwrap_or(part));
        let port = part.strip_prefix(':').unwrap_or(part);
        let by_port = port
            .parse()
            .ok()
            .filter(|ports| self.places.contains_key(ports));
        let ports = match (by_id, by_port) {
            (Some(ports), _) if part.starts_with('#') => ports,
            (_, Some(port)) if part.starts_with(':') => vec![port],
            (Some(ids), Some(port)) if ids[..] != [port] => {
                return Err(tr!(
                    "`{part}` is both an ID and a port: type `#{part}` for the ID, `:{part}` for the port",
                    "“{part}”既是 ID 又是端口：ID 请输入 #{part}，端口请输入 :{part}"
                ));
            }
            (_, Some(port)) => vec![port],
            (Some(ids), None) => ids,
            (None, None) => {
                return Err(tr!(
                    "`{part}` is not in the table: type an ID or a port from it",
                    "表中没有“{part}”：请输入表中的 ID 或端口"
                ));
            }
        };
        Ok(ports.into_iter().map(Holder::Service).collect())
    }

    /// Returns the services of an ID or a range of them, all of which must be there.
    fn by_id(&self, part: &str) -> Option<Vec<PortRange>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let id = |text: &str| -> Option<usize> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (first, last) = (id(first)?.checked_sub(1)?, id(last)?);
        let found = self.services.get(first..last)?;
        (!found.is_empty()).then(|| found.to_vec())
    }
}

/// Whether it says all of them.
pub(super) fn is_all(text: &str) -> bool {
    ["all", "全部", "所有"].contains(&&*tidy(text).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    fn read(text: &str) -> Result<String, String> {
        crate::language::speak(pm_core::language::Language::English);
        let mut reports = samples::reports();
        reports.push(samples::report("3"));
        let ids = Ids::new(&reports, &samples::groups());
        let found = ids.read(text)?;
        let names: Vec<String> = found.iter().map(Holder::to_string).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn things_are_known_by_id_port_and_name() {
        for (text, expected) in [
            ("1", "80"),
            ("２，1", "80 20000"),
            ("1-2", "80 20000"),
            ("30000-30100", "30000-30100"),
            ("20000 65535", "20000 65535"),
            ("G2", "group vip"),
            ("vip", "group vip"),
            ("租户 甲 的 全部 服务", "group 租户 甲 的 全部 服务"),
            ("#3", "20001"),
            (":3", "3"),
            ("", ""),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
        }
        assert_eq!(read("全部").unwrap().split(' ').count(), 10);
    }

    #[test]
    fn what_is_not_there_or_is_two_things_is_said() {
        let wrong = ["3", "99", "0", "2-1", "1-99", "80-81", "G9", "x"];
        let texts = wrong.map(|text| read(text).unwrap_err());
        insta::assert_snapshot!(texts.join("\n"));
    }
}
