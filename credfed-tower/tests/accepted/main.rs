//! What has to be accepted, through the layer on real connections, HTTP/1 and HTTP/2; on a bare socket where a client
//! library would repair the request. Signed by `aws-sigv4`. The same cases on the verifier alone: the tests of
//! `credfed-sigv4-verify`, whose README has the index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod headers;
mod hosts;
mod payloads;
mod profiles;
mod targets;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use http::Request;
use support::Signer;
use support::upstream::Version::{self, Http1, Http2};

const VERSIONS: [Version; 2] = [Http1, Http2];
const HOST: &str = "files.example.org";

fn url(target: &str) -> String {
    format!("http://{HOST}{target}")
}

/// Signed with UNSIGNED-PAYLOAD; the body is empty.
fn sign(request: http::request::Builder) -> Request<Bytes> {
    Signer::default().sign(request.body(Bytes::new()).unwrap(), SignableBody::UnsignedPayload)
}

#[track_caller]
fn assert_ok(answer: &str, what: impl std::fmt::Debug) {
    assert!(answer.starts_with("HTTP/1.1 200 "), "{what:?}: {answer}");
}
