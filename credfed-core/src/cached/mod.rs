//! The one cached provider: everything that expires goes through it.

mod backoff;
mod builder;
mod flight;
mod gate;
mod get;
mod modes;
mod observer;
mod shared;
mod slot;
mod status;
mod sync;
mod windows;

use std::fmt;
use std::sync::Arc;

pub use builder::Builder;
pub use get::Get;
pub use modes::Mode;
pub use observer::Observer;
pub use slot::Cached;
pub use status::{State, Status};
pub use windows::Windows;

use crate::{Identity, Provider};
use flight::Core;

/// A source of credentials behind a cache that refreshes ahead of time and calls the source once however many
/// ask. Cheap to clone; all clones are one cache.
///
/// The rules are on the [module's page](self).
pub struct CachedProvider<C> {
    core: Arc<Core<C>>,
}

impl<C: Send + Sync + 'static> CachedProvider<C> {
    /// A cache with the default settings. Nothing is loaded until somebody asks.
    pub fn new(source: impl Provider<Credential = C>) -> Self {
        Self::builder(source).build()
    }

    /// A cache with other settings.
    pub fn builder(source: impl Provider<Credential = C>) -> Builder<C> {
        Builder::new(source)
    }

    /// Lends the credential at hand to `f`: the cheapest hit, with no lock, no allocation and no reference
    /// count. `None` if there is no valid one; use [`get`](Self::get) then.
    ///
    /// Starts a load where one is due and somebody would drive it ([`Mode`]).
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&C) -> R) -> Option<R> {
        self.core.with(f)
    }

    /// The credential at hand, without waiting. `None` if there is no valid one.
    ///
    /// Starts a load where one is due and somebody would drive it ([`Mode`]).
    #[inline]
    pub fn try_get(&self) -> Option<Cached<C>> {
        self.core.hit().or_else(|| self.core.ageing().map(|entry| Cached { entry, stale: false }))
    }

    /// A valid credential: the one at hand, or else the next one that the source gives.
    ///
    /// # Errors
    ///
    /// The future's error is that of the load it waited for, shared by all who waited, or of the last load
    /// while the source is left alone after a failure. A valid credential is never replaced by an error.
    #[inline]
    pub fn get(&self) -> Get<C> {
        Get::new(Arc::clone(&self.core))
    }

    /// Asks the source for a newer credential than `seen`, and keeps serving `seen` meanwhile.
    ///
    /// Does nothing if `seen` is no longer current, a load is under way or failed a moment ago, or the
    /// last such call was less than the [cool-down](Builder::refresh_cooldown) ago. Where nobody drives loads
    /// ([`Mode::Inline`]), the next `get` begins it.
    pub fn refresh(&self, seen: &Cached<C>) {
        self.core.refresh(seen);
    }

    /// Takes `rejected` out because the service that it is for does not accept it. The next `get` waits for
    /// another one.
    ///
    /// Does nothing if `rejected` is no longer current: a late answer to an old token must not throw away the
    /// new one. At most one load per 5 s is forced in this way, doubling up to 5 min while the source keeps
    /// giving the very same credential; in between, `get` is an error. Not for a denial of access: that is
    /// about the caller's rights, not about the credential.
    pub fn invalidate(&self, rejected: &Cached<C>, why: Rejection) {
        self.core.invalidate(rejected, why);
    }

    /// The state of the cache, for readiness probes and metrics.
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// The identity of the source.
    pub fn identity(&self) -> Identity {
        self.core.identity()
    }
}

/// Why the service that a credential is for did not accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// It says that the credential has expired (`ExpiredToken`, `ExpiredTokenException`).
    Expired,
    /// It does not know the credential (`InvalidToken`).
    Invalid,
    /// It answered 401 and nothing more telling.
    Unauthorized,
}

impl<C> Clone for CachedProvider<C> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<C> fmt::Debug for CachedProvider<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedProvider").field("identity", &self.core.identity()).finish_non_exhaustive()
    }
}
