//! A source that does not do what it should.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use credfed_core::cached::State;
use credfed_core::{
    CachedProvider, ErrorKind, Expiring, Identity, ProviderError, Rejection, VirtualRuntime, provider_fn,
};

use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, down, get, poll_once, stage};

#[test]
fn a_failed_refresh_keeps_serving_the_valid_credential() {
    for error in [
        down(),
        ProviderError::throttled("slow down", None),
        ProviderError::throttled("slow down", Some(MINUTE)),
        ProviderError::rejected("no"),
        ProviderError::misconfigured("half a pair"),
        ProviderError::not_configured("nothing"),
    ] {
        no_error_before_expiry_and_no_credential_after(&error);
    }
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn no_error_before_expiry_and_no_credential_after(error: &ProviderError) {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(error.clone()));
    for second in 0..3_600 {
        assert_eq!(*get(&runtime, &provider).unwrap(), 1, "after {second} s");
        assert_eq!(provider.with(|number| *number), Some(1), "after {second} s");
        runtime.advance(SECOND);
    }
    let tries = source.calls();
    assert!((4..=40).contains(&tries), "{tries} tries before expiry");
    for second in 0..600 {
        assert!(get(&runtime, &provider).is_err(), "{second} s past expiry");
        assert!(provider.with(|_| ()).is_none());
        assert!(provider.try_get().is_none());
        runtime.advance(SECOND);
    }
    source.then_always(Act::Give(HOUR));
    runtime.advance(error.retry_after().unwrap_or(5 * SECOND));
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn a_failing_refresh_shows_before_the_credential_expires() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(ProviderError::rejected("no")));
    runtime.advance(53 * MINUTE);
    get(&runtime, &provider).unwrap();
    runtime.run();
    let status = provider.status();
    assert_eq!(status.state, State::Advisory);
    assert_eq!(status.consecutive_failures, 1);
    assert_eq!(status.last_error, Some(ErrorKind::Rejected));
    assert_eq!(status.expires_in, Some(7 * MINUTE));
    assert!(status.is_ready());
}

#[test]
fn the_cold_schedule_starts_anew_at_expiry() {
    let (runtime, source, provider) = stage(Act::Give(10 * SECOND));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(down()));
    runtime.advance(9 * SECOND + Duration::from_millis(900));
    get(&runtime, &provider).unwrap();
    runtime.run();
    source.then_always(Act::Give(HOUR));
    runtime.advance(Duration::from_millis(100));
    assert!(get(&runtime, &provider).is_ok(), "the pause of a second ended with the credential");
}

#[test]
fn a_credential_ends_the_growth_of_the_pauses() {
    for seed in 0..20 {
        let (runtime, source, _) = stage(Act::Fail(down()));
        let runtime = runtime.with_seed(seed);
        let provider = CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).build();
        for _ in 0..10 {
            get(&runtime, &provider).unwrap_err();
            runtime.advance(5 * SECOND);
        }
        source.next(Act::Give(SECOND));
        get(&runtime, &provider).unwrap();
        runtime.advance(SECOND);
        get(&runtime, &provider).unwrap_err();
        let calls = source.calls();
        runtime.advance(SECOND / 10);
        get(&runtime, &provider).unwrap_err();
        assert_eq!(source.calls(), calls + 1, "seed {seed}");
    }
}

#[test]
fn an_open_retry_after_outlives_the_credential() {
    let (runtime, source, provider) = stage(Act::Give(10 * SECOND));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(ProviderError::throttled("slow down", Some(MINUTE))));
    runtime.advance(8 * SECOND);
    get(&runtime, &provider).unwrap();
    runtime.run();
    source.then_always(Act::Give(HOUR));
    runtime.advance(3 * SECOND);
    let error = get(&runtime, &provider).unwrap_err();
    assert_eq!((error.kind(), source.calls()), (ErrorKind::Throttled, 2));
    runtime.advance(57 * SECOND);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn an_absurd_retry_after_does_not_stop_the_cache_for_good() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    source.next(Act::Fail(ProviderError::throttled("slow down", Some(Duration::MAX))));
    get(&runtime, &provider).unwrap_err();
    runtime.advance(4 * MINUTE);
    assert!(get(&runtime, &provider).is_err());
    runtime.advance(MINUTE);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn a_refusal_is_remembered_for_seconds_and_not_for_good() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    source.next(Act::Fail(ProviderError::rejected("no")));
    get(&runtime, &provider).unwrap_err();
    runtime.advance(SECOND - Duration::from_millis(1));
    assert!(get(&runtime, &provider).is_err());
    assert_eq!(source.calls(), 1);
    runtime.advance(4 * SECOND);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn a_load_that_hangs_ends_at_its_deadline() {
    let (runtime, source, provider) = stage(Act::Hang);
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(15 * SECOND);
    let error = runtime.block_on(caller).unwrap().unwrap_err();
    assert_eq!((error.kind(), source.calls()), (ErrorKind::Transient, 1));
    source.then_always(Act::Give(HOUR));
    runtime.advance(5 * SECOND);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn what_had_expired_when_it_arrived_is_a_failed_load() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for act in [
        Act::Give(Duration::ZERO),
        Act::GiveUntil(now),
        Act::GiveUntil(now - HOUR),
        Act::GiveUntil(SystemTime::UNIX_EPOCH),
        Act::GiveUntil(SystemTime::UNIX_EPOCH - HOUR),
        Act::Late(2 * SECOND, Box::new(Act::Give(2 * SECOND))),
    ] {
        let (runtime, _, provider) = stage(act);
        let mut caller = provider.get();
        let _ = poll_once(&mut caller);
        runtime.advance(2 * SECOND);
        let error = runtime.block_on(caller).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(provider.try_get().is_none());
    }
}

#[test]
fn what_expires_at_the_end_of_9999_is_served() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let (runtime, _, provider) = stage(Act::GiveUntil(end));
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    runtime.advance(Duration::from_secs(86_400 * 365));
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
}

#[test]
fn a_source_that_brings_the_expired_again_leaves_the_valid_one_alone() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Give(Duration::ZERO));
    runtime.advance(53 * MINUTE);
    get(&runtime, &provider).unwrap();
    runtime.run();
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    assert_eq!(provider.status().consecutive_failures, 1);
}

#[test]
fn an_expired_credential_is_served_only_if_asked_for_and_then_flagged_and_bounded() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .serve_expired(10 * MINUTE)
        .build();
    assert!(!get(&runtime, &provider).unwrap().is_stale());
    source.then_always(Act::Fail(down()));
    runtime.advance(HOUR);
    for _ in 0..600 {
        let cached = get(&runtime, &provider).unwrap();
        assert!(cached.is_stale());
        assert!(provider.try_get().is_none(), "only get, which tried first");
        runtime.advance(SECOND);
    }
    assert!(get(&runtime, &provider).is_err());
    assert!(source.calls() > 60, "the source is still asked");
}

#[test]
fn a_rejected_credential_is_not_served_past_its_expiry_either() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider =
        CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).serve_expired(HOUR).build();
    let cached = get(&runtime, &provider).unwrap();
    source.then_always(Act::Fail(down()));
    provider.invalidate(&cached, Rejection::Expired);
    assert!(get(&runtime, &provider).is_err());
}

/// A cause that asks the cache when it is dropped, and counts that.
struct Nosy(Arc<OnceLock<CachedProvider<u32>>>, Arc<AtomicU32>);

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some(provider) = self.0.get() {
            let _ = provider.status();
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl std::fmt::Debug for Nosy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nosy")
    }
}

impl std::fmt::Display for Nosy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nosy")
    }
}

impl std::error::Error for Nosy {}

#[test]
fn a_cause_that_asks_the_cache_when_it_is_dropped_does_not_lock_it_up() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
        let own: Arc<OnceLock<CachedProvider<u32>>> = Arc::default();
        let (inner, dropped) = (Arc::clone(&own), Arc::new(AtomicU32::new(0)));
        let (calls, drops) = (AtomicU32::new(0), Arc::clone(&dropped));
        let source = provider_fn(Identity::of("nosy").finish(), move || {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            let error = || ProviderError::transient("down").with_source(Nosy(inner.clone(), drops.clone()));
            let answer = if [3, 4].contains(&call) { Ok(Expiring::after(call, HOUR)) } else { Err(error()) };
            async move { answer }
        });
        let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
        own.set(provider.clone()).unwrap();
        let get = || runtime.block_on(provider.get()).unwrap();
        let so_far = || dropped.load(Ordering::SeqCst);

        drop(get().unwrap_err());
        runtime.advance(SECOND);
        drop(get().unwrap_err());
        assert_eq!(so_far(), 1, "the second failure takes the place of the first");
        runtime.advance(SECOND);
        let first = get().unwrap();
        assert_eq!(so_far(), 2, "a credential ends the failures");
        provider.invalidate(&first, Rejection::Invalid);
        let second = get().unwrap();
        provider.refresh(&second);
        runtime.run();
        assert_eq!(provider.status().consecutive_failures, 1);
        provider.invalidate(&second, Rejection::Invalid);
        assert_eq!(so_far(), 3, "so does a rejection that came too soon");
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(10)).expect("locked up, or failed above");
}

#[test]
fn a_stale_credential_is_not_waited_for_longer_than_two_seconds_once_a_load_has_failed() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider =
        CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).serve_expired(HOUR).build();
    get(&runtime, &provider).unwrap();
    source.then_always(Act::Hang);
    runtime.advance(HOUR);
    // Nothing has failed yet: the source may be about to bring another one.
    let mut first = provider.get();
    assert!(poll_once(&mut first).is_pending());
    runtime.advance(14 * SECOND);
    assert!(poll_once(&mut first).is_pending());
    runtime.advance(SECOND);
    assert!(runtime.block_on(first).unwrap().unwrap().is_stale());
    runtime.advance(SECOND);
    let mut second = provider.get();
    assert!(poll_once(&mut second).is_pending());
    runtime.advance(2 * SECOND);
    assert!(runtime.block_on(second).unwrap().unwrap().is_stale());
    assert!(at_once(&provider).unwrap().unwrap().is_stale());
}

#[test]
fn what_expires_while_a_caller_waits_is_not_served_before_a_load_has_failed() {
    for (act, stale) in [(Act::Late(5 * SECOND, Box::new(Act::Give(HOUR))), false), (Act::Hang, true)] {
        let (runtime, source, _) = stage(Act::Give(HOUR));
        let provider =
            CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).serve_expired(HOUR).build();
        get(&runtime, &provider).unwrap();
        source.then_always(act);
        runtime.advance(HOUR - SECOND);
        let mut waiting = provider.get();
        assert!(poll_once(&mut waiting).is_pending());
        runtime.advance(3 * SECOND);
        assert!(poll_once(&mut waiting).is_pending(), "the source may be about to bring another one");
        assert!(at_once(&provider).is_none(), "nor to whoever comes late");
        runtime.advance(15 * SECOND);
        assert_eq!(runtime.block_on(waiting).unwrap().unwrap().is_stale(), stale);
        assert_eq!(source.calls(), 2);
    }
}
