//! Secrets with a mark on them go through everything; the mark must not show in any text.

#![expect(clippy::unwrap_used, reason = "only a test calls this")]

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use credfed_core::aws::EnvProvider;
use credfed_core::transport::HttpTransport;
use credfed_core::{
    AwsCredentials, Azure, BearerToken, CachedProvider, Expiring, Identity, Provider, ProviderError,
    ProviderPool, Rejection, Secret, StaticProvider, VirtualRuntime, provider_fn,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const MARK: &str = "canary-7f3a";

#[test]
fn no_secret_shows_in_any_debug_error_or_log_line() {
    let log = Log::default();
    let mut texts = Vec::new();
    tracing::subscriber::with_default(log.clone(), || walk(&mut texts));
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("credfed.refresh") && log.contains("no new credential"), "the log was heard: {log}");
    texts.push(log);
    for text in texts {
        assert!(!text.contains(MARK), "{text}");
    }
}

fn walk(texts: &mut Vec<String>) {
    let mut show = |thing: &dyn Debug| texts.extend([format!("{thing:?}"), format!("{thing:#?}")]);
    let secret = || Secret::new(format!("{MARK}-secret"));
    let keys = AwsCredentials::new("AKID", secret(), Some(secret()));
    let token = BearerToken::<Azure>::new(secret());
    show(&secret());
    show(&keys);
    show(&token);
    show(&Expiring::never(keys.clone()).with_server_date(SystemTime::UNIX_EPOCH));
    show(&Identity::of(MARK));
    show(&Identity::of("kind").part("policy", MARK));
    show(&Identity::of("kind").part("policy", MARK).finish());
    show(&StaticProvider::new(format!("{MARK}-raw")));

    let environment = EnvProvider::with_reader(|name| match name {
        "AWS_SECRET_ACCESS_KEY" => Some(OsString::from(format!("{MARK}-secret"))),
        _ => None,
    });
    show(&environment);
    show(&futures::executor::block_on(environment.provide()).unwrap_err());

    // A raw string is a credential too, and what a source says when it panics is not for others.
    let time = VirtualRuntime::new(SystemTime::UNIX_EPOCH);
    let calls = std::sync::atomic::AtomicU32::new(0);
    let source = provider_fn(Identity::of("marked").part("subject", MARK).finish(), move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            match call {
                0 | 3 => Ok(Expiring::after(format!("{MARK}-raw"), Duration::from_secs(3600))),
                1 => std::panic::panic_any(format!("{MARK}-panic")),
                _ => Err(ProviderError::rejected("refused").with_code("AccessDenied")),
            }
        }
    });
    show(&source);
    let builder = CachedProvider::builder(source).runtime(time.clone());
    show(&builder);
    let provider = builder.build();
    let get = provider.get();
    show(&get);
    let cached = time.block_on(get).unwrap().unwrap();
    show(&cached);
    show(&provider);
    show(&cached.derive(|raw| Secret::new(format!("Bearer {raw}"))));
    for _ in 0..3 {
        time.advance(Duration::from_secs(3590));
        show(&time.block_on(provider.get()).unwrap());
        show(&provider.status());
    }
    provider.invalidate(&cached, Rejection::Expired);
    time.advance(Duration::from_secs(10));
    let answer = time.block_on(provider.get()).unwrap();
    if let Ok(current) = &answer {
        provider.invalidate(current, Rejection::Unauthorized);
    }
    let mut link = answer.as_ref().err().map(|error| error as &dyn Error);
    while let Some(error) = link {
        texts.push(format!("{error} {error:?}"));
        link = error.source();
    }

    let pool = ProviderPool::builder().capacity(1).admission(3, Duration::from_secs(3600));
    texts.push(format!("{pool:?} {pool:#?}"));
    let pool = pool.build();
    for tenant in ["a", "b", "c", "d"] {
        let identity = Identity::of(MARK).part("tenant", tenant).finish();
        let make = || provider_fn(identity, || async { Ok(Expiring::never(format!("{MARK}-raw"))) });
        match pool.get_or_insert_with(identity, make) {
            Ok(provider) => drop(futures::executor::block_on(provider.get()).unwrap()),
            Err(error) => texts.push(format!("{error} {error:?} {:?}", error.source())),
        }
        texts.push(format!("{pool:?} {:?}", pool.status()));
    }

    #[derive(Clone)]
    struct Never;
    impl tower_service::Service<http::Request<bytes::Bytes>> for Never {
        type Response = http::Response<http_body_util::Full<bytes::Bytes>>;
        type Error = std::convert::Infallible;
        type Future = std::future::Pending<Result<Self::Response, Self::Error>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: http::Request<bytes::Bytes>) -> Self::Future {
            std::future::pending()
        }
    }
    let transport = HttpTransport::new(Never).runtime(time.clone()).attempt_deadline(Duration::ZERO);
    texts.push(format!("{transport:?}"));
    let request = http::Request::post(format!("http://h/?{MARK}")).body(bytes::Bytes::from(MARK)).unwrap();
    let error = time.block_on(transport.send(request)).unwrap().unwrap_err();
    texts.push(format!("{error} {error:?}"));
}

/// Hears everything down to the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, name: &str, record: impl FnOnce(&mut Line)) {
        let mut line = Line(String::from(name));
        record(&mut line);
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push_str(&line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = writeln!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(span.metadata().name(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.note("", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(event.metadata().name(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
