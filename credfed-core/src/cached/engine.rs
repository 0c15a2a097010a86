//! The engine: the snapshot, the gate, and the verdict for each caller.

use std::sync::Arc;
use std::time::Duration;

use crate::cached::builder::Builder;
use crate::cached::flight::{Flight, Load};
use crate::cached::gate::{Gate, later};
use crate::cached::slot::{Cached, Entry, Phase};
use crate::cached::status::{State, Status};
use crate::cached::sync::{Lock, Snapshot};
use crate::cached::{Mode, Observer, Rejection, Windows};
use crate::provider::DynProvider;
use crate::runtime::{Now, Runtime, Sleep, nanos};
use crate::{Identity, ProviderError};

/// A caller for whom there is something else to serve waits until the load is this old, in nanoseconds.
pub(super) const PATIENCE: u64 = 2_000_000_000;

/// A load that is older than its deadline by this much has no timer left that would end it, in nanoseconds.
pub(super) const MARGIN: u64 = 1_000_000_000;

/// The engine behind all handles of one cached provider.
pub(super) struct Core<C> {
    pub(super) snapshot: Snapshot<Entry<C>>,
    pub(super) gate: Lock<Gate<C>>,
    pub(super) source: Arc<dyn DynProvider<C>>,
    pub(super) identity: Identity,
    pub(super) runtime: Arc<dyn Runtime>,
    observer: Option<Arc<dyn Observer>>,
    pub(super) windows: Windows,
    mode: Mode,
    pub(super) load_deadline: Duration,
    refresh_cooldown: Duration,
    serve_expired: Duration,
    pub(super) isolated_loads: usize,
}

/// What is to be done for one caller.
pub(super) enum Verdict<C> {
    Serve(Cached<C>),
    /// Poll the load once, for nobody else drives it; then serve.
    Nudge(Cached<C>, Flight<C>),
    /// Wait for the load, but no longer than the limit.
    Wait {
        load: Load<C>,
        limit: Duration,
    },
    Fail(ProviderError),
}

impl<C: Send + Sync + 'static> Core<C> {
    pub(super) fn new(builder: Builder<C>) -> Self {
        let Builder { source, identity, settings } = builder;
        let digest = identity.digest();
        let salt = digest.iter().take(8).fold(0_u64, |salt, &byte| (salt << 8) | u64::from(byte));
        Self {
            snapshot: Snapshot::empty(),
            gate: Lock::new(Gate::new(settings.runtime.seed() ^ salt)),
            source,
            identity,
            runtime: settings.runtime,
            observer: settings.observer,
            windows: settings.windows,
            mode: settings.mode,
            load_deadline: settings.load_deadline,
            refresh_cooldown: settings.refresh_cooldown,
            serve_expired: settings.serve_expired,
            isolated_loads: settings.isolated_loads,
        }
    }

    /// The cheapest hit: no lock, no allocation, no reference count.
    #[inline]
    pub(super) fn with<R>(self: &Arc<Self>, f: impl FnOnce(&C) -> R) -> Option<R> {
        let snapshot = self.snapshot.load();
        if let Some(entry) = snapshot.as_ref()
            && self.hit_of(entry)
        {
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
        let entry = snapshot.as_ref().filter(|entry| self.hit_of(entry))?;
        Some(serve(Arc::clone(entry)))
    }

    /// Whether what is current is in its quiet youth; then it is served.
    #[inline]
    pub(super) fn hit_of(&self, entry: &Entry<C>) -> bool {
        let fresh = entry.is_fresh(self.runtime.coarse_now());
        if fresh {
            self.tell_hit(entry);
        }
        fresh
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
        let entry = entry.filter(|_| phase != Phase::Expired)?;
        self.tell_served(&entry);
        Some(entry)
    }

    /// What is to be done for a caller who can wait, and has waited for so long, in nanoseconds. Who serves what this
    /// gives tells the observer.
    pub(super) fn decide(self: &Arc<Self>, waited: u64) -> Verdict<C> {
        let now = self.runtime.now();
        if let Some(entry) = self.snapshot.load_full()
            && entry.phase(now) == Phase::Advisory
            && entry.is_quiet(now)
        {
            return Verdict::Serve(serve(entry));
        }
        self.decide_by_the_gate(waited)
    }

    /// The same although somebody is at it, or it was tried a moment ago.
    fn decide_by_the_gate(self: &Arc<Self>, waited: u64) -> Verdict<C> {
        if self.mode == Mode::Isolated {
            self.decide_alone(waited)
        } else {
            self.decide_together(Some(waited))
        }
    }

    /// What is to be done for a caller who waits for the load that all share, or does not wait (`None`).
    fn decide_together(self: &Arc<Self>, waited: Option<u64>) -> Verdict<C> {
        let now = self.runtime.now();
        let drives = self.drives();
        let mut gate = self.gate.lock();
        let entry = self.snapshot.load_full();
        let lost = gate.take_lost(now, self.load_deadline);
        let drives = drives && !gate.is_alone(now);
        let phase = phase(entry.as_ref(), now);
        let wanted = match phase {
            Phase::Fresh => false,
            Phase::Advisory | Phase::Mandatory => !gate.pauses_warm(now),
            Phase::Expired => gate.pauses_cold(now).is_none(),
        };
        let begins = wanted && gate.flight.is_none() && (drives || waited.is_some());
        let task = if begins { self.launch(&mut gate, now, drives) } else { None };
        if let (Some(entry), true) = (&entry, task.is_some()) {
            entry.keep_quiet_until(later(now, self.load_deadline));
        }
        let error = gate.pauses_cold(now).cloned();
        let failing = gate.has_failed();
        let flight = gate.flight.clone();
        drop(gate);
        drop(lost);
        if let Some(task) = task {
            self.runtime.spawn(task);
        }
        // Of a caller who has waited for another load before, no more patience is asked than of one who came now.
        let age = flight.as_ref().map_or(0, |flight| flight.age(now)).max(waited.unwrap_or(0));
        match (phase, entry, flight) {
            (Phase::Fresh, Some(entry), _) => Verdict::Serve(serve(entry)),
            (Phase::Mandatory, Some(_), Some(flight)) if age < PATIENCE => {
                let limit = Duration::from_nanos(PATIENCE - age);
                Verdict::Wait { load: Load::Shared(flight), limit }
            }
            (Phase::Advisory | Phase::Mandatory, Some(entry), Some(flight)) if flight.tether.is_none() => {
                Verdict::Nudge(serve(entry), flight)
            }
            (Phase::Advisory | Phase::Mandatory, Some(entry), _) => Verdict::Serve(serve(entry)),
            // Only once a load has failed: until then the source may just be about to say that it is over.
            (_, entry, Some(flight)) => match self.stale(entry, now).filter(|_| failing) {
                Some(stale) if age >= PATIENCE => match flight.tether {
                    Some(_) => Verdict::Serve(stale),
                    None => Verdict::Nudge(stale, flight),
                },
                Some(_) => {
                    let limit = Duration::from_nanos(PATIENCE - age);
                    Verdict::Wait { load: Load::Shared(flight), limit }
                }
                None => Verdict::Wait { limit: self.left(age), load: Load::Shared(flight) },
            },
            (_, entry, None) => match (self.stale(entry, now), error) {
                (Some(stale), _) => Verdict::Serve(stale),
                (None, Some(error)) => Verdict::Fail(error),
                // The pause ended between the two looks at it, which are one moment: there is always an error.
                (None, None) => Verdict::Fail(ProviderError::transient("no credential is at hand")),
            },
        }
    }

    /// In nanoseconds of the monotonic clock.
    pub(super) fn now(&self) -> u64 {
        self.runtime.now().mono
    }

    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        self.runtime.sleep(duration)
    }

    pub(super) fn refresh(self: &Arc<Self>, seen: &Cached<C>) {
        if self.ask_for_newer(seen) {
            self.kick();
        }
    }

    /// The load that is to bring something newer than `seen`: the one under way, or one that begins now because it
    /// is due or [`refresh`](Self::refresh) would ask for it. `None` if there is neither.
    pub(super) fn load_newer(self: &Arc<Self>, seen: &Cached<C>) -> Option<Load<C>> {
        self.ask_for_newer(seen);
        // Whoever may not ask: another one has asked and not begun it yet, or had nobody to drive it.
        self.load_due()
    }

    /// The load under way, or one that begins now because it is due.
    pub(super) fn load_due(self: &Arc<Self>) -> Option<Load<C>> {
        if let Verdict::Wait { load: Load::Own(own), .. } = self.decide_by_the_gate(0) {
            return Some(Load::Own(own));
        }
        self.gate.lock().flight.clone().map(Load::Shared)
    }

    /// What is current now, if it is not `seen`.
    pub(super) fn newer(&self, seen: &Cached<C>) -> Option<Cached<C>> {
        let entry = self.snapshot.load_full()?;
        let is_newer = !Arc::ptr_eq(&entry, &seen.entry) && entry.is_valid(self.runtime.now());
        is_newer.then(|| serve(entry))
    }

    /// Ends the quiet youth of `seen`, if it is current and a load may be asked for.
    fn ask_for_newer(&self, seen: &Cached<C>) -> bool {
        let now = self.runtime.now();
        {
            let mut gate = self.gate.lock();
            let current = self.snapshot.load();
            let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &seen.entry));
            let is_free = gate.flight.as_ref().is_none_or(|flight| flight.is_lost(now, self.load_deadline))
                && gate.claims.count(now) == 0
                && now.mono >= gate.refresh_from
                && gate.pauses_cold(now).is_none();
            if !is_current || !is_free {
                return false;
            }
            gate.note_refresh(later(now, self.refresh_cooldown));
            seen.entry.hurry();
        }
        true
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
            let error = gate.rejected(now);
            (self.snapshot.swap(None), gate.rejected.replace(Arc::clone(&rejected.entry)), error)
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
            refreshing: gate.claims.count(now) > 0
                || gate.flight.as_ref().is_some_and(|flight| !flight.is_lost(now, self.load_deadline)),
            consecutive_failures: gate.failures,
            last_error: gate.last_error.as_ref().map(ProviderError::kind),
        }
    }

    /// How long a load of this age may still take, with a margin for its own deadline to come first; or how long a
    /// caller who has waited for so long still waits.
    pub(super) fn left(&self, age: u64) -> Duration {
        let limit = nanos(self.load_deadline).saturating_add(MARGIN);
        Duration::from_nanos(limit.saturating_sub(age))
    }

    /// Whether a task can be spawned for a load, here and now.
    fn drives(&self) -> bool {
        self.mode == Mode::Spawned && self.runtime.can_spawn()
    }

    /// Starts a load if one is due and somebody would drive it.
    fn kick(self: &Arc<Self>) {
        if self.drives() {
            drop(self.decide_together(None));
        }
    }

    /// Tells that a valid credential past its quiet youth was served, if that is worth telling: once per
    /// caller, whatever way it went.
    pub(super) fn tell_served(&self, entry: &Entry<C>) {
        if entry.is_failing() {
            self.observe(|observer| observer.served_while_failing(&self.identity));
        }
    }

    /// A load may fail behind a credential in its quiet youth too, if another one overtook it.
    #[inline]
    fn tell_hit(&self, entry: &Entry<C>) {
        self.observe(|observer| {
            if entry.is_failing() {
                observer.served_while_failing(&self.identity);
            } else {
                observer.hit(&self.identity);
            }
        });
    }

    pub(super) fn stale(&self, entry: Option<Arc<Entry<C>>>, now: Now) -> Option<Cached<C>> {
        let entry = entry.filter(|entry| entry.expired_for(now) < nanos(self.serve_expired))?;
        Some(Cached { entry, stale: true })
    }

    #[inline]
    pub(super) fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
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

pub(super) fn serve<C>(entry: Arc<Entry<C>>) -> Cached<C> {
    Cached { entry, stale: false }
}

pub(super) fn phase<C>(entry: Option<&Arc<Entry<C>>>, now: Now) -> Phase {
    entry.map_or(Phase::Expired, |entry| entry.phase(now))
}
