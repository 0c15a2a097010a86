//! Foreign code that panics.

use std::panic::resume_unwind;
use std::time::Duration;

use crate::cached::shuttle_tests::failures::failure_is_shared_and_the_next_load_is_one;
use crate::cached::shuttle_tests::support::{Act, SECOND, cache, explore, get, join, stage, thread};
use crate::cached::{Mode, Observer};
use crate::{Identity, ProviderError};

#[test]
fn a_source_that_panics_is_one_error_for_all_who_wait() {
    explore(|| failure_is_shared_and_the_next_load_is_one(Mode::Spawned, Act::Panic));
}

#[test]
fn a_source_that_panics_is_one_error_for_all_who_drive_it() {
    explore(|| failure_is_shared_and_the_next_load_is_one(Mode::Inline, Act::Panic));
}

#[test]
fn an_observer_that_panics_at_every_load_hangs_nobody() {
    #[derive(Debug)]
    struct Jumpy;

    impl Observer for Jumpy {
        fn refresh_started(&self, _: &Identity) {
            resume_unwind(Box::new("started"));
        }

        fn refresh_succeeded(&self, _: &Identity, _: Option<Duration>) {
            resume_unwind(Box::new("succeeded"));
        }

        fn refresh_failed(&self, _: &Identity, _: &ProviderError, _: Option<Duration>) {
            resume_unwind(Box::new("failed"));
        }
    }

    explore(|| {
        let (runtime, source, _) = stage(Mode::Spawned, &[Act::Fail]);
        let provider = cache(&runtime, &source).observer(Jumpy).build();
        for call in 1..=2 {
            let callers = [0, 1].map(|_| {
                let provider = provider.clone();
                thread(move || get(&provider).map(|cached| *cached))
            });
            for answer in join(callers) {
                assert_eq!(answer.ok(), (call == 2).then_some(2));
            }
            runtime.advance(5 * SECOND);
        }
        assert_eq!(source.calls(), 2);
    });
}
