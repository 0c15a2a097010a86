//! Loads of several callers, each on its own, that meet.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use credfed_core::cached::{Mode, State};
use credfed_core::{CachedProvider, ErrorKind, ProviderError, Rejection};

use crate::isolated::{isolated, late};
use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, down, get, poll_once, stage};

#[test]
fn a_load_from_before_the_rejection_does_not_stand_in_the_way_of_a_newer_one() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    let held = get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.next(Act::Late(SECOND, Box::new(Act::GiveAgain(1, HOUR))));
    let mut early = provider.get();
    assert!(poll_once(&mut early).is_pending());
    provider.invalidate(&held, Rejection::Expired);
    source.next(late(SECOND));
    let mut newer = provider.get();
    assert!(poll_once(&mut newer).is_pending());
    runtime.advance(SECOND);
    let Poll::Ready(Ok(after)) = poll_once(&mut early) else { panic!("it loads once more, and at once") };
    assert_eq!(*after, 4);
    assert_eq!(*runtime.block_on(newer).unwrap().unwrap(), 4, "and not what was rejected");
}

#[test]
fn a_load_from_before_the_rejection_may_bring_it_back_if_no_other_is_under_way() {
    let (runtime, source, provider) = isolated(Act::GiveAgain(7, HOUR));
    let held = get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.next(Act::Late(SECOND, Box::new(Act::GiveAgain(7, HOUR))));
    let mut early = provider.get();
    assert!(poll_once(&mut early).is_pending());
    provider.invalidate(&held, Rejection::Expired);
    runtime.advance(SECOND);
    let Poll::Ready(Ok(back)) = poll_once(&mut early) else { panic!("it loads once more") };
    assert_eq!((*back, back.generation(), source.calls()), (7, 2, 2));
}

#[test]
fn the_first_of_those_after_a_rejection_may_bring_it_back() {
    let (runtime, source, provider) = isolated(Act::GiveAgain(7, HOUR));
    let held = get(&runtime, &provider).unwrap();
    provider.invalidate(&held, Rejection::Expired);
    source.then_always(Act::Late(SECOND, Box::new(Act::GiveAgain(7, HOUR))));
    let mut all = [provider.get(), provider.get()];
    for caller in &mut all {
        assert!(poll_once(caller).is_pending());
    }
    runtime.advance(SECOND);
    for caller in &mut all {
        let Poll::Ready(Ok(back)) = poll_once(caller) else { panic!("it loads once more") };
        assert_eq!((*back, back.generation()), (7, 2));
    }
    assert_eq!(source.calls(), 3);
}

#[test]
fn loads_that_fail_together_are_one_failure() {
    let (runtime, source, provider) = isolated(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    let mut all: Vec<_> = (0..3).map(|_| provider.get()).collect();
    for caller in &mut all {
        assert!(poll_once(caller).is_pending());
    }
    runtime.advance(SECOND);
    for caller in &mut all {
        assert!(matches!(poll_once(caller), Poll::Ready(Err(_))));
        runtime.advance(Duration::from_nanos(1));
    }
    assert_eq!(provider.status().consecutive_failures, 1);
    source.then_always(Act::Give(HOUR));
    runtime.advance(SECOND / 10);
    assert!(get(&runtime, &provider).is_ok(), "the pause is that of a first failure");
}

#[test]
fn a_failure_behind_what_another_one_brought_is_none() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    source.next(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    let mut slow = provider.get();
    assert!(poll_once(&mut slow).is_pending());
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
    runtime.advance(SECOND);
    let Poll::Ready(Ok(cached)) = poll_once(&mut slow) else { panic!("an error in place of the valid one") };
    assert_eq!(*cached, 2);
    assert_eq!(provider.status().consecutive_failures, 0);
}

#[test]
fn no_more_than_the_limit_load_at_once_and_the_others_hear_of_it_at_once() {
    let (runtime, source, provider) = isolated(late(SECOND));
    let mut loading: Vec<_> = (0..3).map(|_| provider.get()).collect();
    for caller in &mut loading {
        assert!(poll_once(caller).is_pending());
    }
    for _ in 0..100 {
        assert_eq!(at_once(&provider).unwrap().unwrap_err().kind(), ErrorKind::Throttled);
    }
    assert_eq!(source.calls(), 3);
    drop(loading.pop());
    let mut next = provider.get();
    assert!(poll_once(&mut next).is_pending(), "a place is free");
    assert_eq!(source.calls(), 4);
    runtime.advance(SECOND);
    assert_eq!(*runtime.block_on(next).unwrap().unwrap(), 4);
}

#[test]
fn what_the_server_asks_for_counts_also_if_another_load_failed_first() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    source.next(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    source.next(Act::Late(
        2 * SECOND,
        Box::new(Act::Fail(ProviderError::throttled("slow down", Some(MINUTE)))),
    ));
    let mut all = [provider.get(), provider.get()];
    for caller in &mut all {
        assert!(poll_once(caller).is_pending());
    }
    for caller in &mut all {
        runtime.advance(SECOND);
        assert!(matches!(poll_once(caller), Poll::Ready(Err(_))));
    }
    assert_eq!(provider.status().consecutive_failures, 1);
    runtime.advance(59 * SECOND);
    let error = at_once(&provider).and_then(Result::err).map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::Throttled));
    assert_eq!(source.calls(), 2);
    runtime.advance(SECOND);
    assert!(get(&runtime, &provider).is_ok());
}

#[test]
fn those_who_leave_once_another_one_has_loaded_cost_the_next_refresh_nothing() {
    let (runtime, source, provider) = isolated(late(SECOND));
    let mut all: Vec<_> = (0..3).map(|_| provider.get()).collect();
    for caller in &mut all {
        assert!(poll_once(caller).is_pending());
    }
    runtime.advance(SECOND);
    assert!(poll_once(&mut all[0]).is_ready());
    drop(all);
    runtime.advance(53 * MINUTE);
    let mut leaves = provider.get();
    assert!(poll_once(&mut leaves).is_pending());
    drop(leaves);
    runtime.advance(SECOND);
    assert!(poll_once(&mut provider.get()).is_pending(), "the first one to leave costs a second");
    assert_eq!(source.calls(), 5);
}

#[test]
fn those_beyond_the_limit_get_no_expired_one_before_a_load_has_failed() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .mode(Mode::Isolated)
        .isolated_loads(1)
        .serve_expired(HOUR)
        .build();
    get(&runtime, &provider).unwrap();
    runtime.advance(HOUR);
    source.next(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    let mut loads = provider.get();
    assert!(poll_once(&mut loads).is_pending());
    let error = at_once(&provider).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    runtime.advance(SECOND);
    assert!(runtime.block_on(loads).unwrap().unwrap().is_stale());
    runtime.advance(5 * SECOND);
    source.then_always(Act::Hang);
    let mut loads = provider.get();
    assert!(poll_once(&mut loads).is_pending());
    assert!(at_once(&provider).unwrap().unwrap().is_stale(), "now one has failed");
}

#[test]
fn what_expires_while_its_caller_loads_is_not_served_before_a_load_has_failed() {
    let (runtime, source, _) = stage(Act::Give(HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .mode(Mode::Isolated)
        .serve_expired(10 * HOUR)
        .build();
    get(&runtime, &provider).unwrap();
    runtime.advance(53 * MINUTE);
    source.then_always(late(5 * SECOND));
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.clock().advance(10 * MINUTE);
    runtime.advance(2 * SECOND);
    assert!(poll_once(&mut caller).is_pending(), "the source may be about to bring another one");
    runtime.advance(3 * SECOND);
    assert_eq!(poll_once(&mut caller).map(|answer| *answer.unwrap()), Poll::Ready(2));
}

#[test]
fn a_caller_ends_by_its_deadline_also_if_its_load_was_overtaken() {
    let (runtime, source, provider) = isolated(Act::Hang);
    source.next(Act::Late(14 * SECOND, Box::new(Act::Give(HOUR))));
    source.next(Act::Give(HOUR));
    let mut early = provider.get();
    assert!(poll_once(&mut early).is_pending());
    let other = get(&runtime, &provider).unwrap();
    runtime.advance(14 * SECOND);
    provider.invalidate(&other, Rejection::Expired);
    assert!(poll_once(&mut early).is_pending(), "its load came too late: it makes another one");
    runtime.advance(Duration::from_secs(2));
    assert!(matches!(poll_once(&mut early), Poll::Ready(Err(_))));
    assert_eq!(source.calls(), 3);
}

#[test]
fn what_the_server_asks_for_is_not_forgotten_for_another_load_that_fails_behind_a_valid_one() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.clock().advance(HOUR);
    source.next(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    source.then_always(Act::Fail(ProviderError::throttled("slow down", Some(MINUTE))));
    let mut slow = provider.get();
    assert!(poll_once(&mut slow).is_pending());
    assert!(get(&runtime, &provider).is_err());
    runtime.clock().rewind(30 * SECOND);
    runtime.advance(SECOND);
    let Poll::Ready(Ok(valid)) = poll_once(&mut slow) else { panic!("an error in place of a valid one") };
    assert_eq!(*valid, 1);
    assert_eq!(provider.status().consecutive_failures, 2);
    runtime.advance(20 * SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    runtime.advance(30 * SECOND);
    assert!(at_once(&provider).unwrap().is_err());
    assert_eq!(source.calls(), 3);
}

#[test]
fn what_the_server_asks_for_holds_behind_a_valid_one_also_if_another_load_failed_first() {
    let (runtime, source, provider) = isolated(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.clock().advance(HOUR);
    source.next(Act::Late(SECOND, Box::new(Act::Fail(down()))));
    let asks = ProviderError::throttled("slow down", Some(MINUTE));
    source.next(Act::Late(2 * SECOND, Box::new(Act::Fail(asks))));
    let mut all = [provider.get(), provider.get()];
    for caller in &mut all {
        assert!(poll_once(caller).is_pending());
    }
    for caller in &mut all {
        runtime.advance(SECOND);
        assert!(matches!(poll_once(caller), Poll::Ready(Err(_))));
    }
    runtime.clock().rewind(30 * SECOND);
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!((provider.status().consecutive_failures, source.calls()), (1, 3));
}

#[test]
fn whoever_waited_for_a_load_that_was_overtaken_makes_no_other_one_behind_a_valid_credential() {
    let (runtime, source, provider) = isolated(Act::Give(12 * SECOND));
    source.next(late(10 * SECOND));
    let mut slow = provider.get();
    assert!(poll_once(&mut slow).is_pending());
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
    runtime.advance(10 * SECOND);
    assert_eq!(provider.status().state, State::Advisory, "a caller who came now would load anew");
    let Poll::Ready(Ok(cached)) = poll_once(&mut slow) else { panic!("it loads once more") };
    assert_eq!((*cached, source.calls()), (2, 2));
}

#[test]
fn whoever_waited_for_a_load_that_was_overtaken_makes_no_other_one_where_an_expired_one_may_be_served() {
    let (runtime, source, _) = stage(Act::Give(SECOND));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(runtime.clone())
        .mode(Mode::Isolated)
        .serve_expired(HOUR)
        .build();
    source.next(late(10 * SECOND));
    let mut slow = provider.get();
    assert!(poll_once(&mut slow).is_pending());
    assert_eq!(*get(&runtime, &provider).unwrap(), 2);
    runtime.advance(2 * SECOND);
    source.next(Act::Fail(down()));
    assert!(get(&runtime, &provider).unwrap().is_stale());
    runtime.advance(8 * SECOND);
    let Poll::Ready(Ok(cached)) = poll_once(&mut slow) else { panic!("it loads once more") };
    assert_eq!((cached.is_stale(), source.calls()), (true, 3));
}
