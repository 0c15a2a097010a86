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
use crate::cached::flight::{Landing, Load, Ticket, let_go};
use crate::cached::gate::later;
use crate::cached::slot::Phase;
use crate::runtime::Now;

/// Those that make a load of their own.
#[derive(Default)]
pub(super) struct Claims(Vec<Claim>);

/// Moments are nanoseconds of the monotonic clock.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    ticket: Ticket,
    pub(super) started: u64,
    lapses: u64,
}

impl Claim {
    /// The generation that its load was to follow.
    pub(super) fn base(&self) -> u64 {
        self.ticket.base
    }
}

impl Claims {
    pub(super) fn count(&self, now: Now) -> usize {
        self.0.iter().filter(|claim| now.mono < claim.lapses).count()
    }

    /// Takes a claim out; `None` if it had lapsed when another one was staked.
    pub(super) fn lift(&mut self, id: u64) -> Option<Claim> {
        let place = self.0.iter().position(|claim| claim.ticket.id == id)?;
        Some(self.0.swap_remove(place))
    }

    fn stake(&mut self, claim: Claim) {
        self.0.retain(|other| claim.started < other.lapses);
        self.0.push(claim);
    }
}

/// A load that one caller makes for itself, and that ends with it.
pub(super) struct OwnLoad<C> {
    core: Arc<Core<C>>,
    /// Taken out to be dropped.
    landing: Option<BoxFuture<'static, Landing<C>>>,
    claim: Claim,
}

impl<C: Send + Sync + 'static> OwnLoad<C> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Landing<C>> {
        self.landing.as_mut().map_or(Poll::Ready(Landing::Lost), |landing| landing.poll_unpin(cx))
    }

    /// How long it may still take.
    pub(super) fn left(&self, now: Now) -> Duration {
        Duration::from_nanos(self.claim.lapses.saturating_sub(now.mono))
    }

    /// It took too long for its caller. It counts as failed, or the next caller would lose as much time at once.
    pub(super) fn give_up(&self) -> ProviderError {
        self.core.give_up(self.claim.ticket.id)
    }
}

impl<C> Drop for OwnLoad<C> {
    fn drop(&mut self) {
        let now = self.core.runtime.now();
        let held = self.core.snapshot.load_full().filter(|held| held.is_valid(now));
        let mut gate = self.core.gate.lock();
        if let Some(claim) = gate.claims.lift(self.claim.ticket.id)
            && now.mono < claim.lapses
            && claim.base() == gate.generation
            && let Some(held) = &held
        {
            // Its caller left a refresh of this very one. The next one may have no more time than this one had, and
            // there is one to serve.
            gate.abandoned(now, held.remaining(now));
        }
        drop(gate);
        let_go(self.landing.take());
    }
}

impl<C: Send + Sync + 'static> Core<C> {
    /// What is to be done for a caller who waits for nobody but itself. Whoever has waited for a load before makes
    /// another one only if there is nothing to serve.
    pub(super) fn decide_alone(self: &Arc<Self>, waited: u64) -> Verdict<C> {
        let now = self.runtime.now();
        let mut gate = self.gate.lock();
        let entry = self.snapshot.load_full();
        let at_it = gate.claims.count(now);
        let mut limit = self.left(waited);
        match (phase(entry.as_ref(), now), entry) {
            (Phase::Fresh, Some(entry)) => return Verdict::Serve(serve(entry)),
            (Phase::Advisory | Phase::Mandatory, Some(entry))
                if at_it > 0 || waited > 0 || gate.pauses_warm(now) =>
            {
                return Verdict::Serve(serve(entry));
            }
            (Phase::Advisory, Some(_)) => limit = Duration::from_nanos(PATIENCE),
            (Phase::Mandatory, Some(_)) => {}
            (_, entry) => {
                // Only once a load has failed: until then the source may just be about to say that it is over.
                let stale = self.stale(entry, now).filter(|_| gate.has_failed());
                let refusal = match gate.pauses_cold(now) {
                    Some(error) => Some(error.clone()),
                    None => (at_it >= self.isolated_loads).then(too_many),
                };
                match (refusal, stale) {
                    (Some(_), Some(stale)) => return Verdict::Serve(stale),
                    (Some(error), None) => return Verdict::Fail(error),
                    (None, Some(stale)) if waited > 0 => return Verdict::Serve(stale),
                    (None, Some(_)) => limit = Duration::from_nanos(PATIENCE),
                    (None, None) => {}
                }
            }
        }
        let ticket = gate.next_ticket(now);
        let lapses = later(now, self.load_deadline).saturating_add(MARGIN);
        let claim = Claim { ticket, started: now.mono, lapses };
        gate.claims.stake(claim);
        drop(gate);
        let landing = Some(self.fly(ticket, None).boxed());
        Verdict::Wait { load: Load::Own(OwnLoad { core: Arc::clone(self), landing, claim }), limit }
    }
}

fn too_many() -> ProviderError {
    ProviderError::throttled("as many callers as may be are loading a credential of their own", None)
}
