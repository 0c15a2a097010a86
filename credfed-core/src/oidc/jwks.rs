//! The keys of an issuer (RFC 7517), as far as they may verify anything here.

use aws_lc_rs::signature::ParsedPublicKey;

use super::algorithm::Algorithm;
use super::json::{Json, Object};
use super::material::Material;

/// The longest key set, in bytes.
pub(crate) const LONGEST: usize = 256 * 1024;

/// The most keys that a set may have.
const MOST: usize = 64;

/// The usable keys of a set.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<VerifyingKey>,
}

/// A key that may verify signatures.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    /// Ready for each algorithm that it may be used with: one or two.
    ready: Vec<(Algorithm, ParsedPublicKey)>,
}

/// What a set has for a token.
#[derive(Debug)]
pub(crate) enum Choice<'a> {
    One(&'a ParsedPublicKey),
    None,
    /// More than one fits, which is not for us to try out.
    Several,
}

impl KeySet {
    /// Reads a set. Keys that cannot be used here are left out; the set stays.
    ///
    /// `None` if it is not a set: too long, not JSON, no list of keys, or more than 64.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let document = Object::parse(text)?;
        let keys = document.get("keys")?.as_list()?;
        if keys.len() > MOST {
            return None;
        }
        Some(Self { keys: keys.iter().filter_map(|key| VerifyingKey::of_jwk(key.as_object()?)).collect() })
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The one key for a token. With a key id: the key of that id, byte for byte, that fits the algorithm.
    /// Without: the only key that fits the algorithm.
    pub(crate) fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Choice<'_> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid)
            .filter_map(|key| key.ready(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Choice::One(key),
            (None, _) => Choice::None,
            (Some(_), Some(_)) => Choice::Several,
        }
    }

    /// Key ids and algorithms of the usable keys, one pair for each algorithm that a key may be used with.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (Option<&str>, Algorithm)> {
        self.keys
            .iter()
            .flat_map(|key| key.ready.iter().map(|(algorithm, _)| (key.kid.as_deref(), *algorithm)))
    }
}

impl VerifyingKey {
    fn of_jwk(jwk: &Object) -> Option<Self> {
        let optional = |name: &str| match jwk.get(name) {
            None => Some(None),
            Some(Json::Text(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        // For encryption, or a private key laid open: neither is a key to trust.
        if optional("use")?.is_some_and(|purpose| purpose != "sig") || jwk.get("d").is_some() {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            let verifies = |operation: &Json| operation.as_text() == Some("verify");
            operations.as_list()?.iter().any(verifies).then_some(())?;
        }
        let only = match optional("alg")? {
            Some(name) => Some(Algorithm::from_name(name)?),
            None => None,
        };
        let material = Material::of_jwk(jwk)?;
        let ready: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|&algorithm| only.is_none_or(|only| only == algorithm))
            .filter_map(|algorithm| Some((algorithm, material.parsed(algorithm)?)))
            .collect();
        let kid = optional("kid")?.map(str::to_owned);
        (!ready.is_empty()).then_some(Self { kid, ready })
    }

    fn ready(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.ready.iter().find(|(one, _)| *one == algorithm).map(|(_, key)| key)
    }
}
