//! Waiting for a credential.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;

use crate::ProviderError;
use crate::cached::engine::{Core, Verdict, serve};
use crate::cached::flight::{Flight, Landing, Load, too_late};
use crate::cached::slot::{Cached, Entry};
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
    /// When it began to wait, in nanoseconds of the monotonic clock.
    since: Option<u64>,
}

enum State<C> {
    Start,
    Waiting { load: Load<C>, limit: Sleep },
}

impl<C> Get<C> {
    pub(super) fn new(core: Arc<Core<C>>) -> Self {
        Self { core, state: State::Start, losses: 0, since: None }
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
                    match this.core.decide(waited(&this.core, this.since)) {
                        Verdict::Serve(cached) => return this.done(Ok(cached)),
                        Verdict::Fail(error) => return this.done(Err(error)),
                        Verdict::Nudge(cached, flight) => {
                            let cached = this.nudge(cached, flight, cx);
                            return this.done(Ok(cached));
                        }
                        Verdict::Wait { load, limit } => {
                            this.since.get_or_insert_with(|| this.core.now());
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
                            match this.core.overdue(load, waited(&this.core, this.since)) {
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
                    if this.core.left(waited(&this.core, this.since)).is_zero() {
                        // It slept past its own deadline, as with its machine, and starts over.
                        this.since = None;
                    }
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
        self.since = None;
        Poll::Ready(answer)
    }
}

/// What becomes of a wait that reached its limit.
enum Overdue<C> {
    Answer(Result<Cached<C>, ProviderError>),
    WaitOn(Duration),
}

impl<C: Send + Sync + 'static> Core<C> {
    /// What to serve after a wait that brought nothing new: a valid credential, or an expired one within the
    /// bounds of `serve_expired` if a load has failed.
    fn fallback(&self) -> Option<Cached<C>> {
        let now = self.runtime.now();
        let entry = self.snapshot.load_full();
        match entry {
            Some(entry) if entry.is_valid(now) => Some(serve(entry)),
            entry => self.stale(entry, now).filter(|_| self.gate.lock().has_failed()),
        }
    }

    /// What becomes of a caller whose wait is over its limit while the load is still under way: a fallback, or
    /// more time, or the end of a load that ought to have ended by itself. A load ends by a timer of the
    /// runtime that polled it first, and that one may have stopped running.
    fn overdue(&self, load: &Load<C>, waited: u64) -> Overdue<C> {
        let now = self.runtime.now();
        let of_load = match load {
            Load::Shared(flight) => self.left(flight.age(now)),
            Load::Own(own) => own.left(now),
        };
        let left = of_load.min(self.left(waited));
        let served = self.fallback();
        if served.is_none() && !left.is_zero() {
            // The credential may have expired during the wait, with no load failed since.
            return Overdue::WaitOn(left);
        }
        let error = match (load, served) {
            (Load::Shared(_), Some(cached)) => return Overdue::Answer(Ok(cached)),
            (Load::Own(own), Some(_)) => own.give_up(),
            // It goes on without a caller who has waited for others before.
            _ if !of_load.is_zero() => too_late(),
            (Load::Own(own), None) => own.give_up(),
            (Load::Shared(flight), None) => self.give_up(flight.id),
        };
        Overdue::Answer(self.fallback().ok_or(error))
    }

    /// What a load brought, unless it expired, was rejected or was replaced before its waiter looked.
    fn still_current(&self, entry: Arc<Entry<C>>) -> Option<Cached<C>> {
        let current = self.snapshot.load();
        let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &entry));
        (is_current && entry.is_valid(self.runtime.now())).then(|| serve(entry))
    }
}

/// For how long it has waited, in nanoseconds.
fn waited<C: Send + Sync + 'static>(core: &Core<C>, since: Option<u64>) -> u64 {
    since.map_or(0, |since| core.now().saturating_sub(since))
}

/// The future of [`CachedProvider::refreshed`](super::CachedProvider::refreshed): `Send`, `'static`, and free to
/// be dropped at any time.
#[must_use = "futures do nothing unless polled"]
pub struct Refreshed<C> {
    core: Arc<Core<C>>,
    seen: Cached<C>,
    state: State<C>,
    /// Whether it waits for a second load, after one that was lost.
    again: bool,
}

impl<C> Refreshed<C> {
    pub(super) fn new(core: Arc<Core<C>>, seen: Cached<C>) -> Self {
        Self { core, seen, state: State::Start, again: false }
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
                    let limit = this.core.sleep(this.core.left(0));
                    this.state = State::Waiting { load, limit };
                }
                State::Waiting { load, limit } => {
                    match load.poll(cx) {
                        Poll::Pending if limit.poll_unpin(cx).is_pending() => return Poll::Pending,
                        Poll::Ready(Landing::Lost)
                            if !this.again && this.core.newer(&this.seen).is_none() =>
                        {
                            if let Some(next) = this.core.load_due() {
                                (*load, this.again) = (next, true);
                                continue;
                            }
                        }
                        _ => {}
                    }
                    (this.state, this.again) = (State::Start, false);
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
