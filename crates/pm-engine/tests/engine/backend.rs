//! The kernel as an engine is given it, and what happens inside the engine's calls to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::rc::Rc;

use pm_core::backend::{BackendError, Netfilter, Reading, Shaper, ShapingError};
use pm_core::port::PortRange;
use pm_core::ruleset::{Changes, Installed, QuotaId, RoomId, Variant};
use pm_core::shaping::Classifier;
use pm_core::units::BitRate;

use crate::kernel::{Kernel, Packet};
use crate::tc::{Request, TrafficControl};

/// The kernel, and what is to happen while pm calls it.
#[derive(Default)]
pub(crate) struct Backend {
    pub(crate) kernel: Kernel,
    pub(crate) tc: TrafficControl,
    pub(crate) script: Script,
    pub(crate) calls: Calls,
}

/// What is to happen inside one call of pm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) fate: Fate,
    /// One each moment, until there is none left.
    pub(crate) acts: VecDeque<Act>,
    /// Sent each moment for ever.
    pub(crate) packets: Vec<Packet>,
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
    /// The kernel refuses every batch that deletes quotas of this variant: somebody's rules name
    /// them.
    RefuseDeletingQuotas(Variant),
    /// So many batches, from this one on, come too late.
    Race { first: usize, times: usize },
    /// Traffic control refuses this request, 0 the first.
    RefuseShaping(usize),
    /// Traffic control gives an error to every call of this kind.
    NoShaping(TcCall),
}

/// A call to traffic control.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TcCall {
    Uplinks,
    Probe,
    HostRoot,
    Shape,
    Withdraw,
    Stands,
}

impl TcCall {
    /// Those without which nothing is done.
    pub(crate) const ALL: [Self; 5] = [
        Self::Uplinks,
        Self::Probe,
        Self::HostRoot,
        Self::Shape,
        Self::Withdraw,
    ];
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
    /// How often everything was read.
    pub(crate) reads: usize,
    /// Every batch that was sent, refused ones too.
    pub(crate) batches: Vec<Changes>,
    /// Every call to traffic control.
    pub(crate) shaping: Vec<TcCall>,
    /// Every request to traffic control that would change something, refused ones too.
    pub(crate) requests: Vec<(String, Request)>,
    /// Rooms whose rules named a class, after some batch, that some uplink did not have.
    pub(crate) unclassed: BTreeSet<RoomId>,
    /// Whether the fate was met.
    pub(crate) met: bool,
}

/// pm was killed: what unwinds then.
pub(crate) struct Killed;

/// The backend as an engine owns it.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Rc<RefCell<Backend>>);

impl Backend {
    /// Lets a moment pass, with all that happens in it.
    fn moment(&mut self) -> Result<(), BackendError> {
        self.kernel.moment();
        for &packet in &self.script.packets {
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
            Fate::RefuseDeletingQuotas(held)
                if changes
                    .delete_quotas
                    .iter()
                    .any(|quota| quota.variant == held) =>
            {
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
        backend.calls.reads += 1;
        backend.moment()?;
        let reading = backend.dump()?;
        backend.moment()?;
        Ok(reading)
    }

    fn refresh(
        &mut self,
        mut reading: Reading,
        rooms: &BTreeSet<RoomId>,
        quotas: &BTreeSet<QuotaId>,
    ) -> Result<Reading, BackendError> {
        let mut backend = self.0.borrow_mut();
        backend.moment()?;
        let whole = backend.dump()?;
        backend.moment()?;
        let (Some(table), Some(now)) = (&mut reading.table, &whole.table) else {
            return Ok(whole);
        };
        if table.handle != now.handle || reading.host != whole.host {
            return Ok(whole);
        }
        table.counters.retain(|(room, _), _| !rooms.contains(room));
        table.quotas.retain(|id, _| !quotas.contains(id));
        let counters = now.counters.iter();
        let counters = counters.filter(|((room, _), _)| rooms.contains(room));
        table.counters.extend(counters);
        let found = now.quotas.iter().filter(|(id, _)| quotas.contains(id));
        let found = found.map(|(id, &quota)| (id.clone(), quota));
        table.quotas.extend(found);
        reading.generation = whole.generation;
        reading.has_legacy_nat = whole.has_legacy_nat;
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
        let unclassed = backend.tc.unclassed(&backend.kernel.installed());
        backend.calls.unclassed.extend(unclassed);
        let generation = backend.kernel.generation();
        backend.moment()?;
        Ok(generation)
    }

    fn flowtables(&mut self) -> Result<Vec<String>, BackendError> {
        self.0.borrow_mut().moment()?;
        Ok(Vec::new())
    }

    fn settle(&mut self) {
        let mut backend = self.0.borrow_mut();
        // It cannot fail, so a failure in this moment is none.
        let _ = backend.moment();
        backend.kernel.settle();
    }
}

impl Shaper for Handle {
    fn uplinks(&mut self) -> Result<BTreeSet<String>, ShapingError> {
        let mut backend = self.0.borrow_mut();
        backend.ask(TcCall::Uplinks)?;
        Ok(backend.tc.uplinks.clone())
    }

    fn probe(
        &mut self,
        interfaces: &BTreeSet<String>,
        classifier: Classifier,
    ) -> Result<(), ShapingError> {
        let mut backend = self.0.borrow_mut();
        backend.ask(TcCall::Probe)?;
        backend.tc.offers(classifier)?;
        for interface in interfaces {
            backend.tc.read(interface)?;
        }
        Ok(())
    }

    fn host_root(&mut self, interface: &str) -> Result<Option<String>, ShapingError> {
        let mut backend = self.0.borrow_mut();
        backend.ask(TcCall::HostRoot)?;
        backend.tc.host_root(interface)
    }

    fn shape(
        &mut self,
        interface: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
        host: &str,
    ) -> Result<Vec<String>, ShapingError> {
        let mut backend = self.0.borrow_mut();
        backend.ask(TcCall::Shape)?;
        let requests = backend.tc.plan(interface, classes, classifier, host)?;
        backend.change(interface, requests)?;
        Ok(Vec::new())
    }

    fn stands(
        &mut self,
        interface: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
    ) -> Result<bool, ShapingError> {
        let mut backend = self.0.borrow_mut();
        backend.ask(TcCall::Stands)?;
        let removes = |request: &Request| matches!(request, Request::DeleteClass(_));
        let requests = backend.tc.plan(interface, classes, classifier, "");
        Ok(requests.is_ok_and(|requests| requests.iter().all(removes)))
    }

    fn withdraw(&mut self, interface: &str, host: &str) -> Result<(), ShapingError> {
        let mut backend = self.0.borrow_mut();
        backend.ask(TcCall::Withdraw)?;
        let requests = backend.tc.withdrawal(interface, host);
        backend.change(interface, requests)
    }
}

impl Backend {
    /// Begins a call to traffic control.
    fn ask(&mut self, call: TcCall) -> Result<(), ShapingError> {
        self.calls.shaping.push(call);
        self.shaping_moment()?;
        if self.script.fate == Fate::NoShaping(call) {
            self.calls.met = true;
            return Err(shaping_error("Operation not supported"));
        }
        Ok(())
    }

    /// Sends requests one by one: there is no transaction.
    fn change(&mut self, interface: &str, requests: Vec<Request>) -> Result<(), ShapingError> {
        for request in requests {
            let number = self.calls.requests.len();
            self.calls
                .requests
                .push((interface.to_owned(), request.clone()));
            if self.script.fate == Fate::RefuseShaping(number) {
                self.calls.met = true;
                return Err(shaping_error("Device or resource busy"));
            }
            self.tc.apply(interface, request);
            self.shaping_moment()?;
        }
        Ok(())
    }

    fn shaping_moment(&mut self) -> Result<(), ShapingError> {
        self.moment()
            .map_err(|error| ShapingError::Kernel(Box::new(error)))
    }
}

fn shaping_error(text: &str) -> ShapingError {
    ShapingError::Kernel(text.into())
}

fn error(text: &str) -> BackendError {
    BackendError::Kernel {
        context: "test".to_owned(),
        source: text.into(),
    }
}
