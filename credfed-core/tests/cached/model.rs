//! The rules of the cached provider once more, as plainly as they can be put: what a caller gets, and when the source
//! may be called. It is told what the callers ask and what the source does, and knows nothing of the engine.
//!
//! Times are nanoseconds. Where the rules leave room for jitter, a moment is an interval.

use credfed_core::ErrorKind;
use credfed_core::cached::{Mode, State, Status};

use crate::held::NEVER;
pub(crate) use crate::held::{At, Due, Fault, Gift, Held, Outcome, Phase, SECOND};

pub(crate) const DEADLINE: i128 = 15 * SECOND;
pub(crate) const MARGIN: i128 = SECOND;
pub(crate) const PATIENCE: i128 = 2 * SECOND;
pub(crate) const ISOLATED_LOADS: usize = 3;
const COOL_DOWN: i128 = 5 * SECOND;
const FORCED_LEAST: i128 = 5 * SECOND;

/// The least and the most that a moment may be.
type Moment = (i128, i128);

/// A failure of which the source itself said nothing: a panic, a hang, what had expired when it arrived.
pub(crate) const UNNAMED: Fault = Fault { kind: ErrorKind::Transient, call: None, asks: 0 };

#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// 0 until the source was called.
    pub(crate) call: u32,
    pub(crate) since: At,
    follows: u64,
    /// A task of the runtime drives it.
    driven: bool,
    /// The runtime that drove it is gone.
    lost: bool,
    given_up: bool,
    /// Began before the last rejection.
    outdated: bool,
    pub(crate) patience: i128,
    ends: i128,
}

#[derive(Debug)]
pub(crate) struct Model {
    mode: Mode,
    pub(crate) held: Option<Held>,
    pub(crate) generation: u64,
    pub(crate) loads: Vec<Load>,
    pub(crate) failures: u32,
    /// What the last failure may be; one, but for jitter.
    pub(crate) last: Vec<Fault>,
    in_a_row: u32,
    failed_at: i128,
    /// Loads of their own that callers left behind a valid one, since the last that brought something.
    left: u32,
    warm: Moment,
    cold: Moment,
    /// After a runtime died the load may be taken up again any time up to here.
    orphaned_until: i128,
    /// After a runtime died nobody begins a load who does not wait for it.
    alone_until: i128,
    rejected: Option<u32>,
    /// When the last load began that a rejection forced, and how often in a row the rejected one came back.
    last_forced: Option<i128>,
    recurred: u32,
    refresh_from: i128,
}

impl Model {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            held: None,
            generation: 0,
            loads: Vec::new(),
            failures: 0,
            last: Vec::new(),
            in_a_row: 0,
            failed_at: 0,
            left: 0,
            warm: (0, 0),
            cold: (0, 0),
            orphaned_until: 0,
            alone_until: 0,
            rejected: None,
            last_forced: None,
            recurred: 0,
            refresh_from: 0,
        }
    }

    pub(crate) fn valid(&self, now: At) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.phase(now) != Phase::Expired)
    }

    /// Whether a caller who comes now and can have a load begun has one begun.
    pub(crate) fn due(&self, now: At) -> Due {
        let phase = self.held.map_or(Phase::Expired, |held| held.phase(now));
        let places = if self.mode == Mode::Isolated && phase == Phase::Expired { ISOLATED_LOADS } else { 1 };
        let (least, most) = if phase == Phase::Expired { self.cold } else { self.warm };
        if phase == Phase::Fresh || self.under_way(now).count() >= places || now.mono < least {
            return Due::No;
        }
        // A wall clock that was set back may have brought it to life again, with the source left alone meanwhile.
        let orphaned = phase != Phase::Expired && now.mono < self.orphaned_until.max(self.cold.1);
        if now.mono < most || phase == Phase::Either || orphaned { Due::Perhaps } else { Due::Yes }
    }

    /// The same for a caller who does not wait.
    pub(crate) fn due_in_passing(&self, now: At) -> Due {
        if now.mono < self.alone_until { Due::No } else { self.due(now) }
    }

    /// Whether the source is perhaps left alone by everybody, and perhaps not.
    pub(crate) fn may_pause(&self, now: At) -> bool {
        now.mono >= self.cold.0 && now.mono < self.cold.1
    }

    /// What somebody gets who does not wait.
    pub(crate) fn at_hand(&self, now: At) -> Outcome {
        self.valid(now).map_or(Outcome::Nothing, |held| Outcome::Served(held.generation))
    }

    /// What `get` answers after all that its call set off at once. `own`: a load of its own is under way.
    pub(crate) fn get(&self, now: At, own: bool) -> Vec<Outcome> {
        let alone = self.mode == Mode::Isolated;
        let patient = self.under_way(now).any(|load| now.mono - load.since.mono < PATIENCE);
        let failed = || self.last.iter().map(|&fault| Outcome::Failed(fault)).collect();
        let full = Outcome::Failed(Fault { kind: ErrorKind::Throttled, call: None, asks: 0 });
        match self.valid(now) {
            Some(_) if alone && own => vec![Outcome::Waits],
            Some(held) if !alone && held.phase(now) == Phase::Mandatory && patient => vec![Outcome::Waits],
            Some(held) => vec![Outcome::Served(held.generation)],
            None if own || !alone && self.under_way(now).next().is_some() => vec![Outcome::Waits],
            None if alone && self.under_way(now).count() >= ISOLATED_LOADS && now.mono >= self.cold.0 => {
                let paused: Vec<_> = if now.mono < self.cold.1 { failed() } else { Vec::new() };
                [vec![full], paused].concat()
            }
            None => failed(),
        }
    }

    /// What somebody gets who wants a newer one than `seen`.
    pub(crate) fn newer(&self, seen: u64, now: At, own: bool) -> Outcome {
        let shared = self.mode != Mode::Isolated && self.under_way(now).next().is_some();
        match self.valid(now) {
            Some(held) if held.generation != seen => Outcome::Served(held.generation),
            _ if own || shared => Outcome::Waits,
            _ => Outcome::Nothing,
        }
    }

    pub(crate) fn under_way(&self, now: At) -> impl Iterator<Item = &Load> {
        self.loads.iter().filter(move |load| !self.is_given_up(load, now))
    }

    fn is_given_up(&self, load: &Load, now: At) -> bool {
        let age = now.mono - load.since.mono;
        let adrift = match self.mode {
            Mode::Isolated => age >= DEADLINE + MARGIN,
            _ => !load.driven && age > DEADLINE,
        };
        load.given_up || load.lost || adrift
    }

    /// A load begins; `call` is 0 as long as nobody has moved it.
    pub(crate) fn began(&mut self, call: u32, now: At, driven: bool) {
        if let Some(load) = self.loads.iter_mut().find(|load| load.call == 0 && !load.lost) {
            (load.call, load.since) = (call, now);
            return;
        }
        assert_ne!(self.due(now), Due::No, "the source is called although nothing is due: {self:?}");
        self.loads.retain(|load| load.call != 0);
        for at in 0..self.loads.len() {
            self.loads[at].given_up = self.is_given_up(&self.loads[at], now);
        }
        // Whoever has a valid one waits for a load no longer than this; with its own it stays in the mandatory window.
        let phase = self.valid(now).map(|held| held.phase(now));
        let stays = self.mode == Mode::Isolated && phase == Some(Phase::Mandatory);
        let patience = if stays { DEADLINE } else { PATIENCE };
        let ends = if self.mode == Mode::Isolated && phase.is_some() { patience } else { DEADLINE };
        if self.rejected.is_some() {
            self.last_forced = Some(now.mono);
        }
        self.loads.push(Load {
            call,
            since: now,
            follows: self.generation,
            driven,
            lost: false,
            given_up: false,
            outdated: false,
            patience,
            ends,
        });
    }

    /// The source answers. Gives how the load failed, if it did.
    pub(crate) fn ended(&mut self, call: u32, now: At, answer: Result<Gift, Fault>) -> Option<Fault> {
        let load = self.take(call)?;
        let arrival = answer.and_then(|gift| {
            // If the wall clock was set meanwhile, the reading that makes the request longer ago counts.
            let elapsed = now.mono - load.since.mono;
            let asked = At { mono: load.since.mono, wall: load.since.wall.min(now.wall - elapsed) };
            let origin = if gift.from_arrival || gift.lifetime.is_none() { now } else { asked };
            let held = Held {
                generation: self.generation + 1,
                number: gift.number,
                origin,
                lifetime: gift.lifetime.unwrap_or(NEVER),
                hurried: false,
            };
            if now.since(origin) < held.lifetime { Ok(held) } else { Err(UNNAMED) }
        });
        match arrival {
            Ok(arrival) => {
                self.arrived(&load, arrival, now);
                None
            }
            Err(fault) => {
                self.failed(&load, fault, now);
                Some(fault)
            }
        }
    }

    /// The call is dropped before it answered. `polled`: by somebody who waited for it, or the task that drove it.
    pub(crate) fn dropped(&mut self, call: u32, now: At, polled: bool) -> Option<Fault> {
        let load = self.take(call)?;
        let age = now.mono - load.since.mono;
        // Who has nothing to be served instead stays.
        let late = polled && !load.lost && age >= load.ends && (age >= DEADLINE || self.valid(now).is_some());
        let of_another = load.follows != self.generation;
        if let (Mode::Isolated, false, Some(held)) =
            (self.mode, late || of_another || self.is_given_up(&load, now), self.valid(now))
        {
            let pause = ((1 << self.left.min(5)) * SECOND).min((held.lifetime - now.since(held.origin)) / 4);
            self.left += 1;
            let until = now.mono + pause;
            self.warm = (self.warm.0.max(until), self.warm.1.max(until));
        }
        late.then(|| {
            self.failed(&load, UNNAMED, now);
            UNNAMED
        })
    }

    fn take(&mut self, call: u32) -> Option<Load> {
        let at = self.loads.iter().position(|load| load.call == call)?;
        Some(self.loads.swap_remove(at))
    }

    fn arrived(&mut self, load: &Load, arrival: Held, now: At) {
        let recurred = self.rejected == Some(arrival.number);
        let replaced = match self.mode {
            Mode::Isolated => load.outdated && self.under_way(now).next().is_some(),
            _ => load.given_up && self.loads.iter().any(|other| !other.given_up),
        };
        if load.follows != self.generation || replaced && recurred {
            return;
        }
        (self.failures, self.in_a_row, self.warm, self.cold) = (0, 0, (0, 0), (0, 0));
        self.left = 0;
        self.last.clear();
        let same =
            self.valid(now).copied().filter(|held| held.number == arrival.number && held.ends_with(&arrival));
        if recurred {
            self.recurred += 1;
        } else if self.held.is_none_or(|held| held.number != arrival.number) {
            self.recurred = 0;
        }
        if let Some(held) = same {
            let remaining = held.lifetime - now.since(held.origin);
            let tenth = if held.lifetime == NEVER { 0 } else { remaining / 10 };
            let again = now.mono + tenth.max(5 * SECOND);
            self.warm = (again, again);
            self.held = Some(Held { hurried: false, ..held });
        } else {
            self.generation += 1;
            self.held = Some(arrival);
            self.rejected = None;
        }
        (self.orphaned_until, self.alone_until) = (0, 0);
    }

    fn failed(&mut self, load: &Load, fault: Fault, now: At) {
        // Of loads that run together the first failure speaks for all, and none does once one has brought something.
        let is_known = load.follows != self.generation || load.since.mono < self.failed_at;
        if load.given_up || self.mode == Mode::Isolated && is_known {
            if !load.given_up && load.follows == self.generation {
                self.heed(fault, now);
            }
            return;
        }
        (self.failures, self.failed_at) = (self.failures + 1, now.mono);
        self.last = vec![fault];
        let asks = fault.asks.min(300 * SECOND);
        let after = |least: i128, most: i128| (now.mono + least.max(asks), now.mono + most.max(asks));
        let valid = self.valid(now).copied();
        let pause = match (valid, fault.kind) {
            (Some(held), _) => {
                let quarter = (held.lifetime - now.since(held.origin)) / 4;
                let warm = after(quarter.clamp(SECOND, 300 * SECOND), quarter.clamp(SECOND, 600 * SECOND));
                self.warm = (self.warm.0.max(warm.0), self.warm.1.max(warm.1));
                after(0, 0)
            }
            (None, ErrorKind::Transient | ErrorKind::Throttled) => {
                self.in_a_row += 1;
                after(0, ((SECOND / 10) << (self.in_a_row - 1).min(10)).min(5 * SECOND))
            }
            (None, _) => {
                self.in_a_row += 1;
                after(SECOND, 5 * SECOND)
            }
        };
        self.cold = (self.cold.0.max(pause.0), self.cold.1.max(pause.1));
        let until = now.mono + asks;
        self.warm = (self.warm.0.max(until), self.warm.1.max(until));
    }

    /// What the server asks for counts although the failure does not.
    fn heed(&mut self, fault: Fault, now: At) {
        let until = now.mono + fault.asks.min(300 * SECOND);
        if self.mode != Mode::Isolated || until <= self.cold.0.max(now.mono) {
            return;
        }
        if until > self.cold.1 {
            self.last.clear();
        }
        self.last.push(fault);
        self.cold = (until, until.max(self.cold.1));
        self.warm = (self.warm.0.max(until), self.warm.1.max(until));
    }

    /// The service does not accept this generation any more.
    pub(crate) fn invalidate(&mut self, generation: u64, now: At) {
        let Some(held) = self.held.filter(|held| held.generation == generation) else { return };
        (self.held, self.rejected) = (None, Some(held.number));
        self.loads.iter_mut().for_each(|load| load.outdated = true);
        self.orphaned_until = 0;
        let refused = Fault { kind: ErrorKind::Rejected, call: None, asks: 0 };
        let pause = (FORCED_LEAST << self.recurred.saturating_sub(1).min(6)).min(300 * SECOND);
        let next = self.last_forced.map_or(0, |last| last + pause);
        // Unless the source is left alone for longer anyway.
        if next <= self.cold.0.max(now.mono) {
            return;
        }
        if next > self.cold.1 {
            self.last.clear();
        }
        self.last.push(refused);
        self.cold = (next, self.cold.1.max(next));
    }

    /// A newer one is asked for. Gives whether that counts; only for a valid credential.
    pub(crate) fn refresh(&mut self, generation: u64, now: At) -> bool {
        let busy = self.under_way(now).next().is_some();
        let current = self.valid(now).is_some_and(|held| held.generation == generation);
        if !current || busy || now.mono < self.refresh_from || now.mono < self.cold.0 {
            return false;
        }
        self.held = self.held.map(|held| Held { hurried: true, ..held });
        (self.warm, self.orphaned_until, self.refresh_from) = ((0, 0), 0, now.mono + COOL_DOWN);
        true
    }

    pub(crate) fn drop_tasks(&mut self) {
        for load in self.loads.iter_mut().filter(|load| load.driven && !load.given_up) {
            load.lost = true;
            self.orphaned_until = load.since.mono + DEADLINE;
            self.alone_until = self.orphaned_until;
        }
    }

    /// What the cache says of itself.
    pub(crate) fn check(&self, status: &Status, now: At) {
        let states: &[State] = match self.held.map(|held| held.phase(now)) {
            None => &[State::Empty],
            Some(Phase::Fresh) => &[State::Fresh],
            Some(Phase::Either) => &[State::Fresh, State::Advisory],
            Some(Phase::Advisory) => &[State::Advisory],
            Some(Phase::Mandatory) => &[State::Mandatory],
            Some(Phase::Expired) => &[State::Expired],
        };
        let known = |kind| self.last.iter().any(|fault| fault.kind == kind);
        // None so far, but for one that a rejection may have brought.
        let none = self.failures == 0 && self.last.len() <= 1;
        assert!(states.contains(&status.state), "{status:?}, {self:?}");
        assert!(status.last_error.map_or(none, known), "{status:?}, {self:?}");
        assert_eq!(status.is_ready(), self.valid(now).is_some(), "{self:?}");
        assert_eq!(status.generation, self.generation, "{self:?}");
        assert_eq!(status.consecutive_failures, self.failures, "{self:?}");
        assert_eq!(status.refreshing, self.under_way(now).next().is_some(), "{self:?}");
    }
}
