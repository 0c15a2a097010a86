//! The bounded cache of derived keys.
//!
//! Set-associative: a hash picks a set of eight entries behind its own lock, so that threads that
//! verify for different keys rarely meet and nothing is ever walked. Only keys that verified a request
//! enter, so that an outsider can neither fill it nor evict from it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::{ResolvedKey, SigningKey};

const WAYS: usize = 8;

pub(crate) struct KeyCache {
    sets: Box<[Mutex<Set>]>,
    seeds: [u64; 2],
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// The next entry to replace.
    hand: usize,
}

struct Entry {
    id: Id,
    /// Access key and scope, compared in full.
    credential: Box<[u8]>,
    key: SigningKey,
}

/// What a derived key belongs to, besides its credential text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id {
    hash: u64,
    generation: u64,
    tag: u64,
}

impl KeyCache {
    /// A cache of at least `capacity` keys, rounded up; none at all for 0.
    pub(crate) fn new(capacity: usize) -> Self {
        let sets = match capacity {
            0 => 0,
            _ => capacity.div_ceil(WAYS).next_power_of_two(),
        };
        let random = RandomState::new();
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            seeds: [random.hash_one(0), random.hash_one(1)],
        }
    }

    pub(crate) fn get(&self, credential: &[u8], secret: &ResolvedKey) -> Option<SigningKey> {
        let id = self.id(credential, secret);
        let set = self.set(id.hash)?;
        let entry = set.entries.iter().find(|entry| entry.is(&id, credential))?;
        Some(entry.key.clone())
    }

    /// Keeps a key that has verified a request.
    pub(crate) fn insert(&self, credential: &[u8], secret: &ResolvedKey, key: SigningKey) {
        let id = self.id(credential, secret);
        let Some(mut set) = self.set(id.hash) else { return };
        if set.entries.iter().any(|entry| entry.is(&id, credential)) {
            return;
        }
        let entry = Entry { id, credential: credential.into(), key };
        if set.entries.len() < WAYS {
            set.entries.push(entry);
        } else {
            let hand = set.hand % WAYS;
            set.entries[hand] = entry;
            set.hand = hand + 1;
        }
    }

    fn id(&self, credential: &[u8], secret: &ResolvedKey) -> Id {
        Id { hash: self.hash(credential), generation: secret.generation(), tag: secret.tag() }
    }

    fn set(&self, hash: u64) -> Option<MutexGuard<'_, Set>> {
        let mask = self.sets.len().checked_sub(1)?;
        let index = usize::try_from(hash >> 32).unwrap_or(0) & mask;
        // An entry is written in one piece, so that a panic elsewhere leaves nothing half done.
        Some(self.sets.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Multiply and fold, eight bytes at a time: fast and seeded, not cryptographic. Equal hashes only
    /// cost a comparison.
    fn hash(&self, bytes: &[u8]) -> u64 {
        let [mut state, seed] = self.seeds;
        let (words, _) = bytes.as_chunks::<8>();
        for word in words {
            state = fold(state ^ u64::from_le_bytes(*word), seed | 1);
        }
        // The last eight bytes, which overlap the words before them; there are always that many.
        let last = bytes.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
        state = fold(state ^ last, seed | 1);
        fold(state ^ bytes.len() as u64, 0x9e37_79b9_7f4a_7c15)
    }
}

impl Entry {
    fn is(&self, id: &Id, credential: &[u8]) -> bool {
        self.id == *id && *self.credential == *credential
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("capacity", &(self.sets.len() * WAYS)).finish_non_exhaustive()
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let [low, high] = {
        let product = u128::from(a) * u128::from(b);
        let bytes = product.to_le_bytes();
        let (words, _) = bytes.as_chunks::<8>();
        [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
    };
    low ^ high
}
