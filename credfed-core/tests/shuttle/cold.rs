//! Nothing at hand yet.

use std::sync::Arc;

use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{cache, explore, get, join, stage, thread, visit};

fn callers_share_one_call(mode: Mode) {
    let (_, source, provider) = stage(mode, &[]);
    let callers = [0, 1, 2].map(|_| {
        let provider = provider.clone();
        thread(move || get(&provider).unwrap())
    });
    let served = join(callers);
    assert!(served.iter().all(|cached| **cached == 1 && cached.generation() == 1));
    assert_eq!((source.calls(), source.most_at_once()), (1, 1));
    assert_eq!(provider.with(|number| *number), Some(1));
    assert!(!provider.status().refreshing);
}

#[test]
fn concurrent_cold_callers_call_the_source_once() {
    explore(|| callers_share_one_call(Mode::Spawned));
}

#[test]
fn concurrent_cold_callers_who_drive_the_load_themselves_call_the_source_once() {
    explore(|| callers_share_one_call(Mode::Inline));
}

#[test]
fn a_leader_that_leaves_at_any_poll_loses_nothing() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Inline, &[]);
        let leavers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || visit(&provider))
        });
        assert_eq!(*get(&provider).unwrap(), 1);
        join(leavers);
        assert_eq!((source.calls(), source.most_at_once()), (1, 1));
    });
}

#[test]
fn a_spawned_load_ends_although_all_callers_leave() {
    explore(|| {
        let (runtime, source, _) = stage(Mode::Spawned, &[]);
        let provider = cache(&runtime, &source).build();
        let leaver = {
            let provider = provider.clone();
            thread(move || visit(&provider))
        };
        // Starts a load and does not wait either.
        let _ = provider.try_get();
        leaver.join();
        assert_eq!(*get(&provider).unwrap(), 1);
        assert_eq!((source.calls(), source.most_at_once()), (1, 1));
    });
}

#[test]
fn a_load_that_nobody_waits_for_is_driven_to_its_end() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[]);
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            // A task that is not woken would keep the test from ending.
            thread(move || drop(provider.try_get()))
        });
        join(callers);
        assert!(source.calls() <= 1);
    });
}

#[test]
fn dropping_all_handles_while_callers_wait_serves_them_all_the_same() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[]);
        let waits = provider.get();
        let keeper = Arc::clone(&source);
        let other = thread(move || drop(provider.get()));
        assert_eq!(*shuttle::future::block_on(waits).unwrap(), 1);
        other.join();
        assert_eq!(keeper.calls(), 1);
    });
}
