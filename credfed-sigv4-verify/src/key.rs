//! Secrets and the signing keys derived from them.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::scope::Scope;
use crate::signature::Computed;
#[cfg(feature = "sigv4a")]
use crate::sigv4a::PublicKey;

/// Whether a key stands for itself or for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// A long-lived key: a request that brings a session token is refused.
    Static,
    /// A session's key: a request that does not bring the session token is refused.
    Temporary,
}

/// A secret access key, as a resolver found it for an access key id (and session token). Cheap to
/// clone; redacted in `Debug`; wiped when the last clone is dropped.
#[derive(Clone)]
pub struct ResolvedKey {
    inner: Arc<Inner>,
    not_after: Option<SystemTime>,
}

/// What the derivation puts before a secret.
const PREFIX: &[u8] = b"AWS4";

struct Inner {
    /// `AWS4` and the secret, as the derivation wants it.
    prefixed: Zeroizing<Vec<u8>>,
    /// Tells secrets apart in the cache of derived keys without revealing them.
    tag: u64,
    kind: KeyKind,
    generation: u64,
}

impl ResolvedKey {
    /// A secret access key. `generation` is part of what a derived key is cached under: give a rotated
    /// or revoked secret another one. An empty secret is nobody's: it verifies nothing.
    pub fn new(secret: impl Into<String>, kind: KeyKind, generation: u64) -> Self {
        let secret = Zeroizing::new(secret.into());
        let mut prefixed = Zeroizing::new(Vec::with_capacity(PREFIX.len() + secret.len()));
        prefixed.extend_from_slice(PREFIX);
        prefixed.extend_from_slice(secret.as_bytes());
        let tag = process_hasher().hash_one(prefixed.as_slice());
        Self { inner: Arc::new(Inner { prefixed, tag, kind, generation }), not_after: None }
    }

    /// The end of the session. A request verified at this moment or later is refused with
    /// [`Reason::ExpiredToken`](crate::Reason::ExpiredToken), a presigned one too.
    #[must_use]
    pub fn not_after(mut self, end: SystemTime) -> Self {
        self.not_after = Some(end);
        self
    }

    /// The end of the session; `None` for a key without one.
    pub fn session_end(&self) -> Option<SystemTime> {
        self.not_after
    }

    /// Static or temporary.
    pub fn kind(&self) -> KeyKind {
        self.inner.kind
    }

    /// The generation given at construction.
    pub fn generation(&self) -> u64 {
        self.inner.generation
    }

    /// Whether there is a secret at all. Without one anybody could sign.
    pub(crate) fn is_usable(&self) -> bool {
        self.inner.prefixed.len() > PREFIX.len()
    }

    pub(crate) fn tag(&self) -> u64 {
        self.inner.tag
    }

    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        self.not_after.is_some_and(|end| now >= end)
    }

    pub(crate) fn derive(&self, scope: Scope<'_>) -> SigningKey {
        SigningKey::derive(&self.inner.prefixed, scope)
    }

    /// What SigV4A signatures of this secret are verified with.
    #[cfg(feature = "sigv4a")]
    pub(crate) fn derive_public(&self, access_key: &[u8]) -> Option<PublicKey> {
        PublicKey::derive(self.inner.prefixed.get(PREFIX.len()..)?, access_key)
    }
}

impl fmt::Debug for ResolvedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedKey")
            .field("secret", &"** redacted **")
            .field("kind", &self.inner.kind)
            .field("generation", &self.inner.generation)
            .field("not_after", &self.not_after)
            .finish()
    }
}

/// A derived key as an HMAC midstate: both pads are hashed already. Wiped on drop by hmac itself.
#[derive(Clone)]
pub(crate) struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// "Derive a signing key" of the IAM user guide; `prefixed` is `AWS4` and the secret.
    fn derive(prefixed: &[u8], scope: Scope<'_>) -> Self {
        let date = hmac(prefixed, scope.date());
        let region = hmac(&*date, scope.region());
        let service = hmac(&*region, scope.service());
        let signing = hmac(&*service, "aws4_request");
        Self(keyed(&*signing))
    }

    /// The key of nobody, so that an unknown access key costs what a known one does.
    pub(crate) fn dummy(scope: Scope<'_>) -> Self {
        Self::derive(b"AWS4no one has this secret, it is never valid", scope)
    }

    /// Takes the beginning of what will be signed, for keys that sign many texts that begin alike.
    pub(crate) fn absorb(&mut self, beginning: &[u8]) {
        self.0.update(beginning);
    }

    /// Consumes the key: a clone is 150 bytes to copy and to wipe, and one is made already where a key
    /// is kept.
    #[inline(always)]
    pub(crate) fn sign(self, string_to_sign: &[u8]) -> Computed {
        let mut mac = self.0;
        mac.update(string_to_sign);
        Computed::new(&Zeroizing::new(mac.finalize().into_bytes().into()))
    }
}

fn hmac(key: &[u8], message: &str) -> Zeroizing<[u8; 32]> {
    let mut mac = keyed(key);
    mac.update(message.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::new_from_slice(key).expect("any length")
}

fn process_hasher() -> &'static std::hash::RandomState {
    static HASHER: OnceLock<std::hash::RandomState> = OnceLock::new();
    HASHER.get_or_init(std::hash::RandomState::new)
}
