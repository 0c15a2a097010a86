//! Two clocks, of which the earlier one wins.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credfed_core::cached::State;
use credfed_core::runtime::Clock;
use credfed_core::{CachedProvider, Expiring, Identity, ProviderError, Secret, provider_fn};

use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, down, get, stage};

#[test]
fn a_machine_that_slept_wakes_up_with_an_expired_credential() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Hang);
    runtime.clock().advance(2 * HOUR);
    assert!(provider.with(|_| ()).is_none());
    assert!(provider.try_get().is_none());
}

#[test]
fn a_wall_clock_that_is_set_back_prolongs_nothing() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Hang);
    runtime.clock().rewind(HOUR);
    runtime.advance(59 * MINUTE);
    assert!(provider.with(|_| ()).is_some());
    runtime.advance(MINUTE);
    assert!(provider.with(|_| ()).is_none());
}

#[test]
fn jumps_of_an_hour_either_way_end_with_a_valid_credential() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    for jump in 0..10 {
        assert!(get(&runtime, &provider).is_ok());
        if jump % 2 == 0 {
            runtime.clock().advance(HOUR);
        } else {
            runtime.clock().rewind(HOUR);
        }
        assert!(get(&runtime, &provider).is_ok());
        runtime.advance(MINUTE);
    }
    assert!(source.calls() <= 11, "{} calls", source.calls());
}

#[test]
fn the_servers_date_makes_up_for_a_local_clock_that_is_off() {
    let (runtime, ..) = stage(Act::Hang);
    let server = runtime.wall() - Duration::from_secs(40 * 60);
    let source = provider_fn(Identity::of("dated").finish(), move || async move {
        Ok(Expiring::at(1_u32, server + Duration::from_secs(1_800)).with_server_date(server))
    });
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
    assert_eq!(*get(&runtime, &provider).unwrap(), 1, "by the local clock it expired ten minutes ago");
    assert_eq!(provider.status().expires_in, Some(30 * MINUTE));
}

#[test]
fn a_lifetime_in_seconds_counts_from_the_request() {
    let (runtime, source, _) = stage(Act::Late(4 * SECOND, Box::new(Act::Give(10 * SECOND))));
    let provider = CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).build();
    assert!(provider.try_get().is_none());
    runtime.advance(4 * SECOND);
    assert_eq!(provider.status().expires_in, Some(6 * SECOND));
}

#[test]
fn the_last_moment_is_valid_and_the_next_one_is_not() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Hang);
    runtime.advance(HOUR - Duration::from_nanos(1));
    assert!(provider.try_get().is_some());
    runtime.advance(Duration::from_nanos(1));
    assert!(provider.try_get().is_none());
}

#[test]
fn the_very_same_credential_is_served_anew_after_the_wall_clock_was_set_back() {
    let (runtime, ..) = stage(Act::Hang);
    let end = runtime.wall() + HOUR;
    let source = provider_fn(Identity::of("same").finish(), move || async move {
        Ok(Expiring::at(Secret::new("token"), end))
    });
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
    runtime.block_on(provider.get()).unwrap().unwrap();
    runtime.clock().rewind(HOUR);
    runtime.advance(HOUR + SECOND);
    assert!(provider.try_get().is_none(), "the monotonic clock says that it expired");
    assert!(runtime.block_on(provider.get()).unwrap().is_ok(), "the server says that it has not");
}

#[test]
fn what_the_wall_clock_brings_back_to_life_is_refreshed_once_the_source_was_left_alone() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.next(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    runtime.advance(53 * MINUTE);
    at_once(&provider).unwrap().unwrap();
    runtime.run();
    runtime.clock().advance(HOUR);
    runtime.advance(SECOND);
    assert_eq!((source.calls(), provider.status().consecutive_failures), (2, 1));
    runtime.clock().rewind(HOUR);
    runtime.advance(SECOND / 10);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.run();
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 3);
}

#[test]
fn a_wall_clock_that_is_set_back_does_not_shorten_what_the_server_asks_for() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(ProviderError::throttled("slow down", Some(MINUTE))));
    runtime.clock().advance(HOUR);
    assert!(get(&runtime, &provider).is_err());
    runtime.clock().rewind(30 * SECOND);
    assert_eq!(provider.status().state, State::Mandatory);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!(source.calls(), 2);
    runtime.advance(59 * SECOND);
    assert!(at_once(&provider).unwrap().is_err());
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    assert!(get(&runtime, &provider).is_err());
    assert_eq!(source.calls(), 3);
}

#[test]
fn a_wall_clock_that_is_set_during_a_load_prolongs_nothing() {
    for back in [true, false] {
        let (runtime, source, provider) = stage(Act::Late(4 * SECOND, Box::new(Act::Give(2 * HOUR))));
        assert!(provider.try_get().is_none());
        runtime.advance(SECOND);
        if back {
            runtime.clock().rewind(HOUR);
        } else {
            runtime.clock().advance(HOUR);
        }
        runtime.advance(3 * SECOND);
        // Set forward, the machine may have slept during the load.
        let left = if back { 2 * HOUR } else { HOUR } - 4 * SECOND;
        assert_eq!((provider.status().expires_in, source.calls()), (Some(left), 1), "set back: {back}");
        runtime.clock().advance(left - SECOND);
        assert!(provider.with(|_| ()).is_some(), "set back: {back}");
        runtime.clock().advance(SECOND);
        assert!(provider.with(|_| ()).is_none(), "set back: {back}");
    }
}

#[test]
fn a_wall_clock_before_1970_prolongs_nothing() {
    let (runtime, source, provider) = stage(Act::Late(4 * SECOND, Box::new(Act::Give(4 * SECOND))));
    runtime.clock().set(SystemTime::UNIX_EPOCH - HOUR);
    assert!(provider.try_get().is_none());
    runtime.advance(4 * SECOND);
    assert_eq!(provider.status().consecutive_failures, 1, "it had expired when it arrived");
    source.then_always(Act::Give(HOUR));
    runtime.advance(SECOND);
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Hang);
    runtime.advance(HOUR - SECOND);
    assert!(provider.try_get().is_some());
    runtime.advance(SECOND);
    assert!(provider.try_get().is_none());
}

#[test]
fn whoever_wants_a_newer_one_does_not_get_one_that_has_expired() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let seen = get(&runtime, &provider).unwrap();
    runtime.advance(54 * MINUTE);
    get(&runtime, &provider).unwrap();
    runtime.run();
    assert_eq!(provider.status().generation, 2);
    source.then_always(Act::Fail(down()));
    runtime.advance(HOUR);
    assert!(runtime.block_on(provider.refreshed(&seen)).unwrap().is_none());
}
