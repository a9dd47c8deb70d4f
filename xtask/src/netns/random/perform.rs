//! How each operation is done, and what became of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use pm_core::request::{Request, Selection};
use pm_core::shaping::Classifier;

use super::choice::{Manner, Operation};
use super::{Done, FLOWS, Killed, Run, damage, wanted};
use crate::lab::{Family, check_refusal};
use crate::namespace::run;
use crate::traffic::{self, Way};
use crate::truth::{self, Bytes, Place};

/// What an exit code and an error say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Success,
    Refusal,
    /// The kernel lacks what the classifier needs.
    NoFilter,
}

impl Run<'_> {
    /// Does something to pm, or to the host, and says what became of it.
    ///
    /// # Errors
    ///
    /// When pm does what it must not.
    pub(super) fn perform(&mut self, operation: Operation, manner: Manner) -> Result<Done> {
        if let Operation::Request(Request::SetClassifier(Classifier::Fwmark(_))) = operation {
            self.others.marks_are_shared = true;
        }
        match operation {
            Operation::Request(request) if manner.killed => {
                self.kill(Killed::Request(Box::new(request)))
            }
            Operation::Tick if manner.killed => self.kill(Killed::Tick),
            Operation::Teardown if manner.killed => self.kill(Killed::Teardown),
            Operation::Restore if manner.killed => self.kill(Killed::Restore),
            Operation::Request(request) => {
                let company = manner
                    .in_company
                    .then(|| self.start(&["monitor"]))
                    .transpose()?;
                let outcome = self.request(&request)?;
                if let Some(company) = company {
                    self.finish(company)?;
                }
                match outcome {
                    Outcome::Success => {
                        let stuck = self.unblocks_shut(&request);
                        ensure!(
                            stuck != Some(true),
                            "pm has unblocked what it does not open"
                        );
                        Ok(Done::Request(Box::new(request)))
                    }
                    Outcome::Refusal => {
                        self.check_refusal(&request)?;
                        Ok(Done::Refused {
                            in_company: manner.in_company,
                        })
                    }
                    Outcome::NoFilter => {
                        self.tick()?;
                        Ok(Done::RolledBack)
                    }
                }
            }
            Operation::Tick => {
                let company = manner
                    .in_company
                    .then(|| self.start(&["monitor"]))
                    .transpose()?;
                self.tick()?;
                if let Some(company) = company {
                    self.finish(company)?;
                }
                Ok(Done::Tick)
            }
            Operation::Teardown => self.must(&["teardown"]).map(|()| Done::Teardown),
            Operation::Restore => self.must(&["restore"]).map(|()| Done::Restore),
            Operation::Read(args) => {
                let output = run(&mut self.lab.pm_command(args), None)?;
                ensure!(
                    !output.stderr.contains("panicked"),
                    "pm {args:?}: {}",
                    output.stderr
                );
                Ok(Done::Nothing)
            }
            Operation::Nat => {
                self.others.toggle_nat(self.lab)?;
                self.nat_is_known = false;
                Ok(Done::Nothing)
            }
            Operation::Route(line) => {
                // What is not there cannot be deleted.
                let _ = self.lab.vps.ip(line);
                Ok(Done::Nothing)
            }
            Operation::Save => {
                self.saved = Some(self.lab.table()?);
                Ok(Done::Nothing)
            }
            Operation::Connect => self.connect(),
            Operation::Flush => {
                self.others.replace(self.lab, "")?;
                Ok(Done::Lost)
            }
            Operation::Reload => {
                let saved = self.saved.clone().unwrap_or_default();
                self.others.replace(self.lab, &saved)?;
                Ok(Done::Lost)
            }
            Operation::Merge => self.merge(),
            Operation::Damage => self.damage(),
            Operation::ResetCounters => self.reset_counters(),
            Operation::Restart { reload } => self.restart(reload),
        }
    }

    /// Runs pm, which may refuse.
    fn request(&mut self, request: &Request) -> Result<Outcome> {
        let words = words(&request.to_string());
        let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let output = run(&mut self.lab.pm_command(&args), None)?;
        ensure!(
            !output.stderr.contains("panicked"),
            "{request}: {}",
            output.stderr
        );
        if output.code == Some(0) {
            return Ok(Outcome::Success);
        }
        check_refusal(&output, &[]).with_context(|| request.to_string())?;
        if let Some(line) = self.log.last_mut() {
            let _ = write!(
                line,
                ": {}",
                output.stderr.lines().next().unwrap_or_default()
            );
        }
        let by_mark = |classifier: &Classifier| matches!(classifier, Classifier::Fwmark(_));
        let asks = match request {
            Request::SetClassifier(classifier) => by_mark(classifier),
            Request::Restore { config, .. } => by_mark(&config.classifier),
            _ => false,
        };
        if output.stderr.contains("fw classifier") && !self.choice.has_fwmark {
            ensure!(
                asks || by_mark(&self.model.config.classifier),
                "{}",
                output.stderr
            );
            return Ok(Outcome::NoFilter);
        }
        Ok(Outcome::Refusal)
    }

    /// Checks that the model refuses, too.
    fn check_refusal(&self, request: &Request) -> Result<()> {
        if let Err(_refused) = wanted::after(&self.model.config, request, self.choice.today) {
            return Ok(());
        }
        let stuck = self.unblocks_shut(request);
        ensure!(
            stuck != Some(false),
            "pm has refused `{request}` without a reason"
        );
        Ok(())
    }

    /// Whether a request asks to open what only its last day or a quota closes; `None`: it may.
    fn unblocks_shut(&self, request: &Request) -> Option<bool> {
        let Request::Unblock {
            ports: Selection::Ports(ports),
        } = request
        else {
            return Some(false);
        };
        let config = &self.model.config;
        let mut stuck = Some(false);
        for range in ports.iter() {
            let Some(service) = config.services.get(&range) else {
                continue;
            };
            if service.blocked {
                continue;
            }
            if service.expires.is_some_and(|day| day < self.choice.today) {
                return Some(true);
            }
            match self.model.is_stuck(range) {
                Some(true) => return Some(true),
                None => stuck = None,
                Some(false) => {}
            }
        }
        stuck
    }

    /// Runs a tick, which must succeed.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) fn tick(&mut self) -> Result<()> {
        self.must(&["monitor"])
    }

    /// Runs pm, which must succeed but for what this kernel cannot do.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) fn must(&mut self, args: &[&str]) -> Result<()> {
        let output = run(&mut self.lab.pm_command(args), None)?;
        ensure!(
            !output.stderr.contains("panicked"),
            "pm {args:?}: {}",
            output.stderr
        );
        if self.lacks_filters(&output.stderr) {
            return Ok(());
        }
        output.success().with_context(|| format!("pm {args:?}"))?;
        Ok(())
    }

    /// Whether pm says that all is done but what this kernel cannot do.
    fn lacks_filters(&self, said: &str) -> bool {
        let by_mark = self.others.marks_are_shared && !self.choice.has_fwmark;
        by_mark
            && said.contains(
                "warning: limits are not all in force: this kernel offers no fw classifier",
            )
    }

    fn start(&self, args: &[&str]) -> Result<Child> {
        let mut command = self.lab.pm_command(args);
        Ok(command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?)
    }

    /// Waits for a tick that ran beside something else.
    fn finish(&self, child: Child) -> Result<()> {
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let is_done = output.status.success() || self.lacks_filters(&said);
        ensure!(is_done, "a tick beside a command: {said}");
        Ok(())
    }

    /// Kills a command of pm at some moment, maybe some ticks after it, and lets a tick put it all right.
    fn kill(&mut self, first: Killed) -> Result<Done> {
        let words = match &first {
            Killed::Tick => vec!["monitor".to_owned()],
            Killed::Teardown => vec!["teardown".to_owned()],
            Killed::Restore => vec!["restore".to_owned()],
            Killed::Request(request) => words(&request.to_string()).split_off(1),
        };
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        self.kill_one(&args)?;
        for _ in 0..self.choice.rng.between(0, 2) {
            self.kill_one(&["monitor"])?;
        }
        let mut then = None;
        if let Killed::Request(request) = &first
            && self.choice.rng.between(0, 1) == 0
            && let Some(harmless) = self.choice.harmless(&self.model, request)
            && self.request(&harmless)? == Outcome::Success
        {
            then = Some(Box::new(harmless));
        }
        self.tick()?;
        Ok(Done::Killed { first, then })
    }

    fn kill_one(&mut self, args: &[&str]) -> Result<()> {
        let mut child = self.start(args)?;
        std::thread::sleep(self.choice.rng.moment(self.usual * 5 / 4));
        child.kill()?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!said.contains("panicked"), "pm {args:?}: {said}");
        Ok(())
    }

    /// Makes a connection to a service that is open, while nothing else is sent.
    fn connect(&mut self) -> Result<Done> {
        let at_once = Bytes {
            inbound: 200_000,
            outbound: 200_000,
        };
        let open: Vec<u16> = FLOWS
            .iter()
            .map(|(port, _)| *port)
            .filter(|&port| {
                Way::ALL
                    .iter()
                    .all(|&way| self.model.is_open(port, way, at_once))
            })
            .collect();
        if open.is_empty() || self.model.damaged {
            return Ok(Done::Nothing);
        }
        // Figures of the time before are settled first.
        let notes = self.pump.stop()?;
        self.settle(&Done::Nothing, notes, false)?;
        let port = *self.choice.rng.pick(&open);
        let family = *self.choice.rng.pick(&Family::ALL);
        let (upload, download) = (
            self.choice.rng.between(0, 60_000),
            self.choice.rng.between(0, 60_000),
        );
        let before = truth::read(&self.lab.vps, Place::Passed)?;
        let listener = traffic::listen(&self.lab.vps, SocketAddr::new(family.vps(), port))?;
        traffic::tcp_between(&self.lab.client, &listener, upload, download)?;
        let mut after = truth::read(&self.lab.vps, Place::Passed)?;
        loop {
            let again = truth::read(&self.lab.vps, Place::Passed)?;
            if again == after {
                break;
            }
            after = again;
        }
        let name = port.to_string();
        let of = |all: &BTreeMap<String, Bytes>| all.get(&name).copied().unwrap_or_default();
        let bytes = of(&after) - of(&before);
        ensure!(
            bytes.sum() > upload + download,
            "a connection of {bytes:?} is too short"
        );
        self.pump.add(port, bytes);
        Ok(Done::Nothing)
    }

    fn merge(&mut self) -> Result<Done> {
        if self.model.damaged || self.model.torn_down {
            return Ok(Done::Nothing);
        }
        let listing = match &self.saved {
            Some(saved) if self.choice.rng.between(0, 1) == 0 => saved.clone(),
            _ => self.lab.table()?,
        };
        match self.lab.vps.nft_load(&damage::without_elements(&listing)) {
            Ok(()) => Ok(Done::Unmetered(damage::Damage::default())),
            // A listing that does not fit the table as it stands changes nothing.
            Err(_) => Ok(Done::Nothing),
        }
    }

    fn damage(&mut self) -> Result<Done> {
        let Some(mut damage) = damage::choose(self.lab, &mut self.choice.rng)? else {
            return Ok(Done::Nothing);
        };
        if let Some(line) = self.log.last_mut() {
            let _ = write!(line, ": {}", damage.what);
        }
        if damage.takes_counters {
            let notes = self.pump.stop()?;
            self.settle(&Done::Nothing, notes, false)?;
            self.tick()?;
            let notes = self.pump.stop()?;
            self.settle(&Done::Tick, notes, false)?;
        }
        if damage.takes_all {
            // Of what the tick has put back, too.
            damage.uncounted = damage::counted(self.lab)?;
        }
        match self.lab.vps.nft_load(&damage.script) {
            Ok(()) => Ok(Done::Unmetered(damage)),
            // Already gone.
            Err(_) => Ok(Done::Nothing),
        }
    }

    fn reset_counters(&mut self) -> Result<Done> {
        let notes = self.pump.stop()?;
        self.settle(&Done::Nothing, notes, false)?;
        self.tick()?;
        if !self.lab.table()?.is_empty() {
            self.lab
                .vps
                .nft(&["reset", "counters", "table", "inet", "port_monitor"])?;
        }
        self.tick()?;
        Ok(Done::Tick)
    }

    fn restart(&mut self, reload: bool) -> Result<Done> {
        let notes = self.pump.stop()?;
        self.settle(&Done::Nothing, notes, false)?;
        self.pump.close();
        self.others.clear(self.lab)?;
        self.lab.restart_vps()?;
        self.others.furnish(self.lab)?;
        if let (true, Some(saved)) = (reload, &self.saved) {
            self.lab.vps.nft_load(saved)?;
        }
        self.pump.open(self.lab, &FLOWS)?;
        Ok(Done::Lost)
    }
}

impl Operation {
    /// Returns what to call it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Request(request) => request.to_string(),
            other => format!("{other:?}"),
        }
    }
}

/// Splits a command line as a POSIX shell does.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().extend(chars.next()),
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let line = r"pm set 443 --note='it'\''s  two' --group 'a b' ''";
        assert_eq!(
            words(line),
            ["pm", "set", "443", "--note=it's  two", "--group", "a b", ""]
        );
    }
}
