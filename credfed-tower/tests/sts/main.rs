//! The STS endpoint, rule by rule, with real signatures and tokens of keys that are made here.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::type_complexity, reason = "tables of cases")]

#[path = "../support/mod.rs"]
mod support;

mod assume_role;
mod lint;
mod session_token;
mod stranger;
mod web_identity;
mod wire;
mod world;
