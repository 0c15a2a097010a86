//! Floods of new identities.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credfed_core::cached::PoolError;
use credfed_core::{ErrorKind, Provider, ProviderError, provider_fn};

use super::{Alive, House, Tenant, house, house_with, tenant, why};
use crate::support::{Act, HOUR, MINUTE, SECOND, down};

#[test]
fn too_many_new_identities_are_refused_until_time_passes() {
    let house = house_with(Act::Give(HOUR), |pool| pool.admission(5, 2 * SECOND));
    for number in 0..5 {
        house.serve(number).unwrap();
    }
    let make = || -> Tenant { panic!("it is refused before a source is made") };
    let error = house.pool.get_or_insert_with(tenant(5), make).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(2 * SECOND));
    assert_eq!(why(&error), Some(PoolError::TooManyNew { retry_after: 2 * SECOND }));
    for number in 0..5 {
        house.serve(number).unwrap();
    }
    house.runtime.advance(2 * SECOND);
    house.serve(5).unwrap();
    house.serve(6).unwrap_err();
    house.runtime.advance(MINUTE);
    for number in 6..11 {
        house.serve(number).unwrap();
    }
    house.serve(11).unwrap_err();
    assert_eq!((house.pool.status().entries, house.pool.status().refused_new), (11, 3));
}

#[test]
fn a_flood_costs_the_source_a_bounded_number_of_calls_and_evicts_none_of_the_proven() {
    let house = house_with(Act::Give(12 * HOUR), |pool| pool.capacity(64));
    house.prove(0..60);
    let before = house.source.calls();
    house.source.then_always(Act::Fail(ProviderError::rejected("no such role")));
    let mut next = 1_000;
    for _ in 0..600 {
        for _ in 0..20 {
            next += 1;
            let _ = house.serve(next);
        }
        house.runtime.advance(Duration::from_millis(100));
    }
    let calls = house.source.calls() - before;
    assert!((600..=664).contains(&calls), "{calls} calls in a minute of flood, at 10 per second");
    assert_eq!(house.there(0..60).len(), 60);
    assert_eq!(house.pool.status().entries, 64);
}

#[test]
fn newcomers_that_fail_go_before_the_proven_even_if_they_are_used_more() {
    let house = house(4, Act::Give(HOUR));
    house.prove([1, 2, 3]);
    house.source.then_always(Act::Fail(down()));
    for number in 4..100 {
        for _ in 0..3 {
            house.serve(number).unwrap_err();
        }
    }
    assert_eq!(house.there(0..100), [1, 2, 3, 99]);
}

#[test]
fn newcomers_that_keep_on_loading_take_a_quarter_of_a_full_pool_at_most() {
    let house = house(16, Act::Give(12 * HOUR));
    house.prove(0..16);
    house.source.then_always(Act::Hang);
    let let_in = (16..1_000).filter(|&number| house.ask(number).is_ok_and(|p| p.try_get().is_none())).count();
    assert_eq!(let_in, 4);
    assert_eq!(house.there(0..16), Vec::from_iter(4..16), "the least recently used ones made room");
    // Their loads end, and with them their right to stay.
    house.runtime.advance(MINUTE);
    house.source.then_always(Act::Give(HOUR));
    house.prove([1_000]);
    assert_eq!(house.there((0..16).chain([1_000])), Vec::from_iter((4..16).chain([1_000])));
}

#[test]
fn the_quarter_of_a_large_pool_may_load_at_once_too() {
    let house = house(4_096, Act::Give(12 * HOUR));
    house.prove(0..4_096);
    house.source.then_always(Act::Hang);
    let let_in: Vec<_> = (4_096..10_000).map_while(|number| house.ask(number).ok()).collect();
    assert_eq!(let_in.len(), 1_024);
    for number in 10_000..10_020 {
        house.ask(number).unwrap_err();
    }
    assert_eq!(house.there(0..4_096).len(), 3_072);
}

#[test]
fn the_longest_time_per_new_identity_lets_in_the_burst_and_no_more() {
    for every in [365 * 24 * HOUR, Duration::MAX] {
        let house = house_with(Act::Give(HOUR), |pool| pool.capacity(5_000).admission(1_024, every));
        assert_eq!((0..5_000).filter(|&number| house.ask(number).is_ok()).count(), 1_024);
    }
}

#[test]
fn a_million_identities_take_no_more_than_the_capacity() {
    let (caches, most) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let flood = |house: &House, numbers: std::ops::Range<u32>| {
        for number in numbers {
            let make = || {
                let (alive, source) = (Alive::new(&caches), Arc::clone(&house.source));
                most.fetch_max(caches.load(Ordering::Relaxed), Ordering::Relaxed);
                provider_fn(tenant(number), move || {
                    let _ = &alive;
                    let source = Arc::clone(&source);
                    async move { source.provide().await }
                })
            };
            let _ = house.pool.get_or_insert_with(tenant(number), make);
            if number % 1_000 == 0 {
                house.runtime.advance(SECOND);
            }
        }
        assert!(house.pool.status().entries <= 1_024);
    };
    // Once with the limit on what is new, and for a while without.
    let limited = house_with(Act::Give(HOUR), |pool| pool);
    flood(&limited, 0..1_000_000);
    let made = limited.pool.status().evicted + 1_024;
    assert!(made < 12_000, "{made} were let in within 1,000 s");
    drop(limited);
    flood(&house(1_024, Act::Give(HOUR)), 0..50_000);
    assert!(most.into_inner() <= 1_025, "one more than fits, while it is made");
    assert_eq!(caches.load(Ordering::SeqCst), 0);
}
