//! Strictness that a hostile review asked for: each test fails where one check of the source is taken away.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod support;
use credfed_sigv4_verify::*;
use support::by_hand::{ByHand, Presigned};
use support::*;

#[test]
fn a_parameters_debug_shows_no_token_and_no_signature() {
    for raw in [
        "X-Amz-Security-Token=CANARY",
        "X-Amz-Signature=CANARY",
        "x-amz-security-token=CANARY",
        "X-Amz-Server-Side-Encryption-Customer-Key=CANARY",
    ] {
        for parameter in query::parameters(raw) {
            assert!(!format!("{parameter:?}").contains("CANARY"), "{raw}");
        }
    }
}

#[test]
fn a_signed_header_that_may_come_once_is_refused_when_it_is_split_at_its_comma() {
    for (name, whole, first, rest) in [
        ("range", "bytes=0-9,20-29", "bytes=0-9", "20-29"),
        ("content-type", "multipart/mixed; boundary=\"a,b\"", "multipart/mixed; boundary=\"a", "b\""),
        ("content-disposition", "attachment; filename=\"a,b\"", "attachment; filename=\"a", "b\""),
        ("if-range", "\"a,b\"", "\"a", "b\""),
    ] {
        let parts = ByHand::s3("/k", "/k", "").header(name, whole).parts();
        accept(&s3(), &parts, &static_key());
        let mut split = parts.clone();
        split.headers.insert(name, first.parse().unwrap());
        split.headers.append(name, rest.parse().unwrap());
        assert!(verify(&s3(), &split, &static_key()).is_err(), "{name}: {:?}", split.headers.get(name));
    }
}

#[test]
fn a_method_that_is_longer_than_any_is_refused_before_any_cryptography() {
    let mut parts = ByHand::s3("/k", "/k", "").parts();
    parts.method = http::Method::from_bytes(&[b'M'; 300_000]).unwrap();
    assert!(matches!(s3().parse(&parts), Err(Reason::LimitExceeded(_) | Reason::MalformedRequest(_))));
}

#[test]
fn a_cache_beyond_all_memory_is_a_build_error_and_no_panic() {
    let built = |keys| Verifier::builder().region("r").cached_keys(keys).build().map(drop);
    assert_eq!(built(usize::MAX), Err(BuildError::CachedKeys));
    assert_eq!((built(0), built(1)), (Ok(()), Ok(())));
}

#[test]
fn a_request_read_elsewhere_is_judged_by_the_regions_and_services_of_this_verifier() {
    // Read by equal rules, by somebody who serves every region.
    let parts = ByHand::s3("/k", "/k", "").parts();
    let read = SignedRequest::parse(&parts).unwrap();
    let elsewhere = Verifier::builder().region("eu-west-1").build().unwrap();
    assert!(matches!(elsewhere.verify(&read, Some(&static_key()), now()), Err(Reason::WrongRegion { .. })));
    let other = Verifier::builder().region("us-east-1").service("s3-outposts").build().unwrap();
    assert!(matches!(other.verify(&read, Some(&static_key()), now()), Err(Reason::WrongService { .. })));
    assert!(s3().verify(&read, Some(&static_key()), now()).is_ok());
}

#[test]
fn userinfo_is_refused_without_a_host_header_too() {
    let signed = ByHand::s3("/a", "/a", "").without("host").header("host", "user@example.amazonaws.com");
    let parts = with_target(without_header(signed.parts(), "host"), "https://user@example.amazonaws.com/a");
    assert_eq!(verify(&s3(), &parts, &static_key()).unwrap_err(), Reason::MalformedRequest(Malformed::Host));
}

#[test]
fn only_the_schemes_own_port_is_a_default_port() {
    let parts = ByHand::s3("/a", "/a", "").parts();
    for (target, good) in [
        ("http://example.amazonaws.com:80/a", true),
        ("http://example.amazonaws.com:443/a", false),
        ("https://example.amazonaws.com:80/a", false),
        ("wss://example.amazonaws.com:443/a", false),
    ] {
        assert_eq!(
            verify(&s3(), &with_target(parts.clone(), target), &static_key()).is_ok(),
            good,
            "{target}"
        );
    }
}

#[test]
fn further_values_are_folded_too() {
    let mut parts = ByHand::s3("/", "/", "").header("x-amz-meta-list", "a b,c d").parts();
    parts.headers.insert("x-amz-meta-list", "a  b".parse().unwrap());
    parts.headers.append("x-amz-meta-list", " c \t d ".parse().unwrap());
    accept(&s3(), &parts, &static_key());
}

#[test]
fn hoisted_values_that_no_header_carries_are_refused() {
    for value in ["%0A", "a%0D%0Ax-amz-acl%3Apublic-read", "%FF", "%7F", "a%01"] {
        let parts = Presigned::s3().add("X-Amz-Meta-A", value).parts();
        assert_eq!(
            verify(&s3(), &parts, &static_key()).unwrap_err(),
            Reason::Malformed(Carrier::Presigned, Malformed::DuplicateOrVariant),
            "{value}"
        );
    }
}

#[test]
fn sts_refuses_paths_that_are_not_normal() {
    for target in ["/a/../", "//", "/.", "/a/./b"] {
        let mut signed = ByHand::general(target, "/", "");
        signed.service = "sts";
        let parts = signed.parts();
        assert_eq!(
            sts().parse(&parts).map(drop).unwrap_err(),
            Reason::MalformedRequest(Malformed::NonNormalPath),
            "{target}"
        );
    }
}

#[test]
fn bounds_of_time_count_fractions() {
    use std::time::Duration;
    let parts = ByHand::s3("/", "/", "").parts();
    let presigned = Presigned::s3().parts();
    let ms = Duration::from_millis(1);
    let skew = Duration::from_secs(900);
    for (parts, late) in [(&parts, skew), (&presigned, Duration::from_secs(3600))] {
        assert!(verify_at(&s3(), parts, &static_key(), now() - skew).is_ok());
        assert!(verify_at(&s3(), parts, &static_key(), now() - skew - ms).is_err());
        assert!(verify_at(&s3(), parts, &static_key(), now() + late).is_ok());
        assert!(verify_at(&s3(), parts, &static_key(), now() + late + ms).is_err());
    }
}

#[test]
fn the_payload_header_comes_once_even_where_nobody_signed_it() {
    let signed = ByHand::s3("/k", "/k", "");
    let bare = signed.without("x-amz-content-sha256");
    let mut parts = bare.parts();
    parts.headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD".parse().unwrap());
    accept(&s3(), &parts, &static_key());
    for (first, second) in
        [(EMPTY, "UNSIGNED-PAYLOAD"), ("UNSIGNED-PAYLOAD", EMPTY), ("UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD")]
    {
        let mut twice = parts.clone();
        twice.headers.insert("x-amz-content-sha256", first.parse().unwrap());
        twice.headers.append("x-amz-content-sha256", second.parse().unwrap());
        assert_eq!(
            s3().parse(&twice).map(drop).unwrap_err(),
            Reason::MalformedRequest(Malformed::RepeatedHeader)
        );
    }
}

#[test]
fn tokens_outside_the_signature_are_never_for_s3_and_sts() {
    for profile in [Profile::S3, Profile::Sts] {
        let built = Verifier::builder()
            .profile(profile)
            .any_region()
            .danger(danger::Knobs::new().token_outside_signature())
            .build();
        assert_eq!(built.map(drop).unwrap_err(), BuildError::TokenOutsideSignature);
    }
}

#[test]
fn a_port_in_the_authority_of_http2_is_covered() {
    let signed = ByHand::s3("/a", "/a", "").without("host").header("host", "example.amazonaws.com:9000");
    let bare = without_header(signed.parts(), "host");
    accept(&s3(), &with_target(bare.clone(), "https://example.amazonaws.com:9000/a"), &static_key());
    for other in ["https://example.amazonaws.com:9001/a", "https://example.amazonaws.com/a"] {
        assert_eq!(
            verify(&s3(), &with_target(bare.clone(), other), &static_key()).unwrap_err(),
            Reason::SignatureMismatch
        );
    }
}

#[test]
fn a_list_of_signed_headers_over_its_bytes_is_refused() {
    let mut parts = ByHand::s3("/", "/", "").parts();
    let list = format!("host;{};x-amz-date", "n".repeat(16 * 1024));
    let value = authorization("", &list, "s3");
    parts.headers.insert("authorization", value.parse().unwrap());
    assert_eq!(s3().parse(&parts).map(drop).unwrap_err(), Reason::LimitExceeded(Limit::SignedHeaderBytes));
}

#[test]
fn the_authority_counts_among_the_signed_bytes() {
    let verifier = s3();
    let host = format!("{}.example", "h".repeat(20_000));
    let signed = ByHand::s3("/a", "/a", "").without("host").header("host", &host);
    let parts = with_target(without_header(signed.parts(), "host"), &format!("https://{host}/a"));
    assert_eq!(verifier.parse(&parts).map(drop), Err(Reason::LimitExceeded(Limit::SignedHeaderBytes)));
}
