//! [`Nftables`](pm_nft::Nftables) against the running kernel, each test in a network namespace of
//! its own, with the real `nft` as the judge. Without root the tests say that they were skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod damage;
mod figures;
mod forward;
mod moves;
mod nat;
mod packets;
mod policing;
mod refit;
mod refusal;
mod ruleset;
mod support;
mod takeover;
mod wanted;
mod wire;
