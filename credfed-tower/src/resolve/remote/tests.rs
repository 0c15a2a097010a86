use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use credfed_core::VirtualRuntime;
use credfed_sigv4_verify::{KeyKind, ResolvedKey};

use super::*;

const GOOD: &str = "AKIAREMOTEKEY0000001";
const SECOND: Duration = Duration::from_secs(1);

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000)
}

/// A service elsewhere: it knows keys that begin with `AKIAREMOTE`, takes as long as it is told, and can be down.
#[derive(Clone)]
struct Elsewhere {
    runtime: VirtualRuntime,
    calls: Arc<AtomicUsize>,
    delay: Duration,
    down: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    revoked: Arc<AtomicBool>,
}

impl Elsewhere {
    fn new(runtime: &VirtualRuntime, delay: Duration) -> Self {
        Self {
            runtime: runtime.clone(),
            calls: Arc::default(),
            delay,
            down: Arc::default(),
            panics: Arc::default(),
            revoked: Arc::default(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl LookUpKey for Elsewhere {
    type Claims = String;

    fn look_up(
        &self,
        request: RemoteRequest,
    ) -> impl Future<Output = Result<Resolved<String>, ResolveError>> + Send + 'static {
        let this = self.clone();
        async move {
            this.calls.fetch_add(1, Ordering::SeqCst);
            if !this.delay.is_zero() {
                this.runtime.sleep(this.delay).await;
            }
            assert!(!this.panics.load(Ordering::SeqCst), "a fault of the service elsewhere");
            if this.down.load(Ordering::SeqCst) {
                return Err(ResolveError::Unavailable);
            }
            match request.access_key.starts_with("AKIAREMOTE") && !this.revoked.load(Ordering::SeqCst) {
                true => {
                    // Like many a table of keys, it does not look at a token that it has no use for.
                    let kind = match &request.session_token {
                        Some(token) if token.expose().starts_with("genuine") => KeyKind::Temporary,
                        _ => KeyKind::Static,
                    };
                    let key = ResolvedKey::new(request.access_key.clone(), kind, 1);
                    Ok(Resolved::new(key, request.access_key))
                }
                false => Err(ResolveError::Unknown),
            }
        }
    }
}

fn keys(delay: Duration) -> (VirtualRuntime, Elsewhere, RemoteKeys<Elsewhere>) {
    let runtime = VirtualRuntime::new(noon());
    let source = Elsewhere::new(&runtime, delay);
    let keys = RemoteKeys::builder(source.clone())
        .runtime(runtime.clone())
        .capacity(50)
        .per_second(20)
        .ttl(60 * SECOND)
        .negative_ttl(10 * SECOND)
        .deadline(3 * SECOND)
        .build();
    (runtime, source, keys)
}

/// A key request as the layer makes it: out of a request that was parsed. Nothing of it is signed.
fn ask<L: LookUpKey>(keys: &RemoteKeys<L>, access_key: &str, token: Option<&str>) -> RemoteFuture<L::Claims> {
    let credential = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/20261120/eu-west-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    );
    let request = http::Request::get("/bucket/key")
        .header("host", "s3.example")
        .header("x-amz-date", "20261120T120000Z")
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        .header("authorization", credential)
        .body(())
        .unwrap();
    let (parts, ()) = request.into_parts();
    let verifier = credfed_sigv4_verify::Verifier::builder().region("eu-west-1").build().unwrap();
    let signed = verifier.parse(&parts).unwrap();
    keys.resolve(KeyRequest::new(access_key, token, signed.scope(), noon()))
}

fn now(
    runtime: &VirtualRuntime,
    keys: &RemoteKeys<Elsewhere>,
    access_key: &str,
) -> Result<String, ResolveError> {
    let answer = runtime.block_on(ask(keys, access_key, None)).expect("an answer");
    answer.map(|resolved| resolved.claims)
}

#[test]
fn a_found_key_is_used_again_until_its_time_is_over() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    for _ in 0..100 {
        assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    }
    assert_eq!(source.calls(), 1);
    runtime.advance(60 * SECOND - Duration::from_millis(1));
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    assert_eq!(source.calls(), 1);
    runtime.advance(Duration::from_millis(1));
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    assert_eq!(source.calls(), 2);
    keys.clear();
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    assert_eq!(source.calls(), 3);
}

#[test]
fn a_refusal_is_remembered_for_a_while() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    for _ in 0..100 {
        assert_eq!(now(&runtime, &keys, "AKIANOBODY0000000001"), Err(ResolveError::Unknown));
    }
    assert_eq!(source.calls(), 1);
    runtime.advance(10 * SECOND);
    assert_eq!(now(&runtime, &keys, "AKIANOBODY0000000001"), Err(ResolveError::Unknown));
    assert_eq!(source.calls(), 2);
}

#[test]
fn what_is_no_access_key_id_is_asked_of_nobody() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    for odd in ["AKIA", "AKIAREMOTE-KEY-00001", &"A".repeat(129), "AKIAREMOTEK\u{c4}Y000001"] {
        assert!(!looks_like_a_key(odd), "{odd}");
    }
    assert_eq!(now(&runtime, &keys, "AKIAREMOTE-KEY-00001"), Err(ResolveError::Unknown));
    assert_eq!(source.calls(), 0);
}

#[test]
fn all_who_ask_at_a_time_share_one_look_up_and_whoever_leaves_disturbs_nobody() {
    let (runtime, source, keys) = keys(SECOND);
    let mut first = ask(&keys, GOOD, None);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut first).poll(&mut cx).is_pending());
    let mut waiting: Vec<_> = (0..500).map(|_| ask(&keys, GOOD, None)).collect();
    waiting.iter_mut().for_each(|future| assert!(Pin::new(future).poll(&mut cx).is_pending()));
    drop(first);
    runtime.advance(SECOND);
    for future in waiting {
        assert_eq!(runtime.block_on(future).unwrap().unwrap().claims, GOOD);
    }
    assert_eq!(source.calls(), 1);
}

#[test]
fn a_session_token_is_part_of_what_was_asked() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    for token in [None, Some("genuine a"), Some("genuine b"), Some("genuine a")] {
        assert!(runtime.block_on(ask(&keys, GOOD, token)).unwrap().is_ok());
    }
    assert_eq!(source.calls(), 3);
}

#[test]
fn unavailable_is_not_unknown_and_is_not_remembered() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    source.down.store(true, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unavailable));
    source.down.store(false, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_look_up_has_a_deadline() {
    let (runtime, _, keys) = keys(Duration::from_secs(3600));
    let mut pending = ask(&keys, GOOD, None);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    runtime.advance(3 * SECOND - Duration::from_millis(1));
    assert!(Pin::new(&mut pending).poll(&mut cx).is_pending());
    runtime.advance(Duration::from_millis(1));
    assert_eq!(runtime.block_on(pending).unwrap().unwrap_err(), ResolveError::Unavailable);
}

#[test]
fn a_look_up_that_panics_is_unavailable_to_all_who_wait() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    source.panics.store(true, Ordering::SeqCst);
    let waiting = [ask(&keys, GOOD, None), ask(&keys, GOOD, None)];
    for future in waiting {
        assert_eq!(runtime.block_on(future).unwrap().unwrap_err(), ResolveError::Unavailable);
    }
    assert_eq!(source.calls(), 1);
}

#[test]
fn a_flood_of_made_up_keys_is_bounded_and_locks_nobody_out() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    let mut verdicts = std::collections::BTreeMap::new();
    for n in 0..10_000 {
        let verdict = now(&runtime, &keys, &format!("AKIAFLOOD{n:011}"));
        *verdicts.entry(format!("{verdict:?}")).or_insert(0) += 1;
        assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD), "a found key is not pushed out");
    }
    assert_eq!(source.calls(), 20, "one second's budget, the first look-up included");
    assert_eq!(verdicts["Err(Unavailable)"], 9_981);
    let state = keys.inner.lock();
    assert!(state.found.len() <= 50 && state.refused.len() <= 50 && state.flights.len() <= 20);
    drop(state);
    // The found key runs out in the middle of the flood: its holder is asked for outside of the budget.
    for n in 0..200 {
        runtime.advance(SECOND);
        for m in 0..50 {
            let _ = now(&runtime, &keys, &format!("AKIAFLOOD{n:05}{m:06}"));
        }
        assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    }
}

#[test]
fn what_was_asked_before_everything_was_forgotten_is_not_remembered() {
    let (runtime, source, keys) = keys(SECOND);
    let mut early = ask(&keys, GOOD, None);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut early).poll(&mut cx).is_pending());
    keys.clear();
    runtime.advance(SECOND);
    assert!(runtime.block_on(early).unwrap().is_ok());
    let mut late = ask(&keys, GOOD, None);
    assert!(Pin::new(&mut late).poll(&mut cx).is_pending());
    assert_eq!(source.calls(), 2);
}

#[test]
fn an_answer_of_before_everything_was_forgotten_does_not_land_in_the_place_of_one_of_after() {
    let (runtime, source, keys) = keys(SECOND);
    let mut early = ask(&keys, GOOD, None);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut early).poll(&mut cx).is_pending());
    runtime.advance(SECOND / 2);
    // Revoked elsewhere, forgotten here, and asked for again while the old answer is still on its way.
    keys.clear();
    let mut late = ask(&keys, GOOD, None);
    assert!(Pin::new(&mut late).poll(&mut cx).is_pending());
    runtime.advance(SECOND / 2);
    assert!(runtime.block_on(early).unwrap().is_ok());
    source.revoked.store(true, Ordering::SeqCst);
    let mut third = ask(&keys, GOOD, None);
    assert!(Pin::new(&mut third).poll(&mut cx).is_pending(), "the old answer was taken for one of now");
    runtime.advance(SECOND / 2);
    assert_eq!(runtime.block_on(late).unwrap().unwrap_err(), ResolveError::Unknown);
    assert_eq!(runtime.block_on(third).unwrap().unwrap_err(), ResolveError::Unknown);
    assert_eq!(source.calls(), 2, "the second look-up was shared");
    assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unknown));
}

#[test]
fn made_up_tokens_beside_a_long_lived_key_push_nobody_out() {
    let (runtime, _, keys) = keys(Duration::ZERO);
    let victim = "AKIAREMOTEVICTIM0001";
    assert_eq!(now(&runtime, &keys, victim).as_deref(), Ok(victim));
    for n in 0..200 {
        runtime.advance(SECOND / 20);
        let _ = runtime.block_on(ask(&keys, GOOD, Some(&format!("made up {n}"))));
    }
    assert!(keys.inner.lock().found.len() <= 1);
    for n in 0..50 {
        let _ = now(&runtime, &keys, &format!("AKIAFLOOD{n:011}"));
    }
    assert_eq!(now(&runtime, &keys, victim).as_deref(), Ok(victim));
}

#[test]
fn forgetting_everything_forgets_refusals_too() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    source.revoked.store(true, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unknown));
    source.revoked.store(false, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unknown));
    keys.clear();
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
}

#[test]
fn a_key_that_was_taken_back_has_no_place_outside_of_the_budget() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    runtime.advance(60 * SECOND);
    source.revoked.store(true, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unknown));
    assert_eq!(keys.inner.lock().found.len(), 0);
}

#[test]
fn a_refusal_is_remembered_for_five_to_thirty_seconds() {
    let builder =
        |ttl| RemoteKeys::builder(Elsewhere::new(&VirtualRuntime::new(noon()), SECOND)).negative_ttl(ttl);
    assert_eq!(builder(Duration::ZERO).negative_ttl, 5 * SECOND);
    assert_eq!(builder(3_600 * SECOND).negative_ttl, 30 * SECOND);
}

/// Claims that cannot always be copied.
struct Touchy(Arc<AtomicBool>);

impl Clone for Touchy {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::SeqCst), "a fault of the claims");
        Self(Arc::clone(&self.0))
    }
}

#[test]
fn claims_that_panic_when_they_are_copied_are_unavailable_and_do_no_harm_beyond() {
    let runtime = VirtualRuntime::new(noon());
    let faulty = Arc::new(AtomicBool::new(true));
    let source = {
        let (faulty, runtime) = (Arc::clone(&faulty), runtime.clone());
        move |request: RemoteRequest| {
            let (claims, moment) = (Touchy(Arc::clone(&faulty)), runtime.sleep(SECOND));
            async move {
                moment.await;
                Ok(Resolved::new(ResolvedKey::new(request.access_key, KeyKind::Static, 1), claims))
            }
        }
    };
    let keys = RemoteKeys::builder(source).runtime(runtime.clone()).build();
    let mut waiting = [ask(&keys, GOOD, None), ask(&keys, GOOD, None)];
    let mut cx = Context::from_waker(std::task::Waker::noop());
    waiting.iter_mut().for_each(|future| assert!(Pin::new(future).poll(&mut cx).is_pending()));
    runtime.advance(SECOND);
    for future in waiting {
        assert_eq!(runtime.block_on(future).unwrap().err(), Some(ResolveError::Unavailable));
    }
    assert_eq!(runtime.block_on(ask(&keys, GOOD, None)).unwrap().err(), Some(ResolveError::Unavailable));
    faulty.store(false, Ordering::SeqCst);
    assert!(runtime.block_on(ask(&keys, GOOD, None)).unwrap().is_ok(), "it was found, and is held");
}

#[test]
fn a_key_that_was_found_before_is_asked_for_ever_more_seldom_while_the_service_is_down() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
    runtime.advance(60 * SECOND);
    source.down.store(true, Ordering::SeqCst);
    for _ in 0..6_000 {
        assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unavailable));
        runtime.advance(SECOND / 100);
    }
    let calls = source.calls() - 1;
    assert!((12..60).contains(&calls), "{calls} calls in a minute");
    // Another key is another matter.
    let other = "AKIAREMOTEKEY0000002";
    assert_eq!(now(&runtime, &keys, other), Err(ResolveError::Unavailable));
    source.down.store(false, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, other).as_deref(), Ok(other));
    runtime.advance(5 * SECOND);
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD), "never left alone for more than 5 s");
    // A service that was back is asked soon again after the next failure.
    runtime.advance(60 * SECOND);
    source.down.store(true, Ordering::SeqCst);
    assert_eq!(now(&runtime, &keys, GOOD), Err(ResolveError::Unavailable));
    source.down.store(false, Ordering::SeqCst);
    runtime.advance(SECOND / 10);
    assert_eq!(now(&runtime, &keys, GOOD).as_deref(), Ok(GOOD));
}

#[test]
fn whoever_leaves_last_takes_the_look_up_along() {
    let (runtime, source, keys) = keys(SECOND);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut waiting: Vec<_> = (0..20).map(|n| ask(&keys, &format!("AKIAREMOTEKEY{n:07}"), None)).collect();
    waiting.iter_mut().for_each(|future| assert!(Pin::new(future).poll(&mut cx).is_pending()));
    let second = ask(&keys, "AKIAREMOTEKEY0000000", None);
    // One that was not even looked at.
    runtime.advance(SECOND / 10);
    drop(waiting);
    assert_eq!(keys.inner.lock().flights.len(), 1, "somebody is left for the first of them");
    drop(second);
    assert_eq!(keys.inner.lock().flights.len(), 0);
    drop(ask(&keys, GOOD, None));
    assert_eq!(keys.inner.lock().flights.len(), 0);
    assert_eq!(source.calls(), 20);
}

#[test]
fn whoever_keeps_leaving_costs_neither_a_look_up_each_nor_the_holder_his_key() {
    let (runtime, source, keys) = keys(SECOND);
    let mut first = ask(&keys, GOOD, None);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut first).poll(&mut cx).is_pending());
    runtime.advance(SECOND);
    assert!(Pin::new(&mut first).poll(&mut cx).is_ready());
    runtime.advance(60 * SECOND);
    let before = source.calls();
    for _ in 0..6_000 {
        let _ = Pin::new(&mut ask(&keys, GOOD, None)).poll(&mut cx);
        runtime.advance(SECOND / 100);
    }
    let calls = source.calls() - before;
    assert!((600..2_400).contains(&calls), "{calls} calls in a minute");
    runtime.advance(SECOND / 10);
    let mut holder = ask(&keys, GOOD, None);
    assert!(Pin::new(&mut holder).poll(&mut cx).is_pending(), "he is asked for after 100 ms at most");
    runtime.advance(SECOND);
    assert!(matches!(Pin::new(&mut holder).poll(&mut cx), Poll::Ready(Ok(_))));
}

#[test]
fn no_more_look_ups_of_unknown_keys_run_at_a_time_than_may_begin_in_a_second() {
    let (runtime, source, keys) = keys(3 * SECOND);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut waiting = Vec::new();
    for n in 0..50 {
        let mut future = ask(&keys, &format!("AKIAREMOTEKEY{n:07}"), None);
        if Pin::new(&mut future).poll(&mut cx).is_pending() {
            waiting.push(future);
        }
        runtime.advance(SECOND / 20);
    }
    assert_eq!((waiting.len(), source.calls()), (20, 20));
}

#[test]
fn refusals_of_one_moment_are_not_forgotten_in_one_moment() {
    let (runtime, source, keys) = keys(Duration::ZERO);
    let ask_all = || {
        let before = source.calls();
        for n in 0..15 {
            assert_eq!(now(&runtime, &keys, &format!("AKIANOBODY{n:010}")), Err(ResolveError::Unknown));
        }
        source.calls() - before
    };
    assert_eq!(ask_all(), 15);
    runtime.advance(SECOND * 75 / 10 - Duration::from_millis(1));
    assert_eq!(ask_all(), 0, "none is forgotten before three quarters of its time");
    runtime.advance(SECOND * 5 / 4);
    let some = ask_all();
    assert!((1..15).contains(&some), "{some} were forgotten half-way through the last quarter");
    runtime.advance(SECOND * 5 / 4 + Duration::from_millis(1));
    assert_eq!(ask_all(), 15 - some);
}
