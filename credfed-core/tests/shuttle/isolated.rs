//! Callers that make loads of their own.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicBool, Ordering};

use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{
    Act, HOUR, SECOND, cache, explore, get, join, stage, thread, visit,
};
use crate::{ErrorKind, Rejection};

#[test]
fn the_first_one_to_land_is_for_all() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Isolated, &[]);
        let leaver = {
            let provider = provider.clone();
            thread(move || visit(&provider))
        };
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider).unwrap())
        });
        let [first, second] = join(callers);
        leaver.join();
        assert_eq!((first.generation(), *first), (1, *second));
        assert!(source.calls() <= 3);
        let calls = source.calls();
        assert_eq!(*get(&provider).unwrap(), *first);
        assert_eq!((source.calls(), provider.status().refreshing), (calls, false));
    });
}

#[test]
fn no_more_than_the_limit_load_at_one_time() {
    explore(|| {
        let (runtime, source, _) = stage(Mode::Isolated, &[]);
        let provider = cache(&runtime, &source).mode(Mode::Isolated).isolated_loads(1).build();
        let callers = [0, 1, 2].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider).map_err(|error| error.kind()))
        });
        let answers = join(callers);
        assert!(answers.iter().any(Result::is_ok));
        assert!(
            answers
                .iter()
                .all(|answer| answer.as_ref().err().is_none_or(|kind| *kind == ErrorKind::Throttled))
        );
        assert_eq!((source.calls(), source.most_at_once()), (1, 1));
    });
}

#[test]
fn of_callers_at_the_advisory_window_one_loads_and_all_are_served() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Isolated, &[Act::Give, Act::Fail]);
        get(&provider).unwrap();
        runtime.advance(HOUR - 400 * SECOND);
        let callers = [0, 1, 2].map(|_| {
            let provider = provider.clone();
            thread(move || *get(&provider).unwrap())
        });
        assert_eq!(join(callers), [1; 3]);
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}

#[test]
fn a_load_that_lands_after_a_rejection_does_not_bring_the_rejected_one_back() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Isolated, &[]);
        let late = {
            let provider = provider.clone();
            thread(move || get(&provider).unwrap().generation())
        };
        let first = get(&provider).unwrap();
        let rejected = Arc::new(AtomicBool::new(false));
        let watching = {
            let (provider, rejected) = (provider.clone(), Arc::clone(&rejected));
            thread(move || {
                let until_then = rejected.load(Ordering::SeqCst);
                let served = provider.with(|number| *number);
                (until_then, served)
            })
        };
        provider.invalidate(&first, Rejection::Expired);
        rejected.store(true, Ordering::SeqCst);
        let (until_then, served) = watching.join();
        assert!(!until_then || served != Some(*first));
        assert!(late.join() <= 2);
        assert_eq!(get(&provider).unwrap().generation(), 2);
        assert!(source.calls() <= 3);
    });
}
