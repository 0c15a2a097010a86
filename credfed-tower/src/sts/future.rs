//! One request to STS: read the body within its bound, then answer.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;

use super::body::StsBody;
use super::error::StsError;
use super::parameters::LONGEST;
use super::service::StsService;
use super::signed::Answering;

/// The response of [`StsService`].
#[pin_project]
pub struct StsFuture<B> {
    service: StsService,
    #[pin]
    stage: Stage<B>,
}

#[pin_project(project = StageProjection)]
#[allow(clippy::large_enum_variant, reason = "what is read lives about as long as the request")]
enum Stage<B> {
    Read {
        parts: Option<Parts>,
        #[pin]
        body: B,
        read: BytesMut,
    },
    Answer(Answering),
}

impl<B> StsFuture<B> {
    pub(super) fn new(service: StsService, request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        Self { service, stage: Stage::Read { parts: Some(parts), body, read: BytesMut::new() } }
    }
}

impl<B> fmt::Debug for StsFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsFuture").finish_non_exhaustive()
    }
}

impl<B> Future for StsFuture<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<StsBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Read { parts, body, read } => {
                    let complete = match parts.as_ref().map(announced) {
                        Some(announced) => ready!(poll_body(body, read, announced, cx)),
                        None => Err(StsError::Internal),
                    };
                    let answering = match (parts.take(), complete) {
                        (Some(parts), Ok(())) => this.service.answer(parts, read.split().freeze()),
                        (parts, complete) => {
                            let error = complete.err().unwrap_or(StsError::Internal);
                            return Poll::Ready(Ok(this.service.refuse(parts.as_ref(), error)));
                        }
                    };
                    this.stage.set(Stage::Answer(answering));
                }
                StageProjection::Answer(answering) => return answering.as_mut().poll(cx).map(Ok),
            }
        }
    }
}

/// Appends to `read` until the body ends. What is announced to be too long is not read at all.
fn poll_body<B>(
    mut body: Pin<&mut B>,
    read: &mut BytesMut,
    announced: u64,
    cx: &mut Context<'_>,
) -> Poll<Result<(), StsError>>
where
    B: Body<Data = Bytes>,
{
    let rest = LONGEST.saturating_sub(read.len());
    if announced > LONGEST as u64 || body.size_hint().lower() > rest as u64 {
        return Poll::Ready(Err(StsError::TooLarge));
    }
    while let Some(frame) = ready!(body.as_mut().poll_frame(cx)) {
        let Ok(frame) = frame else { return Poll::Ready(Err(StsError::Body)) };
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > LONGEST.saturating_sub(read.len()) {
            return Poll::Ready(Err(StsError::TooLarge));
        }
        read.extend_from_slice(&data);
    }
    Poll::Ready(Ok(()))
}

/// The length that the client announced; a length that is none is the HTTP server's to refuse.
fn announced(parts: &Parts) -> u64 {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
