//! An issuer that is hostile, on a raw socket, reached by the crate's own client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credfed_core::VirtualRuntime;
use credfed_core::oidc::{JwtError, Network, TrustedIssuer, TrustedIssuers};
use credfed_core::transport::{HttpTransport, Reach};
use credfed_core::{ErrorKind, ProviderError};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{AUDIENCE, Key, claims_with, jwks, now};

type Answers = Arc<Mutex<Box<dyn FnMut(&str) -> Vec<u8> + Send>>>;

/// A server that answers each path with bytes of the test's choice, and then leaves the connection open or not.
struct Server {
    origin: String,
    requests: Arc<AtomicUsize>,
    answers: Answers,
}

impl Server {
    async fn start(answers: impl FnMut(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::with(answers, false).await
    }

    /// With `hold` the connection stays open after the answer.
    async fn with(answers: impl FnMut(&str) -> Vec<u8> + Send + 'static, hold: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let answers: Answers = Arc::new(Mutex::new(Box::new(answers)));
        let (count, shared) = (Arc::clone(&requests), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (count, shared) = (Arc::clone(&count), Arc::clone(&shared));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    let mut chunk = [0; 4096];
                    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                        match socket.read(&mut chunk).await {
                            Ok(0) | Err(_) => return,
                            Ok(length) => head.extend_from_slice(&chunk[..length]),
                        }
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let answer = (*shared.lock().unwrap())(&path);
                    let _ = socket.write_all(&answer).await;
                    if hold {
                        let _ = socket.read(&mut chunk).await;
                    }
                });
            }
        });
        Self { origin, requests, answers }
    }

    fn answer_with(&self, answers: impl FnMut(&str) -> Vec<u8> + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn trusted(&self) -> TrustedIssuers {
        let issuer = TrustedIssuer::builder(&*self.origin).audience(AUDIENCE).network(Network::Loopback);
        TrustedIssuers::new([issuer.build().unwrap()]).unwrap()
    }

    fn token(&self, key: &Key, kid: &str) -> String {
        let claims = claims_with("iss", Some(json!(self.origin)));
        key.token_of(&json!({"alg": key.algorithm(), "kid": kid}), &claims)
    }
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn document(issuer: &str, jwks_uri: &str) -> Vec<u8> {
    ok(&json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string())
}

/// Serves a good discovery document, and this in place of the keys.
async fn with_keys(keys: Vec<u8>) -> Server {
    let server = Server::start(|_| Vec::new()).await;
    let origin = server.origin.clone();
    server.answer_with(move |path| match path {
        "/keys" => keys.clone(),
        _ => document(&origin, &format!("{origin}/keys")),
    });
    server
}

async fn unavailable(server: &Server) -> ProviderError {
    let token = server.token(Key::p256(), "p256");
    match server.trusted().validate(&token, now()).await {
        Err(JwtError::KeysUnavailable(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_honest_issuer_on_this_machine_is_reached() {
    let server = with_keys(ok(&jwks(&[Key::p256().jwk("p256")]))).await;
    let issuers = server.trusted();
    let token = server.token(Key::p256(), "p256");
    for _ in 0..3 {
        assert_eq!(issuers.validate(&token, now()).await.unwrap().subject(), "caller");
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = with_keys(ok(&jwks(&[Key::p256().jwk("p256")]))).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = format!("{}/keys", target.origin);
        let redirect =
            format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes();
        let server = with_keys(redirect.clone()).await;
        assert_eq!(unavailable(&server).await.kind(), ErrorKind::Rejected);
        let server = Server::start(move |_| redirect.clone()).await;
        assert_eq!(unavailable(&server).await.kind(), ErrorKind::Rejected);
    }
    assert_eq!(target.requests(), 0);
}

#[tokio::test]
async fn what_is_huge_or_lies_about_its_length_is_refused() {
    let good = jwks(&[Key::p256().jwk("p256")]);
    let padded = good.replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(256 * 1024)), 1);
    let unstated = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{padded}");
    let longer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{good}", good.len() + 100);
    let shorter = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{good}", good.len() - 1);
    let chunks =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{good}\r\n", good.len());
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_owned();
    for answer in
        [ok(&padded), unstated.into(), longer.into(), shorter.into(), chunks.into(), huge.into(), Vec::new()]
    {
        let server = with_keys(answer).await;
        assert!(unavailable(&server).await.is_transient());
    }
    for status in ["404 Not Found", "500 Oops", "204 No Content", "206 Partial Content", "203 Other"] {
        let answer =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{good}", good.len());
        let server = with_keys(answer.into_bytes()).await;
        assert!(unavailable(&server).await.is_transient(), "{status}");
    }
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
    assert!(unavailable(&with_keys(html.into()).await).await.is_transient());
}

#[tokio::test]
async fn a_drip_ends_after_five_seconds() {
    let server = Server::with(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{".to_vec(), true).await;
    let time = VirtualRuntime::new(now());
    let issuer = TrustedIssuer::builder(&*server.origin)
        .audience(AUDIENCE)
        .network(Network::Loopback)
        .runtime(time.clone().with_spawner(false));
    let issuers = TrustedIssuers::new([issuer.build().unwrap()]).unwrap();
    let token = server.token(Key::p256(), "p256");
    let call = tokio::spawn(async move { issuers.validate(&token, now()).await.map(drop) });
    while server.requests() == 0 {
        tokio::task::yield_now().await;
    }
    time.advance(Duration::from_millis(4_900));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    time.advance(Duration::from_millis(100));
    assert!(matches!(call.await.unwrap(), Err(JwtError::KeysUnavailable(_))));
}

#[tokio::test]
async fn a_document_of_another_issuer_is_refused() {
    let server = Server::start(|_| Vec::new()).await;
    let origin = server.origin.clone();
    for other in [format!("{origin}/"), origin.replace("http", "HTTP"), "https://accounts.example.com".into()]
    {
        let uri = format!("{origin}/keys");
        server.answer_with(move |_| document(&other, &uri));
        let before = server.requests();
        assert!(unavailable(&server).await.is_transient());
        assert_eq!(server.requests() - before, 1, "its keys are not fetched");
    }
}

#[tokio::test]
async fn keys_at_another_port_or_host_of_this_machine_are_not_fetched() {
    let target = with_keys(ok(&jwks(&[Key::p256().jwk("p256")]))).await;
    let server = Server::start(|_| Vec::new()).await;
    let origin = server.origin.clone();
    let port = origin.rsplit(':').next().unwrap().to_owned();
    for uri in [
        format!("{}/keys", target.origin),
        format!("http://localhost:{port}/keys"),
        format!("http://127.0.0.2:{port}/keys"),
        format!("https://127.0.0.1:{port}/keys"),
        format!("http://x@127.0.0.1:{port}/keys"),
        "http://169.254.169.254/latest/meta-data".into(),
        "https://id.example.com/keys".into(),
    ] {
        let own = origin.clone();
        let text = uri.clone();
        server.answer_with(move |_| document(&own, &text));
        assert!(unavailable(&server).await.is_transient(), "{uri}");
    }
    assert_eq!(target.requests(), 0);
}

#[tokio::test]
async fn only_an_issuer_that_is_set_so_is_looked_for_on_this_machine() {
    let build = |url: &str, network| TrustedIssuer::builder(url).audience(AUDIENCE).network(network).build();
    for url in [
        "http://127.0.0.1:1",
        "https://127.0.0.1:1",
        "https://localhost:1",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        assert!(build(url, Network::Public).is_err(), "{url}");
        assert!(build(url, Network::Private).is_err(), "{url}");
        assert!(build(url, Network::Loopback).is_ok(), "{url}");
    }
    for url in ["https://10.0.0.1", "https://[fd12::1]"] {
        assert!(build(url, Network::Public).is_err(), "{url}");
        assert!(build(url, Network::Private).is_ok(), "{url}");
        assert!(build(url, Network::Loopback).is_err(), "{url}");
    }
    for url in [
        "http://10.0.0.1",
        "http://id.example.com",
        "https://169.254.169.254",
        "https://0.0.0.0",
        "https://[fd00:ec2::254]",
    ] {
        for network in [Network::Public, Network::Private, Network::Loopback] {
            assert!(build(url, network).is_err(), "{url}");
        }
    }
}

#[tokio::test]
async fn the_client_keeps_to_its_reach_whatever_it_is_asked_for() {
    let server = Server::start(|_| ok("{}")).await;
    let port = server.origin.rsplit(':').next().unwrap().to_owned();
    let get = |url: &str| http::Request::get(url).body(bytes::Bytes::new()).unwrap();
    for reach in [Reach::Public, Reach::Private] {
        let client = HttpTransport::client().reach(reach).build().unwrap();
        for host in
            ["127.0.0.1", "127.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"]
        {
            assert!(client.send(get(&format!("http://{host}:{port}/"))).await.is_err(), "{host}");
        }
    }
    assert_eq!(server.requests(), 0);
    let local = HttpTransport::client().reach(Reach::Loopback).build().unwrap();
    assert!(local.send(get(&format!("http://127.0.0.1:{port}/"))).await.is_ok());
    assert!(local.send(get("http://10.0.0.1/")).await.is_err());
    assert_eq!(server.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_rotate_under_load_refuse_no_good_token_and_accept_no_other() {
    let server = with_keys(ok(&jwks(&[Key::p256().jwk("k0")]))).await;
    let origin = server.origin.clone();
    let issuers = server.trusted();
    let old = server.token(Key::p256(), "k0");
    let wrong = server.token(&Key::new_p256(), "k0");
    issuers.validate(&old, now()).await.unwrap();
    // The next key is published before it signs; then all at once a thousand tokens of both.
    let next = Key::new_p256();
    let keys = ok(&jwks(&[Key::p256().jwk("k0"), next.jwk("k1")]));
    server.answer_with(move |path| match path {
        "/keys" => keys.clone(),
        _ => document(&origin, &format!("{origin}/keys")),
    });
    let new = server.token(&next, "k1");
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let token = [&old, &new, &wrong][number % 3].clone();
            let issuers = issuers.clone();
            (number % 3, tokio::spawn(async move { issuers.validate(&token, now()).await.is_ok() }))
        })
        .collect();
    for (kind, task) in tasks {
        assert_eq!(task.await.unwrap(), kind != 2, "kind {kind}");
    }
    assert_eq!(server.requests(), 3, "discovery once, the keys twice");
}
