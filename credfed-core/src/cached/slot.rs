//! One loaded credential with its times, and what was derived from it.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::cached::sync::{AtomicBool, AtomicU64, OnceLock, Ordering};
use crate::cached::windows::Plan;
use crate::runtime::{Now, nanos};

/// Coarse clocks lag; nothing this close to its expiry is judged by them.
const GRAIN: u64 = 20_000_000;

/// A credential that was loaded, for as long as somebody holds it.
///
/// It derefs to the credential. It stays readable after the cache has moved on, so use it for the request
/// at hand and ask the cache again for the next one.
pub struct Cached<C> {
    pub(super) entry: Arc<Entry<C>>,
    pub(super) stale: bool,
}

impl<C> Cached<C> {
    /// What follows from the credential alone, computed once per generation and kept beside it, by type.
    ///
    /// All who hold this generation see the one value. `T` is the key: wrap what is not unmistakable in a
    /// type of your own. `derive` from within `f` on the same credential never returns.
    ///
    /// ```
    /// # use credfed_core::{CachedProvider, StaticProvider, Secret};
    /// struct Header(String);
    ///
    /// # futures::executor::block_on(async {
    /// let provider = CachedProvider::new(StaticProvider::new(Secret::new("token")));
    /// let token = provider.get().await?;
    /// let header = token.derive(|secret| Header(format!("Bearer {}", secret.expose())));
    /// assert_eq!(header.0, "Bearer token");
    /// # Ok::<_, credfed_core::ProviderError>(())
    /// # }).unwrap();
    /// ```
    pub fn derive<T: Send + Sync + 'static>(&self, f: impl FnOnce(&C) -> T) -> &T {
        self.entry.derive(f)
    }

    /// Whether this has expired and is served only because the cache was told to
    /// ([`serve_expired`](super::Builder::serve_expired)).
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The number of the load that brought it, counted from 1 in one cache.
    pub fn generation(&self) -> u64 {
        self.entry.generation
    }
}

impl<C> Deref for Cached<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.entry.credential
    }
}

impl<C> Clone for Cached<C> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), stale: self.stale }
    }
}

/// Leaves the credential out: nothing is known of how a foreign type prints itself.
impl<C> fmt::Debug for Cached<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("generation", &self.generation())
            .field("is_stale", &self.stale)
            .finish_non_exhaustive()
    }
}

/// What the snapshot points to.
pub(super) struct Entry<C> {
    pub(super) credential: C,
    pub(super) generation: u64,
    planned: Deadline,
    /// The planned deadline on the monotonic clock, or zero once a refresh was asked for.
    fresh_mono: AtomicU64,
    mandatory_at: Deadline,
    pub(super) expires_at: Deadline,
    /// Before this moment of the monotonic clock there is nothing to be done about an ageing credential: a
    /// refresh is under way, or has just failed.
    pub(super) quiet_until: AtomicU64,
    failing: AtomicBool,
    derived: Derived,
}

/// How old a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Fresh,
    Advisory,
    Mandatory,
    Expired,
}

impl<C> Entry<C> {
    pub(super) fn derive<T: Send + Sync + 'static>(&self, f: impl FnOnce(&C) -> T) -> &T {
        self.derived.get_or_insert(|| f(&self.credential))
    }

    /// `origin` is the moment from which the plan's times count.
    pub(super) fn new(credential: C, generation: u64, origin: Now, plan: Plan) -> Self {
        let expires_at = Deadline::after(origin, plan.expiry);
        let planned = Deadline::after(origin, plan.advisory).min(expires_at.earlier_by(GRAIN));
        Self {
            credential,
            generation,
            planned,
            fresh_mono: AtomicU64::new(planned.mono),
            mandatory_at: Deadline::after(origin, plan.mandatory),
            expires_at,
            quiet_until: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            derived: Derived::default(),
        }
    }

    /// Whether it is in its quiet youth; a coarse reading of the clocks is good enough.
    #[inline]
    pub(super) fn is_fresh(&self, coarse: Now) -> bool {
        coarse.mono < self.fresh_mono.load(Ordering::Relaxed) && coarse.wall < self.planned.wall
    }

    /// Ends its youth before its time.
    pub(super) fn hurry(&self) {
        self.quiet_until.store(0, Ordering::Release);
        self.fresh_mono.store(0, Ordering::Release);
    }

    /// Takes back [`hurry`](Self::hurry) and [`mark_failing`](Self::mark_failing).
    pub(super) fn calm(&self) {
        self.failing.store(false, Ordering::Release);
        self.fresh_mono.store(self.planned.mono, Ordering::Release);
    }

    /// Whether it may be handed out; asks for an exact reading.
    pub(super) fn is_valid(&self, now: Now) -> bool {
        !self.expires_at.passed(now)
    }

    pub(super) fn phase(&self, now: Now) -> Phase {
        if self.expires_at.passed(now) {
            Phase::Expired
        } else if self.mandatory_at.passed(now) {
            Phase::Mandatory
        } else if self.is_fresh(now) {
            Phase::Fresh
        } else {
            Phase::Advisory
        }
    }

    /// Time until expiry on the clock that comes first; `None` if it never expires.
    pub(super) fn remaining(&self, now: Now) -> Option<Duration> {
        self.expires_at.remaining(now)
    }

    /// Nanoseconds since it expired, on the clock that came first; 0 while it is valid.
    pub(super) fn expired_for(&self, now: Now) -> u64 {
        let Deadline { mono, wall } = self.expires_at;
        now.mono.saturating_sub(mono).max(now.wall.saturating_sub(wall))
    }

    /// Whether the last load failed behind it.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    pub(super) fn mark_failing(&self) {
        self.failing.store(true, Ordering::Release);
    }

    /// Whether somebody is at it already, or it was tried a moment ago.
    pub(super) fn is_quiet(&self, now: Now) -> bool {
        now.mono < self.quiet_until.load(Ordering::Acquire)
    }

    pub(super) fn keep_quiet_until(&self, mono: u64) {
        self.quiet_until.store(mono, Ordering::Release);
    }
}

/// A moment on both clocks; the earlier one counts. A suspended machine wakes up past the wall one, a clock
/// that was set back does not move the monotonic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) mono: u64,
    pub(super) wall: u64,
}

impl Deadline {
    const NEVER: Self = Self { mono: u64::MAX, wall: u64::MAX };

    fn after(origin: Now, duration: Option<Duration>) -> Self {
        let Some(duration) = duration.map(nanos) else { return Self::NEVER };
        Self { mono: origin.mono.saturating_add(duration), wall: origin.wall.saturating_add(duration) }
    }

    /// Never stays never.
    fn earlier_by(self, nanos: u64) -> Self {
        let earlier = |time: u64| if time == u64::MAX { time } else { time.saturating_sub(nanos) };
        Self { mono: earlier(self.mono), wall: earlier(self.wall) }
    }

    fn min(self, other: Self) -> Self {
        Self { mono: self.mono.min(other.mono), wall: self.wall.min(other.wall) }
    }

    #[inline]
    fn passed(self, now: Now) -> bool {
        now.mono >= self.mono || now.wall >= self.wall
    }

    fn remaining(self, now: Now) -> Option<Duration> {
        let left = self.mono.saturating_sub(now.mono).min(self.wall.saturating_sub(now.wall));
        (self != Self::NEVER).then(|| Duration::from_nanos(left))
    }
}

/// A list of values of different types that only grows: reading takes no lock.
#[derive(Default)]
struct Derived(OnceLock<Box<Node>>);

struct Node {
    value: Box<dyn Any + Send + Sync>,
    next: Derived,
}

impl Derived {
    fn get_or_insert<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> &T {
        let mut make = Some(make);
        let mut list = self;
        loop {
            let node = list.0.get_or_init(|| {
                // Only one closure of this call ever runs, and the loop ends at the value that it made.
                let value: Box<dyn Any + Send + Sync> = match make.take() {
                    Some(make) => Box::new(make()),
                    None => Box::new(()),
                };
                Box::new(Node { value, next: Self::default() })
            });
            if let Some(value) = node.value.downcast_ref() {
                return value;
            }
            list = &node.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn entry(plan: Plan) -> Entry<&'static str> {
        Entry::new("value", 1, Now { mono: 5_000_000_000, wall: 9_000_000_000 }, plan)
    }

    fn hour() -> Plan {
        let minutes = |n: u64| Some(Duration::from_secs(60 * n));
        Plan { advisory: minutes(45), mandatory: minutes(59), expiry: minutes(60) }
    }

    #[test]
    fn the_earlier_clock_decides() {
        let second = 1_000_000_000;
        let entry = entry(hour());
        let at = |mono: u64, wall: u64| Now { mono: (5 + mono) * second, wall: (9 + wall) * second };
        assert_eq!(entry.phase(at(0, 0)), Phase::Fresh);
        assert_eq!(entry.phase(at(2_700, 0)), Phase::Advisory);
        assert_eq!(entry.phase(at(0, 2_700)), Phase::Advisory);
        assert_eq!(entry.phase(at(0, 3_540)), Phase::Mandatory);
        assert_eq!(entry.phase(at(3_600, 0)), Phase::Expired);
        assert_eq!(entry.phase(at(0, 3_600)), Phase::Expired);
        assert_eq!(entry.remaining(at(100, 200)), Some(Duration::from_secs(3_400)));
        assert_eq!(entry.expired_for(at(3_500, 3_500)), 0);
        assert_eq!(entry.expired_for(at(3_500, 3_610)), 10 * second);
        assert_eq!(entry.expired_for(at(3_620, 3_610)), 20 * second);
    }

    #[test]
    fn a_coarse_clock_never_finds_a_dying_credential_fresh() {
        let short = Some(Duration::from_millis(15));
        let entry = entry(Plan { advisory: short, mandatory: short, expiry: short });
        assert!(!entry.is_fresh(Now { mono: 5_000_000_000, wall: 9_000_000_000 }));
        assert!(entry.is_valid(Now { mono: 5_000_000_000, wall: 9_000_000_000 }));
    }

    #[test]
    fn what_never_expires_is_always_fresh() {
        let entry = entry(Plan { advisory: None, mandatory: None, expiry: None });
        let end = Now { mono: u64::MAX - 1, wall: u64::MAX - 1 };
        assert!(entry.is_fresh(end) && entry.is_valid(end));
        assert_eq!(entry.remaining(end), None);
    }

    #[test]
    fn a_value_is_derived_once_per_type() {
        let cached = Cached { entry: Arc::new(entry(hour())), stale: false };
        let calls = Cell::new(0);
        let derive = |handle: &Cached<&'static str>| {
            let number = *handle.derive(|value| {
                calls.set(calls.get() + 1);
                value.len()
            });
            let text = handle.derive(|value| value.to_uppercase()).clone();
            (number, text)
        };
        let other = cached.clone();
        assert_eq!(derive(&cached), (5, String::from("VALUE")));
        assert_eq!(derive(&other), (5, String::from("VALUE")));
        assert_eq!(calls.get(), 1);
        assert!(std::ptr::eq(cached.derive(|_| 0_usize), other.derive(|_| 1_usize)));
    }

    #[test]
    fn threads_that_derive_together_see_one_value() {
        let cached = Cached { entry: Arc::new(entry(hour())), stale: false };
        let calls = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    cached.derive(|_| calls.fetch_add(1, Ordering::Relaxed));
                    cached.derive(|_| String::new());
                });
            }
        });
        assert_eq!(calls.into_inner(), 1);
    }
}
