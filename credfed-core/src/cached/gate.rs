//! What is decided under the lock: the one flight, pauses after failures, limits on forced refreshes.

use std::sync::Arc;
use std::time::Duration;

use crate::ProviderError;
use crate::cached::backoff;
use crate::cached::flight::{Flight, Ticket};
use crate::cached::isolated::Claims;
use crate::cached::slot::Entry;
use crate::dice::Dice;
use crate::runtime::{Now, nanos};

/// Between two loads that rejections force, in nanoseconds.
const FORCED_LEAST: u64 = 5_000_000_000;
const FORCED_MOST: u64 = 300_000_000_000;

/// Moments are nanoseconds of the monotonic clock.
pub(super) struct Gate<C> {
    /// The load under way; at most one.
    pub(super) flight: Option<Flight<C>>,
    /// In its place, where every caller is on its own.
    pub(super) claims: Claims,
    /// How many loads were started.
    loads: u64,
    /// How many credentials were loaded.
    pub(super) generation: u64,
    /// Loads that failed since the last one that worked.
    pub(super) failures: u32,
    pub(super) last_error: Option<ProviderError>,
    /// The credential that was last taken out by `invalidate`, until another one is loaded.
    pub(super) rejected: Option<Arc<Entry<C>>>,
    /// The last load that began before that.
    last_before: u64,
    pub(super) refresh_from: u64,
    pub(super) dice: Dice,
    /// No load before this while a valid credential is there.
    warm_until: u64,
    /// No load before this while there is none.
    cold_until: u64,
    cold_failures: u32,
    /// When a load was last found to have failed.
    failed_at: u64,
    /// Loads of their own that callers left behind a valid credential, since the last one that worked.
    left: u32,
    /// When the last load began that a rejection forced.
    forced_at: Option<u64>,
    /// How often in a row a load brought back what was rejected.
    recurred: u32,
    /// A load lost its task: until this moment those who wait drive alone.
    alone_until: u64,
}

/// What a load brought, seen beside what was there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    New,
    /// The very same credential as the one at hand.
    Held,
    /// The one that was rejected last.
    Rejected,
}

impl<C> Gate<C> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            flight: None,
            claims: Claims::default(),
            loads: 0,
            generation: 0,
            failures: 0,
            last_error: None,
            rejected: None,
            last_before: 0,
            refresh_from: 0,
            dice: Dice::new(seed),
            warm_until: 0,
            cold_until: 0,
            cold_failures: 0,
            failed_at: 0,
            left: 0,
            forced_at: None,
            recurred: 0,
            alone_until: 0,
        }
    }

    /// Whether the source is left alone for now although the credential at hand ages.
    pub(super) fn pauses_warm(&self, now: Now) -> bool {
        now.mono < self.warm_until
    }

    /// Takes out a load that will not land any more. One that lost its task is begun once more, without a task to
    /// lose: a runtime that drops one of them may drop the next one too.
    pub(super) fn take_lost(&mut self, now: Now, deadline: Duration) -> Option<Flight<C>> {
        let lost = self.flight.take_if(|flight| flight.is_lost(now, deadline));
        // One that nobody drove is lost only once this moment is over.
        if let Some(flight) = &lost {
            self.alone_until = flight.started.saturating_add(nanos(deadline));
        }
        lost
    }

    /// Whether no task is to be spawned for a load.
    pub(super) fn is_alone(&self, now: Now) -> bool {
        now.mono < self.alone_until
    }

    /// Whether the last load failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Whether a load that began then, and failed, says no more than one that failed since: of several that callers
    /// make for themselves at a time, the first failure speaks for all.
    pub(super) fn knows_since(&self, started: u64) -> bool {
        started < self.failed_at
    }

    /// A caller left a load of its own behind a credential that is valid for `remaining`: the next one begins after a
    /// second, doubling up to half a minute, and no more than a quarter of the time that is left.
    pub(super) fn abandoned(&mut self, now: Now, remaining: Option<Duration>) {
        let pause = Duration::from_secs(1 << self.left.min(5)).min(remaining.unwrap_or(Duration::MAX) / 4);
        self.left = self.left.saturating_add(1);
        self.warm_until = self.warm_until.max(later(now, pause));
    }

    /// The error to share while the source is left alone and there is nothing to serve.
    pub(super) fn pauses_cold(&self, now: Now) -> Option<&ProviderError> {
        self.last_error.as_ref().filter(|_| now.mono < self.cold_until)
    }

    /// Takes note of a failed load. `remaining` is how long a valid credential lasts, if there is one.
    /// Gives the moment up to which the source is left alone. What replaces the last error takes it out first
    /// and drops it after the lock: it carries a foreign cause, whose drop may ask this very cache.
    pub(super) fn failed(&mut self, error: &ProviderError, now: Now, remaining: Option<Duration>) -> u64 {
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now.mono;
        self.last_error = Some(error.clone());
        // What the server asks for holds on both sides of the expiry: a wall clock that is set crosses it either way.
        let asked_for = later(now, backoff::asked_for(error));
        self.warm_until = self.warm_until.max(asked_for);
        self.cold_until = self.cold_until.max(asked_for);
        if let Some(remaining) = remaining {
            let pause = backoff::warm(error, remaining, &mut self.dice);
            self.warm_until = self.warm_until.max(later(now, pause));
            self.warm_until
        } else {
            self.cold_failures = self.cold_failures.saturating_add(1);
            let pause = backoff::cold(error, self.cold_failures, &mut self.dice);
            self.cold_until = self.cold_until.max(later(now, pause));
            self.cold_until
        }
    }

    /// Leaves the source alone for as long as it asked for, by a failure that is not counted. Gives the error that is
    /// forgotten, to be dropped after the lock.
    #[must_use]
    pub(super) fn heed(&mut self, error: &ProviderError, now: Now) -> Option<ProviderError> {
        let until = later(now, backoff::asked_for(error));
        if until <= self.cold_until.max(now.mono) {
            return None;
        }
        self.cold_until = until;
        self.warm_until = self.warm_until.max(until);
        self.last_error.replace(error.clone())
    }

    /// Takes note of a load that worked. Gives the error that is forgotten, to be dropped after the lock.
    #[must_use]
    pub(super) fn succeeded(&mut self, brought: Brought) -> Option<ProviderError> {
        self.failures = 0;
        self.left = 0;
        self.cold_failures = 0;
        self.warm_until = 0;
        self.cold_until = 0;
        self.alone_until = 0;
        self.recurred = match brought {
            Brought::New => 0,
            Brought::Held => self.recurred,
            Brought::Rejected => self.recurred.saturating_add(1),
        };
        self.last_error.take()
    }

    /// A load is asked for, and the next one may be from this moment on: the limit of whoever asks takes the place of
    /// the pause that follows a failure behind a valid credential.
    pub(super) fn note_refresh(&mut self, next: u64) {
        self.refresh_from = next;
        self.warm_until = 0;
    }

    /// The source gave the held credential once more: it is asked again a little later.
    pub(super) fn ask_again_at(&mut self, mono: u64) {
        self.warm_until = mono;
    }

    /// For a load that begins now. If a rejection forced it, the next one of its kind has to wait from here.
    pub(super) fn next_ticket(&mut self, now: Now) -> Ticket {
        if self.rejected.is_some() {
            self.forced_at = Some(now.mono);
        }
        self.loads += 1;
        Ticket { id: self.loads, base: self.generation }
    }

    /// Whether a load began before the last rejection.
    pub(super) fn is_of_before(&self, ticket: &Ticket) -> bool {
        ticket.id <= self.last_before
    }

    /// Takes note of a rejection. The next load may begin at once, unless the last forced one was a moment
    /// ago or the server asked for patience. Gives the error that is forgotten, to be dropped after the lock.
    #[must_use]
    pub(super) fn rejected(&mut self, now: Now) -> Option<ProviderError> {
        self.last_before = self.loads;
        let from = self.forced_from();
        if from <= self.cold_until.max(now.mono) {
            return None;
        }
        self.cold_until = from;
        let error = ProviderError::rejected("the credential was rejected by the service that it is for");
        self.last_error.replace(error)
    }

    /// When a rejection may force the next load. The first that brings the same one back does not lengthen the pause.
    fn forced_from(&self) -> u64 {
        let doublings = self.recurred.saturating_sub(1).min(16);
        let pause = (FORCED_LEAST << doublings).min(FORCED_MOST);
        self.forced_at.map_or(0, |at| at.saturating_add(pause))
    }
}

pub(super) fn later(now: Now, by: Duration) -> u64 {
    now.mono.saturating_add(nanos(by))
}
