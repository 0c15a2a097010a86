//! Asking for a newer one, against everything else.

use std::sync::Arc;
use std::time::Duration;

use shuttle::future::block_on;

use crate::Rejection;
use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{Act, cache, explore, get, join, stage, thread};

fn all_who_wait_get_a_newer_one_from_one_load(mode: Mode) {
    let (_, source, provider) = stage(mode, &[]);
    let seen = get(&provider).unwrap();
    let waiters = [0, 1].map(|_| {
        let (provider, seen) = (provider.clone(), seen.clone());
        thread(move || block_on(provider.refreshed(&seen)))
    });
    for newer in join(waiters) {
        assert_eq!(newer.map(|cached| cached.generation()), Some(2));
    }
    assert_eq!((source.calls(), source.most_at_once()), (2, 1));
}

#[test]
fn all_who_wait_for_a_newer_one_get_it_from_one_load() {
    explore(|| all_who_wait_get_a_newer_one_from_one_load(Mode::Spawned));
}

#[test]
fn all_who_wait_for_a_newer_one_get_it_where_they_drive_the_load() {
    explore(|| all_who_wait_get_a_newer_one_from_one_load(Mode::Inline));
}

#[test]
fn a_newer_one_than_what_is_no_longer_current_is_not_asked_for() {
    explore(|| {
        let (runtime, source, _) = stage(Mode::Spawned, &[]);
        let provider = cache(&runtime, &source).refresh_cooldown(Duration::ZERO).build();
        let seen = get(&provider).unwrap();
        let askers = [0, 1].map(|_| {
            let (provider, seen) = (provider.clone(), seen.clone());
            thread(move || {
                provider.refresh(&seen);
                provider.refresh(&seen);
            })
        });
        let served = provider.try_get().map(|cached| cached.generation());
        assert!(matches!(served, Some(1 | 2)), "what is there is served all along");
        join(askers);
        assert!(block_on(provider.refreshed(&seen)).is_some_and(|newer| newer.generation() == 2));
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}

#[test]
fn a_rejection_while_others_ask_for_a_newer_one_costs_no_second_load() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[]);
        let seen = get(&provider).unwrap();
        let rejecting = {
            let (provider, seen) = (provider.clone(), seen.clone());
            thread(move || provider.invalidate(&seen, Rejection::Unauthorized))
        };
        let asking = {
            let provider = provider.clone();
            thread(move || block_on(provider.refreshed(&seen)))
        };
        let caller = {
            let provider = provider.clone();
            thread(move || get(&provider).unwrap())
        };
        rejecting.join();
        assert!(asking.join().is_none_or(|newer| newer.generation() == 2));
        assert!(caller.join().generation() <= 2);
        assert_eq!(get(&provider).unwrap().generation(), 2);
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}

#[test]
fn a_refresh_that_fails_disturbs_nobody() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[Act::Give, Act::Fail]);
        let seen = get(&provider).unwrap();
        let asking = {
            let provider = provider.clone();
            thread(move || block_on(provider.refreshed(&seen)))
        };
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider).unwrap().generation())
        });
        assert_eq!(join(callers), [1, 1]);
        assert!(asking.join().is_none());
        assert_eq!((source.calls(), provider.status().consecutive_failures), (2, 1));
        assert_eq!(Arc::strong_count(&source), 2, "nothing is left of the load");
    });
}
