//! The HTTP port: the default client against a raw socket, and its rules against services of our own.

mod raw;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use credfed_core::transport::HttpTransport;
use credfed_core::{ErrorKind, ProviderError, VirtualRuntime};
use futures::executor::block_on;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_service::Service;

use raw::{head, serve};

const CAP: usize = 64 * 1024;

#[tokio::test]
async fn an_answer_is_read_whole_and_the_request_arrives_as_it_was_sent() {
    let (url, seen) = serve(b"HTTP/1.1 201 Created\r\nx-id: 7\r\ncontent-length: 5\r\n\r\nhello").await;
    let request = http::Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from("Action=AssumeRole"))
        .unwrap();
    let answer = transport().send(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (201, b"hello".as_ref()));
    assert_eq!(answer.headers()["x-id"], "7");
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("POST /path?query=canary HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("content-length: 17\r\n"), "{seen}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_a_part_of_a_credential() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"AccessKeyId\":\"AKID\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n15\r\n{\"AccessKeyId\":\"AKID\"\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
    ] {
        let (url, _) = serve(answer.as_bytes()).await;
        refused(transport().send(get(&url)).await, ErrorKind::Transient);
    }
}

#[tokio::test]
async fn an_answer_over_the_cap_is_refused_whether_it_says_so_or_not() {
    let stated = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", CAP + 1) + &"x".repeat(CAP + 1);
    let unstated = String::from("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n") + &"x".repeat(CAP + 1);
    for answer in [stated, unstated] {
        let (url, _) = serve(answer.as_bytes()).await;
        let error = refused(transport().send(get(&url)).await, ErrorKind::Transient);
        assert_eq!(error.to_string(), "the answer is longer than 65536 bytes");
    }
    let fits = format!("HTTP/1.1 200 OK\r\ncontent-length: {CAP}\r\n\r\n") + &"x".repeat(CAP);
    let (url, _) = serve(fits.as_bytes()).await;
    assert_eq!(transport().send(get(&url)).await.unwrap().body().len(), CAP);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (target, reached) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        let (url, _) = serve(answer.as_bytes()).await;
        refused(transport().send(get(&url)).await, ErrorKind::Rejected);
    }
    assert!(futures::FutureExt::now_or_never(reached).is_none());
}

/// The environment is a process's own, so the test runs itself in another one.
#[tokio::test]
async fn a_proxy_of_the_environment_never_sees_what_is_on_this_machine() {
    const INNER: &str = "CREDFED_TEST_BEHIND_A_PROXY";
    let body = |answer: Result<http::Response<Bytes>, ProviderError>| answer.unwrap().into_body();
    if std::env::var_os(INNER).is_some() {
        let client = HttpTransport::client().build().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let (url, _) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ndirect").await;
            assert_eq!(body(client.send(get(&url.replace("127.0.0.1", host))).await), "direct", "{host}");
        }
        assert_eq!(body(client.send(get("http://sts.example.com/")).await), "proxy");
        return;
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy".to_vec();
    let proxy = raw::Raw::new(vec![raw::Deed::Answer(answer)], || {}).await;
    let mut inner = std::process::Command::new(std::env::current_exe().unwrap());
    inner
        .args(["--exact", "a_proxy_of_the_environment_never_sees_what_is_on_this_machine"])
        .env(INNER, "1")
        .env("http_proxy", format!("http://{}", proxy.authority))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .env_remove("REQUEST_METHOD");
    let output = tokio::task::spawn_blocking(move || inner.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test]
async fn a_drip_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?query=canary", listener.local_addr().unwrap());
    let time = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
    let transport = transport().runtime(time.clone());
    let call = tokio::spawn(transport.send(get(&url)));
    let (mut socket, _) = listener.accept().await.unwrap();
    head(&mut socket).await;
    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n").await.unwrap();
    for _ in 0..3 {
        socket.write_all(b"x").await.unwrap();
        time.advance(Duration::from_secs(1));
    }
    assert!(!call.is_finished());
    time.advance(Duration::from_secs(1));
    let error = refused(call.await.unwrap(), ErrorKind::Transient);
    assert_eq!(error.to_string(), "the server did not answer in time");
    assert_eq!(socket.read(&mut [0; 16]).await.unwrap_or(0), 0, "the connection is given up");
}

#[tokio::test]
async fn nobody_at_home_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?query=canary", listener.local_addr().unwrap());
    drop(listener);
    refused(transport().send(get(&url)).await, ErrorKind::Transient);
}

#[test]
fn the_service_that_was_made_ready_is_the_one_that_is_called() {
    /// Panics like tower's own layers do if it is called unready.
    #[derive(Default)]
    struct Picky {
        ready: bool,
        clones: Arc<AtomicU32>,
    }

    impl Clone for Picky {
        fn clone(&self) -> Self {
            self.clones.fetch_add(1, Ordering::Relaxed);
            Self { ready: false, clones: Arc::clone(&self.clones) }
        }
    }

    impl Service<http::Request<Bytes>> for Picky {
        type Response = http::Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called unready");
            ready(Ok(http::Response::new(Full::new(request.into_body()))))
        }
    }

    let picky = Picky::default();
    let clones = Arc::clone(&picky.clones);
    let transport = HttpTransport::new(picky);
    for _ in 0..3 {
        let answer = block_on(transport.send(http::Request::new(Bytes::from("hello")))).unwrap();
        assert_eq!(answer.body(), "hello");
    }
    assert_eq!(clones.load(Ordering::Relaxed), 3);
}

#[test]
fn an_endless_answer_is_cut_off() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let error =
        block_on(HttpTransport::new(Endless(Arc::clone(&pulled))).send(get("http://h/"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(pulled.load(Ordering::Relaxed), CAP / 1_000 + 1);
}

#[test]
fn the_cap_can_be_set() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let transport = HttpTransport::new(Endless(Arc::clone(&pulled))).answer_cap(2_500);
    block_on(transport.send(get("http://h/"))).unwrap_err();
    assert_eq!(pulled.load(Ordering::Relaxed), 3);
}

#[test]
fn a_cap_without_a_bound_takes_no_more_than_the_answer() {
    let transport = |service| HttpTransport::new(service).answer_cap(usize::MAX);
    let small = Frames { stated: None, frames: 1, frame: b"hello" };
    assert_eq!(block_on(transport(small).send(get("http://h/"))).unwrap().body(), "hello");

    let frame = &[b'x'; 1_000];
    for stated in [None, Some(300_000)] {
        let large = Frames { stated, frames: 300, frame };
        let answer = block_on(transport(large).send(get("http://h/"))).unwrap();
        assert!(answer.body().len() == 300_000 && answer.body().iter().all(|&byte| byte == b'x'));
    }
}

#[test]
fn a_stated_length_that_is_a_lie_takes_no_memory_and_is_refused() {
    for (stated, frames) in [(usize::MAX, 1), (usize::MAX, 300), (10_000, 300), (10_000, 1)] {
        let liar = Frames { stated: Some(stated), frames, frame: &[b'x'; 1_000] };
        let transport = HttpTransport::new(liar).answer_cap(usize::MAX);
        refused(block_on(transport.send(get("http://h/"))), ErrorKind::Transient);
    }
}

#[test]
fn empty_frames_without_an_end_are_given_up() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let hollow = Frames { stated: None, frames: usize::MAX, frame: b"" };
        let _ = done.send(block_on(HttpTransport::new(hollow).send(get("http://h/"))));
    });
    let answer = finished.recv_timeout(Duration::from_secs(10)).expect("it never ends");
    refused(answer, ErrorKind::Transient);
}

#[tokio::test]
async fn what_follows_the_stated_length_is_no_part_of_the_answer() {
    let (url, _) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello and more").await;
    assert_eq!(transport().send(get(&url)).await.unwrap().body(), "hello");
}

#[tokio::test]
async fn an_answer_to_head_that_states_a_length_is_refused() {
    let (url, _) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
    let request = http::Request::head(url).body(Bytes::new()).unwrap();
    refused(transport().send(request).await, ErrorKind::Transient);
}

/// Answers with so many frames, whatever it states.
#[derive(Clone)]
struct Frames {
    stated: Option<usize>,
    frames: usize,
    frame: &'static [u8],
}

impl Service<http::Request<Bytes>> for Frames {
    type Response = http::Response<Self>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Bytes>) -> Self::Future {
        let mut answer = http::Response::new(self.clone());
        if let Some(stated) = self.stated {
            answer.headers_mut().insert("content-length", stated.into());
        }
        ready(Ok(answer))
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let left = self.frames.checked_sub(1);
        Poll::Ready(left.map(|left| {
            self.frames = left;
            Ok(http_body::Frame::data(Bytes::from_static(self.frame)))
        }))
    }
}

/// Answers with frames of 1,000 bytes without an end.
#[derive(Clone)]
struct Endless(Arc<AtomicUsize>);

impl Service<http::Request<Bytes>> for Endless {
    type Response = http::Response<Self>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Bytes>) -> Self::Future {
        ready(Ok(http::Response::new(self.clone())))
    }
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[b'x'; 1_000])))))
    }
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn transport() -> HttpTransport {
    HttpTransport::client().without_proxy().build().unwrap()
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn get(url: &str) -> http::Request<Bytes> {
    http::Request::get(url).body(Bytes::new()).unwrap()
}

/// A refusal of this kind, with nothing of the URL's query or of the answer anywhere in its chain.
#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn refused(answer: Result<http::Response<Bytes>, ProviderError>, kind: ErrorKind) -> ProviderError {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), kind);
    let mut link: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = link {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("canary") && !text.contains("AKID"), "{text}");
        link = error.source();
    }
    error
}
