//! Public keys: derived from secret and access key, cached for verified requests alone, unknown keys (rule 12).

use std::time::Duration;

use credfed_sigv4_verify::{KeyKind, Reason, ResolvedKey, Verifier};

use crate::support::by_hand::ByHand;
use crate::support::{self, ACCESS_KEY, SECRET, accept, now, s3_asymmetric, session_key, static_key};
use crate::{plain, verdict};

const MISMATCH: Result<(), Reason> = Err(Reason::SignatureMismatch);

#[test]
fn a_rotated_secret_misses_the_cache() {
    let (verifier, parts) = (s3_asymmetric(), plain().parts());
    accept(&verifier, &parts, &static_key());
    accept(&verifier, &parts, &static_key());
    let rotated = ResolvedKey::new("another", KeyKind::Static, 2);
    assert_eq!(verdict(&verifier, &parts, &rotated), MISMATCH);
    // Even where the generation was forgotten.
    let forgotten = ResolvedKey::new("another", KeyKind::Static, 1);
    assert_eq!(verdict(&verifier, &parts, &forgotten), MISMATCH);
    accept(&verifier, &parts, &static_key());
}

#[test]
fn a_key_that_verified_nothing_does_not_poison_the_cache() {
    let (verifier, parts) = (s3_asymmetric(), plain().parts());
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    for _ in 0..3 {
        assert_eq!(verdict(&verifier, &parts, &wrong), MISMATCH);
        assert!(verifier.verify(&verifier.parse(&parts).unwrap(), None, now()).is_err());
    }
    accept(&verifier, &parts, &static_key());
    assert_eq!(verdict(&verifier, &parts, &wrong), MISMATCH);
}

#[test]
fn a_warm_key_still_judges_every_request() {
    let verifier = s3_asymmetric();
    accept(&verifier, &plain().parts(), &static_key());
    let other_path = support::with_target(plain().parts(), "/bucket/other");
    assert_eq!(verdict(&verifier, &other_path, &static_key()), MISMATCH);
    assert_eq!(verdict(&verifier, &plain().parts(), &session_key()), Err(Reason::TokenMissing));
    // The cache of one algorithm has nothing of the other's.
    let hmac = ByHand::s3("/bucket/key", "/bucket/key", "").parts();
    accept(&verifier, &hmac, &static_key());
    accept(&verifier, &plain().parts(), &static_key());
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    assert_eq!(verdict(&verifier, &hmac, &wrong), MISMATCH);
    assert_eq!(verdict(&verifier, &plain().parts(), &wrong), MISMATCH);
}

/// The key is of secret and access key: who has the same secret under another name signs something else.
#[test]
fn another_access_key_with_the_same_secret_is_refused() {
    let verifier = s3_asymmetric();
    accept(&verifier, &plain().parts(), &static_key());
    for access_key in ["AKIDEXAMPLF", "AKIDEXAMPL", "team/AKIDEXAMPLE"] {
        let header = plain().authorization().replace(ACCESS_KEY, access_key);
        let parts = plain().parts_with(&header);
        assert_eq!(verifier.parse(&parts).unwrap().access_key(), access_key);
        assert_eq!(verdict(&verifier, &parts, &static_key()), MISMATCH, "{access_key}");
    }
}

#[test]
fn a_cache_of_no_keys_verifies_as_well() {
    let verifier = Verifier::builder().region("us-east-1").accept_sigv4a().cached_keys(0).build().unwrap();
    for _ in 0..2 {
        accept(&verifier, &plain().parts(), &static_key());
        let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
        assert_eq!(verdict(&verifier, &plain().parts(), &wrong), MISMATCH);
    }
}

#[test]
fn an_unknown_key_is_refused_whatever_it_signed() {
    for uniform in [false, true] {
        let builder = Verifier::builder().region("us-east-1").accept_sigv4a().uniform_errors(uniform);
        let verifier = builder.build().unwrap();
        let expected = Err(if uniform { Reason::SignatureMismatch } else { Reason::UnknownKey });
        let parts = plain().parts();
        let request = verifier.parse(&parts).unwrap();
        assert_eq!(verifier.verify(&request, None, now()).map(drop), expected);
        // Not even one that was signed with the dummy.
        let dummy = "no one has this secret, it is never valid";
        for access_key in ["nobody", ACCESS_KEY] {
            let key = aws_sigv4::sign::v4a::generate_signing_key(access_key, dummy);
            let header = plain().authorization().replace(ACCESS_KEY, access_key);
            let string_to_sign = {
                let parts = plain().parts_with(&header);
                verifier.parse(&parts).unwrap().preimage(None).unwrap().string_to_sign().to_owned()
            };
            let signature = aws_sigv4::sign::v4a::calculate_signature(key, string_to_sign.as_bytes());
            let (before, _) = header.rsplit_once('=').unwrap();
            let parts = plain().parts_with(&format!("{before}={signature}"));
            let request = verifier.parse(&parts).unwrap();
            assert_eq!(verifier.verify(&request, None, now()).map(drop), expected, "{access_key}");
            // That it is the dummy's: it verifies where somebody does have that secret.
            let its = ResolvedKey::new(dummy, KeyKind::Static, 1);
            assert_eq!(verdict(&s3_asymmetric(), &parts, &its), Ok(()), "{access_key}");
        }
    }
}

#[test]
fn an_empty_secret_verifies_nothing() {
    let empty = ResolvedKey::new("", KeyKind::Static, 1);
    assert_eq!(verdict(&s3_asymmetric(), &plain().parts(), &empty), Err(Reason::UnknownKey));
}

#[test]
fn uniform_errors_tell_nothing_about_the_key() {
    let builder = Verifier::builder().region("us-east-1").accept_sigv4a();
    let uniform = builder.uniform_errors(true).build().unwrap();
    let parts = plain().parts();
    let with_token = plain().header("x-amz-security-token", "t").parts();
    let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
    let over = static_key().not_after(now() - Duration::from_secs(1));
    for (parts, key) in [
        (&parts, None),
        (&parts, Some(&wrong)),
        (&parts, Some(&session_key())),
        (&with_token, Some(&static_key())),
        (&parts, Some(&over)),
    ] {
        let request = uniform.parse(parts).unwrap();
        assert_eq!(uniform.verify(&request, key, now()).map(drop), MISMATCH);
    }
    accept(&uniform, &parts, &static_key());
    assert_eq!(verdict(&uniform, &parts, &wrong), MISMATCH);
}

#[test]
fn a_session_that_is_over_is_refused() {
    let over = static_key().not_after(now());
    assert_eq!(verdict(&s3_asymmetric(), &plain().parts(), &over), Err(Reason::ExpiredToken));
}

#[test]
fn more_keys_than_the_cache_holds() {
    let verifier = Verifier::builder().any_region().accept_sigv4a().cached_keys(8).build().unwrap();
    let requests: Vec<_> = (0..20)
        .map(|number| {
            let access_key = format!("AKID{number}");
            let header = plain().authorization().replace(ACCESS_KEY, &access_key);
            let parts = plain().parts_with(&header);
            let text = verifier.parse(&parts).unwrap().preimage(None).unwrap().string_to_sign().to_owned();
            let key = aws_sigv4::sign::v4a::generate_signing_key(&access_key, SECRET);
            let signature = aws_sigv4::sign::v4a::calculate_signature(key, text.as_bytes());
            let (before, _) = header.rsplit_once('=').unwrap();
            plain().parts_with(&format!("{before}={signature}"))
        })
        .collect();
    for _ in 0..2 {
        for parts in &requests {
            accept(&verifier, parts, &static_key());
            let wrong = ResolvedKey::new("wrong", KeyKind::Static, 1);
            assert_eq!(verdict(&verifier, parts, &wrong), MISMATCH);
        }
    }
}
