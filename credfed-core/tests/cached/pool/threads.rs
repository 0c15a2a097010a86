//! Real threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use credfed_core::{Expiring, ProviderPool, provider_fn};

use super::tenant;
use crate::support::HOUR;

#[test]
fn threads_that_ask_together_get_one_cache() {
    for _ in 0..50 {
        let pool = ProviderPool::builder().admission(1, HOUR).build();
        let (made, together) = (AtomicU32::new(0), Barrier::new(4));
        let ask = || {
            together.wait();
            let make = || {
                let number = made.fetch_add(1, Ordering::SeqCst);
                provider_fn(tenant(1), move || async move { Ok(Expiring::after(number, HOUR)) })
            };
            let provider = pool.get_or_insert_with(tenant(1), make).unwrap();
            *futures::executor::block_on(provider.get()).unwrap()
        };
        let seen = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(ask));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(seen.iter().all(|number| *number == seen[0]), "{seen:?}");
        assert_eq!(pool.status().entries, 1);
    }
}

#[test]
fn threads_never_lose_what_they_hold() {
    let pool = ProviderPool::builder().capacity(6).admission(1, Duration::ZERO).build();
    let made = AtomicU32::new(0);
    let ask = |number| {
        pool.get_or_insert_with(tenant(number), || {
            let made = made.fetch_add(1, Ordering::SeqCst);
            provider_fn(tenant(number), move || async move { Ok(Expiring::after(made, HOUR)) })
        })
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (pool, ask) = (&pool, &ask);
            scope.spawn(move || {
                for turn in 0..2_000_u32 {
                    let number = (turn * 7 + thread) % 12;
                    let Ok(held) = ask(number) else { continue };
                    let first = *futures::executor::block_on(held.get()).unwrap();
                    let _ = ask((number + 5) % 12);
                    let again = ask(number).unwrap();
                    assert_eq!(*futures::executor::block_on(again.get()).unwrap(), first);
                    assert!(pool.status().entries <= 6);
                }
            });
        }
    });
}
