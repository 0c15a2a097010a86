//! The keys of one issuer as they stand: fetched, kept, and asked for anew when a token names an unknown one.

use std::sync::Arc;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::fetch::{KeySetSource, LOAD_DEADLINE, Origin, Transports};
use super::jwks::{Choice, KeySet};
use super::{Flaw, JwtError};
use crate::cached::{CachedProvider, Status};
use crate::runtime::Runtime;
use crate::{Identity, ProviderError};

/// The least time between two fetches that unknown key ids cause.
const COOL_DOWN: Duration = Duration::from_secs(30);

pub(super) enum IssuerKeys {
    Fixed(KeySet),
    Fetched(CachedProvider<KeySet>),
}

impl IssuerKeys {
    pub(super) fn fixed(text: &[u8]) -> Result<Self, ProviderError> {
        let wrong = ProviderError::misconfigured;
        let keys = KeySet::parse(text).ok_or_else(|| wrong("the fixed keys are not a key set"))?;
        if keys.len() == 0 {
            return Err(wrong("none of the fixed keys is usable"));
        }
        Ok(Self::Fixed(keys))
    }

    pub(super) fn fetched(
        issuer: &str,
        origin: Origin,
        transports: Transports,
        runtime: Arc<dyn Runtime>,
        most_stale: Duration,
    ) -> Self {
        let identity = Identity::of("jwks").part("issuer", issuer).optional("uri", origin.fixed()).finish();
        let source = KeySetSource::new(identity, origin, transports, Arc::clone(&runtime));
        let cache = CachedProvider::builder(source)
            .runtime(runtime)
            // The source has its own, which leaves it room to say so.
            .load_deadline(LOAD_DEADLINE + Duration::from_secs(1))
            .refresh_cooldown(COOL_DOWN)
            .serve_expired(most_stale)
            .build();
        Self::Fetched(cache)
    }

    /// Checks a signature with the one key that fits. `worth_asking`: whether an unknown key is worth asking the
    /// issuer for.
    pub(super) async fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        worth_asking: bool,
    ) -> Result<(), JwtError> {
        let check = |keys: &KeySet| match keys.choose(kid, algorithm) {
            Choice::One(key) => Some(key.verify_sig(message, signature).map_err(|_| Flaw::Signature.into())),
            Choice::Several => Some(Err(Flaw::Key.into())),
            Choice::None => None,
        };
        match self {
            Self::Fixed(keys) => check(keys).unwrap_or(Err(Flaw::Key.into())),
            Self::Fetched(fetched) => {
                let keys = fetched.get().await.map_err(JwtError::KeysUnavailable)?;
                if let Some(verdict) = check(&keys) {
                    return verdict;
                }
                if !worth_asking {
                    return Err(Flaw::Key.into());
                }
                // The cool-down is the one limit, whoever asks for which key. That a key was not there is remembered
                // nowhere: the next key set may have it, whatever made that one come.
                let newer = fetched.refreshed(&keys).await;
                newer.and_then(|keys| check(&keys)).unwrap_or(Err(Flaw::Key.into()))
            }
        }
    }

    pub(super) fn status(&self) -> Option<Status> {
        match self {
            Self::Fixed(_) => None,
            Self::Fetched(fetched) => Some(fetched.status()),
        }
    }
}
