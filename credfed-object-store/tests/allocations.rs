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
    let region = Region::new(ALLOCATOR);
    for _ in 0..1_000 {
        let mut call = credentials.get_credential();
        let Poll::Ready(Ok(again)) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("not a hit")
        };
        assert!(Arc::ptr_eq(&first, &again));
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (1_000, 0));
}
