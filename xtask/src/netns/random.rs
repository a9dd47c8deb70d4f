//! Hundreds of random operations under steady traffic: at rest, pm agrees with one reference model to the byte.
//!
//! What is done to pm is any [`Request`], ticks, SIGKILL in the middle of both, teardown and restore; what others do
//! is to flush, reload, merge or damage the ruleset, to restart the host, to move its routes and to translate
//! addresses. The [`model`] is told what passed and what was done, and nothing of how pm works.

mod choice;
mod damage;
mod model;
mod others;
mod perform;
mod pump;
mod seen;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::Config;
use pm_core::request::Request;
use time::Date;

use super::tests;
use crate::lab::{Family, Lab};
use crate::rng::Rng;
use choice::Choice;
use model::{Expectation, Model, Window};
use others::{Others, passed};
use pump::{Notes, Pump};
use seen::Seen;

tests!["random":
    five_hundred_operations_agree_with_the_reference_model,
];

const OPERATIONS: u32 = 500;

/// After so many operations, everything is compared and not only what is open.
const REST: u32 = 10;

/// How many configurations of the model are remembered: more than pm keeps.
const PAST: usize = 40;

/// The ports with traffic; one of them is never monitored.
const FLOWS: [(u16, Family); 15] = [
    (443, Family::V4),
    (443, Family::V6),
    (20000, Family::V4),
    (20000, Family::V6),
    (20001, Family::V4),
    (20002, Family::V6),
    (29998, Family::V4),
    (30000, Family::V4),
    (30050, Family::V6),
    (30100, Family::V4),
    (30101, Family::V6),
    (40004, Family::V4),
    (50000, Family::V6),
    (50000, Family::V4),
    (65535, Family::V6),
];

/// The faults of the scripts pm replaces that this looks for wherever they may hide: 4, 7, 8, 11, 12, 14 and 16.
fn five_hundred_operations_agree_with_the_reference_model(lab: &mut Lab) -> Result<()> {
    // The disk's speed is no part of this.
    lab.mount_small(&lab.state_dir(), "64m")?;
    lab.mount_small(&lab.config_dir(), "64m")?;
    let mut run = Run::new(lab)?;
    for number in 1..=OPERATIONS {
        let done = run.step(number);
        done.with_context(|| {
            format!(
                "operation {number} of seed {}\n{}",
                run.lab.seed(),
                run.story()
            )
        })?;
    }
    let left = run.leave();
    left.with_context(|| format!("seed {}\n{}", run.lab.seed(), run.story()))
}

/// One run.
struct Run<'a> {
    lab: &'a mut Lab,
    choice: Choice,
    pump: Pump,
    model: Model,
    others: Others,
    /// What is known to have passed when the pump last stood still.
    notes: Notes,
    since: i64,
    /// A listing of pm's table.
    saved: Option<String>,
    /// How long a command of pm takes.
    usual: Duration,
    /// Whether pm has looked at the rules since somebody's address translation came or went.
    nat_is_known: bool,
    log: Vec<String>,
    /// The last configurations that the model has had, of which pm may have kept versions.
    past: VecDeque<Config>,
}

/// What became of an operation.
enum Done {
    /// Nothing that pm should mind.
    Nothing,
    Tick,
    Teardown,
    Restore,
    Request(Box<Request>),
    Refused {
        /// Whether a tick ran beside it.
        in_company: bool,
    },
    /// The kernel would not have it, and pm has put everything back.
    RolledBack,
    Killed {
        first: Killed,
        then: Option<Box<Request>>,
    },
    Unmetered(damage::Damage),
    Lost,
}

/// What was killed, then a tick.
enum Killed {
    Tick,
    Teardown,
    Restore,
    Request(Box<Request>),
}

impl<'a> Run<'a> {
    fn new(lab: &'a mut Lab) -> Result<Self> {
        let seed = lab.seed();
        let ports: BTreeSet<u16> = FLOWS.iter().map(|(port, _)| *port).collect();
        let mut others = Others::new(ports.into_iter().collect());
        others.furnish(lab)?;
        let pump = Pump::new(seed)?;
        pump.open(lab, &FLOWS)?;
        let has_fwmark = has_fwmark(lab)?;
        let mut run = Self {
            choice: Choice {
                rng: Rng::new(seed),
                today: date(&Zone::utc(), now()),
                has_fwmark,
                versions: BTreeMap::new(),
            },
            notes: pump.stop()?,
            pump,
            model: Model::new(),
            others,
            since: now(),
            saved: None,
            usual: Duration::from_millis(20),
            nat_is_known: true,
            log: Vec::new(),
            past: VecDeque::new(),
            lab,
        };
        let started = Instant::now();
        run.tick()?;
        run.usual = started.elapsed();
        Ok(run)
    }

    /// What was done last.
    fn story(&self) -> String {
        let last = self.log.len().saturating_sub(12);
        self.log[last..].join("\n")
    }

    /// Lets some traffic pass, then does something under it.
    fn step(&mut self, number: u32) -> Result<()> {
        self.pass_time()?;
        self.look_at_versions()?;
        let (operation, manner) = self.choice.next(&self.model);
        let mut line = format!("{number}: {}", operation.words());
        for (is_so, word) in [
            (manner.at_rest, "at rest"),
            (manner.killed, "killed"),
            (manner.in_company, "beside a tick"),
        ] {
            if is_so {
                let _ = write!(line, ", {word}");
            }
        }
        self.log.push(line);
        if !manner.at_rest {
            self.pump.start();
        }
        let done = self.perform(operation, manner);
        let notes = self.pump.stop()?;
        let done = done?;
        if let (Done::Unmetered(_), Some(line)) = (&done, self.log.last_mut()) {
            line.push_str(", done");
        }
        self.settle(&done, notes, number.is_multiple_of(REST))?;
        if number.is_multiple_of(REST) {
            self.rest()?;
        }
        Ok(())
    }

    /// Finds out which configurations of the model can be restored, and under which number.
    fn look_at_versions(&mut self) -> Result<()> {
        if self.past.back() != Some(&self.model.config) {
            self.past.push_back(self.model.config.clone());
            if self.past.len() > PAST {
                self.past.pop_front();
            }
        }
        self.choice.versions.clear();
        let Ok(entries) = fs::read_dir(self.lab.config_dir().join("versions")) else {
            // Nothing was replaced yet.
            return Ok(());
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix("config-").and_then(|rest| rest.get(..6));
            let number = number.and_then(|number| number.parse().ok());
            let config = Config::parse(&fs::read_to_string(entry.path())?)?;
            if let Some(number) = number
                && self.past.contains(&config)
            {
                self.choice.versions.insert(number, config);
            }
        }
        Ok(())
    }

    /// Lets steady traffic pass through the rules as they stand.
    fn pass_time(&mut self) -> Result<()> {
        self.pump.start();
        let rounds = self.choice.rng.between(2, 6);
        self.pump.wait(rounds)?;
        let notes = self.pump.stop()?;
        self.model.check_verdicts(&self.notes, &notes)?;
        self.settle(&Done::Nothing, notes, false)
    }

    /// Finds out whether what pm says now follows from what was done and what passed.
    fn settle(&mut self, done: &Done, notes: Notes, always_ask: bool) -> Result<()> {
        let window = self.window(done, &notes);
        let model = self.model.clone();
        let worlds = worlds(&model, &window, done)?;
        let open = always_ask || worlds.len() > 1 || !worlds.iter().all(Expectation::is_certain);
        let seen = match open {
            true if always_ask || worlds.len() > 1 => Some(Seen::ask_all(self.lab)?),
            true => Some(Seen::ask(self.lab)?),
            false => None,
        };
        let (mut possible, mut reasons) = (Vec::new(), Vec::new());
        for world in worlds {
            match world.settle(seen.as_ref()) {
                Ok(model) if !possible.contains(&model) => possible.push(model),
                Ok(_) => {}
                Err(error) => reasons.push(format!("{error:#}")),
            }
        }
        let (Some(model), 0..=1) = (possible.pop(), possible.len()) else {
            bail!("pm agrees with no model: {}", reasons.join("\nor: "));
        };
        ensure!(
            possible.is_empty(),
            "pm agrees with two models: {possible:?} and {model:?}"
        );
        self.model = model;
        self.notes = notes;
        self.since = now();
        if !matches!(
            done,
            Done::Nothing | Done::Refused { .. } | Done::Unmetered(_) | Done::Lost
        ) {
            self.nat_is_known = true;
        }
        Ok(())
    }

    fn window(&self, done: &Done, notes: &Notes) -> Window {
        let then = passed(&self.notes);
        let growth = passed(notes);
        let growth = growth.into_iter().map(|(port, now)| {
            let then = then.get(&port).copied().unwrap_or_default();
            (port, now - then)
        });
        let zone = zone(&self.model);
        let mut zones = vec![zone.clone()];
        let asked = match done {
            Done::Request(request) => Some(request),
            Done::Killed {
                first: Killed::Request(request),
                ..
            } => Some(request),
            _ => None,
        };
        let name = match asked.map(|request| &**request) {
            Some(Request::SetTimeZone(name)) => Some(name),
            Some(Request::Restore { config, .. }) => Some(&config.time_zone),
            _ => None,
        };
        if let Some(name) = name {
            let mut model = self.model.clone();
            model.config.time_zone.clone_from(name);
            zones.push(self::zone(&model));
        }
        let times = [self.since, now()];
        let dates = zones
            .iter()
            .flat_map(|zone| times.map(|time| date(zone, time).to_string()));
        Window {
            growth: growth.collect(),
            time: (shown(times[0]), shown(times[1])),
            dates: dates.collect(),
            today: date(&zone, now()),
        }
    }

    /// Compares what nothing is open about.
    fn rest(&mut self) -> Result<()> {
        self.others.check(self.lab)?;
        self.others.check_truth(self.lab, &passed(&self.notes))?;
        let ruleset = self.lab.check_ruleset()?;
        if self.nat_is_known && !self.model.damaged && !self.model.torn_down {
            let routed = self
                .model
                .config
                .services
                .values()
                .any(|service| service.routed);
            let table = self.lab.table()?;
            let chain = table.split_once(damage::FORWARD).map(|(_, rest)| rest);
            let chain = chain.and_then(|rest| rest.split_once('}'));
            let rules = chain.map_or("", |(rules, _)| rules);
            let (translated, routes) = (
                rules.matches("ct original proto-dst vmap @").count(),
                rules.matches("@routed").count(),
            );
            ensure!(
                (translated, routes) == (4 * usize::from(self.others.nat), 4 * usize::from(routed))
                    && chain.is_some() == (self.others.nat || routed),
                "translated packets are to be counted: {}, routed ones: {routed}\n{ruleset}",
                self.others.nat
            );
        }
        Ok(())
    }

    /// Takes pm out, and looks whether anything is different from before it came.
    fn leave(&mut self) -> Result<()> {
        self.pass_time()?;
        self.log.push("the end: teardown".to_owned());
        self.must(&["teardown"])?;
        let notes = self.pump.stop()?;
        self.settle(&Done::Teardown, notes, true)?;
        self.others.check_left(self.lab)?;
        self.log.push("the end: restore".to_owned());
        self.must(&["restore"])?;
        self.settle(&Done::Restore, self.notes.clone(), true)?;
        self.pass_time()?;
        self.must(&["teardown"])?;
        self.settle(&Done::Teardown, self.notes.clone(), true)?;
        self.others.check_left(self.lab)
    }
}

/// Returns every way in which an operation may have come out.
fn worlds<'m>(model: &'m Model, window: &'m Window, done: &Done) -> Result<Vec<Expectation<'m>>> {
    let now = model.expect(window);
    let one = match done {
        Done::Nothing => now,
        Done::Tick => now.tick(),
        Done::RolledBack => now.tick().after_a_kill(),
        Done::Teardown => now.teardown(),
        Done::Restore => now.restore(),
        Done::Refused { in_company } => match in_company {
            true => now.beside_a_tick(),
            false => now,
        },
        Done::Request(request) => {
            let done = now.request(request);
            done.map_err(|refused| anyhow!("pm has done what it must refuse: {}", refused.0))?
        }
        Done::Unmetered(damage) => now.unmetered(&damage.uncounted),
        Done::Lost => now.lost(),
        Done::Killed { first, then } => {
            let mut all = vec![now.clone()];
            match first {
                Killed::Tick => {}
                Killed::Teardown => all.push(now.teardown()),
                Killed::Restore => all.push(now.restore()),
                Killed::Request(request) => {
                    if let Ok(done) = now.request(request) {
                        // Usage is saved last.
                        all.push(done.clone().without_correction());
                        all.push(done);
                    }
                }
            }
            let healed = all.into_iter().map(|world| {
                let world = match then {
                    Some(request) => world
                        .request(request)
                        .map_err(|refused| anyhow!(refused.0))?,
                    None => world,
                };
                Ok(world.tick().after_a_kill())
            });
            return healed.collect();
        }
    };
    Ok(vec![one])
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn shown(time: i64) -> String {
    Timestamp::from_unix(time).to_string()
}

fn date(zone: &Zone, time: i64) -> Date {
    zone.date_at(Timestamp::from_unix(time))
}

/// Returns the zone whose dates count.
fn zone(model: &Model) -> Zone {
    let named = model.config.time_zone.as_ref();
    let named = named.and_then(|name| Zone::named(name.as_str()).ok());
    let system = || Zone::from_tzif("localtime", &std::fs::read("/etc/localtime").ok()?).ok();
    named.or_else(system).unwrap_or_else(Zone::utc)
}

/// Whether the kernel can find classes by marks.
fn has_fwmark(lab: &Lab) -> Result<bool> {
    lab.scratch
        .ip("link add probe type veth peer name probed\n")?;
    lab.scratch.tc(&[
        "qdisc", "add", "dev", "probe", "root", "handle", "1:", "htb",
    ])?;
    let filter = [
        "filter", "add", "dev", "probe", "parent", "1:", "handle", "1", "fw", "classid", "1:1",
    ];
    let has = lab.scratch.tc(&filter).is_ok();
    lab.scratch.ip("link del probe\n")?;
    Ok(has)
}
