//! The bounded cache of derived keys.
//!
//! Set-associative: a hash picks a set of eight entries behind its own lock, so that threads that
//! verify for different keys rarely meet and nothing is ever walked. Only keys that verified a request
//! enter, so that an outsider can neither fill it nor evict from it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::ResolvedKey;

const WAYS: usize = 8;

pub(crate) struct KeyCache<K> {
    sets: Box<[Mutex<Set<K>>]>,
    seeds: [u64; 2],
}

struct Set<K> {
    entries: Vec<Entry<K>>,
    /// The next entry to replace.
    hand: usize,
}

struct Entry<K> {
    id: Id,
    /// Access key and scope (access key alone, where the key has no scope), compared in full.
    credential: Box<[u8]>,
    key: K,
}

/// What a derived key belongs to, besides its credential text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id {
    hash: u64,
    generation: u64,
    tag: u64,
}

impl<K: Clone> KeyCache<K> {
    /// A cache of at least `capacity` keys, rounded up; none at all for 0.
    pub(crate) fn new(capacity: usize) -> Self {
        let sets = match capacity {
            0 => 0,
            _ => capacity.div_ceil(WAYS).next_power_of_two(),
        };
        let random = RandomState::new();
        Self {
            sets: (0..sets).map(|_| Mutex::new(Set { entries: Vec::new(), hand: 0 })).collect(),
            seeds: [random.hash_one(0), random.hash_one(1)],
        }
    }

    pub(crate) fn get(&self, credential: &[u8], secret: &ResolvedKey) -> Option<K> {
        let id = self.id(credential, secret);
        let set = self.set(id.hash)?;
        let entry = set.entries.iter().find(|entry| entry.is(&id, credential))?;
        Some(entry.key.clone())
    }

    /// Keeps a key that has verified a request.
    pub(crate) fn insert(&self, credential: &[u8], secret: &ResolvedKey, key: K) {
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

    fn set(&self, hash: u64) -> Option<MutexGuard<'_, Set<K>>> {
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
        // The last eight bytes, which overlap the words before them. Only an access key alone can have fewer.
        let last = match bytes.last_chunk::<8>() {
            Some(last) => u64::from_le_bytes(*last),
            None => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        state = fold(state ^ last, seed | 1);
        fold(state ^ bytes.len() as u64, 0x9e37_79b9_7f4a_7c15)
    }
}

impl<K> Entry<K> {
    fn is(&self, id: &Id, credential: &[u8]) -> bool {
        self.id == *id && *self.credential == *credential
    }
}

impl<K> fmt::Debug for KeyCache<K> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_told_apart() {
        let cache = KeyCache::<()>::new(1024);
        let names: Vec<_> =
            (0..20).flat_map(|length| [b'a', b'b'].map(|byte| vec![byte; length])).skip(1).collect();
        let hashes: std::collections::BTreeSet<_> = names.iter().map(|name| cache.hash(name)).collect();
        assert_eq!(hashes.len(), names.len());
    }
}
