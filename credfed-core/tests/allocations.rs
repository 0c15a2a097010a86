//! Opening a session token allocates nothing. Alone in its process, so that nothing else counts.
#![cfg(feature = "session")]

use std::alloc::System;
use std::time::{Duration, SystemTime};

use credfed_core::keyring::{KeyRing, SharedKeyRing};
use credfed_core::session::{OpenError, Revocation, Scratch, SealedSessions, SessionClaims, SessionKind};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn opening_and_deriving_the_secret_access_key_allocate_nothing() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000);
    let ring = SharedKeyRing::new(KeyRing::generate(now).unwrap());
    let sessions = SealedSessions::new("https://sts.example", ring);
    let role = "arn:aws:iam::123456789012:role/reader";
    let claims = SessionClaims::builder(SessionKind::WebIdentity, role, now, now + Duration::from_secs(3600))
        .session_name("ci")
        .subject("repo:example/repository")
        .issuer("https://issuer.example")
        .tag("team", "storage", true)
        .build()
        .unwrap();
    let keys = sessions.mint(&claims, now).unwrap().into_value();
    let token = keys.session_token().unwrap().expose();
    let altered = token.replacen("cf1.", "cf1.0", 1);
    let revocation = Revocation::new();
    revocation.revoke("arn:aws:iam::123456789012:role/writer", now).unwrap();
    let mut scratch = Scratch::new();
    let mut round = || {
        let session = sessions.open(keys.access_key_id(), token, now, &mut scratch).unwrap();
        let claims = session.claims();
        assert_eq!(
            (claims.role(), claims.session_name(), claims.tags().count()),
            (Some(role), Some("ci"), 1)
        );
        assert_eq!(session.secret_access_key().expose().len(), 44);
        assert_eq!(revocation.check(&claims, &session.id()), Ok(()));
        drop(session);
        // Neither does a refusal.
        let refused = sessions.open(keys.access_key_id(), &altered, now, &mut scratch);
        assert_eq!(refused.err(), Some(OpenError::Malformed));
        let refused = sessions.open("ASIAAAAAAAAAAAAAAAAA", token, now, &mut scratch);
        assert_eq!(refused.err(), Some(OpenError::OtherAccessKey));
    };
    round();
    // Other threads of the process may allocate at any moment. What opening allocates shows every time.
    let least = (0..20)
        .map(|_| {
            let region = Region::new(ALLOCATOR);
            (0..100).for_each(|_| round());
            let change = region.change();
            change.allocations + change.reallocations + change.deallocations
        })
        .min();
    assert_eq!(least, Some(0));
}
