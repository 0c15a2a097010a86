//! Schedules, a runtime whose tasks are threads, and a source that does as it is told.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use shuttle::future::JoinHandle;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use shuttle::{Config, MaxSteps, Runner};

use crate::cached::{Builder, Cached, CachedProvider, Mode};
use crate::runtime::{Now, Runtime, Sleep, Task};
use crate::{Expiring, Identity, Provider, ProviderError};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// How many schedules of each kind a test is run under, unless `CREDFED_SCHEDULES` says so.
const SCHEDULES: usize = 2_000;

/// Runs `test` under schedules that let any thread go first at any point, and under ones that keep to one thread
/// but for a few points (PCT). The same ones each time, unless their number was set.
pub(super) fn explore(test: fn()) {
    let asked = std::env::var("CREDFED_SCHEDULES").ok();
    let schedules = asked.as_ref().map_or(SCHEDULES, |number| number.parse().expect("CREDFED_SCHEDULES"));
    if asked.is_some() {
        under(RandomScheduler::new(schedules), test);
        under(PctScheduler::new(3, schedules), test);
    } else {
        under(RandomScheduler::new_from_seed(1, schedules), test);
        under(PctScheduler::new_from_seed(1, 3, schedules), test);
    }
}

fn under(scheduler: impl Scheduler + 'static, test: fn()) {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(test);
}

/// A number below `end`, of the schedule's choosing.
pub(super) fn below(end: u32) -> u32 {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..end)
}

/// Runs the closure on a thread of its own.
pub(super) fn thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Thread<T> {
    Thread(shuttle::thread::spawn(body))
}

pub(super) struct Thread<T>(shuttle::thread::JoinHandle<T>);

impl<T> Thread<T> {
    pub(super) fn join(self) -> T {
        self.0.join().unwrap()
    }
}

/// Waits for a credential on this thread, for as long as it takes.
pub(super) fn get(provider: &CachedProvider<u32>) -> Result<Cached<u32>, ProviderError> {
    shuttle::future::block_on(provider.get())
}

/// Polls once, and is not woken.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Comes, polls a few times, and leaves whatever it was told.
pub(super) fn visit(provider: &CachedProvider<u32>) {
    let mut call = provider.get();
    for _ in 0..below(4) {
        if poll_once(&mut call).is_ready() {
            return;
        }
    }
}

/// What each of them gives, in their order.
pub(super) fn join<T, const N: usize>(threads: [Thread<T>; N]) -> [T; N] {
    threads.map(Thread::join)
}

/// A runtime each of whose tasks has a thread to itself. Its time moves only when a test says so, and its sleeps
/// never end: who is not woken by anything else waits for ever.
#[derive(Clone, Debug)]
pub(super) struct Threads(Arc<State>);

#[derive(Debug)]
struct State {
    mono: AtomicU64,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    /// As long as these are held, the test does not end before the tasks do.
    handles: Vec<JoinHandle<()>>,
    /// Those among them that are dropped once it stops: the first ones, this many.
    mortals: Vec<JoinHandle<()>>,
    mortal: usize,
    spawned: usize,
    stopped: bool,
}

impl Threads {
    /// None of its tasks is ever dropped.
    pub(super) fn new() -> Self {
        Self::with_mortal(0)
    }

    /// Its first tasks, this many, are dropped once [`stop`](Self::stop) is called.
    pub(super) fn with_mortal(mortal: usize) -> Self {
        let tasks = Mutex::new(Tasks { mortal, ..Tasks::default() });
        Self(Arc::new(State { mono: AtomicU64::new(1_000_000_000_000), tasks }))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.mono.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Drops the mortal tasks where they are, and those that come later at once.
    pub(super) fn stop(&self) {
        let dropped = {
            let mut tasks = self.0.tasks.lock().unwrap();
            tasks.stopped = true;
            std::mem::take(&mut tasks.mortals)
        };
        for task in dropped {
            task.abort();
        }
    }
}

impl Runtime for Threads {
    fn now(&self) -> Now {
        let mono = Duration::from_nanos(self.0.mono.load(Ordering::SeqCst));
        Now::new(mono, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + mono)
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(pending())
    }

    fn can_spawn(&self) -> bool {
        true
    }

    fn spawn(&self, task: Task) {
        let is_mortal = {
            let mut tasks = self.0.tasks.lock().unwrap();
            tasks.spawned += 1;
            tasks.spawned <= tasks.mortal
        };
        // No lock is held where another thread may run.
        let handle = shuttle::future::spawn(task);
        let doomed = {
            let mut tasks = self.0.tasks.lock().unwrap();
            let is_doomed = is_mortal && tasks.stopped;
            let (keep, hold) = if is_doomed { (None, Some(handle)) } else { (Some(handle), None) };
            if is_mortal {
                tasks.mortals.extend(keep);
            } else {
                tasks.handles.extend(keep);
            }
            hold
        };
        if let Some(doomed) = doomed {
            doomed.abort();
        }
    }

    fn seed(&self) -> u64 {
        1
    }
}

/// What the source does when it is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Gives the number of the call, for an hour.
    Give,
    /// Gives this number.
    GiveAgain(u32),
    Fail,
    Panic,
    /// Never ends, and is never woken.
    Hang,
}

/// A source that acts by its script, one act a call, and gives after that. It is polled a few times for each.
#[derive(Debug)]
pub(super) struct Source {
    script: Vec<Act>,
    calls: AtomicU32,
    running: AtomicU32,
    most: AtomicU32,
    /// Open once it was called for the first time.
    pub(super) called: Door,
}

impl Source {
    pub(super) fn new(script: &[Act]) -> Arc<Self> {
        Arc::new(Self {
            script: script.to_vec(),
            calls: AtomicU32::new(0),
            running: AtomicU32::new(0),
            most: AtomicU32::new(0),
            called: Door::new(),
        })
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many calls ran at one time, at the most.
    pub(super) fn most_at_once(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }

    async fn act(&self, call: u32) -> Result<Expiring<u32>, ProviderError> {
        for _ in 0..2 {
            turn().await;
        }
        let scripted = usize::try_from(call - 1).ok().and_then(|call| self.script.get(call));
        match scripted.copied().unwrap_or(Act::Give) {
            Act::Give => Ok(Expiring::after(call, HOUR)),
            Act::GiveAgain(number) => Ok(Expiring::after(number, HOUR)),
            Act::Fail => Err(ProviderError::transient("down")),
            // Past the panic hook, which would print the schedule of a test that fails.
            Act::Panic => std::panic::resume_unwind(Box::new("the script says so")),
            Act::Hang => pending().await,
        }
    }
}

impl Provider for Source {
    type Credential = u32;

    fn identity(&self) -> Identity {
        Identity::of("shuttle").finish()
    }

    async fn provide(&self) -> Result<Expiring<u32>, ProviderError> {
        struct Running<'a>(&'a AtomicU32);

        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }

        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _running = Running(&self.running);
        self.called.open();
        self.act(call).await
    }

    fn is_same(&self, held: &u32, new: &u32) -> bool {
        held == new
    }
}

/// Pending once, and woken at once.
pub(super) async fn turn() {
    let mut pending = true;
    poll_fn(|cx| {
        if !std::mem::take(&mut pending) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Closed until somebody opens it.
#[derive(Debug)]
pub(super) struct Door {
    is_open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Door {
    pub(super) fn new() -> Self {
        Self { is_open: AtomicBool::new(false), waiting: Mutex::default() }
    }

    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) async fn opened(&self) {
        poll_fn(|cx| {
            self.waiting.lock().unwrap().push(cx.waker().clone());
            if self.is_open.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

pub(super) fn cache(runtime: &Threads, source: &Arc<Source>) -> Builder<u32> {
    CachedProvider::builder(Arc::clone(source)).runtime(runtime.clone())
}

/// A runtime none of whose tasks is stopped, a source that acts by the script, and a cache.
pub(super) fn stage(mode: Mode, script: &[Act]) -> (Threads, Arc<Source>, CachedProvider<u32>) {
    let (runtime, source) = (Threads::new(), Source::new(script));
    let provider = cache(&runtime, &source).mode(mode).build();
    (runtime, source, provider)
}
