//! One load at a time: who may start it, how it lands, and the verdict for everyone else.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, select};
use tracing::Instrument;

use crate::cached::builder::Builder;
use crate::cached::gate::{Gate, later};
use crate::cached::shared::Shared;
use crate::cached::slot::{Cached, Entry, Phase};
use crate::cached::status::{State, Status};
use crate::cached::sync::{Lock, Snapshot};
use crate::cached::{Mode, Observer, Rejection, Windows};
use crate::provider::DynProvider;
use crate::runtime::{Now, Runtime, Task, nanos};
use crate::{Expiring, Identity, ProviderError};

/// In the mandatory window a caller waits until the load is this old, in nanoseconds; then it is served.
const PATIENCE: u64 = 2_000_000_000;

/// A load that is older than its deadline by this much has no timer left that would end it, in nanoseconds.
const MARGIN: u64 = 1_000_000_000;

/// Two expiries that differ by no more than this are one, in nanoseconds.
const SAME_EXPIRY: u64 = 1_000_000_000;

/// The engine behind all handles of one cached provider.
pub(super) struct Core<C> {
    snapshot: Snapshot<Entry<C>>,
    gate: Lock<Gate<C>>,
    source: Arc<dyn DynProvider<C>>,
    identity: Identity,
    runtime: Arc<dyn Runtime>,
    observer: Option<Arc<dyn Observer>>,
    windows: Windows,
    mode: Mode,
    load_deadline: Duration,
    refresh_cooldown: Duration,
    serve_expired: Duration,
}

/// A load under way, shared by all who wait for it: any of them can drive it.
pub(super) struct Flight<C> {
    landing: Shared<Landing<C>>,
    id: u64,
    started: u64,
    /// Dangles once the task that was spawned for it is gone. `None` if there never was one.
    tether: Option<Weak<()>>,
}

/// How a load ended.
pub(super) enum Landing<C> {
    Loaded(Arc<Entry<C>>),
    Failed(ProviderError),
    /// Its runtime went away under it, or it was overtaken: look again.
    Lost,
}

/// What becomes of a wait that reached its limit.
pub(super) enum Overdue<C> {
    Answer(Result<Cached<C>, ProviderError>),
    WaitOn(Duration),
}

/// What is to be done for one caller.
pub(super) enum Verdict<C> {
    Serve(Cached<C>),
    /// Poll the load once, for nobody else drives it; then serve.
    Nudge(Cached<C>, Flight<C>),
    /// Wait for the load, but no longer than the limit.
    Wait {
        flight: Flight<C>,
        limit: Duration,
    },
    Fail(ProviderError),
}

impl<C: Send + Sync + 'static> Core<C> {
    pub(super) fn new(builder: Builder<C>) -> Self {
        let digest = builder.identity.digest();
        let salt = digest.iter().take(8).fold(0_u64, |salt, &byte| (salt << 8) | u64::from(byte));
        Self {
            snapshot: Snapshot::empty(),
            gate: Lock::new(Gate::new(builder.runtime.seed() ^ salt)),
            source: builder.source,
            identity: builder.identity,
            runtime: builder.runtime,
            observer: builder.observer,
            windows: builder.windows,
            mode: builder.mode,
            load_deadline: builder.load_deadline,
            refresh_cooldown: builder.refresh_cooldown,
            serve_expired: builder.serve_expired,
        }
    }

    /// The cheapest hit: no lock, no allocation, no reference count.
    #[inline]
    pub(super) fn with<R>(self: &Arc<Self>, f: impl FnOnce(&C) -> R) -> Option<R> {
        let snapshot = self.snapshot.load();
        if let Some(entry) = snapshot.as_ref()
            && entry.is_fresh(self.runtime.coarse_now())
        {
            self.observe(|observer| observer.hit(&self.identity));
            return Some(f(&entry.credential));
        }
        drop(snapshot);
        let entry = self.ageing()?;
        Some(f(&entry.credential))
    }

    /// A hit that outlives the call.
    #[inline]
    pub(super) fn hit(&self) -> Option<Cached<C>> {
        let snapshot = self.snapshot.load();
        let entry = snapshot.as_ref().filter(|entry| entry.is_fresh(self.runtime.coarse_now()))?;
        self.observe(|observer| observer.hit(&self.identity));
        Some(serve(Arc::clone(entry)))
    }

    /// What a caller gets who cannot wait and came past the quiet youth of the credential. Starts a load
    /// where one is due and somebody would drive it.
    pub(super) fn ageing(self: &Arc<Self>) -> Option<Arc<Entry<C>>> {
        let now = self.runtime.now();
        let entry = self.snapshot.load_full();
        let phase = phase(entry.as_ref(), now);
        let at_rest = match phase {
            Phase::Fresh => true,
            Phase::Advisory | Phase::Mandatory => entry.as_ref().is_some_and(|entry| entry.is_quiet(now)),
            Phase::Expired => false,
        };
        if !at_rest {
            self.kick();
        }
        entry.filter(|_| phase != Phase::Expired)
    }

    /// What is to be done for a caller who can wait. `losses` counts the loads that were lost under it.
    pub(super) fn decide(self: &Arc<Self>, losses: u8) -> Verdict<C> {
        let now = self.runtime.now();
        if let Some(entry) = self.snapshot.load_full()
            && entry.phase(now) == Phase::Advisory
            && entry.is_quiet(now)
        {
            return self.serve_ageing(entry);
        }
        // A runtime that dropped the task at once would do so again: then the waiters drive alone.
        let drives = self.drives() && losses < 2;
        let mut gate = self.gate.lock();
        let entry = self.snapshot.load_full();
        let lost = gate.flight.take_if(|flight| flight.is_lost(now, self.load_deadline));
        let phase = phase(entry.as_ref(), now);
        let wanted = match phase {
            Phase::Fresh => false,
            Phase::Advisory | Phase::Mandatory => !gate.pauses_warm(now),
            Phase::Expired => gate.pauses_cold(now).is_none(),
        };
        let task = if wanted && gate.flight.is_none() { self.launch(&mut gate, now, drives) } else { None };
        if let (Some(entry), true) = (&entry, task.is_some()) {
            entry.keep_quiet_until(later(now, self.load_deadline));
        }
        let error = gate.pauses_cold(now).cloned();
        let flight = gate.flight.clone();
        drop(gate);
        drop(lost);
        if let Some(task) = task {
            self.runtime.spawn(task);
        }
        match (phase, entry, flight) {
            (Phase::Fresh, Some(entry), _) => Verdict::Serve(serve(entry)),
            (Phase::Mandatory, Some(_), Some(flight)) if flight.age(now) < PATIENCE => {
                let limit = Duration::from_nanos(PATIENCE - flight.age(now));
                Verdict::Wait { flight, limit }
            }
            (Phase::Advisory | Phase::Mandatory, Some(entry), Some(flight)) if flight.tether.is_none() => {
                Verdict::Nudge(serve(entry), flight)
            }
            (Phase::Advisory | Phase::Mandatory, Some(entry), _) => self.serve_ageing(entry),
            (_, _, Some(flight)) => Verdict::Wait { limit: self.left(&flight, now), flight },
            (_, entry, None) => match (self.stale(entry, now), error) {
                (Some(stale), _) => Verdict::Serve(stale),
                (None, Some(error)) => Verdict::Fail(error),
                // The pause ended between the two looks at it, which are one moment: there is always an error.
                (None, None) => Verdict::Fail(ProviderError::transient("no credential is at hand")),
            },
        }
    }

    /// What to serve after a wait that brought nothing new: a valid credential, or an expired one within the
    /// bounds of `serve_expired`.
    pub(super) fn fallback(&self) -> Option<Cached<C>> {
        let now = self.runtime.now();
        let entry = self.snapshot.load_full();
        match entry {
            Some(entry) if entry.is_valid(now) => Some(serve(entry)),
            entry => self.stale(entry, now),
        }
    }

    /// What becomes of a caller whose wait is over its limit while the load is still under way: a fallback, or
    /// more time, or the end of a load that ought to have ended by itself. A load ends by a timer of the
    /// runtime that polled it first, and that one may have stopped running.
    pub(super) fn overdue(&self, flight: &Flight<C>) -> Overdue<C> {
        if let Some(cached) = self.fallback() {
            return Overdue::Answer(Ok(cached));
        }
        let now = self.runtime.now();
        let left = self.left(flight, now);
        if !left.is_zero() {
            return Overdue::WaitOn(left);
        }
        match self.fail(flight.id, too_late(), now) {
            Landing::Failed(error) => Overdue::Answer(Err(error)),
            Landing::Loaded(_) | Landing::Lost => Overdue::Answer(Err(too_late())),
        }
    }

    /// What a load brought, unless it expired, was rejected or was replaced before its waiter looked.
    pub(super) fn still_current(&self, entry: Arc<Entry<C>>) -> Option<Cached<C>> {
        let current = self.snapshot.load();
        let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &entry));
        (is_current && entry.is_valid(self.runtime.now())).then(|| serve(entry))
    }

    pub(super) fn sleep(&self, duration: Duration) -> crate::runtime::Sleep {
        self.runtime.sleep(duration)
    }

    pub(super) fn refresh(self: &Arc<Self>, seen: &Cached<C>) {
        let now = self.runtime.now();
        {
            let mut gate = self.gate.lock();
            let current = self.snapshot.load();
            let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &seen.entry));
            let is_free = gate.flight.is_none() && now.mono >= gate.refresh_from && !gate.pauses_warm(now);
            if !is_current || !is_free {
                return;
            }
            gate.refresh_from = later(now, self.refresh_cooldown);
            seen.entry.hurry();
        }
        self.kick();
    }

    pub(super) fn invalidate(&self, rejected: &Cached<C>, why: Rejection) {
        let now = self.runtime.now();
        let forgotten = {
            let mut gate = self.gate.lock();
            let is_current =
                self.snapshot.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, &rejected.entry));
            if !is_current {
                return;
            }
            gate.rejected(now);
            (self.snapshot.swap(None), gate.rejected.replace(Arc::clone(&rejected.entry)))
        };
        drop(forgotten);
        tracing::warn!(identity = %self.identity, ?why, "the service rejected the current credential");
        self.observe(|observer| observer.invalidated(&self.identity, why));
    }

    pub(super) fn status(&self) -> Status {
        let now = self.runtime.now();
        let gate = self.gate.lock();
        let entry = self.snapshot.load_full();
        Status {
            state: match &entry {
                None => State::Empty,
                Some(entry) => match entry.phase(now) {
                    Phase::Fresh => State::Fresh,
                    Phase::Advisory => State::Advisory,
                    Phase::Mandatory => State::Mandatory,
                    Phase::Expired => State::Expired,
                },
            },
            expires_in: entry.and_then(|entry| entry.remaining(now)),
            generation: gate.generation,
            refreshing: gate.flight.is_some(),
            consecutive_failures: gate.failures,
            last_error: gate.last_error.as_ref().map(ProviderError::kind),
        }
    }

    /// How long a load may still take, with a margin for its own deadline to come first.
    fn left(&self, flight: &Flight<C>, now: Now) -> Duration {
        let limit = nanos(self.load_deadline).saturating_add(MARGIN);
        Duration::from_nanos(limit.saturating_sub(flight.age(now)))
    }

    /// Whether a task can be spawned for a load, here and now.
    fn drives(&self) -> bool {
        self.mode == Mode::Spawned && self.runtime.can_spawn()
    }

    /// Starts a load if one is due and somebody would drive it.
    fn kick(self: &Arc<Self>) {
        if self.drives() {
            drop(self.decide(0));
        }
    }

    fn serve_ageing(&self, entry: Arc<Entry<C>>) -> Verdict<C> {
        if entry.is_failing() {
            self.observe(|observer| observer.served_while_failing(&self.identity));
        }
        Verdict::Serve(serve(entry))
    }

    fn stale(&self, entry: Option<Arc<Entry<C>>>, now: Now) -> Option<Cached<C>> {
        let entry = entry.filter(|entry| entry.expired_for(now) < nanos(self.serve_expired))?;
        Some(Cached { entry, stale: true })
    }

    /// Puts a load into the gate and gives the task to spawn for it, if it is to be driven. Runs no code but
    /// its own, for the gate is held.
    fn launch(self: &Arc<Self>, gate: &mut Gate<C>, now: Now, drives: bool) -> Option<Task> {
        gate.flights += 1;
        let (id, base) = (gate.flights, gate.generation);
        let tether = drives.then(|| Arc::new(()));
        let (alive, orphaned) = oneshot::channel::<Infallible>();
        let landing = fly(
            Arc::downgrade(self),
            self.identity,
            Ticket { id, base, started: now },
            Arc::clone(&self.source),
            Arc::clone(&self.runtime),
            self.load_deadline,
            drives.then_some(orphaned),
        );
        let mut landing = Shared::new(landing.boxed());
        let flight = Flight {
            landing: landing.clone(),
            id,
            started: now.mono,
            tether: tether.as_ref().map(Arc::downgrade),
        };
        gate.flight = Some(flight);
        let guard = (tether?, alive);
        Some(Box::pin(async move {
            poll_fn(|cx| landing.poll(cx)).await;
            drop(guard);
        }))
    }

    /// Takes in what a load brought.
    fn land(&self, ticket: &Ticket, loaded: Result<Expiring<C>, ProviderError>) -> Landing<C> {
        let now = self.runtime.now();
        match loaded.and_then(|loaded| Arrival::judge(loaded, ticket.started, now)) {
            Ok(arrival) => self.commit(ticket, arrival, now),
            Err(error) => self.fail(ticket.id, error, now),
        }
    }

    fn commit(&self, ticket: &Ticket, arrival: Arrival<C>, now: Now) -> Landing<C> {
        let rejected = self.gate.lock().rejected.clone();
        let recurred = rejected
            .is_some_and(|rejected| self.source.is_same_dyn(&rejected.credential, &arrival.credential));
        let held = self.snapshot.load_full().filter(|held| {
            arrival.expires_with(held) && self.source.is_same_dyn(&held.credential, &arrival.credential)
        });
        let lifetime = arrival.lifetime;
        let ended;
        let (entry, forgotten) = {
            let mut gate = self.gate.lock();
            ended = gate.flight.take_if(|flight| flight.id == ticket.id);
            if gate.generation != ticket.base {
                return Landing::Lost;
            }
            let is_current = |held: &Arc<Entry<C>>| {
                self.snapshot.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, held))
            };
            gate.succeeded(now, recurred);
            if let Some(held) = held.filter(is_current) {
                let pause = held.remaining(now).map_or(Duration::ZERO, |remaining| remaining / 10);
                let again = later(now, pause.max(Duration::from_secs(5)));
                gate.ask_again_at(again);
                held.calm();
                held.keep_quiet_until(again);
                (held, (None, None))
            } else {
                gate.generation += 1;
                let plan = self.windows.plan(lifetime, arrival.hint, gate.dice.fraction());
                let entry = Arc::new(Entry::new(arrival.credential, gate.generation, arrival.origin, plan));
                let before = self.snapshot.swap(Some(Arc::clone(&entry)));
                (entry, (before, gate.rejected.take()))
            }
        };
        drop((ended, forgotten));
        tracing::debug!(generation = entry.generation, lifetime = ?lifetime, "credential loaded");
        self.observe(|observer| observer.refresh_succeeded(&self.identity, lifetime));
        Landing::Loaded(entry)
    }

    fn fail(&self, id: u64, error: ProviderError, now: Now) -> Landing<C> {
        let Ok(still_valid) = self.note_failure(id, &error, now) else { return Landing::Failed(error) };
        tracing::warn!(kind = ?error.kind(), %error, still_valid = ?still_valid, "no new credential");
        self.observe(|observer| observer.refresh_failed(&self.identity, &error, still_valid));
        Landing::Failed(error)
    }

    /// Takes the load out of the gate and leaves the source alone for a while. Gives the time that a valid
    /// credential lasts, if there is one; an error if the load had been given up before.
    fn note_failure(&self, id: u64, error: &ProviderError, now: Now) -> Result<Option<Duration>, GivenUp> {
        let ended;
        let remaining = {
            let mut gate = self.gate.lock();
            ended = gate.flight.take_if(|flight| flight.id == id);
            if ended.is_none() {
                return Err(GivenUp);
            }
            let valid = self.snapshot.load_full().filter(|entry| entry.is_valid(now));
            let remaining = valid.as_ref().map(|entry| entry.remaining(now).unwrap_or(Duration::MAX));
            let until = gate.failed(error, now, remaining);
            if let Some(entry) = valid {
                entry.keep_quiet_until(until);
                entry.mark_failing();
            }
            remaining
        };
        drop(ended);
        Ok(remaining)
    }

    #[inline]
    fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            tell(observer.as_ref());
        }
    }
}

impl<C> Core<C> {
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }
}

impl<C> Flight<C> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Landing<C>> {
        self.landing.poll(cx).map(|landing| landing.unwrap_or(Landing::Lost))
    }

    fn age(&self, now: Now) -> u64 {
        now.mono.saturating_sub(self.started)
    }

    /// Whether it will not land any more: the task that was to drive it is gone, nobody drove it for too long,
    /// or it ended without having taken itself out of the gate.
    fn is_lost(&self, now: Now, deadline: Duration) -> bool {
        let deadline = nanos(deadline);
        let adrift = match &self.tether {
            Some(tether) => tether.strong_count() == 0 || self.age(now) > deadline.saturating_add(MARGIN),
            None => self.age(now) > deadline,
        };
        adrift || self.landing.is_over()
    }
}

impl<C> Clone for Flight<C> {
    fn clone(&self) -> Self {
        Self {
            landing: self.landing.clone(),
            id: self.id,
            started: self.started,
            tether: self.tether.clone(),
        }
    }
}

impl<C> Clone for Landing<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Loaded(entry) => Self::Loaded(Arc::clone(entry)),
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Lost => Self::Lost,
        }
    }
}

/// What a load knows of its start: its number, the generation that it is to follow, the time.
struct Ticket {
    id: u64,
    base: u64,
    started: Now,
}

/// The load had been taken out of the gate before it ended.
struct GivenUp;

/// A credential that is good for something.
struct Arrival<C> {
    credential: C,
    origin: Now,
    lifetime: Option<Duration>,
    hint: Option<Duration>,
}

impl<C> Arrival<C> {
    fn judge(loaded: Expiring<C>, started: Now, now: Now) -> Result<Self, ProviderError> {
        let origin = if loaded.counts_from_the_request() { started } else { now };
        let lifetime = loaded.lifetime(now.wall());
        if let Some(lifetime) = lifetime.map(nanos)
            && (origin.mono.saturating_add(lifetime) <= now.mono
                || origin.wall.saturating_add(lifetime) <= now.wall)
        {
            return Err(ProviderError::transient("the credential had expired when it arrived"));
        }
        let hint = loaded.hint();
        Ok(Self { credential: loaded.into_value(), origin, lifetime, hint })
    }

    fn expires_with(&self, held: &Entry<C>) -> bool {
        let wall =
            self.lifetime.map_or(u64::MAX, |lifetime| self.origin.wall.saturating_add(nanos(lifetime)));
        wall.abs_diff(held.expires_at.wall) <= SAME_EXPIRY
    }
}

/// One load from start to landing. A panic of the source ends in it, so that it cannot poison what is shared.
async fn fly<C: Send + Sync + 'static>(
    core: Weak<Core<C>>,
    identity: Identity,
    ticket: Ticket,
    source: Arc<dyn DynProvider<C>>,
    runtime: Arc<dyn Runtime>,
    deadline: Duration,
    orphaned: Option<oneshot::Receiver<Infallible>>,
) -> Landing<C> {
    let span = tracing::info_span!("credfed.refresh", %identity);
    let flight = async move {
        if let Some(core) = core.upgrade() {
            let started = AssertUnwindSafe(|| core.observe(|observer| observer.refresh_started(&identity)));
            drop(catch_unwind(started));
        }
        let load = AssertUnwindSafe(async {
            match select(source.provide_dyn(), runtime.sleep(deadline)).await {
                Either::Left((loaded, _)) => loaded,
                Either::Right(_) => Err(too_late()),
            }
        });
        let load = pin!(load.catch_unwind());
        let loaded = match orphaned {
            None => load.await,
            Some(orphaned) => match select(orphaned, load).await {
                Either::Left(_) => return Landing::Lost,
                Either::Right((loaded, _)) => loaded,
            },
        };
        let panicked = || ProviderError::transient("the source panicked");
        let loaded = loaded.unwrap_or_else(|_| Err(panicked()));
        let Some(core) = core.upgrade() else {
            return Landing::Failed(ProviderError::transient("the cached provider is gone"));
        };
        catch_unwind(AssertUnwindSafe(|| core.land(&ticket, loaded))).unwrap_or_else(|_| {
            let error = panicked();
            let _ = core.note_failure(ticket.id, &error, ticket.started);
            Landing::Failed(error)
        })
    };
    flight.instrument(span).await
}

fn too_late() -> ProviderError {
    ProviderError::transient("the source did not answer in time")
}

fn serve<C>(entry: Arc<Entry<C>>) -> Cached<C> {
    Cached { entry, stale: false }
}

fn phase<C>(entry: Option<&Arc<Entry<C>>>, now: Now) -> Phase {
    entry.map_or(Phase::Expired, |entry| entry.phase(now))
}
