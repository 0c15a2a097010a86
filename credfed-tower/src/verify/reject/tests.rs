//! The table of error answers, in the shape of each protocol.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use credfed_sigv4_verify::{Carrier, Checksum, Limit, Malformed, PolicyFault, PostFault};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;

const ID: &str = "0123456789AB";
const PATH: &str = "/<b>&\"'\u{7f}\u{85}\u{2028}/é";

/// A reason, its answers (code and status of S3, of the query protocol, of JSON), and S3's further elements.
type Row = (Reason, [(&'static str, u16); 3], &'static [(&'static str, &'static str)]);

/// The table "Error answers" of the design, one reason or more for each row.
fn table() -> Vec<Row> {
    use Carrier::{Header, Presigned};
    use Reason::{
        BodyMismatch, ChecksumMismatch, ChunkSignatureMismatch, ClockSkew, ExpiredToken, ExtraInputField,
        IncompleteBody, InvalidPayloadMode, InvalidToken, LimitExceeded, MalformedTrailer,
        MissingContentSha256, MissingDecodedLength, NoCredentials, PayloadModeNotImplemented,
        PolicyCondition, PolicyDocument, PolicyExpired, PresignedExpired, PresignedNotYetValid,
        ResolverUnavailable, SignatureMismatch, TokenWithStaticKey, TrailerSignatureMismatch, TwoCarriers,
        UnknownKey, UnsignedHeaders, UploadTooLarge, UploadTooSmall, WrongRegion,
    };
    let [differs_query, differs_json] = [("SignatureDoesNotMatch", 403), ("InvalidSignatureException", 403)];
    let differs = |s3| [s3, differs_query, differs_json];
    let incomplete = |code| [(code, 400), ("IncompleteSignature", 400), ("IncompleteSignature", 400)];
    let argument = |code| [(code, 400), ("InvalidParameterValue", 400), ("ValidationException", 400)];
    let form = |answer| [answer; 3];
    let nobody = ("UnrecognizedClientException", 400);
    let then = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    let late = then + Duration::from_secs(3600);
    let max_skew = Duration::from_secs(900);
    let missing = ("MissingAuthenticationToken", 403);
    vec![
        (NoCredentials, [("AccessDenied", 403), missing, missing], &[]),
        (Reason::Malformed(Header, Malformed::Grammar), incomplete("AuthorizationHeaderMalformed"), &[]),
        (
            Reason::Malformed(Presigned, Malformed::Expires),
            incomplete("AuthorizationQueryParametersError"),
            &[],
        ),
        (
            WrongRegion { carrier: Header, expected: "eu-west-1".into() },
            differs(("AuthorizationHeaderMalformed", 400)),
            &[("Region", "eu-west-1")],
        ),
        (
            WrongRegion { carrier: Presigned, expected: "eu-west-1".into() },
            differs(("AuthorizationQueryParametersError", 400)),
            &[("Region", "eu-west-1")],
        ),
        (TwoCarriers, argument("InvalidArgument"), &[]),
        (InvalidPayloadMode, argument("InvalidArgument"), &[]),
        (PayloadModeNotImplemented, [("NotImplemented", 501); 3], &[]),
        (MissingContentSha256, argument("InvalidRequest"), &[]),
        (
            MissingDecodedLength,
            [
                ("MissingContentLength", 411),
                ("MissingContentLength", 411),
                ("MissingContentLengthException", 411),
            ],
            &[],
        ),
        (UnknownKey, [("InvalidAccessKeyId", 403), ("InvalidClientTokenId", 403), nobody], &[]),
        (SignatureMismatch, differs(("SignatureDoesNotMatch", 403)), &[]),
        (ChunkSignatureMismatch, differs(("SignatureDoesNotMatch", 403)), &[]),
        (TrailerSignatureMismatch, differs(("SignatureDoesNotMatch", 403)), &[]),
        (
            ClockSkew { signed_at: then, now: late, max_skew },
            differs(("RequestTimeTooSkewed", 403)),
            &[
                ("RequestTime", "20150830T123600Z"),
                ("ServerTime", "2015-08-30T13:36:00Z"),
                ("MaxAllowedSkewMilliseconds", "900000"),
            ],
        ),
        (
            PresignedExpired { expires_in: 60, signed_at: then, now: late },
            differs(("AccessDenied", 403)),
            &[
                ("X-Amz-Expires", "60"),
                ("Expires", "2015-08-30T12:37:00Z"),
                ("ServerTime", "2015-08-30T13:36:00Z"),
            ],
        ),
        (
            PresignedNotYetValid { expires_in: 60, signed_at: late, now: then },
            differs(("AccessDenied", 403)),
            &[("ServerTime", "2015-08-30T12:36:00Z")],
        ),
        (
            UnsignedHeaders(vec!["x-amz-acl".into(), "x-amz-'&".into()]),
            differs(("AccessDenied", 403)),
            &[("HeadersNotSigned", "x-amz-acl, x-amz-'&")],
        ),
        (InvalidToken, [("InvalidToken", 400), ("InvalidClientTokenId", 403), nobody], &[]),
        (TokenWithStaticKey, [("InvalidToken", 400), ("InvalidClientTokenId", 403), nobody], &[]),
        (ExpiredToken, [("ExpiredToken", 400), ("ExpiredToken", 403), ("ExpiredTokenException", 403)], &[]),
        (
            ResolverUnavailable,
            [("ServiceUnavailable", 503), ("ServiceUnavailable", 503), ("ServiceUnavailableException", 503)],
            &[],
        ),
        (BodyMismatch, differs(("XAmzContentSHA256Mismatch", 400)), &[]),
        (IncompleteBody, differs(("IncompleteBody", 400)), &[]),
        (MalformedTrailer, differs(("MalformedTrailerError", 400)), &[]),
        (ChecksumMismatch(Checksum::Crc32), differs(("BadDigest", 400)), &[]),
        (LimitExceeded(Limit::QueryBytes), argument("InvalidURI"), &[]),
        (PolicyExpired, form(("AccessDenied", 403)), &[]),
        (PolicyCondition { operator: "eq", name: "a\"<&]]>".into() }, form(("AccessDenied", 403)), &[]),
        (ExtraInputField("</Message>".into()), form(("AccessDenied", 403)), &[]),
        (PolicyDocument(PolicyFault::Json), form(("InvalidPolicyDocument", 400)), &[]),
        (UploadTooLarge { most: 5 }, form(("EntityTooLarge", 400)), &[("MaxSizeAllowed", "5")]),
        (UploadTooSmall { least: 5 }, form(("EntityTooSmall", 400)), &[("MinSizeAllowed", "5")]),
        (Reason::PostForm(PostFault::RepeatedField("<!--".into())), form(("MalformedPOSTRequest", 400)), &[]),
    ]
}

/// The leaves of a document by their paths; what is not well-formed fails.
fn leaves(xml: &str) -> BTreeMap<String, String> {
    let mut reader = Reader::from_str(xml);
    let (mut path, mut leaves, mut roots) = (Vec::new(), BTreeMap::new(), 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                roots += usize::from(path.is_empty());
                path.push(String::from_utf8(tag.name().as_ref().to_vec()).unwrap());
                leaves.insert(path.join("/"), String::new());
            }
            Event::Text(text) if !path.is_empty() => {
                let text = str::from_utf8(&text).unwrap();
                assert!(!text.contains(['<', '>', '&']), "{xml}");
                leaves.get_mut(&path.join("/")).unwrap().push_str(text);
            }
            Event::GeneralRef(name) => {
                let character = match &*name {
                    b"lt" => '<',
                    b"gt" => '>',
                    b"amp" => '&',
                    b"quot" => '"',
                    b"apos" => '\'',
                    b"#13" => '\r',
                    other => panic!("{other:?}"),
                };
                leaves.get_mut(&path.join("/")).unwrap().push(character);
            }
            Event::End(_) => drop(path.pop()),
            Event::Eof => break,
            Event::Decl(_) | Event::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((path.len(), roots), (0, 1), "{xml}");
    leaves
}

fn answer(reason: &Reason, protocol: Protocol) -> (Response<Bytes>, String) {
    let refusal =
        Refusal { reason, protocol, method: &Method::GET, path: PATH, request_id: ID, preimage: None };
    let answer = refusal.answer();
    let body = String::from_utf8(answer.body().to_vec()).unwrap();
    (answer, body)
}

#[test]
fn every_row_is_answered_in_the_shape_of_its_protocol() {
    for (reason, [s3, query, json], fields) in table() {
        let head = |answer: &Response<Bytes>, id: &'static str| {
            let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header(id).as_deref(), Some(ID), "{reason}");
            (answer.status().as_u16(), header("content-type").unwrap())
        };

        let (given, body) = answer(&reason, Protocol::S3);
        assert_eq!(head(&given, "x-amz-request-id"), (s3.1, "application/xml".into()), "{reason}");
        let leaves_of = leaves(&body);
        let leaf = |name: &str| leaves_of.get(&format!("Error/{name}")).cloned();
        assert_eq!(leaf("Code").as_deref(), Some(s3.0), "{reason}");
        assert_eq!(leaf("Message").unwrap(), reason.message(Protocol::S3), "{reason}");
        assert_eq!(leaf("Resource").as_deref(), Some(PATH));
        assert_eq!(leaf("RequestId").as_deref(), Some(ID));
        for (name, value) in fields {
            assert_eq!(leaf(name).as_deref(), Some(*value), "{reason}");
        }
        let told = reason.fields().len();
        assert_eq!(leaves_of.len(), 1 + 4 + told, "{body}");
        assert!(told >= fields.len() && (told == 0) == fields.is_empty(), "{body}");

        let (given, body) = answer(&reason, Protocol::Query);
        assert_eq!(head(&given, "x-amzn-requestid"), (query.1, "text/xml".into()), "{reason}");
        let leaves_of = leaves(&body);
        let leaf = |name: &str| leaves_of.get(&format!("ErrorResponse/{name}")).cloned();
        assert_eq!(leaf("Error/Code").as_deref(), Some(query.0), "{reason}");
        assert_eq!(leaf("Error/Message").unwrap(), reason.message(Protocol::Query), "{reason}");
        let side = if query.1 < 500 { "Sender" } else { "Receiver" };
        assert_eq!(leaf("Error/Type").as_deref(), Some(side), "{reason}");
        assert_eq!(leaf("RequestId").as_deref(), Some(ID));
        assert_eq!(leaves_of.len(), 6, "{body}");

        let (given, body) = answer(&reason, Protocol::Json);
        let kind = (json.1, "application/x-amz-json-1.0".into());
        assert_eq!(head(&given, "x-amzn-requestid"), kind, "{reason}");
        assert_eq!(given.headers()["x-amzn-errortype"], json.0);
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({ "__type": json.0, "message": reason.message(Protocol::Json) });
        assert_eq!(read, expected, "{reason}");
    }
}

#[test]
fn messages_say_what_their_rows_want() {
    let told = |reason: Reason, protocol| reason.message(protocol).into_owned();
    let presigned = |protocol| {
        let (signed_at, now) = (UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(3600));
        told(Reason::PresignedExpired { expires_in: 60, signed_at, now }, protocol)
    };
    assert_eq!(presigned(Protocol::S3), "Request has expired");
    assert!(presigned(Protocol::Query).starts_with("Signature expired: "));
    let wrong = Reason::WrongRegion { carrier: Carrier::Header, expected: "eu-west-1".into() };
    for protocol in [Protocol::Query, Protocol::Json] {
        let message = told(wrong.clone(), protocol);
        assert!(message.starts_with("Credential should be scoped to a valid region"), "{message}");
    }
    let unsigned = told(Reason::UnsignedHeaders(vec!["x-amz-acl".into()]), Protocol::S3);
    assert_eq!(unsigned, "There were headers present in the request which were not signed");
    assert!(told(Reason::PolicyExpired, Protocol::S3).starts_with("Invalid according to Policy: "));
}
