//! The keys of one issuer as they stand: fetched, kept, and asked for anew when a token names an unknown one.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::algorithm::Algorithm;
use super::fetch::{KeySetSource, LOAD_DEADLINE, Origin, Transports};
use super::jwks::{Choice, KeySet};
use super::{Flaw, JwtError};
use crate::cached::{Cached, CachedProvider, Status};
use crate::runtime::{Runtime, nanos};
use crate::{Identity, ProviderError};

/// The least time between two fetches that unknown key ids cause.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The most key ids that are remembered as unknown.
const MOST_UNKNOWN: usize = 1_024;

pub(super) enum IssuerKeys {
    Fixed(KeySet),
    Fetched(Box<Fetched>),
}

pub(super) struct Fetched {
    cache: CachedProvider<KeySet>,
    runtime: Arc<dyn Runtime>,
    unknown: Mutex<Unknown>,
    hasher: RandomState,
}

/// Key ids that one generation of keys is known not to have, with the moment until which that is believed.
#[derive(Default)]
struct Unknown {
    generation: u64,
    until: HashMap<u64, u64>,
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
            .runtime(Arc::clone(&runtime))
            // The source has its own, which leaves it room to say so.
            .load_deadline(LOAD_DEADLINE + Duration::from_secs(1))
            .refresh_cooldown(COOL_DOWN)
            .serve_expired(most_stale)
            .build();
        let unknown = Mutex::new(Unknown::default());
        Self::Fetched(Box::new(Fetched { cache, runtime, unknown, hasher: RandomState::new() }))
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
                let keys = fetched.cache.get().await.map_err(JwtError::KeysUnavailable)?;
                if let Some(verdict) = check(&keys) {
                    return verdict;
                }
                if !worth_asking {
                    return Err(Flaw::Key.into());
                }
                let newer = fetched.newer(&keys, kid, algorithm).await;
                newer.and_then(|keys| check(&keys)).unwrap_or(Err(Flaw::Key.into()))
            }
        }
    }

    pub(super) fn status(&self) -> Option<Status> {
        match self {
            Self::Fixed(_) => None,
            Self::Fetched(fetched) => Some(fetched.cache.status()),
        }
    }
}

impl Fetched {
    /// Newer keys than `seen`, which lack one: fetched if the issuer may be asked now, or by whoever is asking.
    async fn newer(
        &self,
        seen: &Cached<KeySet>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<Cached<KeySet>> {
        let name = self.hasher.hash_one((kid, algorithm));
        if self.is_unknown(seen.generation(), name) {
            return None;
        }
        let asked = self.runtime.coarse_now().mono;
        let newer = self.cache.refreshed(seen).await?;
        // Only a set that was fetched since says that a key is not there. Without one, the cool-down says how long
        // nobody is asked: a memory that began later than it would outlast it, and keep a new key out.
        if matches!(newer.choose(kid, algorithm), Choice::None) {
            self.note_unknown(newer.generation(), name, asked.saturating_add(nanos(COOL_DOWN)));
        }
        Some(newer)
    }

    fn is_unknown(&self, generation: u64, name: u64) -> bool {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.generation == generation
            && unknown.until.get(&name).is_some_and(|&until| self.runtime.coarse_now().mono < until)
    }

    /// Remembers an unknown key id as long as these keys are current, and no longer than until the end of the
    /// cool-down: the issuer may publish the key any moment. A full memory takes in nothing new, which costs nobody a
    /// fetch.
    fn note_unknown(&self, generation: u64, name: u64, until: u64) {
        let now = self.runtime.coarse_now().mono;
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if generation < unknown.generation {
            return;
        }
        if generation > unknown.generation {
            *unknown = Unknown { generation, until: HashMap::new() };
        }
        if unknown.until.len() >= MOST_UNKNOWN {
            unknown.until.retain(|_, until| now < *until);
        }
        if unknown.until.len() < MOST_UNKNOWN {
            unknown.until.insert(name, until);
        }
    }
}
