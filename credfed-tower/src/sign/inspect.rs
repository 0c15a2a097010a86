//! Whether an upstream's refusal means that the credential is over, and the body that says so.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use credfed_core::Rejection;
use http::{Response, StatusCode, response};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

/// An error document is small; what is larger is handed on without a look at the rest.
const READ_LIMIT: usize = 64 * 1024;

/// Where AWS's JSON services name the error; it goes before the document.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// An answer that may reject the credential, while its body is read.
pub(super) struct Inspection<B> {
    parts: Option<response::Parts>,
    read: BytesMut,
    rest: Option<B>,
}

/// The answer again; `None` once it was given.
type Whole<B> = Option<Response<UpstreamBody<B>>>;

impl<B: Body<Data = Bytes> + Unpin> Inspection<B> {
    /// Only these statuses carry the codes in question. Of a service that hands on an `application`'s answers, the
    /// document is the application's words, and only the header that names the error is AWS's.
    pub(super) fn is_due(response: &Response<B>, application: bool) -> bool {
        matches!(
            response.status(),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) && (!application || response.headers().contains_key(ERROR_TYPE))
    }

    pub(super) fn of(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { parts: Some(parts), read: BytesMut::new(), rest: Some(body) }
    }

    /// Reads the error document, then says whether it rejects the credential. The answer is whole again: what was
    /// read comes first, what was not (too long, or broken off) follows.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Option<Rejection>, Whole<B>)> {
        while let Some(body) = self.rest.as_mut() {
            if self.read.len() >= READ_LIMIT {
                break;
            }
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.read.extend_from_slice(&data),
                    // Trailers end the body; an error document has none that matter.
                    Err(_) => self.rest = None,
                },
                // The reader meets the error itself, behind what came before it.
                Some(Err(error)) => {
                    let body = UpstreamBody::read(self.read.split().freeze(), None, Some(error));
                    return Poll::Ready((
                        None,
                        self.parts.take().map(|parts| Response::from_parts(parts, body)),
                    ));
                }
                None => self.rest = None,
            }
        }
        let Some(parts) = self.parts.take() else { return Poll::Ready((None, None)) };
        let read = self.read.split().freeze();
        let rejection = rejection(&parts, &read);
        let body = UpstreamBody::read(read, self.rest.take(), None);
        Poll::Ready((rejection, Some(Response::from_parts(parts, body))))
    }
}

/// By the upstream's own error code alone: the rest of the document, and a bare 401, may be an application's words
/// about what the caller asked for.
fn rejection(parts: &response::Parts, document: &[u8]) -> Option<Rejection> {
    let code = match parts.headers.get(ERROR_TYPE) {
        Some(code) => code.to_str().ok(),
        None => std::str::from_utf8(document).ok().and_then(error_code),
    }?;
    // `namespace#Code:more`
    let code = code.rsplit('#').next()?.split(':').next()?;
    match code {
        "ExpiredToken" | "ExpiredTokenException" => Some(Rejection::Expired),
        "InvalidToken" => Some(Rejection::Invalid),
        "Unauthorized" if parts.status == StatusCode::UNAUTHORIZED => Some(Rejection::Unauthorized),
        _ => None,
    }
}

/// The code of an error document: XML's `<Code>`, or the `__type` with which AWS's JSON begins. Deeper in the document
/// may stand whatever a caller sent.
fn error_code(document: &str) -> Option<&str> {
    let document = document.trim_start();
    if document.starts_with('<') {
        return Some(document.split_once("<Code>")?.1.split_once("</Code>")?.0);
    }
    let kind = document.strip_prefix('{')?.trim_start().strip_prefix("\"__type\"")?;
    kind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next()
}

/// The body of a signed request's answer. A refusal's has been looked at; its bytes are all still there.
#[pin_project(project = UpstreamProjection)]
pub enum UpstreamBody<B: Body> {
    /// Handed on as it comes.
    Streaming(#[pin] B),
    /// Read already, with what follows.
    Read {
        /// What was read.
        read: Option<Bytes>,
        /// What was not.
        #[pin]
        rest: Option<B>,
        /// Where reading broke off.
        error: Option<B::Error>,
    },
}

impl<B: Body> UpstreamBody<B> {
    fn read(read: Bytes, rest: Option<B>, error: Option<B::Error>) -> Self {
        Self::Read { read: Some(read).filter(|read| !read.is_empty()), rest, error }
    }
}

impl<B: Body> fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Streaming(_) => "UpstreamBody::Streaming",
            Self::Read { .. } => "UpstreamBody::Read",
        })
    }
}

impl<B: Body<Data = Bytes>> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            UpstreamProjection::Streaming(body) => body.poll_frame(cx),
            UpstreamProjection::Read { read, rest, error } => {
                if let Some(read) = read.take() {
                    return Poll::Ready(Some(Ok(Frame::data(read))));
                }
                if let Some(error) = error.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                rest.as_pin_mut().map_or(Poll::Ready(None), |rest| rest.poll_frame(cx))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Read { read, rest, error } => {
                read.is_none() && error.is_none() && rest.as_ref().is_none_or(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            Self::Read { read, rest, .. } => {
                let read = read.as_ref().map_or(0, Bytes::len) as u64;
                let rest = rest.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
                    hint.set_upper(upper);
                }
                hint.set_lower(rest.lower().saturating_add(read));
                hint
            }
        }
    }
}
