//! What follows from a credential alone.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicU32, Ordering};

use crate::cached::Mode;
use crate::cached::shuttle_tests::support::{explore, get, join, stage, thread};

#[test]
fn threads_that_derive_together_see_one_value_of_each_type() {
    explore(|| {
        let (_, _, provider) = stage(Mode::Inline, &[]);
        let cached = get(&provider).unwrap();
        let made = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let derivers = [0, 1, 2].map(|turn| {
            let (cached, made) = (cached.clone(), Arc::clone(&made));
            thread(move || {
                let number = || *cached.derive(|_| made[0].fetch_add(1, Ordering::SeqCst));
                let text = || cached.derive(|_| made[1].fetch_add(1, Ordering::SeqCst).to_string()).clone();
                if turn == 0 {
                    let text = text();
                    (number(), text)
                } else {
                    (number(), text())
                }
            })
        });
        assert!(join(derivers).into_iter().all(|(number, text)| (number, text.as_str()) == (0, "0")));
        assert_eq!([0, 1].map(|turn: usize| made[turn].load(Ordering::SeqCst)), [1, 1]);
    });
}

#[test]
fn a_derivation_that_panics_leaves_room_for_the_next_one() {
    explore(|| {
        let (_, _, provider) = stage(Mode::Inline, &[]);
        let cached = get(&provider).unwrap();
        let panics = {
            let cached = cached.clone();
            thread(move || {
                let derive =
                    || cached.derive::<u64>(|_| std::panic::resume_unwind(Box::new("so says the test")));
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(derive));
            })
        };
        assert_eq!(*cached.derive(|_| 7_u64), 7);
        panics.join();
    });
}
