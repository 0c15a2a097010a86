//! A source that fails.

use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{Act, SECOND, explore, get, join, stage, thread};

/// `first` is what the source does to fail.
pub(super) fn failure_is_shared_and_the_next_load_is_one(mode: Mode, first: Act) {
    let (runtime, source, provider) = stage(mode, &[first]);
    let callers = || {
        [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider))
        })
    };
    let [first, second] = callers().map(|caller| caller.join().unwrap_err());
    assert!(first.is_same(&second) && source.calls() == 1);
    // The pause is over by now, and only by now.
    runtime.advance(5 * SECOND);
    assert!(join(callers()).into_iter().all(|answer| *answer.unwrap() == 2));
    assert_eq!((source.calls(), source.most_at_once()), (2, 1));
}

#[test]
fn all_who_wait_see_the_one_failure_and_the_pause_ends_in_one_call() {
    explore(|| failure_is_shared_and_the_next_load_is_one(Mode::Spawned, Act::Fail));
}

#[test]
fn all_who_drive_the_load_themselves_see_the_one_failure() {
    explore(|| failure_is_shared_and_the_next_load_is_one(Mode::Inline, Act::Fail));
}

#[test]
fn a_pause_that_ends_while_callers_come_ends_in_one_call() {
    explore(|| {
        let (runtime, source, provider) = stage(Mode::Spawned, &[Act::Fail]);
        get(&provider).unwrap_err();
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider))
        });
        runtime.advance(5 * SECOND);
        // Who came during the pause shares the old error; who came after it, the new credential.
        for answer in join(callers) {
            assert!(answer.is_err() || answer.is_ok_and(|cached| *cached == 2));
        }
        assert_eq!(*get(&provider).unwrap(), 2);
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}
