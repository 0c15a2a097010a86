//! One load, driven by whoever waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use credfed_core::cached::{Mode, State};
use credfed_core::runtime::Runtime;
use credfed_core::{CachedProvider, Expiring, Identity, VirtualRuntime, provider_fn};
use futures::FutureExt;

use crate::support::{Act, HOUR, MINUTE, SECOND, Source, at_once, get, poll_once, stage};

fn inline(runtime: &VirtualRuntime, source: &Arc<Source>) -> CachedProvider<u32> {
    CachedProvider::builder(Arc::clone(source)).runtime(runtime.clone()).mode(Mode::Inline).build()
}

#[test]
fn a_leader_that_leaves_at_any_poll_loses_nothing() {
    for polls in 0..10 {
        for (spawns, waits_before) in [(false, false), (false, true), (true, false), (true, true)] {
            let (runtime, source, provider) = stage(Act::Yield(8, Box::new(Act::Give(HOUR))));
            let runtime = runtime.with_spawner(spawns);
            let (mut leader, mut waiter) = (provider.get(), provider.get());
            let _ = poll_once(&mut leader);
            if waits_before {
                assert!(poll_once(&mut waiter).is_pending());
            }
            for _ in 0..polls {
                if poll_once(&mut leader).is_ready() {
                    break;
                }
            }
            drop(leader);
            assert_eq!(*runtime.block_on(waiter).unwrap().unwrap(), 1, "left after {polls} polls");
            assert_eq!(source.calls(), 1, "left after {polls} polls");
        }
    }
}

#[test]
fn a_spawned_load_ends_even_if_all_callers_leave() {
    let (runtime, source, provider) = stage(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    drop(caller);
    runtime.advance(SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!(source.calls(), 1);
}

#[test]
fn callers_that_give_up_halfway_still_complete_the_load_once() {
    let (runtime, source, _) = stage(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let provider = inline(&runtime, &source);
    let served = Arc::new(std::sync::Mutex::new(0));
    for _ in 0..80 {
        let (call, limit) = (provider.get(), runtime.sleep(SECOND / 2));
        let served = Arc::clone(&served);
        runtime.spawn(Box::pin(async move {
            if let futures::future::Either::Left((Ok(_), _)) = futures::future::select(call, limit).await {
                *served.lock().unwrap() += 1;
            }
        }));
        runtime.advance(SECOND / 4);
    }
    assert_eq!(source.calls(), 1);
    assert!(*served.lock().unwrap() >= 77, "{} of 80", served.lock().unwrap());
}

#[test]
fn an_abandoned_load_is_taken_up_by_the_next_caller() {
    let (runtime, source, _) = stage(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let provider = inline(&runtime, &source);
    assert!(at_once(&provider).is_none());
    runtime.advance(SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!(source.calls(), 1);
}

#[test]
fn an_abandoned_load_older_than_its_deadline_is_discarded() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    source.next(Act::Hang);
    let provider = inline(&runtime, &source);
    assert!(at_once(&provider).is_none());
    runtime.advance(MINUTE);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the test says so");
    }
}

#[test]
fn a_discarded_load_that_panics_when_it_is_dropped_takes_nothing_from_the_next_caller() {
    let (runtime, ..) = stage(Act::Hang);
    let first = AtomicBool::new(true);
    let source = provider_fn(Identity::of("bomb").finish(), move || {
        let is_first = first.swap(false, Ordering::SeqCst);
        async move {
            if !is_first {
                return Ok(Expiring::after(2_u32, HOUR));
            }
            let _bomb = Bomb;
            std::future::pending().await
        }
    });
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).mode(Mode::Inline).build();
    assert!(at_once(&provider).is_none());
    runtime.advance(MINUTE);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
}

#[test]
fn a_load_that_was_given_up_does_not_replace_a_newer_one() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    source.next(Act::Late(14 * SECOND, Box::new(Act::Give(HOUR))));
    let provider = inline(&runtime, &source);
    let mut old = provider.get();
    assert!(poll_once(&mut old).is_pending());
    runtime.advance(16 * SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
    assert_eq!(*old.now_or_never().unwrap().unwrap(), 2);
    assert_eq!((provider.status().generation, source.calls()), (1, 2));
}

#[test]
fn without_a_spawner_an_advisory_caller_moves_the_load_on_and_is_served_at_once() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let runtime = runtime.with_spawner(false);
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Yield(3, Box::new(Act::Give(HOUR))));
    runtime.advance(53 * MINUTE);
    let numbers: Vec<_> = (0..5).map(|_| *at_once(&provider).unwrap().unwrap()).collect();
    assert_eq!(numbers, [1, 1, 1, 2, 2]);
    assert_eq!(source.calls(), 2);
}

#[test]
fn without_a_spawner_refresh_is_begun_by_the_next_caller() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let runtime = runtime.with_spawner(false);
    let seen = get(&runtime, &provider).unwrap();
    provider.refresh(&seen);
    assert_eq!(source.calls(), 1);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
}

#[test]
fn a_load_whose_runtime_died_is_restarted_once() {
    let (runtime, source, provider) = stage(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let mut waiter = provider.get();
    assert!(poll_once(&mut waiter).is_pending());
    runtime.run();
    runtime.drop_tasks();
    assert!(poll_once(&mut waiter).is_pending());
    runtime.advance(SECOND);
    assert_eq!(*waiter.now_or_never().unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_waiter_is_woken_when_the_runtime_of_its_load_dies() {
    let (runtime, source, provider) = stage(Act::Hang);
    source.next(Act::Hang);
    source.next(Act::Give(HOUR));
    let other = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
    let waiting = provider.get();
    let answer = Arc::new(std::sync::Mutex::new(None));
    let sink = Arc::clone(&answer);
    other.spawn(Box::pin(async move {
        *sink.lock().unwrap() = Some(waiting.await);
    }));
    other.run();
    runtime.run();
    assert_eq!(source.calls(), 1);
    runtime.drop_tasks();
    other.run();
    assert_eq!(answer.lock().unwrap().take().map(|answer| *answer.unwrap()), Some(2));
}

#[test]
fn a_valid_credential_does_not_wait_for_a_dead_runtime_and_is_refreshed_in_the_end() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.drop_tasks();
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(15 * SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.run();
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_dead_load_does_not_stand_in_the_way_of_a_refresh() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    source.next(Act::Late(14 * SECOND, Box::new(Act::Give(HOUR))));
    source.next(Act::Hang);
    let provider = inline(&runtime, &source);
    let mut old = provider.get();
    assert!(poll_once(&mut old).is_pending());
    runtime.advance(16 * SECOND);
    assert!(at_once(&provider).is_none(), "discards the old load, starts another one, leaves");
    let seen = old.now_or_never().unwrap().unwrap();
    assert_eq!(*seen, 1);
    runtime.advance(20 * MINUTE);
    assert_eq!(provider.status().state, State::Fresh);
    assert!(!provider.status().refreshing, "what is dead is not under way");
    provider.refresh(&seen);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
    assert!(!provider.status().refreshing);
}

#[test]
fn a_spawner_that_drops_every_task_leaves_the_work_to_the_waiters() {
    #[derive(Debug)]
    struct Dying(VirtualRuntime);

    impl Runtime for Dying {
        fn now(&self) -> credfed_core::runtime::Now {
            self.0.now()
        }

        fn sleep(&self, duration: Duration) -> credfed_core::runtime::Sleep {
            self.0.sleep(duration)
        }

        fn can_spawn(&self) -> bool {
            true
        }
    }

    let (runtime, source, _) = stage(Act::Yield(2, Box::new(Act::Give(HOUR))));
    let provider = CachedProvider::builder(Arc::clone(&source)).runtime(Dying(runtime.clone())).build();
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    assert_eq!(source.calls(), 1);
}

#[test]
fn a_source_that_asks_its_own_cache_ends_at_the_deadline() {
    let (runtime, ..) = stage(Act::Hang);
    let own: Arc<OnceLock<CachedProvider<u32>>> = Arc::default();
    let inner = Arc::clone(&own);
    let source = provider_fn(Identity::of("own tail").finish(), move || {
        let own = inner.get().cloned();
        async move {
            match own {
                Some(own) => Ok(Expiring::after(*own.get().await?, HOUR)),
                None => Ok(Expiring::never(0)),
            }
        }
    });
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
    own.set(provider.clone()).unwrap();
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(15 * SECOND);
    assert!(runtime.block_on(caller).unwrap().is_err());
}

#[test]
fn dropping_all_handles_frees_an_abandoned_load() {
    let (runtime, source, _) = stage(Act::Hang);
    let provider = inline(&runtime, &source);
    assert!(at_once(&provider).is_none());
    assert!(Arc::strong_count(&source) > 1);
    drop(provider);
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn a_credential_too_short_lived_to_be_served_ends_in_an_error() {
    let (runtime, source, _) = stage(Act::Give(Duration::from_nanos(1)));
    let provider = inline(&runtime, &source);
    let mut caller = provider.get();
    // Time stands still, so even this one is served; only real time makes it worthless.
    assert_eq!(poll_once(&mut caller).map(|answer| *answer.unwrap()), std::task::Poll::Ready(1));
    runtime.advance(Duration::from_nanos(1));
    assert!(provider.try_get().is_none());
    assert_eq!(provider.status().state, State::Expired);
}

#[test]
fn what_expired_while_its_waiter_slept_is_not_handed_to_it() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    source.next(Act::Late(SECOND, Box::new(Act::Give(10 * SECOND))));
    let mut sleeper = provider.get();
    assert!(poll_once(&mut sleeper).is_pending());
    runtime.advance(MINUTE);
    assert_eq!(poll_once(&mut sleeper).map(|answer| *answer.unwrap()), std::task::Poll::Ready(2));
}

/// Tasks and the timer of the next load live on a runtime that nobody runs any more, though nobody dropped it.
#[derive(Debug)]
struct Halted {
    stopped: VirtualRuntime,
    running: VirtualRuntime,
    next: AtomicBool,
}

impl Runtime for Halted {
    fn now(&self) -> credfed_core::runtime::Now {
        self.running.now()
    }

    fn sleep(&self, duration: Duration) -> credfed_core::runtime::Sleep {
        let next = self.next.swap(false, Ordering::SeqCst);
        if next { self.stopped.sleep(duration) } else { self.running.sleep(duration) }
    }

    fn can_spawn(&self) -> bool {
        true
    }

    fn spawn(&self, task: credfed_core::runtime::Task) {
        self.stopped.spawn(task);
    }
}

fn halted() -> (Arc<Halted>, Arc<Source>, CachedProvider<u32>) {
    let (stopped, source, _) = stage(Act::Hang);
    let running = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
    let runtime = Arc::new(Halted { stopped, running, next: false.into() });
    let provider = CachedProvider::builder(Arc::clone(&source)).runtime(Arc::clone(&runtime)).build();
    (runtime, source, provider)
}

#[test]
fn a_waiter_does_not_hang_with_a_load_whose_runtime_stands_still() {
    let (runtime, source, provider) = halted();
    let mut early = provider.get();
    runtime.next.store(true, Ordering::SeqCst);
    assert!(provider.try_get().is_none());
    runtime.stopped.run();
    assert_eq!(source.calls(), 1, "the load is polled first where time stands still");
    assert!(poll_once(&mut early).is_pending());
    runtime.running.advance(15 * SECOND);
    assert!(poll_once(&mut early).is_pending(), "a deadline of the load's own would come first");
    runtime.running.advance(SECOND);
    let mut late = provider.get();
    assert!(runtime.running.block_on(early).unwrap().is_err());
    source.then_always(Act::Give(HOUR));
    runtime.running.advance(SECOND);
    assert_eq!(poll_once(&mut late).map(|answer| *answer.unwrap()), std::task::Poll::Ready(2));
}

#[test]
fn nor_does_whoever_wants_a_newer_one() {
    let (runtime, source, provider) = halted();
    source.next(Act::Give(HOUR));
    let seen = get(&runtime.running, &provider).unwrap();
    runtime.stopped.run();
    runtime.next.store(true, Ordering::SeqCst);
    provider.refresh(&seen);
    runtime.stopped.run();
    let mut newer = provider.refreshed(&seen);
    assert!(poll_once(&mut newer).is_pending());
    runtime.running.advance(16 * SECOND);
    assert!(runtime.running.block_on(newer).unwrap().is_none());
    assert_eq!((source.calls(), *get(&runtime.running, &provider).unwrap()), (2, 1));
}

#[test]
fn the_handles_go_where_tasks_go() {
    fn sendable<T: Send + 'static>(_: &T) {}
    fn shareable<T: Send + Sync + Unpin + Clone + 'static>(_: &T) {}
    let (runtime, _, provider) = stage(Act::Give(HOUR));
    shareable(&provider);
    sendable(&provider.get());
    shareable(&get(&runtime, &provider).unwrap());
}
