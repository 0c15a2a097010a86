//! Roles that are assumed with other credentials: each attempt is signed anew, and the base can be at fault.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::ErrorKind::{Misconfigured, Rejected, Throttled, Transient};
use credfed_core::aws::sts::{AssumeRole, AssumeRoleRequest, AssumeRoleWithWebIdentity, StsEndpoint};
use credfed_core::transport::HttpTransport;
use credfed_core::{
    AwsCredentials, CachedProvider, Expiring, Identity, Provider, ProviderError, Secret, provider_fn,
};
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use http_body_util::Full;

use crate::support::{Hasty, ROLE, Script, assertions, body, checked, endpoint, error, request, xml};

/// Sessions, each with another number, and how many were given out.
fn sessions(runtime: &Hasty) -> (CachedProvider<AwsCredentials>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let source = provider_fn(Identity::of("sessions").finish(), move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let keys = AwsCredentials::new(
            format!("BASE{number}"),
            Secret::new("s"),
            Some(Secret::new(format!("t{number}"))),
        );
        async move { Ok(Expiring::after(keys, Duration::from_secs(3_600))) }
    });
    (CachedProvider::builder(source).runtime(runtime.clone()).build(), count)
}

fn provider(base: CachedProvider<AwsCredentials>, script: &Script, runtime: &Hasty) -> AssumeRole {
    let request = AssumeRoleRequest::builder(ROLE, "ci").build().unwrap();
    AssumeRole::new(request, endpoint(), base, script.transport(runtime)).unwrap()
}

fn header(script: &Script, number: usize, name: &str) -> String {
    script.requests.lock().unwrap()[number].headers()[name].to_str().unwrap().to_owned()
}

#[test]
fn a_base_that_is_not_accepted_is_invalidated_and_the_call_made_once_more() {
    for code in ["ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidClientTokenId"] {
        let runtime = Hasty::new();
        let (base, loads) = sessions(&runtime);
        let script = Script::new([xml(403, error(code, "why")), xml(200, body("AssumeRole", 1))]);
        let credential = block_on(provider(base, &script, &runtime).provide()).unwrap();
        assert_eq!(credential.value().access_key_id(), "ASIAEXAMPLE1");
        assert_eq!((loads.load(Ordering::SeqCst), script.asked()), (2, 2), "{code}");
        assert_eq!(header(&script, 0, "x-amz-security-token"), "t0");
        assert_eq!(header(&script, 1, "x-amz-security-token"), "t1");
    }
}

#[test]
fn a_base_that_stays_refused_is_asked_for_twice_and_no_more() {
    let runtime = Hasty::new();
    let (base, loads) = sessions(&runtime);
    let script = Script::new([xml(403, error("ExpiredToken", "why"))]);
    let failure = block_on(provider(base, &script, &runtime).provide()).unwrap_err();
    checked(&failure, Rejected);
    assert_eq!((loads.load(Ordering::SeqCst), script.asked()), (2, 2));
}

#[test]
fn a_denial_throws_no_credential_away() {
    for code in ["AccessDenied", "ValidationError", "SignatureDoesNotMatch"] {
        let runtime = Hasty::new();
        let (base, loads) = sessions(&runtime);
        let script = Script::new([xml(403, error(code, "why"))]);
        checked(&block_on(provider(base.clone(), &script, &runtime).provide()).unwrap_err(), Rejected);
        assert_eq!((loads.load(Ordering::SeqCst), script.asked()), (1, 1), "{code}");
        assert_eq!(base.try_get().unwrap().access_key_id(), "BASE0");
    }
}

#[test]
fn long_term_keys_that_are_not_known_are_a_mistake_and_not_asked_for_again() {
    let runtime = Hasty::new();
    let keys = AwsCredentials::new("AKID", Secret::new("s"), None);
    let base =
        CachedProvider::builder(credfed_core::StaticProvider::new(keys)).runtime(runtime.clone()).build();
    let script = Script::new([xml(403, error("InvalidClientTokenId", "why"))]);
    checked(&block_on(provider(base, &script, &runtime).provide()).unwrap_err(), Rejected);
    assert_eq!(script.asked(), 1);
}

#[test]
fn each_attempt_is_signed_anew() {
    let runtime = Hasty::new();
    let (base, _) = sessions(&runtime);
    let mut patience = xml(503, "");
    patience.headers_mut().insert("retry-after", "2".parse().unwrap());
    let script = Script::new([patience, xml(200, body("AssumeRole", 0))]);
    block_on(provider(base, &script, &runtime).provide()).unwrap();
    assert_eq!(header(&script, 0, "x-amz-date"), "20261127T100000Z");
    assert_eq!(header(&script, 1, "x-amz-date"), "20261127T100002Z");
}

#[test]
fn a_local_clock_that_is_off_by_up_to_a_quarter_of_an_hour_is_made_up_for() {
    let expired = "Signature expired: 20261127T094600Z is now earlier than 20261127T095500Z";
    for (code, message) in
        [("SignatureDoesNotMatch", expired), ("RequestTimeTooSkewed", "why"), ("RequestExpired", "why")]
    {
        for (seconds, ahead, tries) in [(840, true, 2), (840, false, 2), (960, true, 1), (960, false, 1)] {
            let runtime = Hasty::new();
            let offset = Duration::from_secs(seconds);
            if ahead {
                runtime.time.clock().advance(offset);
            } else {
                runtime.time.clock().rewind(offset);
            }
            let (base, _) = sessions(&runtime);
            let script = Script::new([xml(403, error(code, message)), xml(200, body("AssumeRole", 0))]);
            let outcome = block_on(provider(base, &script, &runtime).provide());
            assert_eq!((script.asked(), outcome.is_ok()), (tries, tries == 2), "{code} {seconds} {ahead}");
            if tries == 2 {
                assert_eq!(header(&script, 1, "x-amz-date"), "20261127T100000Z");
                let lifetime = outcome.unwrap().lifetime(std::time::SystemTime::UNIX_EPOCH);
                assert_eq!(lifetime, Some(Duration::from_secs(3_600)));
            }
        }
    }
}

#[test]
fn a_base_that_fails_is_the_error_and_nothing_is_sent() {
    let runtime = Hasty::new();
    let source = provider_fn(Identity::of("down").finish(), || async {
        Err::<Expiring<AwsCredentials>, _>(ProviderError::transient("the base is down"))
    });
    let base = CachedProvider::builder(source).runtime(runtime.clone()).build();
    let script = Script::new([xml(200, body("AssumeRole", 0))]);
    let failure = block_on(provider(base, &script, &runtime).provide()).unwrap_err();
    assert_eq!(checked(&failure, Transient), "the base is down");
    assert_eq!(script.asked(), 0);
}

#[test]
fn a_chain_of_roles_lasts_an_hour_and_more_is_refused_before_any_call() {
    let runtime = Hasty::new();
    let script = Script::new([xml(200, body("AssumeRole", 0))]);
    let transport = script.transport(&runtime);
    let long = |seconds| {
        AssumeRoleRequest::builder(ROLE, "ci").duration(Duration::from_secs(seconds)).build().unwrap()
    };
    let web = || {
        let (source, _) = assertions();
        AssumeRoleWithWebIdentity::new(request(), endpoint(), source, transport.clone())
    };
    let role =
        || AssumeRole::new(long(3_600), endpoint(), CachedProvider::new(web()), transport.clone()).unwrap();
    for base in [
        CachedProvider::new(web()),
        CachedProvider::new(Arc::new(web())),
        CachedProvider::new(role()),
        CachedProvider::new(Arc::new(role())),
    ] {
        let failure = AssumeRole::new(long(3_601), endpoint(), base.clone(), transport.clone()).unwrap_err();
        let text = checked(&failure, Misconfigured);
        assert!(text.starts_with("DurationSeconds is 3601: a role that is assumed with"), "{text}");
        assert!(AssumeRole::new(long(3_600), endpoint(), base, transport.clone()).is_ok());
    }
    let (keys, _) = sessions(&runtime);
    assert!(AssumeRole::new(long(43_200), endpoint(), keys, transport.clone()).is_ok());
    assert_eq!(script.asked(), 0);
}

const SPENT: &str = "the mfa code was sent before, or is being sent, and is good for one call: make the request anew, with the device's next code";

fn with_code(runtime: &Hasty, transport: HttpTransport) -> AssumeRole {
    let request =
        AssumeRoleRequest::builder(ROLE, "ci").mfa("GAHT12345678", String::from("123456")).build().unwrap();
    AssumeRole::new(request, endpoint(), sessions(runtime).0, transport).unwrap()
}

#[test]
fn an_mfa_code_is_sent_once_whatever_becomes_of_it() {
    let answers = [
        (xml(503, error("ServiceUnavailable", "why")), Some(Transient)),
        (xml(400, error("Throttling", "why")), Some(Throttled)),
        (xml(403, error("ExpiredToken", "why")), Some(Rejected)),
        (xml(403, error("RequestTimeTooSkewed", "why")), Some(Rejected)),
        (xml(200, "<html>"), Some(Transient)),
        (xml(200, body("AssumeRole", 1)), None),
    ];
    for (answer, kind) in answers {
        let runtime = Hasty::new();
        let script = Script::new([answer]);
        let provider = with_code(&runtime, script.transport(&runtime));
        let first = block_on(provider.provide());
        assert_eq!(first.as_ref().err().map(ProviderError::kind), kind);
        let again = block_on(provider.clone().provide()).unwrap_err();
        assert_eq!(checked(&again, Misconfigured), SPENT);
        assert_eq!(script.asked(), 1, "{kind:?}");
    }
}

#[test]
fn an_mfa_code_is_sent_once_by_all_that_are_made_of_its_request() {
    let runtime = Hasty::new();
    let builder = AssumeRoleRequest::builder(ROLE, "ci").mfa("GAHT12345678", String::from("123456"));
    let (one, other) = (builder.clone().build().unwrap(), builder.build().unwrap());
    let script = Script::new([xml(200, body("AssumeRole", 1))]);
    let make = |request| {
        AssumeRole::new(request, endpoint(), sessions(&runtime).0, script.transport(&runtime)).unwrap()
    };
    let (first, second, third) = (make(one.clone()), make(one), make(other));
    assert!(block_on(first.provide()).is_ok());
    for provider in [second, third] {
        assert_eq!(checked(&block_on(provider.provide()).unwrap_err(), Misconfigured), SPENT);
    }
    assert_eq!(script.asked(), 1);
}

#[test]
fn an_mfa_code_that_may_have_arrived_is_not_sent_again() {
    for (kind, tries) in [(io::ErrorKind::ConnectionReset, 1), (io::ErrorKind::TimedOut, 1)] {
        let runtime = Hasty::new();
        let line = Line::new(usize::MAX, kind);
        let provider = with_code(&runtime, HttpTransport::new(line.clone()).runtime(runtime.clone()));
        checked(&block_on(provider.provide()).unwrap_err(), Transient);
        assert_eq!(checked(&block_on(provider.provide()).unwrap_err(), Misconfigured), SPENT);
        assert_eq!(line.calls.load(Ordering::SeqCst), tries);
    }
    // Whoever waited went away while the answer was on its way.
    let runtime = Hasty::new();
    let line = Line::new(0, io::ErrorKind::TimedOut);
    let provider = with_code(&runtime, HttpTransport::new(line).runtime(runtime.clone()));
    assert!(provider.provide().now_or_never().is_none());
    assert_eq!(checked(&block_on(provider.provide()).unwrap_err(), Misconfigured), SPENT);
}

#[tokio::test]
async fn an_mfa_code_that_never_left_is_tried_again() {
    let runtime = Hasty::new();
    let line = Line::new(5, io::ErrorKind::ConnectionRefused);
    let provider = with_code(&runtime, HttpTransport::new(line.clone()).runtime(runtime.clone()));
    checked(&provider.provide().await.unwrap_err(), Transient);
    assert_eq!(line.calls.load(Ordering::SeqCst), 3);
    assert!(provider.provide().now_or_never().is_none(), "the third of these has a connection");
    assert_eq!(line.calls.load(Ordering::SeqCst), 6);

    // The crate's own client tells the two apart as well.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let runtime = Hasty::new();
    let transport = HttpTransport::client().build().unwrap().runtime(runtime.clone());
    let request = AssumeRoleRequest::builder(ROLE, "ci").mfa("GAHT12345678", String::from("123456"));
    let nowhere = StsEndpoint::custom(&format!("http://{nobody}"), "us-east-1").unwrap();
    let provider =
        AssumeRole::new(request.build().unwrap(), nowhere, sessions(&runtime).0, transport).unwrap();
    for calls in 1..=2 {
        checked(&provider.provide().await.unwrap_err(), Transient);
        assert_eq!(runtime.pauses().len(), 2 * calls);
    }
}

/// A line that fails some times, and then never answers.
#[derive(Clone)]
struct Line {
    failures: usize,
    kind: io::ErrorKind,
    calls: Arc<AtomicUsize>,
}

impl Line {
    fn new(failures: usize, kind: io::ErrorKind) -> Self {
        Self { failures, kind, calls: Arc::default() }
    }
}

impl tower_service::Service<http::Request<Bytes>> for Line {
    type Response = http::Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Bytes>) -> Self::Future {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let (fails, kind) = (number < self.failures, self.kind);
        async move { if fails { Err(kind.into()) } else { std::future::pending().await } }.boxed()
    }
}
