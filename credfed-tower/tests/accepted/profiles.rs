//! The general profile and STS: paths, bodies without a declared hash, and errors in the form of each protocol.

use std::sync::Arc;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{Profile, Protocol, Verifier, VerifierBuilder};
use credfed_tower::{AllowVerified, StaticKeys, VerifySigV4Layer};
use http::{Method, Request, StatusCode};

use super::support::wire::{Front, head_of};
use super::support::{FixedClock, REGION, Signer, keys, noon, origin_form, run};
use super::{Http2, VERSIONS, assert_ok, url};

fn layer(builder: VerifierBuilder) -> VerifySigV4Layer<StaticKeys<&'static str>, AllowVerified> {
    let verifier = builder.region(REGION).build().unwrap();
    VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())))
}

fn general(normalize: bool) -> VerifierBuilder {
    Verifier::builder().profile(Profile::General { normalize }).service("execute-api")
}

fn sts() -> VerifierBuilder {
    Verifier::builder().profile(Profile::Sts)
}

fn sign(service: &str, method: Method, target: &str, body: &'static [u8]) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(url(target)).body(Bytes::from_static(body)).unwrap();
    Signer { service: service.into(), ..Signer::default() }.sign(request, SignableBody::Bytes(body))
}

#[test]
fn the_general_profile_accepts_normal_paths_in_any_spelling_that_was_signed() {
    run(async {
        let front = Front::new(layer(general(true))).await;
        for path in [
            "/",
            "/prod/items",
            "/prod/items/",
            "/prod/a%20b",
            "/prod/a%2Fb%2fc",
            "/prod/~a@b:c!$&'()*+,;=",
            "/prod/%E1%88%B4",
            "/prod/.../.hidden",
            "/prod/%2e%2e/x",
        ] {
            let signed = sign("execute-api", Method::POST, &format!("{path}?b=2&a=1"), b"{}");
            assert!(!signed.headers().contains_key("x-amz-content-sha256"));
            for version in VERSIONS {
                let (status, answer) = front.send(version, signed.clone()).await;
                assert_eq!(status, StatusCode::OK, "{version:?} {path}: {answer}");
                let call = front.calls().remove(0);
                assert_eq!(call.head.uri.path(), path);
                assert_eq!(call.body.as_deref(), Some(&b"{}"[..]));
            }
        }
    });
}

#[test]
fn n32_paths_that_are_not_normal_are_refused_unless_the_knob_says_otherwise() {
    run(async {
        let strict = Front::new(layer(general(true))).await;
        let lenient = Front::new(layer(general(true).danger(Knobs::new().accept_non_normal_paths()))).await;
        for (path, normal) in [
            ("/public/../admin", "/admin"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/admin/..", "/"),
            ("/a//b/", "/a/b/"),
        ] {
            let signed = sign("execute-api", Method::GET, path, b"");
            let parts = origin_form(signed.clone()).into_parts().0;
            let answer = strict.raw(&head_of(&parts, path, &[])).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
            assert_eq!(strict.send(Http2, signed.clone()).await.0, StatusCode::BAD_REQUEST, "{path}");
            assert!(strict.calls().is_empty(), "{path}");

            assert_ok(&lenient.raw(&head_of(&parts, path, &[])).await, path);
            assert_eq!(lenient.send(Http2, signed).await.0, StatusCode::OK, "{path}");
            for call in lenient.calls() {
                assert_eq!(call.head.uri.path(), normal, "the path that was signed");
            }
        }
    });
}

#[test]
fn services_that_do_not_normalise_are_signed_as_the_path_stands() {
    run(async {
        let front = Front::new(layer(general(false))).await;
        for path in ["/public/../admin", "//admin", "/a//b/./c", "/a%20b"] {
            let request = Request::get(url(path)).body(Bytes::new()).unwrap();
            let signer = Signer { service: "execute-api".into(), keeps_path: true, ..Signer::default() };
            let signed = signer.sign(request, SignableBody::Bytes(b""));
            for version in VERSIONS {
                let (status, answer) = front.send(version, signed.clone()).await;
                assert_eq!(status, StatusCode::OK, "{version:?} {path}: {answer}");
                assert_eq!(front.calls()[0].head.uri.path(), path);
            }
        }
        // Signed as normal, sent as it is: another request here.
        let normalised = sign("execute-api", Method::GET, "/public/../admin", b"");
        for version in VERSIONS {
            assert_eq!(front.send(version, normalised.clone()).await.0, StatusCode::FORBIDDEN);
        }
    });
}

#[test]
fn sts_needs_no_payload_header_and_serves_the_regions_that_clients_sign_for() {
    run(async {
        let verifier = sts().any_region().build().unwrap();
        let layer =
            VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())));
        let front = Front::new(layer).await;
        const FORM: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";
        for region in ["us-east-1", REGION] {
            let request = Request::post(url("/")).body(Bytes::from_static(FORM)).unwrap();
            let signer = Signer { service: "sts".into(), region: region.into(), ..Signer::default() };
            let signed = signer.sign(request, SignableBody::Bytes(FORM));
            assert!(!signed.headers().contains_key("x-amz-content-sha256"));
            for version in VERSIONS {
                let (status, answer) = front.send(version, signed.clone()).await;
                assert_eq!(status, StatusCode::OK, "{version:?} {region}: {answer}");
                assert_eq!(front.calls()[0].body.as_deref(), Some(FORM));
                let mut other = signed.clone();
                *other.body_mut() = Bytes::from_static(b"Action=AssumeRole&Version=2011-06-15");
                let (status, answer) = front.send(version, other).await;
                assert_eq!(status, StatusCode::FORBIDDEN);
                assert!(
                    answer.starts_with("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/"),
                    "{answer}"
                );
                assert!(answer.contains("<Code>SignatureDoesNotMatch</Code>"), "{answer}");
                assert!(front.calls().is_empty());
            }
        }
    });
}

/// As API Gateway and Lambda answer: the code as a type in the body and in a header.
#[test]
fn the_general_profile_answers_in_json() {
    run(async {
        let front = Front::new(layer(general(true))).await;
        let good = sign("execute-api", Method::GET, "/prod/items", b"");
        let with = |change: &dyn Fn(&mut Request<Bytes>)| {
            let mut request = good.clone();
            change(&mut request);
            request
        };
        let unknown =
            Signer { service: "execute-api".into(), access_key: "AKIANOBODY".into(), ..Signer::default() };
        let unknown = unknown
            .sign(Request::get(url("/prod/items")).body(Bytes::new()).unwrap(), SignableBody::Bytes(b""));
        let malformed: &'static str = "AWS4-HMAC-SHA256 Credential=\"quoted\"";
        for (request, status, code) in [
            (
                with(&|request| drop(request.headers_mut().remove("authorization"))),
                403,
                "MissingAuthenticationToken",
            ),
            (with(&|request| *request.method_mut() = Method::DELETE), 403, "InvalidSignatureException"),
            (
                with(&|request| {
                    request.headers_mut().insert("authorization", malformed.parse().unwrap());
                }),
                400,
                "IncompleteSignature",
            ),
            (
                with(&|request| {
                    request.headers_mut().insert("x-amz-new", "1".parse().unwrap());
                }),
                403,
                "InvalidSignatureException",
            ),
            (sign("lambda", Method::GET, "/prod/items", b""), 403, "InvalidSignatureException"),
            (unknown, 400, "UnrecognizedClientException"),
        ] {
            for version in VERSIONS {
                let (parts, answer) = front.answer(version, request.clone()).await;
                assert_eq!(parts.status.as_u16(), status, "{code}: {answer}");
                assert_eq!(parts.headers["content-type"], "application/x-amz-json-1.0");
                assert_eq!(parts.headers["x-amzn-errortype"], code);
                assert!(parts.headers.contains_key("x-amzn-requestid"), "{:?}", parts.headers);
                let start = format!("{{\"__type\":\"{code}\",\"message\":\"");
                assert!(answer.starts_with(&start) && answer.ends_with("\"}"), "{answer}");
                assert!(front.calls().is_empty());
            }
        }
        // A service may answer otherwise than its profile has it.
        let query = Front::new(layer(general(true).protocol(Protocol::Query))).await;
        let (_, answer) = query.send(Http2, with(&|request| *request.method_mut() = Method::DELETE)).await;
        assert!(answer.starts_with("<ErrorResponse"), "{answer}");
    });
}
