//! Evidence that the head of a request was verified (rule 14).

use std::time::SystemTime;

use crate::authorization::Algorithm;
use crate::body::{BodyCheck, Open};
use crate::key::KeyKind;
use crate::payload::PayloadCheck;
use crate::request::Carrier;

/// The head of a request was verified: method, path, query, signed headers, and what was signed of the
/// body. The body itself is still open, see [`into_body_check`](Self::into_body_check).
///
/// Only a [`Verifier`](crate::Verifier) makes one, and it cannot be copied: a function that takes it
/// runs for one verified request.
///
/// ```compile_fail
/// let forged: credfed_sigv4_verify::VerifiedHead = Default::default();
/// ```
/// ```compile_fail
/// fn twice(head: credfed_sigv4_verify::VerifiedHead) -> [credfed_sigv4_verify::VerifiedHead; 2] {
///     [head.clone(), head]
/// }
/// ```
#[derive(Debug)]
#[must_use = "the body is still to be checked: into_body_check()"]
pub struct VerifiedHead {
    carrier: Carrier,
    algorithm: Algorithm,
    signed_at: SystemTime,
    key_kind: KeyKind,
    /// What is open of the body.
    open: Open,
}

impl VerifiedHead {
    pub(crate) fn new(
        (carrier, algorithm): (Carrier, Algorithm),
        signed_at: SystemTime,
        key_kind: KeyKind,
        open: Open,
    ) -> Self {
        Self { carrier, algorithm, signed_at, key_kind, open }
    }

    /// Where the signature stood.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// How it was signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The date that was signed, of second precision.
    pub fn signed_at(&self) -> SystemTime {
        self.signed_at
    }

    /// The kind of key that signed.
    pub fn key_kind(&self) -> KeyKind {
        self.key_kind
    }

    /// What remains to be checked of the body.
    pub fn payload_check(&self) -> PayloadCheck {
        match &self.open {
            Open::Unsigned => PayloadCheck::Unsigned,
            Open::Compared => PayloadCheck::Compared,
            Open::Sha256(_) => PayloadCheck::Sha256,
            Open::Chunked(decoder) if decoder.is_signed() => PayloadCheck::SignedChunks,
            Open::Chunked(_) => PayloadCheck::UnsignedChunks,
        }
    }

    /// The check that the body has to pass.
    pub fn into_body_check(self) -> BodyCheck {
        BodyCheck::new(self.open)
    }
}
