//! Payload modes (rule 10).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::authorization::Algorithm;
use crate::chunked::Chunked;
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
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, that with `-TRAILER`, or
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: the body is `aws-chunked`. With SigV4A the first two are of
    /// `AWS4-ECDSA-P256-SHA256`.
    Chunked(Chunked),
}

/// A value of x-amz-content-sha256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayloadLine {
    Sha256([u8; 32]),
    Unsigned,
    /// What else goes with it stands in other headers.
    Chunked {
        signed: Option<Algorithm>,
        has_trailer: bool,
    },
}

impl PayloadLine {
    /// Every known mode has an arm of its own; anything else is refused.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, Reason> {
        if let Ok(hex) = value.try_into() {
            return signature::decode_hex(hex).map(Self::Sha256).ok_or(Reason::InvalidPayloadMode);
        }
        match value {
            b"UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(chunked(Some(Algorithm::HmacSha256), false)),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(chunked(Some(Algorithm::HmacSha256), true)),
            b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" => {
                Ok(chunked(Some(Algorithm::EcdsaP256Sha256), false))
            }
            b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Ok(chunked(Some(Algorithm::EcdsaP256Sha256), true))
            }
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(chunked(None, true)),
            b"STREAMING-AWS4-HMAC-SHA256-EVENTS" | b"STREAMING-AWS4-ECDSA-P256-SHA256-EVENTS" => {
                Err(Reason::PayloadModeNotImplemented)
            }
            _ => base64_hash(value).map(Self::Sha256).ok_or(Reason::InvalidPayloadMode),
        }
    }
}

/// A mode whose chunks are signed with this algorithm, or not at all.
fn chunked(signed: Option<Algorithm>, has_trailer: bool) -> PayloadLine {
    PayloadLine::Chunked { signed, has_trailer }
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
    /// The body is `aws-chunked`, and every chunk has to have its signature.
    SignedChunks,
    /// The body is `aws-chunked` and not covered; it has to be as long as was signed, and to have the
    /// checksum that it carries itself.
    UnsignedChunks,
    /// Nothing: its hash was given to the verifier and was covered by the signature.
    Compared,
    /// Nothing: the body is not covered.
    Unsigned,
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn hashes_in_hex_and_base64() {
        let hash: [u8; 32] = Sha256::digest(b"body").into();
        let hex = signature::encode_hex(&hash);
        assert_eq!(PayloadLine::parse(&hex), Ok(PayloadLine::Sha256(hash)));
        assert_eq!(PayloadLine::parse(&hex.to_ascii_uppercase()), Ok(PayloadLine::Sha256(hash)));
        assert_eq!(PayloadLine::parse(STANDARD.encode(hash).as_bytes()), Ok(PayloadLine::Sha256(hash)));
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
            assert_eq!(PayloadLine::parse(value.as_bytes()), Err(Reason::InvalidPayloadMode), "{value}");
        }
    }
}
