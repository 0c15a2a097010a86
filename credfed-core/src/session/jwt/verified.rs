//! Tokens whose signature was verified.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::Verified;

/// The most tokens in each of the two halves.
const HALF: usize = 4_096;

/// Genuine tokens, by the SHA-256 of the whole of each: at most 8,192, a few KiB each.
///
/// When the newer half is full it becomes the older one, and what was older is forgotten; what is asked for in the
/// older half moves to the newer one. Only genuine tokens get in, so nobody else can push them out.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    newer: HashMap<[u8; 32], Arc<Verified>>,
    older: HashMap<[u8; 32], Arc<Verified>>,
}

impl VerifiedTokens {
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Arc<Verified>> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verified) = halves.newer.get(digest) {
            return Some(Arc::clone(verified));
        }
        let verified = halves.older.remove(digest)?;
        halves.insert(*digest, Arc::clone(&verified));
        Some(verified)
    }

    pub(super) fn insert(&self, digest: [u8; 32], verified: Arc<Verified>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, verified);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        halves.newer.len() + halves.older.len()
    }
}

impl Halves {
    fn insert(&mut self, digest: [u8; 32], verified: Arc<Verified>) {
        if self.newer.len() >= HALF {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(digest, verified);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::keyring::KeyId;
    use crate::session::claims::{SessionClaims, SessionKind};
    use crate::session::token::TokenId;

    fn digest(n: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        digest
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_asked_for_stays() {
        let now = SystemTime::UNIX_EPOCH;
        let end = now + Duration::from_secs(1);
        let claims = SessionClaims::builder(SessionKind::SessionToken, "a", now, end).build().unwrap();
        let key = KeyId::parse(b"0011223344556677").unwrap();
        let verified = Arc::new(Verified { claims, id: TokenId::new([0; 24]), key });
        let tokens = VerifiedTokens::default();
        for n in 0..5 * HALF {
            tokens.insert(digest(n), Arc::clone(&verified));
            assert!(tokens.len() <= 2 * HALF);
            if n % 1_000 == 0 {
                assert!(tokens.get(&digest(0)).is_some(), "{n}");
            }
        }
        assert!(tokens.get(&digest(1)).is_none());
        assert!(tokens.get(&digest(5 * HALF - 1)).is_some());
    }
}
