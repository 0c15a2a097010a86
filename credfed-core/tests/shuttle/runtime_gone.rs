//! The task that was to drive a load is dropped.

use crate::cached::shuttle_tests::support::{Act, Source, Threads, cache, explore, get, join, thread};

/// Two callers of a cache whose first load loses its task once it was begun, wherever that is by then.
fn callers_survive(script: &[Act]) {
    let (runtime, source) = (Threads::with_mortal(1), Source::new(script));
    let provider = cache(&runtime, &source).build();
    let callers = [0, 1].map(|_| {
        let provider = provider.clone();
        thread(move || get(&provider).unwrap())
    });
    shuttle::future::block_on(source.called.opened());
    runtime.stop();
    let [first, second] = join(callers);
    assert_eq!((*first, first.generation()), (*second, 1), "all are served what landed");
    assert_eq!(provider.with(|number| *number), Some(*first));
    assert!(source.calls() <= 2, "{} calls", source.calls());
    let status = provider.status();
    assert_eq!((status.generation, status.refreshing), (1, false));
}

#[test]
fn a_load_whose_runtime_died_is_restarted_once() {
    explore(|| callers_survive(&[Act::Hang]));
}

#[test]
fn a_load_that_lands_while_its_runtime_dies_lands_once() {
    explore(|| callers_survive(&[]));
}

#[test]
fn a_failure_that_lands_while_its_runtime_dies_hangs_nobody() {
    explore(|| {
        let (runtime, source) = (Threads::with_mortal(1), Source::new(&[Act::Fail]));
        let provider = cache(&runtime, &source).build();
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider).map(|cached| *cached))
        });
        shuttle::future::block_on(source.called.opened());
        runtime.stop();
        // Who was lost before it failed looks again, and finds the pause or the second load.
        for answer in join(callers) {
            assert!(answer.is_err() || answer.is_ok_and(|number| number == 2));
        }
        assert!(source.calls() <= 2, "{} calls", source.calls());
    });
}

#[test]
fn a_spawner_that_drops_every_task_leaves_the_work_to_the_waiters() {
    explore(|| {
        let (runtime, source) = (Threads::with_mortal(usize::MAX), Source::new(&[]));
        runtime.stop();
        let provider = cache(&runtime, &source).build();
        let callers = [0, 1].map(|_| {
            let provider = provider.clone();
            thread(move || get(&provider).unwrap().generation())
        });
        assert_eq!(join(callers), [1, 1]);
        // The one whose task was dropped, and the one that the callers drove alone.
        assert!(source.calls() <= 2, "{} calls", source.calls());
    });
}
