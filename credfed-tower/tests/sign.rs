//! What goes out is signed with the current credential, for the upstream alone, and renewed when it is rejected.
//!
//! The upstream is a real HTTP server behind the verifying layer; the signer underneath is the `aws-sigv4` crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use credfed_core::{
    AwsCredentials, CachedProvider, Expiring, Identity, ProviderError, Secret, StaticProvider, provider_fn,
};
use credfed_sigv4_verify::{KeyKind, ResolvedKey};
use credfed_tower::sign::{NeverReplay, ReplayClone};
use credfed_tower::{
    AllowVerified, KeyRequest, PayloadSha256, ResolveError, ResolveKey, Resolved, SignError, SignSigV4Layer,
    VerifiedBody, VerifySigV4Layer,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest, Sha256};
use support::{ACCESS_KEY, FixedClock, noon, run, secret, serve, upstream, verifier};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type Out = Full<Bytes>;

/// Knows one session; tokens named `old…` are over.
#[derive(Clone)]
struct Sessions;

impl ResolveKey for Sessions {
    type Claims = ();
    type Future = Ready<Result<Resolved<()>, ResolveError>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        ready(match request.session_token {
            Some(token) if token.starts_with("old") => Err(ResolveError::Expired),
            Some(_) => Ok(Resolved::new(ResolvedKey::new(secret(), KeyKind::Temporary, 1), ())),
            None => Err(ResolveError::Unknown),
        })
    }
}

/// An upstream that verifies, counts, and answers with what it saw of the request.
async fn upstream() -> (Uri, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let inner = service_fn(|request: Request<VerifiedBody<Incoming>>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let seen = format!("{} {}", parts.uri, String::from_utf8_lossy(&body));
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(seen))))
    });
    let layer =
        VerifySigV4Layer::new(verifier(), Sessions, AllowVerified).clock(Arc::new(FixedClock(noon())));
    let verified = layer.layer(inner);
    let service = service_fn(move |request: Request<Incoming>| {
        counted.fetch_add(1, Ordering::SeqCst);
        verified.clone().call(request)
    });
    (format!("http://{}", serve(service).await).parse().expect("a URI"), calls)
}

/// A source whose first `old` credentials are rejected upstream; counts its loads.
fn source(old: usize) -> (CachedProvider<AwsCredentials>, Arc<AtomicUsize>) {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let provider = CachedProvider::new(provider_fn(Identity::of("test").finish(), move || {
        let load = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let token = if load < old { format!("old-{load}") } else { format!("new-{load}") };
            let credentials =
                AwsCredentials::new(ACCESS_KEY, Secret::new(secret()), Some(Secret::new(token)));
            Ok::<_, ProviderError>(Expiring::after(credentials, std::time::Duration::from_secs(3600)))
        }
    }));
    (provider, loads)
}

fn signing(provider: CachedProvider<AwsCredentials>, upstream: &Uri) -> SignSigV4Layer {
    SignSigV4Layer::new(provider, support::REGION, "s3")
        .upstream(upstream)
        .expect("an upstream")
        .clock(Arc::new(FixedClock(noon())))
}

fn client() -> Client<hyper_util::client::legacy::connect::HttpConnector, Out> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn text<B>(response: Response<B>) -> (StatusCode, String)
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn a_signed_request_is_verified_upstream_however_its_target_is_written() {
    run(async {
        let (uri, _) = upstream().await;
        let (provider, _) = source(0);
        let targets = [
            "/bucket/key",
            "/bucket//a//b/",
            "/bucket/./a/../b",
            "/bucket/a%2Fb%20c",
            "/bucket/a+b%2Bc",
            "/bucket/(a)!*'b'",
            "/bucket/%e2%82%ac",
            "/bucket/~a-b_c.d",
            "/bucket/k?uploads",
            "/bucket?list-type=2&prefix=a%20b&delimiter=%2F",
            "/bucket?prefix=a%2Bb&prefix=a&b=&a",
            "/bucket?prefix=a/b(c)",
        ];
        for target in targets {
            let client = signing(provider.clone(), &uri).layer(client());
            let request = Request::get(target).body(Out::default()).unwrap();
            let (status, seen) = text(client.oneshot(request).await.expect("an answer")).await;
            assert_eq!((status, seen.trim_end()), (StatusCode::OK, target), "{target}");
        }
        let client = signing(provider, &uri).layer(client());
        let request = Request::get("/bucket?prefix=a+b").body(Out::default()).unwrap();
        let (status, seen) = text(client.oneshot(request).await.expect("an answer")).await;
        assert_eq!(
            (status, seen.trim_end()),
            (StatusCode::OK, "/bucket?prefix=a%20b"),
            "a raw plus sign is a blank"
        );
    });
}

#[test]
fn a_rejected_credential_is_renewed_and_a_request_without_payload_is_sent_once_more() {
    run(async {
        let (uri, calls) = upstream().await;
        let (provider, loads) = source(1);
        let mut client = signing(provider, &uri).layer(client());
        let get = || Request::get("/bucket/key").body(Out::default()).unwrap();
        let (status, _) = text(client.ready().await.unwrap().call(get()).await.expect("an answer")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!((calls.load(Ordering::SeqCst), loads.load(Ordering::SeqCst)), (2, 2));
        let (status, _) = text(client.ready().await.unwrap().call(get()).await.expect("an answer")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!((calls.load(Ordering::SeqCst), loads.load(Ordering::SeqCst)), (3, 2));
    });
}

#[test]
fn a_payload_that_cannot_be_replayed_fails_once_with_the_upstreams_own_words() {
    run(async {
        let (uri, calls) = upstream().await;
        let (provider, _) = source(1);
        let mut client = signing(provider, &uri).layer(client());
        let put = || Request::put("/bucket/key").body(Full::new(Bytes::from_static(b"payload"))).unwrap();
        let (status, body) = text(client.ready().await.unwrap().call(put()).await.expect("an answer")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("<Code>ExpiredToken</Code>") && body.ends_with("</Error>"), "{body}");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let (status, body) = text(client.ready().await.unwrap().call(put()).await.expect("an answer")).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::OK, "/bucket/key payload"),
            "the next one is signed anew"
        );
    });
}

#[test]
fn which_payloads_are_replayed_is_a_choice() {
    run(async {
        let put = || Request::put("/bucket/key").body(Full::new(Bytes::from_static(b"payload"))).unwrap();
        let (uri, calls) = upstream().await;
        let cloning = signing(source(1).0, &uri).replay(ReplayClone).layer(client());
        let (status, body) = text(cloning.oneshot(put()).await.expect("an answer")).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "/bucket/key payload"));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        let (uri, calls) = upstream().await;
        let never = signing(source(1).0, &uri).replay(NeverReplay).layer(client());
        let get = Request::get("/bucket/key").body(Out::default()).unwrap();
        assert_eq!(never.oneshot(get).await.expect("an answer").status(), StatusCode::BAD_REQUEST);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_credential_that_stays_rejected_costs_two_requests_and_no_more() {
    run(async {
        let (uri, calls) = upstream().await;
        let (provider, _) = source(usize::MAX);
        let client = signing(provider, &uri).layer(client());
        let get = Request::get("/bucket/key").body(Out::default()).unwrap();
        let (status, body) = text(client.oneshot(get).await.expect("an answer")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("<Code>ExpiredToken</Code>"));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn access_denied_is_no_fault_of_the_credential() {
    run(async {
        let refusing = service_fn(|_: Request<Incoming>| async {
            let mut response =
                Response::new(Full::new(Bytes::from("<Error><Code>AccessDenied</Code></Error>")));
            *response.status_mut() = StatusCode::FORBIDDEN;
            Ok::<_, std::convert::Infallible>(response)
        });
        let uri = format!("http://{}", serve(refusing).await).parse().unwrap();
        let (provider, loads) = source(0);
        let client = signing(provider, &uri).layer(client());
        let get = Request::get("/bucket/key").body(Out::default()).unwrap();
        let (status, body) = text(client.oneshot(get).await.expect("an answer")).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>")
        );
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn what_a_caller_left_behind_never_travels_upstream() {
    run(async {
        let (address, seen): (SocketAddr, _) = upstream::http1().await;
        let uri: Uri = format!("http://{address}").parse().unwrap();
        let client = signing(source(0).0, &uri).layer(client());
        let request = Request::get(
            "http://front.example.org/b/k?X-Amz-Signature=canary&X-Amz-Security-Token=canary&y=1",
        )
        .header("x-amz-security-token", "canary")
        .header("x-forwarded-for", "canary")
        .header("connection", "x-canary")
        .header("x-canary", "canary")
        .header("host", "front.example.org")
        .body(Out::default())
        .unwrap();
        client.oneshot(request).await.expect("an answer");
        let seen = seen.await.expect("a report");
        assert!(seen.head.starts_with("GET /b/k?y=1 HTTP/1.1\r\n"), "{}", seen.head);
        assert!(!seen.head.contains("canary") && !seen.head.contains("front.example.org"), "{}", seen.head);
        assert!(seen.head.contains(&format!("host: {address}\r\n")));
        assert!(seen.head.contains("x-amz-security-token: new-0\r\n"));
        assert!(
            seen.head.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token")
        );
    });
}

#[test]
fn a_known_hash_is_signed_on_and_enforced_upstream() {
    run(async {
        let (uri, _) = upstream().await;
        let (provider, _) = source(0);
        let put = |hash: [u8; 32]| {
            let mut request = Request::put("/b/k").body(Full::new(Bytes::from_static(b"payload"))).unwrap();
            request.extensions_mut().insert(PayloadSha256(hash));
            request
        };
        let client = || signing(provider.clone(), &uri).layer(client());
        let right = client().oneshot(put(Sha256::digest(b"payload").into())).await.expect("an answer");
        assert_eq!(right.status(), StatusCode::OK);
        let (status, body) = text(client().oneshot(put([7; 32])).await.expect("an answer")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("XAmzContentSHA256Mismatch"), "{body}");
    });
}

#[test]
fn only_configured_authorities_get_a_signature() {
    run(async {
        let (provider, loads) = source(0);
        let called = service_fn(|_: Request<Out>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Out::default()))
        });
        let place = "https://s3.example.org:443".parse().unwrap();
        let layer = SignSigV4Layer::new(provider, "eu-west-1", "s3").authorities([&place]).unwrap();
        let send = |uri: &str| layer.layer(called).oneshot(Request::get(uri).body(Out::default()).unwrap());
        assert!(send("https://s3.example.org/b/k").await.is_ok());
        assert!(send("https://s3.example.org:443/b/k").await.is_ok());
        for uri in [
            "https://evil.example.org/b/k",
            "https://s3.example.org:8443/b/k",
            "http://s3.example.org/b/k",
            "http://s3.example.org.evil/b",
        ] {
            assert!(matches!(send(uri).await, Err(SignError::AuthorityNotAllowed)), "{uri}");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1, "a refused request causes no exchange");
    });
}

#[test]
fn a_request_that_cannot_be_signed_is_refused_and_says_why() {
    run(async {
        let called = || {
            service_fn(|_: Request<Out>| async {
                Ok::<_, std::convert::Infallible>(Response::new(Out::default()))
            })
        };
        let general = SignSigV4Layer::new(source(0).0, "eu-west-1", "execute-api");
        let put = Request::put("https://h/b").body(Full::new(Bytes::from_static(b"x"))).unwrap();
        let refused = general.layer(called()).oneshot(put).await.expect_err("no payload hash");
        assert!(refused.to_string().contains("payload is not known"), "{refused}");
        let latin = Request::get("https://h/b")
            .header("x-amz-meta-name", http::HeaderValue::from_bytes(b"\xe9").unwrap());
        let refused =
            general.layer(called()).oneshot(latin.body(Out::default()).unwrap()).await.expect_err("latin-1");
        assert!(refused.to_string().contains("not UTF-8"), "{refused}");
        let nowhere = Request::get("/b/k").body(Out::default()).unwrap();
        assert!(matches!(general.layer(called()).oneshot(nowhere).await, Err(SignError::Unsignable(_))));
        for not_an_upstream in ["/relative", "ftp://h", "http://user@h"] {
            let layer = SignSigV4Layer::new(source(0).0, "eu-west-1", "s3");
            assert!(layer.upstream(&not_an_upstream.parse().unwrap()).is_err(), "{not_an_upstream}");
        }
    });
}

#[test]
fn without_a_credential_nothing_is_sent() {
    run(async {
        let failing = provider_fn(Identity::of("test").finish(), || async {
            Err::<Expiring<AwsCredentials>, _>(ProviderError::rejected("the role is gone"))
        });
        let (uri, calls) = upstream().await;
        let client = signing(CachedProvider::new(failing), &uri).layer(client());
        let get = Request::get("/bucket/key").body(Out::default()).unwrap();
        assert!(matches!(client.oneshot(get).await, Err(SignError::Credential(_))));
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn no_secret_token_or_signature_stands_in_a_log_line_or_a_debug_text() {
    let log = support::log::Captured::start();
    run(async {
        let (uri, _) = upstream().await;
        let credentials =
            AwsCredentials::new(ACCESS_KEY, Secret::new(secret()), Some(Secret::new("new-canary-token")));
        let provider = CachedProvider::new(StaticProvider::new(credentials));
        let layer = signing(provider, &uri);
        let client = ServiceBuilder::new().layer(layer.clone()).service(client());
        let debug = format!("{layer:?} {client:?}");
        assert!(!debug.contains(secret()) && !debug.contains("canary"));
        let get = Request::get("/bucket/key").body(Out::default()).unwrap();
        assert_eq!(client.oneshot(get).await.expect("an answer").status(), StatusCode::OK);
    });
    let lines = log.lines();
    assert!(!lines.is_empty(), "the capture works");
    for canary in [secret(), "new-canary-token", "Signature="] {
        let leaking: Vec<_> = lines.iter().filter(|line| line.contains(canary)).collect();
        assert!(leaking.is_empty(), "{canary}: {leaking:?}");
    }
}
