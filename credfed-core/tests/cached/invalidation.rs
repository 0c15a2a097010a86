//! A credential that its service does not accept.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use credfed_core::cached::Mode;
use credfed_core::{
    Cached, CachedProvider, ErrorKind, Expiring, Identity, Provider, ProviderError, Rejection,
};

use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, get, poll_once, stage};

#[test]
fn a_rejected_credential_is_not_served_again() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let old = get(&runtime, &provider).unwrap();
    provider.invalidate(&old, Rejection::Expired);
    assert!(provider.with(|_| ()).is_none());
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
    assert_eq!(*old, 1, "who holds it can still read it");
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_late_rejection_of_the_old_credential_leaves_the_new_one_alone() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let old = get(&runtime, &provider).unwrap();
    provider.invalidate(&old, Rejection::Unauthorized);
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
    for _ in 0..100 {
        provider.invalidate(&old, Rejection::Unauthorized);
        assert_eq!(*at_once(&provider).unwrap().unwrap(), 2);
    }
    assert_eq!(source.calls(), 2);
}

#[test]
fn at_most_one_load_per_five_seconds_is_forced() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    for _ in 0..600 {
        if let Ok(cached) = get(&runtime, &provider) {
            provider.invalidate(&cached, Rejection::Invalid);
        }
        runtime.advance(Duration::from_millis(100));
    }
    assert!((12..=14).contains(&source.calls()), "{} calls in a minute", source.calls());
}

#[test]
fn the_pause_doubles_while_the_very_same_credential_comes_back() {
    let (runtime, source, provider) = stage(Act::GiveAgain(7, HOUR));
    let mut loads = Vec::new();
    for second in 0..1_800 {
        let calls = source.calls();
        match get(&runtime, &provider) {
            Ok(cached) => provider.invalidate(&cached, Rejection::Invalid),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Rejected),
        }
        if source.calls() > calls {
            loads.push(second);
        }
        runtime.advance(SECOND);
    }
    let pauses: Vec<_> = loads.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [1, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    source.then_always(Act::Give(HOUR));
    runtime.advance(5 * MINUTE);
    let fresh = get(&runtime, &provider).unwrap();
    provider.invalidate(&fresh, Rejection::Invalid);
    runtime.advance(5 * SECOND);
    assert!(get(&runtime, &provider).is_ok(), "another credential ends the doubling");
}

#[test]
fn a_forced_load_that_fails_is_an_error_for_all_and_then_heals() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let old = get(&runtime, &provider).unwrap();
    source.next(Act::Fail(ProviderError::rejected("no")));
    provider.invalidate(&old, Rejection::Expired);
    assert!(get(&runtime, &provider).is_err());
    assert!(get(&runtime, &provider).is_err());
    assert_eq!(source.calls(), 2);
    runtime.advance(5 * SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}

#[test]
fn an_invalidation_during_a_refresh_joins_it() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let old = get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    runtime.advance(53 * MINUTE);
    at_once(&provider).unwrap().unwrap();
    runtime.run();
    provider.invalidate(&old, Rejection::Expired);
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(caller).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn what_was_rejected_while_its_waiters_slept_is_not_handed_to_them() {
    let (runtime, source, provider) = stage(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let mut sleeper = provider.get();
    assert!(poll_once(&mut sleeper).is_pending());
    runtime.advance(SECOND);
    let first = at_once(&provider).unwrap().unwrap();
    provider.invalidate(&first, Rejection::Invalid);
    assert!(poll_once(&mut sleeper).is_pending());
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(sleeper).unwrap().unwrap(), 2);
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_load_that_fails_does_not_shorten_the_pause_between_forced_ones() {
    let (runtime, source, provider) = stage(Act::GiveAgain(7, HOUR));
    for _ in 0..2 {
        let cached = get(&runtime, &provider).unwrap();
        provider.invalidate(&cached, Rejection::Invalid);
    }
    // Two in a row: the third load has to wait, and the second refusal came with a refresh under way.
    assert!(get(&runtime, &provider).is_err());
    runtime.advance(5 * SECOND);
    let cached = get(&runtime, &provider).unwrap();
    source.then_always(Act::Late(SECOND, Box::new(Act::Fail(ProviderError::transient("down")))));
    provider.refresh(&cached);
    runtime.run();
    let calls = source.calls();
    provider.invalidate(&cached, Rejection::Invalid);
    runtime.advance(SECOND);
    for _ in 0..8 {
        assert!(at_once(&provider).is_some_and(|answer| answer.is_err()));
        runtime.advance(SECOND);
    }
    assert_eq!(source.calls(), calls);
}

#[test]
fn two_forced_loads_are_five_seconds_apart() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let first = get(&runtime, &provider).unwrap();
    provider.invalidate(&first, Rejection::Invalid);
    // The pause counts from the load, not from the rejection that it was for.
    runtime.advance(5 * SECOND - Duration::from_millis(100));
    let second = get(&runtime, &provider).unwrap();
    provider.invalidate(&second, Rejection::Invalid);
    runtime.advance(Duration::from_millis(100));
    assert!(get(&runtime, &provider).is_err(), "{} calls", source.calls());
    runtime.advance(5 * SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}

#[test]
fn a_load_that_was_given_up_does_not_bring_the_rejected_one_back_over_a_newer_load() {
    let (runtime, source, _) = stage(Act::GiveAgain(7, HOUR));
    let provider =
        CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).mode(Mode::Inline).build();
    let held = get(&runtime, &provider).unwrap();
    runtime.advance(59 * MINUTE + SECOND);
    source.next(Act::Late(14 * SECOND, Box::new(Act::GiveAgain(7, HOUR))));
    source.next(Act::Late(SECOND, Box::new(Act::GiveAgain(8, HOUR))));
    let mut old = provider.get();
    assert!(poll_once(&mut old).is_pending());
    runtime.advance(16 * SECOND);
    provider.invalidate(&held, Rejection::Invalid);
    let mut new = provider.get();
    assert!(poll_once(&mut new).is_pending());
    let _ = poll_once(&mut old);
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(new).unwrap().unwrap(), 8);
    assert_eq!(source.calls(), 3);
}

#[test]
fn a_load_that_was_given_up_may_bring_the_rejected_one_back_if_no_other_is_under_way() {
    let (runtime, source, _) = stage(Act::GiveAgain(7, HOUR));
    let provider =
        CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).mode(Mode::Inline).build();
    let held = get(&runtime, &provider).unwrap();
    runtime.advance(59 * MINUTE + SECOND);
    source.next(Act::Late(14 * SECOND, Box::new(Act::GiveAgain(7, HOUR))));
    source.next(Act::Fail(ProviderError::transient("down")));
    let mut old = provider.get();
    assert!(poll_once(&mut old).is_pending());
    runtime.advance(16 * SECOND);
    provider.invalidate(&held, Rejection::Invalid);
    assert!(get(&runtime, &provider).is_err());
    let Poll::Ready(Ok(back)) = poll_once(&mut old) else { panic!("not served") };
    assert_eq!((*back, back.generation(), source.calls()), (7, 2, 3));
}

#[test]
fn what_the_server_asks_for_outlasts_a_rejection() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let first = get(&runtime, &provider).unwrap();
    provider.invalidate(&first, Rejection::Invalid);
    let second = get(&runtime, &provider).unwrap();
    source.next(Act::Fail(ProviderError::throttled("slow down", Some(MINUTE))));
    provider.refresh(&second);
    runtime.run();
    provider.invalidate(&second, Rejection::Invalid);
    runtime.advance(59 * SECOND);
    let error = at_once(&provider).unwrap().unwrap_err();
    assert_eq!((error.kind(), source.calls()), (ErrorKind::Throttled, 3));
    runtime.advance(SECOND);
    assert_eq!(*get(&runtime, &provider).unwrap(), 4);
}

#[test]
fn the_doubling_does_not_end_with_a_refresh_that_brings_the_very_same_credential() {
    let (runtime, source, provider) = stage(Act::GiveAgain(7, HOUR));
    for pause in [0, 5, 10, 20] {
        runtime.advance(pause * SECOND);
        let cached = get(&runtime, &provider).unwrap();
        provider.invalidate(&cached, Rejection::Invalid);
    }
    runtime.advance(40 * SECOND);
    let cached = get(&runtime, &provider).unwrap();
    provider.refresh(&cached);
    runtime.run();
    assert_eq!((cached.generation(), provider.status().generation, source.calls()), (5, 5, 6));
    provider.invalidate(&cached, Rejection::Invalid);
    runtime.advance(39 * SECOND);
    assert!(get(&runtime, &provider).is_err(), "forty seconds, for it came back three times before");
    runtime.advance(SECOND);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn the_pause_between_forced_loads_is_five_minutes_at_most_however_loads_and_rejections_meet() {
    let (runtime, source, provider) = stage(Act::GiveAgain(7, HOUR));
    for _ in 0..8 {
        let cached = get(&runtime, &provider).unwrap();
        provider.invalidate(&cached, Rejection::Invalid);
        runtime.advance(5 * MINUTE);
    }
    source.then_always(Act::Late(SECOND, Box::new(Act::GiveAgain(7, HOUR))));
    for _ in 0..10 {
        // A refresh is under way whenever the credential is rejected, so the next one comes in spite of the pause.
        let mut caller = provider.get();
        let _ = poll_once(&mut caller);
        runtime.advance(6 * SECOND);
        let cached = runtime.block_on(caller).unwrap().unwrap();
        provider.refresh(&cached);
        runtime.run();
        provider.invalidate(&cached, Rejection::Invalid);
        runtime.advance(SECOND);
    }
    let cached = at_once(&provider).unwrap().unwrap();
    provider.invalidate(&cached, Rejection::Invalid);
    runtime.advance(5 * MINUTE);
    let mut caller = provider.get();
    let _ = poll_once(&mut caller);
    runtime.advance(SECOND);
    assert!(runtime.block_on(caller).unwrap().is_ok());
}

#[test]
fn a_rejection_while_the_very_same_one_lands_is_answered_by_that_load() {
    #[derive(Debug)]
    struct Meddling {
        calls: Arc<AtomicU32>,
        own: Arc<OnceLock<(CachedProvider<u32>, Cached<u32>)>>,
    }

    impl Provider for Meddling {
        type Credential = u32;

        fn identity(&self) -> Identity {
            Identity::of("meddling").finish()
        }

        async fn provide(&self) -> Result<Expiring<u32>, ProviderError> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            Ok(Expiring::after(7, HOUR))
        }

        fn is_same(&self, _: &u32, _: &u32) -> bool {
            // Between the look at what is held and the landing.
            if let Some((provider, held)) = self.own.get() {
                provider.invalidate(held, Rejection::Invalid);
            }
            true
        }
    }

    let (runtime, ..) = stage(Act::Hang);
    let (calls, own) = (Arc::new(AtomicU32::new(0)), Arc::default());
    let source = Meddling { calls: Arc::clone(&calls), own: Arc::clone(&own) };
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
    let held = get(&runtime, &provider).unwrap();
    own.set((provider.clone(), held.clone())).unwrap();
    provider.refresh(&held);
    runtime.run();
    assert!(provider.status().is_ready());
    assert_eq!(get(&runtime, &provider).unwrap().generation(), 2);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
