//! The requests, signed by aws-sigv4 and, as to chunks, by the book: those of the crate's own tests.

use std::time::SystemTime;

use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use http::request::Parts;

#[path = "../../../tests/support/mod.rs"]
mod support;

use support::chunked::{Mode, Upload};
use support::measured;

pub const ACCESS_KEY: &str = support::ACCESS_KEY;
pub const SECRET: &str = support::SECRET;

/// Bytes of a frame of a body.
const FRAME: usize = 64 * 1024;
/// Bytes of a signed chunk.
pub const CHUNK: usize = 64 * 1024;

/// A request, signed.
#[derive(Clone)]
pub struct Request {
    pub parts: Parts,
    /// As on the wire.
    pub frames: Vec<Bytes>,
    /// As the inner service gets it.
    pub data: Bytes,
    pub is_temporary: bool,
    /// The date that was signed.
    pub at: SystemTime,
    /// The length of the canonical request.
    pub canonical: usize,
    pub is_chunked: bool,
}

pub fn r1() -> Request {
    of(measured::r1().0, Bytes::new(), support::now(), true)
}

/// As [`r1`], with the hash of its empty body, for a peer that knows no UNSIGNED-PAYLOAD.
pub fn r1_hashed() -> Request {
    of(measured::r1_of(SignableBody::Bytes(b"")).0, Bytes::new(), support::now(), true)
}

pub fn r2() -> Request {
    let data = vec![7; 64 * 1024];
    of(measured::r2(&data).0, data.into(), support::now(), false)
}

/// Signed now: a peer that reads the clock itself finds an older one expired.
pub fn r3() -> Request {
    let at = SystemTime::now();
    of(measured::r3_at(at).0, Bytes::new(), at, true)
}

pub fn r4() -> Request {
    let data = vec![7; 8 << 20];
    let upload = Upload::new(Mode::SignedChunks, &data, CHUNK);
    let wire = Bytes::from(upload.body());
    let mut parts = upload.request.parts();
    parts.headers.insert("content-length", wire.len().into());
    let frames = frames(&wire);
    Request { frames, is_chunked: true, ..of(parts, data.into(), support::now(), false) }
}

fn of(parts: Parts, data: Bytes, at: SystemTime, is_temporary: bool) -> Request {
    let canonical = measured::canonical_length(&parts);
    Request { parts, frames: frames(&data), data, is_temporary, at, canonical, is_chunked: false }
}

pub fn frames(body: &Bytes) -> Vec<Bytes> {
    (0..body.len()).step_by(FRAME).map(|at| body.slice(at..body.len().min(at + FRAME))).collect()
}
