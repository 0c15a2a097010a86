//! What an observer is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use credfed_core::cached::{Mode, Observer};
use credfed_core::{CachedProvider, Identity, ProviderError, Rejection, VirtualRuntime};

use crate::support::{Act, HOUR, MINUTE, SECOND, Source, at_once, down, get, poll_once, stage};

#[derive(Clone, Debug, Default)]
struct Tally(Arc<[AtomicU32; 6]>);

impl Tally {
    fn count(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> [u32; 6] {
        std::array::from_fn(|which| self.0[which].load(Ordering::Relaxed))
    }
}

impl Observer for Tally {
    fn hit(&self, _: &Identity) {
        self.count(0);
    }

    fn refresh_started(&self, _: &Identity) {
        self.count(1);
    }

    fn refresh_succeeded(&self, _: &Identity, lifetime: Option<Duration>) {
        assert_eq!(lifetime, Some(HOUR));
        self.count(2);
    }

    fn refresh_failed(&self, _: &Identity, error: &ProviderError, still_valid: Option<Duration>) {
        assert!(error.is_same(error) && still_valid.is_some());
        self.count(3);
    }

    fn served_while_failing(&self, _: &Identity) {
        self.count(4);
    }

    fn invalidated(&self, _: &Identity, why: Rejection) {
        assert_eq!(why, Rejection::Unauthorized);
        self.count(5);
    }
}

fn watched(mode: Mode) -> (VirtualRuntime, Arc<Source>, CachedProvider<u32>, Tally) {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let tally = Tally::default();
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .observer(tally.clone())
        .mode(mode)
        .build();
    (runtime, source, provider, tally)
}

#[test]
fn an_observer_is_told_what_happens() {
    let (runtime, source, provider, tally) = watched(Mode::Spawned);
    let cached = get(&runtime, &provider).unwrap();
    get(&runtime, &provider).unwrap();
    provider.with(|_| ()).unwrap();
    provider.try_get().unwrap();
    assert_eq!(tally.all(), [3, 1, 1, 0, 0, 0]);
    source.then_always(Act::Fail(down()));
    runtime.advance(53 * MINUTE);
    at_once(&provider).unwrap().unwrap();
    runtime.run();
    at_once(&provider).unwrap().unwrap();
    assert_eq!(tally.all(), [3, 2, 1, 1, 1, 0]);
    provider.invalidate(&cached, Rejection::Unauthorized);
    provider.invalidate(&cached, Rejection::Unauthorized);
    assert_eq!(tally.all(), [3, 2, 1, 1, 1, 1]);
}

#[test]
fn whoever_is_served_while_the_source_fails_is_told_of_once() {
    for way in ["with", "try_get", "get"] {
        let (runtime, source, provider, tally) = watched(Mode::Spawned);
        get(&runtime, &provider).unwrap();
        source.then_always(Act::Fail(down()));
        runtime.advance(53 * MINUTE);
        get(&runtime, &provider).unwrap();
        runtime.run();
        assert_eq!(provider.status().consecutive_failures, 1);
        let (before, calls) = (tally.all()[4], source.calls());
        let serve = || match way {
            "with" => assert!(provider.with(|_| ()).is_some()),
            "try_get" => assert!(provider.try_get().is_some()),
            _ => drop(get(&runtime, &provider).unwrap()),
        };
        (0..10).for_each(|_| serve());
        assert_eq!((tally.all()[4] - before, source.calls()), (10, calls), "{way}, while it is left alone");
        // The pause is over: this one starts another load on its way, and counts once all the same.
        runtime.advance(3 * MINUTE);
        serve();
        runtime.run();
        assert_eq!((tally.all()[4] - before, source.calls()), (11, calls + 1), "{way}, with a load");
    }
}

#[test]
fn who_waited_in_vain_in_the_mandatory_window_is_told_of_once() {
    let (runtime, source, provider, tally) = watched(Mode::Spawned);
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    runtime.advance(59 * MINUTE + SECOND);
    let (mut first, mut second) = (provider.get(), provider.get());
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    runtime.advance(SECOND);
    runtime.block_on(first).unwrap().unwrap();
    runtime.block_on(second).unwrap().unwrap();
    assert_eq!(tally.all()[3..5], [1, 2]);
}

#[test]
fn who_moves_a_failing_load_on_is_told_of_once() {
    let (runtime, source, provider, tally) = watched(Mode::Inline);
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Yield(1, Box::new(Act::Fail(down()))));
    runtime.advance(53 * MINUTE);
    at_once(&provider).unwrap().unwrap();
    assert_eq!(tally.all()[3..5], [0, 0], "nothing has failed so far");
    at_once(&provider).unwrap().unwrap();
    assert_eq!(tally.all()[3..5], [1, 1]);
}

#[test]
fn the_very_same_credential_ends_a_failure_too() {
    let (runtime, source, provider, tally) = watched(Mode::Spawned);
    let seen = get(&runtime, &provider).unwrap();
    source.next(Act::Fail(down()));
    provider.refresh(&seen);
    runtime.run();
    provider.with(|_| ()).unwrap();
    runtime.advance(5 * SECOND);
    // Set back, so that an hour from then ends when the first one does.
    runtime.clock().rewind(5 * SECOND);
    source.next(Act::GiveAgain(1, HOUR));
    provider.refresh(&seen);
    runtime.run();
    let before = tally.all();
    assert_eq!((before[3..5].to_vec(), provider.status().generation), (vec![1, 1], 1));
    provider.with(|_| ()).unwrap();
    assert_eq!(tally.all()[0], before[0] + 1, "a hit as any other");
}
