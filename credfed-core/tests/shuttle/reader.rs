//! A reader, which remembers what it saw last.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicBool, Ordering};

use crate::Rejection;
use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{explore, get, stage, thread};

#[test]
fn it_never_goes_back_and_never_serves_what_was_rejected_before() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[]);
        let seen = get(&provider).unwrap();
        let rejected = Arc::new(AtomicBool::new(false));
        let reading = {
            let (mut reader, rejected) = (provider.reader(), Arc::clone(&rejected));
            thread(move || {
                let mut last = 0;
                for _ in 0..4 {
                    let until_then = rejected.load(Ordering::SeqCst);
                    let Some(generation) = reader.cached().map(|cached| cached.generation()) else {
                        continue;
                    };
                    assert!(generation >= last && (generation > 1 || !until_then));
                    last = generation;
                }
            })
        };
        provider.refresh(&seen);
        provider.invalidate(&seen, Rejection::Invalid);
        rejected.store(true, Ordering::SeqCst);
        assert_eq!(get(&provider).unwrap().generation(), 2);
        reading.join();
        assert_eq!(provider.reader().read(), Some(&2));
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}
