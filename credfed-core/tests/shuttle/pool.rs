//! A pool, from several threads at once.

use std::sync::Arc;

use crate::cached::shuttle_tests::support::{Source, Threads, explore, get, join, thread};
use crate::cached::{ProviderPool, Settings};
use crate::{Identity, Provider, StaticProvider};

fn pool(capacity: usize) -> ProviderPool<u32> {
    ProviderPool::builder().capacity(capacity).settings(Settings::new().runtime(Threads::new())).build()
}

#[test]
fn all_who_ask_for_one_identity_share_its_cache() {
    explore(|| {
        let (pool, source) = (pool(2), Source::new(&[]));
        let askers = [0, 1].map(|_| {
            let (pool, source) = (pool.clone(), Arc::clone(&source));
            thread(move || get(&pool.provider(source).unwrap()).unwrap())
        });
        let served = join(askers);
        assert!(served.iter().all(|cached| cached.generation() == 1));
        assert_eq!((source.calls(), pool.status().entries), (1, 1));
    });
}

#[test]
fn one_whose_handle_is_held_does_not_make_room() {
    explore(|| {
        let (pool, source) = (pool(1), Source::new(&[]));
        let strangers = [0, 1].map(|number| {
            let pool = pool.clone();
            thread(move || drop(pool.provider(StaticProvider::new(number))))
        });
        let held = pool.provider(Arc::clone(&source));
        if let Ok(held) = &held {
            get(held).unwrap();
        }
        join(strangers);
        assert!(pool.status().entries <= 1);
        if let Ok(held) = held {
            let found = pool.get(&source.identity()).expect("it went although it was in use");
            assert_eq!((found.status(), source.calls()), (held.status(), 1));
        }
        assert!(pool.get(&Identity::of("nobody").finish()).is_none());
    });
}
