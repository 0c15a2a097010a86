//! The log: one line per request, for a person, on stderr. No header, no secret, and of a query only what is known
//! to be harmless.

use std::fmt::Display;
use std::io::IsTerminal;
use std::time::Duration;

use credfed_sigv4_verify::{Protocol, Reason};
use credfed_tower::sts::StsError;
use credfed_tower::{Caller, PayloadSha256, Principal};
use http::{Request, Response};
use tower_http::classify::{ServerErrorsAsFailures, SharedClassifier};
use tower_http::trace::{MakeSpan, OnResponse, TraceLayer};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::policy::Holder;

/// Starts the log. `RUST_LOG` says how much (`info` unless told), within the bounds of [`is_for_a_log`].
pub(crate) fn start() {
    let wanted = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact();
    let lines = lines.with_filter(wanted).with_filter(tracing_subscriber::filter::filter_fn(is_for_a_log));
    tracing_subscriber::registry().with(lines).init();
}

/// Below `info` other crates print canonical requests, headers and expected signatures, whatever `RUST_LOG` says.
fn is_for_a_log(event: &Metadata<'_>) -> bool {
    const OURS: [&str; 3] = ["gateway", "credfed", "tower_http"];
    *event.level() <= Level::INFO || OURS.iter().any(|ours| event.target().starts_with(ours))
}

/// A span per request and a line per answer.
pub(crate) fn layer()
-> TraceLayer<SharedClassifier<ServerErrorsAsFailures>, RequestSpan, (), AnswerLine, (), (), ()> {
    TraceLayer::new_for_http()
        .make_span_with(RequestSpan)
        .on_request(())
        .on_response(AnswerLine)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestSpan;

impl<B> MakeSpan<B> for RequestSpan {
    fn make_span(&mut self, request: &Request<B>) -> Span {
        let target = legible_target(request.uri().path(), request.uri().query());
        tracing::info_span!("request", method = %request.method(), target)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerLine;

impl<B> OnResponse<B> for AnswerLine {
    fn on_response(self, response: &Response<B>, took: Duration, _: &Span) {
        let (status, millis) = (response.status().as_u16(), took.as_millis());
        match refusal(response) {
            Some((code, reason)) => tracing::info!(status, code, %reason, millis, "refused"),
            None => tracing::info!(status, millis, "answered"),
        }
    }
}

/// Notes at `debug` where the signature of a verified request stood and how it covers the body. Stands right behind the
/// verifying layer, since what it looks at is stripped next.
pub(crate) fn note_verified<B>(request: Request<B>) -> Request<B> {
    if let Some(caller) = request.extensions().get::<Caller<Principal<Holder>>>() {
        let (carrier, key) = (caller.carrier(), caller.key_kind());
        tracing::debug!(?carrier, ?key, payload = payload(&request), "verified");
    }
    request
}

/// The value of x-amz-content-sha256 that was verified, with no hash in it.
fn payload<B>(request: &Request<B>) -> &'static str {
    const MODES: [&str; 4] = [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ];
    if request.extensions().get::<PayloadSha256>().is_some() {
        return "SHA256";
    }
    let sent = request.headers().get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    // A presigned URL has it in its query, or has none.
    sent.and_then(|sent| MODES.into_iter().find(|mode| *mode == sent)).unwrap_or("UNSIGNED-PAYLOAD")
}

/// The code that the client was told, and the reason that it was not told. [`Front`](crate::front::Front) says whose
/// answer it is.
pub(crate) fn refusal<B>(response: &Response<B>) -> Option<(&'static str, &dyn Display)> {
    let found = response.extensions();
    if let Some(error) = found.get::<StsError>() {
        return Some((error.code(), error));
    }
    let reason = found.get::<Reason>()?;
    Some((reason.code(found.get().copied().unwrap_or(Protocol::S3)), reason))
}

/// The target of a request with the values of all parameters left out that are not known to be harmless.
fn legible_target(path: &str, query: Option<&str>) -> String {
    const HARMLESS: [&str; 10] = [
        "continuation-token",
        "delimiter",
        "list-type",
        "marker",
        "max-keys",
        "partNumber",
        "prefix",
        "start-after",
        "versionId",
        "x-id",
    ];
    let mut target = path.to_owned();
    for (index, piece) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        match piece.split_once('=') {
            Some((name, _)) if !HARMLESS.contains(&name) => {
                target.push_str(name);
                target.push_str("=…");
            }
            None if !is_plain_name(piece) => target.push('…'),
            _ => target.push_str(piece),
        }
    }
    target
}

/// As the names of S3's sub-resources are; anything else without a value may be one itself.
fn is_plain_name(piece: &str) -> bool {
    piece.len() <= 32 && piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_unknown_parameters_are_left_out() {
        let query =
            "list-type=2&prefix=a%2F&X-Amz-Signature=canary&X-Amz-Security-Token=canary&uploads&k=canary";
        let target = legible_target("/bucket", Some(query));
        let kept = "/bucket?list-type=2&prefix=a%2F&X-Amz-Signature=…&X-Amz-Security-Token=…&uploads&k=…";
        assert_eq!(target, kept);
        assert_eq!(legible_target("/", None), "/");
        for value in ["WebIdentityToken%3Dcanary", &"canary".repeat(9), "canary.canary.canary"] {
            assert_eq!(legible_target("/", Some(&format!("Action=x&{value}"))), "/?Action=…&…");
        }
    }
}
