//! The keys of asymmetric session JWTs.

use std::error::Error;
use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use serde_json::{Map, Value, json};

use super::verified::VerifiedTokens;
use crate::oidc::jwks::{Choice, KeySet};
use crate::oidc::{Algorithm, LocalSigner, PublicJwk};

/// Keys that sign and verify session tokens, and nothing else: ES256 or EdDSA.
///
/// Let them be no OpenID issuer's. The types of the tokens keep the two apart even then, but a key that leaks would
/// open two doors.
pub struct JwtSessionKeys {
    signer: Option<LocalSigner>,
    /// That of the signer first; then the others in the order in which they were given.
    sets: Vec<KeySet>,
}

impl JwtSessionKeys {
    /// A key that signs; what it signed is verified, too.
    ///
    /// # Errors
    /// [`JwtKeysError::Algorithm`], for a key that is not ES256 or EdDSA.
    pub fn signing(signer: LocalSigner) -> Result<Self, JwtKeysError> {
        let set = published(LocalSigner::public_key(&signer))?;
        Ok(Self { signer: Some(signer), sets: vec![set] })
    }

    /// Keys that only verify: a key set (RFC 7517), such as that of the replica that signs.
    ///
    /// # Errors
    /// Those of [`and_of_set`](Self::and_of_set).
    pub fn of_set(jwks: &[u8]) -> Result<Self, JwtKeysError> {
        Self { signer: None, sets: Vec::new() }.and_of_set(jwks)
    }

    /// Verifies with these, too: the key that signed before, or will sign next. A key is found by its id, and of two
    /// keys of one id the one that was given first counts.
    ///
    /// # Errors
    /// [`JwtKeysError::Set`], if it is no key set; [`JwtKeysError::Unusable`], if none of its keys is one for ES256 or
    /// EdDSA that has an id.
    pub fn and_of_set(mut self, jwks: &[u8]) -> Result<Self, JwtKeysError> {
        let set = KeySet::parse(jwks).ok_or(JwtKeysError::Set)?;
        if !set.listed().any(|(kid, algorithm)| kid.is_some() && is_accepted(algorithm)) {
            return Err(JwtKeysError::Unusable);
        }
        self.sets.push(set);
        Ok(self)
    }

    /// Verifies with this one, too.
    ///
    /// # Errors
    /// [`JwtKeysError::Algorithm`], for a key that is not ES256 or EdDSA.
    pub fn and_key(mut self, key: &PublicJwk) -> Result<Self, JwtKeysError> {
        self.sets.push(published(key)?);
        Ok(self)
    }
}

impl fmt::Debug for JwtSessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.sets.iter().flat_map(KeySet::listed).filter_map(|(kid, _)| kid);
        f.debug_struct("JwtSessionKeys")
            .field("signer", &self.signer)
            .field("verifies", &ids.collect::<Vec<_>>())
            .finish()
    }
}

/// Keys in use, with the tokens that they verified.
pub(super) struct Keys {
    keys: JwtSessionKeys,
    verified: VerifiedTokens,
}

impl Keys {
    pub(super) fn new(keys: JwtSessionKeys) -> Self {
        Self { keys, verified: VerifiedTokens::default() }
    }

    pub(super) fn signer(&self) -> Option<&LocalSigner> {
        self.keys.signer.as_ref()
    }

    pub(super) fn verified(&self) -> &VerifiedTokens {
        &self.verified
    }

    /// The key of that id, if it is one of that algorithm. `None` also where a set has two of them.
    pub(super) fn choose(&self, kid: &str, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let choices = self.keys.sets.iter().map(|set| set.choose(Some(kid), algorithm));
        match choices.into_iter().find(|choice| !matches!(choice, Choice::None))? {
            Choice::One(key) => Some(key),
            Choice::None | Choice::Several => None,
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

/// Why keys are none for session tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtKeysError {
    /// The key is not for ES256 or EdDSA.
    Algorithm,
    /// Not a key set.
    Set,
    /// A key set without a key for ES256 or EdDSA that has an id.
    Unusable,
    /// The tokens are signed with the keys of the ring: replace that.
    Symmetric,
}

impl fmt::Display for JwtKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Algorithm => "session tokens are signed with ES256 or EdDSA",
            Self::Set => "not a key set",
            Self::Unusable => "the key set has no key for ES256 or EdDSA that has an id",
            Self::Symmetric => "the session tokens are signed with the keys of the ring",
        })
    }
}

impl Error for JwtKeysError {}

pub(super) fn is_accepted(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Es256 | Algorithm::EdDsa)
}

/// A set of one, read by the reader of sets: there is one judge of keys.
fn published(key: &PublicJwk) -> Result<KeySet, JwtKeysError> {
    if !is_accepted(key.algorithm()) {
        return Err(JwtKeysError::Algorithm);
    }
    let mut jwk: Map<String, Value> =
        key.material().members().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    jwk.insert("kid".to_owned(), key.kid().into());
    jwk.insert("alg".to_owned(), key.algorithm().name().into());
    KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).ok_or(JwtKeysError::Algorithm)
}
