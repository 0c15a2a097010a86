//! A credential that is due.

use std::task::Poll;

use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{
    Act, HOUR, SECOND, explore, get, join, poll_once, stage, thread,
};

#[test]
fn callers_at_the_advisory_window_start_one_load_and_do_not_wait() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Spawned, &[]);
        get(&provider).unwrap();
        runtime.advance(HOUR - 400 * SECOND);
        let callers = [0, 1, 2].map(|turn| {
            let provider = provider.clone();
            thread(move || match turn {
                0 => provider.try_get().is_some(),
                _ => matches!(poll_once(&mut provider.get()), Poll::Ready(Ok(_))),
            })
        });
        assert_eq!(join(callers), [true; 3]);
        while provider.status().refreshing {
            shuttle::thread::yield_now();
        }
        assert_eq!(provider.with(|number| *number), Some(2));
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}

#[test]
fn a_failing_refresh_is_no_error_for_any_caller_and_is_not_repeated_at_once() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Spawned, &[Act::Give, Act::Fail]);
        get(&provider).unwrap();
        runtime.advance(HOUR - 30 * SECOND);
        let callers = [0, 1, 2].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider).map(|cached| *cached))
        });
        assert!(join(callers).into_iter().all(|answer| answer.unwrap() == 1));
        assert_eq!((source.calls(), provider.status().consecutive_failures), (2, 1));
    });
}

#[test]
fn an_expiry_while_callers_come_ends_in_one_load() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Inline, &[]);
        get(&provider).unwrap();
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || *get(&provider).unwrap())
        });
        runtime.advance(HOUR);
        assert!(join(callers).into_iter().all(|number| number <= 2));
        assert_eq!(*get(&provider).unwrap(), 2);
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}
