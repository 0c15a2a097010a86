//! `aws-chunked` uploads through the layer on real connections: the inner service, and an upstream that it forwards to,
//! see the decoded body, and never the whole of one that does not verify.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::{Limits, Reason, Verifier};
use credfed_tower::{AllowVerified, BodyError, DecodedLength, VerifiedBody, VerifySigV4Layer};
use futures::StreamExt;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use support::chunked::{Mode, Upload};
use support::upstream::Version::{self, Http1, Http2};
use support::upstream::{self, Seen, relay};
use support::{FixedClock, keys, layer, noon, origin_form, run, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const VERSIONS: [Version; 2] = [Http1, Http2];
const DATA: &[u8] = b"what the caller signed, and nothing else, is what the upstream stores";
/// Bytes of data in a chunk.
const CHUNK: usize = 20;

/// Sends an upload, changed by `change`, through the layer, both hops in the given versions. The answer, and what the
/// upstream saw: nothing where it was not asked.
async fn forward(
    mode: Mode,
    data: &[u8],
    change: impl FnOnce(&mut Upload),
    frame: Option<usize>,
    length: bool,
    (client, hop): (Version, Version),
) -> (Option<(StatusCode, String)>, Option<Seen>) {
    let (upstream, mut seen) = match hop {
        Http1 => upstream::http1().await,
        Http2 => upstream::http2().await,
    };
    let called = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    let inner = service_fn(move |request: Request<VerifiedBody<Incoming>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        relay(request, upstream, hop)
    });
    let front = serve(ServiceBuilder::new().layer(layer()).service(inner)).await;
    let mut upload = Upload::new(mode, &format!("http://{front}/bucket/key"), data, CHUNK);
    change(&mut upload);
    let frames = match frame {
        Some(size) => upload.frames(size),
        None => upload.pieces.iter().cloned().map(Bytes::from).collect(),
    };
    if length {
        let total: usize = frames.iter().map(Bytes::len).sum();
        upload.head.headers.insert("content-length", total.into());
    }
    let answer = send(upload.head, frames, client).await;
    let seen = match called.load(Ordering::SeqCst) {
        0 => seen.try_recv().ok(),
        _ => Some(seen.await.expect("the upstream's report")),
    };
    (answer, seen)
}

async fn send(head: Parts, frames: Vec<Bytes>, version: Version) -> Option<(StatusCode, String)> {
    let frames = futures::stream::iter(frames.into_iter().map(|data| Ok::<_, Infallible>(Frame::data(data))));
    let client = Client::builder(TokioExecutor::new()).http2_only(version == Http2).build_http();
    let response = match client.request(Request::from_parts(head, StreamBody::new(frames))).await {
        Ok(response) => response,
        // A server that has seen enough answers and hangs up; an HTTP/1 client that still writes may miss the answer.
        Err(_) if version == Http1 => return None,
        Err(error) => panic!("{error:?}"),
    };
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The answer was a refusal with this code, unless the client missed it.
#[track_caller]
fn assert_refused(answer: Option<(StatusCode, String)>, expected: &str, what: &str) {
    if let Some((status, answer)) = answer {
        assert!(status.is_client_error(), "{what}: {status} {answer}");
        assert!(answer.contains(&format!("<Code>{expected}</Code>")), "{what}: {answer}");
    }
}

#[test]
fn a_chunked_upload_reaches_the_upstream_whole_and_decoded() {
    run(async {
        for mode in Mode::ALL {
            for client in VERSIONS {
                for hop in VERSIONS {
                    for (frame, length) in [
                        (None, true),
                        (Some(1), true),
                        (Some(7), false),
                        (Some(4096), true),
                        (Some(4096), false),
                    ] {
                        let what = format!("{mode:?} {client:?} {hop:?} {frame:?} {length}");
                        let (answer, seen) = forward(mode, DATA, |_| {}, frame, length, (client, hop)).await;
                        assert_eq!(answer, Some((StatusCode::OK, String::new())), "{what}");
                        let seen = seen.expect("asked");
                        assert!(seen.complete, "{what}");
                        assert_eq!(seen.body, DATA, "{what}");
                        if hop == Http1 {
                            let head = seen.head.to_lowercase();
                            let own = format!("content-length: {}\r\n", DATA.len());
                            assert_eq!(head.matches(&own).count(), 1, "{head}");
                            for gone in ["aws-chunked", "x-amz-", "transfer-encoding", "content-encoding"] {
                                assert!(!head.contains(gone), "{head}");
                            }
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn n14_n16_a_changed_upload_never_completes_upstream() {
    run(async {
        for mode in Mode::ALL {
            let chunks = DATA.len().div_ceil(CHUNK);
            for client in VERSIONS {
                for hop in VERSIONS {
                    for chunk in [0, chunks - 1] {
                        for (frame, length) in [(None, true), (Some(1), true), (Some(4096), false)] {
                            let what = format!("{mode:?} {client:?} {hop:?} {chunk} {frame:?}");
                            let change = |upload: &mut Upload| upload.pieces[chunk * 3 + 1][0] ^= 1;
                            let (answer, seen) =
                                forward(mode, DATA, change, frame, length, (client, hop)).await;
                            let expected =
                                if mode.is_signed() { "SignatureDoesNotMatch" } else { "BadDigest" };
                            assert_refused(answer, expected, &what);
                            let seen = seen.unwrap_or_default();
                            assert!(!seen.complete && seen.body.len() < DATA.len(), "{what}: {seen:?}");
                            if mode.is_signed() {
                                assert!(DATA[..chunk * CHUNK].starts_with(&seen.body), "{what}: {seen:?}");
                            }
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn n15_n16_n17_an_upload_that_ends_wrongly_never_completes_upstream() {
    type Change = fn(&mut Upload);
    let changes: [(&str, &str, Change); 6] = [
        ("the last CRLF", "IncompleteBody", |upload| drop(upload.pieces.pop())),
        ("everything behind the data", "IncompleteBody", |upload| upload.pieces.truncate(4 * 3)),
        ("more behind the end", "IncompleteBody", |upload| upload.pieces.push(b"more".to_vec())),
        ("a whole upload behind the end", "IncompleteBody", |upload| {
            upload.pieces.extend(upload.pieces.clone());
        }),
        ("a size with a sign", "IncompleteBody", |upload| upload.pieces[9].insert(0, b'+')),
        ("a chunk less", "", |upload| drop(upload.pieces.drain(3..6))),
    ];
    run(async {
        for mode in Mode::ALL {
            for (what, expected, change) in changes {
                for client in VERSIONS {
                    for hop in VERSIONS {
                        let (answer, seen) =
                            forward(mode, DATA, change, Some(4096), client == Http1, (client, hop)).await;
                        let moved = if mode.is_signed() { "SignatureDoesNotMatch" } else { "IncompleteBody" };
                        assert_refused(answer, if expected.is_empty() { moved } else { expected }, what);
                        let seen = seen.unwrap_or_default();
                        assert!(!seen.complete && seen.body.len() < DATA.len(), "{mode:?} {what}: {seen:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn n16_a_trailer_that_is_not_right_never_completes_upstream() {
    type Change = fn(&mut Upload);
    fn field(upload: &Upload) -> usize {
        upload.pieces.iter().position(|piece| piece.starts_with(b"x-amz-checksum")).unwrap()
    }
    let changes: [(&str, &str, Change); 3] = [
        ("no field", "MalformedTrailerError", |upload| drop(upload.pieces.remove(field(upload)))),
        ("a field twice", "MalformedTrailerError", |upload| {
            let at = field(upload);
            upload.pieces.insert(at, upload.pieces[at].clone());
        }),
        ("another value", "", |upload| {
            let at = field(upload);
            upload.pieces[at] = format!("x-amz-checksum-sha256:{}=\r\n", "A".repeat(43)).into_bytes();
        }),
    ];
    run(async {
        for mode in [Mode::SignedTrailer, Mode::UnsignedTrailer] {
            for (what, expected, change) in changes {
                for client in VERSIONS {
                    for hop in VERSIONS {
                        let (answer, seen) = forward(mode, DATA, change, None, true, (client, hop)).await;
                        let other = if mode.is_signed() { "SignatureDoesNotMatch" } else { "BadDigest" };
                        assert_refused(answer, if expected.is_empty() { other } else { expected }, what);
                        let seen = seen.unwrap_or_default();
                        assert!(!seen.complete && seen.body.len() < DATA.len(), "{mode:?} {what}: {seen:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn an_upload_of_nothing_is_verified_before_anybody_is_asked() {
    run(async {
        for mode in Mode::ALL {
            for client in VERSIONS {
                for hop in VERSIONS {
                    for (frame, length) in [(None, true), (Some(1), false)] {
                        let what = format!("{mode:?} {client:?} {hop:?} {length}");
                        let (answer, seen) = forward(mode, b"", |_| {}, frame, length, (client, hop)).await;
                        assert_eq!(answer, Some((StatusCode::OK, String::new())), "{what}");
                        let seen = seen.expect("asked");
                        assert_eq!((seen.complete, seen.body.len()), (true, 0), "{what}");
                        let cut = |upload: &mut Upload| drop(upload.pieces.pop());
                        let (answer, seen) = forward(mode, b"", cut, frame, length, (client, hop)).await;
                        assert_refused(answer, "IncompleteBody", &what);
                        assert_eq!(seen, None, "{what}");
                    }
                }
            }
        }
    });
}

/// Sends head and body as they stand over a raw HTTP/1 connection; returns the answers and what the inner service read,
/// one entry per call.
async fn raw(
    mode: Mode,
    framing: impl FnOnce(&[u8]) -> (String, Vec<u8>),
) -> (String, Vec<Result<Bytes, String>>) {
    let reads = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&reads);
    let inner = service_fn(move |request: Request<VerifiedBody<Incoming>>| {
        let told = Arc::clone(&told);
        async move {
            let read = request.into_body().collect().await;
            let read = read.map(|body| body.to_bytes()).map_err(|error| error.to_string());
            told.lock().unwrap().push(read);
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let address = serve(ServiceBuilder::new().layer(layer()).service(inner)).await;
    let upload = Upload::new(mode, &format!("http://{address}/bucket/key"), DATA, CHUNK);
    let mut head = format!("PUT /bucket/key HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in &upload.head.headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let (framing, body) = framing(&upload.body());
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("{head}{framing}\r\n").as_bytes()).await.expect("sent");
    // The server may have made up its mind and hung up already.
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers).await;
    let reads = reads.lock().unwrap().clone();
    (String::from_utf8_lossy(&answers).into_owned(), reads)
}

/// HTTP's own chunks of `size` bytes around a body.
fn in_http_chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    [out, b"0\r\n\r\n".to_vec()].concat()
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

#[test]
fn aws_chunked_inside_http_chunked_is_decoded_however_the_two_meet() {
    run(async {
        for mode in Mode::ALL {
            for size in [1, 3, 50, 100_000] {
                let (answers, reads) =
                    raw(mode, |body| (CHUNKED.to_owned(), in_http_chunks(body, size))).await;
                assert!(answers.starts_with("HTTP/1.1 200"), "{mode:?} {size}: {answers}");
                assert_eq!(reads, [Ok(Bytes::from_static(DATA))], "{mode:?} {size}");
            }
        }
    });
}

#[test]
fn a_length_of_the_message_that_is_not_the_bodys_is_refused() {
    run(async {
        for mode in Mode::ALL {
            // Shorter than the body: what is behind is no request, and no part of this one.
            for cut in [1, 2, 10, 100] {
                let (answers, reads) =
                    raw(mode, |body| (format!("content-length: {}\r\n", body.len() - cut), body.to_vec()))
                        .await;
                assert!(!answers.contains("HTTP/1.1 200"), "{mode:?} {cut}: {answers}");
                assert!(reads.iter().all(Result::is_err) && reads.len() < 2, "{mode:?} {cut}: {reads:?}");
            }
            // Longer: the connection ends before the message does.
            let (answers, reads) =
                raw(mode, |body| (format!("content-length: {}\r\n", body.len() + 1), body.to_vec())).await;
            assert!(!answers.contains("HTTP/1.1 200"), "{mode:?}: {answers}");
            assert!(reads.iter().all(Result::is_err), "{mode:?}: {reads:?}");
            // The decoded length, as a client that counts wrongly sends it.
            let (answers, reads) =
                raw(mode, |body| (format!("content-length: {}\r\n", DATA.len()), body.to_vec())).await;
            assert!(!answers.contains("HTTP/1.1 200"), "{mode:?}: {answers}");
            assert!(reads.iter().all(Result::is_err), "{mode:?}: {reads:?}");
        }
    });
}

#[test]
fn a_connection_that_breaks_off_leaves_no_whole_body() {
    run(async {
        for mode in Mode::ALL {
            for length in [0, 1, 30, 110, 180] {
                let (answers, reads) =
                    raw(mode, |body| (CHUNKED.to_owned(), in_http_chunks(body, 64)[..length].to_vec())).await;
                assert!(!answers.contains("HTTP/1.1 200"), "{mode:?} {length}: {answers}");
                assert!(reads.iter().all(Result::is_err), "{mode:?} {length}: {reads:?}");
            }
        }
    });
}

/// The inner service reads the body as a stream of frames; the client is the test.
async fn in_process(
    mode: Mode,
    data: &[u8],
    size: usize,
    change: impl FnOnce(&mut Upload),
) -> (StatusCode, Option<Reason>, Vec<u8>, Option<BodyError>) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let inner = service_fn(move |request: Request<VerifiedBody<_>>| {
        let tell = tell.clone();
        async move {
            let (parts, mut body) = request.into_parts();
            let length = parts.extensions.get::<DecodedLength>().copied();
            assert_eq!(length.map(|DecodedLength(length)| length), body.size_hint().exact());
            let mut left = length.expect("decoded").0;
            let mut read = Vec::new();
            let error = loop {
                assert!(!body.is_end_stream() || left == 0);
                match body.frame().await {
                    Some(Ok(frame)) => {
                        let data: Bytes = frame.into_data().expect("data");
                        left -= data.len() as u64;
                        assert_eq!(body.size_hint().exact(), Some(left));
                        read.extend_from_slice(&data);
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            let _ = tell.send((read, error));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let mut upload = Upload::new(mode, "http://front.example.org/bucket/key", data, size);
    change(&mut upload);
    let frames =
        futures::stream::iter(upload.pieces).map(|data| Ok::<_, Infallible>(Frame::data(Bytes::from(data))));
    let request = origin_form(Request::from_parts(upload.head, StreamBody::new(frames)));
    let response = layer().layer(inner).oneshot(request).await.expect("an answer");
    let (read, error) = told.recv().await.expect("a report");
    (response.status(), response.extensions().get().cloned(), read, error)
}

#[test]
fn a_reader_sees_the_typed_reason_in_place_of_what_did_not_verify() {
    run(async {
        for mode in Mode::ALL {
            let (status, reason, read, error) = in_process(mode, DATA, CHUNK, |_| {}).await;
            assert_eq!((status, reason, read.as_slice()), (StatusCode::OK, None, DATA), "{mode:?}");
            assert!(error.is_none(), "{error:?}");

            let (_, reason, read, error) =
                in_process(mode, DATA, CHUNK, |upload| upload.pieces[4][0] ^= 1).await;
            assert!(matches!(error, Some(BodyError::Unverified(_))), "{error:?}");
            if mode.is_signed() {
                assert_eq!(reason, Some(Reason::ChunkSignatureMismatch));
                assert_eq!(read, &DATA[..CHUNK], "{mode:?}: the first chunk has passed");
            } else {
                assert!(matches!(reason, Some(Reason::ChecksumMismatch(_))), "{reason:?}");
                assert!(read.len() < DATA.len());
            }
        }
    });
}

#[test]
fn unsigned_chunks_stream_and_signed_ones_come_when_they_are_whole() {
    run(async {
        for mode in Mode::ALL {
            let data = vec![7; 3 << 20];
            // A signed chunk is bounded; an unsigned one is not.
            let size = if mode.is_signed() { 1 << 20 } else { data.len() };
            let (status, _, read, error) = in_process(mode, &data, size, |_| {}).await;
            assert_eq!((status, read.len()), (StatusCode::OK, data.len()), "{mode:?}");
            assert!(error.is_none(), "{error:?}");
        }
    });
}

#[test]
fn a_signed_chunk_over_the_limit_is_refused_unread() {
    run(async {
        let mut limits = Limits::default();
        limits.signed_chunk = 1024;
        let verifier =
            Verifier::builder().region(support::REGION).limits(limits).build().expect("a verifier");
        let layer =
            VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())));
        for (size, expected) in [(1024, StatusCode::OK), (1025, StatusCode::BAD_REQUEST)] {
            let read = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&read);
            let inner = service_fn(|request: Request<VerifiedBody<_>>| async move {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let data = vec![7; 4096];
            let upload = Upload::new(Mode::SignedChunks, "http://front.example.org/bucket/key", &data, size);
            let frames = futures::stream::iter(upload.pieces).map(move |data| {
                counted.fetch_add(data.len(), Ordering::SeqCst);
                Ok::<_, Infallible>(Frame::data(Bytes::from(data)))
            });
            let request = origin_form(Request::from_parts(upload.head, StreamBody::new(frames)));
            let response = layer.layer(inner).oneshot(request).await.expect("an answer");
            assert_eq!(response.status(), expected, "{size}");
            let all = read.load(Ordering::SeqCst) > 4096;
            assert_eq!(all, expected == StatusCode::OK, "its size line was enough");
        }
    });
}

#[test]
fn an_answer_of_success_to_an_unread_upload_stands_only_if_it_verifies() {
    run(async {
        for mode in Mode::ALL {
            for (size, change, answer, expected) in [
                (DATA.len(), false, StatusCode::OK, StatusCode::OK),
                (DATA.len(), true, StatusCode::OK, StatusCode::BAD_REQUEST),
                (DATA.len(), true, StatusCode::CONFLICT, StatusCode::CONFLICT),
                (1 << 20, false, StatusCode::OK, StatusCode::BAD_REQUEST),
            ] {
                let read = Arc::new(AtomicUsize::new(0));
                let counted = Arc::clone(&read);
                let inner = service_fn(move |_: Request<VerifiedBody<_>>| async move {
                    let mut response = Response::new(Full::<Bytes>::default());
                    *response.status_mut() = answer;
                    Ok::<_, Infallible>(response)
                });
                let data = vec![7; size];
                let mut upload = Upload::new(mode, "http://front.example.org/bucket/key", &data, 1 << 20);
                if change {
                    upload.pieces.pop();
                }
                let frames = futures::stream::iter(upload.frames(1 << 12)).map(move |data| {
                    counted.fetch_add(data.len(), Ordering::SeqCst);
                    Ok::<_, Infallible>(Frame::data(data))
                });
                let request = origin_form(Request::from_parts(upload.head, StreamBody::new(frames)));
                let response = layer().layer(inner).oneshot(request).await.expect("an answer");
                assert_eq!(response.status(), expected, "{mode:?} {size} {change}");
                assert!(read.load(Ordering::SeqCst) <= 80 * 1024, "it gives up early, within a chunk too");
            }
        }
    });
}

#[test]
fn the_inner_service_sees_a_head_that_is_true_for_the_decoded_body() {
    run(async {
        let seen = Arc::new(Mutex::new(None));
        let told = Arc::clone(&seen);
        let inner = service_fn(move |request: Request<VerifiedBody<Full<Bytes>>>| {
            *told.lock().unwrap() = Some(request.headers().clone());
            async {
                let body = request.into_body().collect().await.map(|body| body.to_bytes());
                Ok::<_, Infallible>(Response::new(Full::new(body.unwrap_or_default())))
            }
        });
        for mode in Mode::ALL {
            for (encoding, expected) in
                [("aws-chunked", None), ("gzip,aws-chunked", Some("gzip")), ("gzip", Some("gzip"))]
            {
                let uri = "http://front.example.org/bucket/key";
                let mut upload = Upload::encoded(mode, uri, DATA, CHUNK, encoding);
                let body = upload.body();
                upload.head.headers.insert("content-length", body.len().into());
                // One that an outer layer left is not believed.
                upload.head.extensions.insert(DecodedLength(7));
                let request = origin_form(Request::from_parts(upload.head, Full::new(Bytes::from(body))));
                let response = layer().layer(inner.clone()).oneshot(request).await.expect("an answer");
                assert_eq!(response.status(), StatusCode::OK);
                let read = response.into_body().collect().await.expect("a body").to_bytes();
                assert_eq!(read, DATA);
                let headers = seen.lock().unwrap().take().expect("called");
                let seen_encoding = headers.get("content-encoding").map(|value| value.to_str().unwrap());
                assert_eq!(seen_encoding, expected);
                assert_eq!(headers["content-length"], DATA.len().to_string());
                assert_eq!(headers["x-amz-decoded-content-length"], DATA.len().to_string());
                assert_eq!(headers.contains_key("x-amz-trailer"), mode.has_trailer());
            }
        }
    });
}

#[test]
fn of_a_body_that_was_not_decoded_nothing_is_taken_off() {
    run(async {
        let inner = service_fn(|mut request: Request<VerifiedBody<Full<Bytes>>>| async move {
            assert_eq!(request.extensions().get::<DecodedLength>(), None);
            request.body_mut().collect().await.expect("verified");
            let (mut parts, _) = request.into_parts();
            credfed_tower::strip_credentials(&mut parts);
            assert_eq!(parts.headers["content-encoding"], "aws-chunked");
            assert_eq!(parts.headers["x-amz-sdk-checksum-algorithm"], "CRC32");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let request = Request::put("http://front.example.org/bucket/key")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-sdk-checksum-algorithm", "CRC32")
            .extension(DecodedLength(7))
            .body(Full::new(Bytes::from_static(DATA)))
            .unwrap();
        let request = support::Signer::default().sign(request, SignableBody::Bytes(DATA));
        let response = layer().layer(inner).oneshot(origin_form(request)).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    });
}
