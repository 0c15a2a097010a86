//! The bounds of a resolver that asks elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credfed_core::runtime::{Runtime, default_runtime};

use super::bounded::Bounded;
use super::budget::Budget;
use super::spread::Spread;
use super::{Inner, LookUpKey, RemoteKeys, State};

pub(super) const LEAST_NEGATIVE_TTL: Duration = Duration::from_secs(5);

/// The bounds of [`RemoteKeys`].
#[must_use = "keys are made by build()"]
pub struct RemoteKeysBuilder<L> {
    source: L,
    runtime: Arc<dyn Runtime>,
    ttl: Duration,
    pub(super) negative_ttl: Duration,
    capacity: usize,
    per_second: u32,
    deadline: Duration,
}

impl<L: LookUpKey> RemoteKeysBuilder<L> {
    pub(super) fn new(source: L) -> Self {
        Self {
            source,
            runtime: default_runtime(),
            ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            capacity: 10_000,
            per_second: 100,
            deadline: Duration::from_secs(3),
        }
    }

    /// How long a found key is used again; 60 seconds if it is not set.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long a refusal is remembered at most, from 5 to 30 seconds; 10 if it is not set. What is outside is taken to
    /// the nearer end. Each is forgotten at some moment of the last quarter of that time, but not before 5 seconds.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = ttl.clamp(LEAST_NEGATIVE_TTL, Duration::from_secs(30));
        self
    }

    /// How many found keys are held, and as many refusals beside them; 10,000 if it is not set, at least one.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.max(1);
        self
    }

    /// How many look-ups of unknown keys may begin in a second, and as many at once after a pause; 100 if it is not
    /// set, at least one. No more than that many look-ups run at a time.
    pub fn per_second(mut self, per_second: u32) -> Self {
        self.per_second = per_second.max(1);
        self
    }

    /// The longest that a look-up may take; 3 seconds if it is not set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Tells the time and sleeps.
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// The resolver.
    pub fn build(self) -> RemoteKeys<L> {
        let now = self.runtime.coarse_now().monotonic();
        let state = State {
            found: Bounded::new(self.capacity),
            refused: Bounded::new(self.capacity),
            flights: HashMap::new(),
            next: 0,
            budget: Budget::new(self.per_second, now),
            spread: Spread::new(self.runtime.seed()),
        };
        let inner = Inner {
            source: self.source,
            runtime: self.runtime,
            ttl: self.ttl,
            negative_ttl: self.negative_ttl,
            deadline: self.deadline,
            most_flights: usize::try_from(self.per_second).unwrap_or(usize::MAX),
            state: Mutex::new(state),
        };
        RemoteKeys { inner: Arc::new(inner) }
    }
}

impl<L> fmt::Debug for RemoteKeysBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder")
            .field("ttl", &self.ttl)
            .field("negative_ttl", &self.negative_ttl)
            .field("capacity", &self.capacity)
            .field("per_second", &self.per_second)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
