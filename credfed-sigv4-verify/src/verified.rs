//! Evidence that the head of a request was verified (rule 14).

use std::time::SystemTime;

use crate::key::KeyKind;
use crate::payload::{BodyCheck, PayloadCheck};
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
    signed_at: SystemTime,
    key_kind: KeyKind,
    payload_check: PayloadCheck,
    /// The hash that the body has to have, where that is still open.
    signed_sha256: Option<[u8; 32]>,
}

impl VerifiedHead {
    pub(crate) fn new(
        carrier: Carrier,
        signed_at: SystemTime,
        key_kind: KeyKind,
        payload_check: PayloadCheck,
        signed_sha256: Option<[u8; 32]>,
    ) -> Self {
        Self { carrier, signed_at, key_kind, payload_check, signed_sha256 }
    }

    /// Where the signature stood.
    pub fn carrier(&self) -> Carrier {
        self.carrier
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
        self.payload_check
    }

    /// The check that the body has to pass.
    pub fn into_body_check(self) -> BodyCheck {
        match self.signed_sha256 {
            Some(signed) => BodyCheck::sha256(signed),
            None => BodyCheck::closed(),
        }
    }
}
