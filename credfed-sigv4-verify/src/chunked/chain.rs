//! The chain of signatures: each chunk's covers the one before it, beginning with the request's own.

use crate::error::Reason;
use crate::key::SigningKey;
use crate::signature::{self, Signature};

/// What the string to sign of a chunk begins with.
const CHUNK: &[u8] = b"AWS4-HMAC-SHA256-PAYLOAD";

/// What the string to sign of a trailer begins with.
const TRAILER: &[u8] = b"AWS4-HMAC-SHA256-TRAILER";

/// The SHA-256 of nothing: the chunk's own headers, of which there never are any.
const NO_HEADERS: &[u8; 64] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The signing key lives here for as long as the body lasts, as two midstates that are wiped on drop.
pub(crate) struct Chain {
    /// Has read everything up to the previous signature.
    chunk: SigningKey,
    trailer: SigningKey,
    /// As on the wire.
    previous: [u8; 64],
}

impl Chain {
    /// Begins with the request's signature, which has been compared. `date` and `scope` are those of the request.
    pub(crate) fn new(key: &SigningKey, date: &[u8], scope: &[u8], seed: &Signature) -> Self {
        let begin = |algorithm: &[u8]| {
            let mut key = key.clone();
            for part in [algorithm, date, scope] {
                key.absorb(part);
                key.absorb(b"\n");
            }
            key
        };
        Self { chunk: begin(CHUNK), trailer: begin(TRAILER), previous: seed.to_hex() }
    }

    /// Compares the signature of a chunk whose data has this SHA-256.
    pub(super) fn check_chunk(&mut self, sent: &[u8; 64], sha256: &[u8; 32]) -> Result<(), Reason> {
        let mut rest = [b'\n'; 64 + 1 + 64 + 1 + 64];
        rest[..64].copy_from_slice(&self.previous);
        rest[65..129].copy_from_slice(NO_HEADERS);
        rest[130..].copy_from_slice(&signature::encode_hex(sha256));
        self.compare(self.chunk.clone(), &rest, sent, Reason::ChunkSignatureMismatch)
    }

    /// Compares the signature of trailer fields that have this SHA-256.
    pub(super) fn check_trailer(&mut self, sent: &[u8; 64], sha256: &[u8; 32]) -> Result<(), Reason> {
        let mut rest = [b'\n'; 64 + 1 + 64];
        rest[..64].copy_from_slice(&self.previous);
        rest[65..].copy_from_slice(&signature::encode_hex(sha256));
        self.compare(self.trailer.clone(), &rest, sent, Reason::TrailerSignatureMismatch)
    }

    fn compare(
        &mut self,
        key: SigningKey,
        rest: &[u8],
        sent: &[u8; 64],
        otherwise: Reason,
    ) -> Result<(), Reason> {
        let signature = Signature::from_hex(sent).ok_or(otherwise.clone())?;
        if !bool::from(key.sign(rest).matches(&signature)) {
            return Err(otherwise);
        }
        self.previous = *sent;
        Ok(())
    }
}
