//! A source that does as it is told.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "only tests call this")]

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use credfed_core::runtime::{Runtime, VirtualRuntime};
use credfed_core::{Cached, CachedProvider, Expiring, Identity, Provider, ProviderError};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// What the source does when it is called.
#[derive(Clone)]
pub(crate) enum Act {
    /// Gives the number of the call, for this long.
    Give(Duration),
    GiveUntil(SystemTime),
    /// Gives this number rather than that of the call.
    GiveAgain(u32, Duration),
    Fail(ProviderError),
    Panic,
    Hang,
    /// Acts after this time.
    Late(Duration, Box<Act>),
    /// Acts once it was polled this often in vain.
    Yield(u32, Box<Act>),
}

/// A source that acts by its script, and then by its habit.
#[derive(Debug)]
pub(crate) struct Source {
    runtime: VirtualRuntime,
    calls: AtomicU32,
    script: Mutex<VecDeque<Act>>,
    habit: Mutex<Act>,
}

impl Source {
    pub(crate) fn new(runtime: &VirtualRuntime, habit: Act) -> Arc<Self> {
        Arc::new(Self {
            runtime: runtime.clone(),
            calls: AtomicU32::new(0),
            script: Mutex::default(),
            habit: Mutex::new(habit),
        })
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn next(&self, act: Act) {
        self.script.lock().unwrap().push_back(act);
    }

    pub(crate) fn forget_script(&self) {
        self.script.lock().unwrap().clear();
    }

    pub(crate) fn then_always(&self, act: Act) {
        *self.habit.lock().unwrap() = act;
    }
}

impl Provider for Source {
    type Credential = u32;

    fn identity(&self) -> Identity {
        Identity::of("test").finish()
    }

    async fn provide(&self) -> Result<Expiring<u32>, ProviderError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let mut act =
            self.script.lock().unwrap().pop_front().unwrap_or_else(|| self.habit.lock().unwrap().clone());
        loop {
            act = match act {
                Act::Give(lifetime) => return Ok(Expiring::after(call, lifetime)),
                Act::GiveUntil(at) => return Ok(Expiring::at(call, at)),
                Act::GiveAgain(number, lifetime) => return Ok(Expiring::after(number, lifetime)),
                Act::Fail(error) => return Err(error),
                Act::Panic => panic!("the script says so"),
                Act::Hang => pending().await,
                Act::Late(after, then) => {
                    self.runtime.sleep(after).await;
                    *then
                }
                Act::Yield(times, then) => {
                    let mut left = times;
                    poll_fn(|cx| {
                        if left == 0 {
                            return Poll::Ready(());
                        }
                        left -= 1;
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    })
                    .await;
                    *then
                }
            }
        }
    }

    fn is_same(&self, held: &u32, new: &u32) -> bool {
        held == new
    }
}

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Act")
    }
}

/// A runtime, a source and a cache around it, with the default settings.
pub(crate) fn stage(habit: Act) -> (VirtualRuntime, Arc<Source>, CachedProvider<u32>) {
    let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let source = Source::new(&runtime, habit);
    let provider = CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).build();
    (runtime, source, provider)
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What the very first poll of a fresh `get` answers.
pub(crate) fn at_once(provider: &CachedProvider<u32>) -> Option<Result<Cached<u32>, ProviderError>> {
    match poll_once(&mut provider.get()) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// A `get` that must be answered without time moving.
pub(crate) fn get(
    runtime: &VirtualRuntime,
    provider: &CachedProvider<u32>,
) -> Result<Cached<u32>, ProviderError> {
    runtime.block_on(provider.get()).expect("the call waits")
}

pub(crate) fn down() -> ProviderError {
    ProviderError::transient("down")
}
