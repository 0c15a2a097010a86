//! A bounded number of cached providers, one per identity.
//!
//! A hash map and three chains through one vector of slots, under one short lock: about 200 lines without unsafe code.
//! Of the well-kept crates, `lru` and `hashlink` order by use but know nothing of entries that must stay, so the walk
//! over those, the newcomers' chain and the idle time would be ours all the same (and `lru` had two soundness
//! advisories in 2026); `quick_cache` can pin entries but knows no idle time, and neither its order of eviction nor
//! `moka`'s, which pins nothing and is bounded only in the long run, can put those first that never loaded anything.

mod admission;
mod builder;
mod error;
mod table;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use builder::PoolBuilder;
pub use error::PoolError;

use crate::cached::flight::{let_go, tamed};
use crate::cached::sync::Lock;
use crate::cached::{Builder, CachedProvider, Settings};
use crate::runtime::{Now, Runtime};
use crate::{Identity, Provider, ProviderError};
use table::{Inserted, Table};

/// How many idle providers one call lets go of.
const SWEEP: usize = 2;

/// How many of them one hold of the lock does, where all of them go.
const BATCH: usize = 64;

/// A bounded number of cached providers, one per [`Identity`]: for a service that acts for many tenants. Cheap to
/// clone; all clones are one pool.
///
/// ```
/// use std::time::Duration;
/// use credfed_core::cached::Settings;
/// use credfed_core::{Expiring, Identity, ProviderError, ProviderPool, Secret, provider_fn};
///
/// // Once, for the whole service.
/// let pool: ProviderPool<Secret> = ProviderPool::builder()
///     .capacity(10_000)
///     .settings(Settings::new().load_deadline(Duration::from_secs(5)))
///     .build();
///
/// // Per request, once it is known whose it is. The identity holds all that shapes the credential, and nothing else
/// // that comes with the request.
/// async fn token_of(pool: &ProviderPool<Secret>, tenant: &str) -> Result<usize, ProviderError> {
///     let identity = Identity::of("vault").part("tenant", tenant).finish();
///     let provider = pool.get_or_insert_with(identity, || {
///         let tenant = tenant.to_owned();
///         provider_fn(identity, move || {
///             let token = Secret::new(format!("token of {tenant}"));
///             async move { Ok(Expiring::after(token, Duration::from_secs(3600))) }
///         })
///     })?;
///     Ok(provider.get().await?.expose().len())
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(token_of(&pool, "blue").await?, 13);
/// assert_eq!(token_of(&pool, "crimson").await?, 16);
/// assert_eq!(token_of(&pool, "blue").await?, 13);
/// assert_eq!(pool.status().entries, 2);
/// # Ok::<_, ProviderError>(())
/// # }).unwrap();
/// ```
///
/// # Rules
///
/// 1. **One cache per identity.** All who ask for one identity while it is there share its cache; two identities that
///    differ in one input never do. A source that names another identity than it was asked for is refused.
/// 2. **Bounded.** There are never more than the [capacity](PoolBuilder::capacity). When a new one needs room, the
///    least recently used one goes: first of those that have never loaded anything, then of the others. Asking the pool
///    is use, and so is a handle (a [`CachedProvider`], or a call that waits) for as long as it is held.
/// 3. **Nothing goes that is in use**: no provider to which somebody else holds a handle, and none with a load under
///    way. Where none can go, a new identity is [refused](PoolError::Full) at once; nobody waits for room. A
///    credential that was handed out ([`Cached`](super::Cached)) stays readable, but keeps no place.
/// 4. **New identities are limited** in [number per time](PoolBuilder::admission), so that whoever invents them causes a
///    bounded number of loads. Those that have never loaded anything do not push out those that have, beyond a
///    quarter of the capacity (one, where it is below 4), and even that only while their loads are under way or
///    their handles are held. What is there is served whatever comes.
/// 5. **What is idle goes** after [a while](PoolBuilder::idle_after), on a later call to the pool; nothing runs when
///    idle. A service that may fall silent calls [`evict_idle`](Self::evict_idle).
/// 6. **What goes is wiped at once**, unless somebody still holds it.
/// 7. **A look-up** that finds what it seeks takes one short lock, and that of the provider too if it is not yet known to
///    have loaded; it allocates nothing, unless something idle goes with it. To save even that, keep the provider: but a
///    handle that is held for good keeps its place for good.
///
/// # What to set, and what to watch
///
/// | in [`status`](Self::status) | means | do |
/// |---|---|---|
/// | `evicted` keeps growing | more identities are busy than fit: each one that comes back costs a load | raise the capacity |
/// | `refused_full` grows | handles are held by more identities than fit, or the source is slow to answer | look for handles that are never dropped; raise the capacity |
/// | `refused_new` grows | more new identities came than the limit lets in: a flood, or growth | look at who asks; raise the limit if they are yours |
/// | `newcomers` near `entries` | hardly any identity gets a credential | look at the errors of the loads ([`Observer`](super::Observer)) |
///
/// Alert on `refused_full` and `refused_new`: each is a request that was not served, with an error that is
/// [`Throttled`](crate::ErrorKind::Throttled), so answer it with 503. The limit is one for all: it cannot tell whose
/// new identities these are. So ask the pool only for a tenant that has proven who it is; leave out of the identity what
/// an outsider may choose freely, since whoever can get a credential for any number of identities can in time push
/// out what is used less often; and where tenants make identities of their own (session names, policies), limit
/// those per tenant before the pool.
pub struct ProviderPool<C> {
    inner: Arc<Inner<C>>,
}

struct Inner<C> {
    table: Lock<Table<C>>,
    settings: Settings,
}

impl<C: Send + Sync + 'static> ProviderPool<C> {
    /// A pool with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A pool with other settings.
    pub fn builder() -> PoolBuilder<C> {
        PoolBuilder::new()
    }

    /// The provider of the source's identity: the one that is there, or else a new one around this source.
    ///
    /// Where a source is costly to make, or its identity is known without it, see
    /// [`get_or_insert_with`](Self::get_or_insert_with).
    ///
    /// # Errors
    ///
    /// Only for an identity that is not there: [`Throttled`](crate::ErrorKind::Throttled), because of
    /// [`PoolError::TooManyNew`] or [`PoolError::Full`].
    pub fn provider(
        &self,
        source: impl Provider<Credential = C>,
    ) -> Result<CachedProvider<C>, ProviderError> {
        self.get_or_insert_with(source.identity(), || source)
    }

    /// The provider of an identity: the one that is there, or else a new one around the source that `make` gives.
    ///
    /// `make` runs with no lock held: it may ask this pool, and it may panic. Callers that come at the same time
    /// may each make a source; one of them is kept, and all of them get that one. Nothing is loaded yet.
    ///
    /// So `make` must be cheap, and leave to the source's loads what asks others. It runs only while another identity
    /// would be let in, but counts as one only when its source is put in: callers for one new identity are not to use
    /// up the admission of many. Any number of them that come at once run it, and again each time after it failed.
    ///
    /// # Errors
    ///
    /// As [`provider`](Self::provider), and [`Misconfigured`](crate::ErrorKind::Misconfigured) if the source's identity
    /// is not `identity`.
    pub fn get_or_insert_with<P: Provider<Credential = C>>(
        &self,
        identity: Identity,
        make: impl FnOnce() -> P,
    ) -> Result<CachedProvider<C>, ProviderError> {
        self.get_or_try_insert_with(identity, || Ok(make()))
    }

    /// The same for a source that may turn out impossible to make.
    ///
    /// # Errors
    ///
    /// As [`get_or_insert_with`](Self::get_or_insert_with), and that of `make`, after which nothing has changed.
    pub fn get_or_try_insert_with<P: Provider<Credential = C>>(
        &self,
        identity: Identity,
        make: impl FnOnce() -> Result<P, ProviderError>,
    ) -> Result<CachedProvider<C>, ProviderError> {
        let refused = |error| refused(&identity, error);
        if let Some(provider) =
            self.look_up(|table, now| table.get_or_admit(&identity, now)).map_err(refused)?
        {
            return Ok(provider);
        }
        let builder = Builder::new(make()?).settings(self.inner.settings.clone());
        if builder.identity != identity {
            return Err(refused(PoolError::OtherIdentity));
        }
        self.insert(&builder.build()).map_err(refused)
    }

    /// The provider of an identity, if there is one. Counts as use.
    pub fn get(&self, identity: &Identity) -> Option<CachedProvider<C>> {
        self.look_up(|table, now| table.get(identity, now))
    }

    /// Lets go of the provider of an identity, be it in use or not: for one that is to be forgotten, such as that of
    /// a tenant who left. Says whether it was there.
    ///
    /// Who holds a handle keeps what it had, apart from whoever asks the pool for this identity later.
    pub fn remove(&self, identity: &Identity) -> bool {
        // Dropped after the lock.
        let removed = self.inner.table.lock().remove(identity);
        removed.is_some()
    }

    /// Lets go of all providers that are idle by now, and says how many they were: for a service that may fall
    /// silent, on a timer of its own. In a busy one every call to the pool does some of it.
    pub fn evict_idle(&self) -> usize {
        let now = self.inner.now();
        let mut count = 0;
        loop {
            let (idle, left) = self.inner.table.lock().take_idle(now, BATCH);
            count += idle.len();
            self.inner.let_go(idle);
            if left > 0 {
                return count;
            }
        }
    }

    /// The state of the pool, for readiness probes and metrics.
    pub fn status(&self) -> PoolStatus {
        self.inner.table.lock().status()
    }

    /// One look at the table, with a little of the work that nobody else does.
    fn look_up<T>(&self, look: impl FnOnce(&mut Table<C>, Now) -> T) -> T {
        let now = self.inner.now();
        let mut table = self.inner.table.lock();
        let answer = look(&mut table, now);
        let (idle, _) = table.take_idle(now, SWEEP);
        drop(table);
        self.inner.let_go(idle);
        answer
    }

    fn insert(&self, new: &CachedProvider<C>) -> Result<CachedProvider<C>, PoolError> {
        let now = self.inner.now();
        let Inserted { provider, evicted } = self.inner.table.lock().insert(new, now)?;
        self.inner.let_go(evicted);
        Ok(provider)
    }
}

impl<C> Inner<C> {
    fn now(&self) -> Now {
        self.settings.runtime.coarse_now()
    }

    /// A panic of foreign code is kept from whoever happened to make the call, which is about another identity.
    fn let_go(&self, evicted: impl IntoIterator<Item = CachedProvider<C>>) {
        for provider in evicted {
            let identity = provider.core.identity();
            let_go(provider);
            tracing::debug!(%identity, "evicted from the pool");
            if let Some(observer) = &self.settings.observer {
                tamed(catch_unwind(AssertUnwindSafe(|| observer.evicted(&identity))));
            }
        }
    }
}

fn refused(identity: &Identity, error: PoolError) -> ProviderError {
    tracing::debug!(%identity, %error, "refused by the pool");
    error.into_provider_error()
}

/// The state of a [`ProviderPool`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// How many providers there are.
    pub entries: usize,
    /// How many of them have not loaded anything yet, as far as the pool has noticed.
    pub newcomers: usize,
    /// How many there may be.
    pub capacity: usize,
    /// How many have gone to make room.
    pub evicted: u64,
    /// How many have gone because nobody used them for long.
    pub idle_evicted: u64,
    /// How often a new identity was refused because too many had been new of late.
    pub refused_new: u64,
    /// How often a new identity was refused because none of those that are there could go.
    pub refused_full: u64,
}

impl<C: Send + Sync + 'static> Default for ProviderPool<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> Clone for ProviderPool<C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<C> fmt::Debug for ProviderPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.inner.table.lock().status();
        f.debug_struct("ProviderPool").field("status", &status).finish_non_exhaustive()
    }
}
