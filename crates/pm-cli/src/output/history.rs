//! What was used before, for people: by period and by day.

pub(crate) mod days;
pub(crate) mod periods;
#[cfg(test)]
mod tests;

use pm_core::config::Config;
use pm_core::holder::Holder;
use pm_core::units::SizeFamily;

use crate::output::table;

/// Returns the units in which the sizes of a holder are shown: those of its quota, if it is still
/// there and has one.
fn family(holder: &Holder, config: &Config) -> SizeFamily {
    let contract = match holder {
        Holder::Service(ports) => {
            let service = config.services.get(ports);
            service.map(|service| config.contract(service))
        }
        Holder::Group(name) => config.groups.get(name).map(|group| group.contract()),
    };
    table::family(contract.and_then(|contract| contract.quota))
}
