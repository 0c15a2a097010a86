//! The table of answers, and that nothing secret is in any of them (rule 13).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fmt::Debug;
use std::time::Duration;

use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{
    BuildError, Carrier, Checksum, Limit, Limits, Malformed, Protocol, Reason, SignedRequest, Verifier,
};
use support::by_hand::{ByHand, Presigned};
use support::chunked::{Mode, Upload};
use support::{SECRET, now, s3, session_key, static_key, verify};

type Answer = (&'static str, u16);

fn answers(reason: &Reason) -> [Answer; 3] {
    [Protocol::S3, Protocol::Query, Protocol::Json]
        .map(|protocol| (reason.code(protocol), reason.status(protocol).as_u16()))
}

/// Every reason with its S3, query and JSON answer.
fn table() -> Vec<(Reason, [Answer; 3])> {
    let header = Carrier::Header;
    let query = Carrier::Presigned;
    let mismatch = [("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 403)];
    let with = |s3: Answer| [s3, mismatch[0], mismatch[1]];
    let incomplete = |s3: Answer| [s3, ("IncompleteSignature", 400), ("IncompleteSignature", 400)];
    let argument = |code| [(code, 400), ("InvalidParameterValue", 400), ("ValidationException", 400)];
    let unknown =
        [("InvalidAccessKeyId", 403), ("InvalidClientTokenId", 403), ("UnrecognizedClientException", 400)];
    let token = [("InvalidToken", 400), ("InvalidClientTokenId", 403), ("UnrecognizedClientException", 400)];
    let skew = Duration::from_secs(900);
    let late = now() + Duration::from_secs(7200);
    vec![
        (
            Reason::NoCredentials,
            [("AccessDenied", 403), ("MissingAuthenticationToken", 403), ("MissingAuthenticationToken", 403)],
        ),
        (Reason::TwoCarriers, argument("InvalidArgument")),
        (Reason::SignatureVersion2, incomplete(("InvalidRequest", 400))),
        (Reason::UnsupportedScheme, incomplete(("InvalidArgument", 400))),
        (Reason::UnsupportedAlgorithm(header), incomplete(("InvalidRequest", 400))),
        (Reason::UnsupportedAlgorithm(query), incomplete(("AuthorizationQueryParametersError", 400))),
        (Reason::Malformed(header, Malformed::Grammar), incomplete(("AuthorizationHeaderMalformed", 400))),
        (
            Reason::Malformed(query, Malformed::Expires),
            incomplete(("AuthorizationQueryParametersError", 400)),
        ),
        (Reason::MalformedRequest(Malformed::RepeatedHeader), argument("InvalidRequest")),
        (Reason::MalformedRequest(Malformed::Path), argument("InvalidURI")),
        (Reason::MalformedRequest(Malformed::NonNormalPath), argument("InvalidURI")),
        (Reason::LimitExceeded(Limit::QueryBytes), argument("InvalidURI")),
        (Reason::LimitExceeded(Limit::SessionToken), argument("RequestHeaderSectionTooLarge")),
        (Reason::LimitExceeded(Limit::SignedChunk), argument("InvalidRequest")),
        (Reason::MalformedRequest(Malformed::DecodedLength), argument("InvalidRequest")),
        (Reason::StreamingWithoutUpload, argument("InvalidRequest")),
        (Reason::UnsupportedTrailer, argument("InvalidRequest")),
        (Reason::ChecksumNotImplemented, [("NotImplemented", 501); 3]),
        (
            Reason::MissingDecodedLength,
            [
                ("MissingContentLength", 411),
                ("MissingContentLength", 411),
                ("MissingContentLengthException", 411),
            ],
        ),
        (Reason::MalformedChunk, with(("IncompleteBody", 400))),
        (Reason::DecodedLengthMismatch, with(("IncompleteBody", 400))),
        (Reason::ChunkSignatureMismatch, with(("SignatureDoesNotMatch", 403))),
        (Reason::TrailerSignatureMismatch, with(("SignatureDoesNotMatch", 403))),
        (Reason::MalformedTrailer, with(("MalformedTrailerError", 400))),
        (Reason::InvalidChecksum(Checksum::Crc32), with(("InvalidRequest", 400))),
        (Reason::ChecksumMismatch(Checksum::Crc64Nvme), with(("BadDigest", 400))),
        (Reason::ScopeDate(header), incomplete(("AuthorizationHeaderMalformed", 400))),
        (
            Reason::WrongRegion { carrier: header, expected: "eu-west-1".into() },
            with(("AuthorizationHeaderMalformed", 400)),
        ),
        (
            Reason::WrongRegion { carrier: query, expected: "eu-west-1".into() },
            with(("AuthorizationQueryParametersError", 400)),
        ),
        (
            Reason::WrongService { carrier: header, expected: "s3".into() },
            with(("AuthorizationHeaderMalformed", 400)),
        ),
        (
            Reason::ClockSkew { signed_at: now(), now: late, max_skew: skew },
            with(("RequestTimeTooSkewed", 403)),
        ),
        (
            Reason::PresignedExpired { expires_in: 60, signed_at: now(), now: late },
            with(("AccessDenied", 403)),
        ),
        (
            Reason::PresignedNotYetValid { expires_in: 60, signed_at: late, now: now() },
            with(("AccessDenied", 403)),
        ),
        (Reason::UnsignedHeaders(vec!["x-amz-acl".into()]), with(("AccessDenied", 403))),
        (Reason::SignedHeaderMissing, with(("SignatureDoesNotMatch", 403))),
        (Reason::MissingContentSha256, argument("InvalidRequest")),
        (Reason::InvalidPayloadMode, argument("InvalidArgument")),
        (Reason::PayloadModeNotImplemented, [("NotImplemented", 501); 3]),
        (Reason::S3SessionToken, [("NotImplemented", 501); 3]),
        (Reason::UnsignedPayloadRefused, with(("AccessDenied", 403))),
        (
            Reason::BodyHashRequired,
            [("InternalError", 500), ("InternalFailure", 500), ("InternalFailure", 500)],
        ),
        (Reason::Internal, [("InternalError", 500), ("InternalFailure", 500), ("InternalFailure", 500)]),
        (Reason::UnknownKey, unknown),
        (Reason::TokenMissing, unknown),
        (Reason::SignatureMismatch, with(("SignatureDoesNotMatch", 403))),
        (Reason::TokenWithStaticKey, token),
        (Reason::InvalidToken, token),
        (
            Reason::ExpiredToken,
            [("ExpiredToken", 400), ("ExpiredToken", 403), ("ExpiredTokenException", 403)],
        ),
        (
            Reason::ResolverUnavailable,
            [("ServiceUnavailable", 503), ("ServiceUnavailable", 503), ("ServiceUnavailableException", 503)],
        ),
        (
            Reason::AccessDenied,
            [("AccessDenied", 403), ("AccessDenied", 403), ("AccessDeniedException", 403)],
        ),
        (Reason::BodyMismatch, with(("XAmzContentSHA256Mismatch", 400))),
        (Reason::IncompleteBody, with(("IncompleteBody", 400))),
        (
            Reason::EntityTooLarge,
            [
                ("EntityTooLarge", 400),
                ("RequestEntityTooLarge", 413),
                ("RequestEntityTooLargeException", 413),
            ],
        ),
    ]
}

#[test]
fn every_reason_has_its_answer_in_every_protocol() {
    for (reason, expected) in table() {
        assert_eq!(answers(&reason), expected, "{reason}");
        for protocol in [Protocol::S3, Protocol::Query, Protocol::Json] {
            assert!(!reason.message(protocol).is_empty(), "{reason}");
        }
    }
}

#[test]
fn display_is_terse_and_lower_case() {
    for (reason, _) in table() {
        let text = reason.to_string();
        assert!(!text.is_empty() && text.len() < 80 && !text.ends_with('.'), "{text}");
        assert!(text.starts_with(|first: char| first.is_lowercase()), "{text}");
        assert!(std::error::Error::source(&reason).is_none());
    }
}

#[test]
fn messages_are_those_that_clients_know() {
    let s3 = |reason: Reason| reason.message(Protocol::S3).into_owned();
    assert_eq!(s3(Reason::TwoCarriers), "Only one auth mechanism allowed");
    assert!(s3(Reason::SignatureVersion2).ends_with("Please use AWS4-HMAC-SHA256."));
    let wrong = Reason::WrongRegion { carrier: Carrier::Header, expected: "eu-west-1".into() };
    assert_eq!(wrong.fields(), [("Region", "eu-west-1".to_owned())]);
    assert!(s3(wrong.clone()).contains("expecting 'eu-west-1'"));
    assert_eq!(wrong.message(Protocol::Query), "Credential should be scoped to a valid region.");
}

#[test]
fn the_clock_is_told_as_aws_tells_it() {
    let skew = Duration::from_secs(900);
    let late = Reason::ClockSkew { signed_at: now(), now: now() + Duration::from_secs(901), max_skew: skew };
    assert_eq!(
        late.message(Protocol::Query),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
         (20150830T125101Z - 15 min.)"
    );
    let early = Reason::ClockSkew { signed_at: now(), now: now() - Duration::from_secs(901), max_skew: skew };
    assert_eq!(
        early.message(Protocol::Json),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
         (20150830T122059Z + 15 min.)"
    );
    let expired =
        Reason::PresignedExpired { expires_in: 60, signed_at: now(), now: now() + Duration::from_secs(61) };
    assert_eq!(expired.message(Protocol::S3), "Request has expired");
    let field = |name, value: &str| (name, value.to_owned());
    assert_eq!(
        expired.fields(),
        [
            field("X-Amz-Expires", "60"),
            field("Expires", "2015-08-30T12:37:00Z"),
            field("ServerTime", "2015-08-30T12:37:01Z"),
        ]
    );
}

#[test]
fn headers_that_were_not_signed_are_named() {
    let reason = Reason::UnsignedHeaders(vec!["x-amz-acl".into(), "x-amz-tagging".into()]);
    assert_eq!(reason.fields(), [("HeadersNotSigned", "x-amz-acl, x-amz-tagging".to_owned())]);
}

/// Secret, token, the right signature and the one sent must be in no text of ours.
#[test]
fn canaries_appear_nowhere() {
    const TOKEN: &str = "CANARYTOKENCANARYTOKEN";
    let header = ByHand::s3("/a?marker=1", "/a", "marker=1").header("x-amz-security-token", TOKEN);
    let right = header.authorization().rsplit_once("Signature=").unwrap().1.to_owned();
    let presigned = Presigned::s3().add("X-Amz-Security-Token", TOKEN);
    let right_presigned = presigned.wire_query().rsplit_once("Signature=").unwrap().1.to_owned();
    let wrong = "7".repeat(64);
    let canaries = [SECRET, TOKEN, right.as_str(), right_presigned.as_str(), wrong.as_str()];

    let mut texts = Vec::new();
    show(&mut texts, &static_key());
    show(&mut texts, &Knobs::new());
    show(&mut texts, &Limits::default());
    show(&mut texts, &BuildError::Region);
    show(&mut texts, &Verifier::builder().region("us-east-1"));
    let verifier = s3();
    for parts in [
        header.parts(),
        presigned.parts(),
        header.parts_with(&header.authorization().replace(&right, &wrong)),
        presigned.parts_with(&presigned.wire_query().replace(&right_presigned, &wrong)),
    ] {
        let request: SignedRequest<'_> = verifier.parse(&parts).unwrap();
        show(&mut texts, &request);
        show(&mut texts, &request.scope());
        for key in [Some(&session_key()), Some(&static_key()), None] {
            match verifier.verify(&request, key, now()) {
                Ok(head) => {
                    show(&mut texts, &head);
                    show(&mut texts, &head.into_body_check());
                }
                Err(reason) => tell(&mut texts, &reason),
            }
        }
        let unsigned = support::with_header(parts.clone(), "x-amz-acl", TOKEN);
        tell(&mut texts, &verify(&verifier, &unsigned, &session_key()).unwrap_err());
        let late = support::verify_at(&verifier, &parts, &session_key(), now() + Duration::from_secs(9_999));
        tell(&mut texts, &late.unwrap_err());
    }
    for mode in Mode::ALL {
        let upload = Upload::new(mode, TOKEN.as_bytes(), 5);
        let head = verify(&verifier, &upload.request.parts(), &static_key()).unwrap();
        show(&mut texts, &head);
        let mut check = head.into_body_check();
        check.push(upload.body().into()).unwrap();
        show(&mut texts, &check);
    }
    show(&mut texts, &verifier);
    for (reason, _) in table() {
        tell(&mut texts, &reason);
    }
    for text in &texts {
        for canary in canaries {
            assert!(!text.contains(canary), "{text}");
        }
    }
    // The search would find what is there.
    assert!(texts.iter().any(|text| text.contains(support::ACCESS_KEY)));
    assert!(format!("{:?}", header.parts()).contains(&right));
}

fn show(texts: &mut Vec<String>, value: &impl Debug) {
    texts.push(format!("{value:?}"));
    texts.push(format!("{value:#?}"));
}

fn tell(texts: &mut Vec<String>, reason: &Reason) {
    show(texts, reason);
    texts.push(reason.to_string());
    texts.extend(reason.fields().into_iter().map(|(_, text)| text));
    for protocol in [Protocol::S3, Protocol::Query, Protocol::Json] {
        texts.push(reason.message(protocol).into_owned());
    }
}

#[test]
fn the_messages_about_checksums_name_them() {
    let message = |reason: Reason| reason.message(Protocol::S3).into_owned();
    assert_eq!(
        message(Reason::ChecksumMismatch(Checksum::Crc64Nvme)),
        "The CRC64NVME you specified did not match the calculated checksum."
    );
    assert_eq!(
        message(Reason::InvalidChecksum(Checksum::Sha1)),
        "Value for x-amz-checksum-sha1 trailing header is invalid."
    );
}
