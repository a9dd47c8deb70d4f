//! Why a request is not carried out.

use crate::backend::ShapingError;
use crate::calendar::ResetChoice;
use crate::cause::Cause;
use crate::config::GroupName;
use crate::holder::Holder;
use crate::port::PortRange;
use crate::shaping::Classifier;

use super::NotifyRefusal;

/// Why a request is not carried out. Nothing has changed then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// An added port belongs to a service already.
    #[error("{wanted} has ports that are monitored already, as service {existing}")]
    Overlap {
        /// What was to be added.
        wanted: PortRange,
        /// The service that has a port of it.
        existing: PortRange,
    },
    /// No service is named so.
    #[error("{0} is not monitored")]
    Unknown(PortRange),
    /// No service is named so, but one includes or is part of it.
    #[error("{wanted} is not a service of its own: the service is {existing}")]
    Partial {
        /// What was named.
        wanted: PortRange,
        /// The service that has a port of it.
        existing: PortRange,
    },
    /// It could cut off the operator.
    #[error(
        "service {ports} covers port {ssh_port}, through which this host is administered by SSH: it could lock you out"
    )]
    Ssh {
        /// The service.
        ports: PortRange,
        /// The port.
        ssh_port: u16,
    },
    /// A block by the quota, which only the quota can lift.
    #[error("{ports} is blocked because {} is spent", quota_of(holder))]
    Spent {
        /// The service.
        ports: PortRange,
        /// Whose quota is spent: its own, or its group's.
        holder: Holder,
    },
    /// A block by the calendar, which only another last day can lift.
    #[error("{0} is blocked because its last day has passed")]
    Expired(PortRange),
    /// An interval that would start on a day that nobody knows.
    #[error("`{0}` counts from today, and the clock of this host is plainly wrong")]
    NoToday(ResetChoice),
    /// A change request without a change.
    #[error("nothing to change was given")]
    Nothing,
    /// A correction of what was used, where a sum of several would be ambiguous.
    #[error("the used amount can be set for one service at a time")]
    UsedOfSeveral,
    /// A correction of what was used, at the moment at which that begins anew.
    #[error("who joins or leaves a group begins at nothing used")]
    UsedWithGroup,
    /// There is no service at all.
    #[error("no port is monitored yet")]
    NoServices,
    /// No group is named so.
    #[error("there is no group {0}")]
    NoSuchGroup(GroupName),
    /// A group is named so already.
    #[error("there is a group {0} already")]
    GroupExists(GroupName),
    /// A group with services cannot be removed.
    #[error("group {group} still has services: {}", list(members))]
    HasMembers {
        /// The group.
        group: GroupName,
        /// They, ascending.
        members: Vec<PortRange>,
    },
    /// What a group decides for all of its services.
    #[error(
        "service {ports} is in group {group}, which has quota, mode, factor and periods for all its services"
    )]
    Member {
        /// The service.
        ports: PortRange,
        /// Its group.
        group: GroupName,
    },
    /// Books of who has some already.
    #[error("{0} is monitored already, and has a past of its own")]
    HasPast(Holder),
    /// A limit, where nothing can be shaped.
    #[error("what a port sends cannot be limited on this host: {0}")]
    NoShaping(Cause<ShapingError>),
    /// A classifier, where packets cannot find their class by it.
    #[error("packets cannot find their class by {classifier} on this host: {reason}")]
    NoClassifier {
        /// The classifier.
        classifier: Classifier,
        /// Why not.
        reason: Cause<ShapingError>,
    },
    /// It concerns channels or the push.
    #[error(transparent)]
    Notify(#[from] NotifyRefusal),
}

fn quota_of(holder: &Holder) -> String {
    match holder {
        Holder::Service(_) => "its quota".to_owned(),
        Holder::Group(name) => format!("the quota of group {name}"),
    }
}

fn list(ports: &[PortRange]) -> String {
    let names: Vec<_> = ports.iter().map(PortRange::to_string).collect();
    names.join(",")
}
