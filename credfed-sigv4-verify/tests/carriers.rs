//! Rules 1, 2, 3 and 7: one carrier, one algorithm, each part once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use credfed_sigv4_verify::{CREDENTIAL_QUERY_PARAMETERS, Carrier, KeyKind, Malformed, Reason, ResolvedKey};
use support::by_hand::{ByHand, Presigned};
use support::{TOKEN, get, s3, session_key, static_key, verify, with_header, with_target, without_header};

fn plain() -> ByHand {
    ByHand::s3("/bucket/key", "/bucket/key", "")
}

fn refused(parts: &http::request::Parts) -> Reason {
    verify(&s3(), parts, &static_key()).map(drop).unwrap_err()
}

fn malformed(carrier: Carrier, part: Malformed) -> Reason {
    Reason::Malformed(carrier, part)
}

#[test]
fn header_and_presigned_requests_are_accepted() {
    let head = verify(&s3(), &plain().parts(), &static_key()).unwrap();
    assert_eq!(head.carrier(), Carrier::Header);
    assert_eq!(head.signed_at(), support::now());
    assert_eq!(head.key_kind(), KeyKind::Static);
    let head = verify(&s3(), &Presigned::s3().parts(), &static_key()).unwrap();
    assert_eq!(head.carrier(), Carrier::Presigned);
}

#[test]
fn what_the_request_claims_can_be_read() {
    let parts = Presigned::s3()
        .set("X-Amz-Credential", "team%2Fa%2F20150830%2Fus-east-1%2Fs3%2Faws4_request")
        .add("X-Amz-Security-Token", "a%2Bb%2Fc%3D")
        .parts();
    let request = s3().parse(&parts).unwrap();
    assert_eq!(request.access_key(), "team/a");
    assert_eq!(request.session_token(), Some("a+b/c="));
    let scope = request.scope();
    assert_eq!((scope.date(), scope.region(), scope.service()), ("20150830", "us-east-1", "s3"));
    support::accept(&s3(), &parts, &session_key());
}

#[test]
fn no_credentials_at_all() {
    let parts = without_header(plain().parts(), "authorization");
    assert_eq!(refused(&parts), Reason::NoCredentials);
    assert_eq!(refused(&with_target(parts, "/bucket/key?x-id=GetObject&Signature=1")), Reason::NoCredentials);
}

#[test]
fn n02_credentials_in_the_query_beside_a_header_are_refused() {
    let presigned = Presigned::s3();
    let query = presigned.wire_query();
    let signed_for_it = ByHand::s3(&format!("/bucket/key?{query}"), "/bucket/key", &query).parts();
    assert_eq!(refused(&signed_for_it), Reason::TwoCarriers);
    let with_bearer = with_header(presigned.parts(), "authorization", "Bearer x");
    assert_eq!(refused(&with_bearer), Reason::TwoCarriers);
    // One parameter is enough, in any spelling: identity comes from one place.
    for name in CREDENTIAL_QUERY_PARAMETERS {
        for name in [name.to_owned(), name.to_lowercase(), name.to_uppercase(), name.replace("-", "%2D")] {
            let target = format!("/bucket/key?{name}=x");
            let query = format!("{}=x", name.replace("%2D", "-"));
            let parts = ByHand::s3(&target, "/bucket/key", &query).parts();
            assert_eq!(refused(&parts), Reason::TwoCarriers, "{name}");
        }
    }
}

#[test]
fn n07_n27_a_signature_parameter_on_a_header_signed_url_is_refused() {
    let parts = with_target(plain().parts(), &format!("/bucket/key?X-Amz-Signature={}", "0".repeat(64)));
    assert_eq!(refused(&parts), Reason::TwoCarriers);
}

#[test]
fn n07_the_list_of_one_carrier_does_not_widen_the_others() {
    // A header that acts, and that only the query says is signed.
    for name in ["X-Amz-SignedHeaders", "x-amz-signedheaders", "X-Amz-Signedheaders"] {
        let target = format!("/bucket/key?{name}=host%3Bx-amz-acl");
        let parts = with_header(with_target(plain().parts(), &target), "x-amz-acl", "public-read");
        assert_eq!(refused(&parts), Reason::TwoCarriers, "{name}");
    }
    // The other way round: a presigned request beside a header that lists more.
    let list = support::authorization("", "host;x-amz-acl", "s3");
    let parts =
        with_header(with_header(Presigned::s3().parts(), "x-amz-acl", "public-read"), "authorization", &list);
    assert_eq!(refused(&parts), Reason::TwoCarriers);
}

#[test]
fn n08_another_algorithm_with_an_hmac_signature_is_refused() {
    let good = plain().authorization();
    for algorithm in [
        "AWS4-ECDSA-P256-SHA256",
        "aws4-hmac-sha256",
        "AWS4-HMAC-SHA256-PAYLOAD",
        "AWS4-HMAC-SHA384",
        "AWS4-HMAC-SHA1",
        "AWS3",
    ] {
        let parts = plain().parts_with(&good.replace("AWS4-HMAC-SHA256", algorithm));
        assert_eq!(refused(&parts), Reason::UnsupportedAlgorithm(Carrier::Header), "{algorithm}");
        let parts = Presigned::s3().set("X-Amz-Algorithm", algorithm).parts();
        assert_eq!(refused(&parts), Reason::UnsupportedAlgorithm(Carrier::Presigned), "{algorithm}");
    }
    for header in ["Bearer abc", "Basic QUtJRDpzZWNyZXQ=", "", "Digest", "4-HMAC-SHA256 Credential=a"] {
        assert_eq!(refused(&plain().parts_with(header)), Reason::UnsupportedScheme, "{header}");
    }
}

#[test]
fn signature_version_2_is_refused() {
    assert_eq!(refused(&plain().parts_with("AWS AKIDEXAMPLE:c2ln")), Reason::SignatureVersion2);
    // With a session its token stands there too, in the lower case of that version.
    for more in ["", "&x-amz-security-token=token"] {
        let target =
            format!("/bucket/key?AWSAccessKeyId=AKIDEXAMPLE&Expires=1441000000{more}&Signature=c2ln");
        let parts = without_header(with_target(plain().parts(), &target), "authorization");
        assert_eq!(refused(&parts), Reason::SignatureVersion2, "{more}");
    }
    // It says so of no query that has a parameter of version 4.
    let parts = Presigned::s3().set("AWSAccessKeyId", "AKIDEXAMPLE").parts();
    assert!(verify(&s3(), &parts, &static_key()).is_ok());
}

#[test]
fn blanks_after_the_commas_are_optional_and_the_order_is_free() {
    let good = plain().authorization();
    for header in [
        good.replace(", ", ","),
        good.replace(", ", ",  "),
        {
            let (algorithm, rest) = good.split_once(' ').unwrap();
            let mut parts: Vec<_> = rest.split(", ").collect();
            parts.reverse();
            format!("{algorithm} {}", parts.join(", "))
        },
        // Capitals in the list, as some old clients send them.
        good.replace("host;x-amz-content-sha256", "Host;X-Amz-Content-SHA256"),
    ] {
        support::accept(&s3(), &plain().parts_with(&header), &static_key());
    }
}

#[test]
fn the_header_is_read_strictly() {
    let good = plain().authorization();
    let (_, signature) = good.rsplit_once("Signature=").unwrap();
    let grammar = malformed(Carrier::Header, Malformed::Grammar);
    for header in [
        "AWS4-HMAC-SHA256".to_owned(),
        "AWS4-HMAC-SHA256 ".to_owned(),
        good.replace("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        format!("{good},"),
        format!("{good}, "),
        format!("{good}, Signature={signature}"),
        format!("{good}, Extra=1"),
        good.replace("Credential=", "credential="),
        good.replace("Credential=", "Credential ="),
        good.replace("SignedHeaders=", ""),
        good.replace(", Signature=", "; Signature="),
        good.replace(", SignedHeaders", " SignedHeaders"),
        good.split(", Signature").next().unwrap().to_owned(),
    ] {
        let reason = refused(&plain().parts_with(&header));
        let by_algorithm = reason == Reason::UnsupportedAlgorithm(Carrier::Header);
        let other_part = matches!(reason, Reason::Malformed(Carrier::Header, _));
        assert!(reason == grammar || by_algorithm || other_part, "{header}: {reason}");
    }
    for bad in [
        signature.to_uppercase(),
        signature[1..].to_owned(),
        format!("{signature}0"),
        format!("{signature} "),
        String::new(),
    ] {
        let header = good.replace(signature, &bad);
        let wanted = malformed(Carrier::Header, Malformed::Signature);
        assert_eq!(refused(&plain().parts_with(&header)), wanted, "{header}");
    }
}

#[test]
fn a_wrong_signature_is_refused_wherever_it_differs() {
    let good = plain().authorization();
    let start = good.len() - 64;
    for at in start..good.len() {
        let mut header = good.clone();
        let other = if &good[at..=at] == "0" { "1" } else { "0" };
        header.replace_range(at..=at, other);
        assert_eq!(refused(&plain().parts_with(&header)), Reason::SignatureMismatch);
    }
}

#[test]
fn n22_repeated_headers_are_refused() {
    let repeated = Reason::MalformedRequest(Malformed::RepeatedHeader);
    let base = plain().header("x-amz-security-token", TOKEN);
    for (name, value) in [
        ("host", "example.amazonaws.com"),
        ("authorization", base.authorization().as_str()),
        ("x-amz-date", "20150830T123600Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-security-token", TOKEN),
    ] {
        let name: &'static str = name;
        let parts = with_header(base.parts(), name, value);
        assert_eq!(verify(&s3(), &parts, &session_key()).map(drop), Err(repeated.clone()), "{name}");
    }
}

#[test]
fn n22_a_second_value_of_a_signed_header_is_refused() {
    let base = plain().header("my-header", "one");
    support::accept(&s3(), &base.parts(), &static_key());
    let parts = with_header(base.parts(), "my-header", "two");
    assert_eq!(refused(&parts), Reason::SignatureMismatch);
    let base = plain().header("content-type", "text/plain");
    support::accept(&s3(), &base.parts(), &static_key());
    let parts = with_header(base.parts(), "content-type", "text/html");
    assert_eq!(refused(&parts), Reason::MalformedRequest(Malformed::RepeatedHeader));
    let base = plain().header("x-amz-acl", "private");
    let parts = with_header(base.parts(), "x-amz-acl", "public-read");
    assert_eq!(refused(&parts), Reason::MalformedRequest(Malformed::RepeatedHeader));
}

#[test]
fn every_presigned_parameter_comes_once_in_its_exact_case() {
    let base = Presigned::s3().add("X-Amz-Security-Token", "token");
    support::accept(&s3(), &base.parts(), &session_key());
    let variant = malformed(Carrier::Presigned, Malformed::DuplicateOrVariant);
    let query = base.wire_query();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        for twin in [
            format!("{name}={value}"),
            format!("{name}="),
            format!("{}={value}", name.to_lowercase()),
            format!("{}={value}", name.to_uppercase()),
            format!("{}={value}", name.replace('A', "%41")),
            format!("{}={value}", name.replace('-', "%2d")),
            name.to_lowercase(),
        ] {
            for query in [format!("{query}&{twin}"), format!("{twin}&{query}")] {
                let reason = verify(&s3(), &base.parts_with(&query), &session_key()).map(drop).unwrap_err();
                assert_eq!(reason, variant, "{twin}");
            }
        }
        let flipped = query.replace(name, &name.to_lowercase());
        assert!(verify(&s3(), &base.parts_with(&flipped), &session_key()).is_err(), "{name}");
    }
}

#[test]
fn every_presigned_parameter_is_needed() {
    let base = Presigned::s3();
    let query = base.wire_query();
    for pair in query.split('&') {
        let without: Vec<_> = query.split('&').filter(|other| *other != pair).collect();
        let reason = refused(&base.parts_with(&without.join("&")));
        assert_eq!(reason, malformed(Carrier::Presigned, Malformed::Grammar), "{pair}");
    }
    let with_regions = base.add("X-Amz-Region-Set", "us-east-1").parts();
    assert_eq!(refused(&with_regions), malformed(Carrier::Presigned, Malformed::Grammar));
}

#[test]
fn the_parts_of_a_presigned_request_do_not_come_from_headers() {
    for (name, value) in [("x-amz-date", "20150830T123600Z"), ("x-amz-security-token", TOKEN)] {
        let name: &'static str = name;
        assert_eq!(refused(&with_header(Presigned::s3().parts(), name, value)), Reason::TwoCarriers);
        let signed = Presigned::s3().header(name, value).parts();
        assert_eq!(refused(&signed), Reason::TwoCarriers, "{name}");
    }
}

#[test]
fn n24_token_and_key_have_to_belong_together() {
    let with_token = plain().header("x-amz-security-token", TOKEN).parts();
    support::accept(&s3(), &with_token, &session_key());
    assert_eq!(refused(&with_token), Reason::TokenWithStaticKey);
    let without = verify(&s3(), &plain().parts(), &session_key()).map(drop);
    assert_eq!(without, Err(Reason::TokenMissing));
    let presigned = Presigned::s3().add("X-Amz-Security-Token", "t").parts();
    assert_eq!(refused(&presigned), Reason::TokenWithStaticKey);
    assert_eq!(verify(&s3(), &Presigned::s3().parts(), &session_key()).map(drop), Err(Reason::TokenMissing));
    // The token of A with the key of B: the resolver finds another secret, or none.
    let other = ResolvedKey::new("another secret", KeyKind::Temporary, 1);
    assert_eq!(verify(&s3(), &with_token, &other).map(drop), Err(Reason::SignatureMismatch));
}

#[test]
fn n24_a_token_in_the_header_and_another_in_the_query_are_refused() {
    let with_token = plain().header("x-amz-security-token", TOKEN).parts();
    for token in ["another", "IQoJb3JpZ2luX2VjEA%2F%2Btoken%3Dwith%2Fevery%2Bsign%3D%3D"] {
        let parts = with_target(with_token.clone(), &format!("/bucket/key?X-Amz-Security-Token={token}"));
        assert_eq!(verify(&s3(), &parts, &session_key()).map(drop), Err(Reason::TwoCarriers), "{token}");
        let presigned = Presigned::s3().add("X-Amz-Security-Token", token).parts();
        let parts = with_header(presigned, "x-amz-security-token", TOKEN);
        assert_eq!(verify(&s3(), &parts, &session_key()).map(drop), Err(Reason::TwoCarriers), "{token}");
    }
}

#[test]
fn an_empty_token_is_malformed_not_absent() {
    let parts = plain().header("x-amz-security-token", "").parts();
    assert_eq!(refused(&parts), malformed(Carrier::Header, Malformed::Token));
    for token in ["", "%20", "a%20b", "a+b", "%E1%88%B4", "%0A"] {
        let parts = Presigned::s3().add("X-Amz-Security-Token", token).parts();
        assert_eq!(refused(&parts), malformed(Carrier::Presigned, Malformed::Token), "{token}");
    }
}

#[test]
fn s3_express_tokens_are_refused_not_ignored() {
    let signed = plain().header("x-amz-s3session-token", "t").parts();
    assert_eq!(refused(&signed), Reason::S3SessionToken);
    assert_eq!(refused(&with_header(plain().parts(), "x-amz-s3session-token", "t")), Reason::S3SessionToken);
    assert_eq!(refused(&Presigned::s3().add("X-Amz-S3session-Token", "t").parts()), Reason::S3SessionToken);
}

#[test]
fn requests_of_a_stranger_are_accepted() {
    use support::Signer;
    for carrier in [Carrier::Header, Carrier::Presigned] {
        for token in [None, Some(TOKEN)] {
            for mut signer in [Signer::s3(carrier), Signer::general(carrier), Signer::sts(carrier)] {
                signer.token = token.map(Into::into);
                let parts = signer.sign(get("https://bucket.example.com/a/b.txt?list-type=2&prefix=a%2Fb"));
                let verified = support::verify_body(&signer.verifier(), &parts, &signer.key(), b"");
                assert_eq!(verified.map(drop), Ok(()), "{signer:?}");
            }
        }
    }
}
