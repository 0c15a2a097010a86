//! OpenID Connect both ways: what is refused, what is accepted, and what an issuer that is hostile or down does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "only tests are here")]

mod algorithms;
mod audience;
mod claims;
mod corpus;
mod form;
mod hostile;
mod issuer;
mod key_sets;
mod mutations;
mod rotation;
mod strangers;
mod support;
