//! Parameters on the wire, the answers' XML, and what is logged.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use credfed_core::oidc::AssertionClaims;
use credfed_tower::sts::{StsError, StsService, Trust};
use http::{Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::ServiceExt;

use crate::support::log::Captured;
use crate::support::{origin_form, run, secret};
use crate::world::{
    ALICE, AUDIENCE, Answer, ISSUER, SUBJECT, World, alice, arn, claims, encoded, form, leaves, role, token,
};

fn world() -> World {
    let web = Trust::web_identity(ISSUER).audience(AUDIENCE).subject(SUBJECT);
    World::new([role("r").trust(web).trust(Trust::principals().principal(ALICE))])
}

const IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

fn request(method: Method, target: &str, content_type: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("http://sts.example.org{target}"));
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

#[test]
fn each_fault_of_the_parameters_is_told_apart() {
    const FORM: &str = "application/x-www-form-urlencoded";
    run(async {
        let world = world();
        let many: String = (0..300).map(|n| format!("&p{n}=")).collect();
        let mut two_types = request(Method::POST, "/", FORM, IDENTITY);
        two_types.headers_mut().append("content-type", http::HeaderValue::from_static("text/plain"));
        for (request, says) in [
            (request(Method::POST, "/", FORM, &format!("{IDENTITY}&a=%zz")), "not properly encoded"),
            (request(Method::POST, "/", FORM, &format!("{IDENTITY}&a=%f")), "not properly encoded"),
            (request(Method::POST, "/", FORM, &format!("{IDENTITY}{many}")), "too many parameters"),
            (two_types, "must be application/x-www-form-urlencoded"),
        ] {
            let answer = world.send(request).await;
            assert!(answer.status() == 400 && answer.message().contains(says), "{}", answer.message());
        }
    });
}

/// C11.
#[test]
fn parameters_come_from_one_place_and_once() {
    const FORM: &str = "application/x-www-form-urlencoded";
    run(async {
        let world = world();
        let query = format!("/?{IDENTITY}");
        let many: String = (0..300).map(|n| format!("&p{n}=")).collect();
        let table: Vec<(&str, Request<Full<Bytes>>, (u16, &str))> = vec![
            ("form", request(Method::POST, "/", FORM, IDENTITY), (200, "none")),
            ("query", request(Method::GET, &query, "", ""), (200, "none")),
            ("posted query", request(Method::POST, &query, "", ""), (200, "none")),
            ("posted query of a form type", request(Method::POST, &query, FORM, ""), (200, "none")),
            ("query and form", request(Method::POST, &query, FORM, IDENTITY), (400, "ValidationError")),
            (
                "version in the query",
                request(Method::POST, "/?Version=2011-06-15", FORM, "Action=GetCallerIdentity"),
                (400, "ValidationError"),
            ),
            ("a body of GET", request(Method::GET, &query, FORM, "a=b"), (400, "ValidationError")),
            ("a form of GET", request(Method::GET, "/", FORM, IDENTITY), (400, "ValidationError")),
            ("json", request(Method::POST, "/", "application/json", IDENTITY), (400, "ValidationError")),
            ("no type", request(Method::POST, "/", "", IDENTITY), (400, "ValidationError")),
            (
                "twice",
                request(Method::GET, &format!("{query}&Action=GetSessionToken"), "", ""),
                (400, "ValidationError"),
            ),
            (
                "twice the same",
                request(Method::GET, &format!("{query}&Version=2011-06-15"), "", ""),
                (400, "ValidationError"),
            ),
            (
                "twice, once escaped",
                request(Method::GET, &format!("{query}&%41ction=x"), "", ""),
                (400, "ValidationError"),
            ),
            (
                "bad escape",
                request(Method::POST, "/", FORM, &format!("{IDENTITY}&a=%zz")),
                (400, "ValidationError"),
            ),
            (
                "cut escape",
                request(Method::POST, "/", FORM, &format!("{IDENTITY}&a=%4")),
                (400, "ValidationError"),
            ),
            (
                "no text",
                request(Method::POST, "/", FORM, &format!("{IDENTITY}&a=%ff")),
                (400, "ValidationError"),
            ),
            (
                "too many",
                request(Method::POST, "/", FORM, &format!("{IDENTITY}{many}")),
                (400, "ValidationError"),
            ),
            (
                "unknown",
                request(Method::POST, "/", FORM, &format!("{IDENTITY}&Verbose=1")),
                (400, "ValidationError"),
            ),
            ("nothing", request(Method::POST, "/", FORM, ""), (400, "MissingAction")),
            (
                "empty action",
                request(Method::POST, "/", FORM, "Action=&Version=2011-06-15"),
                (400, "MissingAction"),
            ),
            (
                "other case",
                request(Method::POST, "/", FORM, "action=GetCallerIdentity&Version=2011-06-15"),
                (400, "MissingAction"),
            ),
            (
                "unknown action",
                request(Method::POST, "/", FORM, "Action=GetFederationToken&Version=2011-06-15"),
                (400, "InvalidAction"),
            ),
            (
                "action in other case",
                request(Method::POST, "/", FORM, "Action=getcalleridentity&Version=2011-06-15"),
                (400, "InvalidAction"),
            ),
            (
                "no version",
                request(Method::POST, "/", FORM, "Action=GetCallerIdentity"),
                (400, "InvalidAction"),
            ),
            (
                "other version",
                request(Method::POST, "/", FORM, "Action=GetCallerIdentity&Version=2010-05-08"),
                (400, "InvalidAction"),
            ),
            ("put", request(Method::PUT, &query, "", ""), (405, "InvalidAction")),
            ("delete", request(Method::DELETE, &query, "", ""), (405, "InvalidAction")),
        ];
        for (case, request, verdict) in table {
            let body = request.body().clone().collect().await.unwrap().to_bytes();
            let request = origin_form(alice().sign(request, SignableBody::Bytes(&body)));
            assert_eq!(world.send(request).await.verdict(), verdict, "{case}");
        }
    });
}

#[test]
fn a_web_identity_may_come_in_a_posted_query_as_object_store_sends_it() {
    run(async {
        let world = world();
        let token = token(claims()).await;
        let query = encoded(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("DurationSeconds", "3600"),
            ("RoleArn", &arn("r")),
            ("RoleSessionName", "WebIdentitySession"),
            ("Version", "2011-06-15"),
            ("WebIdentityToken", &token),
        ]);
        for method in [Method::POST, Method::GET] {
            let answer = world.send(request(method, &format!("/?{query}"), "", "")).await;
            assert_eq!(answer.verdict(), (200, "none"));
        }
        let signed = format!("/?{query}&X-Amz-Signature=00");
        assert_eq!(
            world.send(request(Method::GET, &signed, "", "")).await.verdict(),
            (400, "ValidationError")
        );
    });
}

/// Says how long it is, and must not be read.
struct Unread(u64);

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("read although it was announced to be too long");
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

/// Says nothing of its length, and does not end.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'a'; 1000])))))
    }
}

#[test]
fn a_body_of_more_than_64_kib_is_not_read() {
    run(async {
        let world = world();
        let post = || Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        let announced = post().body(Unread(64 * 1024 + 1)).unwrap();
        let answer = Answer::of(world.sts.clone().oneshot(announced).await.unwrap()).await;
        assert_eq!(answer.verdict(), (413, "RequestEntityTooLarge"));
        let by_header = post().header("content-length", "9999999999").body(Unread(0)).unwrap();
        let answer = Answer::of(world.sts.clone().oneshot(by_header).await.unwrap()).await;
        assert_eq!(answer.verdict(), (413, "RequestEntityTooLarge"));
        let endless = post().body(Endless).unwrap();
        let answer = Answer::of(world.sts.clone().oneshot(endless).await.unwrap()).await;
        assert_eq!(answer.verdict(), (413, "RequestEntityTooLarge"));
        let full = format!("{IDENTITY}&a={}", "a".repeat(64 * 1024 - IDENTITY.len() - 3));
        let answer = world.send(request(Method::POST, "/", "application/x-www-form-urlencoded", &full)).await;
        assert_eq!(answer.verdict(), (403, "MissingAuthenticationToken"), "64 KiB are read");
    });
}

#[test]
fn head_is_answered_without_a_body() {
    run(async {
        let answer = world().send(request(Method::HEAD, &format!("/?{IDENTITY}"), "", "")).await;
        assert_eq!((answer.status(), &*answer.xml), (StatusCode::METHOD_NOT_ALLOWED, ""));
        assert_eq!(answer.head.headers()["allow"], "GET, POST");
        assert_eq!(answer.head.extensions().get(), Some(&StsError::Method));
    });
}

#[test]
fn requests_for_sts_are_told_from_those_for_s3() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let table: Vec<(Method, &str, &str, bool)> = vec![
        (Method::POST, "/", FORM, true),
        (Method::POST, "/", "application/x-www-form-urlencoded; charset=utf-8", true),
        (Method::POST, "/", "Application/X-WWW-Form-Urlencoded", true),
        (Method::POST, "/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15", "", true),
        (Method::GET, "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Signature=0", "", true),
        (Method::GET, "/?Version=2011-06-15&Action=GetCallerIdentity", "", true),
        (Method::HEAD, "/?Action=GetCallerIdentity", "", true),
        (Method::GET, "/", "", false),
        (Method::GET, "/?x-id=ListBuckets", "", false),
        (Method::GET, "/?max-buckets=10&prefix=Action", "", false),
        (Method::GET, "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", "", false),
        (Method::GET, "/?list-type=2&prefix=a%26Action%3D", "", false),
        (Method::HEAD, "/", "", false),
        (Method::POST, "/", "", false),
        (Method::POST, "/", "multipart/form-data; boundary=x", false),
        (Method::POST, "/?delete", "application/xml", false),
        (Method::POST, "/?delete", FORM, false),
        (Method::POST, "/bucket", FORM, false),
        (Method::POST, "/bucket?Action=AssumeRole", FORM, false),
        (Method::GET, "/bucket/key?Action=GetCallerIdentity", "", false),
        (Method::PUT, "/?Action=GetCallerIdentity", "", false),
        (Method::OPTIONS, "/?Action=GetCallerIdentity", "", false),
    ];
    for (method, target, content_type, expected) in table {
        let (parts, _) = request(method.clone(), target, content_type, "").into_parts();
        assert_eq!(StsService::handles(&parts), expected, "{method} {target} {content_type}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// C12.
    #[test]
    fn whatever_a_token_says_comes_back_through_a_strict_parser(subject in "[\\x20-\\x7e\u{a0}-\u{2fff}<>&'\"]{1,60}") {
        run(async {
            let world = World::new([
                role("r").trust(Trust::web_identity(ISSUER).audience(AUDIENCE).subject(subject.as_str())),
            ]);
            let token = token(AssertionClaims::new(subject.as_str(), AUDIENCE)).await;
            let answer = world.web_identity("r", &token, &[]).await;
            assert_eq!(answer.verdict(), (200, "none"), "{}", answer.xml);
            assert_eq!(answer.text("SubjectFromWebIdentityToken"), subject);
        });
    }

    #[test]
    fn no_role_arn_breaks_the_answer(arn in "[\\x00-\\x7f<>&'\"]{0,80}") {
        run(async {
            let world = world();
            let answer = world.signed(&alice(), &[
                ("Action", "AssumeRole"),
                ("Version", "2011-06-15"),
                ("RoleArn", &arn),
                ("RoleSessionName", "batch"),
            ]).await;
            assert!(matches!(answer.verdict(), (403, "AccessDenied") | (400, "ValidationError")));
            if answer.code() == "AccessDenied" {
                assert!(answer.message().ends_with(&arn), "{}", answer.message());
            }
        });
    }
}

#[test]
fn the_strict_parser_of_these_tests_is_one() {
    let refused = |xml: &'static str| std::panic::catch_unwind(|| leaves(xml)).is_err();
    assert!(!refused("<a xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><b>x</b></a>"));
    for bad in ["<a><b>x</b></a>", "<a xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><b>x</c></a>"] {
        assert!(refused(bad), "{bad}");
    }
}

#[test]
fn neither_tokens_nor_secrets_nor_queries_are_logged() {
    let captured = Captured::start();
    let secrets = run(async {
        let world = world();
        let token = token(claims()).await;
        let answer = world.web_identity("r", &token, &[("Policy", "{\"canary\":1}")]).await;
        let session = answer.signer();
        let more = [("ExternalId", "canary-external-id")];
        let assumed = world.assume(&alice(), "r", &more).await;
        let query = encoded(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &arn("absent")),
            ("RoleSessionName", "canary-name"),
            ("WebIdentityToken", &token),
        ]);
        world.send(request(Method::POST, &format!("/?{query}"), "", "")).await;
        world.send(request(Method::POST, &format!("/?{query}&{query}"), "", "")).await;
        world.act(&session, "GetSessionToken", &[]).await;
        let signature = token.rsplit('.').next().unwrap().to_owned();
        let secrets = vec![
            signature,
            secret().to_owned(),
            answer.text("SecretAccessKey").to_owned(),
            answer.text("SessionToken").to_owned(),
            assumed.text("SecretAccessKey").to_owned(),
            assumed.text("SessionToken").to_owned(),
            "canary".into(),
            "WebIdentityToken=".into(),
        ];
        let debug = format!("{:?} {:?}", world.sts, form(&[]).headers());
        for secret in &secrets {
            assert!(!debug.contains(secret.as_str()));
        }
        secrets
    });
    let log = captured.lines().join("\n");
    assert!(log.contains("session begins") && log.contains("refused"), "{log}");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
}
