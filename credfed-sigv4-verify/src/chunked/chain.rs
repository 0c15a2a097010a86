//! The chain of signatures: each chunk's covers the one before it, beginning with the request's own.
//!
//! With SigV4A a signature is padded with `*` to 144 characters, so that every chunk of a size is as long as another;
//! the next one covers it without the padding.

#[cfg(feature = "sigv4a")]
use sha2::{Digest, Sha256};

use crate::error::Reason;
use crate::key::SigningKey;
use crate::signature::{self, Signature};
#[cfg(feature = "sigv4a")]
use crate::sigv4a::{self, PublicKey};

/// What the strings to sign of a chunk and of a trailer begin with.
const HMAC: [&[u8]; 2] = [b"AWS4-HMAC-SHA256-PAYLOAD", b"AWS4-HMAC-SHA256-TRAILER"];

/// As [`HMAC`], of SigV4A.
#[cfg(feature = "sigv4a")]
const ECDSA: [&[u8]; 2] = [b"AWS4-ECDSA-P256-SHA256-PAYLOAD", b"AWS4-ECDSA-P256-SHA256-TRAILER"];

/// The SHA-256 of nothing: the chunk's own headers, of which there never are any.
const NO_HEADERS: &[u8; 64] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The key lives here for as long as the body lasts; a signing key is wiped on drop.
pub(crate) struct Chain {
    keys: Keys,
    /// As on the wire, without padding.
    previous: Digits,
}

/// What compares signatures of chunks and of the trailer; it has read everything up to the previous signature.
enum Keys {
    Hmac([SigningKey; 2]),
    #[cfg(feature = "sigv4a")]
    Ecdsa {
        key: PublicKey,
        read: [Sha256; 2],
    },
}

/// What a signature is of: an index.
#[derive(Clone, Copy)]
enum Of {
    Chunk,
    Trailer,
}

impl Chain {
    /// Begins with the request's signature, which has been compared. `date` and `scope` are those of the request.
    pub(crate) fn new(key: &SigningKey, date: &[u8], scope: &[u8], seed: &Signature) -> Self {
        let begin = |name: &[u8]| {
            let mut key = key.clone();
            for part in [name, b"\n", date, b"\n", scope, b"\n"] {
                key.absorb(part);
            }
            key
        };
        Self { keys: Keys::Hmac(HMAC.map(begin)), previous: Digits::new(&seed.to_hex()) }
    }

    /// As [`new`](Self::new), with SigV4A.
    #[cfg(feature = "sigv4a")]
    pub(crate) fn asymmetric(key: PublicKey, date: &[u8], scope: &[u8], seed: &sigv4a::Signature) -> Self {
        let begin = |name: &[u8]| {
            let mut read = Sha256::new();
            for part in [name, b"\n", date, b"\n", scope, b"\n"] {
                read.update(part);
            }
            read
        };
        let mut digits = Vec::with_capacity(sigv4a::PADDED);
        seed.write_hex(&mut digits);
        Self { keys: Keys::Ecdsa { key, read: ECDSA.map(begin) }, previous: Digits::new(&digits) }
    }

    /// Compares the signature of a chunk whose data has this SHA-256.
    pub(super) fn check_chunk(&mut self, sent: &Digits, sha256: &[u8; 32]) -> Result<(), Reason> {
        self.compare(Of::Chunk, sent, sha256).ok_or(Reason::ChunkSignatureMismatch)
    }

    /// Compares the signature of trailer fields that have this SHA-256.
    pub(super) fn check_trailer(&mut self, sent: &Digits, sha256: &[u8; 32]) -> Result<(), Reason> {
        self.compare(Of::Trailer, sent, sha256).ok_or(Reason::TrailerSignatureMismatch)
    }

    fn compare(&mut self, of: Of, sent: &Digits, sha256: &[u8; 32]) -> Option<()> {
        let hash = signature::encode_hex(sha256);
        let mut rest = Rest::default();
        rest.push(self.previous.as_bytes());
        rest.push(b"\n");
        if let Of::Chunk = of {
            rest.push(NO_HEADERS);
            rest.push(b"\n");
        }
        rest.push(&hash);
        let previous = match &self.keys {
            Keys::Hmac(keys) => {
                let signature = Signature::from_hex(sent.as_bytes())?;
                let key = keys[of as usize].clone();
                bool::from(key.sign(rest.as_bytes()).matches(&signature)).then_some(*sent)
            }
            #[cfg(feature = "sigv4a")]
            Keys::Ecdsa { key, read } => {
                let (signature, digits) = sigv4a::Signature::from_padded(sent.as_bytes())?;
                let mut read = read[of as usize].clone();
                read.update(rest.as_bytes());
                key.verifies(read, &signature).then(|| Digits::new(digits))
            }
        }?;
        self.previous = previous;
        Some(())
    }

    /// Characters of a signature.
    fn length(&self) -> usize {
        match &self.keys {
            Keys::Hmac(_) => Digits::HMAC,
            #[cfg(feature = "sigv4a")]
            Keys::Ecdsa { .. } => sigv4a::PADDED,
        }
    }
}

/// The end of a string to sign: the previous signature and one or two hashes.
struct Rest {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl Rest {
    const LONGEST: usize = Digits::MOST + 1 + 64 + 1 + 64;

    fn push(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        self.bytes[self.len..end].copy_from_slice(part);
        self.len = end;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Default for Rest {
    fn default() -> Self {
        Self { bytes: [0; Self::LONGEST], len: 0 }
    }
}

/// A signature as it was written, not read yet.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Digits {
    const HMAC: usize = 64;
    #[cfg(feature = "sigv4a")]
    const MOST: usize = sigv4a::PADDED;
    #[cfg(not(feature = "sigv4a"))]
    const MOST: usize = Self::HMAC;

    /// Takes a text that is as long as the signatures of `chain` are; where nothing is signed, as an HMAC.
    pub(super) fn take(text: &[u8], chain: Option<&Chain>) -> Option<Self> {
        (text.len() == chain.map_or(Self::HMAC, Chain::length)).then(|| Self::new(text))
    }

    fn new(text: &[u8]) -> Self {
        let mut this = Self { bytes: [0; Self::MOST], len: text.len().min(Self::MOST) };
        this.bytes[..this.len].copy_from_slice(&text[..this.len]);
        this
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
