//! Where framing is ambiguous the HTTP server decides before us. Whatever it decides, the bytes that are verified are
//! the bytes that the inner service reads, and nothing hidden behind them becomes a request.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_tower::VerifiedBody;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use support::upstream::Version;
use support::wire::Front;
use support::{Signer, layer, run, serve, sha256_hex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{ServiceBuilder, service_fn};

const SIGNED: &[u8] = b"signed";

/// Sends a PUT of [`SIGNED`] with `framing` in place of its length header and `body` as its bytes; returns the answers
/// and what the inner service read, one entry per call.
async fn send(framing: &str, body: &[u8]) -> (String, Vec<Option<Bytes>>) {
    let reads = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&reads);
    let inner = service_fn(move |request: Request<VerifiedBody<Incoming>>| {
        let told = Arc::clone(&told);
        async move {
            let read = request.into_body().collect().await.map(|body| body.to_bytes()).ok();
            told.lock().unwrap().push(read);
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let address = serve(ServiceBuilder::new().layer(layer()).service(inner)).await;
    let request = Request::put(format!("http://{address}/bucket/key")).body(()).expect("a request");
    let request = Signer::default().sign(request, SignableBody::Precomputed(sha256_hex(SIGNED)));
    let mut head = format!("PUT /bucket/key HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(format!("{head}{framing}\r\n").as_bytes()).await.expect("sent");
    // The server may have made up its mind and hung up already.
    let _ = stream.write_all(body).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers).await;
    let reads = reads.lock().unwrap().clone();
    (String::from_utf8_lossy(&answers).into_owned(), reads)
}

#[test]
fn plain_framing_works_on_the_raw_socket() {
    run(async {
        let whole = Some(Bytes::from_static(SIGNED));
        let (answers, reads) = send("content-length: 6\r\n", SIGNED).await;
        assert_eq!((answers.starts_with("HTTP/1.1 200"), reads), (true, vec![whole.clone()]), "{answers}");
        let (answers, reads) = send("transfer-encoding: chunked\r\n", b"6\r\nsigned\r\n0\r\n\r\n").await;
        assert_eq!((answers.starts_with("HTTP/1.1 200"), reads), (true, vec![whole]), "{answers}");
    });
}

#[test]
fn n29_ambiguous_framing_hides_nothing_from_the_verifier() {
    let hidden = "GET /hidden HTTP/1.1\r\nhost: h\r\n\r\n";
    let chunked = format!("6\r\nsigned\r\n0\r\n\r\n{hidden}");
    let plain = format!("signed{hidden}");
    let cases: [(&str, &str); 8] = [
        ("content-length: 6\r\ntransfer-encoding: chunked\r\n", &chunked),
        ("content-length: 6\r\ntransfer-encoding: chunked\r\n", &plain),
        ("transfer-encoding: chunked\r\ncontent-length: 6\r\n", &chunked),
        ("content-length: 6\r\ncontent-length: 40\r\n", &plain),
        ("content-length: 40\r\ncontent-length: 6\r\n", &plain),
        ("content-length: 6, 40\r\n", &plain),
        ("transfer-encoding: chunked, identity\r\n", &chunked),
        ("transfer-encoding: xchunked\r\n", &chunked),
    ];
    run(async {
        for (framing, body) in cases {
            let (answers, reads) = send(framing, body.as_bytes()).await;
            for read in &reads {
                assert!(read.as_deref().is_none_or(|read| read == SIGNED), "{framing:?}: {read:?}");
            }
            assert!(reads.len() <= 1, "{framing:?}: the hidden request got in");
            assert!(answers.matches("HTTP/1.1 200").count() <= 1, "{framing:?}: {answers}");
        }
    });
}

/// HTTP/2 frames its bodies itself; a Content-Length that says otherwise is an error of the stream.
#[test]
fn n29_over_http2_no_length_but_the_bodys_own_is_believed() {
    run(async {
        for (lengths, whole) in
            [(&["6"][..], true), (&["3"], false), (&["40"], false), (&["0"], false), (&["6", "40"], false)]
        {
            let front = Front::new(layer()).await;
            let request =
                Request::put("http://files.example.org/bucket/key").body(Bytes::from_static(SIGNED));
            let payload = SignableBody::Precomputed(sha256_hex(SIGNED));
            let mut request = Signer::default().sign(request.unwrap(), payload);
            for length in lengths {
                request.headers_mut().append("content-length", length.parse().unwrap());
            }
            // The stream may be reset in place of an answer.
            let answer = front.try_answer(Version::Http2, request).await;
            let status = answer.map(|(head, _)| head.status.as_u16());
            assert_eq!(status == Some(200), whole, "{lengths:?}: {status:?}");
            for call in front.calls() {
                assert!(call.body.is_none() != whole, "{lengths:?}: {:?}", call.body);
            }
        }
    });
}

#[test]
fn a_body_that_breaks_off_is_incomplete_and_never_whole() {
    run(async {
        for (framing, body) in [
            ("content-length: 6\r\n", &b"sign"[..]),
            ("transfer-encoding: chunked\r\n", b"6\r\nsigned\r\n"),
            ("transfer-encoding: chunked\r\n", b"6\r\nsig"),
        ] {
            let (answers, reads) = send(framing, body).await;
            assert!(!answers.contains("HTTP/1.1 200"), "{framing:?}: {answers}");
            assert!(reads.iter().all(Option::is_none), "{framing:?}: {reads:?}");
        }
    });
}
