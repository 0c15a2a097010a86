//! Where the bytes of a verified body come from: the request's body as it is, or the file of a form in it.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use credfed_sigv4_verify::{PostFault, Reason, SizeCheck};
use http_body::{Body, Frame, SizeHint};

use super::FormReader;
use crate::verify::body::BodyError;

type BoxError = Box<dyn Error + Send + Sync>;

pub(in crate::verify) enum Source<B> {
    Whole(B),
    File(Box<FormFile<B>>),
}

/// The file of a form whose fields were verified.
pub(in crate::verify) struct FormFile<B> {
    reader: FormReader<B>,
    /// Taken when the file has ended.
    size: Option<SizeCheck>,
}

/// Why no more comes.
#[derive(Debug)]
pub(in crate::verify) struct SourceError {
    pub(in crate::verify) reason: Reason,
    transport: Option<BoxError>,
}

impl SourceError {
    pub(super) fn transport(error: BoxError) -> Self {
        Self { reason: Reason::IncompleteBody, transport: Some(error) }
    }

    /// What the reader of the body is told.
    pub(in crate::verify) fn into_body_error(self) -> BodyError {
        match self.transport {
            Some(error) => BodyError::Transport(error),
            None => BodyError::Unverified(self.reason),
        }
    }
}

impl From<Reason> for SourceError {
    fn from(reason: Reason) -> Self {
        Self { reason, transport: None }
    }
}

impl From<PostFault> for SourceError {
    fn from(fault: PostFault) -> Self {
        Reason::PostForm(fault).into()
    }
}

impl<B> FormFile<B> {
    pub(in crate::verify) fn new(reader: FormReader<B>, size: SizeCheck) -> Self {
        Self { reader, size: Some(size) }
    }
}

impl<B> Source<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    pub(in crate::verify) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        match self {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|next| next.map(|frame| frame.map_err(|error| SourceError::transport(error.into())))),
            Self::File(file) => file.poll_frame(cx),
        }
    }

    /// A file never is before it was asked for more than there is.
    pub(in crate::verify) fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::File(_) => false,
        }
    }

    pub(in crate::verify) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::File(_) => SizeHint::default(),
        }
    }
}

impl<B> FormFile<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        Poll::Ready(match ready!(self.reader.poll_file(cx)) {
            Some(Ok(bytes)) => {
                let counted = match &mut self.size {
                    Some(size) => size.add(bytes.len() as u64),
                    None => Err(Reason::Internal),
                };
                Some(counted.map(|()| Frame::data(bytes)).map_err(SourceError::from))
            }
            Some(Err(error)) => Some(Err(error)),
            None => match self.size.take().map(SizeCheck::finish) {
                Some(Err(reason)) => Some(Err(reason.into())),
                Some(Ok(())) | None => None,
            },
        })
    }
}
