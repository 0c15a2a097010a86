//! Uploads in the `aws-chunked` coding: the head signed by the `aws-sigv4` crate, the chunks by the book.

use aws_sigv4::http_request::SignableBody;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::{REGION, Signer, secret, sha256_hex};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    SignedChunks,
    SignedTrailer,
    UnsignedTrailer,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::SignedChunks, Self::SignedTrailer, Self::UnsignedTrailer];

    fn line(self) -> &'static str {
        match self {
            Self::SignedChunks => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    pub fn is_signed(self) -> bool {
        self != Self::UnsignedTrailer
    }

    pub fn has_trailer(self) -> bool {
        self != Self::SignedChunks
    }
}

/// A PUT as an SDK makes it: its head, and its body piece by piece (a size line, data, CRLF per chunk; the last size
/// line; the lines of the trailer; the last CRLF).
pub struct Upload {
    pub head: Parts,
    pub pieces: Vec<Vec<u8>>,
}

impl Upload {
    /// To an absolute `uri`, in chunks of at most `size` bytes.
    pub fn new(mode: Mode, uri: &str, data: &[u8], size: usize) -> Self {
        Self::encoded(mode, uri, data, size, "aws-chunked")
    }

    /// With this Content-Encoding.
    pub fn encoded(mode: Mode, uri: &str, data: &[u8], size: usize, encoding: &str) -> Self {
        let mut request = Request::put(uri)
            .header("content-encoding", encoding)
            .header("x-amz-decoded-content-length", data.len());
        if mode.has_trailer() {
            request = request
                .header("x-amz-trailer", "x-amz-checksum-sha256")
                .header("x-amz-sdk-checksum-algorithm", "SHA256");
        }
        let request = request.body(()).expect("a request");
        let request = Signer::default().sign(request, SignableBody::Precomputed(mode.line().into()));
        let (head, ()) = request.into_parts();
        let authorization = head.headers["authorization"].to_str().expect("ASCII");
        let mut previous = authorization.rsplit('=').next().expect("a signature").to_owned();
        let mut pieces = Vec::new();
        for chunk in data.chunks(size).chain([&[][..]]) {
            let mut line = format!("{:x}", chunk.len());
            if mode.is_signed() {
                let nothing = sha256_hex(b"");
                let hash = sha256_hex(chunk);
                previous = sign("PAYLOAD", &format!("{previous}\n{nothing}\n{hash}"));
                line.push_str(&format!(";chunk-signature={previous}"));
            }
            pieces.push(format!("{line}\r\n").into_bytes());
            if !chunk.is_empty() {
                pieces.extend([chunk.to_vec(), b"\r\n".to_vec()]);
            }
        }
        if mode.has_trailer() {
            let field = format!("x-amz-checksum-sha256:{}", STANDARD.encode(Sha256::digest(data)));
            pieces.push(format!("{field}\r\n").into_bytes());
            if mode.is_signed() {
                let hash = sha256_hex(format!("{field}\n").as_bytes());
                let signature = sign("TRAILER", &format!("{previous}\n{hash}"));
                pieces.push(format!("x-amz-trailer-signature:{signature}\r\n").into_bytes());
            }
        }
        pieces.push(b"\r\n".to_vec());
        Self { head, pieces }
    }

    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    pub fn frames(&self, size: usize) -> Vec<Bytes> {
        self.body().chunks(size).map(Bytes::copy_from_slice).collect()
    }
}

fn sign(what: &str, rest: &str) -> String {
    let scope = format!("20261120/{REGION}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256-{what}\n20261120T120000Z\n{scope}\n{rest}");
    let mut key = format!("AWS4{}", secret()).into_bytes();
    for part in scope.split('/').chain([text.as_str()]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}
