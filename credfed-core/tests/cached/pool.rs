//! Many identities, a bounded number of caches.

use std::collections::HashMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use credfed_core::cached::{Observer, PoolBuilder, PoolError, Settings, State};
use credfed_core::{
    CachedProvider, ErrorKind, Expiring, Identity, Provider, ProviderError, ProviderPool, VirtualRuntime,
    provider_fn,
};
use proptest::prelude::*;

use crate::support::{Act, HOUR, MINUTE, SECOND, Source, down, get, poll_once, stage};

fn tenant(number: u32) -> Identity {
    Identity::of("tenant").part("number", number.to_be_bytes()).finish()
}

/// The source of one tenant; all tenants act by one script.
#[derive(Debug)]
struct Tenant {
    number: u32,
    source: Arc<Source>,
}

impl Provider for Tenant {
    type Credential = u32;

    fn identity(&self) -> Identity {
        tenant(self.number)
    }

    fn provide(&self) -> impl Future<Output = Result<Expiring<u32>, ProviderError>> + Send {
        self.source.provide()
    }
}

struct House {
    runtime: VirtualRuntime,
    source: Arc<Source>,
    pool: ProviderPool<u32>,
}

/// A pool of this capacity that lets in whoever comes.
fn house(capacity: usize, habit: Act) -> House {
    house_with(habit, |pool| pool.capacity(capacity).admission(1, Duration::ZERO))
}

fn house_with(habit: Act, set: impl FnOnce(PoolBuilder<u32>) -> PoolBuilder<u32>) -> House {
    let (runtime, source, _) = stage(habit);
    let settings = Settings::new().runtime(runtime.clone());
    let pool = set(ProviderPool::builder().settings(settings)).build();
    House { runtime, source, pool }
}

impl House {
    fn ask(&self, number: u32) -> Result<CachedProvider<u32>, ProviderError> {
        self.pool.provider(Tenant { number, source: Arc::clone(&self.source) })
    }

    /// Asks for a credential and holds nothing afterwards.
    fn serve(&self, number: u32) -> Result<u32, ProviderError> {
        let provider = self.ask(number)?;
        get(&self.runtime, &provider).map(|cached| *cached)
    }

    fn prove(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.serve(number).unwrap();
            self.serve(number).unwrap();
        }
    }

    fn has(&self, number: u32) -> bool {
        self.there([number]).len() == 1
    }

    /// Which of them are there. Does count as use, so ask once, at the end.
    fn there(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
        numbers.into_iter().filter(|&number| self.pool.get(&tenant(number)).is_some()).collect()
    }
}

fn why(error: &ProviderError) -> Option<PoolError> {
    error.source().and_then(|cause| cause.downcast_ref()).copied()
}

#[test]
fn equal_identities_share_one_cache_and_others_never_do() {
    let house = house(8, Act::Give(HOUR));
    assert_eq!([house.serve(1), house.serve(2)].map(Result::unwrap), [1, 2]);
    assert_eq!([house.serve(1), house.serve(2)].map(Result::unwrap), [1, 2]);
    assert_eq!(house.source.calls(), 2);
    let (first, again) = (house.ask(1).unwrap(), house.ask(1).unwrap());
    house.runtime.advance(55 * MINUTE);
    get(&house.runtime, &first).unwrap();
    house.runtime.run();
    assert_eq!(*get(&house.runtime, &again).unwrap(), 3, "what one refreshes the other has");
}

#[test]
fn clones_are_one_pool() {
    let house = house(8, Act::Give(HOUR));
    let clone = house.pool.clone();
    assert_eq!(house.serve(1).unwrap(), 1);
    let provider = clone.get(&tenant(1)).unwrap();
    assert_eq!(provider.with(|number| *number), Some(1));
    assert_eq!(clone.status(), house.pool.status());
}

#[test]
fn a_source_is_made_only_for_an_identity_that_is_not_there() {
    let house = house(8, Act::Give(HOUR));
    let made = AtomicU32::new(0);
    let make = || {
        made.fetch_add(1, Ordering::SeqCst);
        Tenant { number: 1, source: Arc::clone(&house.source) }
    };
    for _ in 0..3 {
        house.pool.get_or_insert_with(tenant(1), make).unwrap();
    }
    assert_eq!((made.into_inner(), house.source.calls()), (1, 0), "and nothing is loaded for it");
}

#[test]
fn every_provider_has_the_settings_of_the_pool() {
    let settings =
        |runtime: &VirtualRuntime| Settings::new().runtime(runtime.clone()).load_deadline(3 * SECOND);
    let house = house(8, Act::Hang);
    let pool = ProviderPool::builder().settings(settings(&house.runtime)).build();
    for number in 0..3 {
        let provider = pool.provider(Tenant { number, source: Arc::clone(&house.source) }).unwrap();
        let mut waiting = provider.get();
        assert!(poll_once(&mut waiting).is_pending());
        house.runtime.advance(3 * SECOND);
        assert!(poll_once(&mut waiting).is_ready());
    }
}

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
fn too_many_new_identities_are_refused_until_time_passes() {
    let house = house_with(Act::Give(HOUR), |pool| pool.admission(5, 2 * SECOND));
    for number in 0..5 {
        house.serve(number).unwrap();
    }
    let make = || -> Tenant { panic!("it is refused before a source is made") };
    let error = house.pool.get_or_insert_with(tenant(5), make).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(2 * SECOND));
    assert_eq!(why(&error), Some(PoolError::TooManyNew { retry_after: 2 * SECOND }));
    for number in 0..5 {
        house.serve(number).unwrap();
    }
    house.runtime.advance(2 * SECOND);
    house.serve(5).unwrap();
    house.serve(6).unwrap_err();
    house.runtime.advance(MINUTE);
    for number in 6..11 {
        house.serve(number).unwrap();
    }
    house.serve(11).unwrap_err();
    assert_eq!((house.pool.status().entries, house.pool.status().refused_new), (11, 3));
}

#[test]
fn a_flood_costs_the_source_a_bounded_number_of_calls_and_evicts_none_of_the_proven() {
    let house = house_with(Act::Give(12 * HOUR), |pool| pool.capacity(64));
    house.prove(0..60);
    let before = house.source.calls();
    house.source.then_always(Act::Fail(ProviderError::rejected("no such role")));
    let mut next = 1_000;
    for _ in 0..600 {
        for _ in 0..20 {
            next += 1;
            let _ = house.serve(next);
        }
        house.runtime.advance(Duration::from_millis(100));
    }
    let calls = house.source.calls() - before;
    assert!((600..=664).contains(&calls), "{calls} calls in a minute of flood, at 10 per second");
    assert_eq!(house.there(0..60).len(), 60);
    assert_eq!(house.pool.status().entries, 64);
}

#[test]
fn newcomers_that_fail_go_before_the_proven_even_if_they_are_used_more() {
    let house = house(4, Act::Give(HOUR));
    house.prove([1, 2, 3]);
    house.source.then_always(Act::Fail(down()));
    for number in 4..100 {
        for _ in 0..3 {
            house.serve(number).unwrap_err();
        }
    }
    assert_eq!(house.there(0..100), [1, 2, 3, 99]);
}

#[test]
fn newcomers_that_keep_on_loading_take_a_quarter_of_a_full_pool_at_most() {
    let house = house(16, Act::Give(12 * HOUR));
    house.prove(0..16);
    house.source.then_always(Act::Hang);
    let let_in = (16..1_000).filter(|&number| house.ask(number).is_ok_and(|p| p.try_get().is_none())).count();
    assert_eq!(let_in, 4);
    assert_eq!(house.there(0..16), Vec::from_iter(4..16), "the least recently used ones made room");
    // Their loads end, and with them their right to stay.
    house.runtime.advance(MINUTE);
    house.source.then_always(Act::Give(HOUR));
    house.prove([1_000]);
    assert_eq!(house.there((0..16).chain([1_000])), Vec::from_iter((4..16).chain([1_000])));
}

#[test]
fn a_panic_while_a_source_is_made_harms_nothing() {
    let house = house_with(Act::Give(HOUR), |pool| pool.admission(1, HOUR));
    let make = || -> Tenant { panic!("the test says so") };
    for _ in 0..3 {
        let outcome = catch_unwind(AssertUnwindSafe(|| house.pool.get_or_insert_with(tenant(1), make)));
        assert!(outcome.is_err());
    }
    let fails = || -> Result<Tenant, _> { Err(down()) };
    house.pool.get_or_try_insert_with(tenant(1), fails).unwrap_err();
    assert_eq!(house.pool.status().entries, 0);
    assert_eq!(house.serve(1).unwrap(), 1, "nor did it use up the one admission");
}

#[test]
fn a_source_may_be_made_with_the_help_of_the_pool() {
    let house = house(8, Act::Give(HOUR));
    let make = |number| Tenant { number, source: Arc::clone(&house.source) };
    let provider = house.pool.get_or_insert_with(tenant(1), || {
        // The role that this one is assumed with, and by mistake this very one.
        let base = house.pool.get_or_insert_with(tenant(2), || make(2)).unwrap();
        get(&house.runtime, &base).unwrap();
        house.pool.get_or_insert_with(tenant(1), || make(1)).unwrap();
        make(1)
    });
    assert_eq!(*get(&house.runtime, &provider.unwrap()).unwrap(), 2);
    assert_eq!(house.serve(1).unwrap(), 2, "there is one cache for it");
    assert_eq!(house.pool.status().entries, 2);
}

#[test]
fn a_source_with_another_identity_than_was_asked_for_is_refused() {
    let house = house(8, Act::Give(HOUR));
    let make = || Tenant { number: 2, source: Arc::clone(&house.source) };
    let error = house.pool.get_or_insert_with(tenant(1), make).unwrap_err();
    assert_eq!((error.kind(), why(&error)), (ErrorKind::Misconfigured, Some(PoolError::OtherIdentity)));
    assert_eq!(house.pool.status().entries, 0);
}

#[test]
fn what_is_removed_is_made_anew_and_its_handles_go_on() {
    let house = house(8, Act::Give(HOUR));
    assert_eq!(house.serve(1).unwrap(), 1);
    let handle = house.ask(1).unwrap();
    assert!(house.pool.remove(&tenant(1)) && !house.pool.remove(&tenant(1)));
    assert_eq!(house.serve(1).unwrap(), 2);
    assert_eq!(handle.with(|number| *number), Some(1));
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

/// Counts what is alive of its kind.
#[derive(Debug)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
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

#[test]
fn a_million_identities_take_no_more_than_the_capacity() {
    let (caches, most) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let flood = |house: &House, numbers: std::ops::Range<u32>| {
        for number in numbers {
            let make = || {
                let (alive, source) = (Alive::new(&caches), Arc::clone(&house.source));
                most.fetch_max(caches.load(Ordering::Relaxed), Ordering::Relaxed);
                provider_fn(tenant(number), move || {
                    let _ = &alive;
                    let source = Arc::clone(&source);
                    async move { source.provide().await }
                })
            };
            let _ = house.pool.get_or_insert_with(tenant(number), make);
            if number % 1_000 == 0 {
                house.runtime.advance(SECOND);
            }
        }
        assert!(house.pool.status().entries <= 1_024);
    };
    // Once with the limit on what is new, and for a while without.
    let limited = house_with(Act::Give(HOUR), |pool| pool);
    flood(&limited, 0..1_000_000);
    let made = limited.pool.status().evicted + 1_024;
    assert!(made < 12_000, "{made} were let in within 1,000 s");
    drop(limited);
    flood(&house(1_024, Act::Give(HOUR)), 0..50_000);
    assert!(most.into_inner() <= 1_025, "one more than fits, while it is made");
    assert_eq!(caches.load(Ordering::SeqCst), 0);
}

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

#[test]
fn no_secret_shows_in_any_text_of_a_pool() {
    let pool = ProviderPool::builder().capacity(1).admission(1, HOUR);
    let mut text = format!("{pool:?}");
    let pool = pool.build();
    let ask = |number| {
        let source = provider_fn(tenant(number), || async { Ok(Expiring::after("canary-secret", HOUR)) });
        pool.provider(source)
    };
    futures::executor::block_on(ask(1).unwrap().get()).unwrap();
    let error = ask(2).unwrap_err();
    text += &format!("{pool:?} {:?} {error} {error:?} {:?}", pool.status(), error.source());
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains("entries: 1"), "{text}");
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Serve(u32),
    Hold(u32),
    Release(u32),
    Fail(bool),
    Advance(u64),
    Remove(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12_u32).prop_map(Op::Serve),
        2 => (0..12_u32).prop_map(Op::Hold),
        2 => (0..12_u32).prop_map(Op::Release),
        1 => any::<bool>().prop_map(Op::Fail),
        1 => (0..2_000_u64).prop_map(Op::Advance),
        1 => (0..12_u32).prop_map(Op::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_calls_breaks_the_bound_or_takes_what_is_held(
        ops in prop::collection::vec(op(), 0..120),
        capacity in 1..6_usize,
    ) {
        let house = house(capacity, Act::Give(12 * HOUR));
        let mut held = HashMap::new();
        for op in ops {
            match op {
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
                    house.pool.remove(&tenant(number));
                }
            }
            let status = house.pool.status();
            prop_assert!(status.entries <= capacity && status.newcomers <= status.entries);
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

#[test]
fn an_evicted_provider_is_asked_for_anew() {
    let house = house(1, Act::Give(HOUR));
    assert_eq!(house.serve(1).unwrap(), 1);
    assert_eq!(house.serve(2).unwrap(), 2);
    assert_eq!(house.ask(1).unwrap().status().state, State::Empty);
    assert_eq!(house.serve(1).unwrap(), 3);
}
