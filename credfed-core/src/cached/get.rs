//! Waiting for a credential.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;

use crate::ProviderError;
use crate::cached::engine::{Core, MARGIN, Overdue, Verdict};
use crate::cached::flight::{Flight, Landing, Load};
use crate::cached::slot::Cached;
use crate::runtime::Sleep;

/// After so many loads that were lost or that brought what nobody could use, a caller gives up.
const MOST_LOSSES: u8 = 3;

/// The future of [`CachedProvider::get`](super::CachedProvider::get): `Send`, `'static`, and free to be
/// dropped at any time.
#[must_use = "futures do nothing unless polled"]
pub struct Get<C> {
    core: Arc<Core<C>>,
    state: State<C>,
    losses: u8,
}

enum State<C> {
    Start,
    Waiting { load: Load<C>, limit: Sleep },
}

impl<C> Get<C> {
    pub(super) fn new(core: Arc<Core<C>>) -> Self {
        Self { core, state: State::Start, losses: 0 }
    }
}

impl<C: Send + Sync + 'static> Future for Get<C> {
    type Output = Result<Cached<C>, ProviderError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Start => {
                    if let Some(hit) = this.core.hit() {
                        return Poll::Ready(Ok(hit));
                    }
                    match this.core.decide(this.losses) {
                        Verdict::Serve(cached) => return this.done(Ok(cached)),
                        Verdict::Fail(error) => return this.done(Err(error)),
                        Verdict::Nudge(cached, flight) => {
                            let cached = this.nudge(cached, flight, cx);
                            return this.done(Ok(cached));
                        }
                        Verdict::Wait { load, limit } => {
                            let limit = this.core.sleep(limit);
                            this.state = State::Waiting { load, limit };
                        }
                    }
                }
                State::Waiting { load, limit } => {
                    match load.poll(cx) {
                        Poll::Ready(Landing::Loaded(entry)) => {
                            if let Some(cached) = this.core.still_current(entry) {
                                return this.done(Ok(cached));
                            }
                        }
                        Poll::Ready(Landing::Failed(error)) => {
                            let answer = this.core.fallback().ok_or(error);
                            return this.done(answer);
                        }
                        Poll::Ready(Landing::Lost) => {}
                        Poll::Pending => {
                            if limit.poll_unpin(cx).is_pending() {
                                return Poll::Pending;
                            }
                            match this.core.overdue(load) {
                                Overdue::Answer(answer) => return this.done(answer),
                                Overdue::WaitOn(left) => {
                                    *limit = this.core.sleep(left);
                                    continue;
                                }
                            }
                        }
                    }
                    this.losses += 1;
                    this.state = State::Start;
                    if this.losses > MOST_LOSSES {
                        let error = ProviderError::transient("no credential lasted until it could be served");
                        let answer = this.core.fallback().ok_or(error);
                        return this.done(answer);
                    }
                }
            }
        }
    }
}

impl<C: Send + Sync + 'static> Get<C> {
    /// Moves a load on that nobody drives.
    fn nudge(&self, cached: Cached<C>, mut flight: Flight<C>, cx: &mut Context<'_>) -> Cached<C> {
        match flight.poll(cx) {
            Poll::Ready(Landing::Loaded(entry)) => self.core.still_current(entry).unwrap_or(cached),
            _ => cached,
        }
    }

    /// Tells of what is served. Polled once more, it asks anew.
    fn done(&mut self, answer: Result<Cached<C>, ProviderError>) -> Poll<Result<Cached<C>, ProviderError>> {
        if let Ok(cached) = &answer
            && !cached.stale
        {
            self.core.tell_served(&cached.entry);
        }
        self.state = State::Start;
        self.losses = 0;
        Poll::Ready(answer)
    }
}

/// The future of [`CachedProvider::refreshed`](super::CachedProvider::refreshed): `Send`, `'static`, and free to
/// be dropped at any time.
#[must_use = "futures do nothing unless polled"]
pub struct Refreshed<C> {
    core: Arc<Core<C>>,
    seen: Cached<C>,
    state: State<C>,
}

impl<C> Refreshed<C> {
    pub(super) fn new(core: Arc<Core<C>>, seen: Cached<C>) -> Self {
        Self { core, seen, state: State::Start }
    }
}

impl<C: Send + Sync + 'static> Future for Refreshed<C> {
    type Output = Option<Cached<C>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Start => {
                    if let Some(newer) = this.core.newer(&this.seen) {
                        return Poll::Ready(Some(newer));
                    }
                    // What landed between the two looks is newer; what landed before both is not under way.
                    let Some(load) = this.core.load_newer(&this.seen) else {
                        return Poll::Ready(this.core.newer(&this.seen));
                    };
                    // The load's own deadline comes first, and tells of its failure.
                    let margin = Duration::from_nanos(MARGIN);
                    let limit = this.core.sleep(this.core.load_deadline.saturating_add(margin));
                    this.state = State::Waiting { load, limit };
                }
                State::Waiting { load, limit } => {
                    if load.poll(cx).is_pending() && limit.poll_unpin(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.state = State::Start;
                    return Poll::Ready(this.core.newer(&this.seen));
                }
            }
        }
    }
}

impl<C> fmt::Debug for Refreshed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Get<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = matches!(self.state, State::Waiting { .. });
        f.debug_struct("Get").field("waiting", &waiting).finish_non_exhaustive()
    }
}
