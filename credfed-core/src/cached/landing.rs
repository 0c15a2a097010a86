//! How a load lands: what it brought is judged, and taken in or noted as a failure.

use std::sync::Arc;
use std::time::Duration;

use crate::cached::engine::Core;
use crate::cached::flight::{Landing, Ticket, too_late};
use crate::cached::gate::{Brought, later};
use crate::cached::slot::Entry;
use crate::runtime::{Now, nanos};
use crate::{Expiring, ProviderError};

/// Two expiries that differ by no more than this are one, in nanoseconds.
const SAME_EXPIRY: u64 = 1_000_000_000;

impl<C: Send + Sync + 'static> Core<C> {
    /// Takes in what a load brought.
    pub(super) fn land(
        &self,
        ticket: &Ticket,
        started: Now,
        loaded: Result<Expiring<C>, ProviderError>,
    ) -> Landing<C> {
        let now = self.runtime.now();
        match loaded.and_then(|loaded| Arrival::judge(loaded, started, now)) {
            Ok(arrival) => self.commit(ticket, arrival, now),
            Err(error) => self.fail(ticket.id, error, now),
        }
    }

    fn commit(&self, ticket: &Ticket, arrival: Arrival<C>, now: Now) -> Landing<C> {
        let rejected = self.gate.lock().rejected.clone();
        let recurred = rejected
            .is_some_and(|rejected| self.source.is_same_dyn(&rejected.credential, &arrival.credential));
        let held = self.snapshot.load_full();
        let held = held.filter(|held| self.source.is_same_dyn(&held.credential, &arrival.credential));
        let brought = match &held {
            _ if recurred => Brought::Rejected,
            Some(_) => Brought::Held,
            None => Brought::New,
        };
        let held = held.filter(|held| held.is_valid(now) && arrival.expires_with(held));
        let lifetime = arrival.lifetime;
        let (ended, error);
        let (entry, forgotten) = {
            let mut gate = self.gate.lock();
            ended = gate.flight.take_if(|flight| flight.id == ticket.id);
            let _ = gate.claims.lift(ticket.id);
            // Given up, or of before the rejection, and another load is under way: it must not bring the rejected one
            // back over that.
            let overtaken = recurred
                && (gate.flight.is_some() || gate.is_of_before(ticket) && gate.claims.count(now) > 0);
            if gate.generation != ticket.base || overtaken {
                return Landing::Lost;
            }
            let is_current = |held: &&Arc<Entry<C>>| {
                self.snapshot.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, held))
            };
            error = gate.succeeded(brought);
            if let Some(held) = held.as_ref().filter(is_current) {
                let hint = arrival.hint.unwrap_or_default();
                let pause = held.remaining(now).map_or(hint, |remaining| remaining / 10);
                let again = later(now, pause.max(Duration::from_secs(5)));
                gate.ask_again_at(again);
                held.calm();
                held.keep_quiet_until(again);
                (Arc::clone(held), (None, None))
            } else {
                gate.generation += 1;
                let plan = self.windows.plan(lifetime, arrival.hint, gate.dice.fraction());
                let entry = Arc::new(Entry::new(arrival.credential, gate.generation, arrival.origin, plan));
                let before = self.snapshot.swap(Some(Arc::clone(&entry)));
                (entry, (before, gate.rejected.take()))
            }
        };
        drop((ended, forgotten, error));
        tracing::debug!(generation = entry.generation, lifetime = ?lifetime, "credential loaded");
        self.observe(|observer| observer.refresh_succeeded(&self.identity, lifetime));
        Landing::Loaded(entry)
    }

    /// Ends a load that took too long for whoever waited for it.
    pub(super) fn give_up(&self, id: u64) -> ProviderError {
        let error = too_late();
        let _ = self.fail(id, error.clone(), self.runtime.now());
        error
    }

    fn fail(&self, id: u64, error: ProviderError, now: Now) -> Landing<C> {
        let Ok(still_valid) = self.note_failure(id, &error, now) else { return Landing::Failed(error) };
        tracing::warn!(kind = ?error.kind(), %error, still_valid = ?still_valid, "no new credential");
        self.observe(|observer| observer.refresh_failed(&self.identity, &error, still_valid));
        Landing::Failed(error)
    }

    /// Takes the load out of the gate and leaves the source alone for a while. Gives the time that a valid
    /// credential lasts, if there is one; an error if the load had been given up before.
    pub(super) fn note_failure(
        &self,
        id: u64,
        error: &ProviderError,
        now: Now,
    ) -> Result<Option<Duration>, GivenUp> {
        let (ended, forgotten);
        let remaining = {
            let mut gate = self.gate.lock();
            ended = gate.flight.take_if(|flight| flight.id == id);
            // One of a caller's own says nothing new once another one has brought something, or failed.
            let claim = gate.claims.lift(id).filter(|claim| claim.base() == gate.generation);
            let is_known = claim.is_none_or(|claim| gate.knows_since(claim.started));
            if ended.is_none() && is_known {
                // But for what the server asks for.
                forgotten = claim.and_then(|_| gate.heed(error, now));
                drop(gate);
                drop(forgotten);
                return Err(GivenUp);
            }
            forgotten = gate.last_error.take();
            let held = self.snapshot.load_full();
            let valid = held.as_ref().filter(|entry| entry.is_valid(now));
            let remaining = valid.map(|entry| entry.remaining(now).unwrap_or(Duration::MAX));
            let until = gate.failed(error, now, remaining);
            // An expired one too: a wall clock that is set back may bring it to life again.
            if let Some(entry) = held {
                entry.keep_quiet_until(until);
                entry.mark_failing();
            }
            remaining
        };
        drop((ended, forgotten));
        Ok(remaining)
    }
}

/// The load had been taken out of the gate before it ended.
pub(super) struct GivenUp;

/// A credential that is good for something.
struct Arrival<C> {
    credential: C,
    origin: Now,
    lifetime: Option<Duration>,
    hint: Option<Duration>,
}

impl<C> Arrival<C> {
    fn judge(loaded: Expiring<C>, started: Now, now: Now) -> Result<Self, ProviderError> {
        let origin = if loaded.counts_from_the_request() { began(started, now) } else { now };
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

/// When a load began. If the wall clock was set in the meantime, the reading that makes it longer ago counts.
fn began(started: Now, now: Now) -> Now {
    let elapsed = now.mono.saturating_sub(started.mono);
    Now { mono: started.mono, wall: started.wall.min(now.wall.saturating_sub(elapsed)) }
}
