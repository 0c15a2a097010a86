//! Who goes, and who stays.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credfed_core::cached::{Observer, PoolError, Settings, State};
use credfed_core::runtime::Runtime;
use credfed_core::{ErrorKind, Expiring, Identity, ProviderPool, provider_fn};
use proptest::prelude::*;

use super::{Alive, Tenant, house, tenant, why};
use crate::support::{Act, HOUR, MINUTE, SECOND, Source, down};

#[test]
fn the_least_recently_used_one_goes_first() {
    let house = house(3, Act::Give(HOUR));
    house.prove([1, 2, 3]);
    house.serve(1).unwrap();
    house.prove([4]);
    assert_eq!(house.pool.status().evicted, 1);
    house.prove([5]);
    assert_eq!(house.there(1..=5), [1, 4, 5]);
    assert_eq!(house.pool.status().entries, 3);
}

#[test]
fn an_evicted_provider_is_asked_for_anew() {
    let house = house(1, Act::Give(HOUR));
    assert_eq!(house.serve(1).unwrap(), 1);
    assert_eq!(house.serve(2).unwrap(), 2);
    assert_eq!(house.ask(1).unwrap().status().state, State::Empty);
    assert_eq!(house.serve(1).unwrap(), 3);
}

#[test]
fn one_that_was_only_asked_for_once_is_known_to_have_loaded() {
    let house = house(4, Act::Give(HOUR));
    for number in 1..=4 {
        house.serve(number).unwrap();
    }
    house.source.then_always(Act::Fail(down()));
    house.ask(5).unwrap();
    house.ask(6).unwrap();
    assert_eq!(house.there(1..=6), [2, 3, 4, 6], "the first to go is the oldest, then the one that is new");
}

#[test]
fn a_new_one_gets_in_however_many_loaded_once_and_were_never_asked_for_again() {
    for capacity in [4_u16, 1_024, 2_000] {
        let house = house(usize::from(capacity), Act::Give(HOUR));
        let capacity = u32::from(capacity);
        for number in 0..capacity {
            house.serve(number).unwrap();
            house.runtime.advance(Duration::from_millis(1));
        }
        for number in capacity..capacity + 50 {
            house.serve(number).unwrap();
            house.runtime.advance(Duration::from_millis(1));
        }
        assert_eq!(house.pool.status().refused_full, 0);
        let there = house.there(0..capacity + 50);
        assert_eq!(there, Vec::from_iter(50..capacity + 50), "the least recently used ones made room");
    }
}

#[test]
fn among_those_that_loaded_it_is_the_order_of_use_that_counts_and_not_how_often() {
    let house = house(5, Act::Give(HOUR));
    let a_minute_later = |number, times| {
        house.runtime.advance(MINUTE);
        for _ in 0..times {
            house.serve(number).unwrap();
        }
    };
    a_minute_later(1, 1);
    a_minute_later(2, 2);
    a_minute_later(3, 1);
    a_minute_later(4, 2);
    a_minute_later(5, 1);
    for number in 6..=9 {
        a_minute_later(number, 1);
        let gone_to = number - 5;
        assert_eq!(house.pool.status().evicted, u64::from(gone_to));
        let oldest = house.pool.get(&tenant(gone_to));
        assert!(oldest.is_none(), "{gone_to} was the least recently used one");
    }
    assert_eq!(house.there(1..=9), [5, 6, 7, 8, 9]);
}

#[test]
fn a_search_for_room_does_not_count_as_use_of_what_it_looks_at() {
    let house = house(3, Act::Give(12 * HOUR));
    house.prove([1]);
    house.runtime.advance(MINUTE);
    house.serve(2).unwrap();
    house.runtime.advance(29 * MINUTE);
    house.prove([3]);
    house.ask(4).unwrap();
    house.runtime.advance(31 * MINUTE);
    assert_eq!(house.pool.evict_idle(), 1);
    assert_eq!(house.there(1..=4), [3, 4]);
}

#[test]
fn a_load_in_flight_keeps_its_place_though_nobody_holds_a_handle() {
    let house = house(1, Act::Late(SECOND, Box::new(Act::Give(HOUR))));
    assert!(house.ask(1).unwrap().try_get().is_none());
    house.runtime.run();
    assert_eq!(house.source.calls(), 1);
    assert_eq!(why(&house.ask(2).unwrap_err()), Some(PoolError::Full));
    house.runtime.advance(SECOND);
    let provider = house.pool.get(&tenant(1)).unwrap();
    assert_eq!((provider.with(|number| *number), house.source.calls()), (Some(1), 1));
    drop(provider);
    house.ask(2).unwrap();
    assert_eq!(house.there([1, 2]), [2]);
}

#[test]
fn a_load_whose_runtime_is_gone_keeps_no_place() {
    let house = house(1, Act::Hang);
    assert!(house.ask(1).unwrap().try_get().is_none());
    house.runtime.run();
    house.runtime.drop_tasks();
    house.ask(2).unwrap();
    assert_eq!(house.there([1, 2]), [2]);
}

#[test]
fn a_handle_keeps_its_place_and_so_does_one_who_waits() {
    let house = house(2, Act::Give(HOUR));
    house.prove([1, 2]);
    let handle = house.ask(1).unwrap();
    house.prove([2, 3, 4]);
    assert_eq!(house.there([1, 2, 3]), [1], "the least recently used one is held");
    drop(handle);
    let waiting = house.ask(1).unwrap().get();
    house.prove([4, 5]);
    assert!(house.has(1));
    drop(waiting);
    house.prove([5, 6, 7]);
    assert!(!house.has(1));
}

#[test]
fn what_nobody_uses_for_long_goes_without_a_task() {
    let house = house(8, Act::Give(12 * HOUR));
    house.prove([1, 2]);
    let held = house.ask(3).unwrap();
    house.runtime.advance(59 * MINUTE);
    house.serve(2).unwrap();
    house.runtime.advance(MINUTE);
    assert_eq!(house.runtime.tasks(), 0);
    assert_eq!(house.pool.status().entries, 3, "nothing runs when idle");
    house.serve(2).unwrap();
    assert_eq!(house.there([1, 2, 3]), [2, 3]);
    assert_eq!((house.pool.status().idle_evicted, house.pool.status().evicted), (1, 0));
    drop(held);
    house.runtime.advance(HOUR);
    assert_eq!(house.pool.evict_idle(), 2);
    assert_eq!(house.pool.status().entries, 0);
}

#[test]
fn one_call_lets_go_of_few_idle_ones_and_one_sweep_of_all() {
    let house = house(1_000, Act::Give(HOUR));
    for number in 0..1_000 {
        house.ask(number).unwrap();
    }
    let held: Vec<_> = (0..300).map(|number| house.ask(number).unwrap()).collect();
    house.runtime.advance(HOUR);
    house.ask(300).unwrap();
    assert_eq!(house.pool.status().idle_evicted, 2);
    assert_eq!(house.pool.evict_idle(), 697);
    assert_eq!(house.pool.status().entries, 301);
    drop(held);
    assert_eq!(house.pool.evict_idle(), 0, "they were in use until a moment ago");
    house.runtime.advance(HOUR);
    assert_eq!(house.pool.evict_idle(), 301);
}

#[test]
fn a_pool_whose_providers_are_all_in_use_refuses_and_does_not_grow() {
    let house = house(4, Act::Give(HOUR));
    let mut held: Vec<_> = (0..4).map(|number| house.ask(number).unwrap()).collect();
    for number in 4..100 {
        let error = house.ask(number).unwrap_err();
        assert_eq!((error.kind(), why(&error)), (ErrorKind::Throttled, Some(PoolError::Full)));
    }
    let status = house.pool.status();
    assert_eq!((status.entries, status.capacity, status.refused_full), (4, 4, 96));
    for number in 0..4 {
        house.ask(number).unwrap();
    }
    drop(held.remove(2));
    house.ask(100).unwrap();
    assert_eq!(house.there((0..4).chain([100])), [0, 1, 3, 100]);
}

#[test]
fn many_in_use_hide_one_that_can_go_for_a_few_calls_only() {
    let house = house(2_000, Act::Give(HOUR));
    let mut held: Vec<_> = (0..2_000).map(|number| house.ask(number).unwrap()).collect();
    held.pop();
    let refused = (2_000..2_100).take_while(|&number| house.ask(number).is_err()).count();
    assert!(refused <= 8, "{refused}");
}

#[test]
fn the_smallest_pool_holds_one() {
    let house = house(0, Act::Give(HOUR));
    for number in 0..10 {
        house.prove([number]);
    }
    assert_eq!((house.there(0..10), house.pool.status().capacity), (vec![9], 1));
}

#[derive(Clone, Debug, Default)]
struct Gone(Arc<Mutex<Vec<Identity>>>);

impl Observer for Gone {
    fn evicted(&self, identity: &Identity) {
        self.0.lock().unwrap().push(*identity);
    }
}

#[test]
fn the_observer_is_told_what_went() {
    let (gone, runtime) = (Gone::default(), house(1, Act::Hang).runtime);
    let settings = Settings::new().runtime(runtime.clone()).observer(gone.clone());
    let pool = ProviderPool::builder().capacity(2).admission(3, HOUR).settings(settings).build();
    let source = Source::new(&runtime, Act::Give(HOUR));
    let ask = |number| drop(pool.provider(Tenant { number, source: Arc::clone(&source) }).unwrap());
    (1..=3).for_each(ask);
    runtime.advance(HOUR);
    assert_eq!(pool.evict_idle(), 2);
    assert_eq!(*gone.0.lock().unwrap(), [1, 2, 3].map(tenant));
}

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the test says so");
    }
}

#[derive(Debug)]
struct Loud(Gone);

impl Observer for Loud {
    fn evicted(&self, identity: &Identity) {
        self.0.evicted(identity);
        panic!("the test says so");
    }
}

#[test]
fn a_panic_in_what_goes_or_in_the_observer_reaches_nobody_who_asks() {
    let (gone, runtime) = (Gone::default(), house(1, Act::Hang).runtime);
    let settings = Settings::new().runtime(runtime.clone()).observer(Loud(gone.clone()));
    let pool = ProviderPool::builder().capacity(3).admission(4, HOUR).settings(settings).build();
    for number in 1..=4 {
        let bomb = Bomb;
        let source = provider_fn(tenant(number), move || {
            let _ = &bomb;
            async { Ok(Expiring::after(0, HOUR)) }
        });
        drop(pool.provider(source).unwrap());
    }
    runtime.advance(HOUR);
    assert_eq!(pool.evict_idle(), 3);
    assert_eq!(*gone.0.lock().unwrap(), [1, 2, 3, 4].map(tenant));
}

#[test]
fn the_secrets_of_what_went_are_gone_at_once_unless_somebody_holds_them() {
    let alive = Arc::new(AtomicUsize::new(0));
    let pool = ProviderPool::builder().capacity(1).admission(3, HOUR).build();
    let ask = |number| {
        let count = Arc::clone(&alive);
        pool.provider(provider_fn(tenant(number), move || {
            let secret = Alive::new(&count);
            async move { Ok(Expiring::after(secret, HOUR)) }
        }))
    };
    let load = |number| futures::executor::block_on(ask(number).unwrap().get()).unwrap();
    drop(load(1));
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    ask(2).unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    let held = load(2);
    ask(3).unwrap();
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    drop(held);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    drop(load(3));
    drop(pool);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Serve(u32),
    Hold(u32),
    Release(u32),
    Fail(bool),
    Advance(u64),
    Remove(u32),
    /// Begins a load and leaves it.
    Load(u32),
    LoseTasks,
    EvictIdle,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12_u32).prop_map(Op::Serve),
        2 => (0..12_u32).prop_map(Op::Hold),
        2 => (0..12_u32).prop_map(Op::Release),
        1 => any::<bool>().prop_map(Op::Fail),
        2 => prop_oneof![0..20_u64, 0..2_000_u64].prop_map(Op::Advance),
        1 => (0..12_u32).prop_map(Op::Remove),
        3 => (0..12_u32).prop_map(Op::Load),
        1 => Just(Op::LoseTasks),
        1 => Just(Op::EvictIdle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_calls_breaks_the_bound_or_takes_what_is_held_or_loading(
        ops in prop::collection::vec(op(), 0..120),
        capacity in 1..6_usize,
    ) {
        let house = house(capacity, Act::Give(12 * HOUR));
        let mut held = HashMap::new();
        let mut loading: HashMap<u32, Duration> = HashMap::new();
        for op in ops {
            match op {
                Op::Serve(number) if loading.contains_key(&number) => {}
                Op::Serve(number) => drop(house.serve(number)),
                Op::Hold(number) => {
                    if let Ok(provider) = house.ask(number) {
                        held.insert(number, provider);
                    }
                }
                Op::Release(number) => drop(held.remove(&number)),
                Op::Fail(true) => house.source.then_always(Act::Fail(down())),
                Op::Fail(false) => house.source.then_always(Act::Give(12 * HOUR)),
                Op::Advance(seconds) => house.runtime.advance(Duration::from_secs(seconds)),
                Op::Remove(number) => {
                    held.remove(&number);
                    loading.remove(&number);
                    house.pool.remove(&tenant(number));
                }
                Op::Load(number) => {
                    let before = house.source.calls();
                    house.source.next(Act::Hang);
                    drop(house.ask(number).map(|provider| provider.try_get()));
                    house.runtime.run();
                    if house.source.calls() > before {
                        loading.insert(number, house.runtime.now().monotonic() + 15 * SECOND);
                    } else {
                        house.source.forget_script();
                    }
                }
                Op::LoseTasks => {
                    house.runtime.drop_tasks();
                    loading.clear();
                }
                Op::EvictIdle => drop(house.pool.evict_idle()),
            }
            loading.retain(|_, ends| house.runtime.now().monotonic() < *ends);
            let status = house.pool.status();
            prop_assert!(status.entries <= capacity && status.newcomers <= status.entries);
            for number in loading.keys() {
                let there = house.pool.get(&tenant(*number));
                prop_assert!(there.is_some_and(|there| there.status().refreshing), "{number} was loading");
            }
            for (number, provider) in &held {
                let there = house.pool.get(&tenant(*number));
                prop_assert!(there.is_some(), "{number} was held");
                prop_assert_eq!(there.map(|there| there.status().generation), Some(provider.status().generation));
            }
        }
        held.clear();
        house.runtime.advance(HOUR);
        house.pool.evict_idle();
        prop_assert_eq!(house.pool.status().entries, 0);
    }
}
