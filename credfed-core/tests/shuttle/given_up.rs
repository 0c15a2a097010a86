//! A load that was given up for its age, against the one after it.

use shuttle::future::block_on;

use crate::Rejection;
use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{Act, SECOND, explore, get, poll_once, stage, thread};

#[test]
fn of_two_loads_one_lands() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Inline, &[]);
        let mut old = provider.get();
        assert!(poll_once(&mut old).is_pending());
        let old = thread(move || block_on(old).unwrap());
        runtime.advance(16 * SECOND);
        let new = get(&provider).unwrap();
        let old = old.join();
        assert_eq!((*old, old.generation()), (*new, 1), "both are served what landed");
        assert!(source.calls() <= 2);
        let status = provider.status();
        assert_eq!((status.generation, status.refreshing), (1, false));
    });
}

#[test]
fn its_failure_is_none_of_the_one_after_it() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Inline, &[Act::Fail]);
        let mut old = provider.get();
        assert!(poll_once(&mut old).is_pending());
        let old = thread(move || drop(block_on(old)));
        runtime.advance(16 * SECOND);
        let mut new = provider.get();
        // Pending: it is the second load that this one waits for.
        if poll_once(&mut new).is_pending() {
            let late = {
                let provider = provider.clone();
                thread(move || get(&provider).map(|cached| *cached))
            };
            assert_eq!(*block_on(new).unwrap(), 2);
            assert_eq!(late.join().unwrap(), 2, "there is no pause");
            old.join();
            assert_eq!(provider.status().consecutive_failures, 0);
        }
        assert!(source.calls() <= 2);
    });
}

#[test]
fn it_does_not_take_the_place_of_a_third_one() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Inline, &[]);
        let mut old = provider.get();
        assert!(poll_once(&mut old).is_pending());
        runtime.advance(16 * SECOND);
        let rejected = get(&provider).unwrap();
        assert_eq!(*rejected, 2);
        let old = thread(move || block_on(old).unwrap().generation());
        let caller = {
            let provider = provider.clone();
            thread(move || get(&provider).unwrap().generation())
        };
        provider.invalidate(&rejected, Rejection::Invalid);
        assert_eq!(get(&provider).unwrap().generation(), 2);
        assert!(old.join() <= 2 && caller.join() <= 2);
        assert_eq!(source.calls(), 3);
    });
}
