//! The kernel as an engine is given it, and what happens inside the engine's calls to it.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::rc::Rc;

use pm_core::backend::{BackendError, Netfilter, Reading};
use pm_core::port::PortRange;
use pm_core::ruleset::{Changes, Installed, RoomId};

use crate::kernel::{Kernel, Packet};

/// The kernel, and what is to happen while pm calls it.
#[derive(Default)]
pub(crate) struct Backend {
    pub(crate) kernel: Kernel,
    pub(crate) script: Script,
    pub(crate) calls: Calls,
}

/// What is to happen inside one call of pm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) fate: Fate,
    /// One each moment, until there is none left.
    pub(crate) acts: VecDeque<Act>,
    /// One each moment for ever.
    pub(crate) packet: Option<Packet>,
    /// Counters are read after quotas instead of before.
    pub(crate) quotas_first: bool,
}

/// How a call ends.
///
/// A moment is before, in the middle of, or after one request to the kernel; the first is 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Fate {
    /// As it may.
    #[default]
    Live,
    /// pm is killed in this moment.
    Die(usize),
    /// The kernel gives an error in this moment, once.
    Fail(usize),
    /// The kernel refuses this batch, 0 the first.
    Refuse(usize),
    /// The kernel refuses every batch that deletes this room: somebody holds on to it.
    RefuseDeleting(RoomId),
    /// So many batches, from this one on, come too late.
    Race { first: usize, times: usize },
}

/// What happens in a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Nothing,
    Send(Packet),
    /// A packet that is on its way for so many moments.
    Launch(Packet, u32),
    /// Somebody else commits.
    Touch,
    /// Somebody deletes a service's elements.
    Unlink(PortRange),
    /// Somebody runs `nft flush ruleset`.
    Flush,
}

/// What pm did to the kernel in one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    moments: usize,
    /// Every batch that was sent, refused ones too.
    pub(crate) batches: Vec<Changes>,
    /// Whether the fate was met.
    pub(crate) met: bool,
}

/// pm was killed: what unwinds then.
pub(crate) struct Killed;

/// The backend as an engine owns it.
pub(crate) struct Handle(pub(crate) Rc<RefCell<Backend>>);

impl Backend {
    /// Lets a moment pass, with all that happens in it.
    fn moment(&mut self) -> Result<(), BackendError> {
        self.kernel.moment();
        if let Some(packet) = self.script.packet {
            self.kernel.send(packet);
        }
        match self.script.acts.pop_front() {
            None | Some(Act::Nothing) => {}
            Some(Act::Send(packet)) => drop(self.kernel.send(packet)),
            Some(Act::Launch(packet, moments)) => drop(self.kernel.launch(packet, moments)),
            Some(Act::Touch) => self.kernel.touch(),
            Some(Act::Unlink(ports)) => self.kernel.unlink(ports),
            Some(Act::Flush) => self.kernel.flush(),
        }
        let moment = self.calls.moments;
        self.calls.moments += 1;
        if self.script.fate == Fate::Die(moment) {
            self.calls.met = true;
            // Not a panic, which would print.
            resume_unwind(Box::new(Killed));
        }
        if self.script.fate == Fate::Fail(moment) {
            self.calls.met = true;
            return Err(error("it fails now"));
        }
        Ok(())
    }

    /// Reads everything, the two kinds of totals at two instants.
    fn dump(&mut self) -> Result<Reading, BackendError> {
        loop {
            let before = self.kernel.generation();
            let mut reading = self.kernel.read_counters();
            let mut quotas = self.kernel.read_quotas();
            self.moment()?;
            if self.script.quotas_first {
                reading = self.kernel.read_counters();
            } else {
                quotas = self.kernel.read_quotas();
            }
            if let Some(table) = &mut reading.table {
                table.quotas = quotas;
            }
            if self.kernel.generation() == before {
                return Ok(reading);
            }
        }
    }

    fn refuses(&mut self, changes: &Changes) -> Result<(), BackendError> {
        let number = self.calls.batches.len();
        self.calls.batches.push(changes.clone());
        let refused = match self.script.fate {
            Fate::Refuse(refused) if refused == number => error("Device or resource busy"),
            Fate::RefuseDeleting(room) if changes.delete_rooms.contains_key(&room) => {
                error("Device or resource busy")
            }
            Fate::Race { first, times } if (first..first + times).contains(&number) => {
                BackendError::Raced
            }
            _ => return Ok(()),
        };
        self.calls.met = true;
        Err(refused)
    }
}

impl Netfilter for Handle {
    fn read(&mut self) -> Result<Reading, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let reading = backend.dump()?;
        backend.moment()?;
        Ok(reading)
    }

    fn refresh(
        &mut self,
        mut reading: Reading,
        rooms: &BTreeSet<RoomId>,
    ) -> Result<Reading, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let whole = backend.dump()?;
        backend.moment()?;
        let (Some(table), Some(now)) = (&mut reading.table, &whole.table) else {
            return Ok(whole);
        };
        if table.handle != now.handle {
            return Ok(whole);
        }
        table.counters.retain(|(room, _), _| !rooms.contains(room));
        table.quotas.retain(|room, _| !rooms.contains(room));
        let counters = now.counters.iter();
        let counters = counters.filter(|((room, _), _)| rooms.contains(room));
        table.counters.extend(counters);
        let quotas = now.quotas.iter().filter(|(room, _)| rooms.contains(room));
        table.quotas.extend(quotas);
        reading.generation = whole.generation;
        reading.fresh = Some(rooms.clone());
        Ok(reading)
    }

    fn inspect(&mut self) -> Result<(u32, Installed), BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let kernel = &backend.kernel;
        let inspected = (kernel.generation(), kernel.installed());
        backend.moment()?;
        Ok(inspected)
    }

    fn apply(&mut self, changes: &Changes, generation: u32) -> Result<u32, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        backend.refuses(changes)?;
        if backend.kernel.generation() != generation {
            return Err(BackendError::Raced);
        }
        backend.kernel.apply(changes);
        let generation = backend.kernel.generation();
        backend.moment()?;
        Ok(generation)
    }

    fn settle(&mut self) {
        let mut backend = self.0.borrow_mut();
        // It cannot fail, so a failure in this moment is none.
        let _ = backend.moment();
        backend.kernel.settle();
    }
}

fn error(text: &str) -> BackendError {
    BackendError::Kernel {
        context: "test".to_owned(),
        source: text.into(),
    }
}
