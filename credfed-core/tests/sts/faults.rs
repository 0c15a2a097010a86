//! The fault table: class, number of tries and text of each, against a raw socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credfed_core::ErrorKind::{self, Misconfigured, Rejected, Throttled, Transient};
use credfed_core::aws::sts::{AssumeRoleWithWebIdentity, StsEndpoint};
use credfed_core::runtime::Runtime;
use credfed_core::transport::{HttpTransport, RetryBudget, RetryPolicy};
use credfed_core::{
    AwsCredentials, CachedProvider, Expiring, Identity, Provider, ProviderError, Secret, VirtualRuntime,
    provider_fn,
};
use futures::FutureExt;
use futures::executor::block_on;
use tokio::net::TcpListener;

use crate::raw::{Deed, Raw};
use crate::support::{
    CANARY, DATE, Hasty, Script, assertion, assertions, body, checked, endpoint, error, request, start, xml,
};

struct Outcome {
    answer: Result<Expiring<AwsCredentials>, ProviderError>,
    requests: Vec<String>,
    pauses: Vec<Duration>,
}

async fn run(deeds: Vec<Deed>) -> Outcome {
    run_over("http", deeds).await
}

async fn run_over(scheme: &str, deeds: Vec<Deed>) -> Outcome {
    let runtime = Hasty::new();
    let clock = runtime.clone();
    let server = Raw::new(deeds, move || clock.time_out()).await;
    let (source, count) = assertions();
    let provider = provider(&format!("{scheme}://{}", server.authority), source, &runtime);
    let answer = provider.provide().await;
    let requests = server.requests();
    if scheme == "http" {
        assert_eq!(count.load(Ordering::SeqCst), requests.len(), "an assertion for each attempt");
    }
    Outcome { answer, requests, pauses: runtime.pauses() }
}

fn provider(
    url: &str,
    source: impl Provider<Credential = Secret>,
    runtime: &Hasty,
) -> AssumeRoleWithWebIdentity {
    let transport = HttpTransport::client().without_proxy().build().unwrap().runtime(runtime.clone());
    AssumeRoleWithWebIdentity::new(
        request(),
        StsEndpoint::custom(url, "us-east-1").unwrap(),
        source,
        transport,
    )
}

fn answer(status: &str, headers: &str, body: &str) -> Deed {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\ndate: {DATE}\r\n{headers}\r\n");
    Deed::Answer((head + body).into_bytes())
}

const XML: &str = "content-type: text/xml\r\n";

fn good(number: usize) -> Deed {
    answer("200 OK", XML, &body("AssumeRoleWithWebIdentity", number))
}

fn refused(status: &str, code: &str) -> Deed {
    answer(status, XML, &error(code, "why"))
}

async fn fails(deed: Deed, kind: ErrorKind, tries: usize, text: &str) -> Outcome {
    let outcome = run(vec![deed]).await;
    let error = outcome.answer.as_ref().unwrap_err();
    assert_eq!(checked(error, kind), text);
    assert_eq!(outcome.requests.len(), tries, "{text}");
    assert_eq!(outcome.pauses.len(), tries - 1, "{text}: {:?}", outcome.pauses);
    outcome
}

#[tokio::test]
async fn what_goes_out_is_one_post_with_the_token_in_its_body() {
    let outcome = run(vec![good(0)]).await;
    let credential = outcome.answer.unwrap();
    assert_eq!(credential.lifetime(std::time::SystemTime::UNIX_EPOCH), Some(Duration::from_secs(3_600)));
    assert_eq!(credential.value().access_key_id(), "ASIAEXAMPLE0");
    let [request] = &outcome.requests[..] else { unreachable!("one request") };
    let (head, form) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST / HTTP/1.1\r\n") && !head.contains(CANARY), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
    assert!(form.ends_with(&format!("&WebIdentityToken={}", assertion(0))), "{form}");
}

#[tokio::test]
async fn a_connection_that_is_refused_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let runtime = Hasty::new();
    let (source, count) = assertions();
    let error = provider(&url, source, &runtime).provide().await.unwrap_err();
    assert_eq!(checked(&error, Transient), "the request failed");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let pauses = runtime.pauses();
    assert!(pauses[0] <= Duration::from_millis(50) && pauses[1] <= Duration::from_millis(100), "{pauses:?}");
}

#[tokio::test]
async fn silence_a_drip_and_a_reset_are_transient() {
    fails(Deed::Stall(Vec::new()), Transient, 3, "the server did not answer in time").await;
    let Deed::Answer(whole) = good(0) else { unreachable!() };
    let drip = whole[..whole.len() - 1].to_vec();
    fails(Deed::Stall(drip), Transient, 3, "the server did not answer in time").await;
    fails(Deed::Reset, Transient, 3, "the request failed").await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_never_a_part_of_a_credential() {
    let Deed::Answer(whole) = good(0) else { unreachable!() };
    for cut in [20, whole.len() / 2, whole.len() - 1] {
        let outcome = run(vec![Deed::Answer(whole[..cut].to_vec())]).await;
        checked(outcome.answer.as_ref().unwrap_err(), Transient);
        assert_eq!(outcome.requests.len(), 3);
    }
    let body = body("AssumeRoleWithWebIdentity", 0);
    for cut in [body.len() / 2, body.find("</AssumeRoleWithWebIdentityResponse>").unwrap()] {
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ndate: {DATE}\r\n{XML}\r\n");
        let deed = Deed::Answer((head + &body[..cut]).into_bytes());
        fails(deed, Transient, 3, "the answer is not well-formed").await;
    }
}

#[tokio::test]
async fn what_is_not_the_services_answer_is_transient() {
    let html = "<!DOCTYPE html><html><body>canary-7f3a: sign in</body></html>";
    let long = "x".repeat(65_537);
    for (deed, text) in [
        (answer("200 OK", "", ""), "the answer is not XML"),
        (answer("200 OK", XML, ""), "the answer is not well-formed"),
        (answer("200 OK", "content-type: text/html\r\n", html), "the answer is not XML"),
        (answer("200 OK", XML, html), "the answer holds a document type"),
        (answer("200 OK", XML, &html[15..]), "the answer is not of the call that was made"),
        (answer("200 OK", "content-type: application/json\r\n", "{}"), "the answer is not XML"),
        (answer("200 OK", XML, &long), "the answer is longer than 65536 bytes"),
        (answer("204 No Content", "", ""), "the service answered 204"),
    ] {
        fails(deed, Transient, 3, text).await;
    }
}

#[tokio::test]
async fn a_credential_that_makes_no_sense_is_a_failed_fetch() {
    let whole = body("AssumeRoleWithWebIdentity", 0);
    let with = |expiry: &str| answer("200 OK", XML, &whole.replace("2026-11-27T11:00:00Z", expiry));
    for (deed, text) in [
        (with("2026-11-27T10:00:00Z"), "the credential had expired when it arrived"),
        (with("1970-01-01T00:00:00Z"), "the credential had expired when it arrived"),
        (with("9999-12-31T23:59:59Z"), "the credential lasts longer than was asked for"),
        (with("2026-11-27T12:00:00Z"), "the credential lasts longer than was asked for"),
        (with("-1"), "the answer's Expiration is not valid"),
        (with("1795777200"), "the answer's Expiration is not valid"),
    ] {
        fails(deed, Transient, 3, text).await;
    }
    let twice = whole.replace("</Credentials>", "<AccessKeyId>ASIAEXAMPLE1</AccessKeyId></Credentials>");
    fails(answer("200 OK", XML, &twice), Transient, 3, "the answer has more than one AccessKeyId").await;
}

#[tokio::test]
async fn a_redirect_is_neither_followed_nor_tried_again() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let deed = answer(status, "location: http://127.0.0.1:1/canary-7f3a\r\n", "");
        fails(deed, Rejected, 1, "the server answered with a redirect").await;
    }
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_is_asked_once() {
    let outcome = run_over("https", vec![Deed::Babble(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())]).await;
    let error = outcome.answer.unwrap_err();
    assert_eq!(checked(&error, Transient), "no secure connection");
    assert_eq!((outcome.requests.len(), outcome.pauses.len()), (1, 0));
}

#[tokio::test]
async fn trouble_of_the_server_is_tried_three_times() {
    for status in [500, 502, 503, 504] {
        let deed = answer(&format!("{status} Trouble"), "content-type: text/html\r\n", "<p>canary-7f3a</p>");
        fails(deed, Transient, 3, &format!("the service answered {status}")).await;
    }
    let outcome = run(vec![answer("503 Busy", "", ""), Deed::Reset, good(2)]).await;
    assert_eq!(outcome.answer.unwrap().value().access_key_id(), "ASIAEXAMPLE2");
    for (number, request) in outcome.requests.iter().enumerate() {
        assert!(request.ends_with(&assertion(number)), "a fresh assertion for each attempt");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    for code in ["Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown"] {
        let outcome = fails(
            refused("400 No", code),
            Throttled,
            3,
            &format!("the service answered: why ({code}) [request c0ffee-1]"),
        )
        .await;
        assert!(outcome.pauses[0] <= Duration::from_secs(1), "{:?}", outcome.pauses);
    }
    let outcome =
        fails(answer("429 No", "retry-after: 2\r\n", ""), Throttled, 3, "the service answered 429").await;
    assert_eq!(outcome.pauses, [Duration::from_secs(2); 2]);
    let outcome =
        fails(answer("429 No", "x-amz-retry-after: 1900\r\n", ""), Throttled, 3, "the service answered 429")
            .await;
    assert!(outcome.pauses.iter().all(|pause| pause.as_millis() >= 1_900), "{:?}", outcome.pauses);
    let outcome =
        fails(answer("429 No", "retry-after: 60\r\n", ""), Throttled, 1, "the service answered 429").await;
    assert_eq!(outcome.answer.unwrap_err().retry_after(), Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn an_assertion_that_is_not_accepted_is_made_anew_once() {
    for (code, kind, least, most) in [
        ("ExpiredTokenException", Rejected, 0, 0),
        ("ExpiredToken", Rejected, 0, 0),
        ("InvalidIdentityToken", Rejected, 500, 1_000),
        ("IDPCommunicationError", Transient, 500, 1_000),
    ] {
        let outcome = run(vec![refused("400 No", code)]).await;
        let text = checked(outcome.answer.as_ref().unwrap_err(), kind);
        assert_eq!(text, format!("the service answered: why ({code}) [request c0ffee-1]"));
        assert_eq!(outcome.requests.len(), 2, "{code}");
        let pause = outcome.pauses.iter().sum::<Duration>().as_millis();
        assert!((least..=most).contains(&pause), "{code}: {pause}");
        let outcome = run(vec![refused("400 No", code), good(1)]).await;
        assert_eq!(outcome.answer.unwrap().value().access_key_id(), "ASIAEXAMPLE1");
        assert!(outcome.requests[1].ends_with(&assertion(1)));
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    for code in [
        "AccessDenied",
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge",
        "RegionDisabledException",
        "IDPRejectedClaim",
        "ValidationError",
    ] {
        fails(
            refused("403 No", code),
            Rejected,
            1,
            &format!("the service answered: why ({code}) [request c0ffee-1]"),
        )
        .await;
    }
    let json = answer("400 No", "content-type: application/json\r\n", "{\"message\":\"canary-7f3a\"}");
    fails(json, Rejected, 1, "the service answered 400").await;
}

#[tokio::test]
async fn a_source_of_assertions_that_fails_is_not_asked_again() {
    let runtime = Hasty::new();
    let server = Raw::new(vec![good(0)], || ()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let source = provider_fn(Identity::of("down").finish(), move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err(ProviderError::transient("the issuer is down")) }
    });
    let error =
        provider(&format!("http://{}", server.authority), source, &runtime).provide().await.unwrap_err();
    assert_eq!(checked(&error, Transient), "the issuer is down");
    assert_eq!((calls.load(Ordering::SeqCst), server.requests().len()), (1, 0));
    let source =
        provider_fn(Identity::of("short").finish(), || async { Ok(Expiring::never(Secret::new("abc"))) });
    let error =
        provider(&format!("http://{}", server.authority), source, &runtime).provide().await.unwrap_err();
    assert_eq!(checked(&error, Misconfigured), "WebIdentityToken has 3 characters, not 4 to 20000");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn an_empty_budget_leaves_one_attempt_and_a_call_that_works_refills_it() {
    let runtime = Hasty::new();
    let (source, _) = assertions();
    let deeds = [vec![answer("500 No", "", ""); 210], vec![good(0)]].concat();
    let server = Raw::new(deeds, || ()).await;
    let budget = RetryBudget::new();
    let provider = provider(&format!("http://{}", server.authority), source, &runtime)
        .retry(RetryPolicy::new().budget(budget.clone()));
    let mut calls = 0;
    while provider.provide().await.is_err() {
        calls += 1;
    }
    assert_eq!(calls, 110, "50 calls of three attempts, then one attempt each");
    assert_eq!(budget.tokens(), 1);
}

#[test]
fn a_budget_that_was_used_up_fills_again_with_time_also_where_calls_are_rare() {
    let runtime = Hasty::new();
    let (source, _) = assertions();
    let script = Script::new([xml(503, error("ServiceUnavailable", "try later"))]);
    let provider = AssumeRoleWithWebIdentity::new(request(), endpoint(), source, script.transport(&runtime));
    let attempts = || {
        let before = script.asked();
        assert!(block_on(provider.provide()).is_err());
        script.asked() - before
    };
    while attempts() > 1 {}
    assert_eq!(attempts(), 1, "the server is down and stays so");
    runtime.time.advance(Duration::from_secs(50));
    assert_eq!((attempts(), attempts()), (2, 1), "a retry in 50 s");
    runtime.time.advance(Duration::from_secs(3_600));
    for _ in 0..36 {
        assert_eq!(attempts(), 3);
    }
    assert_eq!((attempts(), attempts()), (1, 1));
}

#[tokio::test]
async fn behind_a_cache_the_valid_credential_is_served_while_the_service_fails() {
    let runtime = Hasty::new();
    let (source, _) = assertions();
    let server = Raw::new(vec![good(0), answer("500 No", "", "")], || ()).await;
    let source = provider(&format!("http://{}", server.authority), source, &runtime);
    let provider = CachedProvider::builder(source).runtime(runtime.clone()).build();
    let first = provider.get().await.unwrap();
    runtime.time.advance(Duration::from_secs(3_500));
    assert_eq!(*provider.get().await.unwrap(), *first);
    runtime.time.advance(Duration::from_secs(101));
    checked(&provider.get().await.unwrap_err(), Transient);
}

#[test]
fn behind_a_cache_a_call_that_runs_out_of_time_ends_with_what_the_server_said_last() {
    let time = VirtualRuntime::new(start());
    let source = provider_fn(Identity::of("slow").finish(), {
        let asked = AtomicUsize::new(0);
        move || {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if !first {
                    std::future::pending::<()>().await;
                }
                Ok(Expiring::never(Secret::new(assertion(0))))
            }
        }
    });
    let script = Script::new([xml(503, error("ServiceUnavailable", "try later"))]);
    let transport = HttpTransport::new(script.clone()).runtime(time.clone());
    let source = Arc::new(AssumeRoleWithWebIdentity::new(request(), endpoint(), source, transport));
    // As on every machine, a moment goes by between the cache's start and the call's.
    let source = provider_fn(Identity::of("later").finish(), {
        let time = time.clone();
        move || {
            let (source, moment) = (Arc::clone(&source), time.sleep(Duration::from_millis(1)));
            async move {
                moment.await;
                source.provide().await
            }
        }
    });
    let provider = CachedProvider::builder(source).runtime(time.clone()).build();
    let mut waiting = provider.get();
    assert!(std::pin::Pin::new(&mut waiting).now_or_never().is_none());
    time.advance(Duration::from_secs(15));
    let failure = time.block_on(waiting).unwrap().unwrap_err();
    assert_eq!(
        checked(&failure, Transient),
        "the service answered: try later (ServiceUnavailable) [request c0ffee-1]"
    );
    assert_eq!(script.asked(), 1);
}
