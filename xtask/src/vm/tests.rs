//! What is tested in the guest, in this order: the first tests see a machine that was just booted.
//!
//! A test is a function on a fresh [`Lab`] whose VPS is the whole machine, or several, if the machine is to be
//! rebooted between them. It returns what it showed, in a few words.

mod delivery;
mod fresh;
mod fwmark;
mod limits;
mod mq;
mod quota;
mod reboot;
mod setup;
mod setup_openrc;
mod shaping;
mod tc;

use anyhow::Result;

use super::image::System;
use crate::lab::Lab;

/// One test.
#[derive(Debug)]
pub(super) struct Test {
    theme: &'static str,
    name: &'static str,
    /// Where.
    pub(super) system: System,
    /// What to do: a step a boot, all with the same disk.
    pub(super) steps: &'static [fn(&mut Lab) -> Result<String>],
}

impl Test {
    /// Returns its name, with the theme's.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.theme, self.name)
    }

    /// Says whether one boot is enough, which other tests can share.
    pub(super) fn is_quick(&self) -> bool {
        self.steps.len() == 1 && self.system == System::Systemd
    }
}

/// Makes the list of a theme's tests from the names of its functions.
macro_rules! tests {
    ($theme:literal: $($name:ident),+ $(,)?) => {
        /// The tests of this theme.
        pub(super) const TESTS: &[$crate::vm::tests::Test] = &[$($crate::vm::tests::Test {
            theme: $theme,
            name: stringify!($name),
            system: $crate::vm::image::System::Systemd,
            steps: &[$name],
        }),+];
    };
}
use tests;

/// Returns all tests in order.
pub(super) fn all() -> impl Iterator<Item = &'static Test> {
    [
        fresh::TESTS,
        quota::TESTS,
        shaping::TESTS,
        mq::TESTS,
        fwmark::TESTS,
        limits::TESTS,
        reboot::TESTS,
        setup::TESTS,
        setup_openrc::TESTS,
    ]
    .into_iter()
    .flatten()
}
