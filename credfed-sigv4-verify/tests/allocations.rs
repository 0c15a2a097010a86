//! A warm verification allocates nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::alloc::System;

use credfed_sigv4_verify::ResolvedKey;
use http::request::Parts;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test, so that no other thread allocates meanwhile.
#[test]
fn a_warm_verification_allocates_nothing() {
    let header = allocations(&support::measured::r1());
    let presigned = allocations(&support::measured::r3());
    let plain = allocations(&support::measured::r3_alphanumeric());
    assert_eq!((header, presigned, plain), (0, 0, 0));
}

fn allocations((parts, key): &(Parts, ResolvedKey)) -> usize {
    let verifier = support::s3();
    let verify = || {
        let request = verifier.parse(parts).unwrap();
        assert_eq!(request.session_token().map(str::len), Some(1000));
        verifier.verify(&request, Some(key), support::now()).map(drop)
    };
    verify().unwrap();
    // The test harness has a thread of its own that may allocate meanwhile: the least of many rounds is ours.
    let round = || {
        let region = Region::new(ALLOCATOR);
        for _ in 0..10 {
            verify().unwrap();
        }
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..20).map(|_| round()).min().unwrap_or(usize::MAX)
}
