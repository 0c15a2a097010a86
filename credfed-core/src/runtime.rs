//! The port to time and tasks. No other file of this project asks for the time.
//!
//! | port | sleeps through | spawns | for |
//! |---|---|---|---|
//! | [`TokioRuntime`] (feature `tokio`, the default) | a timer thread (futures-timer) | on the current tokio runtime | servers |
//! | [`AnyExecutor`] | a timer thread (futures-timer) | no | any executor |
//! | `VirtualRuntime` (feature `test-util`) | its own settable clock | on itself | tests |
//!
//! Nobody sleeps through tokio. A timer of tokio's dies with its runtime and panics without a time driver, and a
//! load outlives the runtime of whoever polled it first: others, on other runtimes, wait for it. So a deadline
//! must not belong to any of them.

#[cfg(any(test, feature = "test-util"))]
mod virtual_time;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[cfg(any(test, feature = "test-util"))]
pub use virtual_time::{Stalled, VirtualClock, VirtualRuntime};

/// A future that ends after a time.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that a runtime drives to its end.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Both clocks, sleep and, where there is one, a spawner.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Reads both clocks exactly.
    fn now(&self) -> Now;

    /// Reads both clocks cheaply; may lag behind [`now`](Self::now) by up to 10 ms.
    fn coarse_now(&self) -> Now {
        self.now()
    }

    /// Ends after `duration` on the monotonic clock.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// Whether [`spawn`](Self::spawn) works here and now.
    fn can_spawn(&self) -> bool {
        false
    }

    /// Drives `task` to its end, or drops it if there is nothing to drive it with.
    fn spawn(&self, task: Task) {
        drop(task);
    }

    /// A number that differs between processes, to spread what would otherwise happen at once.
    fn seed(&self) -> u64 {
        RandomState::new().hash_one(0_u8)
    }
}

impl<R: Runtime + ?Sized> Runtime for Arc<R> {
    fn now(&self) -> Now {
        R::now(self)
    }

    fn coarse_now(&self) -> Now {
        R::coarse_now(self)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        R::sleep(self, duration)
    }

    fn can_spawn(&self) -> bool {
        R::can_spawn(self)
    }

    fn spawn(&self, task: Task) {
        R::spawn(self, task);
    }

    fn seed(&self) -> u64 {
        R::seed(self)
    }
}

/// One reading of both clocks, in nanoseconds: the monotonic one since some fixed moment, the wall clock
/// since 1970 (earlier is 1970, later than the year 2554 is that year).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub(crate) mono: u64,
    pub(crate) wall: u64,
}

impl Now {
    /// Joins two readings that were taken at one moment.
    pub fn new(monotonic: Duration, wall: SystemTime) -> Self {
        Self { mono: nanos(monotonic), wall: nanos(since_epoch(wall)) }
    }

    /// The monotonic reading: only differences mean anything.
    pub fn monotonic(self) -> Duration {
        Duration::from_nanos(self.mono)
    }

    /// The wall clock reading.
    pub fn wall(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.wall)
    }
}

/// The wall clock alone, for layers that judge the date of a request.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn wall(&self) -> SystemTime;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn wall(&self) -> SystemTime {
        T::wall(self)
    }
}

/// The system's own wall clock; may lag by up to 10 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        system_time()
    }
}

/// The system's wall clock; may lag by up to 10 ms.
pub fn system_time() -> SystemTime {
    clocks::coarse().wall()
}

/// Spawns on the tokio runtime that the caller runs in; outside of tokio it spawns nothing.
///
/// It sleeps on a timer thread, so that a sleep survives the runtime that it was begun on, and needs no time
/// driver.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioRuntime;

#[cfg(feature = "tokio")]
impl Runtime for TokioRuntime {
    fn now(&self) -> Now {
        clocks::exact()
    }

    fn coarse_now(&self) -> Now {
        clocks::coarse()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        AnyExecutor.sleep(duration)
    }

    fn can_spawn(&self) -> bool {
        tokio::runtime::Handle::try_current().is_ok()
    }

    fn spawn(&self, task: Task) {
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            drop(handle.spawn(task));
        }
    }
}

/// Works on any executor: sleeps on a timer thread, spawns nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyExecutor;

impl Runtime for AnyExecutor {
    fn now(&self) -> Now {
        clocks::exact()
    }

    fn coarse_now(&self) -> Now {
        clocks::coarse()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        // The timer adds this to a clock reading, and panics if the sum does not fit.
        const LONGEST: Duration = Duration::from_secs(86_400 * 365);
        Box::pin(futures_timer::Delay::new(duration.min(LONGEST)))
    }
}

/// The port that is used where none is named: tokio's if that feature is on, else the one for any executor.
pub fn default_runtime() -> Arc<dyn Runtime> {
    #[cfg(feature = "tokio")]
    return Arc::new(TokioRuntime);
    #[cfg(not(feature = "tokio"))]
    return Arc::new(AnyExecutor);
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(target_os = "linux")]
mod clocks {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::Now;

    pub(super) fn exact() -> Now {
        Now { mono: nanos(clock_gettime(ClockId::Monotonic)), wall: nanos(clock_gettime(ClockId::Realtime)) }
    }

    /// The kernel's own last tick: no hardware counter is read, so it costs a few nanoseconds.
    pub(super) fn coarse() -> Now {
        Now {
            mono: nanos(clock_gettime(ClockId::MonotonicCoarse)),
            wall: nanos(clock_gettime(ClockId::RealtimeCoarse)),
        }
    }

    fn nanos(time: Timespec) -> u64 {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let fraction = u64::try_from(time.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(fraction)
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the port")]
mod clocks {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime};

    use super::Now;

    pub(super) fn exact() -> Now {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        Now::new(ORIGIN.get_or_init(Instant::now).elapsed(), SystemTime::now())
    }

    pub(super) fn coarse() -> Now {
        exact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_precisions_tell_the_same_time() {
        let coarse = clocks::coarse();
        let exact = clocks::exact();
        assert!(exact.mono >= coarse.mono);
        assert!(exact.mono - coarse.mono < 5_000_000_000);
        assert!(exact.wall.abs_diff(coarse.wall) < 5_000_000_000);
    }

    #[test]
    fn the_ends_of_the_calendar_saturate() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Now::new(Duration::ZERO, before).wall, 0);
        let end_of_9999 = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        assert_eq!(Now::new(Duration::MAX, end_of_9999), Now { mono: u64::MAX, wall: u64::MAX });
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_timer_outlives_the_runtime_that_it_was_begun_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let inside = runtime.enter();
        let mut timer = TokioRuntime.sleep(Duration::from_millis(20));
        let first = timer.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(first.is_pending());
        drop(inside);
        drop(runtime);
        futures::executor::block_on(&mut timer);
    }

    #[test]
    fn any_executor_sleeps() {
        futures::executor::block_on(AnyExecutor.sleep(Duration::from_millis(1)));
    }
}
