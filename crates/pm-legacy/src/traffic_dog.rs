//! traffic-dog: flat files, a port or a range a line.

use std::collections::BTreeMap;

use pm_core::calendar::ResetPolicy;
use pm_core::config::Service;
use pm_core::ledger::Usage;
use pm_core::ruleset::Direction;
use pm_core::units::SizeUnit;

use crate::doubt::{Setting, Subject, Trouble};
use crate::entries::{Entry, separate};
use crate::imported::{Books, IN_PASSING, Imported, ImportedService};
use crate::json::number_in;
use crate::source::{Context, Files, Kernel, Refusal, Tool};
use crate::text::{instant, shown};
use crate::values;

/// Where the tool keeps which ports it has; the others are beside it.
const PORTS: &str = "ports";

/// What the other files say of one entry: the fields behind its name.
type Lines<'a> = BTreeMap<&'a str, Vec<&'a str>>;

pub(crate) fn read(
    files: &Files,
    kernel: &Kernel,
    context: &Context<'_>,
) -> Result<Imported, Refusal> {
    let ports = files.required(PORTS)?;
    let mut imported = Imported::nothing(Tool::TrafficDog, String::new());
    let [state, limits, used] = ["state", "limits", "used"].map(|path| files.text(path));
    let [state, limits, used] = [state?, limits?, used?].map(Option::unwrap_or_default);
    let [state, limits, used] = [&state, &limits, &used].map(|text| lines(text));
    let listed: BTreeMap<&str, Vec<&str>> = lines(&ports);
    let named = listed.into_keys().map(|key| (key.to_owned(), ()));
    let (entries, doubts) = separate(named, |ports| ports.len() == 1);
    imported.doubts.extend(doubts);
    for entry in &entries {
        let mut troubles = Vec::new();
        let mut doubt = |trouble| troubles.push(trouble);
        let of = |lines: &Lines<'_>, field: usize| {
            let fields = lines.get(entry.key.as_str())?;
            fields.get(field).map(|&field| field.to_owned())
        };
        let mut service = Service {
            reset: Some(ResetPolicy::Never),
            ..Service::default()
        };
        if let Some(written) = of(&limits, 0) {
            let bytes = number_in(&written).map(u128::from);
            service.quota = bytes.and_then(|bytes| values::quota(bytes, largest_unit(bytes)));
            if service.quota.is_none() {
                let (setting, value) = (Setting::Quota, shown(&written));
                doubt(Trouble::Unusable { setting, value });
            }
        }
        let saved = [of(&state, 0), of(&state, 1)];
        let usage = usage(entry, saved, kernel, &mut doubt);
        let counted = usage.incoming.saturating_add(usage.outgoing);
        let live = kernel.quota(&format!("q_{}_total", safe(&entry.key)));
        let saved = of(&used, 0).and_then(|written| number_in(&written));
        let enforced = live.map(|quota| quota.used).or(saved);
        let enforced = enforced.filter(|_| service.quota.is_some());
        // What was saved of the quota is as old as the last snapshot: less than what was counted is
        // nothing new.
        let differs = |&enforced: &u64| {
            let is_more = enforced > counted.saturating_add(IN_PASSING);
            is_more || (live.is_some() && counted > enforced.saturating_add(IN_PASSING))
        };
        if let Some(enforced) = enforced.filter(differs) {
            let billed = counted;
            doubt(Trouble::EnforcedDiffers { enforced, billed });
        }
        // The tool goes by the larger of the two.
        let billed = enforced.unwrap_or_default().max(counted);
        let began = of(&state, 2).and_then(|written| instant(&written));
        let mut books = Books {
            usage,
            began: began.filter(|began| *began <= context.now),
            shown: billed,
            ..Books::default()
        };
        books.set_billed(service.contract(), billed);
        let quota = service.quota;
        let was_cut_off = quota.is_some_and(|quota| billed >= quota.bytes());
        let ports = entry.ports[0];
        let about = Subject::Service(ports);
        for trouble in troubles {
            imported.doubt(about.clone(), trouble);
        }
        let found = ImportedService {
            service,
            books,
            was_cut_off,
            ..ImportedService::default()
        };
        imported.services.insert(ports, found);
    }
    imported.judge(context.zone, context.now);
    Ok(imported)
}

/// Returns the lines of a file, by their first word; the first of each, as the tool reads them.
fn lines(text: &str) -> Lines<'_> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found = Lines::new();
    for line in lines {
        let mut words = line.split_whitespace();
        if let Some(name) = words.next() {
            found.entry(name).or_insert_with(|| words.collect());
        }
    }
    found
}

fn usage(
    entry: &Entry<()>,
    saved: [Option<String>; 2],
    kernel: &Kernel,
    doubt: &mut dyn FnMut(Trouble),
) -> Usage {
    let mut usage = Usage::default();
    let is_saved = saved.iter().any(Option::is_some);
    for (direction, saved) in Direction::BOTH.into_iter().zip(saved) {
        let (end, field) = match direction {
            Direction::In => ("in", "in_bytes"),
            Direction::Out => ("out", "out_bytes"),
        };
        let bytes = saved.as_deref().map(number_in);
        if bytes == Some(None) {
            let value = shown(&saved.unwrap_or_default());
            doubt(Trouble::NotBytes { field, value });
        }
        let counter = kernel.counter(&format!("p_{}_{end}", safe(&entry.key)));
        if kernel.table.is_some() && counter.is_none() {
            doubt(Trouble::CounterMissing(direction));
        }
        let live = counter.map_or(0, |counter| counter.bytes);
        usage.add(direction, bytes.flatten().unwrap_or_default());
        usage.add(direction, live);
    }
    if !is_saved && usage == Usage::default() {
        doubt(Trouble::NothingCounted);
    }
    usage
}

/// Returns a name as it is in the names of the tool's objects.
fn safe(key: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    key.chars().map(safe).collect()
}

/// Returns the largest unit of which so many bytes are a whole number.
fn largest_unit(bytes: u128) -> SizeUnit {
    let units = [SizeUnit::TiB, SizeUnit::GiB, SizeUnit::MiB, SizeUnit::KiB];
    let whole = |unit: &SizeUnit| bytes.is_multiple_of(unit.bytes().into());
    units.into_iter().find(whole).unwrap_or(SizeUnit::B)
}
