//! Every way to reach people, against real servers on loopback.

#![allow(clippy::panic, clippy::unwrap_used)]

mod bot_api;
mod email;
mod push;
mod support;
mod telegram;
mod webhook;
