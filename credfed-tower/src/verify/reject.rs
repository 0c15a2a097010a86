//! How a refused request is answered: in AWS's format, with the typed reason in the extensions.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use credfed_sigv4_verify::{Preimage, Protocol, Reason};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::xml::{element, query_error};

/// A request that was refused, for a closure that answers in its own way.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// Why.
    pub reason: &'a Reason,
    /// The protocol of the verifier's profile.
    pub protocol: Protocol,
    /// The request's method.
    pub method: &'a Method,
    /// The path as on the wire; never the query, which may carry a signature.
    pub path: &'a str,
    /// A name for this answer, to be found again in the log.
    pub request_id: &'a str,
    /// What the signature has to be computed over, where it does not match and
    /// [`shows_canonical_requests`](super::VerifySigV4Layer::shows_canonical_requests) says so.
    pub preimage: Option<&'a Preimage>,
}

impl Refusal<'_> {
    /// AWS's error code.
    pub fn code(&self) -> &'static str {
        self.reason.code(self.protocol)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.reason.status(self.protocol)
    }

    /// The answer that the layer gives by default: XML for S3 and the query protocol, JSON for the others.
    pub fn answer(&self) -> Response<Bytes> {
        let (content_type, body) = match self.protocol {
            Protocol::S3 => ("application/xml", self.s3_xml()),
            Protocol::Query => ("text/xml", self.query_xml()),
            _ => ("application/x-amz-json-1.0", self.json()),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(self.request_id) {
            let name = match self.protocol {
                Protocol::S3 => HeaderName::from_static("x-amz-request-id"),
                _ => HeaderName::from_static("x-amzn-requestid"),
            };
            headers.insert(name, id);
        }
        if matches!(self.protocol, Protocol::Json) {
            headers.insert("x-amzn-errortype", HeaderValue::from_static(self.code()));
        }
        response
    }

    fn s3_xml(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        element(&mut xml, "Code", self.code());
        element(&mut xml, "Message", &self.reason.message(self.protocol));
        if let Some(preimage) = self.preimage {
            element(&mut xml, "StringToSign", preimage.string_to_sign());
            element(&mut xml, "CanonicalRequest", &preimage.redacted());
        }
        for (name, value) in self.reason.fields() {
            element(&mut xml, name, &value);
        }
        element(&mut xml, "Resource", shortened(self.path));
        element(&mut xml, "RequestId", self.request_id);
        xml.push_str("</Error>");
        xml
    }

    /// These protocols have no elements for it.
    fn message(&self) -> Cow<'static, str> {
        let message = self.reason.message(self.protocol);
        match self.preimage {
            Some(preimage) => format!(
                "{message}\n\nThe Canonical String for this request should have been\n'{}'\n\n\
                 The String-to-Sign should have been\n'{}'\n",
                preimage.redacted(),
                preimage.string_to_sign()
            )
            .into(),
            None => message,
        }
    }

    fn query_xml(&self) -> String {
        let message = self.message();
        query_error(self.status().is_server_error(), self.code(), &message, self.request_id)
    }

    fn json(&self) -> String {
        let mut json = String::from("{\"__type\":\"");
        json_escaped(&mut json, self.code());
        json.push_str("\",\"message\":\"");
        json_escaped(&mut json, &self.message());
        json.push_str("\"}");
        json
    }
}

/// An identifier that is unique in the process and hard to take for another process's.
pub(crate) fn request_id(now: SystemTime) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:012X}{:08X}", (nanos >> 10) & 0xFFFF_FFFF_FFFF, count & 0xFFFF_FFFF)
}

/// The resource is the client's own words: enough of them to recognise the request.
fn shortened(path: &str) -> &str {
    let end = path.char_indices().map(|(at, _)| at).nth(1024).unwrap_or(path.len());
    path.get(..end).unwrap_or(path)
}

fn json_escaped(json: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            other => json.push(other),
        }
    }
}

/// The body of the layer's responses: the inner service's, or the answer to a refused request.
#[pin_project(project = AnswerProjection)]
pub enum AnswerBody<B> {
    /// What the inner service answered.
    Inner(#[pin] B),
    /// What a refused request is answered with.
    Refusal(Option<Bytes>),
}

impl<B> AnswerBody<B> {
    pub(super) fn refusal(body: Bytes) -> Self {
        Self::Refusal(Some(body).filter(|body| !body.is_empty()))
    }
}

impl<B> fmt::Debug for AnswerBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner(_) => "AnswerBody::Inner",
            Self::Refusal(_) => "AnswerBody::Refusal",
        })
    }
}

impl<B> Default for AnswerBody<B> {
    fn default() -> Self {
        Self::Refusal(None)
    }
}

impl<B: Body<Data = Bytes>> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            AnswerProjection::Inner(body) => body.poll_frame(cx),
            AnswerProjection::Refusal(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner(body) => body.is_end_stream(),
            Self::Refusal(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Inner(body) => body.size_hint(),
            Self::Refusal(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

#[cfg(test)]
mod tests;
