//! Nothing at hand yet.

use std::sync::{Arc, Mutex};

use credfed_core::ProviderError;
use futures::future::join_all;

use crate::support::{Act, HOUR, SECOND, at_once, down, get, poll_once, stage};

#[test]
fn concurrent_cold_start_calls_the_source_once() {
    let (runtime, source, provider) = stage(Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    let callers = join_all((0..10_000).map(|_| provider.get()));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&answers);
    credfed_core::runtime::Runtime::spawn(
        &runtime,
        Box::pin(async move {
            let all = callers.await;
            *sink.lock().unwrap() = all;
        }),
    );
    runtime.run();
    assert_eq!(source.calls(), 1);
    assert!(provider.try_get().is_none());
    runtime.advance(SECOND);
    let answers = answers.lock().unwrap();
    assert_eq!(answers.len(), 10_000);
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|cached| **cached == 1)));
    assert_eq!(source.calls(), 1);
}

#[test]
fn nothing_is_loaded_until_somebody_asks() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    runtime.advance(HOUR);
    assert_eq!((source.calls(), runtime.tasks()), (0, 0));
    assert!(!provider.status().is_ready());
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    runtime.run();
    assert_eq!(runtime.tasks(), 0, "nothing runs when idle");
    assert!(provider.status().is_ready());
}

#[test]
fn try_get_starts_a_load_that_is_driven_by_nobody_else() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    assert!(provider.try_get().is_none());
    assert!(provider.with(|_| ()).is_none());
    runtime.run();
    assert_eq!(provider.try_get().map(|cached| *cached), Some(1));
    assert_eq!(provider.with(|number| *number), Some(1));
    assert_eq!(source.calls(), 1);
}

#[test]
fn where_nobody_would_drive_it_try_get_starts_nothing() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let runtime = runtime.with_spawner(false);
    assert!(provider.try_get().is_none());
    assert!(provider.with(|_| ()).is_none());
    runtime.run();
    assert_eq!(source.calls(), 0);
    assert!(!provider.status().refreshing);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
}

#[test]
fn all_who_wait_share_the_one_error() {
    let (runtime, source, provider) = stage(Act::Yield(3, Box::new(Act::Fail(down()))));
    let answers = runtime.block_on(join_all((0..100).map(|_| provider.get()))).unwrap();
    let errors: Vec<_> = answers.into_iter().map(Result::unwrap_err).collect();
    assert!(errors.iter().all(|error| error.is_same(&errors[0])));
    assert_eq!(source.calls(), 1);
}

#[test]
fn a_source_that_is_down_is_asked_once_by_a_hundred_callers_and_not_at_all_by_the_next() {
    let (runtime, source, provider) =
        stage(Act::Late(SECOND, Box::new(Act::Fail(ProviderError::rejected("no")))));
    let mut callers: Vec<_> = (0..100).map(|_| provider.get()).collect();
    for caller in &mut callers {
        assert!(poll_once(caller).is_pending());
    }
    runtime.advance(SECOND);
    let errors: Vec<_> =
        callers.into_iter().map(|caller| runtime.block_on(caller).unwrap().unwrap_err()).collect();
    let next: Vec<_> = (0..100).map(|_| at_once(&provider).unwrap().unwrap_err()).collect();
    assert!(errors.iter().chain(&next).all(|error| error.is_same(&errors[0])));
    assert_eq!(source.calls(), 1);
}

#[test]
fn who_comes_during_the_pause_shares_the_last_error_and_calls_nobody() {
    let (runtime, source, provider) = stage(Act::Fail(down()));
    let mut error = get(&runtime, &provider).unwrap_err();
    // The pause is anything from nothing up, so it takes a few tries to meet one that lasts.
    let mut met = 0;
    for _ in 0..50 {
        let calls = source.calls();
        let answer = get(&runtime, &provider).unwrap_err();
        if source.calls() == calls {
            assert!(answer.is_same(&error));
            met += 1;
        }
        error = answer;
    }
    assert!(met >= 40, "{met}");
}

#[test]
fn a_source_that_recovers_is_found_within_one_pause() {
    let (runtime, source, provider) = stage(Act::Fail(down()));
    for _ in 0..200 {
        get(&runtime, &provider).unwrap_err();
        runtime.advance(SECOND);
    }
    assert!(source.calls() > 40, "{} calls in 200 s", source.calls());
    source.then_always(Act::Give(HOUR));
    runtime.advance(SECOND * 5);
    assert!(at_once(&provider).is_none_or(|answer| answer.is_ok()));
    assert!(get(&runtime, &provider).is_ok());
}
