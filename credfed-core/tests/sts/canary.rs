//! Thirty secrets with a mark on them go through every exchange and fault, with all logging on: none shows.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use credfed_core::aws::sts::{
    AssumeRole, AssumeRoleRequest, AssumeRoleWithWebIdentity, AssumeRoleWithWebIdentityRequest, StsEndpoint,
};
use credfed_core::transport::{HttpTransport, RetryPolicy};
use credfed_core::{
    AwsCredentials, CachedProvider, Expiring, Identity, Provider, Secret, StaticProvider, TokenFile,
    provider_fn,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::raw::{Deed, Raw};
use crate::support::{DATE, Hasty, ROLE, Script, chain, endpoint, error, start, xml};

/// The marks: each secret has another one, none is part of another.
fn marks() -> Vec<String> {
    (0..30)
        .map(|number| format!("canary-{number:02}-{:x}", 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 7)))
        .collect()
}

#[test]
fn no_secret_shows_in_any_error_debug_or_log_line() {
    log::set_logger(&CLIENT).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let log = Log::default();
    let marks = marks();
    assert_eq!(marks.len(), 30);
    let mut texts = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(log.clone(), || {
        for _ in 0..10 {
            runtime.block_on(web_identities(&marks, &mut texts));
            runtime.block_on(sockets(&marks, &mut texts));
            runtime.block_on(roles(&marks, &mut texts));
            if log.0.lock().unwrap().contains("is made again") {
                break;
            }
            // Another test came first to the line that logs, at the very moment when this subscriber did, and the
            // line has nobody to tell until it is asked to look again.
            tracing::callsite::rebuild_interest_cache();
        }
    });
    settings(&marks, &mut texts);
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("is made again"), "the log was heard: {log:.1000}");
    let client = CLIENT.0.lock().unwrap().clone();
    assert!(client.contains("reqwest"), "the client was heard: {client:.1000}");
    texts.push(client);
    texts.push(log);
    assert!(texts.len() > 100, "{}", texts.len());
    for text in &texts {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{mark}: {text:.2000}");
        }
    }
}

fn show(thing: &dyn Debug, texts: &mut Vec<String>) {
    texts.extend([format!("{thing:?}"), format!("{thing:#?}")]);
}

/// What a service may answer that repeats the request, or holds marks of its own.
fn answers(marks: &[String], echoed: &str) -> Vec<http::Response<Bytes>> {
    let action = "AssumeRoleWithWebIdentity";
    let credential = format!(
        "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>2026-11-27T11:00:00Z</Expiration></Credentials>",
        marks[0], marks[1]
    );
    let whole = |inner: &str| {
        format!("<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>")
    };
    let mut html = xml(200, format!("<html>{}</html>", marks[2]));
    html.headers_mut().insert("content-type", format!("text/{}", marks[3]).parse().unwrap());
    let mut id = xml(503, format!("<p>{}</p>", marks[2]));
    id.headers_mut().insert("x-amzn-requestid", echoed.get(..64).unwrap_or(echoed).parse().unwrap());
    let mut redirect = xml(302, "");
    redirect.headers_mut().insert("location", format!("https://h/?{}", marks[4]).parse().unwrap());
    let mut answers = vec![
        xml(200, whole(&credential)),
        xml(200, whole(&credential.replace("11:00:00Z", "09:00:00Z"))),
        xml(200, whole(&credential.replace("2026", &marks[5]))),
        xml(
            200,
            whole(&credential.replace("</Cred", &format!("<AccessKeyId>{}</AccessKeyId></Cred", marks[6]))),
        ),
        xml(200, whole(&credential)[..200].to_owned()),
        xml(
            200,
            whole(&credential.replace("<Secret", &format!("<{}/><!-- {} --><Secret", marks[7], marks[8]))),
        ),
        xml(200, format!("<!DOCTYPE a [<!ENTITY b \"{}\">]><a>&b;</a>", marks[9])),
        xml(200, format!("{{\"token\":\"{}\"}}", marks[10])),
        xml(400, format!("{{\"message\":\"{}\"}}", marks[11])),
        html,
        id,
        redirect,
    ];
    for code in [
        "ExpiredTokenException",
        "InvalidIdentityToken",
        "AccessDenied",
        "Throttling",
        "IDPCommunicationError",
    ] {
        answers.push(xml(400, error(code, &format!("not valid: {echoed}"))));
    }
    let code: String = echoed.chars().take(60).collect();
    answers.push(xml(400, error(&code, echoed).replace("c0ffee-1", echoed)));
    answers
}

async fn web_identities(marks: &[String], texts: &mut Vec<String>) {
    let token = format!("eyJh.{}.{}", marks[12], marks[13]);
    let policy = format!("{{\"Sid\":\"{}\"}}", marks[14]);
    let request = AssumeRoleWithWebIdentityRequest::builder(ROLE, "ci")
        .duration(Duration::from_secs(3_600))
        .policy(policy.clone())
        .provider_id(&marks[15]);
    show(&request, texts);
    let request = request.build().unwrap();
    show(&request, texts);
    for echoed in [&token, &policy] {
        for answer in answers(marks, echoed) {
            let runtime = Hasty::new();
            let (given, identity) =
                (token.clone(), Identity::of("source").part("subject", &marks[16]).finish());
            let source = provider_fn(identity, move || {
                let token = Secret::new(given.clone());
                async move { Ok(Expiring::never(token)) }
            });
            show(&source, texts);
            let script = Script::new([answer]);
            let source = AssumeRoleWithWebIdentity::new(
                request.clone(),
                endpoint(),
                source,
                script.transport(&runtime),
            )
            .retry(RetryPolicy::new());
            show(&source, texts);
            match source.provide().await {
                Ok(credential) => show(&credential, texts),
                Err(error) => texts.extend(chain(&error)),
            }
            let cached = CachedProvider::builder(source).runtime(runtime).build();
            match cached.get().await {
                Ok(credential) => show(&credential, texts),
                Err(error) => texts.extend(chain(&error)),
            }
            show(&cached, texts);
        }
    }
}

async fn sockets(marks: &[String], texts: &mut Vec<String>) {
    let text = |status: &str, body: &str| {
        let length = body.len();
        Deed::Answer(
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\ndate: {DATE}\r\n\r\n{body}")
                .into_bytes(),
        )
    };
    for (scheme, deed) in [
        ("http", Deed::Reset),
        ("http", Deed::Stall(marks[17].clone().into_bytes())),
        ("http", Deed::Babble(marks[18].clone().into_bytes())),
        ("https", Deed::Babble(marks[19].clone().into_bytes())),
        ("http", text(&format!("500 {}", marks[20]), &marks[21])),
        (
            "http",
            Deed::Answer(format!("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}", marks[21]).into_bytes()),
        ),
        (
            "http",
            Deed::Answer(
                format!("HTTP/1.1 302 Found\r\nlocation: http://h/?{}\r\n\r\n", marks[21]).into_bytes(),
            ),
        ),
    ] {
        let runtime = Hasty::new();
        let clock = runtime.clone();
        let server = Raw::new(vec![deed], move || clock.time_out()).await;
        let endpoint = StsEndpoint::custom(&format!("{scheme}://{}", server.authority), "us-east-1").unwrap();
        let token = Secret::new(format!("eyJh.{}.{}", marks[12], marks[13]));
        let transport = HttpTransport::client().without_proxy().build().unwrap().runtime(runtime);
        let request =
            AssumeRoleWithWebIdentityRequest::builder(ROLE, "ci").policy(marks[14].clone()).build().unwrap();
        let source = AssumeRoleWithWebIdentity::new(request, endpoint, StaticProvider::new(token), transport);
        texts.extend(chain(&source.provide().await.unwrap_err()));
    }
}

async fn roles(marks: &[String], texts: &mut Vec<String>) {
    let request = AssumeRoleRequest::builder(ROLE, "ci")
        .policy(marks[14].clone())
        .external_id(marks[22].clone())
        .tag("team", &marks[23])
        .mfa("GAHT12345678", String::from("739164"));
    show(&request, texts);
    let request = request.build().unwrap();
    show(&request, texts);
    let secret = || Secret::new(marks[24].clone());
    let keys = AwsCredentials::new("AKID", secret(), Some(Secret::new(marks[25].clone())));
    let repeated = [&marks[22], &marks[24], &marks[25], "739164"];
    for code in ["AccessDenied", "ExpiredToken", "SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
        for echoed in repeated {
            let runtime = Hasty::new();
            let script = Script::new([xml(403, error(code, &format!("got {echoed}")))]);
            let base =
                CachedProvider::builder(StaticProvider::new(keys.clone())).runtime(runtime.clone()).build();
            let source =
                AssumeRole::new(request.clone(), endpoint(), base, script.transport(&runtime)).unwrap();
            show(&source, texts);
            let failure = source.provide().await.unwrap_err();
            assert!(!failure.to_string().contains("739164"), "{failure}");
            texts.extend(chain(&failure));
        }
    }
    let broken = AwsCredentials::new("AKID", secret(), Some(Secret::new(format!("{}\n", marks[26]))));
    texts.extend(chain(&request.request(&endpoint(), &broken, start()).unwrap_err()));
}

fn settings(marks: &[String], texts: &mut Vec<String>) {
    for url in [
        format!("https://u:{}@h/", marks[27]),
        format!("https://h/?{}", marks[28]),
        format!("http://h/#{}", marks[29]),
    ] {
        texts.extend(chain(&StsEndpoint::custom(&url, "us-east-1").unwrap_err()));
    }
    let path = std::env::temp_dir().join(format!("credfed-canary-{}", std::process::id()));
    std::fs::write(&path, format!("{} {}", marks[27], marks[28])).unwrap();
    let file = TokenFile::new(&path).runtime(Hasty::new());
    show(&file, texts);
    texts.extend(chain(&futures::executor::block_on(file.provide()).unwrap_err()));
    let _ = std::fs::remove_file(path);
}

/// What the HTTP client says; it speaks another dialect than the rest.
static CLIENT: Client = Client(Mutex::new(String::new()));

struct Client(Mutex<String>);

impl log::Log for Client {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(text, "{}: {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Hears everything down to the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{} {}", metadata.target(), metadata.name()));
        record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&(line.0 + "\n"));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
