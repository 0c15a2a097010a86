//! Behind a proxy the inner service sees the host that was verified, and nothing that passed unsigned.
#![allow(clippy::unwrap_used)]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{Connection, Verifier};
use credfed_tower::{AccessRequest, VerifiedBody, VerifySigV4Layer};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use support::{FixedClock, Signer, keys, noon, origin_form, run};
use tower::{Layer, ServiceExt, service_fn};

type In = Full<Bytes>;

/// What the authoriser and then the inner service see, if the request gets there.
async fn seen(request: Request<In>) -> Result<(String, Uri, HeaderMap), StatusCode> {
    let verifier = Verifier::builder()
        .region(support::REGION)
        .trusted_proxies(["10.0.0.0/8"])
        .danger(Knobs::new().behind_cloudfront())
        .build()
        .unwrap();
    let judged = Arc::new(Mutex::new(String::new()));
    let judge = Arc::clone(&judged);
    let authorize = move |request: &AccessRequest<'_, &'static str>| {
        *judge.lock().unwrap() = request.host().into_owned();
        Ok(())
    };
    let head = Arc::new(Mutex::new(None));
    let told = Arc::clone(&head);
    let inner = service_fn(move |request: Request<VerifiedBody<In>>| {
        *told.lock().unwrap() = Some((request.uri().clone(), request.headers().clone()));
        async { Ok::<_, Infallible>(Response::new(In::default())) }
    });
    let layer = VerifySigV4Layer::new(verifier, keys(), authorize).clock(Arc::new(FixedClock(noon())));
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let head = head.lock().unwrap().take();
    let (uri, headers) = head.ok_or(response.status())?;
    Ok((judged.lock().unwrap().clone(), uri, headers))
}

/// Signed for files.example.org, and passed on by the proxy.
fn passed_on(peer: [u8; 4]) -> Request<In> {
    let request = Request::get("https://files.example.org/bucket/key?x=1").body(In::default()).unwrap();
    let mut request = origin_form(Signer::default().sign(request, SignableBody::Bytes(b"")));
    request.headers_mut().insert("host", "backend:8080".parse().unwrap());
    request.headers_mut().insert("x-forwarded-host", "files.example.org".parse().unwrap());
    request.extensions_mut().insert(Connection::new(peer.into()));
    request
}

#[test]
fn the_inner_service_sees_the_host_that_was_verified() {
    run(async {
        let (judged, uri, headers) = seen(passed_on([10, 0, 0, 1])).await.unwrap();
        assert_eq!(judged, "files.example.org");
        assert_eq!(headers["host"], "files.example.org");
        assert_eq!(uri, "/bucket/key?x=1");
        assert_eq!(seen(passed_on([192, 0, 2, 1])).await, Err(StatusCode::FORBIDDEN));

        // As HTTP/2 has it, in the target.
        let mut request = passed_on([10, 0, 0, 1]);
        request.headers_mut().remove("host");
        *request.uri_mut() = "http://backend:8080/bucket/key?x=1".parse().unwrap();
        let (_, uri, headers) = seen(request).await.unwrap();
        assert_eq!(uri, "http://files.example.org/bucket/key?x=1");
        assert_eq!(headers["host"], "files.example.org");
    });
}

#[test]
fn what_passed_unsigned_ends_here() {
    run(async {
        let mut request = passed_on([10, 0, 0, 1]);
        request.headers_mut().insert("x-amz-cf-id", "of anybody".parse().unwrap());
        let (.., headers) = seen(request).await.unwrap();
        assert!(!headers.contains_key("x-amz-cf-id"));
        assert!(headers.contains_key("x-amz-date"));

        // What the client signed is its own.
        let request = Request::get("https://files.example.org/bucket/key").header("x-amz-cf-id", "signed");
        let request = request.body(In::default()).unwrap();
        let request = origin_form(Signer::default().sign(request, SignableBody::Bytes(b"")));
        let (.., headers) = seen(request).await.unwrap();
        assert_eq!(headers["x-amz-cf-id"], "signed");
    });
}
