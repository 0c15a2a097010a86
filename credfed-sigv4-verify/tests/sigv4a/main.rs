//! SigV4A: ECDSA on P-256, for a set of regions. AWS's own cases are in `aws_suite.rs`, mutations in `properties.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chunks;
mod heads;
mod keys;
mod regions;
mod strangers;
#[path = "../support/mod.rs"]
mod support;

use credfed_sigv4_verify::{Reason, ResolvedKey, Verifier};
use http::request::Parts;
use support::by_hand::ByHand;

/// GET of an S3 object, in us-east-1.
fn plain() -> ByHand {
    ByHand::s3("/bucket/key", "/bucket/key", "").asymmetric()
}

fn verdict(verifier: &Verifier, parts: &Parts, key: &ResolvedKey) -> Result<(), Reason> {
    support::verify(verifier, parts, key).map(drop)
}

/// Why it is refused.
#[track_caller]
fn refused(parts: &Parts) -> Reason {
    verdict(&support::s3_asymmetric(), parts, &support::static_key()).unwrap_err()
}

/// The other signature that goes with the same text: `s` taken from the order.
fn other_signature(hex: &str) -> String {
    let der: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let signature = p256::ecdsa::Signature::from_der(&der).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    support::hex(other.to_der().as_bytes())
}
