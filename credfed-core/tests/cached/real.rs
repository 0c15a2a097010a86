//! The same on real threads and a real runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use credfed_core::cached::Mode;
use credfed_core::runtime::{Now, Runtime, Sleep, Task, TokioRuntime};
use credfed_core::{CachedProvider, Expiring, Identity, Provider, ProviderError, provider_fn};
use futures::FutureExt;
use futures::channel::oneshot;

use crate::support::{HOUR, poll_once};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_on_many_threads_share_one_call() {
    let calls = Arc::new(AtomicU32::new(0));
    let (open, gate) = oneshot::channel::<()>();
    let gate = gate.shared();
    let counter = Arc::clone(&calls);
    let source = provider_fn(Identity::of("gated").finish(), move || {
        let (counter, gate) = (Arc::clone(&counter), gate.clone());
        async move {
            counter.fetch_add(1, Ordering::SeqCst);
            gate.await.map_err(|_| ProviderError::transient("closed"))?;
            tokio::task::yield_now().await;
            Ok(Expiring::after(7_u32, Duration::from_secs(3600)))
        }
    });
    let provider = CachedProvider::new(source);
    let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(provider.get())).collect();
    tokio::task::yield_now().await;
    open.send(()).unwrap();
    for task in tasks {
        assert_eq!(*task.await.unwrap().unwrap(), 7);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loads_never_overlap_however_short_the_lifetime() {
    struct Running(Arc<AtomicU32>);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let highest = Arc::clone(&most);
    let source = provider_fn(Identity::of("short-lived").finish(), move || {
        let (running, highest) = (Arc::clone(&running), Arc::clone(&highest));
        async move {
            highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _running = Running(running);
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok(Expiring::after((), Duration::from_millis(30)))
        }
    });
    let provider = CachedProvider::new(source);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let provider = provider.clone();
            tokio::spawn(async move {
                for turn in 0..5_000 {
                    match (task + turn) % 4 {
                        0 => drop(provider.try_get()),
                        1 => drop(provider.with(|()| ())),
                        2 => drop(provider.get().now_or_never()),
                        // On a busy machine even a new one may be over before it is looked at.
                        _ => drop(provider.get().await),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(provider.status().generation >= 1);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_runtime_that_is_dropped_mid_load_costs_one_more_call() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let source = provider_fn(Identity::of("first hangs").finish(), move || {
        let call = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            if call == 1 {
                futures::future::pending::<()>().await;
            }
            Ok(Expiring::after(call, Duration::from_secs(3600)))
        }
    });
    let provider = CachedProvider::new(source);
    let first = runtime();
    let waiting = first.spawn(provider.get());
    first.block_on(async {
        while calls.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    });
    drop(first);
    assert!(waiting.now_or_never().is_none_or(|joined| joined.is_err()));
    let second = runtime();
    assert_eq!(*second.block_on(provider.get()).unwrap(), 2);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_cache_works_outside_of_any_runtime() {
    let source = provider_fn(Identity::of("ready").finish(), || async {
        Ok(Expiring::after(7_u32, Duration::from_secs(3600)))
    });
    let provider = CachedProvider::new(source);
    assert!(provider.try_get().is_none());
    assert_eq!(*futures::executor::block_on(provider.get()).unwrap(), 7);
    assert_eq!(provider.with(|number| *number), Some(7));
}

#[test]
fn a_runtime_without_a_time_driver_will_do() {
    let source = provider_fn(Identity::of("yields").finish(), || async {
        tokio::task::yield_now().await;
        Ok(Expiring::after(7_u32, Duration::from_secs(3600)))
    });
    let provider = CachedProvider::new(source);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(*runtime.block_on(provider.get()).unwrap(), 7);
}

#[test]
fn a_runtime_without_a_time_driver_calls_no_panic_hook() {
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, here) = (Arc::clone(&count), std::thread::current().id());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Other tests of this process panic on purpose, on their own threads.
        if std::thread::current().id() == here {
            counter.fetch_add(1, Ordering::SeqCst);
        } else {
            before(info);
        }
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { TokioRuntime.sleep(Duration::from_millis(1)).await });
    drop(std::panic::take_hook());
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn an_abandoned_load_is_resumed_on_another_runtime() {
    let (open, calls, source) = gated();
    let provider = CachedProvider::builder(source).mode(Mode::Inline).build();
    let first = runtime();
    first.block_on(async { assert!(poll_once(&mut provider.get()).is_pending()) });
    drop(first);
    let answer = runtime().block_on(async {
        let mut call = provider.get();
        assert!(poll_once(&mut call).is_pending(), "its deadline did not go with the first runtime");
        open.send(()).unwrap();
        call.await
    });
    assert_eq!((*answer.unwrap(), calls.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn a_load_outlives_the_runtime_of_a_visitor_who_polled_it_first() {
    let (open, calls, source) = gated();
    let provider = CachedProvider::new(source);
    let (home, visitor) = (runtime(), runtime());
    home.block_on(async { assert!(provider.try_get().is_none()) });
    visitor.block_on(async { assert!(poll_once(&mut provider.get()).is_pending()) });
    drop(visitor);
    let answer = home.block_on(async {
        let waiting = tokio::spawn(provider.get());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        open.send(()).unwrap();
        waiting.await.unwrap()
    });
    assert_eq!((*answer.unwrap(), calls.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn a_waiter_inside_of_a_runtime_that_is_gone_does_not_spin() {
    #[derive(Debug)]
    struct Counting(Arc<AtomicUsize>);

    impl Runtime for Counting {
        fn now(&self) -> Now {
            TokioRuntime.now()
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            self.0.fetch_add(1, Ordering::SeqCst);
            TokioRuntime.sleep(duration)
        }

        fn can_spawn(&self) -> bool {
            TokioRuntime.can_spawn()
        }

        fn spawn(&self, task: Task) {
            TokioRuntime.spawn(task);
        }
    }

    let (_open, _, source) = gated();
    let sleeps = Arc::new(AtomicUsize::new(0));
    let provider = CachedProvider::builder(source).runtime(Counting(Arc::clone(&sleeps))).build();
    let home = runtime();
    home.block_on(async {
        assert!(provider.try_get().is_none());
        tokio::task::yield_now().await;
    });
    let gone = runtime();
    let handle = gone.handle().clone();
    drop(gone);
    let _inside = handle.enter();
    assert!(poll_once(&mut provider.get()).is_pending());
    let sleeps = sleeps.load(Ordering::SeqCst);
    assert!(sleeps <= 2, "{sleeps} sleeps in one poll");
}

#[test]
fn a_waiter_that_moves_to_another_runtime_is_answered_by_the_deadline() {
    let (_open, _, source) = gated();
    let provider = CachedProvider::builder(source).load_deadline(Duration::from_millis(50)).build();
    let standing = runtime();
    let mut call = provider.get();
    standing.block_on(async { assert!(poll_once(&mut call).is_pending()) });
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(runtime().block_on(call).is_err()));
    assert!(finished.recv_timeout(Duration::from_secs(10)).expect("hangs"));
    drop(standing);
}

/// A source that waits for what has nothing to do with any runtime, and how often it was called.
fn gated() -> (oneshot::Sender<()>, Arc<AtomicU32>, impl Provider<Credential = u32>) {
    let (open, gate) = oneshot::channel::<()>();
    let (gate, calls) = (gate.shared(), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&calls);
    let source = provider_fn(Identity::of("gated").finish(), move || {
        let (call, gate) = (counter.fetch_add(1, Ordering::SeqCst) + 1, gate.clone());
        async move {
            let _ = gate.await;
            Ok(Expiring::after(call, HOUR))
        }
    });
    (open, calls, source)
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
