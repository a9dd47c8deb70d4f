//! Everything that changes something, in one type.

use pm_core::event::Event;
use pm_core::request::Request;
use pm_engine::{EngineError, Ticked};

use crate::backend::Script;
use crate::host::{End, Host};
use crate::requests::FORCE;

/// What pm is to do.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Tick,
    Ask(Request),
    Restore,
    Teardown,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) events: Vec<Event>,
    pub(crate) leftover: Vec<EngineError>,
    pub(crate) problems: Vec<EngineError>,
}

impl Task {
    pub(crate) fn run(&self, host: &mut Host, script: Script) -> End<Done> {
        host.run(script, |engine| match self {
            Self::Tick => match engine.tick()? {
                Ticked::Done {
                    events,
                    leftover,
                    problems,
                    ..
                } => Ok(Done {
                    events,
                    leftover,
                    problems,
                }),
                Ticked::Busy => panic!("no other pm is at it"),
            },
            Self::Ask(request) => {
                let done = engine.execute(request, FORCE)?;
                Ok(Done {
                    events: done.events,
                    leftover: done.leftover,
                    problems: done.problems,
                })
            }
            Self::Restore | Self::Teardown => {
                let moved = match self {
                    Self::Restore => engine.restore(false)?,
                    _ => engine.teardown()?,
                };
                Ok(Done {
                    events: moved.events,
                    leftover: moved.leftover,
                    problems: moved.problems,
                })
            }
        })
    }

    /// Does it while nothing else happens, with nothing left over.
    pub(crate) fn well(&self, host: &mut Host) {
        let done = self.run(host, Script::default()).done();
        let left: Vec<_> = done.leftover.iter().chain(&done.problems).collect();
        assert!(left.is_empty(), "{self:?}: {left:?}");
    }
}
