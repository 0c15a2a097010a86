//! Long-lived keys that are known at start.

use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU64, Ordering};

use credfed_core::Secret;
use credfed_sigv4_verify::{KeyKind, ResolvedKey};

use super::{KeyRequest, ResolveError, ResolveKey, Resolved};

/// A fixed set of access keys, each with the claims of its holder.
///
/// A session token beside a static key is refused by the verifier.
///
/// ```
/// use credfed_core::Secret;
/// use credfed_tower::StaticKeys;
///
/// let secret = std::env::var("BACKUP_SECRET").unwrap_or_default();
/// let keys = StaticKeys::new().with_key("AKIABACKUP", Secret::new(secret), "backup");
/// assert_eq!(keys.len(), 1);
/// ```
pub struct StaticKeys<C = ()> {
    keys: HashMap<String, Entry<C>>,
}

struct Entry<C> {
    key: ResolvedKey,
    claims: C,
}

impl<C> StaticKeys<C> {
    /// No key at all: every request is refused.
    pub fn new() -> Self {
        Self { keys: HashMap::new() }
    }

    /// Adds a key. The last one wins where an id is given twice.
    #[must_use]
    pub fn with_key(mut self, access_key_id: impl Into<String>, secret: Secret, claims: C) -> Self {
        let key = ResolvedKey::new(secret.expose(), KeyKind::Static, next_generation());
        let entry = Entry { key, claims };
        self.keys.insert(access_key_id.into(), entry);
        self
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(feature = "session")]
impl<C> StaticKeys<C> {
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, access_key_id: &str) -> bool {
        self.keys.contains_key(access_key_id)
    }
}

impl<C: Clone> StaticKeys<C> {
    pub(super) fn look_up(&self, request: &KeyRequest<'_>) -> Result<Resolved<C>, ResolveError> {
        let entry = self.keys.get(request.access_key).ok_or(ResolveError::Unknown)?;
        Ok(Resolved::new(entry.key.clone(), entry.claims.clone()))
    }
}

impl<C> Default for StaticKeys<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for StaticKeys<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl<C: Clone + Send + Sync + 'static> ResolveKey for StaticKeys<C> {
    type Claims = C;
    type Future = Ready<Result<Resolved<C>, ResolveError>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        ready(self.look_up(&request))
    }
}

/// Unique in the process, so that two sets of keys behind one verifier never share a derived key.
fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
