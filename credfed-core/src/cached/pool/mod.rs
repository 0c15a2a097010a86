//! A bounded number of cached providers, one per identity.

mod admission;
mod builder;
mod error;
mod table;

use std::fmt;
use std::sync::Arc;

pub use builder::PoolBuilder;
pub use error::PoolError;

use crate::cached::sync::Lock;
use crate::cached::{Builder, CachedProvider, Settings};
use crate::runtime::{Now, Runtime};
use crate::{Identity, Provider, ProviderError};
use table::{Inserted, Table};

/// How many idle providers one call lets go of.
const SWEEP: usize = 2;

/// How many of them one hold of the lock does, where all of them go.
const BATCH: usize = 64;

/// A bounded number of cached providers, one per [`Identity`]. Cheap to clone; all clones are one pool.
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

    fn let_go(&self, evicted: impl IntoIterator<Item = CachedProvider<C>>) {
        for provider in evicted {
            let identity = provider.core.identity();
            drop(provider);
            tracing::debug!(%identity, "evicted from the pool");
            if let Some(observer) = &self.settings.observer {
                observer.evicted(&identity);
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
