//! Many identities, a bounded number of caches.

#![expect(clippy::unwrap_used, reason = "only tests call this")]

mod eviction;
mod newcomers;
mod threads;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use credfed_core::cached::{PoolBuilder, PoolError, Settings};
use credfed_core::{
    CachedProvider, ErrorKind, Expiring, Identity, Provider, ProviderError, ProviderPool, VirtualRuntime,
    provider_fn,
};

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
fn without_idle_time_a_provider_goes_at_the_next_moment_and_no_sooner() {
    let house = house_with(Act::Give(HOUR), |pool| pool.idle_after(Duration::ZERO));
    house.ask(1).unwrap();
    assert_eq!(house.pool.evict_idle(), 0);
    house.runtime.advance(Duration::from_nanos(1));
    assert_eq!(house.pool.evict_idle(), 1);
    let held = house.ask(1).unwrap();
    house.runtime.advance(SECOND);
    assert_eq!(house.pool.evict_idle(), 0);
    drop(held);
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
