//! A handle that looks at what it holds first.

use credfed_core::{CachedProvider, Rejection, StaticProvider};

use crate::support::{Act, HOUR, MINUTE, get, stage};

#[test]
fn a_reader_serves_what_is_current_and_nothing_else() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    let mut reader = provider.reader();
    assert_eq!(reader.read(), None, "nothing is there yet");
    runtime.run();
    assert_eq!(reader.read(), Some(&1), "the look started the load");
    source.then_always(Act::Hang);
    runtime.advance(59 * MINUTE);
    assert_eq!(reader.read(), Some(&1));
    runtime.advance(MINUTE);
    assert_eq!(reader.read(), None, "it has expired");
}

#[test]
fn a_reader_starts_the_refresh_ahead_and_sees_what_it_brings() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    let mut reader = provider.reader();
    assert_eq!(reader.read(), Some(&1));
    runtime.advance(53 * MINUTE);
    assert_eq!(reader.read(), Some(&1));
    runtime.run();
    assert_eq!((source.calls(), reader.read()), (2, Some(&2)));
}

#[test]
fn a_reader_does_not_serve_what_was_rejected() {
    let (runtime, _, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    let mut reader = provider.reader();
    let seen = reader.cached().unwrap();
    assert_eq!(seen.generation(), 1);
    provider.invalidate(&seen, Rejection::Invalid);
    assert_eq!(reader.read(), None);
    runtime.run();
    assert_eq!(reader.read(), Some(&2));
}

#[test]
fn readers_of_one_cache_share_what_is_derived() {
    let provider = CachedProvider::new(StaticProvider::new("canary"));
    futures::executor::block_on(provider.get()).unwrap();
    let mut reader = provider.reader();
    let mut other = reader.clone();
    let text = reader.derive(|text| text.to_uppercase()).unwrap();
    assert_eq!(text, "CANARY");
    let same = other.derive(|_| String::from("derived anew")).unwrap();
    assert!(std::ptr::eq(text, same));
    assert!(!format!("{reader:?}").contains("canary"), "{reader:?}");
}
