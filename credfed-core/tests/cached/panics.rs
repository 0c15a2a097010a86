//! A source that panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use credfed_core::runtime::Runtime;
use credfed_core::{
    CachedProvider, Expiring, Identity, Provider, ProviderError, VirtualRuntime, provider_fn,
};

use crate::support::{Act, HOUR, MINUTE, SECOND, at_once, get, poll_once, stage};

#[test]
fn a_panic_in_the_source_is_an_error_and_then_the_source_recovers() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    source.next(Act::Panic);
    source.next(Act::Yield(1, Box::new(Act::Panic)));
    for _ in 0..2 {
        let error = get(&runtime, &provider).unwrap_err();
        assert!(error.is_transient());
        assert!(!error.to_string().contains("script"), "what a panic says may be secret");
        runtime.advance(5 * SECOND);
    }
    assert_eq!(*get(&runtime, &provider).unwrap(), 3);
}

#[test]
fn a_panic_behind_a_valid_credential_disturbs_nobody() {
    let (runtime, source, provider) = stage(Act::Give(HOUR));
    get(&runtime, &provider).unwrap();
    source.next(Act::Panic);
    runtime.advance(53 * MINUTE);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
    runtime.run();
    assert_eq!(provider.status().consecutive_failures, 1);
    assert_eq!(*get(&runtime, &provider).unwrap(), 1);
}

#[test]
fn a_panic_whose_payload_panics_too_is_one_failed_load() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload too");
        }
    }

    let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let source = provider_fn(Identity::of("bomb").finish(), move || {
        let call = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            if call == 0 {
                return Ok(Expiring::after(1_u32, HOUR));
            }
            std::panic::panic_any(Bomb)
        }
    });
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
    runtime.block_on(provider.get()).unwrap().unwrap();
    runtime.advance(59 * MINUTE + SECOND);
    let answer = runtime.block_on(provider.get()).unwrap();
    assert!(answer.is_ok(), "a valid credential is never replaced by an error");
    assert_eq!((calls.load(Ordering::SeqCst), provider.status().consecutive_failures), (2, 1));
}

#[test]
fn a_source_that_panics_over_what_it_brought_is_left_alone_from_then_on() {
    #[derive(Debug)]
    struct Jumpy(VirtualRuntime, AtomicU32);

    impl Provider for Jumpy {
        type Credential = u32;

        fn identity(&self) -> Identity {
            Identity::of("jumpy").finish()
        }

        async fn provide(&self) -> Result<Expiring<u32>, ProviderError> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.sleep(6 * SECOND).await;
            Ok(Expiring::after(7, MINUTE))
        }

        fn is_same(&self, _: &u32, _: &u32) -> bool {
            // Without the hook, which would print it.
            std::panic::resume_unwind(Box::new("the test says so"))
        }
    }

    let (runtime, ..) = stage(Act::Hang);
    let source = Arc::new(Jumpy(runtime.clone(), AtomicU32::new(0)));
    let provider = CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).build();
    assert!(at_once(&provider).is_none());
    runtime.advance(6 * SECOND);
    assert!(provider.status().is_ready());
    runtime.advance(MINUTE);
    for _ in 0..8 {
        let mut caller = provider.get();
        assert!(poll_once(&mut caller).is_pending());
        runtime.advance(6 * SECOND);
        assert!(runtime.block_on(caller).unwrap().is_err());
        let calls = source.1.load(Ordering::SeqCst);
        assert!(at_once(&provider).is_some_and(|answer| answer.is_err()), "no pause after {calls} calls");
        runtime.advance(5 * SECOND);
    }
}
