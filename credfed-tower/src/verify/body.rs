//! The body of a verified request: bytes are passed on while they are hashed, and the last ones are kept back until
//! the hash has matched.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use credfed_sigv4_verify::{PostObject, Reason, VerifiedForm, VerifiedHead};
use http_body::{Body, Frame, SizeHint};

use super::form::{FormReader, Source};
use super::watch::{CheckedBody, Watch};

type BoxError = Box<dyn Error + Send + Sync>;

/// The payload of a request whose head was verified.
///
/// Where the caller declared a hash, frames pass on one behind: the last one comes only when the hash of the whole
/// body has matched, or the error comes in its place. An `aws-chunked` body is decoded: the bytes of a signed chunk come
/// when its signature has matched, and the last ones only when the whole body has passed, with its trailer, its
/// checksums and its length; the size hint is exact from the start. So whoever forwards this body with a `Content-Length` never
/// completes a request whose payload is not the one that was signed, even though HTTP servers and clients stop
/// reading at that length and would never see an error behind it.
///
/// Trailers of the HTTP message are not signed and are dropped.
///
/// There is no constructor: a `VerifiedBody` is the evidence that the layer verified the head.
///
/// ```compile_fail
/// // Not even an empty one comes from nowhere.
/// let body = credfed_tower::VerifiedBody::<http_body_util::Empty<bytes::Bytes>>::default();
/// ```
///
/// # Forwarding
/// HTTP/1 clients drop the body of a `GET` or `HEAD` that has no known length. A forwarder refuses such a request, as
/// [`SignSigV4Layer`](crate::SignSigV4Layer) does.
pub struct VerifiedBody<B> {
    kind: Kind<B>,
}

enum Kind<B> {
    /// Nothing to check: the payload was declared unsigned, or was empty and compared already.
    Open(B),
    /// Compared already, and held in memory.
    Buffered(Option<Bytes>),
    /// Checked as it streams.
    Checked(Watch<B>),
    /// What [`Default`] makes, and what a body that was taken leaves behind.
    Empty,
}

impl<B> VerifiedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Binds `body` to the head that was verified, and hands out the watch with which the layer looks at it later.
    ///
    /// A body that is at its end already is compared here, before the inner service is called.
    pub(super) fn bind(head: VerifiedHead, body: B) -> Result<(Self, Option<Watch<B>>), Reason> {
        let mut check = head.into_body_check();
        if !check.is_open() {
            return Ok((Self { kind: Kind::Open(body) }, None));
        }
        if body.is_end_stream() {
            check.finish()?;
            return Ok((Self { kind: Kind::Empty }, None));
        }
        let watch = Watch::new(CheckedBody::new(Source::Whole(body), check));
        Ok((Self { kind: Kind::Checked(watch.share()) }, Some(watch)))
    }

    /// Binds the file of a form to the evidence that the form was verified. The size that its policy allows takes the
    /// place of a hash.
    pub(super) fn file(form: VerifiedForm, reader: FormReader<B>) -> (PostObject, Self, Watch<B>) {
        let (object, size) = form.into_parts();
        let source = Source::File(Box::new(reader));
        let watch = Watch::new(CheckedBody::new(source, size.into_body_check()));
        (object, Self { kind: Kind::Checked(watch.share()) }, watch)
    }

    /// Without a payload, for a second attempt of a request that was verified.
    #[cfg(feature = "sign")]
    pub(crate) fn empty(_first: &Self) -> Self {
        Self { kind: Kind::Empty }
    }

    /// For a body that was read and hashed before the head could be verified.
    pub(super) fn buffered(_evidence: VerifiedHead, body: Bytes) -> Self {
        Self { kind: Kind::Buffered(Some(body).filter(|body| !body.is_empty())) }
    }
}

impl<B> fmt::Debug for VerifiedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Open(_) => "Open",
            Kind::Buffered(_) => "Buffered",
            Kind::Checked(_) => "Checked",
            Kind::Empty => "Empty",
        };
        f.debug_tuple("VerifiedBody").field(&kind).finish()
    }
}

impl<B> Body for VerifiedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().kind {
            Kind::Open(body) => loop {
                return Poll::Ready(match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    Some(Ok(frame)) if frame.is_data() => Some(Ok(frame)),
                    Some(Ok(_trailers)) => continue,
                    Some(Err(error)) => Some(Err(BodyError::Transport(error.into()))),
                    None => None,
                });
            },
            Kind::Buffered(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Checked(watch) => watch.lock().poll_frame(cx),
            Kind::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Open(body) => body.is_end_stream(),
            Kind::Buffered(bytes) => bytes.is_none(),
            Kind::Checked(watch) => watch.lock().is_end_stream(),
            Kind::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Open(body) => body.size_hint(),
            Kind::Buffered(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Checked(watch) => watch.lock().size_hint(),
            Kind::Empty => SizeHint::with_exact(0),
        }
    }
}

/// Why a verified body could not be read to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The payload is not the one that was signed.
    Unverified(Reason),
    /// The connection failed.
    Transport(BoxError),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unverified(_) => "the payload is not the one that was signed",
            Self::Transport(_) => "the request's body could not be read",
        })
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unverified(reason) => Some(reason),
            Self::Transport(error) => Some(&**error),
        }
    }
}
