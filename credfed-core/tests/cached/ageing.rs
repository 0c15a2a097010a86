//! A credential on its way to expiry.

use std::sync::Arc;
use std::time::Duration;

use credfed_core::cached::State;
use credfed_core::{CachedProvider, Expiring, Identity, ProviderError, provider_fn};
use futures::FutureExt;

use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, down, get, poll_once, stage};

#[test]
fn ten_thousand_callers_in_the_advisory_window_are_served_at_once_with_one_call() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    runtime.advance(53 * MINUTE);
    assert_eq!(provider.status().state, State::Advisory);
    for _ in 0..10_000 {
        assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
        assert_eq!(provider.with(|number| *number), Some(1));
        assert_eq!(*provider.try_get().unwrap(), 1);
    }
    runtime.run();
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_synchronous_reader_starts_the_refresh_too() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    assert_eq!(provider.with(|number| *number), Some(1));
    runtime.run();
    assert_eq!(provider.with(|number| *number), Some(2));
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_hung_refresh_in_the_advisory_window_delays_nobody() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Hang);
    runtime.advance(53 * MINUTE);
    for _ in 0..30 {
        assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
        runtime.advance(SECOND);
    }
    assert_eq!(source.calls(), 2);
}

#[test]
fn the_mandatory_window_waits_for_two_seconds_of_one_load_and_then_serves() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(10 * SECOND, Box::new(Act::Give(HOUR))));
    runtime.advance(59 * MINUTE + SECOND);
    assert_eq!(provider.status().state, State::Mandatory);
    let mut first = provider.get();
    assert!(poll_once(&mut first).is_pending());
    runtime.advance(SECOND);
    let mut second = provider.get();
    assert!(poll_once(&mut first).is_pending());
    assert!(poll_once(&mut second).is_pending());
    runtime.advance(SECOND);
    assert_eq!(*first.now_or_never().unwrap().unwrap(), 1);
    assert_eq!(*second.now_or_never().unwrap().unwrap(), 1);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1, "once per load");
    runtime.advance(8 * SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_caller_in_the_mandatory_window_gets_the_new_credential_if_it_comes_in_time() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    runtime.advance(59 * MINUTE + SECOND);
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(SECOND);
    assert_eq!(*caller.now_or_never().unwrap().unwrap(), 2);
}

#[test]
fn a_refresh_that_fails_in_the_mandatory_window_serves_the_valid_credential() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(down()));
    runtime.advance(59 * MINUTE + SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!(source.calls(), 2);
}

#[test]
fn the_very_same_credential_keeps_its_generation_and_is_asked_for_a_little_later() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let before = get(&runtime, &provider).unwrap();
    runtime.advance(54 * MINUTE);
    source.next(Act::GiveAgain(1, 6 * MINUTE));
    get(&runtime, &provider).unwrap();
    runtime.run();
    let after = get(&runtime, &provider).unwrap();
    assert_eq!((before.generation(), after.generation(), source.calls()), (1, 1, 2));
    runtime.advance(35 * SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    runtime.run();
    assert_eq!(source.calls(), 2, "a tenth of the six minutes has not passed");
    runtime.advance(2 * SECOND);
    get(&runtime, &provider).unwrap();
    runtime.run();
    assert_eq!(source.calls(), 3);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}

#[test]
fn the_very_same_secret_with_a_later_expiry_is_served_until_then() {
    let (runtime, source, provider) = stage(Act::GiveAgain(7, HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(54 * MINUTE);
    get(&runtime, &provider).unwrap();
    runtime.run();
    source.then_always(Act::Hang);
    runtime.advance(59 * MINUTE);
    assert_eq!(provider.try_get().map(|cached| (*cached, cached.generation())), Some((7, 2)));
}

#[test]
fn a_server_that_repeats_itself_until_the_end_is_not_asked_per_request() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    for second in 1..3_600_u32 {
        source.then_always(Act::GiveAgain(1, HOUR - SECOND * second));
        runtime.advance(SECOND);
        assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    }
    assert!(source.calls() <= 40, "{} calls", source.calls());
}

#[test]
fn what_never_expires_is_never_refreshed() {
    let (runtime, source, provider) = stage(Act::Hang);
    let never = credfed_core::StaticProvider::new(7_u32);
    let forever = CachedProvider::builder(never).runtime(runtime.clone()).build();
    assert_eq!(*get(&runtime, &forever).unwrap(), 7);
    runtime.advance(Duration::from_secs(100 * 365 * 86_400));
    assert_eq!(*at_once(&forever).unwrap().unwrap(), 7);
    assert_eq!((source.calls(), forever.status().expires_in), (0, None));
    drop(provider);
}

#[test]
fn refresh_loads_anew_and_keeps_serving_meanwhile() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let seen = get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    provider.refresh(&seen);
    provider.refresh(&seen);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
    runtime.advance(MINUTE);
    provider.refresh(&seen);
    runtime.run();
    assert_eq!(source.calls(), 2, "what was seen is no longer current");
}

#[test]
fn refresh_is_limited_by_its_cool_down() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .refresh_cooldown(30 * SECOND)
        .build();
    for _ in 0..60 {
        let seen = get(&runtime, &provider).unwrap();
        provider.refresh(&seen);
        runtime.advance(SECOND);
    }
    assert_eq!(source.calls(), 3, "one cold load, and two in a minute");
}

#[test]
fn refresh_of_what_comes_back_the_same_returns_to_rest() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let seen = get(&runtime, &provider).unwrap();
    source.next(Act::GiveAgain(1, HOUR));
    provider.refresh(&seen);
    runtime.run();
    assert_eq!(provider.status().state, State::Fresh);
    assert_eq!((provider.status().generation, source.calls()), (1, 2));
}

#[test]
fn what_never_expires_is_refreshed_by_its_hint_and_no_more_often() {
    let (runtime, ..) = stage(Act::Hang);
    let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
    for (hint, least, most) in [(300, 12, 13), (0, 600, 721)] {
        for same in [true, false] {
            calls.store(0, std::sync::atomic::Ordering::SeqCst);
            let counter = Arc::clone(&calls);
            let source = provider_fn(Identity::of("keys").finish(), move || {
                let call = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let text = if same { String::from("same") } else { call.to_string() };
                let keys = Expiring::never(credfed_core::Secret::new(text));
                async move { Ok(keys.refresh_hint(Duration::from_secs(hint))) }
            });
            let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
            for _ in 0..3_600 {
                runtime.block_on(provider.get()).unwrap().unwrap();
                runtime.advance(SECOND);
            }
            let calls = calls.load(std::sync::atomic::Ordering::SeqCst);
            assert!((least..=most).contains(&calls), "hint {hint} s, same {same}: {calls} calls in an hour");
        }
    }
}

#[test]
fn a_hint_past_the_expiry_does_not_end_the_refresh_ahead() {
    let (runtime, ..) = stage(Act::Hang);
    for hint in [HOUR, 2 * HOUR, Duration::MAX] {
        let source = provider_fn(Identity::of("hint").finish(), move || async move {
            Ok(Expiring::after(1_u32, HOUR).refresh_hint(hint))
        });
        let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
        runtime.block_on(provider.get()).unwrap().unwrap();
        runtime.advance(53 * MINUTE);
        assert_eq!(provider.status().state, State::Advisory, "hint {hint:?}");
    }
}

#[test]
fn refreshed_waits_for_the_newer_one_and_disturbs_nobody() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let seen = get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let (mut first, mut second) = (provider.refreshed(&seen), provider.refreshed(&seen));
    assert!(poll_once(&mut first).is_pending());
    assert!(poll_once(&mut second).is_pending());
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(SECOND);
    assert_eq!(runtime.block_on(first).unwrap().map(|newer| *newer), Some(2));
    assert_eq!(runtime.block_on(second).unwrap().map(|newer| *newer), Some(2));
    assert_eq!(source.calls(), 2);
    let again = provider.refreshed(&seen);
    assert_eq!(runtime.block_on(again).unwrap().map(|newer| *newer), Some(2), "it is there already");
    let newest = get(&runtime, &provider).unwrap();
    assert!(runtime.block_on(provider.refreshed(&newest)).unwrap().is_none(), "within the cool-down");
    assert_eq!(source.calls(), 2);
}

#[test]
fn refreshed_without_a_spawner_drives_the_load_itself() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider =
        CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone().with_spawner(false)).build();
    let seen = get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let mut newer = provider.refreshed(&seen);
    assert!(poll_once(&mut newer).is_pending());
    runtime.advance(SECOND);
    assert_eq!(runtime.block_on(newer).unwrap().map(|newer| *newer), Some(2));
}

#[test]
fn a_refresh_of_what_is_no_longer_current_uses_up_nothing() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let old = get(&runtime, &provider).unwrap();
    provider.invalidate(&old, credfed_core::Rejection::Expired);
    let current = get(&runtime, &provider).unwrap();
    provider.refresh(&old);
    runtime.run();
    assert_eq!(source.calls(), 2);
    provider.refresh(&current);
    runtime.run();
    assert_eq!((source.calls(), *get(&runtime, &provider).unwrap()), (3, 3));
}

#[test]
fn refreshed_begins_a_load_that_was_asked_for_and_is_driven_by_nobody() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let runtime = runtime.with_spawner(false);
    let seen = get(&runtime, &provider).unwrap();
    provider.refresh(&seen);
    assert_eq!(runtime.block_on(provider.refreshed(&seen)).unwrap().map(|newer| *newer), Some(2));
    let newest = get(&runtime, &provider).unwrap();
    assert!(runtime.block_on(provider.refreshed(&newest)).unwrap().is_none(), "within the cool-down");
    assert_eq!(source.calls(), 2);
}

#[test]
fn refreshed_ends_with_nothing_when_the_load_fails_or_hangs_and_may_ask_again_after_its_cool_down() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .refresh_cooldown(30 * SECOND)
        .build();
    let seen = get(&runtime, &provider).unwrap();
    source.next(Act::Fail(ProviderError::transient("down")));
    assert!(runtime.block_on(provider.refreshed(&seen)).unwrap().is_none());
    runtime.advance(29 * SECOND);
    assert!(runtime.block_on(provider.refreshed(&seen)).unwrap().is_none());
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    source.next(Act::Hang);
    let mut hung = provider.refreshed(&seen);
    assert!(poll_once(&mut hung).is_pending());
    runtime.advance(15 * SECOND);
    assert!(runtime.block_on(hung).unwrap().is_none());
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(15 * SECOND);
    assert_eq!(runtime.block_on(provider.refreshed(&seen)).unwrap().map(|newer| *newer), Some(4));
}

#[test]
fn refreshed_leaves_a_source_alone_that_asked_for_patience() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .refresh_cooldown(SECOND)
        .build();
    let seen = get(&runtime, &provider).unwrap();
    source.next(Act::Fail(ProviderError::throttled("slow down", Some(60 * SECOND))));
    assert!(runtime.block_on(provider.refreshed(&seen)).unwrap().is_none());
    runtime.advance(59 * SECOND);
    assert!(runtime.block_on(provider.refreshed(&seen)).unwrap().is_none());
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    assert_eq!(runtime.block_on(provider.refreshed(&seen)).unwrap().map(|newer| *newer), Some(3));
}
