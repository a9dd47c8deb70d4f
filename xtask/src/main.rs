//! Development commands: `cargo xtask test` and its friends.

mod bench;
mod calendar;
mod cleanup;
mod demo;
mod dist;
mod lab;
mod namespace;
mod netns;
mod outbox;
mod portrait;
mod releases;
mod rng;
mod speed;
mod terminal;
mod test;
mod traffic;
mod truth;
mod vm;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Development commands of pm")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pass every test there is; as root it installs the Debian packages that it needs.
    Test,
    /// Test pm in network namespaces with real traffic; needs root.
    NetnsTest {
        /// Only the tests whose name contains this.
        #[arg(long)]
        filter: Option<String>,
        /// The program to test; without it, a release build is made.
        #[arg(long, value_name = "FILE")]
        pm: Option<PathBuf>,
        /// Repeat a run's random choices.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Test pm in an emulated Debian machine of its own, with that system's kernel; needs root.
    VmTest {
        /// Only the tests whose name contains this.
        #[arg(long)]
        filter: Option<String>,
        /// The program to test; without it, a release build is made.
        #[arg(long, value_name = "FILE")]
        pm: Option<PathBuf>,
        /// Only the tests that belong to `cargo xtask test`.
        #[arg(long)]
        quick: bool,
    },
    /// Compare the calendar with python-dateutil and Python's zoneinfo on random policies and zones.
    Calendar {
        /// Repeat a run's random choices.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Watch pm do its main job in network namespaces, in about a minute; needs root.
    Demo {
        /// The program to watch; without it, a release build is made.
        #[arg(long, value_name = "FILE")]
        pm: Option<PathBuf>,
    },
    /// Measure pm in network namespaces and print the figures as a Markdown table; needs root.
    Bench {
        /// Fewer rounds: a minute instead of several, and less certain.
        #[arg(long)]
        quick: bool,
        /// Only one part: `packets`, `ticks`, `views`, `loads`, `cuts`, `shaping`, `notify` or `install`.
        #[arg(long, value_name = "PART")]
        only: Option<String>,
        /// The program to measure; without it, a release build is made.
        #[arg(long, value_name = "FILE")]
        pm: Option<PathBuf>,
    },
    /// Write pm's man pages: DIR/man1, and DIR/zh_CN/man1 for the Chinese ones.
    Man {
        /// Where.
        dir: PathBuf,
    },
    /// Make a release: programs, packages, the installer, and the signed manifest of them.
    Dist(dist::Dist),
    /// Run a program and print what it cost.
    #[command(hide = true)]
    Measure {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// What `vm-test` runs in the machine.
    #[command(hide = true)]
    GuestTest {
        /// The program to test.
        #[arg(long, value_name = "FILE")]
        pm: PathBuf,
        /// Which step of the tests, from 0.
        #[arg(long)]
        step: usize,
        /// The tests.
        names: Vec<String>,
    },
    /// Helper processes of the tests.
    #[command(hide = true, subcommand)]
    Traffic(Traffic),
}

#[derive(Subcommand)]
enum Traffic {
    /// Listen on a TCP address until standard input ends.
    Listen { address: SocketAddr },
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Test => test::run()?,
        Command::NetnsTest { filter, pm, seed } => return netns::run(filter.as_deref(), pm, seed),
        Command::VmTest { filter, pm, quick } => return vm::run(filter.as_deref(), pm, quick),
        Command::GuestTest { pm, step, names } => vm::run_guest(&pm, step, &names)?,
        Command::Calendar { seed } => calendar::run(seed)?,
        Command::Demo { pm } => demo::run(pm)?,
        Command::Bench { quick, only, pm } => bench::run(quick, only.as_deref(), pm)?,
        Command::Man { dir } => test::write_man_pages(&dir)?,
        Command::Dist(flags) => dist::run(&flags)?,
        Command::Measure { command } => bench::child(&command)?,
        Command::Traffic(Traffic::Listen { address }) => traffic::listen_until_eof(address)?,
    }
    Ok(ExitCode::SUCCESS)
}
