//! Session tokens and key rings, from outside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod file;
#[cfg(feature = "oidc")]
mod jwt;
#[cfg(feature = "oidc")]
mod jwt_mixed_up;
mod mutations;
mod revocation;
mod ring;
mod rotation;
mod sealed;
mod support;
