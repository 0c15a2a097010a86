//! A hit allocates the boxed future that the trait demands, and nothing else. Alone in its process.

use std::alloc::System;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use credfed_core::{AwsCredentials, CachedProvider, Expiring, Identity, Secret, provider_fn};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_hit_allocates_once_and_converts_once_per_generation() {
    let source = provider_fn(Identity::of("test").finish(), || async {
        let keys = AwsCredentials::new("AKID", Secret::new("secret"), Some(Secret::new("token")));
        Ok(Expiring::after(keys, Duration::from_secs(3600)))
    });
    let credentials = credfed_object_store::aws(CachedProvider::new(source));
    let first = futures::executor::block_on(credentials.get_credential()).unwrap();
    let thousand = || {
        let region = Region::new(ALLOCATOR);
        for _ in 0..1_000 {
            let mut call = credentials.get_credential();
            let answer = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok(again)) = answer else { panic!("not a hit") };
            assert!(Arc::ptr_eq(&first, &again));
        }
        let change = region.change();
        change.allocations + change.reallocations
    };
    // Other threads of the process may allocate at any moment. What a hit allocates shows every time.
    assert_eq!((0..20).map(|_| thousand()).min(), Some(1_000));
}
