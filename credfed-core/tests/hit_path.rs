//! A hit allocates nothing, and neither does finding the provider in a pool. Alone in its process, so that nothing else counts.

use std::alloc::System;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, ProviderPool, Secret, provider_fn};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_hit_allocates_nothing() {
    let identity = Identity::of("test").finish();
    let source = || {
        provider_fn(identity, || async {
            let keys = AwsCredentials::new("AKID", Secret::new("secret"), Some(Secret::new("token")));
            Ok(Expiring::after(keys, Duration::from_secs(3600)))
        })
    };
    let pool = ProviderPool::new();
    let provider = pool.provider(source()).unwrap();
    futures::executor::block_on(provider.get()).unwrap();
    let mut reader = provider.reader();
    let mut round = |provider: &CachedProvider<AwsCredentials>| {
        assert_eq!(reader.read().map(AwsCredentials::access_key_id), Some("AKID"));
        assert_eq!(reader.derive(|keys| keys.access_key_id().len()), Some(&4));
        assert_eq!(provider.with(|keys| keys.access_key_id().len()), Some(4));
        assert_eq!(black_box(provider.try_get()).unwrap().access_key_id(), "AKID");
        let mut get = provider.get();
        let answer = Pin::new(&mut get).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(cached)) = answer else { panic!("not a hit") };
        assert_eq!(*cached.derive(|keys| keys.access_key_id().len()), 4);
        assert!(black_box(pool.get(&identity)).is_some());
        assert!(black_box(pool.get_or_insert_with(identity, source)).is_ok());
    };
    round(&provider);
    // Other threads of the process may allocate at any moment. What a hit allocates shows every time.
    let least = (0..20)
        .map(|_| {
            let region = Region::new(ALLOCATOR);
            (0..1_000).for_each(|_| round(&provider));
            let change = region.change();
            change.allocations + change.reallocations + change.deallocations
        })
        .min();
    assert_eq!(least, Some(0));
}
