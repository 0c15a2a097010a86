//! The one cached provider: everything that expires goes through it.
//!
//! [Rules](#rules) · [States](#states) · [A source of one's own](#a-source-of-ones-own) · [Which mode](#which-mode) ·
//! [What to alert on](#what-to-alert-on)
//!
//! # Rules
//!
//! Where loads are shared. In [`Mode::Isolated`], where every caller makes its own, there may be several at a time, and
//! nobody waits for another one's: what that changes is said there.
//!
//! | state | nobody is loading | a load is under way | the source is left alone |
//! |---|---|---|---|
//! | fresh | serve | serve | serve |
//! | advisory | start a load, serve at once | serve | serve |
//! | mandatory | start a load, wait until it is 2 s old, serve the valid one | the same | serve |
//! | expired or empty | start a load and wait | wait for it | the shared last error |
//! | rejected | as expired | wait for it | the shared last error |
//!
//! 1. **One load.** There is at most one load under way, and all who wait for it drive it: it does not matter
//!    whose task began it, or whether that task is still there. All who wait share its one error.
//! 2. **Ahead of time.** [`Windows`] says when a credential begins to be due. Nobody waits for a refresh until
//!    a minute before expiry (an eighth of a short lifetime), and then for two seconds at most.
//! 3. **A valid credential is never replaced by an error.** Behind one, a failing source is asked again after
//!    a quarter of the time that is left, 1 s to 10 min. With nothing to serve it is asked again after up to
//!    100 ms, doubling to 5 s; a refusal is remembered for 1 to 5 s. What the server asks for comes first, up to
//!    5 min.
//! 4. **An expired credential is not handed out**, unless [`Builder::serve_expired`] says so, and then only
//!    after a load has failed; a caller waits for the next one until it is 2 s old, and no longer. Expiry is
//!    judged on the monotonic and on the wall clock, and the earlier one counts. What had expired when it
//!    arrived is a failed load.
//! 5. **A load has a deadline** (15 s). A panic in a source is an error for those who wait, and nothing more.
//! 6. **The very same credential** come back is no failure: it is asked for again after a tenth of the time
//!    left, at least 5 s.
//! 7. **Rejection.** [`CachedProvider::invalidate`] takes out the current credential only, and forces at most
//!    one load per 5 s, doubling up to 5 min while the same one keeps coming back.
//! 8. **Nothing runs when idle.** A load is driven by a task of its own where the runtime can spawn one, and by
//!    those who wait where it cannot ([`Mode`]). A load whose runtime was dropped is begun once more by whoever
//!    waits for it, and then driven by those who wait alone, however many runtimes are dropped: the source sees at
//!    most two calls per load deadline. Nobody waits longer than that deadline and a second for it. Since all who wait
//!    poll the load, its sockets may belong to the runtime of a visitor; if that one goes, the load fails like any
//!    other, and all who wait share the error.
//! 9. **The hit path** takes no lock, awaits nothing and allocates nothing.
//!
//! One cache is for one [`Identity`]. For one per tenant, a bounded number of them, see [`ProviderPool`].
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use credfed_core::cached::State;
//! use credfed_core::{CachedProvider, Expiring, Identity, ProviderError, provider_fn};
//! # #[cfg(feature = "test-util")] {
//! use credfed_core::VirtualRuntime;
//!
//! // A source that works once, and a clock that we move.
//! let time = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
//! let works = std::sync::atomic::AtomicBool::new(true);
//! let source = provider_fn(Identity::of("frail").finish(), move || {
//!     let works = works.swap(false, std::sync::atomic::Ordering::SeqCst);
//!     async move {
//!         if works {
//!             Ok(Expiring::after("token", Duration::from_secs(3600)))
//!         } else {
//!             Err(ProviderError::transient("down"))
//!         }
//!     }
//! });
//! let provider = CachedProvider::builder(source).runtime(time.clone()).build();
//! assert_eq!(*time.block_on(provider.get())??, "token");
//!
//! // Failing behind a valid credential disturbs nobody, and shows.
//! time.advance(Duration::from_secs(3570));
//! assert_eq!(*time.block_on(provider.get())??, "token");
//! assert_eq!(provider.status().state, State::Mandatory);
//! assert_eq!(provider.status().consecutive_failures, 1);
//!
//! // Past its expiry there is nothing left to serve.
//! time.advance(Duration::from_secs(30));
//! assert!(provider.with(|_| ()).is_none());
//! assert!(time.block_on(provider.get())?.is_err());
//! # }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # States
//!
//! ```text
//!                  half the lifetime at         a minute before expiry,
//!                  the earliest                 or an eighth of the lifetime
//!
//!            load  ┌───────┐       ┌──────────┐       ┌───────────┐       ┌─────────┐
//!         ┌───────▶│ fresh │──────▶│ advisory │──────▶│ mandatory │──────▶│ expired │
//!         │        └───────┘       └──────────┘       └───────────┘       └─────────┘
//!     ┌───────┐        ▲                │ load              │ load             │ load
//!     │ empty │        └────────────────┴───────────────────┴──────────────────┘
//!     └───────┘
//!         ▲     invalidate, from any state with a credential, if it is that very one
//! ```
//!
//! A failed load changes no state: it leaves the source alone for a while. [`CachedProvider::status`] tells the state,
//! how many loads failed in a row, and with what.
//!
//! # A source of one's own
//!
//! Anything that gives out credentials is a [`Provider`]; [`provider_fn`](crate::provider_fn) makes one of a closure.
//!
//! * **Fetch, and nothing else.** No cache, no waiting, no second source behind a failing one: that is done here. Retry
//!   only what the protocol asks for. Bound each attempt: a call that never answers holds all who wait until the load
//!   deadline (15 s), and only the source knows what went wrong.
//! * **Say when it ends.** [`Expiring::at`](crate::Expiring::at) with the server's date where there is one,
//!   [`after`](crate::Expiring::after) for a lifetime in seconds, [`never`](crate::Expiring::never) for what only a
//!   rejection ends.
//! * **Class the failures.** [`transient`](crate::ProviderError::transient): soon again.
//!   [`throttled`](crate::ProviderError::throttled): when the server says. [`rejected`](crate::ProviderError::rejected)
//!   and [`misconfigured`](crate::ProviderError::misconfigured): a person has to look, and callers hear of it for
//!   seconds without a call.
//! * **Put every input into the [`Identity`]:** endpoint, role, audience, scopes, policies. Two that differ in one input
//!   must never share a credential. Nothing of a request belongs in it.
//! * **Be safe to drop at any `await`:** a load that takes too long is dropped.
//! * **Know the very same credential:** servers that repeat one until minutes before its expiry are asked less often if
//!   [`Provider::is_same`] tells. The default knows this crate's own types.
//!
//! ```
//! use std::time::Duration;
//! use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, Provider, ProviderError, Secret};
//!
//! #[derive(Debug)]
//! struct Vault {
//!     path: String,
//! }
//!
//! impl Provider for Vault {
//!     type Credential = AwsCredentials;
//!
//!     fn identity(&self) -> Identity {
//!         Identity::of("vault").part("path", &self.path).finish()
//!     }
//!
//!     async fn provide(&self) -> Result<Expiring<AwsCredentials>, ProviderError> {
//!         let keys = AwsCredentials::new("ASIAEXAMPLE", Secret::new("secret"), Some(Secret::new("token")));
//!         Ok(Expiring::after(keys, Duration::from_secs(900)))
//!     }
//! }
//!
//! # futures::executor::block_on(async {
//! let provider = CachedProvider::new(Vault { path: "aws/sts/reader".into() });
//! assert_eq!(provider.get().await?.access_key_id(), "ASIAEXAMPLE");
//! assert!(provider.status().is_ready());
//! # Ok::<_, ProviderError>(())
//! # }).unwrap();
//! ```
//!
//! # Which mode
//!
//! | where | [`Mode`] | a refresh ahead of time costs callers |
//! |---|---|---|
//! | a server on tokio | [`Spawned`](Mode::Spawned), the default | nothing |
//! | any other executor, or none that can spawn | [`Inline`](Mode::Inline) | a poll each, and up to 2 s in the last minute |
//! | a runtime that stops a request which waits for another one's | [`Isolated`](Mode::Isolated) | one of them its own load |
//!
//! # What to alert on
//!
//! | sign | says | do |
//! |---|---|---|
//! | `consecutive_failures` above 2 while [`is_ready`](Status::is_ready) | the source fails behind a valid credential; `expires_in` is the time that is left | look at `last_error` and the log's `no new credential`: nobody has noticed yet |
//! | `is_ready` false | callers get errors | page somebody; a readiness probe takes the instance out |
//! | [`Observer::served_while_failing`] | the same as the first, per caller | count it |
//! | `last_error` of kind `Rejected` or `Misconfigured` | no retry will help | role, trust, policy, audience |
//! | [`Observer::invalidated`] again and again | the service rejects what the source gives | clocks, region, or a role that was taken away |
//! | `refreshing` for longer than the load deadline | nobody drives loads | [which mode](#which-mode) |

mod backoff;
mod builder;
mod engine;
mod flight;
mod gate;
mod get;
mod isolated;
mod landing;
mod modes;
mod observer;
mod pool;
mod reader;
mod shared;
#[cfg(all(test, credfed_shuttle))]
#[path = "../../tests/shuttle/mod.rs"]
mod shuttle_tests;
mod slot;
mod status;
mod sync;
mod windows;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "aws")]
pub(crate) use builder::LOAD_DEADLINE;
pub use builder::{Builder, Settings};
pub use get::{Get, Refreshed};
pub use modes::Mode;
pub use observer::Observer;
pub use pool::{PoolBuilder, PoolError, PoolStatus, ProviderPool};
pub use reader::Reader;
pub use slot::Cached;
pub use status::{State, Status};
pub use windows::Windows;

use crate::{Identity, Provider};
use engine::Core;

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

    /// A handle that remembers what it saw last, for a thread or task that reads again and again.
    pub fn reader(&self) -> Reader<C> {
        Reader::new(Arc::clone(&self.core))
    }

    /// Asks the source for a newer credential than `seen`, and keeps serving `seen` meanwhile.
    ///
    /// Does nothing if `seen` is no longer current, a load is under way, the source asked for patience, or the
    /// last such call was less than the [cool-down](Builder::refresh_cooldown) ago: that is the limit, also while
    /// loads fail. Where nobody drives loads ([`Mode::Inline`]), the next `get` begins it.
    pub fn refresh(&self, seen: &Cached<C>) {
        self.core.refresh(seen);
    }

    /// Asks the source for a newer credential than `seen`, as [`refresh`](Self::refresh) does, and waits for it: for
    /// a caller to whom `seen` is of no use (a key set without the key that a token names), while all others keep
    /// being served.
    ///
    /// Joins the load that is under way, whoever began it (in [`Mode::Isolated`] none but its own). Gives what is
    /// current afterwards if it is newer than `seen`, at the latest a second after the
    /// [load deadline](Builder::load_deadline); `None` at once if no load is under way, none is due and none may be
    /// asked for.
    pub fn refreshed(&self, seen: &Cached<C>) -> Refreshed<C> {
        Refreshed::new(Arc::clone(&self.core), seen.clone())
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

    /// The type of the source, by which some settings are found to fit together or not.
    #[cfg(feature = "aws")]
    pub(crate) fn source_type(&self) -> std::any::TypeId {
        self.core.source.source_type()
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
