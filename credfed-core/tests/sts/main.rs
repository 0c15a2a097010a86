//! The exchanges with the Security Token Service: what goes out, what comes back, and all that can go wrong between.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod answers;
mod base;

mod canary;
mod corpus;
mod environment;
mod faults;
mod identities;
mod limits;
#[path = "../raw/mod.rs"]
mod raw;
mod support;
