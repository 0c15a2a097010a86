//! Payload modes (rule 10) and the check of a body against its signed hash (rule 11).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::Reason;
use crate::signature;

/// How the signature covers the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadMode {
    /// The SHA-256 of the body was signed.
    Sha256([u8; 32]),
    /// `UNSIGNED-PAYLOAD`: the body is not covered.
    Unsigned,
    /// No x-amz-content-sha256 outside S3: the hash of the body is part of the canonical request, so
    /// that the body has to be there before the signature can be checked.
    BodyHash,
}

impl PayloadMode {
    /// Reads a value of x-amz-content-sha256. Every known mode has an arm of its own; anything else is
    /// refused.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, Reason> {
        if let Ok(hex) = value.try_into() {
            return signature::decode_hex(hex).map(Self::Sha256).ok_or(Reason::InvalidPayloadMode);
        }
        match value {
            b"UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
            | b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
            | b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
            | b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            | b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
            | b"STREAMING-AWS4-HMAC-SHA256-EVENTS"
            | b"STREAMING-AWS4-ECDSA-P256-SHA256-EVENTS" => Err(Reason::PayloadModeNotImplemented),
            _ => base64_hash(value).map(Self::Sha256).ok_or(Reason::InvalidPayloadMode),
        }
    }
}

/// Some signers write the 32 bytes in base64: 44 characters, padding included.
fn base64_hash(value: &[u8]) -> Option<[u8; 32]> {
    if value.len() != 44 {
        return None;
    }
    let mut bytes = [0; 33];
    match STANDARD.decode_slice(value, &mut bytes) {
        Ok(32) => bytes.first_chunk().copied(),
        _ => None,
    }
}

/// What is still to be checked of a verified request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadCheck {
    /// The body has to have the signed SHA-256.
    Sha256,
    /// Nothing: its hash was given to the verifier and was covered by the signature.
    Compared,
    /// Nothing: the body is not covered.
    Unsigned,
}

/// The check of one body. Feed it every byte in order, then [`finish`](Self::finish).
///
/// Until `finish` has returned `Ok`, nothing of the body is verified: hold back at least its last byte.
#[must_use = "the body is not verified until finish() has returned Ok"]
pub struct BodyCheck(State);

enum State {
    Closed,
    Open { hasher: Sha256, signed: [u8; 32] },
}

impl BodyCheck {
    pub(crate) fn closed() -> Self {
        Self(State::Closed)
    }

    pub(crate) fn sha256(signed: [u8; 32]) -> Self {
        Self(State::Open { hasher: Sha256::new(), signed })
    }

    /// Whether anything remains to be checked. Where not, the bytes need not be fed.
    pub fn is_open(&self) -> bool {
        matches!(self.0, State::Open { .. })
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Open { hasher, .. } => hasher.update(bytes),
            State::Closed => {}
        }
    }

    /// Judges the body, which has ended.
    ///
    /// # Errors
    /// [`Reason::BodyMismatch`] where it is not the one that was signed.
    pub fn finish(self) -> Result<(), Reason> {
        match self.0 {
            State::Closed => Ok(()),
            State::Open { hasher, signed } => {
                let actual: [u8; 32] = hasher.finalize().into();
                if bool::from(actual.ct_eq(&signed)) { Ok(()) } else { Err(Reason::BodyMismatch) }
            }
        }
    }
}

impl fmt::Debug for BodyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCheck").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_in_hex_and_base64() {
        let hash: [u8; 32] = Sha256::digest(b"body").into();
        let hex = signature::encode_hex(&hash);
        assert_eq!(PayloadMode::parse(&hex), Ok(PayloadMode::Sha256(hash)));
        assert_eq!(PayloadMode::parse(&hex.to_ascii_uppercase()), Ok(PayloadMode::Sha256(hash)));
        assert_eq!(PayloadMode::parse(STANDARD.encode(hash).as_bytes()), Ok(PayloadMode::Sha256(hash)));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = STANDARD.encode([7; 33]);
        for value in [
            "",
            "-",
            "x",
            "UNSIGNED-PAYLOADS",
            "unsigned-payload",
            "UNSIGNED-PAYLOAD ",
            "required",
            "STREAMING-",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-X",
            "STREAMING-UNSIGNED-PAYLOAD",
            "streaming-unsigned-payload-trailer",
            &"0".repeat(63),
            &"0".repeat(65),
            &"g".repeat(64),
            &"A".repeat(44),
            &"A".repeat(43),
            long.as_str(),
        ] {
            assert_eq!(PayloadMode::parse(value.as_bytes()), Err(Reason::InvalidPayloadMode), "{value}");
        }
    }

    #[test]
    fn the_body_is_judged_by_all_its_bytes() {
        let signed: [u8; 32] = Sha256::digest(b"abc").into();
        let judge = |pieces: &[&[u8]]| {
            let mut check = BodyCheck::sha256(signed);
            assert!(check.is_open());
            pieces.iter().for_each(|piece| check.update(piece));
            check.finish()
        };
        assert_eq!(judge(&[b"a", b"", b"bc"]), Ok(()));
        assert_eq!(judge(&[b"ab"]), Err(Reason::BodyMismatch));
        assert_eq!(judge(&[b"abc", b"d"]), Err(Reason::BodyMismatch));
        assert_eq!(judge(&[]), Err(Reason::BodyMismatch));
    }
}
