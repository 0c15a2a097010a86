//! Where the bytes of a verified body come from: the request's body as it is, or the file of a form in it.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use credfed_sigv4_verify::{PostFault, Reason};
use http_body::{Body, Frame, SizeHint};

use super::FormReader;
use crate::verify::body::BodyError;

type BoxError = Box<dyn Error + Send + Sync>;

pub(in crate::verify) enum Source<B> {
    Whole(B),
    /// Of a form whose fields were verified.
    File(Box<FormReader<B>>),
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
            Self::File(reader) => reader.poll_file(cx).map(|next| next.map(|bytes| bytes.map(Frame::data))),
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
