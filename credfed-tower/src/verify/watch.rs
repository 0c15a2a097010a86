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
    /// The newest frame: released when a newer one comes, or when everything has passed.
    held: Option<Bytes>,
    progress: Progress,
}

enum Progress {
    /// Without a check where the source brings its own, as the file of a form does.
    Reading(Option<BodyCheck>),
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
    pub(super) fn new(body: Source<B>, check: Option<BodyCheck>) -> Self {
        Self { body, held: None, progress: Progress::Reading(check) }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match &self.progress {
            Progress::Reading(_) => Verdict::Unread,
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
            let check = match &mut self.progress {
                Progress::Verified => return Poll::Ready(self.held.take().map(|last| Ok(Frame::data(last)))),
                Progress::Failed { told: true, .. } => return Poll::Ready(None),
                Progress::Failed { reason, told } => {
                    *told = true;
                    return Poll::Ready(Some(Err(BodyError::Unverified(reason.clone()))));
                }
                Progress::Reading(check) => check,
            };
            match ready!(self.body.poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are covered by no signature.
                    let Ok(data) = frame.into_data() else { continue };
                    if data.is_empty() {
                        continue;
                    }
                    if let Some(check) = check {
                        check.update(&data);
                    }
                    let earlier = self.held.replace(data);
                    if self.body.is_end_stream() {
                        self.judge();
                    }
                    if let Some(earlier) = earlier {
                        return Poll::Ready(Some(Ok(Frame::data(earlier))));
                    }
                }
                Some(Err(error)) => {
                    self.held = None;
                    self.progress = Progress::Failed { reason: error.reason.clone(), told: true };
                    return Poll::Ready(Some(Err(error.into_body_error())));
                }
                None => self.judge(),
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self.progress {
            Progress::Reading(_) => false,
            Progress::Verified => self.held.is_none(),
            Progress::Failed { told, .. } => told,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().map_or(0, Bytes::len) as u64;
        match self.progress {
            Progress::Reading(_) => {
                let rest = self.body.size_hint();
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(held)) {
                    hint.set_upper(upper);
                }
                hint.set_lower(rest.lower().saturating_add(held));
                hint
            }
            Progress::Verified => SizeHint::with_exact(held),
            Progress::Failed { .. } => SizeHint::default(),
        }
    }

    /// Reads on for the layer, which passes nothing on, until the verdict stands or `budget` bytes were read.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, budget: &mut usize) -> Poll<Verdict> {
        while matches!(self.progress, Progress::Reading(_)) {
            if *budget == 0 {
                return Poll::Ready(Verdict::Unread);
            }
            if let Some(Ok(frame)) = ready!(self.poll_frame(cx)) {
                let read = frame.data_ref().map_or(0, Bytes::len);
                *budget = budget.saturating_sub(read.max(1));
            }
        }
        Poll::Ready(self.verdict())
    }

    fn judge(&mut self) {
        let Progress::Reading(check) = std::mem::replace(&mut self.progress, Progress::Verified) else {
            return;
        };
        if let Err(reason) = check.map_or(Ok(()), BodyCheck::finish) {
            self.held = None;
            self.progress = Progress::Failed { reason, told: false };
        }
    }
}
