//! Rule 6: what is present is signed, what is signed is present.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::{Carrier, Malformed, Reason};
use http::request::Parts;
use support::by_hand::{ByHand, Presigned};
use support::{replace_header, s3, static_key, verify, with_header, with_target, without_header};

/// Headers that change what an S3 request does.
const EFFECTIVE: [(&str, &str); 12] = [
    ("x-amz-acl", "public-read"),
    ("x-amz-copy-source", "/other/secret"),
    ("x-amz-copy-source-range", "bytes=0-9"),
    ("x-amz-grant-full-control", "id=1"),
    ("x-amz-meta-owner", "mallory"),
    ("x-amz-storage-class", "GLACIER"),
    ("x-amz-tagging", "a=b"),
    ("x-amz-server-side-encryption", "aws:kms"),
    ("x-amz-server-side-encryption-customer-key", "a2V5"),
    ("x-amz-website-redirect-location", "http://example.org"),
    ("x-amz-bypass-governance-retention", "true"),
    ("x-amz-new-and-unknown", "1"),
];

fn plain() -> ByHand {
    ByHand::s3("/bucket/key", "/bucket/key", "")
}

fn refused(parts: &Parts) -> Reason {
    verify(&s3(), parts, &static_key()).map(drop).unwrap_err()
}

fn unsigned(name: &str) -> Reason {
    Reason::UnsignedHeaders(vec![name.into()])
}

#[test]
fn n04_presigned_with_an_added_unsigned_header_is_refused() {
    for (name, value) in EFFECTIVE {
        let parts = with_header(Presigned::s3().parts(), name, value);
        assert_eq!(refused(&parts), unsigned(name));
        let signed = Presigned::s3().header(name, value).parts();
        support::accept(&s3(), &signed, &static_key());
    }
}

#[test]
fn n05_header_signed_with_an_added_unsigned_header_is_refused() {
    for (name, value) in EFFECTIVE {
        assert_eq!(refused(&with_header(plain().parts(), name, value)), unsigned(name));
        support::accept(&s3(), &plain().header(name, value).parts(), &static_key());
    }
}

#[test]
fn all_unsigned_headers_are_named() {
    let parts = with_header(with_header(plain().parts(), "x-amz-acl", "private"), "x-amz-tagging", "a=b");
    let Reason::UnsignedHeaders(names) = refused(&parts) else { panic!("another reason") };
    let mut names: Vec<_> = names.iter().map(|name| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-amz-acl", "x-amz-tagging"]);
}

#[test]
fn n06_presigned_with_an_unsigned_payload_header_is_refused() {
    for value in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-EVENTS",
        "STREAMING-AWS4-ECDSA-P256-SHA256-EVENTS",
        support::EMPTY,
        "nonsense",
    ] {
        let parts = with_header(Presigned::s3().parts(), "x-amz-content-sha256", value);
        assert_eq!(refused(&parts), unsigned("x-amz-content-sha256"), "{value}");
    }
}

#[test]
fn the_payload_header_need_not_be_signed_by_header_signers() {
    // Its value is the last line of the canonical request anyway.
    let request = plain().without("x-amz-content-sha256");
    let parts = with_header(request.parts(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    support::accept(&s3(), &parts, &static_key());
    let other = replace_header(parts, "x-amz-content-sha256", support::EMPTY);
    assert_eq!(refused(&other), Reason::SignatureMismatch);
}

#[test]
fn n18_host_and_date_have_to_be_signed() {
    let parts = with_header(plain().without("host").parts(), "host", "example.amazonaws.com");
    assert_eq!(refused(&parts), unsigned("host"));
    let parts = with_header(plain().without("x-amz-date").parts(), "x-amz-date", "20150830T123600Z");
    assert_eq!(refused(&parts), unsigned("x-amz-date"));
    let parts = with_header(plain().without("x-amz-date").parts(), "date", "Sun, 30 Aug 2015 12:36:00 GMT");
    assert_eq!(refused(&parts), unsigned("date"));
    let mut presigned = Presigned::s3().header("content-type", "text/plain");
    presigned.headers.retain(|(name, _)| name != "host");
    let presigned = presigned.set("X-Amz-SignedHeaders", "content-type");
    let parts = with_header(presigned.parts(), "host", "example.amazonaws.com");
    assert_eq!(refused(&parts), unsigned("host"));
}

#[test]
fn the_token_has_to_be_signed() {
    let parts = with_header(plain().parts(), "x-amz-security-token", support::TOKEN);
    assert_eq!(
        verify(&s3(), &parts, &support::session_key()).map(drop),
        Err(unsigned("x-amz-security-token"))
    );
}

#[test]
fn n26_a_signed_header_is_never_read_from_the_query() {
    let request = plain().header("x-amz-acl", "private").header("range", "bytes=0-9");
    for name in ["x-amz-acl", "range", "x-amz-date", "x-amz-content-sha256", "host"] {
        let parts = without_header(request.parts(), name);
        let value = request.headers.iter().find(|(have, _)| have == name).unwrap().1.clone();
        assert!(verify(&s3(), &parts, &static_key()).is_err(), "{name}");
        let moved = with_target(parts, &format!("/bucket/key?{name}={value}"));
        assert!(verify(&s3(), &moved, &static_key()).is_err(), "{name}");
    }
    let parts = without_header(request.parts(), "range");
    assert_eq!(refused(&parts), Reason::SignedHeaderMissing);
    let presigned = Presigned::s3().header("x-amz-acl", "private");
    let moved = without_header(
        presigned.parts_with(&format!("{}&x-amz-acl=private", presigned.wire_query())),
        "x-amz-acl",
    );
    assert_eq!(refused(&moved), Reason::SignedHeaderMissing);
}

#[test]
fn n23_the_list_of_signed_headers_is_strict() {
    let malformed = Reason::Malformed(Carrier::Header, Malformed::SignedHeaders);
    let list = plain().signed_headers();
    for bad in [
        format!("{list};"),
        format!(";{list}"),
        list.replace(';', ";;"),
        list.replace(';', " ;"),
        list.replace(';', "; "),
        format!("{list};host"),
        format!("{list};HOST"),
        format!("{list};ho st"),
        format!("{list};h\"x"),
        format!("{list};a:b"),
        String::new(),
        ";".into(),
    ] {
        // Signed as it stands, too: the list decides, not the signature.
        let canonical = plain().canonical_request().replace(&list, &bad);
        let parts = plain().parts_with(&support::authorization(&canonical, &bad, "s3"));
        assert_eq!(refused(&parts), malformed, "{bad:?}");
    }
}

#[test]
fn a_list_out_of_order_means_the_sorted_one() {
    let list = plain().signed_headers();
    let mut names: Vec<_> = list.split(';').collect();
    names.reverse();
    let parts = plain().parts_with(&plain().authorization().replace(&list, &names.join(";")));
    support::accept(&s3(), &parts, &static_key());
}

#[test]
fn n33_connection_may_not_name_what_the_signature_covers() {
    let refused_with =
        |request: &ByHand, value: &str| refused(&with_header(request.parts(), "connection", value));
    let wanted = Reason::MalformedRequest(Malformed::Connection);
    let request = plain().header("x-amz-copy-source", "/a/b").header("range", "bytes=0-1");
    for value in [
        "x-amz-copy-source",
        "close, X-Amz-Copy-Source",
        "keep-alive,range",
        "host",
        "x-amz-date",
        "x-amz-anything",
        "\trange\t",
    ] {
        assert_eq!(refused_with(&request, value), wanted, "{value}");
    }
    assert_eq!(refused_with(&request, &"a,".repeat(32)), wanted);
    let twice = with_header(with_header(request.parts(), "connection", "close"), "connection", "range");
    assert_eq!(refused(&twice), wanted);
    for value in ["close", "keep-alive", "upgrade", "te, close", "content-type"] {
        let parts = with_header(request.parts(), "connection", value);
        assert_eq!(verify(&s3(), &parts, &static_key()).map(drop), Ok(()), "{value}");
    }
}

#[test]
fn what_proxies_and_runtimes_add_need_not_be_signed() {
    let mut parts = plain().parts();
    for (name, value) in [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ("content-type", "text/plain"),
        ("user-agent", "curl/8"),
        ("amz-sdk-request", "attempt=1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "evil.example.org"),
        ("content-length", "0"),
        ("x-latin", "caf\u{e9}"),
    ] {
        parts = with_header(parts, name, value);
    }
    parts.headers.insert("x-raw-latin", http::HeaderValue::from_bytes(b"caf\xe9").unwrap());
    support::accept(&s3(), &parts, &static_key());
}

#[test]
fn what_some_clients_sign_is_accepted_signed() {
    let request = plain()
        .header("expect", "100-continue")
        .header("content-length", "0")
        .header("transfer-encoding", "chunked")
        .header("user-agent", "aws-sdk")
        .header("amz-sdk-invocation-id", "1")
        .header("amz-sdk-request", "attempt=1; max=3");
    support::accept(&s3(), &request.parts(), &static_key());
    for (name, _) in &request.headers {
        if name.starts_with("amz-sdk") {
            let parts = without_header(request.parts(), name);
            assert_eq!(refused(&parts), Reason::SignedHeaderMissing, "{name}");
        }
    }
}

#[test]
fn values_are_trimmed_folded_and_joined() {
    let request = plain().header("x-folded", "a b \"c d\"").header("x-amz-meta-list", "1,2,,3");
    let mut parts = replace_header(request.parts(), "x-folded", "  a \t b  \"c   d\" ");
    parts.headers.remove("x-amz-meta-list");
    for value in ["1", " 2 ", "", "3\t"] {
        parts = with_header(parts, "x-amz-meta-list", value);
    }
    support::accept(&s3(), &parts, &static_key());
    let verifier = s3();
    let parsed = verifier.parse(&parts).unwrap();
    assert_eq!(parsed.effective_header("X-Amz-Meta-List").as_deref(), Some("1,2,,3"));
    // In another order of arrival it is another request.
    parts.headers.remove("x-amz-meta-list");
    for value in ["2", "1", "", "3"] {
        parts = with_header(parts, "x-amz-meta-list", value);
    }
    assert_eq!(refused(&parts), Reason::SignatureMismatch);
}

#[test]
fn more_signed_headers_than_fit_inline() {
    let mut request = plain();
    for index in 0..90 {
        request = request.header(&format!("x-amz-meta-{index:02}"), &index.to_string());
    }
    support::accept(&s3(), &request.parts(), &static_key());
    let changed = replace_header(request.parts(), "x-amz-meta-77", "78");
    assert_eq!(refused(&changed), Reason::SignatureMismatch);
}
