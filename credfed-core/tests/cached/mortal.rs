//! Runtimes that go away under the loads that they were to drive.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use credfed_core::runtime::{Now, Runtime, Sleep, Task};
use credfed_core::{CachedProvider, VirtualRuntime};

use crate::support::{Act, HOUR, MINUTE, SECOND, Source, at_once, get, poll_once, stage};

/// Begins every task and drops it, as one does that is shut down at the end of each request.
#[derive(Debug)]
struct Mortal(VirtualRuntime);

impl Runtime for Mortal {
    fn now(&self) -> Now {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }

    fn can_spawn(&self) -> bool {
        true
    }

    fn spawn(&self, mut task: Task) {
        let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

fn mortal(habit: Act) -> (VirtualRuntime, Arc<Source>, CachedProvider<u32>) {
    let (time, source, _) = stage(habit);
    let provider = CachedProvider::builder(Arc::clone(&source)).runtime(Mortal(time.clone())).build();
    (time, source, provider)
}

fn late(by: Duration) -> Act {
    Act::Late(by, Box::new(Act::Give(HOUR)))
}

#[test]
fn a_lost_load_is_begun_once_more_however_many_wait_for_it() {
    let (time, source, provider) = mortal(late(SECOND));
    let mut callers: Vec<_> = (0..100).map(|_| provider.get()).collect();
    for _ in 0..3 {
        for caller in &mut callers {
            assert!(poll_once(caller).is_pending());
        }
    }
    assert_eq!(source.calls(), 2);
    time.advance(SECOND);
    for caller in &mut callers {
        assert_eq!(poll_once(caller).map(|answer| *answer.unwrap()), Poll::Ready(2));
    }
    assert_eq!(source.calls(), 2);
}

#[test]
fn callers_that_come_and_go_with_their_runtimes_still_complete_the_load() {
    let (time, source, provider) = mortal(late(SECOND));
    let mut callers: Vec<_> = Vec::new();
    let mut served = 0;
    for _ in 0..80 {
        callers.push(provider.get());
        callers.retain_mut(|caller| match poll_once(caller) {
            Poll::Ready(answer) => {
                served += u32::from(answer.is_ok());
                false
            }
            Poll::Pending => true,
        });
        if callers.len() > 2 {
            drop(callers.remove(0));
        }
        time.advance(SECOND / 4);
    }
    assert!(served >= 77, "{served} of 80");
    assert_eq!(source.calls(), 2);
}

#[test]
fn whoever_does_not_wait_begins_no_load_after_load_that_is_lost() {
    let (time, source, provider) = mortal(Act::Hang);
    for _ in 0..60 {
        assert!(provider.try_get().is_none());
        time.advance(SECOND);
    }
    assert_eq!(source.calls(), 4, "one per load deadline");
    source.then_always(Act::Give(HOUR));
    assert!(provider.try_get().is_none());
    assert_eq!(provider.try_get().map(|cached| *cached), Some(5), "and it recovers by itself");
}

#[test]
fn a_source_that_hangs_behind_a_dying_runtime_is_called_twice_per_deadline() {
    let (time, source, provider) = mortal(Act::Hang);
    let mut callers: Vec<_> = Vec::new();
    for _ in 0..60 {
        callers.extend((0..10).map(|_| provider.get()));
        callers.retain_mut(|caller| poll_once(caller).is_pending());
        time.advance(SECOND);
    }
    assert!(source.calls() <= 10, "{} calls", source.calls());
}

#[test]
fn whoever_wants_a_newer_one_begins_a_lost_load_once_more() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let seen = get(&runtime, &provider).unwrap();
    source.next(Act::Hang);
    let mut newer = provider.refreshed(&seen);
    assert!(poll_once(&mut newer).is_pending());
    runtime.run();
    runtime.drop_tasks();
    assert_eq!(*at_once(&provider).unwrap().unwrap(), 1);
    assert_eq!(runtime.block_on(newer).unwrap().map(|cached| *cached), Some(3));

    let (_, _, provider) = mortal(Act::Give(HOUR));
    let seen = at_once(&provider).unwrap().unwrap();
    let Poll::Ready(newer) = poll_once(&mut provider.refreshed(&seen)) else {
        panic!("the source answers at once")
    };
    assert!(newer.is_some_and(|newer| newer.generation() == 2));
}

#[test]
fn a_caller_ends_by_the_deadline_of_a_load_also_if_one_was_lost_under_it() {
    let (runtime, source, provider) = stage(Act::Hang);
    let mut early = provider.get();
    assert!(poll_once(&mut early).is_pending());
    runtime.run();
    runtime.advance(10 * SECOND);
    runtime.drop_tasks();
    assert!(poll_once(&mut early).is_pending());
    let mut late = provider.get();
    assert!(poll_once(&mut late).is_pending());
    assert_eq!(source.calls(), 2);
    runtime.advance(6 * SECOND);
    assert!(runtime.block_on(early).unwrap().is_err());
    assert!(poll_once(&mut late).is_pending(), "whose load is six seconds old");
    assert_eq!(provider.status().consecutive_failures, 0);
    runtime.advance(9 * SECOND);
    assert!(runtime.block_on(late).unwrap().is_err());
    assert_eq!((provider.status().consecutive_failures, source.calls()), (1, 2));
}

#[test]
fn nobody_waits_for_more_than_two_seconds_behind_a_valid_credential_also_if_a_load_was_lost() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    runtime.advance(59 * MINUTE + SECOND);
    source.then_always(Act::Hang);
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.run();
    runtime.advance(SECOND);
    runtime.drop_tasks();
    assert!(poll_once(&mut caller).is_pending());
    runtime.advance(SECOND);
    assert_eq!(poll_once(&mut caller).map(|answer| *answer.unwrap()), Poll::Ready(1));
    assert_eq!(source.calls(), 3);
}

#[test]
fn once_a_lost_load_was_made_up_for_the_next_one_is_driven_by_a_task_again() {
    let (runtime, source, provider) = stage(Act::Give(8 * SECOND));
    source.next(Act::Hang);
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.run();
    runtime.drop_tasks();
    assert_eq!(poll_once(&mut caller).map(|answer| *answer.unwrap()), Poll::Ready(2));
    runtime.advance(6 * SECOND);
    assert_eq!(provider.try_get().map(|cached| *cached), Some(2));
    runtime.run();
    assert_eq!((source.calls(), provider.try_get().map(|cached| *cached)), (3, Some(3)));
}

#[test]
fn a_runtime_that_dies_ends_no_refresh_for_good_whatever_the_load_deadline() {
    let (time, source, _) = stage(Act::Give(10 * HOUR));
    let provider = CachedProvider::builder(Arc::clone(&source))
        .runtime(Mortal(time.clone()))
        .load_deadline(Duration::MAX)
        .build();
    at_once(&provider).unwrap().unwrap();
    time.advance(9 * HOUR + 30 * MINUTE);
    source.then_always(Act::Hang);
    for calls in [2, 3] {
        assert_eq!(provider.with(|number| *number), Some(1));
        assert_eq!(provider.try_get().map(|cached| *cached), Some(1));
        assert_eq!(source.calls(), calls);
        time.advance(15 * MINUTE);
    }
}
