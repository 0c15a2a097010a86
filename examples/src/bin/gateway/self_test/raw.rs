//! Requests made by hand: signed by AWS's own signer, then changed where a check wants that.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningParams, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use credfed_core::{AwsCredentials, Clock, Secret, SystemClock};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::Bench;

/// A request before it is signed. Signed now, by the owner, with the hash of its body, unless told otherwise.
pub(super) struct Raw {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    signer: Option<AwsCredentials>,
    region: Option<&'static str>,
    service: &'static str,
    age: Duration,
    presigned_for: Option<Duration>,
    /// Stands in for the hash of the body.
    payload: Option<&'static str>,
    /// Each a chunk of the body, signed behind the head.
    chunks: Vec<Bytes>,
    /// What goes on the wire instead of the target that is signed.
    spelled: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// AWS's error code; empty where there is none.
    pub(super) code: String,
    pub(super) body: String,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Raw {
    pub(super) fn new(method: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            signer: None,
            region: None,
            service: "s3",
            age: Duration::ZERO,
            presigned_for: None,
            payload: None,
            chunks: Vec::new(),
            spelled: None,
        }
    }

    /// A signed call of an STS action, its parameters in the form.
    pub(super) fn sts(form: &[(&str, &str)]) -> Self {
        let form: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let mut request = Self::new("POST", "/")
            .body(format!("Version=2011-06-15&{}", form.join("&")))
            .header("content-type", "application/x-www-form-urlencoded");
        request.service = "sts";
        request
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn signer(mut self, signer: &AwsCredentials) -> Self {
        self.signer = Some(signer.clone());
        self
    }

    pub(super) fn region(mut self, region: &'static str) -> Self {
        self.region = Some(region);
        self
    }

    /// Signed this long ago.
    pub(super) fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Signed in the query, to be good for this long.
    pub(super) fn presigned(mut self, good_for: Duration) -> Self {
        self.presigned_for = Some(good_for);
        self
    }

    /// Declares the payload so, instead of by its hash.
    pub(super) fn payload(mut self, declared: &'static str) -> Self {
        self.payload = Some(declared);
        self
    }

    /// Sends the body in these chunks, each signed.
    pub(super) fn signed_chunks(mut self, chunks: &[&'static str]) -> Self {
        self.chunks = chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect();
        let length: usize = self.chunks.iter().map(Bytes::len).sum();
        self.header("x-amz-decoded-content-length", length.to_string())
            .payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    }

    /// Sends the same path in other words than the signature's canonical ones.
    pub(super) fn spelled(mut self, target: &str) -> Self {
        self.spelled = Some(target.to_owned());
        self
    }

    pub(super) async fn send(self, bench: &Bench) -> Result<Answer, BoxError> {
        send(self.sign(bench)?).await
    }

    pub(super) fn sign(self, bench: &Bench) -> Result<Request<Full<Bytes>>, BoxError> {
        let signer = self.signer.as_ref().unwrap_or(&bench.owner);
        let identity = Credentials::new(
            signer.access_key_id(),
            signer.secret_access_key().expose(),
            signer.session_token().map(|token| token.expose().to_owned()),
            None,
            "self-test",
        )
        .into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if let Some(good_for) = self.presigned_for {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
            settings.expires_in = Some(good_for);
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region.unwrap_or(bench.region.as_str()))
            .name(self.service)
            .time(now().checked_sub(self.age).ok_or("before all time")?)
            .settings(settings)
            .build()?
            .into();

        let uri = format!("http://{}{}", bench.address, self.target);
        let mut request =
            Request::builder().method(self.method).uri(&uri).body(Full::new(self.body.clone()))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value)?);
        }
        let host = bench.address.to_string();
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = headers.chain([("host", host.as_str())]);
        let payload = match (self.presigned_for, self.payload) {
            (Some(_), _) => SignableBody::UnsignedPayload,
            (None, Some(declared)) => SignableBody::Precomputed(declared.to_owned()),
            (None, None) => SignableBody::Bytes(&self.body),
        };
        let signable = SignableRequest::new(self.method, uri.as_str(), headers, payload)?;
        let (instructions, mut signature) = sign(signable, &params)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        if let (false, SigningParams::V4(params)) = (self.chunks.is_empty(), &params) {
            let mut body = Vec::new();
            for chunk in self.chunks.iter().chain([&Bytes::new()]) {
                signature = v4::sign_chunk(chunk, &signature, params)?.into_parts().1;
                body.extend_from_slice(
                    format!("{:x};chunk-signature={signature}\r\n", chunk.len()).as_bytes(),
                );
                body.extend_from_slice(chunk);
                body.extend_from_slice(if chunk.is_empty() { b"" } else { b"\r\n" });
            }
            body.extend_from_slice(b"\r\n");
            *request.body_mut() = Full::new(body.into());
        }
        if let Some(target) = &self.spelled {
            *request.uri_mut() = format!("http://{}{target}", bench.address).parse()?;
        }
        Ok(request)
    }
}

pub(super) async fn send(request: Request<Full<Bytes>>) -> Result<Answer, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await?;
    let status = response.status().as_u16();
    let body = String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()).into_owned();
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code).to_owned();
    Ok(Answer { status, code, body })
}

/// The request without anything that signs it.
pub(super) async fn send_unsigned(raw: Raw, bench: &Bench) -> Result<Answer, BoxError> {
    let mut request =
        Request::builder().method(raw.method).uri(format!("http://{}{}", bench.address, raw.target));
    for (name, value) in &raw.headers {
        request = request.header(*name, value);
    }
    send(request.body(Full::new(raw.body))?).await
}

impl Answer {
    /// The text of the first element of that name; empty where there is none.
    pub(super) fn element(&self, name: &str) -> &str {
        let found = self.body.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
        found.map_or("", |(text, _)| text)
    }

    /// The credentials of an answer of STS.
    pub(super) fn credentials(&self) -> Result<AwsCredentials, BoxError> {
        let part = |name| match self.element(name) {
            "" => Err(BoxError::from(self.to_string())),
            text => Ok(text.to_owned()),
        };
        let (secret, token) = (Secret::new(part("SecretAccessKey")?), Secret::new(part("SessionToken")?));
        Ok(AwsCredentials::new(part("AccessKeyId")?, secret, Some(token)))
    }
}

/// Everything but what is unreserved (RFC 3986) as escapes.
fn escaped(value: &str) -> String {
    use std::fmt::Write;
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            other => drop(write!(text, "%{other:02X}")),
        }
        text
    })
}

fn now() -> SystemTime {
    SystemClock.wall()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An answer that was not expected may hold credentials.
        let start: String = match self.status {
            200 => "…".to_owned(),
            _ => self.body.chars().take(300).collect(),
        };
        write!(f, "the answer was {} {}: {start}", self.status, self.code)
    }
}
