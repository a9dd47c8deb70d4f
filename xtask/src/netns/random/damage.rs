//! What others may do to pm's own table.

use anyhow::Result;
use pm_core::port::PortRange;

use crate::lab::Lab;
use crate::rng::Rng;
use crate::traffic::Way;

const TABLE: &str = "inet port_monitor";

/// How the chain begins that counts forwarded packets.
pub(super) const FORWARD: &str = "chain forward {";

/// Something to be done to the table as it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage {
    /// In words.
    pub(super) what: &'static str,
    /// As nft reads it.
    pub(super) script: String,
    /// What is not counted any more.
    pub(super) uncounted: Vec<(PortRange, Way)>,
    /// Whether it takes counters, or what tells whose they are: what no reading has seen would go with them.
    pub(super) takes_counters: bool,
    /// Whether nothing at all is counted any more.
    pub(super) takes_all: bool,
}

/// An element of one of the two maps.
#[derive(Clone, Debug)]
struct Element {
    range: PortRange,
    way: Way,
    chain: Option<String>,
}

/// Returns something that somebody may do to the table, if it has anything to take.
///
/// # Errors
///
/// When nft fails.
pub(super) fn choose(lab: &Lab, rng: &mut Rng) -> Result<Option<Damage>> {
    let table = lab.table()?;
    let elements = all_elements(&table);
    let open: Vec<&Element> = elements
        .iter()
        .filter(|element| element.chain.is_some())
        .collect();
    if open.is_empty() {
        return Ok(None);
    }
    let one = *rng.pick(&open);
    let chain = one.chain.clone().unwrap_or_default();
    let (map, base) = names_of(one.way);
    let range = one.range;
    let all = || -> Vec<(PortRange, Way)> {
        let all = elements.iter().filter(|element| element.way == one.way);
        all.map(|element| (element.range, element.way)).collect()
    };
    let both = || {
        elements
            .iter()
            .map(|element| (element.range, element.way))
            .collect()
    };
    let just = vec![(range, one.way)];
    let t = TABLE;
    let epoch = words_after(&table, "chain epoch_")
        .into_iter()
        .next()
        .unwrap_or_default();
    let chosen = match rng.between(0, 15) {
        // nft 1.0.6 says that it has deleted an element that ends at 65535, and leaves it.
        0 | 5 if range.last() == u16::MAX => return Ok(None),
        0 => Damage::new(
            "an element",
            format!("delete element {t} {map} {{ {range} }}"),
            just,
        ),
        1 => Damage::new("all elements", format!("flush map {t} {map}"), all()),
        2 => Damage::new(
            "the rules of a base chain",
            format!("flush chain {t} {base}"),
            all(),
        ),
        3 => Damage::new(
            "a base chain",
            format!("flush chain {t} {base}\ndelete chain {t} {base}"),
            all(),
        ),
        4 => Damage::new("a room's rules", format!("flush chain {t} {chain}"), just),
        5 => Damage::new(
            "a room's chain",
            format!("delete element {t} {map} {{ {range} }}\ndelete chain {t} {chain}"),
            just,
        ),
        6 => Damage::new(
            "an accept in front",
            format!("insert rule {t} {base} counter accept"),
            all(),
        ),
        7 => Damage::new(
            "an element more",
            format!("add element {t} {map} {{ 55555 : drop }}"),
            Vec::new(),
        ),
        8 => Damage::new("all rules", format!("flush table {t}"), both()),
        9 => Damage::taking(
            "the epoch",
            format!("delete chain {t} epoch_{epoch}"),
            Vec::new(),
        ),
        10 => Damage {
            takes_all: true,
            ..Damage::taking(
                "the epoch for another",
                format!("delete chain {t} epoch_{epoch}\nadd chain {t} epoch_0123456789abcdef"),
                Vec::new(),
            )
        },
        11 => {
            let quota = lab
                .vps
                .nft(&["list", "chain", "inet", "port_monitor", &chain])?;
            let counter = words_after(&quota, "counter name \"")
                .into_iter()
                .next()
                .unwrap_or_default();
            let counter = counter.trim_matches('"');
            Damage::taking(
                "a counter",
                format!("flush chain {t} {chain}\ndelete counter {t} {counter}"),
                just,
            )
        }
        12 => Damage::new("the map itself", map_and_rules(&table), both()),
        // Nothing that counts is forwarded here.
        13 if !table.contains(FORWARD) => return Ok(None),
        13 => {
            let chain = ["", "\ndelete chain inet port_monitor forward"];
            let script = format!("flush chain {t} forward{}", rng.pick(&chain));
            Damage::new("what counts forwarded packets", script, Vec::new())
        }
        _ => {
            let listed = lab
                .vps
                .nft(&["-a", "list", "chain", "inet", "port_monitor", &chain])?;
            let rules: Vec<&str> = listed
                .lines()
                .filter(|line| line.contains("# handle") && !line.contains("chain "))
                .collect();
            if rules.is_empty() {
                return Ok(None);
            }
            let rule = *rng.pick(&rules);
            let handle = rule.rsplit(' ').next().unwrap_or_default();
            let counts = rule.contains("counter name");
            let uncounted = if counts { just } else { Vec::new() };
            Damage::new(
                "one rule of a room",
                format!("delete rule {t} {chain} handle {handle}"),
                uncounted,
            )
        }
    };
    Ok(Some(chosen))
}

impl Damage {
    fn new(what: &'static str, script: String, uncounted: Vec<(PortRange, Way)>) -> Self {
        Self {
            what,
            script: script + "\n",
            uncounted,
            takes_counters: false,
            takes_all: false,
        }
    }

    fn taking(what: &'static str, script: String, uncounted: Vec<(PortRange, Way)>) -> Self {
        Self {
            takes_counters: true,
            ..Self::new(what, script, uncounted)
        }
    }
}

/// Returns a listing without the elements of its maps: nft refuses to add a verdict that is there already.
pub(super) fn without_elements(listing: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in listing.lines() {
        inside |= line.trim_start().starts_with("elements = {");
        if !inside {
            kept += line;
            kept.push('\n');
        }
        inside &= !line.trim_end().ends_with('}');
    }
    kept
}

fn names_of(way: Way) -> (&'static str, &'static str) {
    match way {
        Way::In => ("ingress", "input"),
        Way::Out => ("egress", "output"),
    }
}

/// Both maps can only go when nothing refers to them.
fn map_and_rules(table: &str) -> String {
    let forward = table
        .contains(FORWARD)
        .then(|| format!("flush chain {TABLE} forward\n"));
    let mut script = forward.unwrap_or_default();
    for way in Way::ALL {
        let (map, base) = names_of(way);
        script += &format!(
            "flush chain {TABLE} {base}\nflush map {TABLE} {map}\ndelete map {TABLE} {map}\n"
        );
    }
    script
}

/// Returns all that is counted.
///
/// # Errors
///
/// When nft fails.
pub(super) fn counted(lab: &Lab) -> Result<Vec<(PortRange, Way)>> {
    let all = all_elements(&lab.table()?);
    Ok(all
        .iter()
        .map(|element| (element.range, element.way))
        .collect())
}

fn all_elements(table: &str) -> Vec<Element> {
    let both = Way::ALL.into_iter();
    both.flat_map(|way| elements(table, way)).collect()
}

fn elements(table: &str, way: Way) -> Vec<Element> {
    let (map, _) = names_of(way);
    let body = table
        .split_once(&format!("map {map} {{"))
        .and_then(|(_, rest)| rest.split_once("elements = {"));
    // A map without elements is followed by other maps.
    let body = body
        .filter(|(head, _)| !head.contains("map "))
        .map(|(_, rest)| rest);
    let body = body
        .and_then(|rest| rest.split_once('}'))
        .map_or("", |(body, _)| body);
    let element = |text: &str| {
        let (key, verdict) = text.split_once(" : ")?;
        Some(Element {
            range: key.trim().parse().ok()?,
            way,
            chain: verdict.trim().strip_prefix("goto ").map(str::to_owned),
        })
    };
    body.split(',').filter_map(element).collect()
}

fn words_after(text: &str, start: &str) -> Vec<String> {
    let words = text
        .split(start)
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next());
    words.map(str::to_owned).collect()
}
