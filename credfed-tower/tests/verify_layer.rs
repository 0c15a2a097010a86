//! What the layer lets through, what it answers, and in which order it asks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_sigv4_verify::danger::Knobs;
use credfed_sigv4_verify::{Carrier, KeyKind, Limits, Profile, Reason, ResolvedKey, Verifier};
use credfed_tower::{
    AccessRequest, AllowVerified, Authorize, Caller, Denied, KeyRequest, PayloadSha256, ResolveError,
    ResolveKey, Resolved, VerifiedBody, VerifySigV4Layer,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use support::{ACCESS_KEY, FixedClock, Signer, keys, layer, noon, origin_form, run, secret, verifier};
use tower::{Layer, ServiceExt, service_fn};

type In = Full<Bytes>;

/// What came back, and how often the inner service was called.
struct Outcome {
    response: Response<()>,
    body: String,
    calls: usize,
}

impl Outcome {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn reason(&self) -> Option<&Reason> {
        self.response.extensions().get()
    }

    fn code(&self) -> &str {
        let start = self.body.find("<Code>").map_or(0, |at| at + 6);
        self.body[start..].split('<').next().unwrap_or_default()
    }
}

/// Sends `request` through `layer` to an inner service that tells what it saw.
async fn through<R, A>(layer: VerifySigV4Layer<R, A>, request: Request<In>) -> Outcome
where
    R: ResolveKey<Claims = &'static str>,
    A: Authorize<&'static str>,
{
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let inner = service_fn(move |request: Request<VerifiedBody<In>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let caller = request.extensions().get::<Caller<&'static str>>().expect("a caller").clone();
            let body = request.into_body().collect().await.map(|body| body.to_bytes());
            let seen = format!("{} {} {body:?}", caller.access_key_id(), caller.claims());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(seen))))
        }
    });
    let response = layer.layer(inner).oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Outcome {
        response: Response::from_parts(parts, ()),
        body: String::from_utf8_lossy(&body).into_owned(),
        calls: calls.load(Ordering::SeqCst),
    }
}

fn get(signer: &Signer) -> Request<In> {
    request(signer, Method::GET, b"")
}

fn request(signer: &Signer, method: Method, body: &'static [u8]) -> Request<In> {
    let request = Request::builder()
        .method(method)
        .uri("http://files.example.org/bucket/key?x-id=GetObject")
        .body(Full::new(Bytes::from_static(body)))
        .expect("a request");
    origin_form(signer.sign(request, SignableBody::Bytes(body)))
}

#[test]
fn a_verified_request_reaches_the_inner_service_with_its_caller() {
    run(async {
        let outcome = through(layer(), request(&Signer::default(), Method::PUT, b"hello")).await;
        assert_eq!(outcome.status(), StatusCode::OK);
        assert_eq!(outcome.body, format!("{ACCESS_KEY} alice Ok(b\"hello\")"));
        let presigned = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() };
        let request = Request::get("http://files.example.org/bucket/key").body(In::default()).unwrap();
        let request = origin_form(presigned.sign(request, SignableBody::UnsignedPayload));
        assert_eq!(through(layer(), request).await.status(), StatusCode::OK);
    });
}

#[test]
fn a_refused_request_gets_the_code_of_its_fault_and_never_reaches_the_inner_service() {
    run(async {
        let day = Duration::from_secs(86_400);
        let faults: [(&str, StatusCode, Request<In>); 6] = [
            ("AccessDenied", StatusCode::FORBIDDEN, {
                Request::get("/bucket/key").header("host", "files.example.org").body(In::default()).unwrap()
            }),
            ("SignatureDoesNotMatch", StatusCode::FORBIDDEN, {
                get(&Signer { secret: "another".into(), ..Signer::default() })
            }),
            ("InvalidAccessKeyId", StatusCode::FORBIDDEN, {
                get(&Signer { access_key: "AKIANOBODY".into(), ..Signer::default() })
            }),
            (
                "RequestTimeTooSkewed",
                StatusCode::FORBIDDEN,
                get(&Signer { time: noon() - day, ..Signer::default() }),
            ),
            ("AuthorizationHeaderMalformed", StatusCode::BAD_REQUEST, {
                get(&Signer { region: "us-west-2".into(), ..Signer::default() })
            }),
            ("InvalidToken", StatusCode::BAD_REQUEST, {
                get(&Signer { token: Some("token-of-nobody".into()), ..Signer::default() })
            }),
        ];
        for (code, status, request) in faults {
            let outcome = through(layer(), request).await;
            assert_eq!(
                (outcome.code(), outcome.status(), outcome.calls),
                (code, status, 0),
                "{}",
                outcome.body
            );
            assert!(outcome.reason().is_some());
            assert!(outcome.response.headers().contains_key("x-amz-request-id"));
        }
    });
}

#[test]
fn a_refused_head_request_is_answered_without_a_body() {
    run(async {
        let request = Request::head("/bucket/key").header("host", "h").body(In::default()).unwrap();
        let outcome = through(layer(), request).await;
        assert_eq!((outcome.status(), outcome.body.as_str(), outcome.calls), (StatusCode::FORBIDDEN, "", 0));
        assert!(outcome.reason().is_some());
    });
}

#[test]
fn the_answer_escapes_the_clients_own_words() {
    run(async {
        let request = Request::get("/%3C/a'b&c").header("host", "h").body(In::default()).unwrap();
        let outcome = through(layer(), request).await;
        assert!(outcome.body.contains("<Resource>/%3C/a&apos;b&amp;c</Resource>"), "{}", outcome.body);
    });
}

#[test]
fn a_closure_can_answer_and_the_reason_stays_in_the_extensions() {
    run(async {
        let layer = layer().on_refusal(|refusal| {
            let mut response = Response::new(Bytes::from(format!("no: {}", refusal.code())));
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        });
        let request = Request::get("/bucket/key").header("host", "h").body(In::default()).unwrap();
        let outcome = through(layer, request).await;
        assert_eq!((outcome.status(), outcome.body.as_str()), (StatusCode::IM_A_TEAPOT, "no: AccessDenied"));
        assert_eq!(outcome.reason(), Some(&Reason::NoCredentials));
    });
}

#[test]
fn the_authoriser_decides_after_the_signature_and_before_the_inner_service() {
    run(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let authorizer = move |request: &AccessRequest<'_, &'static str>| {
            counted.fetch_add(1, Ordering::SeqCst);
            assert_eq!((request.access_key_id(), *request.claims()), (ACCESS_KEY, "alice"));
            assert_eq!((request.path(), request.query()), ("/bucket/key", Some("x-id=GetObject")));
            if request.method() == Method::GET { Ok(()) } else { Err(Denied::new("read-only")) }
        };
        let layer = VerifySigV4Layer::new(verifier(), keys(), authorizer).clock(Arc::new(FixedClock(noon())));
        assert_eq!(through(layer.clone(), get(&Signer::default())).await.status(), StatusCode::OK);
        let denied = through(layer.clone(), request(&Signer::default(), Method::DELETE, b"")).await;
        assert_eq!(
            (denied.code(), denied.status(), denied.calls),
            ("AccessDenied", StatusCode::FORBIDDEN, 0)
        );
        assert!(!denied.body.contains("read-only"), "the note is for the log alone");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        let forged = get(&Signer { secret: "another".into(), ..Signer::default() });
        assert_eq!(through(layer, forged).await.code(), "SignatureDoesNotMatch");
        assert_eq!(asked.load(Ordering::SeqCst), 2, "nobody is asked about a request that did not verify");
    });
}

#[test]
fn an_authoriser_sees_the_copy_source_in_either_carrier() {
    run(async {
        let authorizer = |request: &AccessRequest<'_, &'static str>| match request.copy_source().as_deref() {
            Some("/other/secret%20plan") => Err(Denied::new("the source")),
            other => panic!("{other:?}"),
        };
        let layer = VerifySigV4Layer::new(verifier(), keys(), authorizer).clock(Arc::new(FixedClock(noon())));
        let put = || Request::put("http://files.example.org/bucket/key");
        let header = put().header("x-amz-copy-source", "/other/secret%20plan").body(In::default()).unwrap();
        let header = Signer::default().sign(header, SignableBody::Bytes(b""));
        assert_eq!(through(layer.clone(), origin_form(header)).await.code(), "AccessDenied");
        let uri = "http://files.example.org/bucket/key?x-amz-copy-source=%2Fother%2Fsecret%2520plan";
        let hoisted = Request::put(uri).body(In::default()).unwrap();
        let presigner = Signer { presign: Some(Duration::from_secs(60)), ..Signer::default() };
        let hoisted = presigner.sign(hoisted, SignableBody::UnsignedPayload);
        assert_eq!(through(layer, origin_form(hoisted)).await.code(), "AccessDenied");
    });
}

#[test]
fn a_declared_hash_stands_in_the_extensions_for_whoever_signs_it_on() {
    run(async {
        let inner = service_fn(|request: Request<VerifiedBody<In>>| async move {
            let declared = request.extensions().get::<PayloadSha256>().copied();
            assert_ne!(declared, Some(PayloadSha256([7; 32])), "left by somebody outside of the layer");
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("{}", declared.is_some())))))
        });
        let service = layer().layer(inner);
        for (payload, expected) in
            [(SignableBody::Bytes(b"x"), "true"), (SignableBody::UnsignedPayload, "false")]
        {
            let request = Request::put("http://h/b/k").body(Full::new(Bytes::from_static(b"x"))).unwrap();
            let mut request = origin_form(Signer::default().sign(request, payload));
            request.extensions_mut().insert(PayloadSha256([7; 32]));
            let response = service.clone().oneshot(request).await.expect("an answer");
            assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), expected);
        }
    });
}

/// A resolver that answers later, or not as hoped.
#[derive(Clone)]
struct Later(Result<Option<SystemTime>, ResolveError>);

impl ResolveKey for Later {
    type Claims = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Resolved<&'static str>, ResolveError>> + Send>>;

    fn resolve(&self, request: KeyRequest<'_>) -> Self::Future {
        assert_eq!(request.session_token, Some("a/session+token=="));
        assert_eq!(request.scope.region(), support::REGION);
        let answer = self.0;
        Box::pin(async move {
            tokio::task::yield_now().await;
            let key = ResolvedKey::new(secret(), KeyKind::Temporary, 1);
            let resolved = Resolved::new(key, "bob");
            answer.map(|end| match end {
                Some(end) => resolved.not_after(end),
                None => resolved,
            })
        })
    }
}

#[test]
fn a_session_passes_in_both_carriers_until_it_is_over() {
    run(async {
        let session = || Signer { token: Some("a/session+token==".into()), ..Signer::default() };
        let presigned = || Signer { presign: Some(Duration::from_secs(600)), ..session() };
        let clock = Arc::new(FixedClock(noon()));
        let layer =
            |answer| VerifySigV4Layer::new(verifier(), Later(answer), AllowVerified).clock(clock.clone());
        let presign = || {
            let request = Request::get("http://files.example.org/bucket/key").body(In::default()).unwrap();
            origin_form(presigned().sign(request, SignableBody::UnsignedPayload))
        };
        let second = Duration::from_secs(1);
        for answer in [Ok(None), Ok(Some(noon() + second))] {
            assert_eq!(through(layer(answer), get(&session())).await.status(), StatusCode::OK);
            assert_eq!(through(layer(answer), presign()).await.status(), StatusCode::OK);
        }
        let faults = [
            (Ok(Some(noon())), "ExpiredToken", StatusCode::BAD_REQUEST),
            (Err(ResolveError::Expired), "ExpiredToken", StatusCode::BAD_REQUEST),
            (Err(ResolveError::Invalid), "InvalidToken", StatusCode::BAD_REQUEST),
            (Err(ResolveError::Unknown), "InvalidAccessKeyId", StatusCode::FORBIDDEN),
            (Err(ResolveError::Unavailable), "ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        ];
        for (answer, code, status) in faults {
            for request in [get(&session()), presign()] {
                let outcome = through(layer(answer), request).await;
                assert_eq!((outcome.code(), outcome.status(), outcome.calls), (code, status, 0));
            }
        }
    });
}

/// The STS protocol signs the hash of the real body and sends no header that says so.
#[test]
fn without_a_declared_hash_the_real_body_is_part_of_the_signature_up_to_the_cap() {
    run(async {
        let mut limits = Limits::default();
        limits.buffered_body = 64;
        let sts = || Verifier::builder().profile(Profile::Sts).region(support::REGION).limits(limits).build();
        let layer = || {
            let verifier = sts().expect("a verifier");
            VerifySigV4Layer::new(verifier, keys(), AllowVerified).clock(Arc::new(FixedClock(noon())))
        };
        let post = |sent: &'static [u8], signed: &'static [u8]| {
            let request =
                Request::post("http://sts.example.org/").body(Full::new(Bytes::from_static(sent))).unwrap();
            let signer = Signer { service: "sts".into(), ..Signer::default() };
            origin_form(signer.sign(request, SignableBody::Bytes(signed)))
        };
        let form = b"Action=GetCallerIdentity&Version=2011-06-15";
        let outcome = through(layer(), post(form, form)).await;
        assert_eq!(outcome.status(), StatusCode::OK, "{}", outcome.body);
        assert!(outcome.body.contains("Action=GetCallerIdentity"));
        let outcome = through(layer(), post(b"Action=AssumeRole&Version=2011-06-15", form)).await;
        assert_eq!((outcome.code(), outcome.calls), ("SignatureDoesNotMatch", 0));
        assert!(outcome.body.starts_with("<ErrorResponse xmlns="));
        static LONG: [u8; 65] = [b'a'; 65];
        let outcome = through(layer(), post(&LONG, &LONG)).await;
        assert_eq!((outcome.status(), outcome.calls), (StatusCode::PAYLOAD_TOO_LARGE, 0));
    });
}

#[test]
fn a_verified_request_tells_who_asked_and_how() {
    run(async {
        let inner = service_fn(|request: Request<VerifiedBody<In>>| async move {
            let caller = request.extensions().get::<Caller<&'static str>>().expect("a caller");
            assert_eq!((caller.carrier(), caller.key_kind()), (Carrier::Header, KeyKind::Static));
            assert_eq!((caller.region(), caller.service()), (support::REGION, "s3"));
            assert_eq!((caller.signed_at(), caller.session_end()), (noon(), None));
            Ok::<_, Infallible>(Response::new(In::default()))
        });
        let response = layer().layer(inner).oneshot(get(&Signer::default())).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    });
}

/// An authoriser may take its time too.
#[derive(Clone, Copy)]
struct Closed;

impl Authorize<&'static str> for Closed {
    type Future = Ready<Result<(), Denied>>;

    fn authorize(&self, _: &AccessRequest<'_, &'static str>) -> Self::Future {
        ready(Err(Denied::unavailable("the policy store is away")))
    }
}

#[test]
fn an_authoriser_that_cannot_say_is_a_503() {
    run(async {
        let layer = VerifySigV4Layer::new(verifier(), keys(), Closed).clock(Arc::new(FixedClock(noon())));
        let outcome = through(layer, get(&Signer::default())).await;
        assert_eq!((outcome.code(), outcome.calls), ("ServiceUnavailable", 0));
    });
}

#[test]
fn a_non_normal_path_is_refused_or_reaches_everybody_in_its_normal_form() {
    run(async {
        let build = |knobs| {
            Verifier::builder()
                .profile(Profile::General { normalize: true })
                .region(support::REGION)
                .service("execute-api")
                .danger(knobs)
                .build()
                .expect("a verifier")
        };
        let authorizer = |request: &AccessRequest<'_, &'static str>| {
            assert_eq!(request.path(), "/admin");
            Ok(())
        };
        let inner = service_fn(|request: Request<VerifiedBody<In>>| async move {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(request.uri().to_string()))))
        });
        for (knobs, expected) in [
            (Knobs::new(), StatusCode::BAD_REQUEST),
            (Knobs::new().accept_non_normal_paths(), StatusCode::OK),
        ] {
            let request = Request::get("http://h/public/../admin?a=b").body(In::default()).unwrap();
            let signer = Signer { service: "execute-api".into(), ..Signer::default() };
            let request = origin_form(signer.sign(request, SignableBody::Bytes(b"")));
            let layer = VerifySigV4Layer::new(build(knobs), keys(), authorizer);
            let layer = layer.clock(Arc::new(FixedClock(noon())));
            let response = layer.layer(inner).oneshot(request).await.expect("an answer");
            assert_eq!(response.status(), expected);
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            assert!(expected != StatusCode::OK || body == "/admin?a=b", "{body:?}");
        }
    });
}
