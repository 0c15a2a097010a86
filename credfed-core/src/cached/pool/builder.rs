//! Settings of a pool.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::cached::Settings;
use crate::cached::pool::admission::Admission;
use crate::cached::pool::table::Table;
use crate::cached::pool::{Inner, ProviderPool};
use crate::cached::sync::Lock;
use crate::runtime::nanos;

/// Slots are numbered in 32 bits.
const MOST: usize = 1 << 31;

/// Settings of a [`ProviderPool`]; made by [`ProviderPool::builder`].
///
/// ```
/// use std::time::Duration;
/// use credfed_core::cached::Settings;
/// use credfed_core::{AwsCredentials, ProviderPool};
///
/// let pool: ProviderPool<AwsCredentials> = ProviderPool::builder()
///     .capacity(10_000)
///     .admission(10_000, Duration::from_millis(50))
///     .settings(Settings::new().load_deadline(Duration::from_secs(5)))
///     .build();
/// # let _ = pool;
/// ```
#[must_use = "a builder does nothing until build()"]
pub struct PoolBuilder<C> {
    settings: Settings,
    capacity: usize,
    idle_after: Duration,
    burst: Option<u32>,
    every: Duration,
    credential: PhantomData<fn() -> C>,
}

impl<C: Send + Sync + 'static> PoolBuilder<C> {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings::default(),
            capacity: 1024,
            idle_after: Duration::from_secs(3600),
            burst: None,
            every: Duration::from_millis(100),
            credential: PhantomData,
        }
    }

    /// How many providers there are at most: 1 to 2^31, what lies outside is taken as the nearest of them.
    /// Default: 1024.
    ///
    /// A little more than the number of identities that are busy within [`idle_after`](Self::idle_after), and of
    /// those to which somebody holds a handle for long. An empty place costs nothing.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.clamp(1, MOST);
        self
    }

    /// After how long without use a provider is let go of, its secrets with it. Default: 1 h.
    ///
    /// Nothing runs when idle: it goes on one of the next calls to the pool. The time counts from when the pool was
    /// last asked for it, or last found it held or loading; that a handle was dropped a moment ago it cannot see.
    pub fn idle_after(mut self, unused: Duration) -> Self {
        self.idle_after = unused;
        self
    }

    /// How many new identities are let in: `burst` at once, at least 1, and then one more `every` so often; a zero
    /// time is no limit. Default: as many at once as the [capacity](Self::capacity), and then 10 per second.
    ///
    /// The burst is what a restart needs, when all identities are new. The rate is what remains to somebody who
    /// invents identities: each one that is let in may cost one series of loads at the source. An identity whose
    /// provider was let go of is new again.
    pub fn admission(mut self, burst: u32, every: Duration) -> Self {
        self.burst = Some(burst);
        self.every = every;
        self
    }

    /// The settings of each provider. The pool itself takes its clock and its observer from them.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The pool, with nothing in it.
    pub fn build(self) -> ProviderPool<C> {
        let burst = self.burst.unwrap_or_else(|| u32::try_from(self.capacity).unwrap_or(u32::MAX));
        let admission = Admission::new(burst, self.every);
        let table = Table::new(self.capacity, nanos(self.idle_after), admission);
        ProviderPool { inner: Arc::new(Inner { table: Lock::new(table), settings: self.settings }) }
    }
}

impl<C> fmt::Debug for PoolBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("capacity", &self.capacity)
            .field("idle_after", &self.idle_after)
            .field("burst", &self.burst)
            .field("every", &self.every)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
