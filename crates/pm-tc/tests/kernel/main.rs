//! [`TrafficControl`](pm_tc::TrafficControl) against the running kernel, each test in a network
//! namespace of its own, with the real `tc` as the judge. Without root the tests say that they
//! were skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]

mod figures;
mod host;
mod other;
mod refusal;
mod routes;
mod shape;
mod support;
