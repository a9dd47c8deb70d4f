//! The zone by whose days port-traffic-dog goes, wherever the host is.

use pm_core::calendar::Zone;

use crate::doubt::{Subject, Trouble};
use crate::imported::Imported;
use crate::source::Context;

const NAME: &str = "Asia/Shanghai";

/// Returns the zone; its data is inside pm-core.
pub(crate) fn beijing() -> Zone {
    Zone::named(NAME).unwrap_or_else(|_| Zone::utc())
}

impl Imported {
    /// Makes `zone` pm's where the host's shows another time, and says so.
    pub(crate) fn adopt_zone(&mut self, zone: &Zone, context: &Context<'_>) {
        if zone.local(context.now) == context.zone.local(context.now) {
            return;
        }
        self.time_zone = zone.name().parse().ok();
        let host = context.zone.name().to_owned();
        let trouble = Trouble::OtherTimeZone { zone: NAME, host };
        self.doubt(Subject::Everything, trouble);
    }
}
