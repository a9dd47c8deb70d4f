//! On a machine that was just booted, what pm needs is not in the kernel yet; it loads when pm asks for it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::tests;
use crate::lab::Lab;
use crate::namespace::run;

tests!["fresh":
    pm_loads_nf_tables,
    a_limit_loads_what_shapes_and_sorts,
    the_doctor_finds_nothing_wrong,
];

/// With pm's own directories, as an operator has them.
fn pm_loads_nf_tables(lab: &mut Lab) -> Result<String> {
    lab.use_pms_own_directories();
    let before = Modules::read()?;
    before.lacks(&["nf_tables"])?;
    // `nft`, the judge, would load it too, so it comes later.
    run(
        &mut lab.pm_command(&["add", "20000", "--quota", "1MB"]),
        None,
    )?
    .success()?;
    let after = Modules::read()?;
    let table = lab.table()?;
    ensure!(table.contains("20000 : goto in_20000"), "pm made {table}");
    lab.ok(&["teardown"])?;
    ensure!(lab.table()?.is_empty(), "pm left {}", lab.table()?);
    for directory in ["/etc", "/var/lib", "/run"] {
        fs::remove_dir_all(format!("{directory}/port_monitor"))
            .with_context(|| format!("pm has no directory in {directory}"))?;
    }
    after.shows(&before, &["nf_tables"])
}

fn a_limit_loads_what_shapes_and_sorts(lab: &mut Lab) -> Result<String> {
    let before = Modules::read()?;
    before.lacks(&["sch_htb", "cls_fw"])?;
    lab.ok(&["config", "set", "classifier", "fwmark"])?;
    lab.ok(&["add", "20000", "--limit", "5M"])?;
    Modules::read()?.shows(&before, &["sch_htb", "cls_fw", "sch_fq_codel"])
}

fn the_doctor_finds_nothing_wrong(lab: &mut Lab) -> Result<String> {
    lab.ok(&["add", "20000", "--quota", "1MB", "--limit", "5M"])?;
    lab.ok(&["monitor"])?;
    let found = lab.ok(&["doctor"])?;
    let fine = found.lines().filter(|line| line.starts_with("ok ")).count();
    ensure!(fine > 0 && fine == found.lines().count(), "{found}");
    Ok(format!("{fine} checks"))
}

/// The kernel's modules.
struct Modules {
    loaded: BTreeSet<String>,
    built_in: BTreeSet<String>,
}

impl Modules {
    fn read() -> Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let built_in =
            fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release.trim()))?;
        // As in "kernel/net/sched/sch_htb.ko".
        let name = |path: &str| {
            let file = path.rsplit('/').next()?;
            Some(file.strip_suffix(".ko")?.replace('-', "_"))
        };
        let loaded = fs::read_to_string("/proc/modules")?;
        Ok(Self {
            loaded: loaded
                .lines()
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned)
                .collect(),
            built_in: built_in.lines().filter_map(name).collect(),
        })
    }

    /// Checks that none of `names` is loaded; a kernel that has one built in shows nothing, and passes.
    fn lacks(&self, names: &[&str]) -> Result<()> {
        for name in names {
            ensure!(!self.loaded.contains(*name), "{name} is loaded already");
        }
        Ok(())
    }

    /// Checks that all of `names` are there, and tells which modules are new.
    fn shows(&self, before: &Self, names: &[&str]) -> Result<String> {
        for name in names {
            ensure!(
                self.loaded.contains(*name) || self.built_in.contains(*name),
                "{name} was not loaded"
            );
        }
        let new: Vec<_> = self.loaded.difference(&before.loaded).cloned().collect();
        Ok(format!("loaded {}", new.join(" ")))
    }
}
