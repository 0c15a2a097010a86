//! Each caller on its own, for runtimes that stop a request which waits for another one's.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use credfed_core::cached::{Mode, State};
use credfed_core::runtime::{Now, Runtime, Sleep, Task};
use credfed_core::{CachedProvider, ErrorKind, Expiring, Identity, Rejection, VirtualRuntime, provider_fn};

use crate::support::{Act, HOUR, MINUTE, SECOND, Source, at_once, down, get, poll_once, stage};

pub(crate) fn isolated(habit: Act) -> (VirtualRuntime, Arc<Source>, CachedProvider<u32>) {
    let (runtime, source, _) = stage(habit);
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .mode(Mode::Isolated)
        .isolated_loads(3)
        .build();
    (runtime, source, provider)
}

pub(crate) fn late(by: Duration) -> Act {
    Act::Late(by, Box::new(Act::Give(HOUR)))
}

#[test]
fn nobody_waits_for_the_load_of_another() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    source.next(Act::Hang);
    let mut first = provider.get();
    assert!(poll_once(&mut first).is_pending());
    assert_eq!(*get(&runtime, &provider).unwrap(), 2, "its own, and at once");
    assert_eq!(runtime.tasks(), 0, "nothing is spawned");
    assert!(poll_once(&mut first).is_pending(), "and nobody ends the load of another");
}

#[test]
fn the_first_load_to_land_is_for_all_that_come_later() {
    let (runtime, source, provider) = isolated(late(SECOND));
    let mut all = [provider.get(), provider.get()];
    for caller in &mut all {
        assert!(poll_once(caller).is_pending());
    }
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    for caller in &mut all {
        let Poll::Ready(Ok(cached)) = poll_once(caller) else { panic!("not served") };
        assert_eq!((*cached, cached.generation()), (1, 1), "the one that came second takes what is there");
    }
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!(source.calls(), 2);
}

#[test]
fn while_one_refreshes_all_others_are_served() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.then_always(late(SECOND));
    let mut one = provider.get();
    assert!(poll_once(&mut one).is_pending());
    assert!(provider.status().refreshing);
    for _ in 0..1_000 {
        assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    }
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1, "the load is its caller's: nobody else moves it");
    assert_eq!(*runtime.block_on(one).unwrap().unwrap(), 2);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
}

#[test]
fn a_refresh_goes_with_its_caller_and_the_next_one_takes_over() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.next(Act::Hang);
    let mut one = provider.get();
    assert!(poll_once(&mut one).is_pending());
    drop(one);
    assert!(!provider.status().refreshing);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1, "the source is left alone for a second");
    runtime.advance(SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
    assert_eq!(provider.status().consecutive_failures, 0);
}

#[test]
fn callers_without_patience_are_served_although_none_of_them_ends_a_load() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.then_always(Act::Hang);
    let mut served = 0;
    for _ in 0..80 {
        let mut caller = provider.get();
        let mut is_ready = poll_once(&mut caller).is_ready();
        runtime.advance(SECOND);
        is_ready |= poll_once(&mut caller).is_ready();
        served += u32::from(is_ready);
    }
    assert!(served >= 70 && source.calls() <= 10, "{served} of 80, {} calls", source.calls());
}

#[test]
fn who_has_nothing_left_to_be_served_waits_on_for_its_own_load() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    let held = get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.then_always(late(3 * SECOND));
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(SECOND);
    provider.invalidate(&held, Rejection::Expired);
    runtime.advance(SECOND);
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(caller).unwrap().unwrap(), 2);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("the test says so");
        }
    }
}

#[test]
fn a_load_that_panics_when_it_is_dropped_takes_nothing_from_its_caller() {
    let runtime = VirtualRuntime::new(std::time::SystemTime::UNIX_EPOCH + HOUR);
    let first = std::sync::atomic::AtomicBool::new(true);
    let source = provider_fn(Identity::of("bomb").finish(), move || {
        let is_first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
        async move {
            if is_first {
                return Ok(Expiring::after(1_u32, HOUR));
            }
            let _bomb = Bomb;
            std::future::pending().await
        }
    });
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).mode(Mode::Isolated).build();
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(2 * SECOND);
    let Poll::Ready(Ok(cached)) = poll_once(&mut caller) else { panic!("not served") };
    assert_eq!(*cached, 1);
}

/// A clock that runs: what is begun later ends later.
#[derive(Debug)]
struct Running(VirtualRuntime, std::sync::atomic::AtomicU64);

impl Runtime for Running {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let begun = self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.0.sleep(duration + Duration::from_nanos(begun))
    }

    fn can_spawn(&self) -> bool {
        self.0.can_spawn()
    }

    fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }
}

#[test]
fn refreshed_tells_of_a_load_that_hangs_whatever_timer_ends_first() {
    for mode in [Mode::Isolated, Mode::Inline, Mode::Spawned] {
        let (runtime, source, _) = stage(Act::Give(10 * HOUR));
        let running = Running(runtime.clone(), Default::default());
        let provider = CachedProvider::builder(Arc::clone(&source)).runtime(running).mode(mode).build();
        let seen = get(&runtime, &provider).unwrap();
        source.then_always(Act::Hang);
        let mut call = provider.refreshed(&seen);
        assert!(poll_once(&mut call).is_pending());
        for step in [15 * SECOND, Duration::from_millis(1)] {
            runtime.advance(step);
            let _ = poll_once(&mut call);
        }
        assert_eq!(provider.status().consecutive_failures, 1, "{mode:?}");
        assert_eq!(provider.status().last_error, Some(ErrorKind::Transient), "{mode:?}");
    }
}

#[test]
fn a_caller_that_was_stopped_without_being_dropped_blocks_nobody_for_good() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.next(Act::Hang);
    let mut stopped = provider.get();
    assert!(poll_once(&mut stopped).is_pending());
    runtime.advance(15 * SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    runtime.advance(SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3, "its claim has lapsed");
    drop(stopped);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}

#[test]
fn a_slow_refresh_costs_one_caller_two_seconds_and_then_the_source_is_left_alone() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.then_always(Act::Hang);
    let mut one = provider.get();
    assert!(poll_once(&mut one).is_pending());
    runtime.advance(2 * SECOND - Duration::from_nanos(1));
    assert!(poll_once(&mut one).is_pending());
    runtime.advance(Duration::from_nanos(1));
    let Poll::Ready(Ok(cached)) = poll_once(&mut one) else { panic!("not served") };
    assert_eq!(*cached, 1);
    drop(one);
    assert_eq!(provider.status().consecutive_failures, 1);
    assert_eq!(provider.status().last_error, Some(ErrorKind::Transient));
    for _ in 0..60 {
        assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
        runtime.advance(SECOND);
    }
    assert_eq!(source.calls(), 2);
}

#[test]
fn in_the_mandatory_window_the_one_who_refreshes_stays() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(59 * MINUTE + SECOND);
    source.then_always(late(10 * SECOND));
    let mut one = provider.get();
    assert!(poll_once(&mut one).is_pending());
    runtime.advance(9 * SECOND);
    assert!(poll_once(&mut one).is_pending());
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(one).unwrap().unwrap(), 2);
}

#[test]
fn after_a_failure_all_share_its_error_and_nobody_calls() {
    let (runtime, source, provider) = isolated(Act::Fail(down()));
    assert!(get(&runtime, &provider).is_err());
    // Full jitter may end the pause at once; a clock that stands still does not.
    let calls = source.calls();
    for _ in 0..100 {
        let error = at_once(&provider).map(|answer| answer.unwrap_err().kind());
        assert_eq!(error, Some(ErrorKind::Transient));
    }
    assert!(source.calls() - calls <= 1);
    source.then_always(Act::Give(HOUR));
    runtime.advance(5 * SECOND);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn a_panic_or_a_hang_is_an_error_for_its_caller_alone() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    source.next(Act::Panic);
    assert_eq!(get(&runtime, &provider).unwrap_err().kind(), ErrorKind::Transient);
    runtime.advance(SECOND);
    source.next(Act::Hang);
    let mut hangs = provider.get();
    assert!(poll_once(&mut hangs).is_pending());
    runtime.advance(15 * SECOND);
    let Poll::Ready(Err(error)) = poll_once(&mut hangs) else { panic!("no error at the deadline") };
    assert!(error.to_string().contains("in time"), "{error}");
    runtime.advance(SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}

#[test]
fn what_was_rejected_is_not_served_and_the_next_caller_loads() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    let rejected = get(&runtime, &provider).unwrap();
    provider.invalidate(&rejected, Rejection::Expired);
    assert_eq!(provider.status().state, State::Empty);
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn synchronous_readers_start_nothing_and_refresh_is_begun_by_the_next_caller() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    assert!(provider.try_get().is_none() && provider.with(|_| ()).is_none());
    assert_eq!(source.calls(), 0);
    let seen = get(&runtime, &provider).unwrap();
    provider.refresh(&seen);
    assert_eq!(source.calls(), 1);
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
}

#[test]
fn refreshed_loads_for_itself_and_asks_nobody_else() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    let seen = get(&runtime, &provider).unwrap();
    source.then_always(late(SECOND));
    let mut one = provider.refreshed(&seen);
    assert!(poll_once(&mut one).is_pending());
    assert!(matches!(poll_once(&mut provider.refreshed(&seen)), Poll::Ready(None)), "another one is at it");
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(one).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn an_expired_one_is_served_only_once_a_load_has_failed() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .mode(Mode::Isolated)
        .serve_expired(HOUR)
        .build();
    get(&runtime, &provider).unwrap();
    runtime.advance(HOUR);
    source.then_always(Act::Hang);
    let mut leaves = provider.get();
    assert!(poll_once(&mut leaves).is_pending());
    runtime.advance(3 * SECOND);
    assert!(poll_once(&mut leaves).is_pending(), "the source may be about to bring another one");
    drop(leaves);
    source.then_always(Act::Fail(down()));
    let stale = get(&runtime, &provider).unwrap();
    assert!(stale.is_stale());
    source.then_always(Act::Hang);
    runtime.advance(5 * SECOND);
    let mut waits = provider.get();
    assert!(poll_once(&mut waits).is_pending());
    runtime.advance(2 * SECOND);
    let Poll::Ready(Ok(cached)) = poll_once(&mut waits) else { panic!("waits longer than two seconds") };
    assert!(cached.is_stale());
}

#[test]
fn the_pause_after_one_who_left_doubles_to_half_a_minute_and_a_credential_ends_that() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    for pauses in [&[1, 2, 4, 8, 16, 32, 32][..], &[1, 2]] {
        runtime.advance(53 * MINUTE);
        source.then_always(Act::Hang);
        for pause in pauses {
            assert!(at_once(&provider).is_none(), "it loads, and leaves");
            runtime.advance(*pause * SECOND - Duration::from_nanos(1));
            assert!(at_once(&provider).is_some(), "within {pause} s");
            runtime.advance(Duration::from_nanos(1));
        }
        source.then_always(Act::Give(HOUR));
        get(&runtime, &provider).unwrap();
    }
}

#[test]
fn the_pause_after_one_who_left_is_a_quarter_of_the_time_left_at_most() {
    let (runtime, source, provider) = isolated(Act::Give(8 * SECOND));
    get(&runtime, &provider).unwrap();
    runtime.advance(6 * SECOND);
    source.then_always(Act::Hang);
    assert!(at_once(&provider).is_none());
    runtime.advance(SECOND / 2 - Duration::from_nanos(1));
    assert!(at_once(&provider).is_some());
    runtime.advance(Duration::from_nanos(1));
    assert!(at_once(&provider).is_none());
}

#[test]
fn a_caller_who_is_dropped_long_after_it_was_stopped_costs_the_next_refresh_nothing() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.next(Act::Hang);
    let mut stopped = provider.get();
    assert!(poll_once(&mut stopped).is_pending());
    runtime.advance(17 * SECOND);
    drop(stopped);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}
