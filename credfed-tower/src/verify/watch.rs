//! A body under check, shared by the inner service, which reads it, and the layer, which has the last word.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use credfed_sigv4_verify::{BodyCheck, Reason};
use http_body::{Body, Frame, SizeHint};

use super::body::BodyError;
use super::form::Source;

/// How much of an unread body the layer reads itself before it gives up on an answer of success.
pub(super) const DRAIN_LIMIT: usize = 64 * 1024;

pub(super) struct Watch<B> {
    shared: Arc<Mutex<CheckedBody<B>>>,
}

impl<B> Watch<B> {
    pub(super) fn new(body: CheckedBody<B>) -> Self {
        Self { shared: Arc::new(Mutex::new(body)) }
    }

    pub(super) fn share(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }

    /// Whether the inner service let go of the body, so that reading on takes nothing away from it.
    pub(super) fn is_sole(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// A panic while the lock was held leaves a state in which nothing more is released, so poison is no danger.
    pub(super) fn lock(&self) -> MutexGuard<'_, CheckedBody<B>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> fmt::Debug for Watch<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

pub(super) struct CheckedBody<B> {
    body: Source<B>,
    /// Keeps back what may not be handed on yet.
    check: BodyCheck,
    progress: Progress,
}

enum Progress {
    Reading,
    Verified,
    /// The reason stays for the layer after the reader has seen it.
    Failed {
        reason: Reason,
        told: bool,
    },
}

/// What the layer finds when the inner service has answered.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Verified,
    Failed(Reason),
    Unread,
}

impl<B> CheckedBody<B> {
    pub(super) fn new(body: Source<B>, check: BodyCheck) -> Self {
        Self { body, check, progress: Progress::Reading }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match &self.progress {
            Progress::Reading => Verdict::Unread,
            Progress::Verified => Verdict::Verified,
            Progress::Failed { reason, .. } => Verdict::Failed(reason.clone()),
        }
    }
}

impl<B> CheckedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Progress::Failed { reason, told } = &mut self.progress {
                let untold = !std::mem::replace(told, true);
                return Poll::Ready(untold.then(|| Err(BodyError::Unverified(reason.clone()))));
            }
            if let Some(data) = self.check.pop() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if matches!(self.progress, Progress::Verified) {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(self.poll_wire(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Takes one frame from the wire, and says how many bytes it had. One may give several to hand on, or none.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, BodyError>> {
        Poll::Ready(match ready!(self.body.poll_frame(cx)) {
            Some(Ok(frame)) => {
                // Trailers of the message are covered by no signature.
                let data = frame.into_data().unwrap_or_default();
                let size = data.len();
                match self.check.push(data) {
                    Err(reason) => self.progress = Progress::Failed { reason, told: false },
                    Ok(()) if self.body.is_end_stream() => self.judge(),
                    Ok(()) => {}
                }
                Ok(size)
            }
            Some(Err(error)) => {
                self.progress = Progress::Failed { reason: error.reason.clone(), told: true };
                Err(error.into_body_error())
            }
            None => {
                self.judge();
                Ok(0)
            }
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self.progress {
            Progress::Reading => false,
            Progress::Verified => self.check.held() == 0,
            Progress::Failed { told, .. } => told,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let held = self.check.held() as u64;
        match (&self.progress, self.check.decoded_rest()) {
            // Exact, and no reader gets to its end before everything has passed.
            (Progress::Reading | Progress::Verified, Some(rest)) => SizeHint::with_exact(rest),
            (Progress::Reading, None) => {
                let rest = self.body.size_hint();
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
                    hint.set_upper(upper);
                }
                hint.set_lower(rest.lower().saturating_add(held));
                hint
            }
            (Progress::Verified, None) => SizeHint::with_exact(held),
            (Progress::Failed { .. }, _) => SizeHint::default(),
        }
    }

    /// Reads on for the layer, which passes nothing on, until the verdict stands or `budget` bytes of the wire were
    /// read.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, budget: &mut usize) -> Poll<Verdict> {
        while matches!(self.progress, Progress::Reading) {
            while self.check.pop().is_some() {}
            if *budget == 0 {
                return Poll::Ready(Verdict::Unread);
            }
            // An error stands in the verdict.
            if let Ok(read) = ready!(self.poll_wire(cx)) {
                *budget = budget.saturating_sub(read.max(1));
            }
        }
        Poll::Ready(self.verdict())
    }

    fn judge(&mut self) {
        self.progress = match self.check.finish() {
            Ok(()) => Progress::Verified,
            Err(reason) => Progress::Failed { reason, told: false },
        };
    }
}
