//! `cargo xtask demo`: pm's main job in about a minute, with real traffic, in throw-away network namespaces.
//!
//! Every figure of pm is compared with one that pm had no part in:
//!
//! - what was counted: with counters in the *client's* namespace, and for datagrams with plain arithmetic;
//! - what was cut: with counters in the VPS on both sides of pm's chains;
//! - what was slowed down: with the same counters and a clock.
//!
//! A figure that is off does not stop the story; the last table shows it, and the command fails.

mod acts;
mod figures;
mod group;
mod rates;
mod screen;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::cleanup;
use crate::lab::{self, Lab};
use crate::test;

use figures::Figures;
use screen::Screen;

/// What all acts share.
#[derive(Debug)]
struct Demo {
    lab: Lab,
    screen: Screen,
    figures: Figures,
}

/// Tells the story.
///
/// # Errors
///
/// Without root, when something is missing that cannot be installed, or when a figure is off.
pub(crate) fn run(pm: Option<PathBuf>) -> Result<()> {
    lab::require_root()?;
    cleanup::on_interrupt()?;
    test::install_missing(&lab::PROGRAMS, true)?;
    let pm = match pm {
        Some(path) => path.canonicalize()?,
        None => {
            println!("Building pm ...");
            test::build_pm()?
        }
    };
    let started = Instant::now();
    let mut demo = Demo {
        lab: Lab::new(&pm, u64::from(std::process::id()))?,
        screen: Screen::new(),
        figures: Figures::default(),
    };
    for act in acts::ALL {
        let first = demo.figures.count();
        act(&mut demo)?;
        if demo.figures.count() > first {
            demo.figures.print(&demo.screen, first);
        }
    }
    let Demo {
        screen, figures, ..
    } = &mut demo;
    screen.act("In short", "");
    figures.verdict(screen)?;
    let seconds = started.elapsed().as_secs();
    drop(demo);
    println!("   It took {seconds} s; the namespaces and all their files are gone.");
    Ok(())
}
