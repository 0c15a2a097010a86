//! Sealing and opening.
//!
//! # What seals
//! XAES-256-GCM (C2SP): AES-256-GCM under a key that is derived, token by token, from the ring's key and the first
//! half of a 192-bit nonce. Nonces can be random for any number of tokens: 2^80 under one key before a repetition has
//! a chance of 2^-32. Like AES-GCM it does not commit to its key; the token names its key, that name is part of the
//! associated data, and no second key is ever tried.
//!
//! The other candidate was a key per token by HKDF-SHA256 with the AES-256-GCM of aws-lc-rs. It allocates a context on
//! the C heap for each token, which no guard of ours would see, needs a C compiler for a feature that does without, and
//! is a construction of our own where XAES-256-GCM has a specification and vectors.
//!
//! # What it costs
//! In blocks of SHA-256 of the same run (`cargo bench -p credfed-core --features session,oidc --bench session`,
//! November 2026, a virtual machine with two threads of one core, a token of 447 characters): opening, claims included,
//! takes 15.4 blocks (704 ns where a block takes 45.7 ns; of that, decryption 10, base64 1.4, the access key id 1, the
//! claims 2), and up to 23 while another process has the core's other thread, which SHA-256 does not feel and AES does.
//! The secret access key, which is derived when it is asked for, comes to 6 more. A key per token by HKDF and aws-lc-rs
//! takes 13 to decrypt.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use xaes_256_gcm::aead::AeadInOut;
use zeroize::optimization_barrier;

use super::claims::{ClaimsError, LONGEST_CLAIMS, SessionClaims, SessionClaimsRef};
use super::secret::{self, SecretAccessKey, length};
use super::token::{self, ACCESS_KEY_ID, AccessKeyId, LONGEST_SEALED, NONCE, Parts, TAG, TokenId};
use crate::keyring::{HeldKey, KeyId, SharedKeyRing};
use crate::{AwsCredentials, Expiring, Secret};

/// How far ahead of the clock a session may have been issued.
pub(super) const ISSUED_AHEAD: Duration = Duration::from_secs(60);

/// What else might be sealed one day gets another purpose, and opens nowhere but there.
const PURPOSE: &[u8] = b"sigv4-session";
const VERSION: &[u8] = b"cf1";

/// Seals sessions into tokens and opens them; see [the module](super). Clones are one.
#[derive(Clone, Debug)]
pub struct SealedSessions {
    issuer: Arc<str>,
    ring: SharedKeyRing,
    /// The associated data, with room for the key's name and for the access key id.
    associated: Arc<[u8]>,
}

impl SealedSessions {
    /// For one issuer, which is any text that all replicas of a service share and no other service has, such as the
    /// URL of its STS. Tokens of another issuer do not open, even under the same ring.
    pub fn new(issuer: &str, ring: SharedKeyRing) -> Self {
        // Version, key, purpose, issuer and access key id, each behind its length.
        let parts: [&[u8]; 5] =
            [VERSION, &[0; KeyId::LENGTH], PURPOSE, issuer.as_bytes(), &[0; ACCESS_KEY_ID]];
        let associated = parts.iter().flat_map(|part| [&length(part), *part].concat()).collect();
        Self { issuer: issuer.into(), ring, associated }
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The ring in use.
    pub fn ring(&self) -> &SharedKeyRing {
        &self.ring
    }

    /// Mints a session with the current key: an access key id, a secret access key, and the token.
    ///
    /// # Errors
    /// See [`MintError`].
    pub fn mint(
        &self,
        claims: &SessionClaims,
        now: SystemTime,
    ) -> Result<Expiring<AwsCredentials>, MintError> {
        let plain = claims.encoded();
        if plain.len() > LONGEST_CLAIMS {
            return Err(MintError::TooLong);
        }
        judge(&claims.as_ref(), now).map_err(|_| MintError::Times)?;
        let ring = self.ring.peek();
        let key = ring.current(now).ok_or(MintError::NoCurrentKey)?;

        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| MintError::NoRandomness)?;
        let id = TokenId::new(nonce);
        let access_key_id = id.access_key_id();
        let mut associated = Vec::new();
        self.associate(&mut associated, key.id(), &access_key_id);

        let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = key
            .sealing()
            .encrypt_inout_detached((&nonce).into(), &associated, (&mut sealed[NONCE..]).into())
            .map_err(|_| MintError::TooLong)?;
        sealed.extend_from_slice(&tag);

        let secret = SecretAccessKey::derive(key, secret::SEALED, &id, &access_key_id);
        let token = Secret::new(token::text(key.id(), &sealed));
        let credentials =
            AwsCredentials::new(access_key_id.as_str(), Secret::new(secret.expose()), Some(token));
        Ok(Expiring::at(credentials, claims.expires()))
    }

    /// Opens a token that came with an access key id. Nothing is allocated once `scratch` has been used, and
    /// nothing is remembered: each request is judged anew.
    ///
    /// Revocation is not judged here: ask [`Revocation::check`](super::Revocation::check) with what this returns.
    ///
    /// # Errors
    /// See [`OpenError`]; the cheap checks come first.
    pub fn open<'s>(
        &self,
        access_key_id: &str,
        token: &str,
        now: SystemTime,
        scratch: &'s mut Scratch,
    ) -> Result<OpenSession<'s>, OpenError> {
        let parts = Parts::of(token).ok_or(OpenError::Malformed)?;
        scratch.wipe();
        let Scratch { bytes, used, associated } = scratch;
        let sealed = parts.decode(bytes).ok_or(OpenError::Malformed)?;
        *used = sealed.len();

        let (nonce, rest) = sealed.split_first_chunk_mut().ok_or(OpenError::Malformed)?;
        let (plain, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(OpenError::Malformed)?;
        let id = TokenId::new(*nonce);
        let expected = id.access_key_id();
        // Both are public, and the caller knows both.
        if expected.as_bytes() != access_key_id.as_bytes() {
            return Err(OpenError::OtherAccessKey);
        }

        let key = self.ring.key(parts.kid).ok_or(OpenError::UnknownKey)?;
        self.associate(associated, key.id(), &expected);
        let genuine = key.sealing().decrypt_inout_detached(
            (&*nonce).into(),
            associated,
            (&mut *plain).into(),
            (&*tag).into(),
        );
        genuine.map_err(|_| OpenError::NotGenuine)?;

        let claims = SessionClaimsRef::decode(plain).map_err(OpenError::Claims)?;
        judge(&claims, now)?;
        Ok(OpenSession { claims, id, access_key_id: expected, key })
    }

    fn associate(&self, data: &mut Vec<u8>, key: KeyId, access_key_id: &AccessKeyId) {
        const KEY: usize = 8 + VERSION.len() + 8;
        data.clear();
        data.extend_from_slice(&self.associated);
        data[KEY..KEY + KeyId::LENGTH].copy_from_slice(key.as_bytes());
        let end = data.len() - ACCESS_KEY_ID;
        data[end..].copy_from_slice(access_key_id.as_bytes());
    }
}

/// Room to open tokens in, used again and again: 6 KiB, allocated once. What was opened in it is wiped before the
/// next token and on drop.
pub struct Scratch {
    bytes: Box<[u8; LONGEST_SEALED]>,
    used: usize,
    /// Public, so it is not wiped.
    associated: Vec<u8>,
}

impl Scratch {
    /// Allocates the room.
    pub fn new() -> Self {
        Self { bytes: Box::new([0; LONGEST_SEALED]), used: 0, associated: Vec::with_capacity(256) }
    }

    /// Wipes what was opened last.
    pub fn wipe(&mut self) {
        // Only what was used, and in one sweep that the barrier keeps from being left out.
        let used = self.bytes.get_mut(..self.used).unwrap_or_default();
        used.fill(0);
        optimization_barrier(used);
        self.used = 0;
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// A token that was opened: genuine, of the access key id that it came with, and not over. Whether it was revoked is
/// still to be asked.
pub struct OpenSession<'s> {
    claims: SessionClaimsRef<'s>,
    id: TokenId,
    access_key_id: AccessKeyId,
    key: HeldKey,
}

impl<'s> OpenSession<'s> {
    /// What the token says.
    pub fn claims(&self) -> SessionClaimsRef<'s> {
        self.claims
    }

    /// The id of the token.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The key that it was sealed with.
    pub fn key(&self) -> KeyId {
        self.key.id()
    }

    /// Derives the secret access key that requests of this session are signed with. Nothing is allocated for it; ask
    /// for it last, since a session that was revoked needs none.
    pub fn secret_access_key(&self) -> SecretAccessKey {
        SecretAccessKey::derive(&self.key, secret::SEALED, &self.id, &self.access_key_id)
    }
}

impl fmt::Debug for OpenSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSession")
            .field("claims", &self.claims)
            .field("id", &self.id)
            .field("key", &self.key())
            .finish_non_exhaustive()
    }
}

/// Why no session was minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MintError {
    /// The claims do not fit into a token of 2 KiB; see
    /// [`packed_percent`](super::SessionClaims::packed_percent). AWS calls it PackedPolicyTooLarge.
    TooLong,
    /// The session is over already, or begins more than a minute from now.
    Times,
    /// All keys of the ring are still to come.
    NoCurrentKey,
    /// The system gave no random numbers.
    NoRandomness,
    /// There is no key to sign with: the keys at hand only verify.
    NoSigner,
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the claims do not fit into a session token",
            Self::Times => "the session is not one of now",
            Self::NoCurrentKey => "no key of the ring is current yet",
            Self::NoRandomness => "the system gave no random numbers",
            Self::NoSigner => "there is no key that signs session tokens",
        })
    }
}

impl Error for MintError {}

/// Why a token does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Not the text of such a token, or longer than 8 KiB.
    Malformed,
    /// The token belongs to another access key id.
    OtherAccessKey,
    /// There is no key of that name.
    UnknownKey,
    /// Not sealed or signed with that key, for this issuer and purpose, or altered since.
    NotGenuine,
    /// Genuine, but not in a form that is known here.
    Claims(ClaimsError),
    /// Issued more than 60 seconds from now.
    NotYet,
    /// Over.
    Expired,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a session token of this kind",
            Self::OtherAccessKey => "the session token belongs to another access key id",
            Self::UnknownKey => "the session token is of a key that is not known here",
            Self::NotGenuine => "the session token is not genuine",
            Self::Claims(_) => "the session token says what is not known here",
            Self::NotYet => "the session begins later",
            Self::Expired => "the session is over",
        })
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Claims(error) => Some(error),
            _ => None,
        }
    }
}

/// Rule 7, in whole seconds.
pub(super) fn judge(claims: &SessionClaimsRef<'_>, now: SystemTime) -> Result<(), OpenError> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since.as_secs() >= claims.expires_second() {
        return Err(OpenError::Expired);
    }
    if claims.issued_second() > since.saturating_add(ISSUED_AHEAD).as_secs() {
        return Err(OpenError::NotYet);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
