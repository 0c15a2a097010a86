//! Inner services that do with a body what they should not, and connections that hope for the rest of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::Reason;
use credfed_tower::{BodyError, VerifiedBody};
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::upstream::{self, Version};
use support::{Signer, layer, origin_form, run, serve, sha256_hex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, ServiceExt, service_fn};

const BODY: &[u8] = b"what the caller signed";

type Data = Result<Frame<Bytes>, std::io::Error>;

fn signed<B>(method: Method, declared: &[u8], body: B) -> Request<B> {
    let request =
        Request::builder().method(method).uri("http://s3.example.com/bucket/key").body(body).unwrap();
    origin_form(Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(declared))))
}

fn frames(body: &[u8]) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin + Send + 'static + use<> {
    let frames: Vec<Data> =
        body.chunks(5).map(|data| Ok(Frame::data(Bytes::copy_from_slice(data)))).collect();
    StreamBody::new(stream::iter(frames))
}

/// A service that answers success while somebody else holds the body.
#[test]
fn an_answer_of_success_is_replaced_while_the_body_is_kept_somewhere() {
    run(async {
        for sent in [BODY, b"something else altogether"] {
            let kept = Arc::new(Mutex::new(None));
            let keep = Arc::clone(&kept);
            let service = layer().layer(service_fn(move |request: Request<VerifiedBody<_>>| {
                *keep.lock().unwrap() = Some(request.into_body());
                async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
            }));
            let response = service.oneshot(signed(Method::PUT, BODY, frames(sent))).await.unwrap();
            assert_eq!(response.extensions().get::<Reason>(), Some(&Reason::IncompleteBody));
            // Whoever kept it gets what was signed, or an error in place of its end.
            let body = kept.lock().unwrap().take().unwrap();
            match body.collect().await {
                Ok(whole) => assert!(sent == BODY && whole.to_bytes() == BODY),
                Err(error) => {
                    assert!(matches!(error, BodyError::Unverified(Reason::BodyMismatch)) && sent != BODY);
                }
            }
        }
    });
}

#[test]
fn a_request_that_is_its_own_answer_is_replaced() {
    run(async {
        let service = layer().layer(service_fn(|request: Request<VerifiedBody<_>>| async {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        }));
        let response = service.oneshot(signed(Method::PUT, BODY, frames(BODY))).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let said = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&said).contains("<Code>IncompleteBody</Code>"), "{said:?}");
    });
}

/// Every frame, and what the body said of itself before each.
async fn read<B>(mut body: B) -> (Vec<u8>, Vec<String>)
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
{
    let (mut data, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        let (ended, hint) = (body.is_end_stream(), body.size_hint());
        match body.frame().await {
            Some(Ok(frame)) => {
                let piece = frame.into_data().expect("no trailers");
                assert!(!ended && !piece.is_empty());
                assert!(hint.upper().is_none_or(|upper| upper >= piece.len() as u64));
                data.extend_from_slice(&piece);
            }
            Some(Err(error)) => {
                assert!(!ended, "the end was told before the error");
                errors.push(format!("{error:?}"));
            }
            None => {
                assert_eq!(if errors.is_empty() { hint.lower() } else { 0 }, 0);
                for _ in 0..3 {
                    assert!(body.frame().await.is_none(), "what has ended goes on");
                }
                return (data, errors);
            }
        }
    }
    panic!("no end");
}

#[test]
fn odd_frames_change_nothing() {
    run(async {
        let data = |data: &'static [u8]| Ok(Frame::data(Bytes::from_static(data)));
        let trailers = || {
            let mut fields = http::HeaderMap::new();
            fields.insert("x-amz-acl", "public-read".parse().unwrap());
            Ok(Frame::trailers(fields))
        };
        let broken = || Err(std::io::Error::other("reset"));
        let empty = || (0..500).map(move |_| data(b""));
        let (first, last) = BODY.split_at(BODY.len() - 1);
        let cases: Vec<(Vec<Data>, bool)> = vec![
            (empty().chain([data(first)]).chain(empty()).chain([data(last)]).chain(empty()).collect(), true),
            (vec![data(BODY), trailers()], true),
            (vec![data(first), trailers()], false),
            (vec![trailers()], false),
            (vec![], false),
            (vec![data(BODY), broken()], false),
            (vec![data(BODY), broken(), data(b"more")], false),
            (vec![broken()], false),
            (vec![data(BODY), data(b"")], true),
            (vec![data(BODY), data(b"x")], false),
        ];
        let longer = cases.len() - 1;
        for (at, (sent, whole)) in cases.into_iter().enumerate() {
            let told = Arc::new(Mutex::new(None));
            let tell = Arc::clone(&told);
            let service = layer().layer(service_fn(move |request: Request<VerifiedBody<_>>| {
                let tell = Arc::clone(&tell);
                async move {
                    let seen = read(request.into_body()).await;
                    *tell.lock().unwrap() = Some(seen);
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            }));
            let body = StreamBody::new(stream::iter(sent));
            let response = service.oneshot(signed(Method::PUT, BODY, body)).await.unwrap();
            let (data, errors) = told.lock().unwrap().take().unwrap();
            assert_eq!(response.status() == StatusCode::OK, whole, "{at}");
            assert_eq!(errors.len(), usize::from(!whole), "{at} {errors:?}");
            let sent = if at == longer { BODY.len() + 1 } else { BODY.len() };
            assert!(if whole { data == BODY } else { data.len() < sent }, "{at}");
        }
    });
}

#[test]
fn a_body_of_a_method_that_has_none_is_checked_all_the_same() {
    run(async {
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::PATCH] {
            for (sent, status) in [(BODY, StatusCode::OK), (b"else".as_slice(), StatusCode::BAD_REQUEST)] {
                let service = layer().layer(service_fn(|_: Request<VerifiedBody<_>>| async {
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }));
                let response = service.oneshot(signed(method.clone(), BODY, frames(sent))).await.unwrap();
                assert_eq!(response.status(), status, "{method}");
            }
        }
    });
}

/// A server whose inner service answers `status` without reading, and what it was called for.
async fn unread(status: StatusCode) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&calls);
    let inner = service_fn(move |request: Request<VerifiedBody<Incoming>>| {
        tell.lock().unwrap().push(request.uri().path().to_owned());
        let mut response = Response::new(Full::<Bytes>::default());
        *response.status_mut() = status;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    (serve(layer().layer(inner)).await, calls)
}

fn on_the_wire<B>(request: &Request<B>, more: &str) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    head + more + "\r\n"
}

/// What a body hides is a request that somebody else signed; on a connection that is kept it must not become one.
#[test]
fn the_unread_rest_of_a_body_is_no_request() {
    run(async {
        let hidden = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() }.sign(
            Request::get("http://s3.example.com/bucket/hidden").body(()).unwrap(),
            SignableBody::UnsignedPayload,
        );
        let hidden = on_the_wire(&origin_form(hidden), "");
        let padding = "\r\n".repeat(100_000);
        for body in [hidden.clone(), format!("{hidden}{padding}"), format!("{padding}{hidden}")] {
            for (declared, status) in [
                (body.as_bytes(), StatusCode::CONFLICT),
                (b"another", StatusCode::CONFLICT),
                (b"another", StatusCode::OK),
            ] {
                for is_signed in [true, false] {
                    for chunked in [true, false] {
                        let (front, calls) = unread(status).await;
                        let mut request = signed(Method::PUT, declared, ());
                        if !is_signed {
                            request.headers_mut().insert("x-amz-acl", "private".parse().unwrap());
                        }
                        let message = if chunked {
                            let head = on_the_wire(&request, "transfer-encoding: chunked\r\n");
                            format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
                        } else {
                            on_the_wire(&request, &format!("content-length: {}\r\n", body.len())) + &body
                        };
                        let mut stream = TcpStream::connect(front).await.unwrap();
                        let _ = stream.write_all(message.as_bytes()).await;
                        let _ = stream.shutdown().await;
                        let mut answers = Vec::new();
                        let _ = stream.read_to_end(&mut answers).await;
                        let answers = String::from_utf8_lossy(&answers).into_owned();
                        assert!(answers.matches("HTTP/1.1 ").count() <= 1, "{answers}");
                        let calls = calls.lock().unwrap();
                        assert!(calls.iter().all(|path| path == "/bucket/key"), "{calls:?}");
                        assert_eq!(calls.len(), usize::from(is_signed));
                    }
                }
            }
        }
    });
}

#[test]
fn nobody_is_told_to_go_on_whose_head_is_refused() {
    run(async {
        for (is_signed, goes_on) in [(true, true), (false, false)] {
            let (front, calls) = unread(StatusCode::OK).await;
            let mut request = signed(Method::PUT, BODY, ());
            if !is_signed {
                request.headers_mut().insert("x-amz-acl", "private".parse().unwrap());
            }
            let more = format!("content-length: {}\r\nexpect: 100-continue\r\n", BODY.len());
            let mut stream = TcpStream::connect(front).await.unwrap();
            stream.write_all(on_the_wire(&request, &more).as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer == *b"HTTP/1.1 100", goes_on, "{}", String::from_utf8_lossy(&answer));
            assert_eq!(calls.lock().unwrap().len(), usize::from(is_signed));
        }
    });
}

/// Lengths at the end of what a `u64` holds, where hyper keeps values of its own.
#[test]
fn a_length_that_nobody_can_send_never_completes_anything() {
    run(async {
        let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        for length in [6, u64::MAX, u64::MAX - 1, u64::MAX - 2, 1 << 63, i64::MAX as u64] {
            for hop in [Version::Http1, Version::Http2] {
                let (upstream, seen) = match hop {
                    Version::Http1 => upstream::http1().await,
                    Version::Http2 => upstream::http2().await,
                };
                let front =
                    serve(layer().layer(service_fn(move |request| upstream::relay(request, upstream, hop))))
                        .await;
                let request = Request::put(format!("http://{front}/bucket/key"))
                    .header("x-amz-decoded-content-length", length)
                    .header("x-amz-trailer", "x-amz-checksum-crc32")
                    .body(Full::<Bytes>::from(body))
                    .unwrap();
                let payload = SignableBody::Precomputed("STREAMING-UNSIGNED-PAYLOAD-TRAILER".into());
                let request = Signer::default().sign(request, payload);
                let client = Client::builder(TokioExecutor::new()).build_http();
                let response = client.request(request).await.expect("an answer");
                assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{length} {hop:?}");
                let seen = seen.await.expect("a report");
                assert!(!seen.complete, "{length} {hop:?} {seen:?}");
            }
        }
    });
}
