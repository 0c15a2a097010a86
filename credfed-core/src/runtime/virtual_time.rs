//! Time that a test sets, and tasks that a test runs.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use super::{Clock, Now, Runtime, Sleep, Task};

/// A wall clock that stands still until a test moves it. Clones show the same time.
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<Mutex<SystemTime>>);

impl VirtualClock {
    /// A clock that shows `start`.
    pub fn new(start: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(start)))
    }

    /// Shows `time` from now on, be it earlier or later.
    pub fn set(&self, time: SystemTime) {
        *lock(&self.0) = time;
    }

    /// Moves forward; stops at the end of what a `SystemTime` can hold.
    pub fn advance(&self, by: Duration) {
        let mut time = lock(&self.0);
        *time = time.checked_add(by).unwrap_or(*time);
    }

    /// Moves backward; stops at the beginning of what a `SystemTime` can hold.
    pub fn rewind(&self, by: Duration) {
        let mut time = lock(&self.0);
        *time = time.checked_sub(by).unwrap_or(*time);
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> SystemTime {
        *lock(&self.0)
    }
}

/// A runtime whose time moves only when a test says so, and which runs its tasks on the test's own thread.
///
/// Sleeps fire when [`advance`](Self::advance) passes them; spawned tasks run in
/// [`run`](Self::run), `advance` and [`block_on`](Self::block_on). Clones are one runtime. Its tasks may wake
/// each other from any thread, but run it from one thread at a time: two that run it at once may each miss what
/// the other has in hand.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use credfed_core::runtime::{Runtime, VirtualRuntime};
///
/// let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
/// let sleep = runtime.sleep(Duration::from_secs(3600));
/// runtime.advance(Duration::from_secs(3600));
/// assert!(runtime.block_on(sleep).is_ok());
/// ```
#[derive(Clone)]
pub struct VirtualRuntime(Arc<Inner>);

struct Inner {
    wall: VirtualClock,
    state: Mutex<State>,
}

struct State {
    mono: Duration,
    timers: Vec<Arc<Timer>>,
    tasks: Vec<Arc<Spawned>>,
    spawns: bool,
    seed: u64,
}

/// What [`VirtualRuntime::block_on`] gives when nothing can run any more and the future is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing can run until time moves")
    }
}

impl std::error::Error for Stalled {}

impl VirtualRuntime {
    /// A runtime that spawns, whose wall clock shows `start`.
    pub fn new(start: SystemTime) -> Self {
        let state = State {
            mono: Duration::from_secs(1_000),
            timers: Vec::new(),
            tasks: Vec::new(),
            spawns: true,
            seed: 1,
        };
        Self(Arc::new(Inner { wall: VirtualClock::new(start), state: Mutex::new(state) }))
    }

    /// Sets whether it has a spawner.
    #[must_use]
    pub fn with_spawner(self, spawns: bool) -> Self {
        self.state().spawns = spawns;
        self
    }

    /// Sets what [`Runtime::seed`] answers.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        self.state().seed = seed;
        self
    }

    /// The wall clock alone: moving it is a jump that the monotonic clock does not see.
    pub fn clock(&self) -> &VirtualClock {
        &self.0.wall
    }

    /// Moves both clocks, firing what falls due on the way in its order and running the tasks after each.
    pub fn advance(&self, by: Duration) {
        self.run();
        let target = self.state().mono.saturating_add(by);
        loop {
            let (step, due) = {
                let mut state = self.state();
                let next =
                    state.timers.iter().map(|timer| timer.at).min().map_or(target, |at| at.min(target));
                let step = next.saturating_sub(state.mono);
                state.mono = state.mono.max(next);
                let mono = state.mono;
                let (due, rest) = state.timers.drain(..).partition(|timer| timer.at <= mono);
                state.timers = rest;
                (step, due)
            };
            self.0.wall.advance(step);
            let fired = !Vec::is_empty(&due);
            for timer in due {
                timer.fire();
            }
            self.run();
            if !fired {
                return;
            }
        }
    }

    /// Runs the spawned tasks until none can go on.
    pub fn run(&self) {
        while self.run_once() {}
    }

    /// Drives `future` and the spawned tasks until the future is done, or nothing can go on.
    ///
    /// # Errors
    ///
    /// [`Stalled`], if the future waits for time to move or for something outside.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Stalled> {
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        loop {
            let woken = flag.0.swap(false, Ordering::AcqRel);
            if woken && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(output);
            }
            let ran = self.run_once();
            if !ran && !flag.0.load(Ordering::Acquire) {
                return Err(Stalled);
            }
        }
    }

    /// Drops all spawned tasks where they are, as a runtime does that is shut down.
    pub fn drop_tasks(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        for task in tasks {
            drop(lock(&task.task).take());
        }
    }

    /// How many spawned tasks are not done.
    pub fn tasks(&self) -> usize {
        self.state().tasks.len()
    }

    fn run_once(&self) -> bool {
        let tasks = self.state().tasks.clone();
        let mut ran = false;
        for spawned in tasks {
            if !spawned.woken.swap(false, Ordering::AcqRel) {
                continue;
            }
            ran = true;
            let Some(mut task) = lock(&spawned.task).take() else { continue };
            let waker = Waker::from(Arc::clone(&spawned));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                *lock(&spawned.task) = Some(task);
            } else {
                self.state().tasks.retain(|other| !Arc::ptr_eq(other, &spawned));
            }
        }
        ran
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl Runtime for VirtualRuntime {
    fn now(&self) -> Now {
        Now::new(self.state().mono, self.0.wall.wall())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.state();
        let at = state.mono.saturating_add(duration);
        let timer =
            Arc::new(Timer { at, fired: AtomicBool::new(duration.is_zero()), waker: Mutex::new(None) });
        if !duration.is_zero() {
            state.timers.push(Arc::clone(&timer));
        }
        Box::pin(VirtualSleep { timer })
    }

    fn can_spawn(&self) -> bool {
        self.state().spawns
    }

    fn spawn(&self, task: Task) {
        if self.can_spawn() {
            let spawned = Spawned { task: Mutex::new(Some(task)), woken: AtomicBool::new(true) };
            self.state().tasks.push(Arc::new(spawned));
        }
    }

    fn seed(&self) -> u64 {
        self.state().seed
    }
}

impl Clock for VirtualRuntime {
    fn wall(&self) -> SystemTime {
        self.0.wall.wall()
    }
}

impl fmt::Debug for VirtualRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualRuntime").field("now", &self.now()).finish_non_exhaustive()
    }
}

struct Timer {
    at: Duration,
    fired: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Timer {
    fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }
}

struct VirtualSleep {
    timer: Arc<Timer>,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *lock(&self.timer.waker) = Some(cx.waker().clone());
        if self.timer.fired.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

struct Spawned {
    task: Mutex<Option<Task>>,
    woken: AtomicBool,
}

impl Wake for Spawned {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_fire_in_order_when_time_passes_them() {
        let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
        let order = Arc::new(Mutex::new(Vec::new()));
        for seconds in [3, 1, 2] {
            let (order, ticks) = (Arc::clone(&order), runtime.clone());
            runtime.spawn(Box::pin(async move {
                ticks.sleep(Duration::from_secs(seconds)).await;
                order.lock().unwrap().push((seconds, ticks.now().wall));
            }));
        }
        runtime.advance(Duration::from_millis(2_500));
        assert_eq!(*order.lock().unwrap(), [(1, 1_000_000_000), (2, 2_000_000_000)]);
        assert_eq!(runtime.tasks(), 1);
        runtime.advance(Duration::from_secs(1));
        assert_eq!(runtime.tasks(), 0);
    }

    #[test]
    fn a_jump_of_the_wall_clock_fires_nothing() {
        let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
        let sleep = runtime.sleep(Duration::from_secs(1));
        runtime.clock().advance(Duration::from_secs(3600));
        assert_eq!(runtime.block_on(sleep), Err(Stalled));
    }
}
