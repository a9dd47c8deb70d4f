//! pm.sh: a configuration of versions 0 to 3, and from version 3 on a state file a port.
//!
//! Version 3 leaves what the state files have taken over in the configuration, where it grows old;
//! so there the state file counts, and the configuration only where there is none.

mod groups;
mod settings;
mod state;

use pm_core::config::Service;
use pm_core::ledger::Usage;
use pm_core::port::PortRange;
use pm_core::ruleset::Direction;
use serde_json::Value;

use crate::doubt::{Subject, Trouble};
use crate::entries::{Entry, separate};
use crate::imported::{Books, Imported, ImportedService};
use crate::json::{at, flag, number, parse, text};
use crate::messages::{Draft, Messages};
use crate::source::{Context, Files, Foreign, Kernel, Refusal, Tool};
use crate::takeover::counted_since;
use crate::text::shown;
use state::State;

const CONFIG: &str = "config.json";

/// The last version of the configuration that there was.
const NEWEST: u64 = 3;

/// What one port has, before groups are looked at.
struct Port {
    ports: PortRange,
    /// The group, as the tool calls it; empty: none.
    group_id: String,
    imported: ImportedService,
}

pub(crate) fn read(
    files: &Files,
    kernel: &Kernel,
    context: &Context<'_>,
) -> Result<Imported, Refusal> {
    let config = parse(CONFIG, Tool::PmSh, &files.required(CONFIG)?)?;
    let foreign = |reason| Refusal::Foreign {
        file: CONFIG.to_owned(),
        tool: Tool::PmSh,
        reason,
    };
    if config.get("schema").is_some() {
        return Err(foreign(Foreign::Own));
    }
    let Some(ports) = at(&config, &["ports"]).as_object() else {
        return Err(foreign(Foreign::NoPorts));
    };
    let version = number(at(&config, &["config_version"])).unwrap_or(0);
    if version > NEWEST {
        return Err(Refusal::Newer {
            file: CONFIG.to_owned(),
            found: version,
            known: NEWEST,
        });
    }
    let mut imported = Imported::nothing(Tool::PmSh, version.to_string());
    let named = ports.iter().map(|(key, value)| (key.clone(), value));
    let (entries, doubts) = separate(named, |ports| matches!(ports, [port] if port.is_single()));
    imported.doubts.extend(doubts);
    let mut read = Vec::new();
    for entry in entries {
        read.extend(port(
            &entry,
            version,
            files,
            kernel,
            context,
            &mut imported,
        )?);
    }
    groups::divide(read, context, &mut imported);
    imported.messages = messages(&config);
    imported.judge(context.zone, context.now);
    Ok(imported)
}

/// Returns what one port has; `None`, and a doubt, for what is none.
fn port(
    entry: &Entry<&Value>,
    version: u64,
    files: &Files,
    kernel: &Kernel,
    context: &Context<'_>,
    imported: &mut Imported,
) -> Result<Option<Port>, Refusal> {
    let ports = entry.ports[0];
    if !entry.kept.is_object() {
        let about = Subject::Entry(shown(&entry.key));
        imported.doubt(about, Trouble::NoSettings);
        return Ok(None);
    }
    let mut doubt = |trouble| imported.doubt(Subject::Service(ports), trouble);
    let state = match files.text(&format!("state/{}.txt", entry.key))? {
        Some(text) if version >= 3 => State::of_file(&text, &mut doubt),
        _ => State::of_config(entry.kept, version >= 3, &mut doubt),
    };
    let mut service = Service::default();
    settings::read(entry.kept, &mut service, &mut doubt);
    let was_cut_off = kernel.blocks(ports.first());
    service.blocked = service.quota.is_none() && was_cut_off;

    let usage = usage(&entry.key, &state, kernel, &mut doubt);
    let began = state.last_reset.filter(|began| *began <= context.now);
    let policy = service.contract().reset_policy();
    let due = began.and_then(|began| policy.next_after(context.zone.date_at(began)));
    let shown = usage.counted(service.mode);
    let punished_until = state
        .punished_until
        .filter(|until| *until > context.now && service.dynqos.is_some());
    let books = Books {
        usage,
        adjust: 0,
        began,
        due,
        shown,
    };
    Ok(Some(Port {
        ports,
        group_id: group_id(entry.kept),
        imported: ImportedService {
            service,
            books,
            punished_until,
            was_cut_off,
        },
    }))
}

fn messages(config: &Value) -> Messages {
    let mut messages = Messages::default();
    let settings = at(config, &["telegram"]);
    messages.set_thresholds(at(settings, &["thresholds"]));
    let hours = number(at(settings, &["report_interval_hours"])).unwrap_or_default();
    let telegram = Draft {
        name: "telegram",
        enabled: flag(at(settings, &["enable"])) == Some(true),
        settings,
        report_minutes: hours.saturating_mul(60),
        server: Some("api_url"),
    };
    messages.add(&telegram, &["bot_token", "chat_id"]);
    let push = at(config, &["push"]);
    let is_pushed = flag(at(push, &["enable"])) == Some(true);
    messages.set_push(is_pushed, push, at(config, &["node_id"]));
    messages
}

/// The tool itself takes `null` for no group, too.
fn group_id(port: &Value) -> String {
    let id = text(at(port, &["group_id"]));
    if id == "null" { String::new() } else { id }
}

/// Returns what was used, each direction by the takeover formula.
fn usage(key: &str, state: &State, kernel: &Kernel, doubt: &mut dyn FnMut(Trouble)) -> Usage {
    let mut usage = Usage::default();
    for direction in Direction::BOTH {
        let (name, added_up, looked_at) = match direction {
            Direction::In => (format!("cnt_in_{key}"), state.acc_in, state.last_in),
            Direction::Out => (format!("cnt_out_{key}"), state.acc_out, state.last_out),
        };
        let shows = kernel.counter(&name).map(|counter| counter.bytes);
        if kernel.table.is_some() && shows.is_none() {
            doubt(Trouble::CounterMissing(direction));
        }
        // Without the last look nobody can tell what of the counter is in the sum already. The tool
        // looked a minute ago; all that the counter shows may be a month's.
        let shows = shows.filter(|_| looked_at.is_some());
        let used = counted_since(
            added_up.unwrap_or_default(),
            looked_at.unwrap_or_default(),
            shows,
        );
        usage.add(direction, used);
    }
    usage
}
