//! Rules 8 and 9: paths, queries, hosts. Canonical forms as botocore and the specification have them,
//! where aws-sigv4 leaves the path as it stands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{Limit, Limits, Malformed, Profile, Reason, Verifier};
use http::request::Parts;
use support::by_hand::{ByHand, Presigned};
use support::{general, s3, static_key, verify, verify_body, with_target};

fn refused(parts: &Parts) -> Reason {
    verify(&s3(), parts, &static_key()).map(drop).unwrap_err()
}

fn refused_general(parts: &Parts) -> Reason {
    verify_body(&general(), parts, &static_key(), b"").map(drop).unwrap_err()
}

#[test]
fn s3_paths_are_decoded_and_encoded_segment_by_segment() {
    for (wire, canonical) in [
        ("/", "/"),
        ("/bucket/a+b", "/bucket/a%2Bb"),
        ("/bucket/a%2Bb", "/bucket/a%2Bb"),
        ("/bucket/a%2Fb", "/bucket/a%2Fb"),
        ("/bucket/a%2fb", "/bucket/a%2Fb"),
        ("/bucket//a///b/", "/bucket//a///b/"),
        ("//bucket/", "//bucket/"),
        ("/bucket/./a/../b", "/bucket/./a/../b"),
        ("/bucket/..", "/bucket/.."),
        ("/bucket/~a*b", "/bucket/~a%2Ab"),
        ("/bucket/a%20b%7Ec", "/bucket/a%20b~c"),
        ("/bucket/%E1%88%B4", "/bucket/%E1%88%B4"),
        ("/bucket/\u{1234}", "/bucket/%E1%88%B4"),
        ("/bucket/a%23b%3Fc", "/bucket/a%23b%3Fc"),
        ("/bucket/!$&'()*+,;=:@", "/bucket/%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40"),
        ("/bucket/a%2520b", "/bucket/a%2520b"),
        ("/bucket/%ff", "/bucket/%FF"),
    ] {
        support::accept(&s3(), &ByHand::s3(wire, canonical, "").parts(), &static_key());
    }
}

#[test]
fn n25_an_encoded_blank_does_not_match_its_double_encoding() {
    // Signed for the key "a%20b", sent as the key "a b".
    let signed = ByHand::s3("/bucket/a%2520b", "/bucket/a%2520b", "");
    assert_eq!(refused(&with_target(signed.parts(), "/bucket/a%20b")), Reason::SignatureMismatch);
    // And in a service that encodes twice, the other way round.
    let signed = ByHand::general("/a%20b", "/a%2520b", "");
    assert!(verify_body(&general(), &signed.parts(), &static_key(), b"").is_ok());
    let reason = refused_general(&with_target(signed.parts(), "/a%2520b"));
    assert_eq!(reason, Reason::SignatureMismatch);
}

#[test]
fn another_spelling_of_another_path_is_refused() {
    let signed = ByHand::s3("/bucket/a/b", "/bucket/a/b", "").parts();
    for other in [
        "/bucket/a%2Fb",
        "/bucket/a//b",
        "/bucket/a/b/",
        "/bucket/./a/b",
        "//bucket/a/b",
        "/bucket/A/b",
        "/bucket/x/../a/b",
        "/bucket/a%00/b",
        "/bucket/a/b?",
        "/bucket/a/b?x",
    ] {
        let same = other == "/bucket/a/b?";
        let verified = verify(&s3(), &with_target(signed.clone(), other), &static_key());
        assert_eq!(verified.is_ok(), same, "{other}");
    }
}

#[test]
fn n32_paths_that_are_not_normal_are_refused_where_signers_normalise() {
    for (wire, normal) in [
        ("/public/../admin", "/admin"),
        ("//admin", "/admin"),
        ("/./admin", "/admin"),
        ("/admin/.", "/admin/"),
        ("/a/b/../../admin", "/admin"),
        ("/admin//", "/admin/"),
    ] {
        let signed = ByHand::general(wire, normal, "");
        let reason = refused_general(&signed.parts());
        assert_eq!(reason, Reason::MalformedRequest(Malformed::NonNormalPath), "{wire}");

        let verifier = Verifier::builder()
            .profile(Profile::General { normalize: true })
            .region("us-east-1")
            .service("service")
            .danger(Knobs::new().accept_non_normal_paths())
            .build()
            .unwrap();
        assert!(verify_body(&verifier, &signed.parts(), &static_key(), b"").is_ok(), "{wire}");
        let parts = signed.parts();
        assert_eq!(verifier.parse(&parts).unwrap().normal_path(), normal);
    }
    // A service whose signers do not normalise covers the path as it stands.
    let raw = Verifier::builder()
        .profile(Profile::General { normalize: false })
        .region("us-east-1")
        .service("service")
        .build()
        .unwrap();
    let as_it_stands = ByHand::general("/public/../admin", "/public/../admin", "").parts();
    assert!(verify_body(&raw, &as_it_stands, &static_key(), b"").is_ok());
    let normalised = ByHand::general("/public/../admin", "/admin", "").parts();
    let verified = verify_body(&raw, &normalised, &static_key(), b"").map(drop);
    assert_eq!(verified, Err(Reason::SignatureMismatch));
}

#[test]
fn an_encoded_dot_segment_is_covered_as_it_stands() {
    let signed = ByHand::general("/public/%2e%2e/admin", "/public/%252e%252e/admin", "").parts();
    assert!(verify_body(&general(), &signed, &static_key(), b"").is_ok());
    let normalised = ByHand::general("/public/%2e%2e/admin", "/admin", "").parts();
    assert_eq!(refused_general(&normalised), Reason::SignatureMismatch);
}

#[test]
fn broken_escapes_are_refused() {
    for path in ["/bucket/%", "/bucket/%zz", "/bucket/%2", "/bucket/a%00b", "/bucket/%0"] {
        let reason = refused(&ByHand::s3(path, path, "").parts());
        assert_eq!(reason, Reason::MalformedRequest(Malformed::Path), "{path}");
        let reason = refused_general(&ByHand::general(path, path, "").parts());
        assert_eq!(reason, Reason::MalformedRequest(Malformed::Path), "{path}");
    }
    for query in ["a=%", "a=%zz", "%4", "a=%00"] {
        let reason = refused(&ByHand::s3(&format!("/?{query}"), "/", query).parts());
        assert_eq!(reason, Reason::MalformedRequest(Malformed::Query), "{query}");
    }
}

#[test]
fn queries_are_decoded_encoded_and_sorted() {
    for (wire, canonical) in [
        ("uploads", "uploads="),
        ("uploads=", "uploads="),
        ("partNumber=2&uploadId=a-b_c", "partNumber=2&uploadId=a-b_c"),
        ("list-type=2&prefix=a/b&delimiter=/", "delimiter=%2F&list-type=2&prefix=a%2Fb"),
        ("prefix=a+b", "prefix=a%20b"),
        ("prefix=a%2Bb", "prefix=a%2Bb"),
        ("a=2&a=1&a=1", "a=1&a=1&a=2"),
        ("B=1&a=2&b=3", "B=1&a=2&b=3"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("x-id=GetObject", "x-id=GetObject"),
        ("k=v=w", "k=v%3Dw"),
        ("k=%7Eok", "k=~ok"),
        ("k=%e1%88%b4", "k=%E1%88%B4"),
        ("x-amz-acl=private", "x-amz-acl=private"),
    ] {
        let parts = ByHand::s3(&format!("/bucket/?{wire}"), "/bucket/", canonical).parts();
        support::accept(&s3(), &parts, &static_key());
    }
}

#[test]
fn another_query_is_refused() {
    let signed = ByHand::s3("/b?a=1&b=2", "/b", "a=1&b=2").parts();
    support::accept(&s3(), &with_target(signed.clone(), "/b?b=2&a=1"), &static_key());
    for query in ["a=1&b=3", "a=1", "a=1&b=2&c", "a=1&b=2&b=2", "A=1&b=2", "a=1%26b=2", "a=1&b=2%20", ""] {
        let parts = with_target(signed.clone(), &format!("/b?{query}"));
        assert_eq!(refused(&parts), Reason::SignatureMismatch, "{query}");
    }
}

#[test]
fn raw_reserved_characters_in_presigned_parameters_are_accepted() {
    // As written by hand and by some older clients; canonically they are escaped.
    let base = Presigned::s3().header("range", "bytes=0-9").add("x-id", "GetObject");
    let query = base.wire_query();
    for (escaped, raw) in [("%3B", ";"), ("%2F", "/")] {
        assert!(query.contains(escaped));
        let parts = base.parts_with(&query.replace(escaped, raw));
        support::accept(&s3(), &parts, &static_key());
        let parts = base.parts_with(&query.replace(escaped, &escaped.to_lowercase()));
        support::accept(&s3(), &parts, &static_key());
    }
}

#[test]
fn hosts_are_covered_as_received() {
    for host in [
        "example.amazonaws.com",
        "example.amazonaws.com:9000",
        "example.amazonaws.com:443",
        "192.0.2.1:9000",
        "[2001:db8::1]",
        "[2001:db8::1]:9000",
        "localhost",
        "Example.AmazonAWS.com",
        "example.amazonaws.com.",
    ] {
        let request = ByHand::s3("/", "/", "").without("host").header("host", host);
        support::accept(&s3(), &request.parts(), &static_key());
        let other = support::replace_header(request.parts(), "host", "evil.example.org");
        assert_eq!(refused(&other), Reason::SignatureMismatch, "{host}");
    }
}

#[test]
fn the_authority_of_http2_is_the_host() {
    let request = ByHand::s3("/a", "/a", "");
    let target = |authority: &str| format!("https://{authority}/a");
    let h2 = with_target(support::without_header(request.parts(), "host"), &target("example.amazonaws.com"));
    support::accept(&s3(), &h2, &static_key());
    // Both, and alike but for case and the default port.
    for authority in ["example.amazonaws.com", "EXAMPLE.amazonaws.com", "example.amazonaws.com:443"] {
        support::accept(&s3(), &with_target(request.parts(), &target(authority)), &static_key());
    }
    let malformed = Reason::MalformedRequest(Malformed::Host);
    for authority in [
        "evil.example.org",
        "example.amazonaws.com:444",
        "example.amazonaws.com.",
        "user@example.amazonaws.com",
    ] {
        assert_eq!(refused(&with_target(request.parts(), &target(authority))), malformed, "{authority}");
    }
    // Some HTTP/2 clients sign it under its own name.
    let named = ByHand::s3("/a", "/a", "").without("host").header(":authority", "example.amazonaws.com");
    let mut builder = http::Request::get(target("example.amazonaws.com"));
    for (name, value) in named.headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        builder = builder.header(name, value);
    }
    let parts = builder.header("authorization", named.authorization()).body(()).unwrap().into_parts().0;
    support::accept(&s3(), &parts, &static_key());
    assert_eq!(refused(&with_target(parts, "/a")), malformed);
}

#[test]
fn requests_without_any_host_are_refused() {
    let parts = support::without_header(ByHand::s3("/a", "/a", "").parts(), "host");
    assert_eq!(refused(&parts), Reason::MalformedRequest(Malformed::Host));
    let parts = support::replace_header(ByHand::s3("/a", "/a", "").parts(), "host", "");
    assert_eq!(refused(&parts), Reason::MalformedRequest(Malformed::Host));
}

#[test]
fn other_forms_of_the_target_are_refused() {
    for target in ["*", "example.amazonaws.com:443"] {
        let parts = with_target(ByHand::s3("/", "/", "").parts(), target);
        assert_eq!(refused(&parts), Reason::MalformedRequest(Malformed::Path), "{target}");
    }
}

#[test]
fn n31_a_presigned_url_is_for_its_method_and_resource() {
    let parts = Presigned::s3().parts();
    for method in ["HEAD", "PUT", "DELETE", "POST"] {
        let mut parts = parts.clone();
        parts.method = method.parse().unwrap();
        assert_eq!(refused(&parts), Reason::SignatureMismatch, "{method}");
    }
    // Of a session too.
    let session = Presigned::s3().add("X-Amz-Security-Token", "token").parts();
    support::accept(&s3(), &session, &support::session_key());
    for method in ["HEAD", "PUT", "DELETE", "POST"] {
        let mut parts = session.clone();
        parts.method = method.parse().unwrap();
        let verified = verify(&s3(), &parts, &support::session_key()).map(drop);
        assert_eq!(verified, Err(Reason::SignatureMismatch), "{method}");
    }
    let query = Presigned::s3().wire_query();
    for sub_resource in ["acl", "tagging=", "versionId=1", "x-id=DeleteObject", "response-content-type=a"] {
        let parts = Presigned::s3().parts_with(&format!("{query}&{sub_resource}"));
        assert_eq!(refused(&parts), Reason::SignatureMismatch, "{sub_resource}");
    }
}

#[test]
fn hoisted_parameters_act_as_headers() {
    let request = Presigned::s3()
        .add("X-Amz-Acl", "private")
        .add("x-amz-meta-note", "a%20b")
        .add("X-Amz-Server-Side-Encryption", "aws%3Akms");
    let parts = request.parts();
    support::accept(&s3(), &parts, &static_key());
    let verifier = s3();
    let parsed = verifier.parse(&parts).unwrap();
    assert_eq!(parsed.effective_header("x-amz-acl").as_deref(), Some("private"));
    assert_eq!(parsed.effective_header("X-AMZ-META-NOTE").as_deref(), Some("a b"));
    assert_eq!(parsed.effective_header("x-amz-server-side-encryption"), None);
    assert_eq!(parsed.effective_header("x-amz-tagging"), None);
    assert_eq!(parsed.effective_header("x-id"), None);

    let twice = request.clone().add("x-amz-acl", "public-read").parts();
    let variant =
        |parts: &Parts| matches!(refused(parts), Reason::Malformed(_, Malformed::DuplicateOrVariant));
    assert!(variant(&twice));
    let beside_a_header = request.header("x-amz-acl", "public-read").parts();
    assert!(variant(&beside_a_header));
    // With the header carrier they have no effect.
    let parts = ByHand::s3("/b?x-amz-acl=public-read", "/b", "x-amz-acl=public-read").parts();
    assert_eq!(verifier.parse(&parts).unwrap().effective_header("x-amz-acl"), None);
}

#[test]
fn limits_hold_before_any_cryptography() {
    let mut limits = Limits::default();
    limits.signed_header_names = 3;
    limits.signed_header_bytes = 200;
    limits.path_bytes = 10;
    limits.query_bytes = 20;
    limits.query_parameters = 3;
    limits.session_token = 8;
    let verifier = Verifier::builder().region("us-east-1").limits(limits).build().unwrap();
    let over = |request: ByHand| verify(&verifier, &request.parts(), &static_key()).map(drop);
    let plain = || ByHand::s3("/", "/", "");
    assert_eq!(over(plain()), Ok(()));
    let limit = |limit| Err(Reason::LimitExceeded(limit));
    assert_eq!(over(plain().header("range", "bytes=0-1")), limit(Limit::SignedHeaderNames));
    let long = plain().without("host").header("host", &"h".repeat(200));
    assert_eq!(over(long), limit(Limit::SignedHeaderBytes));
    assert_eq!(over(ByHand::s3("/123456789", "/123456789", "")), Ok(()));
    assert_eq!(over(ByHand::s3("/1234567890", "/1234567890", "")), limit(Limit::PathBytes));
    assert_eq!(over(ByHand::s3("/?a&b&c", "/", "a=&b=&c=")), Ok(()));
    assert_eq!(over(ByHand::s3("/?a&b&c&d", "/", "a=&b=&c=&d=")), limit(Limit::QueryParameters));
    let query = "a".repeat(21);
    assert_eq!(over(ByHand::s3(&format!("/?{query}"), "/", &format!("{query}="))), limit(Limit::QueryBytes));
    limits.signed_header_names = 100;
    let verifier = Verifier::builder().region("us-east-1").limits(limits).build().unwrap();
    let token = plain().header("x-amz-security-token", "123456789").parts();
    let verified = verify(&verifier, &token, &support::session_key()).map(drop);
    assert_eq!(verified, limit(Limit::SessionToken));
}
