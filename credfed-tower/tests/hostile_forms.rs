//! POST forms of somebody who holds a policy and wants more than it gives.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{Reason, Verifier};
use credfed_tower::{AllowVerified, VerifiedBody, VerifySigV4Layer, path_style_bucket};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use proptest::prelude::*;
use support::form::{BOUNDARY, Form};
use support::{FixedClock, REGION, keys, noon, run};
use tower::{Layer, ServiceExt, service_fn};

type Data = Result<Frame<Bytes>, Infallible>;

fn request() -> http::request::Builder {
    Request::post("/bucket")
        .header("host", "s3.example.com")
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
}

/// Sends a form to an inner service that reads its file where `reads`; the answer, and the headers that it saw.
async fn send(
    head: http::request::Builder,
    body: impl Stream<Item = Data> + Unpin,
    reads: bool,
) -> (StatusCode, Option<Reason>, Option<HeaderMap>) {
    let seen = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&seen);
    let service = support::layer().accept_forms(path_style_bucket).layer(service_fn(
        move |request: Request<VerifiedBody<_>>| {
            let tell = Arc::clone(&tell);
            async move {
                let (parts, body) = request.into_parts();
                *tell.lock().unwrap() = Some(parts.headers);
                if reads {
                    let _ = body.collect().await;
                }
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        },
    ));
    let response = service.oneshot(head.body(StreamBody::new(body)).unwrap()).await.unwrap();
    let reason = response.extensions().get::<Reason>().cloned();
    let seen = seen.lock().unwrap().take();
    (response.status(), reason, seen)
}

#[test]
fn what_follows_the_last_boundary_is_not_read_for_ever() {
    run(async {
        for reads in [true, false] {
            let read = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&read);
            let form = Bytes::from(Form::new().body());
            let epilogue = stream::repeat(Bytes::from_static(&[b'e'; 1024])).take(16 * 1024);
            let body = stream::iter([form]).chain(epilogue).map(move |data| {
                counted.fetch_add(data.len(), Ordering::Relaxed);
                Ok(Frame::data(data))
            });
            let (status, reason, _) = send(request(), body, reads).await;
            let read = read.load(Ordering::Relaxed);
            assert!(read <= 128 * 1024, "{read} bytes were read, {status} {reason:?}");
            assert_eq!(status, StatusCode::BAD_REQUEST);
        }
    });
}

#[test]
fn the_forms_own_headers_say_nothing_of_the_file() {
    run(async {
        let mut head = request();
        let names = [
            "content-disposition",
            "content-language",
            "content-location",
            "content-range",
            "content-md5",
            "content-security-policy",
            "cache-control",
            "expires",
        ];
        for name in names {
            head = head.header(name, "x");
        }
        let body = stream::iter([Ok(Frame::data(Bytes::from(Form::new().body())))]);
        let (status, _, seen) = send(head, body, true).await;
        assert_eq!(status, StatusCode::OK);
        let seen = seen.unwrap();
        for name in names {
            assert!(!seen.contains_key(name), "{name}");
        }
    });
}

/// Byte by byte, and nothing in between.
#[test]
fn a_form_that_trickles_in_is_read_as_any_other() {
    run(async {
        for (size, reads) in [(1, true), (7, true), (5000, true), (1, false)] {
            let body = [vec![b'p'; 9000], b"\r\n".to_vec(), Form::new().body()].concat();
            let mut pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
            pieces.reverse();
            let mut is_there = true;
            let body = stream::poll_fn(move |cx| {
                is_there = !is_there;
                if is_there {
                    return Poll::Ready(pieces.pop().map(|data| Ok(Frame::data(data))));
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            });
            let (status, reason, _) = send(request(), body, reads).await;
            assert_eq!((status, reason), (StatusCode::OK, None), "{size} {reads}");
        }
    });
}

/// CloudFront adds its own header to forms too. Nothing else passes because of that, and this one goes no further.
#[test]
fn cloudfronts_own_header_comes_with_a_form_where_that_is_said() {
    run(async {
        for (knobs, name, status) in [
            (Knobs::new(), "x-amz-cf-id", StatusCode::FORBIDDEN),
            (Knobs::new().behind_cloudfront(), "x-amz-acl", StatusCode::FORBIDDEN),
            (Knobs::new().behind_cloudfront(), "x-amz-cf-id", StatusCode::OK),
        ] {
            let verifier = Verifier::builder().region(REGION).danger(knobs).build().unwrap();
            let layer =
                VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())));
            let service = layer.accept_forms(path_style_bucket).layer(service_fn(
                |request: Request<VerifiedBody<Full<Bytes>>>| async move {
                    assert!(!request.headers().contains_key("x-amz-cf-id"));
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                },
            ));
            let request = request().header(name, "x").body(Full::from(Form::new().body())).unwrap();
            assert_eq!(service.oneshot(request).await.unwrap().status(), status, "{name}");
        }
    });
}

/// A name that is lost would make another key, that of no file.
#[test]
fn a_files_name_that_cannot_be_read_is_refused_where_it_is_needed() {
    run(async {
        let sent = b"; filename=\"C:\\dir\\photo.jpg\"";
        let named: [(&[u8], StatusCode); 9] = [
            (sent, StatusCode::OK),
            (b"", StatusCode::OK),
            (b"; filename=\"\"", StatusCode::OK),
            (b"; filename=photo.jpg", StatusCode::OK),
            (b"; filename=\"\xfcber.jpg\"", StatusCode::BAD_REQUEST),
            (b"; filename=\"C:\\\"", StatusCode::BAD_REQUEST),
            (b"; filename=\"photo.jpg", StatusCode::BAD_REQUEST),
            (b"; filename*=UTF-8''photo.jpg", StatusCode::BAD_REQUEST),
            (b"; FileName=\"photo.jpg\"", StatusCode::BAD_REQUEST),
        ];
        for (name, status) in named {
            let body = Form::new().body();
            let at = body.windows(sent.len()).position(|window| window == sent).unwrap();
            let body = [&body[..at], name, &body[at + sent.len()..]].concat();
            let body = stream::iter([Ok(Frame::data(Bytes::from(body)))]);
            let (given, reason, _) = send(request(), body, true).await;
            assert_eq!(given, status, "{} {reason:?}", name.escape_ascii());
        }
        // Where no field wants it, it may be what it will.
        let mut form = Form::new();
        form.fields[0].1 = "user/photo.jpg".into();
        let body = String::from_utf8(form.body()).unwrap().replace("filename=", "filename*=");
        let body = stream::iter([Ok(Frame::data(Bytes::from(body)))]);
        assert_eq!(send(request(), body, true).await.0, StatusCode::OK);
    });
}

/// What looks like a boundary, in files.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let delimiter = format!("\r\n--{BOUNDARY}");
    let piece = prop_oneof![
        (0..=delimiter.len()).prop_map(move |length| delimiter.as_bytes()[..length].to_vec()),
        "[\r\n-]{0,6}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"--\r\n".to_vec()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// The inner service reads the file that was sent and no other, or the form is refused; and neither depends on how it
    /// came.
    #[test]
    fn a_file_is_read_as_it_was_sent_or_not_at_all(
        file in file(),
        cuts in prop::collection::vec((1..200_usize, any::<bool>()), 1..8),
    ) {
        let delimiter = format!("\r\n--{BOUNDARY}");
        // A file that has the boundary in it ends there.
        let sent = [&file[..], delimiter.as_bytes(), b"--"].concat();
        let end = sent.windows(delimiter.len()).position(|window| window == delimiter.as_bytes()).unwrap();
        let is_whole = sent[end + delimiter.len()..].starts_with(b"--");
        let mut form = Form::new();
        form.file = Some(file.clone());
        let body = Bytes::from(form.body());
        let mut verdicts = Vec::new();
        for cuts in [&cuts[..], &[(usize::MAX, false)], &[(1, true)]] {
            let mut rest = body.clone();
            let mut cuts = cuts.iter().cycle();
            let mut waited = false;
            let frames = stream::poll_fn(move |cx| {
                let &(size, waits) = cuts.next().expect("a cycle");
                waited = waits && !waited;
                if waited {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let size = size.min(rest.len());
                Poll::Ready((size > 0).then(|| Ok(Frame::data(rest.split_to(size)))))
            });
            verdicts.push(run_one(frames));
        }
        let (status, reason, read) = &verdicts[0];
        prop_assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{:?}", verdicts);
        prop_assert_eq!(*status == StatusCode::OK, is_whole, "{:?}", reason);
        if is_whole {
            prop_assert_eq!(read.as_deref(), Some(&file[..end]));
        } else {
            prop_assert!(read.is_none());
        }
    }
}

/// The answer, and the whole file where the inner service came to its end.
fn run_one(frames: impl Stream<Item = Data> + Unpin) -> (StatusCode, Option<Reason>, Option<Vec<u8>>) {
    futures::executor::block_on(async {
        let read = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&read);
        let service = support::layer().accept_forms(path_style_bucket).layer(service_fn(
            move |request: Request<VerifiedBody<_>>| {
                let tell = Arc::clone(&tell);
                async move {
                    let whole = request.into_body().collect().await.ok();
                    *tell.lock().unwrap() = whole.map(|whole| whole.to_bytes().to_vec());
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            },
        ));
        let response = service.oneshot(request().body(StreamBody::new(frames)).unwrap()).await.unwrap();
        let read = read.lock().unwrap().take();
        (response.status(), response.extensions().get().cloned(), read)
    })
}
