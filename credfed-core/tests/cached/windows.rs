//! When a refresh begins.

use std::sync::Arc;
use std::time::Duration;

use credfed_core::cached::{State, Windows};
use credfed_core::{CachedProvider, Expiring, Identity, provider_fn};

use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, get, stage};

#[test]
fn no_lifetime_leads_to_one_call_per_request() {
    for lifetime in (0..10).map(|power| SECOND * 3_u32.pow(power)).chain([12 * HOUR]) {
        let (runtime, source, provider) = stage(Act::Give(lifetime));
        let step = lifetime / 200;
        for _ in 0..2_000 {
            get(&runtime, &provider).unwrap();
            runtime.advance(step);
        }
        let calls = source.calls();
        assert!((10..=21).contains(&calls), "{calls} calls in 10 lifetimes of {lifetime:?}");
    }
}

#[test]
fn whoever_asks_often_never_waits_for_a_refresh_however_short_the_lifetime() {
    for seconds in [1, 20, 60, 240, 300, 480] {
        let lifetime = SECOND * seconds;
        for seed in 0..100 {
            let (runtime, source, _) = stage(Act::Give(lifetime));
            let runtime = runtime.with_seed(seed);
            let provider = CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).build();
            get(&runtime, &provider).unwrap();
            source.then_always(Act::Late(SECOND.min(lifetime / 25), Box::new(Act::Give(lifetime))));
            while provider.status().generation == 1 {
                runtime.advance(lifetime / 50);
                assert!(at_once(&provider).is_some(), "it waits for one of {lifetime:?}, seed {seed}");
            }
            assert_eq!(source.calls(), 2);
        }
    }
}

#[test]
fn windows_can_be_set() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let windows = Windows::default().advisory(10 * MINUTE).mandatory(2 * MINUTE);
    let provider =
        CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).windows(windows).build();
    get(&runtime, &provider).unwrap();
    runtime.advance(50 * MINUTE - SECOND);
    assert_eq!(provider.status().state, State::Fresh);
    runtime.advance(5 * MINUTE + SECOND);
    assert_eq!(provider.status().state, State::Advisory);
    runtime.advance(3 * MINUTE);
    assert_eq!(provider.status().state, State::Mandatory);
}

#[test]
fn a_fleet_that_started_together_does_not_refresh_together() {
    spread((0..1_000).map(|process| (process, Identity::of("test").finish())));
}

#[test]
fn the_identities_of_one_process_do_not_refresh_together() {
    spread(
        (0..1_000_u32).map(|tenant| (7, Identity::of("test").part("tenant", tenant.to_be_bytes()).finish())),
    );
}

/// Caches that are asked all the time are refreshed at all times of the first half of the advisory window alike.
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "only tests call this")]
fn spread(caches: impl Iterator<Item = (u64, Identity)>) {
    const SLOT: Duration = Duration::from_secs(30);
    let mut refreshed = [0_u32; 15];
    for (seed, identity) in caches {
        let (runtime, ..) = stage(Act::Hang);
        let runtime = runtime.with_seed(seed);
        let source = provider_fn(identity, || async { Ok(Expiring::after((), HOUR)) });
        let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
        runtime.block_on(provider.get()).unwrap().unwrap();
        runtime.advance(45 * MINUTE);
        let slot = refreshed.iter_mut().find(|_| {
            runtime.advance(SLOT);
            runtime.block_on(provider.get()).unwrap().unwrap();
            runtime.run();
            provider.status().generation == 2
        });
        *slot.expect("nothing until the half of the window") += 1;
    }
    let caches: u32 = refreshed.iter().sum();
    let mean = f64::from(caches) / f64::from(u8::try_from(refreshed.len()).unwrap());
    let peak = f64::from(*refreshed.iter().max().unwrap());
    assert!(peak / mean <= 3.0, "peak / mean of {refreshed:?}");
    assert!(refreshed.iter().all(|&slot| slot > 0), "not over the whole of it: {refreshed:?}");
}
