//! A runtime that does not wait, a service that answers by a script, and answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use credfed_core::aws::sts::{AssumeRoleWithWebIdentityRequest, StsEndpoint};
use credfed_core::runtime::{Now, Runtime, Sleep};
use credfed_core::transport::HttpTransport;
use credfed_core::{
    ErrorKind, Expiring, Identity, Provider, ProviderError, Secret, VirtualRuntime, provider_fn,
};
use futures::channel::oneshot;
use http_body_util::Full;

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/reader";
pub(crate) const CANARY: &str = "canary-7f3a";

/// 2026-11-27T10:00:00Z.
pub(crate) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_773_600)
}

/// Pauses of up to 2 s end at once and are noted; attempts time out when a test says so.
#[derive(Clone, Debug)]
pub(crate) struct Hasty {
    pub(crate) time: VirtualRuntime,
    pauses: Arc<Mutex<Vec<Duration>>>,
    deadlines: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
}

impl Hasty {
    pub(crate) fn new() -> Self {
        Self { time: VirtualRuntime::new(start()), pauses: Arc::default(), deadlines: Arc::default() }
    }

    /// Ends the attempt that is under way, as its deadline does.
    pub(crate) fn time_out(&self) {
        for deadline in self.deadlines.lock().unwrap().drain(..) {
            let _ = deadline.send(());
        }
    }

    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap().clone()
    }
}

impl Runtime for Hasty {
    fn now(&self) -> Now {
        self.time.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration <= Duration::from_secs(2) {
            self.pauses.lock().unwrap().push(duration);
            self.time.advance(duration);
            return Box::pin(ready(()));
        }
        if duration != Duration::from_secs(4) {
            return Box::pin(std::future::pending());
        }
        let (sender, receiver) = oneshot::channel();
        self.deadlines.lock().unwrap().push(sender);
        Box::pin(async move {
            if receiver.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Gives another assertion each time, each with a mark on it.
pub(crate) fn assertions() -> (impl Provider<Credential = Secret>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let source = provider_fn(Identity::of("assertions").finish(), move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Expiring::after(Secret::new(assertion(number)), Duration::from_secs(60))) }
    });
    (source, count)
}

pub(crate) fn assertion(number: usize) -> String {
    format!("eyJhbGciOiJFUzI1NiJ9.{CANARY}-{number}.c2lnbmF0dXJlLXdpdGgtbWFyaw")
}

pub(crate) fn request() -> AssumeRoleWithWebIdentityRequest {
    AssumeRoleWithWebIdentityRequest::builder(ROLE, "ci")
        .duration(Duration::from_secs(3_600))
        .build()
        .unwrap()
}

pub(crate) fn endpoint() -> StsEndpoint {
    StsEndpoint::regional("eu-central-1").unwrap()
}

/// Answers by a script, and keeps what it was asked. The last answer goes on for ever.
#[derive(Clone)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<http::Response<Bytes>>>>,
    pub(crate) requests: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = http::Response<Bytes>>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), requests: Arc::default() }
    }

    pub(crate) fn transport(&self, runtime: &Hasty) -> HttpTransport {
        HttpTransport::new(self.clone()).runtime(runtime.clone())
    }

    pub(crate) fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl tower_service::Service<http::Request<Bytes>> for Script {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        self.requests.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        ready(Ok(answer.unwrap().map(Full::new)))
    }
}

pub(crate) const DATE: &str = "Fri, 27 Nov 2026 10:00:00 GMT";

/// The answer of AWS, with keys that are numbered.
pub(crate) fn body(action: &str, number: usize) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <{action}Result>\n    \
         <SubjectFromWebIdentityToken>sub</SubjectFromWebIdentityToken>\n    <Audience>aud</Audience>\n    \
         <AssumedRoleUser>\n      <Arn>arn:aws:sts::123456789012:assumed-role/reader/ci</Arn>\n      \
         <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:ci</AssumedRoleId>\n    </AssumedRoleUser>\n    <Credentials>\n      \
         <SessionToken>{CANARY}-token-{number}==</SessionToken>\n      \
         <SecretAccessKey>{CANARY}-secret-{number}</SecretAccessKey>\n      \
         <Expiration>2026-11-27T11:00:00Z</Expiration>\n      <AccessKeyId>ASIAEXAMPLE{number}</AccessKeyId>\n    \
         </Credentials>\n    <PackedPolicySize>6</PackedPolicySize>\n  </{action}Result>\n  <ResponseMetadata>\n    \
         <RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
    )
}

pub(crate) fn xml(status: u16, body: impl Into<Bytes>) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .header("content-type", "text/xml; charset=utf-8")
        .header("date", DATE)
        .body(body.into())
        .unwrap()
}

pub(crate) fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>c0ffee-1</RequestId></ErrorResponse>"
    )
}

/// A failure of this kind, with no mark in any link of its chain.
pub(crate) fn checked(error: &ProviderError, kind: ErrorKind) -> String {
    assert_eq!(error.kind(), kind, "{error}");
    for text in chain(error) {
        assert!(!text.contains(CANARY), "{text}");
    }
    error.to_string()
}

pub(crate) fn chain(error: &ProviderError) -> Vec<String> {
    let mut texts = vec![format!("{error:#}"), format!("{error:#?}")];
    let mut link: Option<&dyn Error> = Some(error);
    while let Some(error) = link {
        texts.push(format!("{error} {error:?}"));
        link = error.source();
    }
    texts
}
