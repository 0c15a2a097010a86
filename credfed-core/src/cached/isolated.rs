//! Loads that belong to one caller alone ([`Mode::Isolated`](super::Mode::Isolated)).
//!
//! Nobody waits for anybody else, so there is no flight. A caller that needs a load puts a claim into the gate, which
//! says since when somebody is at it and nothing more, and makes the load itself. A claim goes with its caller; one
//! whose caller was stopped without being dropped lapses.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::ProviderError;
use crate::cached::engine::{Core, MARGIN, PATIENCE, Verdict, phase, serve};
use crate::cached::flight::{Landing, Load, Ticket, too_late};
use crate::cached::gate::{Gate, later};
use crate::cached::slot::Phase;
use crate::runtime::Now;

/// Those that make a load of their own.
#[derive(Default)]
pub(super) struct Claims(Vec<Claim>);

struct Claim {
    ticket: Ticket,
    /// On the monotonic clock.
    lapses: u64,
}

impl Claims {
    pub(super) fn count(&self, now: Now) -> usize {
        self.0.iter().filter(|claim| now.mono < claim.lapses).count()
    }

    /// Takes a claim out, and gives the generation that its load was to follow.
    pub(super) fn lift(&mut self, id: u64) -> Option<u64> {
        let place = self.0.iter().position(|claim| claim.ticket.id == id)?;
        Some(self.0.swap_remove(place).ticket.base)
    }

    fn stake(&mut self, ticket: Ticket, now: Now, lapses: u64) {
        self.0.retain(|claim| now.mono < claim.lapses);
        self.0.push(Claim { ticket, lapses });
    }
}

/// A load that one caller makes for itself, and that ends with it.
pub(super) struct OwnLoad<C> {
    core: Arc<Core<C>>,
    landing: BoxFuture<'static, Landing<C>>,
    id: u64,
}

impl<C: Send + Sync + 'static> OwnLoad<C> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Landing<C>> {
        self.landing.poll_unpin(cx)
    }

    /// It took too long for its caller. It counts as failed, or the next caller would lose as much time at once.
    pub(super) fn give_up(&self) -> ProviderError {
        match self.core.fail(self.id, too_late(), self.core.runtime.now()) {
            Landing::Failed(error) => error,
            Landing::Loaded(_) | Landing::Lost => too_late(),
        }
    }
}

impl<C> Drop for OwnLoad<C> {
    fn drop(&mut self) {
        let _ = self.core.gate.lock().claims.lift(self.id);
    }
}

impl<C: Send + Sync + 'static> Core<C> {
    /// What is to be done for a caller who waits for nobody but itself.
    pub(super) fn decide_alone(self: &Arc<Self>) -> Verdict<C> {
        let now = self.runtime.now();
        let mut gate = self.gate.lock();
        let entry = self.snapshot.load_full();
        let at_it = gate.claims.count(now);
        let mut limit = self.load_deadline.saturating_add(Duration::from_nanos(MARGIN));
        match (phase(entry.as_ref(), now), entry) {
            (Phase::Fresh, Some(entry)) => return Verdict::Serve(serve(entry)),
            (Phase::Advisory | Phase::Mandatory, Some(entry)) if at_it > 0 || gate.pauses_warm(now) => {
                return Verdict::Serve(serve(entry));
            }
            (Phase::Advisory, Some(_)) => limit = Duration::from_nanos(PATIENCE),
            (Phase::Mandatory, Some(_)) => {}
            (_, entry) => {
                let stale = self.stale(entry, now);
                let refusal = match gate.pauses_cold(now) {
                    Some(error) => Some(error.clone()),
                    None => (at_it >= self.isolated_loads).then(too_many),
                };
                match (refusal, stale) {
                    (Some(_), Some(stale)) => return Verdict::Serve(stale),
                    (Some(error), None) => return Verdict::Fail(error),
                    (None, Some(_)) if gate.has_failed() => limit = Duration::from_nanos(PATIENCE),
                    (None, _) => {}
                }
            }
        }
        let ticket = self.claim(&mut gate, now);
        drop(gate);
        let (id, landing) = (ticket.id, self.fly(ticket, None).boxed());
        Verdict::Wait { load: Load::Own(OwnLoad { core: Arc::clone(self), landing, id }), limit }
    }

    fn claim(&self, gate: &mut Gate<C>, now: Now) -> Ticket {
        let ticket = gate.next_ticket(now);
        let lapses = later(now, self.load_deadline).saturating_add(MARGIN);
        gate.claims.stake(ticket, now, lapses);
        ticket
    }
}

fn too_many() -> ProviderError {
    ProviderError::throttled("as many callers as may be are loading a credential of their own", None)
}
