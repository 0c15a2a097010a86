//! Derived keys: rotation, the bounded cache, unknown keys, uniform errors (rule 12).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::{Carrier, KeyKind, Profile, Reason, ResolvedKey, SignedRequest, Verifier};
use support::by_hand::ByHand;
use support::{SECRET, Signer, accept, get, now, s3, session_key, static_key, verify};

fn plain() -> ByHand {
    ByHand::s3("/bucket/key", "/bucket/key", "")
}

#[test]
fn a_rotated_secret_misses_the_cache() {
    let (verifier, parts) = (s3(), plain().parts());
    accept(&verifier, &parts, &static_key());
    accept(&verifier, &parts, &static_key());
    let rotated = ResolvedKey::new("another", KeyKind::Static, 2);
    assert_eq!(verify(&verifier, &parts, &rotated).map(drop), Err(Reason::SignatureMismatch));
    // Even where the generation was forgotten.
    let forgotten = ResolvedKey::new("another", KeyKind::Static, 1);
    assert_eq!(verify(&verifier, &parts, &forgotten).map(drop), Err(Reason::SignatureMismatch));
    accept(&verifier, &parts, &static_key());
}

#[test]
fn a_key_that_verified_nothing_does_not_poison_the_cache() {
    let (verifier, parts) = (s3(), plain().parts());
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    for _ in 0..3 {
        assert!(verify(&verifier, &parts, &wrong).is_err());
        assert!(verifier.verify(&verifier.parse(&parts).unwrap(), None, now()).is_err());
    }
    accept(&verifier, &parts, &static_key());
    assert!(verify(&verifier, &parts, &wrong).is_err());
}

#[test]
fn a_warm_key_still_judges_every_request() {
    let verifier = s3();
    accept(&verifier, &plain().parts(), &static_key());
    let other_path = support::with_target(plain().parts(), "/bucket/other");
    let verified = verify(&verifier, &other_path, &static_key()).map(drop);
    assert_eq!(verified, Err(Reason::SignatureMismatch));
    assert_eq!(verify(&verifier, &plain().parts(), &session_key()).map(drop), Err(Reason::TokenMissing));
}

#[test]
fn more_keys_than_the_cache_holds_and_none_at_all() {
    for capacity in [0, 1, 8, 1024] {
        let verifier = Verifier::builder().any_region().cached_keys(capacity).build().unwrap();
        for round in 0..3 {
            for region in 0..50 {
                let mut signer = Signer::s3(Carrier::Header);
                signer.region = format!("region-{region}");
                let parts = signer.sign(get("https://example.amazonaws.com/"));
                accept(&verifier, &parts, &static_key());
                let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
                assert!(verify(&verifier, &parts, &wrong).is_err(), "{capacity} {round} {region}");
            }
        }
    }
}

#[test]
fn an_unknown_key_is_refused_whatever_it_signed() {
    let verifier = s3();
    let dummy = plain().parts();
    let request = verifier.parse(&dummy).unwrap();
    let verified = verifier.verify(&request, None, now()).map(drop);
    assert_eq!(verified, Err(Reason::UnknownKey));
    // Not even one that was signed with the dummy.
    let signed_by_dummy =
        plain().parts_with(&plain().authorization_by("no one has this secret, it is never valid"));
    let request = verifier.parse(&signed_by_dummy).unwrap();
    assert_eq!(verifier.verify(&request, None, now()).map(drop), Err(Reason::UnknownKey));
}

#[test]
fn an_empty_secret_verifies_nothing() {
    let parts = plain().parts_with(&plain().authorization_by(""));
    let empty = ResolvedKey::new("", KeyKind::Static, 1);
    assert_eq!(verify(&s3(), &parts, &empty).map(drop), Err(Reason::UnknownKey));
}

#[test]
fn uniform_errors_tell_nothing_about_the_key() {
    let uniform = Verifier::builder().region("us-east-1").uniform_errors(true).build().unwrap();
    let parts = plain().parts();
    let with_token = plain().header("x-amz-security-token", "t").parts();
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    let over = static_key().not_after(now() - std::time::Duration::from_secs(1));
    for (parts, key) in [
        (&parts, None),
        (&parts, Some(&wrong)),
        (&parts, Some(&session_key())),
        (&with_token, Some(&static_key())),
        (&parts, Some(&over)),
    ] {
        let request = uniform.parse(parts).unwrap();
        let verified = uniform.verify(&request, key, now()).map(drop);
        assert_eq!(verified, Err(Reason::SignatureMismatch));
    }
    accept(&uniform, &parts, &static_key());
    for reason in [Reason::UnknownKey, Reason::InvalidToken, Reason::ExpiredToken] {
        assert_eq!(uniform.disclosed(reason.clone()), Reason::SignatureMismatch);
        assert_eq!(s3().disclosed(reason.clone()), reason);
    }
    assert_eq!(uniform.disclosed(Reason::ResolverUnavailable), Reason::ResolverUnavailable);
}

#[test]
fn a_request_read_by_other_rules_is_read_again() {
    // Read as S3, judged as a service that normalises: the path does not pass.
    let parts = ByHand::s3("/a/../b", "/a/../b", "").parts();
    let read_as_s3 = SignedRequest::parse(&parts).unwrap();
    accept(&s3(), &parts, &static_key());
    let general = Verifier::builder()
        .profile(Profile::General { normalize: true })
        .region("us-east-1")
        .service("s3")
        .build()
        .unwrap();
    let verified = general.verify(&read_as_s3, Some(&static_key()), now()).map(drop);
    assert_eq!(verified, general.parse(&parts).map(drop));
    assert!(verified.is_err());
    // And the other way round.
    let signed_for_s3 = ByHand::s3("/a+b", "/a%2Bb", "").parts();
    let lenient = Verifier::builder()
        .profile(Profile::General { normalize: false })
        .unsigned_payload(credfed_sigv4_verify::UnsignedPayload::Allow)
        .any_region()
        .any_service()
        .build()
        .unwrap();
    let read_as_general = lenient.parse(&signed_for_s3).unwrap();
    assert!(s3().verify(&read_as_general, Some(&static_key()), now()).is_ok());
}

#[test]
fn two_requests_at_once_do_not_share_buffers() {
    let verifier = s3();
    let signer = Signer::s3(Carrier::Presigned);
    let (first, second) = (signer.clone().token("first/token+="), signer.token("second/token+="));
    let parts = [&first, &second].map(|signer| signer.sign(get("https://example.amazonaws.com/a?b=c%20d")));
    let requests = parts.each_ref().map(|parts| verifier.parse(parts).unwrap());
    assert_eq!(requests[0].session_token(), Some("first/token+="));
    assert_eq!(requests[1].session_token(), Some("second/token+="));
    for request in &requests {
        assert!(verifier.verify(request, Some(&session_key()), now()).is_ok());
    }
}

#[test]
fn threads_share_a_verifier() {
    let verifier = s3();
    let parts = plain().parts();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    accept(&verifier, &parts, &ResolvedKey::new(SECRET, KeyKind::Static, 1));
                }
            });
        }
    });
}
