//! A future that any number of tasks wait for, and that whichever of them is polled drives.
//!
//! Wakers run with no lock held. A future that waits for itself, directly or around several corners, therefore
//! stays pending until the deadline of its load instead of locking up a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures::future::BoxFuture;

use crate::cached::flight::{let_go, tamed};
use crate::cached::sync::{AtomicBool, Lock, OnceLock, Ordering, fence};

/// One handle; each waiter has its own.
pub(super) struct Shared<T> {
    inner: Arc<Inner<T>>,
    /// This handle's place among the waiters, once it has one.
    place: Option<usize>,
}

struct Inner<T> {
    /// `None` is what is left of a future that panicked.
    output: OnceLock<Option<T>>,
    /// Taken out for good when it is done. Held while it is polled, so only ever tried.
    future: Lock<Option<BoxFuture<'static, T>>>,
    bell: Arc<Bell>,
}

/// What the future wakes: all who wait for it.
struct Bell {
    /// Rung since the last poll began.
    rung: AtomicBool,
    places: Lock<Places>,
}

#[derive(Default)]
struct Places {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl<T: Clone> Shared<T> {
    pub(super) fn new(future: BoxFuture<'static, T>) -> Self {
        let bell = Bell { rung: AtomicBool::new(false), places: Lock::new(Places::default()) };
        let inner = Inner { output: OnceLock::new(), future: Lock::new(Some(future)), bell: Arc::new(bell) };
        Self { inner: Arc::new(inner), place: None }
    }

    /// Moves the future on, unless somebody else is at it. Ready with `None` if it panicked.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let inner = &*self.inner;
        if let Some(output) = inner.output.get() {
            return Poll::Ready(output.clone());
        }
        // First of all: whoever is at it now is sure to see this waker when it lets go.
        self.place = Some(inner.bell.sit(self.place, cx.waker()));
        // With the one below: either the lock is seen let go here, or there the ring that came before this.
        fence(Ordering::SeqCst);
        if let Some(mut future) = inner.future.try_lock()
            && let Some(mut running) = future.take()
        {
            inner.bell.rung.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&inner.bell));
            let step = || running.as_mut().poll(&mut Context::from_waker(&waker));
            let output = match tamed(catch_unwind(AssertUnwindSafe(step))) {
                Some(Poll::Pending) => {
                    *future = Some(running);
                    drop(future);
                    fence(Ordering::SeqCst);
                    // Who was woken meanwhile may have found it taken and gone back to sleep. Looked at and left
                    // as it is: by now somebody else may be at it, and this be the ring of that poll.
                    if inner.bell.rung.load(Ordering::SeqCst) {
                        inner.bell.ring();
                    }
                    return Poll::Pending;
                }
                Some(Poll::Ready(output)) => Some(output),
                None => None,
            };
            let _ = inner.output.set(output);
            drop(future);
            inner.bell.ring();
        }
        inner.output.get().map_or(Poll::Pending, |output| Poll::Ready(output.clone()))
    }
}

impl<T> Shared<T> {
    pub(super) fn is_over(&self) -> bool {
        self.inner.output.get().is_some()
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), place: None }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            drop(self.inner.bell.leave(place));
        }
    }
}

/// Whoever drops the last handle need not be the one who waited for it.
impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        let future = self.future.lock().take();
        let_go(future);
    }
}

impl Bell {
    fn sit(&self, place: Option<usize>, waker: &Waker) -> usize {
        let mut places = self.places.lock();
        let Places { wakers, free } = &mut *places;
        let place = place.or_else(|| free.pop()).unwrap_or(wakers.len());
        let before = match wakers.get_mut(place) {
            Some(Some(seated)) if seated.will_wake(waker) => None,
            Some(seat) => seat.replace(waker.clone()),
            None => {
                wakers.push(Some(waker.clone()));
                None
            }
        };
        drop(places);
        drop(before);
        place
    }

    fn leave(&self, place: usize) -> Option<Waker> {
        let mut places = self.places.lock();
        places.free.push(place);
        places.wakers.get_mut(place).and_then(Option::take)
    }

    fn ring(&self) {
        let woken: Vec<Waker> = self.places.lock().wakers.iter_mut().filter_map(Option::take).collect();
        for waker in woken {
            waker.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicU32;

    use futures::FutureExt;
    use futures::channel::oneshot;
    use futures::executor::block_on;

    use super::*;

    fn wait<T: Clone>(mut shared: Shared<T>) -> impl Future<Output = Option<T>> {
        poll_fn(move |cx| shared.poll(cx))
    }

    #[test]
    fn all_handles_see_the_one_output() {
        let shared = Shared::new(async { 7 }.boxed());
        let late = shared.clone();
        assert_eq!(block_on(wait(shared.clone())), Some(7));
        assert_eq!(block_on(wait(shared)), Some(7));
        assert_eq!(block_on(wait(late)), Some(7));
    }

    #[test]
    fn a_panic_is_an_output_for_all() {
        let shared = Shared::<u32>::new(async { panic!("the test says so") }.boxed());
        assert_eq!(block_on(wait(shared.clone())), None);
        assert_eq!(block_on(wait(shared)), None);
    }

    #[test]
    fn a_panic_with_what_panics_when_dropped_is_an_output_for_all() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("the test says so");
            }
        }
        let shared = Shared::<u32>::new(async { std::panic::panic_any(Bomb) }.boxed());
        assert_eq!(block_on(wait(shared.clone())), None);
        assert_eq!(block_on(wait(shared)), None);
    }

    #[test]
    fn threads_that_wait_and_leave_lose_no_wake_up() {
        for round in 0..200 {
            let (send, receive) = oneshot::channel::<u32>();
            let steps = AtomicU32::new(0);
            let shared = Shared::new(
                async move {
                    for _ in 0..5 {
                        poll_fn(|cx| {
                            cx.waker().wake_by_ref();
                            let step = steps.fetch_add(1, Ordering::SeqCst);
                            if step.is_multiple_of(2) { Poll::Pending } else { Poll::Ready(()) }
                        })
                        .await;
                    }
                    receive.await.unwrap()
                }
                .boxed(),
            );
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    let (stays, mut leaves) = (shared.clone(), shared.clone());
                    scope.spawn(move || assert_eq!(block_on(wait(stays)), Some(round)));
                    scope.spawn(move || {
                        let _ = leaves.poll(&mut Context::from_waker(Waker::noop()));
                    });
                }
                scope.spawn(move || send.send(round).unwrap());
            });
        }
    }

    #[test]
    fn who_found_it_taken_is_woken_when_it_is_let_go() {
        // The future is woken while it is polled, and its poller then leaves for good.
        let (nested, outside) = std::sync::mpsc::channel::<Shared<u32>>();
        let count = Arc::new(AtomicU32::new(0));
        struct Counter(Arc<AtomicU32>);
        impl Wake for Counter {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let waker = Waker::from(Arc::new(Counter(Arc::clone(&count))));
        let other = waker.clone();
        let kept = Arc::new(Lock::new(None));
        let keep = Arc::clone(&kept);
        let mut first = true;
        let mut shared = Shared::new(
            poll_fn(move |cx| {
                if !std::mem::take(&mut first) {
                    return Poll::Ready(7);
                }
                cx.waker().wake_by_ref();
                let mut late = outside.recv().unwrap();
                assert!(late.poll(&mut Context::from_waker(&other)).is_pending());
                *keep.lock() = Some(late);
                Poll::Pending
            })
            .boxed(),
        );
        nested.send(shared.clone()).unwrap();
        assert!(shared.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(shared);
        assert_eq!(count.load(Ordering::SeqCst), 1, "the late one was woken");
        let mut late = kept.lock().take().unwrap();
        assert_eq!(late.poll(&mut Context::from_waker(&waker)), Poll::Ready(Some(7)));
    }
}
