//! Uploads in the `aws-chunked` coding, encoded and signed by the book, or by aws-sigv4.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SigningSettings};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::http::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use credfed_sigv4_verify::{BodyCheck, Reason};
use sha2::{Digest, Sha256};

use super::by_hand::ByHand;
use super::{ACCESS_KEY, EMPTY, SECRET, Signer, hex, s3, sign, sign_asymmetric, static_key, verify};

const SCOPE: &str = "20150830/us-east-1/s3/aws4_request";
/// Of SigV4A.
const ASYMMETRIC_SCOPE: &str = "20150830/s3/aws4_request";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    SignedChunks,
    SignedTrailer,
    UnsignedTrailer,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::SignedChunks, Self::SignedTrailer, Self::UnsignedTrailer];

    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::SignedChunks => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        self != Self::UnsignedTrailer
    }

    pub(crate) fn has_trailer(self) -> bool {
        self != Self::SignedChunks
    }
}

/// How the trailer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Sdk,
    MinioGo,
}

/// One PUT, whose every part a test may change before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) mode: Mode,
    pub(crate) chunks: Vec<Vec<u8>>,
    /// The fields of the trailer.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) form: Form,
    /// The head, signed as it stands.
    pub(crate) request: ByHand,
}

impl Upload {
    /// Chunks of at most `size` bytes; a trailer has the SHA-256.
    pub(crate) fn new(mode: Mode, data: &[u8], size: usize) -> Self {
        let mut request = ByHand::s3("/bucket/key", "/bucket/key", "")
            .payload(mode.line())
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", &data.len().to_string());
        request.method = "PUT";
        let mut fields = Vec::new();
        if mode.has_trailer() {
            request = request.header("x-amz-trailer", "x-amz-checksum-sha256");
            fields.push(("x-amz-checksum-sha256".to_owned(), STANDARD.encode(Sha256::digest(data))));
        }
        let chunks = data.chunks(size).map(Vec::from).collect();
        Self { mode, chunks, fields, form: Form::Sdk, request }
    }

    /// Signs head, chunks and trailer with SigV4A.
    pub(crate) fn asymmetric(mut self) -> Self {
        self.request =
            self.request.payload(&self.mode.line().replace("HMAC-SHA256", "ECDSA-P256-SHA256")).asymmetric();
        self
    }

    pub(crate) fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The trailer has this field, and declares it.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields = vec![(name.to_owned(), value.to_owned())];
        self.set("x-amz-trailer", name)
    }

    /// Another value of a signed header.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.without(name).header(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.request = self.request.without(name);
        self
    }

    pub(crate) fn data(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The signature of the head.
    pub(crate) fn seed(&self) -> String {
        let authorization = self.request.authorization();
        authorization.rsplit('=').next().unwrap().to_owned()
    }

    /// The body, piece by piece: a size line, data, CRLF per chunk; the last size line; the lines of the trailer;
    /// the last CRLF.
    pub(crate) fn pieces(&self) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut previous = self.seed();
        let last: &[Vec<u8>] = &[Vec::new()];
        for chunk in self.chunks.iter().chain(last) {
            let mut line = format!("{:x}", chunk.len());
            if self.mode.is_signed() {
                previous = self.sign("PAYLOAD", &format!("{previous}\n{EMPTY}"), chunk);
                line.push_str(&format!(";chunk-signature={}", self.padded(&previous)));
            }
            pieces.push(format!("{line}\r\n").into_bytes());
            if !chunk.is_empty() {
                pieces.extend([chunk.clone(), b"\r\n".to_vec()]);
            }
        }
        let end = if self.form == Form::Sdk { "\r\n" } else { "\n" };
        let mut canonical = String::new();
        for (name, value) in &self.fields {
            pieces.push(format!("{name}:{value}{end}").into_bytes());
            canonical.push_str(&format!("{}:{value}\n", name.to_lowercase()));
        }
        if self.form == Form::MinioGo && self.mode.has_trailer() {
            pieces.push(b"\r\n".to_vec());
        }
        if self.mode == Mode::SignedTrailer {
            let signature = self.sign("TRAILER", &previous, canonical.as_bytes());
            pieces.push(format!("x-amz-trailer-signature:{}\r\n", self.padded(&signature)).into_bytes());
        }
        pieces.push(b"\r\n".to_vec());
        pieces
    }

    /// The signature of a chunk or a trailer; `before` are the lines of its string to sign before the hash.
    fn sign(&self, of: &str, before: &str, data: &[u8]) -> String {
        if self.request.asymmetric {
            asymmetric_chunk_signature(of, before, data)
        } else {
            hmac_chunk_signature(of, before, data)
        }
    }

    /// A signature as it is written in the body.
    fn padded(&self, signature: &str) -> String {
        if self.request.asymmetric { format!("{signature:*<144}") } else { signature.to_owned() }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.pieces().concat()
    }

    /// The check of the body, the head being verified.
    #[track_caller]
    pub(crate) fn check(&self) -> BodyCheck {
        #[cfg(feature = "sigv4a")]
        if self.request.asymmetric {
            let verifier = super::s3_asymmetric();
            return verify(&verifier, &self.request.parts(), &static_key()).unwrap().into_body_check();
        }
        verify(&s3(), &self.request.parts(), &static_key()).unwrap().into_body_check()
    }

    /// What the verifier says of this body under the upload's head: the bytes that came out, and the verdict.
    #[track_caller]
    pub(crate) fn judge(&self, body: &[u8]) -> (Vec<u8>, Result<(), Reason>) {
        drive(self.check(), [Bytes::copy_from_slice(body)])
    }
}

/// An upload whose head, chunks and trailer aws-sigv4 signs: the head, and the body in pieces as
/// [`Upload::pieces`] has them. `checksum` is an index into [`checksum_of`].
pub(crate) fn by_aws(
    signer: &Signer,
    mut request: http::Request<()>,
    mode: Mode,
    form: Form,
    checksum: usize,
    data: &[u8],
    size: usize,
) -> (http::request::Parts, Vec<Vec<u8>>) {
    let identity = Credentials::new(ACCESS_KEY, SECRET, signer.token.clone(), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&signer.region)
        .name(&signer.service)
        .time(signer.time)
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let (name, sum) = checksum_of(checksum, data);
    let headers = request.headers_mut();
    headers.insert("content-encoding", "aws-chunked".parse().unwrap());
    headers.insert("x-amz-decoded-content-length", data.len().into());
    if mode.has_trailer() {
        headers.insert("x-amz-trailer", name.parse().unwrap());
    }
    let parts = signer.sign_body(
        request,
        match mode {
            Mode::SignedChunks => SignableBody::Precomputed(mode.line().into()),
            Mode::SignedTrailer => SignableBody::StreamingSignedPayloadTrailer,
            Mode::UnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
        },
    );
    let mut signature =
        parts.headers["authorization"].to_str().unwrap().rsplit_once('=').unwrap().1.to_owned();
    let mut pieces = Vec::new();
    for chunk in data.chunks(size).chain([&[][..]]) {
        let mut line = format!("{:x}", chunk.len());
        if mode.is_signed() {
            let bytes = Bytes::copy_from_slice(chunk);
            signature = v4::sign_chunk(&bytes, &signature, &params).unwrap().into_parts().1;
            line.push_str(&format!(";chunk-signature={signature}"));
        }
        pieces.push(format!("{line}\r\n").into_bytes());
        if !chunk.is_empty() {
            pieces.extend([chunk.to_vec(), b"\r\n".to_vec()]);
        }
    }
    if mode.has_trailer() {
        let end = if form == Form::Sdk { "\r\n" } else { "\n" };
        pieces.push(format!("{name}:{sum}{end}").into_bytes());
        if form == Form::MinioGo {
            pieces.push(b"\r\n".to_vec());
        }
        if mode.is_signed() {
            let mut trailer = Headers::new();
            trailer.insert(name, sum);
            signature = v4::sign_trailer(&trailer, &signature, &params).unwrap().into_parts().1;
            pieces.push(format!("x-amz-trailer-signature:{signature}\r\n").into_bytes());
        }
    }
    pieces.push(b"\r\n".to_vec());
    (parts, pieces)
}

/// The header of a checksum, one of five, and its value for `data`.
pub(crate) fn checksum_of(which: usize, data: &[u8]) -> (&'static str, String) {
    let crc = |algorithm, size: usize| {
        STANDARD.encode(&crc_fast::checksum(algorithm, data).to_be_bytes()[8 - size..])
    };
    match which {
        0 => ("x-amz-checksum-crc32", crc(crc_fast::CrcAlgorithm::Crc32IsoHdlc, 4)),
        1 => ("x-amz-checksum-crc32c", crc(crc_fast::CrcAlgorithm::Crc32Iscsi, 4)),
        2 => ("x-amz-checksum-crc64nvme", crc(crc_fast::CrcAlgorithm::Crc64Nvme, 8)),
        3 => ("x-amz-checksum-sha1", STANDARD.encode(<sha1::Sha1 as Digest>::digest(data))),
        _ => ("x-amz-checksum-sha256", STANDARD.encode(Sha256::digest(data))),
    }
}

pub(crate) fn chunk_signature(previous: &str, data: &[u8]) -> String {
    hmac_chunk_signature("PAYLOAD", &format!("{previous}\n{EMPTY}"), data)
}

pub(crate) fn trailer_signature(previous: &str, canonical: &str) -> String {
    hmac_chunk_signature("TRAILER", previous, canonical.as_bytes())
}

fn hmac_chunk_signature(of: &str, before: &str, data: &[u8]) -> String {
    let hash = hex(&Sha256::digest(data));
    let text = format!("AWS4-HMAC-SHA256-{of}\n20150830T123600Z\n{SCOPE}\n{before}\n{hash}");
    sign(SECRET, SCOPE, &text)
}

/// Of SigV4A, without padding.
pub(crate) fn asymmetric_chunk_signature(of: &str, before: &str, data: &[u8]) -> String {
    let hash = hex(&Sha256::digest(data));
    sign_asymmetric(&format!(
        "AWS4-ECDSA-P256-SHA256-{of}\n20150830T123600Z\n{ASYMMETRIC_SCOPE}\n{before}\n{hash}"
    ))
}

/// Pushes every frame, takes out what comes, and finishes.
pub(crate) fn drive(
    mut check: BodyCheck,
    frames: impl IntoIterator<Item = Bytes>,
) -> (Vec<u8>, Result<(), Reason>) {
    let mut out = Vec::new();
    for frame in frames {
        if let Err(reason) = check.push(frame) {
            assert_eq!(check.pop(), None, "nothing comes out of a body that was refused");
            return (out, Err(reason));
        }
        while let Some(data) = check.pop() {
            out.extend_from_slice(&data);
        }
    }
    let verdict = check.finish();
    while let Some(data) = check.pop() {
        out.extend_from_slice(&data);
    }
    (out, verdict)
}

/// `body` cut at these places, in ascending order.
pub(crate) fn cut(body: &[u8], at: &[usize]) -> Vec<Bytes> {
    let mut from = 0;
    let mut frames = Vec::new();
    for &at in at.iter().chain([&body.len()]) {
        frames.push(Bytes::copy_from_slice(&body[from..at]));
        from = at;
    }
    frames
}
