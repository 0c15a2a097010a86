//! Behaviours that a hostile review asked for: a stack of layers, a caller with rights of its own, and what must not
//! come of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::{
    AwsCredentials, CachedProvider, Expiring, Identity, ProviderError, Secret, StaticProvider, provider_fn,
};
use credfed_sigv4_verify::{Profile, Verifier};
use credfed_tower::{
    AccessRequest, AllowVerified, Denied, SignError, SignSigV4Layer, StripCredentials, VerifiedBody,
    VerifySigV4Layer, strip_hop_by_hop,
};
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::{Body, Frame};
use support::{ACCESS_KEY, FixedClock, Signer, keys, layer, noon, origin_form, run, secret, verifier};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type In = Full<Bytes>;
type Head = (Uri, HeaderMap);

fn fixed() -> CachedProvider<AwsCredentials> {
    let token = Some(Secret::new("session"));
    CachedProvider::new(StaticProvider::new(AwsCredentials::new(ACCESS_KEY, Secret::new(secret()), token)))
}

/// A source that gives another credential each time, as STS does.
fn renewing() -> CachedProvider<AwsCredentials> {
    let loads = Mutex::new(0);
    CachedProvider::new(provider_fn(Identity::of("test").finish(), move || {
        let mut count = loads.lock().unwrap();
        *count += 1;
        let credentials =
            AwsCredentials::new(format!("ASIA{count}"), Secret::new(secret()), Some(Secret::new("session")));
        async move { Ok::<_, ProviderError>(Expiring::after(credentials, Duration::from_secs(3600))) }
    }))
}

/// What an application behind an AWS front door answers: its own 401, and the front door's 403 that ends in the
/// caller's own words.
async fn application(request: Request<In>) -> Result<Response<In>, Infallible> {
    let (status, text) = match request.uri().path() {
        "/open" => (StatusCode::OK, String::new()),
        "/login" => (StatusCode::UNAUTHORIZED, "{\"message\":\"wrong password\"}".to_owned()),
        path => {
            let user = "User: anonymous is not authorized to perform: execute-api:Invoke on resource";
            let text =
                format!("{{\"Message\":\"{user}: arn:aws:execute-api:eu-west-1:1:a/prod/GET{path}\"}}");
            (StatusCode::FORBIDDEN, text)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}

#[test]
fn what_one_caller_asks_for_takes_the_credential_from_nobody() {
    run(async {
        for provider in [fixed, renewing] {
            for path in ["/login", "/ExpiredToken", "/InvalidToken"] {
                let layer = SignSigV4Layer::new(provider(), "eu-west-1", "execute-api");
                let send = async |path: &str| {
                    let request =
                        Request::get(format!("https://api.example.org{path}")).body(In::default()).unwrap();
                    layer.layer(service_fn(application)).oneshot(request).await.map(|answer| answer.status())
                };
                send(path).await.expect("an answer of the application");
                assert_eq!(send("/open").await.ok(), Some(StatusCode::OK), "after {path}");
            }
        }
    });
}

/// Collects the heads that reach the end of a stack.
type Seen = Arc<Mutex<Vec<Head>>>;

fn tell<B>(seen: &Seen, request: &Request<B>) {
    seen.lock().unwrap().push((request.uri().clone(), request.headers().clone()));
}

#[test]
fn a_parameter_that_was_not_effective_is_no_header_further_on_even_without_authorization() {
    run(async {
        let no_copies = |request: &AccessRequest<'_, &'static str>| match request.copy_source() {
            Some(_) => Err(Denied::new("no copies")),
            None => Ok(()),
        };
        let verify = VerifySigV4Layer::new(verifier(), keys(), no_copies).clock(Arc::new(FixedClock(noon())));
        let sign = SignSigV4Layer::new(fixed(), "eu-west-1", "s3")
            .upstream(&"http://up.example.org".parse().unwrap())
            .unwrap();
        let seen = Seen::default();
        let told = Arc::clone(&seen);
        let upstream = service_fn(move |request: Request<VerifiedBody<In>>| {
            tell(&told, &request);
            async { Ok::<_, Infallible>(Response::new(In::default())) }
        });
        // As a proxy does that takes off what belongs to its hop, and leaves the rest to the signer.
        let stack = ServiceBuilder::new()
            .layer(verify)
            .map_request(|mut request: Request<VerifiedBody<In>>| {
                strip_hop_by_hop(request.headers_mut());
                request
            })
            .layer(sign)
            .service(upstream);
        let uri = "http://files.example.org/bucket/key?x-amz-copy-source=/secret/key";
        let request = Request::put(uri).body(In::default()).unwrap();
        let mut request = origin_form(Signer::default().sign(request, SignableBody::UnsignedPayload));
        request.headers_mut().insert("connection", HeaderValue::from_static("authorization"));
        stack.oneshot(request).await.unwrap();
        for (uri, headers) in seen.lock().unwrap().iter() {
            assert!(!headers.contains_key("x-amz-copy-source"), "{uri}: {headers:?}");
        }
    });
}

/// Presigns a PUT with `query`, sends it through `Verify -> Strip`, and says what the authoriser and the inner service
/// saw of `header`.
async fn hoisted(query: &str, header: &'static str) -> (Option<String>, Vec<Option<HeaderValue>>) {
    let effective = Arc::new(Mutex::new(None));
    let asked = Arc::clone(&effective);
    let authorizer = move |request: &AccessRequest<'_, &'static str>| {
        *asked.lock().unwrap() = request.effective_header(header).map(|value| value.into_owned());
        Ok::<(), Denied>(())
    };
    let verify = VerifySigV4Layer::new(verifier(), keys(), authorizer).clock(Arc::new(FixedClock(noon())));
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<VerifiedBody<In>>| {
        tell(&told, &request);
        async { Ok::<_, Infallible>(Response::new(In::default())) }
    });
    let stack = ServiceBuilder::new().layer(verify).layer(StripCredentials::new()).service(inner);
    let signer = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() };
    let request =
        Request::put(format!("http://files.example.org/bucket/key?{query}")).body(In::default()).unwrap();
    stack.oneshot(origin_form(signer.sign(request, SignableBody::UnsignedPayload))).await.unwrap();
    let seen = seen.lock().unwrap().iter().map(|(_, headers)| headers.get(header).cloned()).collect();
    let effective = effective.lock().unwrap().clone();
    (effective, seen)
}

#[test]
fn a_hoisted_parameter_acts_on_the_inner_service_exactly_as_the_authoriser_was_told() {
    run(async {
        let cases = [
            (
                "x-amz-copy-source-server-side-encryption-customer-key=canary",
                "x-amz-copy-source-server-side-encryption-customer-key",
            ),
            ("x-amz-object-lock-legal-hold=ON%0A", "x-amz-object-lock-legal-hold"),
        ];
        for (query, header) in cases {
            let (effective, seen) = hoisted(query, header).await;
            for value in seen {
                let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                assert_eq!(value, effective, "{query}");
            }
        }
    });
}

/// A body that has not come yet.
#[derive(Debug)]
struct Later;

impl Body for Later {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[test]
fn with_uniform_errors_an_unknown_key_waits_for_the_body_as_a_known_one_does() {
    let verifier =
        Verifier::builder().profile(Profile::Sts).region("eu-west-1").uniform_errors(true).build().unwrap();
    let layer = VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())));
    let inner = service_fn(|_: Request<VerifiedBody<Later>>| async {
        Ok::<_, Infallible>(Response::new(In::default()))
    });
    let at_once = [ACCESS_KEY, "AKIANOBODY"].map(|access_key| {
        let (access_key, secret, service) = (access_key.into(), "guess".into(), "sts".into());
        let signer = Signer { access_key, secret, service, ..Signer::default() };
        let request = Request::post("http://sts.example.org/").body(()).unwrap();
        let request = origin_form(signer.sign(request, SignableBody::Bytes(b"x"))).map(|()| Later);
        let answer = pin!(layer.layer(inner).call(request));
        answer.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    });
    assert_eq!(at_once[0], at_once[1], "which keys exist shows in when the answer comes");
}

#[test]
fn customer_keys_stand_in_no_log_line_of_the_signer() {
    let log = support::log::Captured::start();
    run(async {
        let layer = SignSigV4Layer::new(fixed(), "eu-west-1", "s3");
        let request = Request::get("https://h.example.org/b/k")
            .header("x-amz-server-side-encryption-customer-key", "Y2FuYXJ5LWtleQ==")
            .body(In::default())
            .unwrap();
        let called = service_fn(|_: Request<In>| async { Ok::<_, Infallible>(Response::new(In::default())) });
        layer.layer(called).oneshot(request).await.unwrap();
    });
    let leaking: Vec<_> = log.lines().into_iter().filter(|line| line.contains("Y2FuYXJ5")).collect();
    assert!(leaking.is_empty(), "{leaking:?}");
}

#[test]
fn without_an_upstream_or_a_list_the_callers_host_gets_no_signature() {
    run(async {
        let sign = SignSigV4Layer::new(fixed(), "eu-west-1", "s3");
        let seen = Seen::default();
        let told = Arc::clone(&seen);
        let upstream = service_fn(move |request: Request<VerifiedBody<In>>| {
            tell(&told, &request);
            async { Ok::<_, Infallible>(Response::new(In::default())) }
        });
        let stack =
            ServiceBuilder::new().layer(layer()).layer(StripCredentials::new()).layer(sign).service(upstream);
        let request = Request::get("http://evil.example.org/bucket/key").body(In::default()).unwrap();
        let request = origin_form(Signer::default().sign(request, SignableBody::Bytes(b"")));
        let _ = stack.oneshot(request).await;
        let seen = seen.lock().unwrap();
        let to: Vec<_> = seen.iter().map(|(uri, _)| uri).collect();
        assert!(to.is_empty(), "signed, with the session token, for {to:?}");
    });
}

#[test]
fn what_the_signer_accepts_a_strict_verifier_accepts() {
    run(async {
        let seen = service_fn(|_: Request<VerifiedBody<In>>| async {
            Ok::<_, Infallible>(Response::new(In::default()))
        });
        let provider = CachedProvider::new(StaticProvider::new(AwsCredentials::new(
            ACCESS_KEY,
            Secret::new(secret()),
            None,
        )));
        let sign = SignSigV4Layer::new(provider, support::REGION, "s3").clock(Arc::new(FixedClock(noon())));
        for (target, value) in
            [("/b/k", "a  b"), ("/b/k", "a\tb"), ("/b/k", "a \t b"), ("/b?prefix=%FF", "a"), ("/b?%FF", "a")]
        {
            let request = Request::get(format!("https://h.example.org{target}"))
                .header("x-amz-meta-a", value)
                .body(In::default())
                .unwrap();
            match sign.layer(layer().layer(seen)).oneshot(request).await {
                Ok(answer) => assert_eq!(answer.status(), StatusCode::OK, "{target} {value:?}"),
                Err(error) => assert!(matches!(error, SignError::Unsignable(_)), "{target} {value:?}"),
            }
        }
    });
}

#[test]
fn a_get_whose_payload_would_be_lost_on_the_way_is_not_signed() {
    /// A payload without a length.
    struct Chunks(Option<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    run(async {
        let layer = SignSigV4Layer::new(fixed(), "eu-west-1", "s3").replay(credfed_tower::sign::NeverReplay);
        let called =
            service_fn(|_: Request<Chunks>| async { Ok::<_, Infallible>(Response::new(In::default())) });
        for (method, signed) in [("GET", false), ("HEAD", false), ("PUT", true)] {
            let request = Request::builder().method(method).uri("https://h.example.org/b/k");
            let request = request.body(Chunks(Some(Bytes::from_static(b"search")))).unwrap();
            assert_eq!(layer.layer(called).oneshot(request).await.is_ok(), signed, "{method}");
        }
    });
}

#[test]
fn a_second_attempt_that_fails_leaves_the_first_answer() {
    run(async {
        let calls = Arc::new(Mutex::new(0));
        let upstream = service_fn(move |_: Request<In>| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            let answer = if *calls == 1 {
                let mut response =
                    Response::new(Full::new(Bytes::from("<Error><Code>ExpiredToken</Code></Error>")));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                Ok(response)
            } else {
                Err(std::io::Error::other("the connection broke"))
            };
            std::future::ready(answer)
        });
        let layer = SignSigV4Layer::new(renewing(), "eu-west-1", "s3");
        let request = Request::get("https://h.example.org/b/k").body(In::default()).unwrap();
        let answer = layer.layer(upstream).oneshot(request).await.expect("the first answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, "<Error><Code>ExpiredToken</Code></Error>");
    });
}

#[test]
fn a_callers_session_ends_when_its_key_does() {
    run(async {
        let end = noon() + Duration::from_secs(60);
        #[derive(Clone)]
        struct Ending(std::time::SystemTime);
        impl credfed_tower::ResolveKey for Ending {
            type Claims = ();
            type Future =
                std::future::Ready<Result<credfed_tower::Resolved<()>, credfed_tower::ResolveError>>;

            fn resolve(&self, _: credfed_tower::KeyRequest<'_>) -> Self::Future {
                let kind = credfed_sigv4_verify::KeyKind::Static;
                let key = credfed_sigv4_verify::ResolvedKey::new(secret(), kind, 1).not_after(self.0);
                std::future::ready(Ok(credfed_tower::Resolved::new(key, ())))
            }
        }
        let inner = service_fn(move |request: Request<VerifiedBody<In>>| async move {
            let caller = request.extensions().get::<credfed_tower::Caller<()>>().expect("a caller");
            assert_eq!(caller.session_end(), Some(end));
            Ok::<_, Infallible>(Response::new(In::default()))
        });
        for (now, status) in [(noon(), StatusCode::OK), (end, StatusCode::BAD_REQUEST)] {
            let layer = VerifySigV4Layer::new(verifier(), Ending(end), AllowVerified)
                .clock(Arc::new(FixedClock(now)));
            let request = Request::get("http://h/b/k").body(In::default()).unwrap();
            let request = origin_form(Signer::default().sign(request, SignableBody::Bytes(b"")));
            assert_eq!(layer.layer(inner).oneshot(request).await.expect("an answer").status(), status);
        }
    });
}

#[test]
fn an_applications_own_error_codes_take_the_credential_from_nobody() {
    run(async {
        let answers = [
            (400, r#"{"message":"unknown field","input":{"code":"ExpiredToken"}}"#),
            (400, r#"{"input":{"__type":"ExpiredTokenException"}}"#),
            (400, r#"{"__type":"ExpiredTokenException"}"#),
            (400, r#"{"code":"InvalidToken","message":"this reset link is not valid"}"#),
            (401, r#"{"code":"Unauthorized","message":"wrong password"}"#),
        ];
        for (status, text) in answers {
            let layer = SignSigV4Layer::new(renewing(), "eu-west-1", "execute-api");
            let application = move |request: Request<In>| {
                let bad = request.uri().path() == "/bad";
                let mut response = Response::new(Full::new(Bytes::from(if bad { text } else { "" })));
                *response.status_mut() = StatusCode::from_u16(if bad { status } else { 200 }).unwrap();
                std::future::ready(Ok::<_, Infallible>(response))
            };
            let send = async |path: &str| {
                let request =
                    Request::get(format!("https://api.example.org{path}")).body(In::default()).unwrap();
                layer.layer(service_fn(application)).oneshot(request).await.map(|answer| answer.status())
            };
            for _ in 0..3 {
                assert_eq!(send("/bad").await.ok(), StatusCode::from_u16(status).ok(), "{text}");
            }
            assert_eq!(send("/open").await.ok(), Some(StatusCode::OK), "after {text}");
        }
    });
}

#[test]
fn the_header_that_names_the_error_is_believed_of_any_service() {
    run(async {
        let layer = SignSigV4Layer::new(renewing(), "eu-west-1", "execute-api");
        let calls = Arc::new(Mutex::new(0));
        let service = service_fn(move |_: Request<In>| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            let mut response = Response::new(In::default());
            if *calls == 1 {
                *response.status_mut() = StatusCode::FORBIDDEN;
                response
                    .headers_mut()
                    .insert("x-amzn-errortype", HeaderValue::from_static("ExpiredTokenException:http://x/"));
            }
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let request = Request::get("https://api.example.org/").body(In::default()).unwrap();
        assert_eq!(layer.layer(service).oneshot(request).await.expect("an answer").status(), StatusCode::OK);
    });
}

#[test]
fn a_json_service_that_names_the_expired_token_first_is_believed() {
    run(async {
        let layer = SignSigV4Layer::new(renewing(), "eu-west-1", "dynamodb");
        let calls = Arc::new(Mutex::new(0));
        let service = service_fn(move |_: Request<In>| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            let text = r#"{ "__type": "com.amazon.coral.service#ExpiredTokenException", "message": "over" }"#;
            let mut response = Response::new(Full::new(Bytes::from(if *calls == 1 { text } else { "{}" })));
            *response.status_mut() = if *calls == 1 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let request = Request::get("https://dynamodb.example.org/").body(In::default()).unwrap();
        assert_eq!(layer.layer(service).oneshot(request).await.expect("an answer").status(), StatusCode::OK);
    });
}
