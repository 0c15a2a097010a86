//! The payload rule: whoever forwards a verified body never completes a request whose payload is not the signed one.
//!
//! Nothing here is simulated: a hyper client sends to a hyper server with the layer, whose inner service forwards with
//! a hyper client to a bare socket that counts what arrives.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::Reason;
use credfed_tower::{BodyError, VerifiedBody};
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::upstream::Version::{self, Http1, Http2};
use support::upstream::{self, Seen, relay};
use support::{Signer, layer, run, serve, sha256_hex};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

/// Sends `sent` under a signature for `declared` through the layer, both hops in the given versions.
async fn forward(
    declared: &[u8],
    sent: Vec<Bytes>,
    length: bool,
    client: Version,
    hop: Version,
) -> (StatusCode, String, Seen) {
    let (upstream, seen) = match hop {
        Http1 => upstream::http1().await,
        Http2 => upstream::http2().await,
    };
    let front =
        serve(ServiceBuilder::new().layer(layer()).service(service_fn(
            move |request: Request<VerifiedBody<Incoming>>| relay(request, upstream, hop),
        )))
        .await;
    let request = Request::put(format!("http://{front}/bucket/key")).body(()).expect("a request");
    let request = Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(declared)));
    let (mut parts, ()) = request.into_parts();
    let total: usize = sent.iter().map(Bytes::len).sum();
    if length {
        parts.headers.insert("content-length", total.into());
    }
    let frames = futures::stream::iter(sent.into_iter().map(|data| Ok::<_, Infallible>(Frame::data(data))));
    let request = Request::from_parts(parts, StreamBody::new(frames));
    let client = Client::builder(TokioExecutor::new()).http2_only(client == Http2).build_http();
    let response = client.request(request).await.expect("an answer");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned(), seen.await.expect("the upstream's report"))
}

fn pieces(body: &[u8], size: usize) -> Vec<Bytes> {
    body.chunks(size).map(Bytes::copy_from_slice).collect()
}

const BODY: &[u8] = b"what the caller signed, and nothing else, is what the upstream stores";

#[test]
fn a_payload_that_matches_reaches_the_upstream_whole() {
    run(async {
        for client in [Http1, Http2] {
            for hop in [Http1, Http2] {
                for (size, length) in [(BODY.len(), true), (7, true), (7, false), (1, true)] {
                    let (status, answer, seen) = forward(BODY, pieces(BODY, size), length, client, hop).await;
                    assert_eq!(status, StatusCode::OK, "{client:?} {hop:?} {size} {answer}");
                    assert!(seen.complete);
                    if length {
                        assert_eq!(seen.body, BODY, "{client:?} {hop:?} {size}");
                    }
                }
            }
        }
    });
}

#[test]
fn n28_a_payload_with_one_changed_byte_never_completes_upstream_whatever_the_frames() {
    run(async {
        for at in [0, BODY.len() / 2, BODY.len() - 1] {
            let mut changed = BODY.to_vec();
            changed[at] ^= 1;
            for client in [Http1, Http2] {
                for hop in [Http1, Http2] {
                    for (size, length) in [(BODY.len(), true), (7, true), (7, false), (1, true)] {
                        let (status, answer, seen) =
                            forward(BODY, pieces(&changed, size), length, client, hop).await;
                        assert_eq!(status, StatusCode::BAD_REQUEST, "{client:?} {hop:?} {size} {at}");
                        assert!(answer.contains("<Code>XAmzContentSHA256Mismatch</Code>"), "{answer}");
                        assert!(!seen.complete, "{client:?} {hop:?} {size} {at}: {seen:?}");
                        assert!(seen.body.len() < BODY.len() || !length);
                    }
                }
            }
        }
    });
}

#[test]
fn n28_a_payload_that_goes_on_after_the_signed_bytes_never_completes_upstream() {
    run(async {
        let mut longer = BODY.to_vec();
        longer.extend_from_slice(b" and more");
        for client in [Http1, Http2] {
            let (status, _, seen) = forward(BODY, pieces(&longer, 9), true, client, Http1).await;
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(!seen.complete);
        }
    });
}

#[test]
fn n28_a_payload_stripped_to_nothing_is_refused_before_the_inner_service_is_called() {
    run(async {
        let called = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let inner = {
            let called = called.clone();
            service_fn(move |_: Request<VerifiedBody<Incoming>>| {
                called.store(true, std::sync::atomic::Ordering::SeqCst);
                async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
            })
        };
        let front = serve(ServiceBuilder::new().layer(layer()).service(inner)).await;
        for version in [Http1, Http2] {
            let request =
                Request::put(format!("http://{front}/bucket/key")).body(Full::<Bytes>::default()).unwrap();
            let request = Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(BODY)));
            let client = Client::builder(TokioExecutor::new()).http2_only(version == Http2).build_http();
            let response = client.request(request).await.expect("an answer");
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            assert!(!called.load(std::sync::atomic::Ordering::SeqCst));
        }
    });
}

/// An inner service that answers without reading its body: small bodies are read and judged by the layer.
async fn unread(declared: &[u8], sent: &[u8], answer: StatusCode, version: Version) -> StatusCode {
    let inner = service_fn(move |_: Request<VerifiedBody<Incoming>>| async move {
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = answer;
        Ok::<_, Infallible>(response)
    });
    let front = serve(ServiceBuilder::new().layer(layer()).service(inner)).await;
    let request = Request::put(format!("http://{front}/bucket/key"))
        .body(Full::new(Bytes::copy_from_slice(sent)))
        .expect("a request");
    let request = Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(declared)));
    let client = Client::builder(TokioExecutor::new()).http2_only(version == Http2).build_http();
    client.request(request).await.expect("an answer").status()
}

#[test]
fn n28_an_answer_of_success_to_an_unread_body_stands_only_if_the_body_verifies() {
    run(async {
        let other: &[u8] = b"something else";
        for version in [Http1, Http2] {
            for (sent, answer, expected) in [
                (BODY, StatusCode::OK, StatusCode::OK),
                (other, StatusCode::OK, StatusCode::BAD_REQUEST),
                // What the inner service refuses by itself needs no second opinion.
                (other, StatusCode::CONFLICT, StatusCode::CONFLICT),
            ] {
                assert_eq!(unread(BODY, sent, answer, version).await, expected, "{version:?}");
            }
        }
    });
}

#[test]
fn n28_an_answer_of_success_to_a_large_unread_body_is_replaced() {
    run(async {
        let inner = service_fn(|_: Request<VerifiedBody<_>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        for (frames, expected) in [(1, StatusCode::OK), (64, StatusCode::BAD_REQUEST)] {
            let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let counted = read.clone();
            let body: Vec<u8> = vec![7; frames << 15];
            let stream = futures::stream::iter(pieces(&body, 1 << 15)).map(move |data| {
                counted.fetch_add(data.len(), std::sync::atomic::Ordering::SeqCst);
                Ok::<_, Infallible>(Frame::data(data))
            });
            let request =
                Request::put("http://front.example.org/bucket/key").body(StreamBody::new(stream)).unwrap();
            let request = Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(&body)));
            let response =
                layer().layer(inner).oneshot(support::origin_form(request)).await.expect("an answer");
            assert_eq!(response.status(), expected, "{frames} frames");
            assert!(read.load(std::sync::atomic::Ordering::SeqCst) <= 4 << 15, "it gives up early");
        }
    });
}

#[test]
fn a_reader_sees_the_typed_reason_in_place_of_the_last_bytes() {
    run(async {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let inner = service_fn(move |request: Request<VerifiedBody<Incoming>>| {
            let tell = tell.clone();
            async move {
                let mut body = request.into_body();
                let mut read = Vec::new();
                let error = loop {
                    match body.frame().await {
                        Some(Ok(frame)) => read.extend_from_slice(frame.data_ref().expect("data")),
                        Some(Err(error)) => break Some(error),
                        None => break None,
                    }
                };
                let _ = tell.send((read, error));
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        let front = serve(ServiceBuilder::new().layer(layer()).service(inner)).await;
        let mut changed = BODY.to_vec();
        changed[3] ^= 1;
        let request =
            Request::put(format!("http://{front}/bucket/key")).body(Full::new(Bytes::from(changed))).unwrap();
        let request = Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(BODY)));
        let response =
            Client::builder(TokioExecutor::new()).build_http().request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "the recorded error overrides the answer");
        let (read, error) = told.recv().await.expect("a report");
        assert!(read.len() < BODY.len());
        assert!(matches!(error, Some(BodyError::Unverified(Reason::BodyMismatch))), "{error:?}");
    });
}
