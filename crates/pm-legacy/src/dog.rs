//! port-traffic-dog, and its fork.
//!
//! What its counters hold differs from release to release, and two releases carry one number; so
//! what a counter shows is divided by how often its rules count a packet, and which release has
//! billed is found out by what its files, its program and its table rule out.

mod evidence;
mod history;
mod reset;
mod settings;

use pm_core::calendar::{Timestamp, Zone};
use pm_core::config::{Contract, GroupName, Service};
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::ruleset::Direction;
use serde_json::Value;

use crate::accounting::Terms;
use crate::doubt::{Doubt, Subject, Trouble};
use crate::entries::{Entry, separate};
use crate::imported::{Books, IN_PASSING, Imported, ImportedGroup, ImportedService};
use crate::json::{at, flag, is_absent, number, parse, text};
use crate::messages::{Draft, Messages, word};
use crate::source::{Context, Files, Foreign, Kernel, Refusal, Tool};
use crate::text::{group, instant, note, shown};
use crate::zone::beijing;
use history::History;

const CONFIG: &str = "config.json";
const SAVED: &str = "traffic_data.json";

/// What the tool keeps under one name.
pub(crate) type Port<'a> = Entry<&'a Value>;

pub(crate) fn read(
    files: &Files,
    kernel: &Kernel,
    context: &Context<'_>,
) -> Result<Imported, Refusal> {
    let config = parse(CONFIG, Tool::Dog, &files.required(CONFIG)?)?;
    let Some(ports) = at(&config, &["ports"]).as_object() else {
        return Err(Refusal::Foreign {
            file: CONFIG.to_owned(),
            tool: Tool::Dog,
            reason: Foreign::NoPorts,
        });
    };
    let mut imported = Imported::nothing(Tool::Dog, String::new());
    let saved = beside(SAVED, files, &mut imported)?;
    let named = ports.iter().map(|(key, value)| (key.clone(), value));
    let (entries, doubts) = separate(named, |_| true);
    imported.doubts.extend(doubts);
    let (entries, others): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.kept.is_object());
    for entry in others {
        let about = Subject::Entry(shown(&entry.key));
        imported.doubt(about, Trouble::NoSettings);
    }

    let script = files.script.as_deref().map(String::from_utf8_lossy);
    let known = evidence::gather(&config, &entries, script.as_deref(), kernel, context);
    imported.version = known.names();
    if known.must_be_asked(&entries) {
        let trouble = Trouble::AccountingUnknown(known.candidates.clone());
        imported.doubt(Subject::Everything, trouble);
    }
    let zone = beijing();
    let history = history::read(files, &entries, context.now, &mut imported)?;
    for entry in &entries {
        let terms = known.terms(entry);
        let port = Reader {
            entry,
            terms,
            kernel,
            saved: &saved,
            history: &history,
            zone: &zone,
            now: context.now,
        };
        port.read(&known, &mut imported);
    }
    history::days(files, &entries, &known, (&zone, context), &mut imported)?;
    imported.messages = messages(&config);
    if !entries.is_empty() {
        imported.adopt_zone(&zone, context);
    }
    imported.judge(&zone, context.now);
    Ok(imported)
}

/// Reads a file of figures beside the configuration, which may be missing. One that is damaged is
/// a doubt: the configuration stands without it.
fn beside(path: &str, files: &Files, imported: &mut Imported) -> Result<Value, Refusal> {
    let Some(text) = files.text(path)? else {
        return Ok(Value::Null);
    };
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    match parse(path, Tool::Dog, &text) {
        Ok(value) => Ok(value),
        Err(refused) => {
            let reason = match &refused {
                Refusal::Damaged {
                    line,
                    column,
                    reason,
                    ..
                } => format!("line {line}, column {column}: {reason}"),
                other => other.to_string(),
            };
            let file = path.to_owned();
            let trouble = Trouble::FileDamaged { file, reason };
            imported.doubt(Subject::Everything, trouble);
            Ok(Value::Null)
        }
    }
}

/// Reads what the tool keeps under one name.
struct Reader<'a> {
    entry: &'a Port<'a>,
    terms: Terms,
    kernel: &'a Kernel,
    saved: &'a Value,
    history: &'a History,
    zone: &'a Zone,
    now: Timestamp,
}

impl Reader<'_> {
    fn read(&self, known: &evidence::Known, imported: &mut Imported) {
        let settings = self.entry.kept;
        let mut troubles = Vec::new();
        let mut doubt = |trouble| troubles.push(trouble);
        if flag(at(settings, &["enabled"])) == Some(false) {
            doubt(Trouble::Disabled);
        }
        known.explain(self.entry, &mut doubt);
        let mut service = Service::default();
        let tariff = self.terms.tariff;
        (service.mode, service.factor) = (tariff.mode, tariff.factor);
        settings::read(settings, &mut service, &mut doubt);
        let (words, cut) = note(&text(at(settings, &["remark"])));
        service.note = words;
        cut.into_iter().for_each(&mut doubt);

        let began = self.history.last(&self.entry.key).or_else(|| {
            let created = instant(&text(at(settings, &["created_at"])));
            created.filter(|created| *created <= self.now)
        });
        let reset = reset::read(settings, &mut doubt);
        service.reset = Some(reset.policy);
        let due = reset.due.or_else(|| {
            let last = self.history.last(&self.entry.key)?;
            reset.left_over(last, self.now, self.zone, &mut doubt)
        });
        let contract = service.contract();
        let mut books = self.books(contract, &mut doubt);
        (books.began, books.due) = (began, due);
        let was_cut_off = self.enforced(contract, &books, &mut doubt);

        match self.entry.ports[..] {
            [ports] => {
                let about = Subject::Service(ports);
                note_all(imported, &about, troubles);
                self.history
                    .close(&self.entry.key, ports.into(), contract, imported);
                let punished_until = None;
                let found = ImportedService {
                    service,
                    books,
                    punished_until,
                    was_cut_off,
                };
                imported.services.insert(ports, found);
            }
            _ => {
                let pool = ImportedGroup {
                    group: contract.into(),
                    books,
                    was_cut_off,
                };
                self.pool(service, pool, troubles, imported);
            }
        }
    }

    /// Makes a group of a list of ports, which shares everything.
    fn pool(
        &self,
        mut service: Service,
        pool: ImportedGroup,
        mut troubles: Vec<Trouble>,
        imported: &mut Imported,
    ) {
        let ports = &self.entry.ports;
        let taken: Vec<GroupName> = imported.groups.keys().cloned().collect();
        let listed: Vec<String> = ports.iter().map(PortRange::to_string).collect();
        let fallback = format!("{}+{}", listed[0], listed.len() - 1);
        let named = listed.join("+");
        let fits = named.parse::<GroupName>().is_ok();
        let name = if fits { &named } else { &fallback };
        let Some(name) = group(name, &fallback, &taken) else {
            return;
        };
        troubles.push(Trouble::ListBecameGroup);
        if pool.books.usage != Usage::default() {
            troubles.push(Trouble::UsageOfList);
        }
        if service.limit.is_some() {
            troubles.push(Trouble::LimitOfList);
        }
        note_all(imported, &Subject::Group(name.clone()), troubles);
        let contract = pool.group.contract();
        let holder = name.clone().into();
        self.history
            .close(&self.entry.key, holder, contract, imported);
        service.set_contract(Contract::default());
        service.group = Some(name.clone());
        for &ports in ports {
            let member = ImportedService {
                service: service.clone(),
                books: Books {
                    began: pool.books.began,
                    due: pool.books.due,
                    ..Books::default()
                },
                ..ImportedService::default()
            };
            imported.services.insert(ports, member);
        }
        imported.groups.insert(name, pool);
    }

    /// Returns what was used, and what the tool bills of it.
    fn books(&self, contract: Contract, doubt: &mut dyn FnMut(Trouble)) -> Books {
        let mut usage = Usage::default();
        // What the counters show, or were last seen to show.
        let mut counters = Usage::default();
        let mut is_seen = false;
        for direction in Direction::BOTH {
            let (end, field, times) = match direction {
                Direction::In => ("in", "input", self.terms.times_in),
                Direction::Out => ("out", "output", self.terms.times_out),
            };
            let counter = self.kernel.counter(&self.object(end));
            let saved = at(self.saved, &[&self.entry.key, field]);
            let (bytes, by) = match counter {
                Some(counter) => {
                    let found = evidence::times(counter, direction, self.entry.ports.len());
                    (Some(counter.bytes), found.unwrap_or(times))
                }
                None => {
                    if self.kernel.table.is_some() && times > 0 {
                        doubt(Trouble::CounterMissing(direction));
                    }
                    (self.saved_bytes(saved, field, doubt), times)
                }
            };
            is_seen |= bytes.is_some();
            let bytes = bytes.unwrap_or_default();
            let is_mixed = bytes.checked_rem(by.into()).unwrap_or(bytes) != 0;
            if is_mixed {
                let counter = bytes;
                doubt(Trouble::MixedCounts { counter, by });
            }
            counters.add(direction, bytes);
            usage.add(direction, bytes.checked_div(by.into()).unwrap_or_default());
        }
        if !is_seen {
            doubt(Trouble::NothingCounted);
        }
        let shown = self.billed_by_tool(counters);
        let mut books = Books {
            usage,
            shown,
            ..Books::default()
        };
        // The bill is what the tool made it, whatever the division left over.
        books.set_billed(contract, shown);
        books
    }

    fn saved_bytes(
        &self,
        saved: &Value,
        field: &'static str,
        doubt: &mut dyn FnMut(Trouble),
    ) -> Option<u64> {
        let bytes = number(saved);
        if bytes.is_none() && !is_absent(saved) {
            let value = shown(&text(saved));
            doubt(Trouble::NotBytes { field, value });
        }
        bytes
    }

    /// Returns what the tool makes of its counters.
    fn billed_by_tool(&self, counters: Usage) -> u64 {
        let Usage { incoming, outgoing } = counters;
        if self.terms.is_relay {
            let twice = outgoing.saturating_mul(2);
            return incoming.saturating_add(twice);
        }
        let tariff = self.terms.tariff;
        let counted = tariff.factor.of(tariff.mode.count(incoming, outgoing));
        counted / u64::from(self.terms.times_out.max(1))
    }

    /// Says where the tool's own quota has counted something else, and returns whether it lets
    /// nothing through.
    fn enforced(&self, contract: Contract, books: &Books, doubt: &mut dyn FnMut(Trouble)) -> bool {
        let Some(quota) = self.kernel.quota(&self.object("quota")) else {
            return false;
        };
        let (enforced, billed) = (quota.used, books.shown);
        if enforced.abs_diff(billed) > IN_PASSING {
            doubt(Trouble::EnforcedDiffers { enforced, billed });
        }
        // The kernel drops what is over, not what reaches it.
        contract.quota.is_some() && quota.used > quota.limit
    }

    fn object(&self, end: &str) -> String {
        object(&self.entry.key, end)
    }
}

/// Returns the name of one of the tool's objects in its table.
fn object(key: &str, end: &str) -> String {
    format!("port_{}_{end}", key.replace([',', '-'], "_"))
}

fn note_all(imported: &mut Imported, about: &Subject, troubles: Vec<Trouble>) {
    let noted = troubles.into_iter().map(|trouble| Doubt {
        about: about.clone(),
        trouble,
    });
    imported.doubts.extend(noted);
}

fn messages(config: &Value) -> Messages {
    let mut messages = Messages::default();
    let told = at(config, &["notifications"]);
    for (name, secrets) in [
        ("telegram", &["bot_token", "chat_id"][..]),
        ("wecom", &["webhook_url"]),
    ] {
        let settings = at(told, &[name]);
        let reports = at(settings, &["status_notifications"]);
        let is_custom = word(settings, "api_route") == "custom";
        let draft = Draft {
            name,
            enabled: flag(at(settings, &["enabled"])) == Some(true),
            settings,
            report_minutes: match flag(at(reports, &["enabled"])) {
                Some(true) => minutes(&word(reports, "interval")),
                _ => 0,
            },
            server: Some("custom_api_base").filter(|_| is_custom),
        };
        messages.add(&draft, secrets);
    }
    if flag(at(told, &["email", "enabled"])) == Some(true) {
        messages.doubt(Trouble::EmailNeverWorked);
    }
    messages
}

/// Returns the minutes of an interval such as `30m` or `2h`; of anything else too many, which is
/// none of pm's.
fn minutes(interval: &str) -> u64 {
    let number = |digits: &str| digits.parse::<u32>().ok().map(u64::from);
    let minutes = match (interval.strip_suffix('m'), interval.strip_suffix('h')) {
        (Some(minutes), _) => number(minutes),
        (None, Some(hours)) => number(hours).map(|hours| hours * 60),
        (None, None) => None,
    };
    minutes.unwrap_or(u64::MAX)
}
