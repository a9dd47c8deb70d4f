//! Messages in batches, each with a label that says what it does, for errors.

use std::fmt;

use pm_core::port::PortRange;
use pm_core::ruleset::{Direction, Epoch, LimitId, QuotaId, RoomId, TABLE};
use pm_netlink::nf_tables::*;
use pm_netlink::{Attributes, Batch, Mark, NlmF};

use crate::forward;
use crate::frame::{chain_name, map_name};

/// Verbs of [`Label`].
pub(crate) const ADD: &str = "add";
pub(crate) const CHANGE: &str = "change";
pub(crate) const DELETE: &str = "delete";
pub(crate) const EMPTY: &str = "empty";
pub(crate) const ADD_RULE: &str = "add a rule to";

/// A batch, and what its messages are for.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) batch: Batch,
    labels: Vec<Label>,
}

/// What a message does, and to what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Label {
    pub(crate) verb: &'static str,
    pub(crate) what: What,
}

/// An object of the kernel's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Table,
    Map(Direction),
    BaseChain(Direction),
    Epoch(Epoch),
    Chain(RoomId, Direction),
    Counter(RoomId, Direction),
    Limit(LimitId),
    Quota(QuotaId),
    Elements(Direction, PortRange),
    ForwardChain,
    RoutedSet,
    RoutedElements(PortRange),
}

impl Script {
    pub(crate) fn new(generation: Option<u32>) -> Self {
        Self {
            batch: Batch::new(generation),
            labels: Vec::new(),
        }
    }

    /// Appends a message that does `verb` to `what`.
    pub(crate) fn push(
        &mut self,
        kind: u8,
        flags: NlmF,
        verb: &'static str,
        what: What,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.batch.push(kind, NFPROTO_INET, flags, fill);
        self.labels.push(Label { verb, what });
    }

    pub(crate) fn mark(&self) -> Mark {
        self.batch.mark()
    }

    pub(crate) fn rollback(&mut self, mark: Mark) {
        self.batch.rollback(mark);
        self.labels.truncate(self.batch.len());
    }

    /// Separates the batch from the labels of its messages.
    pub(crate) fn into_parts(self) -> (Batch, Labels) {
        (self.batch, Labels(self.labels))
    }
}

/// The labels of a batch that is on its way.
pub(crate) struct Labels(Vec<Label>);

impl Labels {
    pub(crate) fn get(&self, index: usize) -> Option<&Label> {
        self.0.get(index)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => write!(f, "table inet {TABLE}"),
            Self::Map(direction) => write!(f, "map {}", map_name(*direction)),
            Self::BaseChain(direction) => write!(f, "chain {}", chain_name(*direction)),
            Self::Epoch(epoch) => write!(f, "chain {}", epoch.chain()),
            Self::Chain(room, direction) => write!(f, "chain {}", room.chain(*direction)),
            Self::Counter(room, direction) => write!(f, "counter {}", room.chain(*direction)),
            Self::Limit(limit) => write!(f, "limit {limit}"),
            Self::Quota(quota) => write!(f, "quota {quota}"),
            Self::Elements(direction, ports) => {
                let map = map_name(*direction);
                write!(f, "elements of map {map} from {ports} on")
            }
            Self::ForwardChain => write!(f, "chain {}", forward::CHAIN),
            Self::RoutedSet => write!(f, "set {}", forward::SET),
            Self::RoutedElements(ports) => {
                write!(f, "elements of set {} from {ports} on", forward::SET)
            }
        }
    }
}
