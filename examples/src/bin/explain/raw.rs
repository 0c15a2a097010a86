//! One request as it was caught on the wire, read by the HTTP server that the gateway runs on.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use credfed_sigv4_verify::Algorithm;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

/// The head, and the whole body, or as much of it as there was.
pub(crate) struct Caught {
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) body_sha256: [u8; 32],
    pub(crate) is_complete: bool,
}

impl Caught {
    /// Whether it says that it was signed with SigV4A.
    pub(crate) fn is_asymmetric(&self) -> bool {
        let algorithm = Algorithm::EcdsaP256Sha256.as_str();
        let header = self.parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let query = self.parts.uri.query().unwrap_or_default();
        header.is_some_and(|header| header.starts_with(algorithm.as_bytes()))
            || query.split('&').any(|pair| pair.strip_prefix("X-Amz-Algorithm=") == Some(algorithm))
    }
}

/// Reads the first request of `bytes`.
///
/// Line ends may have lost their carriage returns, folded lines are joined as RFC 9112, 5.2 has it, and a head that was
/// shown as HTTP/2 is read as HTTP/1.1.
pub(crate) async fn request(bytes: Bytes) -> Result<Caught, String> {
    let (head, body) = split(&bytes);
    let head = head_as_sent(head);
    let wire = AsyncReadExt::chain(head.as_slice(), body);
    let caught = Mutex::new(None);
    let service = service_fn(async |request: Request<Incoming>| {
        let (parts, mut incoming) = request.into_parts();
        let (mut body, mut is_complete) = (Vec::new(), true);
        while let Some(frame) = incoming.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(_trailers)) => {}
                Err(_) => {
                    is_complete = false;
                    break;
                }
            }
        }
        let mut caught = caught.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        caught.get_or_insert(Caught {
            parts,
            body_sha256: Sha256::digest(&body).into(),
            body: body.into(),
            is_complete,
        });
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let io = TokioIo::new(tokio::io::join(wire, tokio::io::sink()));
    let served =
        http1::Builder::new().half_close(true).max_headers(1_000).serve_connection(io, service).await;
    match (caught.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner), served) {
        (Some(caught), _) => Ok(caught),
        (None, Err(error)) => Err(format!("no HTTP request: {error}")),
        (None, Ok(())) => Err("no HTTP request: nothing is there".into()),
    }
}

/// Head and body. A head without an empty line behind it is all there is.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let ends = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at + 1);
    for end in ends {
        for empty in [b"\n".as_slice(), b"\r\n"] {
            if let Some(body) = bytes[end..].strip_prefix(empty) {
                return (&bytes[..end], body);
            }
        }
    }
    (bytes, &[])
}

fn head_as_sent(head: &[u8]) -> Vec<u8> {
    let mut sent: Vec<u8> = Vec::with_capacity(head.len() + 64);
    let lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.filter(|line| !line.is_empty()) {
        if sent.is_empty() {
            let shown_as = [b" HTTP/2".as_slice(), b" HTTP/2.0"];
            match shown_as.iter().find_map(|version| line.strip_suffix(*version)) {
                Some(line) => sent.extend([line, b" HTTP/1.1"].concat()),
                None => sent.extend(line),
            }
        } else {
            // A folded line goes on in the one before it.
            let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
            sent.extend(if is_folded { b"".as_slice() } else { b"\r\n" });
            sent.extend(line);
        }
    }
    sent.extend(b"\r\n\r\n");
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_with_either_line_end_and_folded() {
        for text in
            ["GET /a HTTP/1.1\nHost:h\nA:1\n\t2\n\nbody", "GET /a HTTP/2\r\nHost:h\r\nA:1\r\n\t2\r\n\r\nbody"]
        {
            let (head, body) = split(text.as_bytes());
            assert_eq!(body, b"body");
            assert_eq!(head_as_sent(head), b"GET /a HTTP/1.1\r\nHost:h\r\nA:1\t2\r\n\r\n");
        }
    }
}
