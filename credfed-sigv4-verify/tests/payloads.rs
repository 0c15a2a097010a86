//! Rules 10 and 11: payload modes, and the body against its signed hash.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use base64::Engine;
use bytes::Bytes;
use credfed_sigv4_verify::{
    BodyCheck, Carrier, PayloadCheck, PayloadMode, Profile, Reason, UnsignedPayload, Verifier,
};
use sha2::{Digest, Sha256};
use support::by_hand::{ByHand, Presigned};
use support::{Signer, get, hex, s3, static_key, verify, verify_body};

const BODY: &[u8] = b"the body";

fn hash() -> String {
    hex(&Sha256::digest(BODY))
}

fn plain() -> ByHand {
    ByHand::s3("/bucket/key", "/bucket/key", "")
}

fn check(request: &http::request::Parts) -> BodyCheck {
    let head = verify(&s3(), request, &static_key()).unwrap();
    assert_eq!(head.payload_check(), PayloadCheck::Sha256);
    head.into_body_check()
}

#[test]
fn n28_a_body_other_than_the_signed_one_is_refused() {
    let base64 = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(BODY));
    for line in [hash(), hash().to_uppercase(), base64] {
        let parts = plain().payload(&line).parts();
        for (body, expected) in [
            (BODY, Ok(())),
            (b"the bodY".as_slice(), Err(Reason::BodyMismatch)),
            (b"the bod", Err(Reason::BodyMismatch)),
            (b"the body\n", Err(Reason::BodyMismatch)),
            (b"", Err(Reason::BodyMismatch)),
        ] {
            let mut open = check(&parts);
            assert!(open.is_open());
            body.chunks(3).for_each(|piece| open.push(Bytes::copy_from_slice(piece)).unwrap());
            assert_eq!(open.finish(), expected);
        }
    }
}

#[test]
fn every_single_bit_of_the_body_counts() {
    let parts = plain().payload(&hash()).parts();
    for bit in 0..BODY.len() * 8 {
        let mut body = BODY.to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        let mut open = check(&parts);
        open.push(body.into()).unwrap();
        assert_eq!(open.finish(), Err(Reason::BodyMismatch));
    }
}

#[test]
fn the_declared_hash_is_covered_by_the_signature() {
    let parts = plain().payload(&hash()).parts();
    for other in ["UNSIGNED-PAYLOAD", support::EMPTY] {
        let parts = support::replace_header(parts.clone(), "x-amz-content-sha256", other);
        assert_eq!(verify(&s3(), &parts, &static_key()).map(drop), Err(Reason::SignatureMismatch));
    }
}

#[test]
fn a_body_that_is_there_already_is_compared_at_once() {
    let parts = plain().payload(&hash()).parts();
    let head = verify_body(&s3(), &parts, &static_key(), BODY).unwrap();
    assert_eq!(head.payload_check(), PayloadCheck::Compared);
    let mut check = head.into_body_check();
    assert!(!check.is_open());
    assert_eq!(check.finish(), Ok(()));
    let verified = verify_body(&s3(), &parts, &static_key(), b"another").map(drop);
    assert_eq!(verified, Err(Reason::BodyMismatch));
}

#[test]
fn unsigned_payloads_follow_the_policy() {
    let parts = plain().parts();
    let head = verify(&s3(), &parts, &static_key()).unwrap();
    assert_eq!(head.payload_check(), PayloadCheck::Unsigned);
    assert!(!head.into_body_check().is_open());

    let strict =
        Verifier::builder().region("us-east-1").unsigned_payload(UnsignedPayload::Refuse).build().unwrap();
    for parts in [parts, Presigned::s3().parts()] {
        let verified = verify(&strict, &parts, &static_key()).map(drop);
        assert_eq!(verified, Err(Reason::UnsignedPayloadRefused));
    }
    // Other profiles refuse it unless told otherwise, STS even then.
    let request = || {
        let mut request = ByHand::general("/", "/", "");
        request = request.payload("UNSIGNED-PAYLOAD");
        request.parts()
    };
    let verified = verify(&support::general(), &request(), &static_key()).map(drop);
    assert_eq!(verified, Err(Reason::UnsignedPayloadRefused));
    let general = Verifier::builder()
        .profile(Profile::General { normalize: true })
        .region("us-east-1")
        .service("service");
    let lenient = general.unsigned_payload(UnsignedPayload::Allow).build().unwrap();
    support::accept(&lenient, &request(), &static_key());
    let sts = Verifier::builder().profile(Profile::Sts).any_region();
    assert!(sts.unsigned_payload(UnsignedPayload::Allow).build().is_err());
}

#[test]
fn without_the_header_s3_wants_it_or_leaves_the_body_out() {
    let parts = plain().without("x-amz-content-sha256").parts();
    assert_eq!(verify(&s3(), &parts, &static_key()).map(drop), Err(Reason::MissingContentSha256));
    let presigned = Presigned::s3().parts();
    let verifier = s3();
    assert_eq!(verifier.parse(&presigned).unwrap().payload_mode(), PayloadMode::Unsigned);
    support::accept(&s3(), &presigned, &static_key());
}

#[test]
fn without_the_header_other_services_sign_the_real_body() {
    for signer in
        [Signer::general(Carrier::Header), Signer::general(Carrier::Presigned), Signer::sts(Carrier::Header)]
    {
        let request = http::Request::post("https://example.com/").body("Action=GetCallerIdentity").unwrap();
        let parts = signer.sign(request);
        let verifier = signer.verifier();
        let key = signer.key();
        let parsed = verifier.parse(&parts).unwrap();
        assert!(parsed.needs_body_hash());
        assert_eq!(parsed.payload_mode(), PayloadMode::BodyHash);
        let verified = verifier.verify(&parsed, Some(&key), support::now()).map(drop);
        assert_eq!(verified, Err(Reason::BodyHashRequired));
        let head = verify_body(&verifier, &parts, &key, b"Action=GetCallerIdentity").unwrap();
        assert_eq!(head.payload_check(), PayloadCheck::Compared);
        let verified = verify_body(&verifier, &parts, &key, b"Action=AssumeRole").map(drop);
        assert_eq!(verified, Err(Reason::SignatureMismatch));
    }
}

#[test]
fn presigned_payloads_come_from_the_query_or_a_signed_header() {
    let hash = hash();
    let in_query = Presigned::s3().add("X-Amz-Content-Sha256", &hash).payload(&hash).parts();
    let mut open = check(&in_query);
    open.push(BODY.into()).unwrap();
    assert_eq!(open.finish(), Ok(()));
    let in_header = Presigned::s3().header("x-amz-content-sha256", &hash).payload(&hash).parts();
    let mut open = check(&in_header);
    open.push(b"another".as_slice().into()).unwrap();
    assert_eq!(open.finish(), Err(Reason::BodyMismatch));
    // Both is one too many.
    let both = Presigned::s3()
        .add("X-Amz-Content-Sha256", &hash)
        .header("x-amz-content-sha256", &hash)
        .payload(&hash)
        .parts();
    assert!(verify(&s3(), &both, &static_key()).is_err());
    // A parameter of that name is no payload line of a header-signed request.
    let target = format!("/bucket/key?x-amz-content-sha256={hash}");
    let mut request = ByHand::s3(&target, "/bucket/key", &format!("x-amz-content-sha256={hash}"));
    request = request.without("x-amz-content-sha256");
    request.payload = hash;
    let verified = verify(&s3(), &request.parts(), &static_key()).map(drop);
    assert_eq!(verified, Err(Reason::MissingContentSha256));
}

#[test]
fn modes_that_are_not_served_are_not_implemented_whatever_the_signature() {
    for mode in [
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-EVENTS",
        "STREAMING-AWS4-ECDSA-P256-SHA256-EVENTS",
    ] {
        let signed = plain().payload(mode);
        let forged = signed.parts_with(&plain().authorization());
        let presigned = Presigned::s3().add("X-Amz-Content-Sha256", mode).payload(mode).parts();
        for parts in [signed.parts(), forged, presigned] {
            let verified = verify(&s3(), &parts, &static_key()).map(drop);
            assert_eq!(verified, Err(Reason::PayloadModeNotImplemented), "{mode}");
        }
        let anonymous = support::without_header(signed.parts(), "authorization");
        let verified = verify(&s3(), &anonymous, &static_key()).map(drop);
        assert_eq!(verified, Err(Reason::NoCredentials), "{mode}");
    }
}

#[test]
fn the_last_piece_of_a_body_waits_for_the_verdict() {
    let mut open = check(&plain().payload(&hash()).parts());
    assert_eq!(open.pop(), None);
    open.push(Bytes::new()).unwrap();
    open.push(Bytes::from_static(&BODY[..3])).unwrap();
    assert_eq!(open.pop(), None);
    open.push(Bytes::from_static(&BODY[3..])).unwrap();
    assert_eq!(open.pop().as_deref(), Some(&BODY[..3]));
    assert_eq!((open.pop(), open.held(), open.decoded_rest()), (None, BODY.len() - 3, None));
    assert_eq!(open.finish(), Ok(()));
    assert!(!open.is_open());
    assert_eq!(open.pop().as_deref(), Some(&BODY[3..]));
    assert_eq!((open.pop(), open.finish()), (None, Ok(())));
}

#[test]
fn of_a_body_that_was_refused_nothing_more_comes_out() {
    let mut open = check(&plain().payload(&hash()).parts());
    open.push(Bytes::from_static(b"the bodY")).unwrap();
    assert_eq!(open.finish(), Err(Reason::BodyMismatch));
    assert_eq!(open.push(Bytes::from_static(BODY)), Err(Reason::BodyMismatch));
    assert_eq!((open.pop(), open.held(), open.finish()), (None, 0, Err(Reason::BodyMismatch)));
}

#[test]
fn unknown_modes_are_refused() {
    for mode in [
        "",
        "unsigned-payload",
        "UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-",
        "required",
        "e3b0c442",
        "STREAMING-AWS4-HMAC-SHA512-PAYLOAD",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
    ] {
        let verified = verify(&s3(), &plain().payload(mode).parts(), &static_key()).map(drop);
        assert_eq!(verified, Err(Reason::InvalidPayloadMode), "{mode}");
        let verified =
            verify(&support::general(), &ByHand::general("/", "/", "").payload(mode).parts(), &static_key());
        assert_eq!(verified.map(drop), Err(Reason::InvalidPayloadMode), "{mode}");
    }
}

#[test]
fn a_strangers_put_is_accepted_with_its_body_only() {
    let signer = Signer::s3(Carrier::Header);
    let request = http::Request::put("https://bucket.s3.amazonaws.com/a").body("the body").unwrap();
    let parts = signer.sign(request);
    let mut open = check(&parts);
    open.push(BODY.into()).unwrap();
    assert_eq!(open.finish(), Ok(()));
    assert_eq!(
        signer.sign(get("https://bucket.s3.amazonaws.com/a")).headers["x-amz-content-sha256"],
        support::EMPTY
    );
}
