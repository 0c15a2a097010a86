//! Heads that are accepted and refused: algorithm, credential, encoding of the signature, what is shown of them.

use std::time::Duration;

use credfed_sigv4_verify::{
    Algorithm, Carrier, Limit, Limits, Malformed, Profile, Protocol, Reason, SignedRequest, Verifier,
};

use crate::support::by_hand::{ByHand, Presigned};
use crate::support::post::Unsigned;
use crate::support::{
    self, ACCESS_KEY, TOKEN, now, replace_header, s3, s3_asymmetric, session_key, static_key, with_header,
    with_target,
};
use crate::{other_signature, plain, refused, verdict};

#[test]
fn both_carriers_are_accepted_beside_sigv4() {
    let verifier = s3_asymmetric();
    for parts in [
        plain().parts(),
        Presigned::s3().asymmetric().parts(),
        ByHand::s3("/bucket/key", "/bucket/key", "").parts(),
        Presigned::s3().parts(),
    ] {
        support::accept(&verifier, &parts, &static_key());
    }
    let with_token = plain().header("x-amz-security-token", TOKEN).parts();
    support::accept(&verifier, &with_token, &session_key());
    assert_eq!(refused(&with_token), Reason::TokenWithStaticKey);
    assert_eq!(verdict(&verifier, &plain().parts(), &session_key()), Err(Reason::TokenMissing));
}

#[test]
fn a_verifier_that_was_not_told_to_accepts_no_sigv4a() {
    for (parts, carrier) in
        [(plain().parts(), Carrier::Header), (Presigned::s3().asymmetric().parts(), Carrier::Presigned)]
    {
        let unsupported = Err(Reason::UnsupportedAlgorithm(carrier));
        assert_eq!(verdict(&s3(), &parts, &static_key()), unsupported);
        assert_eq!(SignedRequest::parse(&parts).map(drop), unsupported);
        // Nor does one that is given what another has read.
        let verifier = s3_asymmetric();
        let read = verifier.parse(&parts).unwrap();
        assert_eq!(s3().verify(&read, Some(&static_key()), now()).map(drop), unsupported);
        assert_eq!(Reason::UnsupportedAlgorithm(carrier).status(Protocol::S3).as_u16(), 400);
    }
}

#[test]
fn n08_the_signature_of_one_algorithm_under_the_name_of_the_other_is_refused() {
    let malformed = |part| Reason::Malformed(Carrier::Header, part);
    let hmac = ByHand::s3("/bucket/key", "/bucket/key", "").header("x-amz-region-set", "us-east-1");
    let [hmac_header, ecdsa_header] = [hmac.authorization(), plain().authorization()];
    let [hmac_signature, ecdsa_signature] =
        [&hmac_header, &ecdsa_header].map(|header| header.rsplit_once('=').unwrap().1);
    for (header, reason) in [
        // The name alone, with and without the scope that goes with it.
        (hmac_header.replace("HMAC", "ECDSA-P256"), Malformed::CredentialWithoutRegion),
        (
            hmac_header.replace("HMAC", "ECDSA-P256").replace("/us-east-1/s3/", "/s3/"),
            Malformed::EcdsaSignature,
        ),
        (ecdsa_header.replace("ECDSA-P256", "HMAC"), Malformed::Credential),
        (ecdsa_header.replace("ECDSA-P256", "HMAC").replace("/s3/", "/us-east-1/s3/"), Malformed::Signature),
        // The signature alone.
        (ecdsa_header.replace(ecdsa_signature, hmac_signature), Malformed::EcdsaSignature),
        (hmac_header.replace(hmac_signature, ecdsa_signature), Malformed::Signature),
    ] {
        assert_eq!(refused(&hmac.parts_with(&header)), malformed(reason), "{header}");
        assert_eq!(malformed(reason).code(Protocol::S3), "AuthorizationHeaderMalformed");
    }
    let base = Presigned::s3().asymmetric();
    let query = base.wire_query().replace("ECDSA-P256", "HMAC");
    assert_eq!(refused(&base.parts_with(&query)), Reason::Malformed(Carrier::Presigned, Malformed::Grammar));
    let query = Presigned::s3().wire_query().replace("HMAC", "ECDSA-P256");
    let scope = Reason::Malformed(Carrier::Presigned, Malformed::CredentialWithoutRegion);
    assert_eq!(refused(&Presigned::s3().parts_with(&query)), scope);
}

#[test]
fn the_name_is_byte_exact() {
    for name in [
        "aws4-ecdsa-p256-sha256",
        "AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "AWS4-ECDSA-P256-SHA384",
        "AWS4-ECDSA-P384-SHA384",
        "AWS4-ECDSA-P256",
        "AWS4-ECDSA",
    ] {
        let header = plain().authorization().replace("AWS4-ECDSA-P256-SHA256", name);
        assert_eq!(
            refused(&plain().parts_with(&header)),
            Reason::UnsupportedAlgorithm(Carrier::Header),
            "{name}"
        );
        let presigned = Presigned::s3().asymmetric().set("X-Amz-Algorithm", name).parts();
        assert_eq!(refused(&presigned), Reason::UnsupportedAlgorithm(Carrier::Presigned), "{name}");
    }
    for header in
        ["AWS4-ECDSA-P256-SHA256", "AWS4-ECDSA-P256-SHA256 ", "AWS4-ECDSA-P256-SHA256  Credential=a"]
    {
        let grammar = Reason::Malformed(Carrier::Header, Malformed::Grammar);
        assert_eq!(refused(&plain().parts_with(header)), grammar, "{header:?}");
    }
    assert_eq!(Algorithm::EcdsaP256Sha256.as_str(), "AWS4-ECDSA-P256-SHA256");
}

#[test]
fn signatures_are_der_in_lower_case_hex_and_nothing_else() {
    let good = plain().authorization();
    let (before, signature) = good.rsplit_once('=').unwrap();
    let query = Presigned::s3().asymmetric().wire_query();
    let (query_before, query_signature) = query.rsplit_once('=').unwrap();
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 8] = [
        (|hex| hex.to_uppercase(), "upper case"),
        (|hex| format!("{hex:*<146}"), "padding, as in chunks"),
        (|hex| format!("{hex}00"), "a byte behind it"),
        (|hex| hex[..hex.len() - 2].to_owned(), "a byte less"),
        (|hex| format!("3081{}", &hex[2..]), "a length in its long form"),
        (|hex| "ab".repeat(hex.len() / 2), "no DER"),
        (|_| "30060201000201 00".replace(' ', ""), "zeros"),
        (|_| String::new(), "nothing"),
    ];
    for (change, why) in changes {
        let header = plain().parts_with(&format!("{before}={}", change(signature)));
        assert_eq!(refused(&header), Reason::Malformed(Carrier::Header, Malformed::EcdsaSignature), "{why}");
        let query = format!("{query_before}={}", change(query_signature));
        let presigned = Presigned::s3().asymmetric().parts_with(&query);
        let malformed = Reason::Malformed(Carrier::Presigned, Malformed::EcdsaSignature);
        assert_eq!(refused(&presigned), malformed, "{why}");
    }
}

/// Whoever has `(r, s)` has `(r, n - s)`: both are signatures of the text, and neither is of another one.
#[test]
fn the_twin_of_a_signature_is_as_good_and_no_better() {
    let good = plain().authorization();
    let (before, signature) = good.rsplit_once('=').unwrap();
    let twin = format!("{before}={}", other_signature(signature));
    assert_ne!(twin, good);
    let parts = plain().parts_with(&twin);
    support::accept(&s3_asymmetric(), &parts, &static_key());
    assert_eq!(refused(&with_target(parts, "/bucket/other")), Reason::SignatureMismatch);
}

#[test]
fn one_change_and_it_is_refused() {
    for parts in [plain().parts(), Presigned::s3().asymmetric().parts()] {
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let changed = with_target(parts.clone(), &format!("/bucket/other{query}"));
        assert_eq!(refused(&changed), Reason::SignatureMismatch);
        let changed = replace_header(parts.clone(), "host", "other.amazonaws.com");
        assert_eq!(refused(&changed), Reason::SignatureMismatch);
        let changed = with_header(parts.clone(), "x-amz-acl", "public-read");
        assert_eq!(refused(&changed), Reason::UnsignedHeaders(vec!["x-amz-acl".into()]));
        let mut changed = parts;
        changed.method = http::Method::DELETE;
        assert_eq!(refused(&changed), Reason::SignatureMismatch);
    }
}

#[test]
fn scope_and_time_are_judged_as_with_sigv4() {
    let header =
        |from: &str, to: &str| refused(&plain().parts_with(&plain().authorization().replace(from, to)));
    let malformed = |part| Reason::Malformed(Carrier::Header, part);
    assert_eq!(header("/20150830/", "/20150831/"), Reason::ScopeDate(Carrier::Header));
    let sqs = Reason::WrongService { carrier: Carrier::Header, expected: "s3".into() };
    assert_eq!(header("/s3/", "/sqs/"), sqs);
    for (from, to) in [
        ("/s3/aws4_request", "/us-east-1/s3/aws4_request"),
        ("/s3/aws4_request", "/s3"),
        ("/s3/", "//"),
        ("/20150830", ""),
        (ACCESS_KEY, ""),
    ] {
        assert_eq!(header(from, to), malformed(Malformed::CredentialWithoutRegion), "{to}");
    }
    let late = now() + Duration::from_secs(901);
    let verified = support::verify_at(&s3_asymmetric(), &plain().parts(), &static_key(), late);
    assert!(matches!(verified.map(drop), Err(Reason::ClockSkew { .. })));
    let expired = now() + Duration::from_secs(3601);
    let presigned = Presigned::s3().asymmetric().parts();
    let verified = support::verify_at(&s3_asymmetric(), &presigned, &static_key(), expired);
    assert!(matches!(verified.map(drop), Err(Reason::PresignedExpired { .. })));
}

#[test]
fn what_was_signed_for_whom_is_told_and_no_signature() {
    let verifier = s3_asymmetric();
    let parts = plain().parts();
    let request = verifier.parse(&parts).unwrap();
    assert_eq!((request.access_key(), request.region_set()), (ACCESS_KEY, Some("us-east-1")));
    let scope = request.scope();
    assert_eq!((scope.date(), scope.region(), scope.service()), ("20150830", "", "s3"));
    assert_eq!(scope.as_str(), "20150830/s3/aws4_request");
    let preimage = request.preimage(None).unwrap();
    assert_eq!(preimage.canonical_request(), plain().canonical_request());
    let lines: Vec<_> = preimage.string_to_sign().lines().collect();
    assert_eq!(lines[..3], ["AWS4-ECDSA-P256-SHA256", "20150830T123600Z", "20150830/s3/aws4_request"]);
    let head = verifier.verify(&request, Some(&static_key()), now()).unwrap();
    assert_eq!(head.algorithm(), Algorithm::EcdsaP256Sha256);
    let authorization = plain().authorization();
    let shown = format!("{request:?} {head:?} {verifier:?}");
    assert!(!shown.contains(&authorization[authorization.len() - 16..]), "{shown}");
    let hmac = ByHand::s3("/bucket/key", "/bucket/key", "").parts();
    let request = verifier.parse(&hmac).unwrap();
    assert_eq!((request.algorithm(), request.region_set()), (Algorithm::HmacSha256, None));
}

/// Where a bound is crossed the signature, which is none of anybody's, has not been looked at.
#[test]
fn limits_hold_before_any_cryptography() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        Verifier::builder().region("us-east-1").accept_sigv4a().limits(limits).build().unwrap()
    };
    let with_token = plain().header("x-amz-security-token", TOKEN).parts();
    for (verifier, limit) in [
        (limits(|limits| limits.session_token = 10), Limit::SessionToken),
        (limits(|limits| limits.signed_header_names = 3), Limit::SignedHeaderNames),
        (limits(|limits| limits.signed_header_bytes = 50), Limit::SignedHeaderBytes),
        (limits(|limits| limits.path_bytes = 5), Limit::PathBytes),
    ] {
        assert_eq!(verifier.parse(&with_token).map(drop), Err(Reason::LimitExceeded(limit)));
    }
}

#[test]
fn every_profile_reads_it() {
    for profile in [Profile::S3, Profile::Sts, Profile::General { normalize: false }] {
        let verifier = Verifier::builder()
            .profile(profile)
            .region("us-east-1")
            .service("service")
            .accept_sigv4a()
            .build()
            .unwrap();
        let mut request = ByHand::general("/", "/", "").asymmetric();
        if profile == Profile::S3 {
            request = request.payload(support::EMPTY);
        }
        let verified = support::verify_body(&verifier, &request.parts(), &static_key(), b"").map(drop);
        assert_eq!(verified, Ok(()), "{profile:?}");
    }
}

/// AWS describes forms with SigV4 alone.
#[test]
fn forms_are_signed_with_sigv4_alone() {
    let form = Unsigned::new().sign();
    let policy = form.fields.iter().find(|(name, _)| name == "policy").map(|(_, policy)| policy).unwrap();
    let asymmetric = form
        .clone()
        .with("x-amz-algorithm", "AWS4-ECDSA-P256-SHA256")
        .with("x-amz-credential", &format!("{ACCESS_KEY}/20150830/s3/aws4_request"))
        .with("x-amz-signature", &support::sign_asymmetric(policy));
    let refused = asymmetric.verify_by(&s3_asymmetric(), &static_key()).map(drop);
    assert_eq!(refused, Err(Reason::UnsupportedAlgorithm(Carrier::PostForm)));
    assert!(form.verify_by(&s3_asymmetric(), &static_key()).is_ok());
}
