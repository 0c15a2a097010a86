//! What a signature is computed over, for tools that show why it does not match, and for answers to the client's own
//! request (rule 13: opt in).

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

use crate::canonical;
use crate::payload::PayloadMode;
use crate::request::SignedRequest;
use crate::signature;
use crate::verifier::StringToSign;

/// Headers whose values are credentials or keys of the client's.
const SECRET_HEADERS: [&[u8]; 7] = [
    b"authorization",
    b"cookie",
    b"proxy-authorization",
    b"x-amz-copy-source-server-side-encryption-customer-key",
    b"x-amz-mfa",
    b"x-amz-security-token",
    b"x-amz-server-side-encryption-customer-key",
];

/// The canonical request and the string to sign of one request: the client's own signature is right if it was computed
/// over these bytes with the right key. Neither holds a secret of ours, nor any signature.
///
/// The canonical request repeats signed headers as they came, session token and cookies included. Hand on
/// [`redacted`](Self::redacted); `Debug` shows nothing; the text is wiped on drop.
pub struct Preimage {
    canonical_request: Zeroizing<Vec<u8>>,
    string_to_sign: String,
}

impl SignedRequest<'_> {
    /// What this request's signature has to be computed over. `body_sha256` is needed where
    /// [`needs_body_hash`](Self::needs_body_hash) says so; `None` if it is missing there.
    pub fn preimage(&self, body_sha256: Option<[u8; 32]>) -> Option<Preimage> {
        let hex;
        let line = match (self.payload_mode(), body_sha256) {
            (PayloadMode::BodyHash, body) => {
                hex = signature::encode_hex(&body?);
                hex.as_slice()
            }
            // S3 takes a presigned request without the line for one with this.
            _ => self.payload_line().unwrap_or(b"UNSIGNED-PAYLOAD"),
        };
        let canonical_request = Zeroizing::new(canonical::request(self, line).as_slice().to_vec());
        let string_to_sign = String::from_utf8_lossy(StringToSign::of(self, line).as_bytes()).into_owned();
        Some(Preimage { canonical_request, string_to_sign })
    }
}

impl Preimage {
    /// The canonical request, as it was hashed; bytes that are not UTF-8 are replaced.
    pub fn canonical_request(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.canonical_request)
    }

    /// The string to sign: algorithm, date, scope and the hash of the canonical request.
    pub fn string_to_sign(&self) -> &str {
        &self.string_to_sign
    }

    /// The canonical request without session token, cookies, customer keys and other credentials. It no longer has the hash that
    /// [`string_to_sign`](Self::string_to_sign) ends in.
    pub fn redacted(&self) -> String {
        let text = &self.canonical_request;
        let mut out = Vec::with_capacity(text.len());
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if number > 0 {
                out.push(b'\n');
            }
            match number {
                2 => redact_query(&mut out, line),
                _ => redact_header(&mut out, line),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preimage").finish_non_exhaustive()
    }
}

const REDACTED: &[u8] = b"<redacted>";

fn redact_query(out: &mut Vec<u8>, query: &[u8]) {
    for (number, pair) in query.split(|&byte| byte == b'&').enumerate() {
        if number > 0 {
            out.push(b'&');
        }
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        let is_secret = SECRET_HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        redact(out, pair, name.len() + 1, is_secret);
    }
}

/// Lines without a colon stay as they are.
fn redact_header(out: &mut Vec<u8>, line: &[u8]) {
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    redact(out, line, name.len() + 1, SECRET_HEADERS.contains(&name));
}

fn redact(out: &mut Vec<u8>, text: &[u8], value_at: usize, is_secret: bool) {
    match text.get(..value_at) {
        Some(before) if is_secret => {
            out.extend_from_slice(before);
            out.extend_from_slice(REDACTED);
        }
        _ => out.extend_from_slice(text),
    }
}
