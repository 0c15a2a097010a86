//! Callers that come to look long after what they wait for is over.

use std::task::Poll;

use crate::support::{Act, HOUR, SECOND, get, poll_once, stage};

/// Takes a second, and lasts for one.
fn short_lived() -> Act {
    Act::Late(SECOND, Box::new(Act::Give(2 * SECOND)))
}

#[test]
fn a_caller_that_slept_past_its_deadline_has_as_much_time_as_one_who_comes_now() {
    let (runtime, source, provider) = stage(short_lived());
    let mut caller = provider.get();
    assert!(poll_once(&mut caller).is_pending());
    runtime.run();
    runtime.advance(SECOND);
    runtime.advance(29 * SECOND);
    assert!(poll_once(&mut caller).is_pending(), "what it waited for has expired");
    runtime.advance(SECOND);
    assert_eq!(poll_once(&mut caller).map(|answer| *answer.unwrap()), Poll::Ready(2));
    assert_eq!(source.calls(), 2);
}

#[test]
fn a_caller_gives_up_once_four_loads_were_of_no_use_to_it() {
    let (runtime, source, provider) = stage(short_lived());
    let mut caller = provider.get();
    for _ in 0..4 {
        assert!(poll_once(&mut caller).is_pending());
        runtime.run();
        runtime.advance(SECOND);
        runtime.advance(SECOND);
    }
    let Poll::Ready(Err(error)) = poll_once(&mut caller) else { panic!("waits for a fifth one") };
    assert!(error.to_string().contains("no credential lasted"), "{error}");
    assert_eq!((source.calls(), provider.status().consecutive_failures), (4, 0));
}

#[test]
fn a_caller_that_gives_up_is_served_what_is_valid_by_then() {
    let (runtime, source, provider) = stage(short_lived());
    let mut caller = provider.get();
    for _ in 0..4 {
        assert!(poll_once(&mut caller).is_pending());
        runtime.run();
        runtime.advance(SECOND);
        runtime.advance(SECOND);
    }
    source.then_always(Act::Give(HOUR));
    assert_eq!(*get(&runtime, &provider).unwrap(), 5);
    assert_eq!(poll_once(&mut caller).map(|answer| *answer.unwrap()), Poll::Ready(5));
}
