//! The cache and the model side by side: both are told the same, and must say the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use credfed_core::cached::{Mode, Reader};
use credfed_core::runtime::Runtime;
use credfed_core::{AwsCredentials, Cached, CachedProvider, Rejection, VirtualRuntime};

use crate::model::{At, DEADLINE, Due, Fault, ISOLATED_LOADS, MARGIN, Model, Outcome, SECOND, UNNAMED};
use crate::script::{Act, Event, Source, number};
use crate::waiter::{Answer, Call, Waiter};

/// What happens; times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Get,
    TryGet,
    With,
    Read,
    Advance(u64),
    /// Until the credential at hand reached this share (of 1,000) of its life.
    Age(i64),
    Jump(i64),
    Leave(usize),
    /// The credential at hand, or one of those that were seen before it.
    Invalidate(usize),
    Refresh(usize),
    Refreshed(usize),
    Source(Act),
    DropTasks,
}

/// `lazy`: neither the tasks of the runtime nor those who wait come to run before the next step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) lazy: bool,
}

/// Who runs while the source does something.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    /// A task, or somebody who waited.
    Waiter,
    /// Somebody who has just come.
    Comer,
    Nobody,
}

pub(crate) struct Machine {
    mode: Mode,
    runtime: VirtualRuntime,
    source: Arc<Source>,
    provider: CachedProvider<AwsCredentials>,
    reader: Reader<AwsCredentials>,
    model: Model,
    waiters: Vec<Waiter>,
    seen: Vec<Cached<AwsCredentials>>,
    rejected: HashSet<u64>,
    /// Failures since those who wait were polled.
    faults: Vec<Fault>,
}

impl Machine {
    pub(crate) fn new(mode: Mode, seed: u64) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let runtime = VirtualRuntime::new(start).with_seed(seed);
        let source = Arc::new(Source::new(&runtime));
        let provider = CachedProvider::builder(Arc::clone(&source))
            .runtime(runtime.clone())
            .mode(mode)
            .isolated_loads(ISOLATED_LOADS)
            .build();
        let reader = provider.reader();
        let model = Model::new(mode);
        Self {
            mode,
            runtime,
            source,
            provider,
            reader,
            model,
            waiters: Vec::new(),
            seen: Vec::new(),
            rejected: HashSet::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn calls(&self) -> u32 {
        self.source.calls()
    }

    pub(crate) fn act(&mut self, op: Op) {
        self.step(Step { op, lazy: false });
    }

    pub(crate) fn step(&mut self, Step { op, lazy }: Step) {
        let calls = self.calls();
        // Whoever does not wait begins nothing but where a task can be spawned.
        let spawns = self.mode == Mode::Spawned;
        let (due, in_passing) = (self.model.due(self.now()), self.model.due_in_passing(self.now()));
        let busy = !self.waiters.is_empty() || self.model.loads.iter().any(|load| load.call == 0);
        let asked = match op {
            Op::Get => {
                self.get();
                Some(due)
            }
            Op::TryGet => {
                let served = self.provider.try_get();
                self.sees(served.as_ref());
                spawns.then_some(in_passing)
            }
            Op::With => {
                self.sees_number(self.provider.with(number));
                spawns.then_some(in_passing)
            }
            Op::Read => {
                let number = self.reader.read().map(number);
                self.sees_number(number);
                spawns.then_some(in_passing)
            }
            Op::Refresh(ago) => self.refresh(ago).filter(|_| spawns),
            Op::Refreshed(ago) => self.refreshed(ago),
            other => {
                self.happens(other);
                self.drain(Who::Waiter);
                None
            }
        };
        self.drain(Who::Comer);
        self.note_launch();
        if !lazy {
            self.settle();
        }
        let began = self.calls() > calls || self.model.loads.iter().any(|load| load.call == 0);
        assert!(began || asked != Some(Due::Yes), "a load is due and none begins: {:?}", self.model);
        assert!(!began || busy || asked.is_some(), "a load begins that nobody asked for: {:?}", self.model);
    }

    fn now(&self) -> At {
        self.runtime.now().into()
    }

    fn get(&mut self) {
        let before = self.calls();
        self.comes(Call::Get(self.provider.get()), before);
    }

    fn refresh(&mut self, ago: usize) -> Option<Due> {
        let seen = self.not_within_a_pause(ago)?;
        self.provider.refresh(&seen);
        let now = self.now();
        self.model.refresh(seen.generation(), now).then(|| self.model.due_in_passing(now))
    }

    fn refreshed(&mut self, ago: usize) -> Option<Due> {
        let seen = self.not_within_a_pause(ago)?;
        let (before, now) = (self.calls(), self.now());
        let is_newer = self.model.valid(now).is_some_and(|held| held.generation != seen.generation());
        self.model.refresh(seen.generation(), now);
        // What is due begins, whoever asked for it.
        let due = (!is_newer).then(|| self.model.due(now));
        self.comes(Call::Refreshed(self.provider.refreshed(&seen), seen.generation()), before);
        due
    }

    /// The first poll of a call.
    fn comes(&mut self, call: Call, before: u32) {
        let mut waiter = Waiter::new(call, &self.model, self.now());
        let answer = waiter.poll();
        self.drain(Who::Comer);
        self.note_launch();
        let now = self.now();
        let own = (self.mode == Mode::Isolated && self.calls() > before).then(|| self.calls());
        waiter.own = own.filter(|own| self.model.loads.iter().any(|load| load.call == *own));
        let foretold = match &waiter.call {
            Call::Get(_) => self.model.get(now, waiter.own.is_some()),
            Call::Refreshed(_, seen) => vec![self.model.newer(*seen, now, waiter.own.is_some())],
        };
        let outcome = self.outcome(answer);
        assert!(foretold.contains(&outcome), "{outcome:?}, and foretold was {foretold:?}: {:?}", self.model);
        if outcome == Outcome::Waits {
            self.waiters.push(waiter);
        }
    }

    fn sees(&mut self, served: Option<&Cached<AwsCredentials>>) {
        let outcome = self.outcome(Poll::Ready(served.cloned().map(Ok)));
        assert_eq!(outcome, self.model.at_hand(self.now()), "{:?}", self.model);
    }

    fn sees_number(&self, number: Option<u32>) {
        assert_eq!(number, self.model.valid(self.now()).map(|held| held.number), "{:?}", self.model);
    }

    fn seen_before(&self, ago: usize) -> Option<Cached<AwsCredentials>> {
        self.seen.len().checked_sub(ago + 1).and_then(|at| self.seen.get(at)).cloned()
    }

    /// Behind one that has expired, whether a newer one may be asked for depends on a jittered pause.
    fn not_within_a_pause(&self, ago: usize) -> Option<Cached<AwsCredentials>> {
        let now = self.now();
        let seen = self.seen_before(ago)?;
        let held = self.model.held.is_some_and(|held| held.generation == seen.generation());
        (!held || self.model.valid(now).is_some() && !self.model.may_pause(now)).then_some(seen)
    }

    /// What asks for nothing.
    fn happens(&mut self, op: Op) {
        match op {
            Op::Advance(by) => self.runtime.advance(Duration::from_millis(by)),
            Op::Age(share) => {
                let now = self.now();
                let by = self.model.held.map_or(0, |held| held.until(share.into(), now));
                self.runtime.advance(Duration::from_nanos(u64::try_from(by).unwrap_or(0)));
            }
            Op::Jump(by) if by < 0 => self.runtime.clock().rewind(Duration::from_millis(by.unsigned_abs())),
            Op::Jump(by) => self.runtime.clock().advance(Duration::from_millis(by.unsigned_abs())),
            Op::Leave(which) if which < self.waiters.len() => {
                drop(self.waiters.swap_remove(which));
                self.drain(Who::Nobody);
            }
            Op::Invalidate(ago) => {
                let Some(seen) = self.seen_before(ago) else { return };
                self.provider.invalidate(&seen, Rejection::Invalid);
                self.model.invalidate(seen.generation(), self.now());
                self.rejected.insert(seen.generation());
            }
            Op::Source(act) => self.source.set(act),
            Op::DropTasks => {
                self.runtime.drop_tasks();
                self.drain(Who::Nobody);
                self.model.drop_tasks();
                self.waiters.iter_mut().for_each(|waiter| waiter.restarts += 1);
            }
            _ => {}
        }
    }

    /// The tasks run, and those who wait are polled once they were woken.
    fn settle(&mut self) {
        self.runtime.run();
        self.drain(Who::Waiter);
        while let Some(at) = self.waiters.iter().position(|waiter| waiter.is_woken()) {
            let waiter = self.waiters.swap_remove(at);
            self.resumes(waiter);
            self.runtime.run();
            self.drain(Who::Waiter);
        }
        self.check();
        self.faults.clear();
    }

    fn resumes(&mut self, mut waiter: Waiter) {
        let calls = self.calls();
        let answer = waiter.poll();
        self.drain(Who::Waiter);
        self.note_launch();
        if self.mode == Mode::Isolated && self.calls() > calls {
            waiter.own = Some(self.calls());
        }
        let now = self.now();
        let outcome = self.outcome(answer);
        match (&outcome, &waiter.call) {
            (Outcome::Waits, _) => {
                // What it waited for was lost, or was over before it came to look: it waits for another one.
                let load = self.model.loads.iter().map(|load| load.since.mono).max().unwrap_or(0);
                waiter.restarts += u32::from(load > waiter.since);
                // Unless it slept past its deadline.
                if load > waiter.since && now.mono - waiter.came >= DEADLINE + MARGIN {
                    waiter.came = now.mono;
                }
                waiter.since = waiter.since.max(load);
                self.waiters.push(waiter);
            }
            (Outcome::Served(_), Call::Get(_)) => {
                assert_eq!(outcome, self.model.at_hand(now), "{:?}", self.model);
            }
            (Outcome::Failed(fault), Call::Get(_)) => {
                assert_eq!(
                    self.model.at_hand(now),
                    Outcome::Nothing,
                    "an error in place of a valid credential"
                );
                let too_late = waiter.restarts == 1 && now.mono - waiter.came >= DEADLINE + MARGIN;
                let gives_up = (waiter.restarts >= 2 || too_late) && *fault == UNNAMED;
                let known =
                    gives_up || self.faults.contains(fault) || self.model.get(now, false).contains(&outcome);
                assert!(known, "{fault:?} is none of {:?}, {:?}", self.faults, self.model);
            }
            (_, Call::Refreshed(_, seen)) => {
                let newer = match self.model.newer(*seen, now, false) {
                    Outcome::Waits => Outcome::Nothing,
                    newer => newer,
                };
                assert_eq!(outcome, newer, "{:?}", self.model);
            }
            (Outcome::Nothing, Call::Get(_)) => unreachable!(),
        }
    }

    /// Nobody waits who need not, and the cache says of itself what the model says of it.
    fn check(&mut self) {
        let now = self.now();
        for waiter in &mut self.waiters {
            waiter.check(&self.model, now);
        }
        assert!(self.source.events().is_empty());
        self.model.check(&self.provider.status(), now);
    }

    /// Time goes by, and the source recovers.
    pub(crate) fn finish(mut self) {
        self.act(Op::Advance(0));
        for _ in 0..80 {
            self.act(Op::Advance(1_000));
        }
        assert!(self.waiters.is_empty(), "somebody waits for good");
        self.act(Op::Source(Act::Give(3_600_000)));
        self.act(Op::Advance(610_000));
        // Where tasks can be spawned nobody has to wait for that.
        let asks = if self.mode == Mode::Spawned { Op::With } else { Op::Get };
        self.act(asks.clone());
        self.act(Op::Advance(1));
        self.act(asks);
        assert!(self.model.valid(self.now()).is_some(), "it does not recover");
    }

    /// Tells the model what the source did.
    fn drain(&mut self, who: Who) {
        let driven = self.mode == Mode::Spawned && self.runtime.tasks() > 0;
        for (call, at, event) in self.source.events() {
            let fault = match event {
                Event::Began => {
                    self.model.began(call, at, driven);
                    None
                }
                Event::Ended(answer) => self.model.ended(call, at, answer),
                Event::Dropped => {
                    let age = self
                        .model
                        .loads
                        .iter()
                        .find(|load| load.call == call)
                        .map(|load| at.mono - load.since.mono);
                    // Who has just come moves what was left no later than its deadline; else it is thrown away.
                    let polled =
                        who == Who::Waiter || who == Who::Comer && age.is_some_and(|age| age <= DEADLINE);
                    self.model.dropped(call, at, polled)
                }
            };
            self.faults.extend(fault);
        }
    }

    /// A load may have begun whose task did not run so far.
    fn note_launch(&mut self) {
        let now = self.now();
        if self.mode == Mode::Spawned
            && self.provider.status().refreshing
            && self.model.under_way(now).next().is_none()
        {
            self.model.began(0, now, self.runtime.tasks() > 0);
        }
    }

    fn outcome(&mut self, answer: Poll<Option<Answer>>) -> Outcome {
        match answer {
            Poll::Pending => Outcome::Waits,
            Poll::Ready(None) => Outcome::Nothing,
            Poll::Ready(Some(Err(error))) => {
                let asks = error.retry_after().map_or(0, |asks| i128::from(asks.as_secs()) * SECOND);
                let call = error.code().and_then(|code| code.parse().ok());
                Outcome::Failed(Fault { kind: error.kind(), call, asks })
            }
            Poll::Ready(Some(Ok(cached))) => {
                let generation = cached.generation();
                assert!(!cached.is_stale());
                assert!(!self.rejected.contains(&generation), "a rejected one was served again");
                assert_eq!(
                    Some(number(&cached)),
                    self.model.valid(self.now()).map(|held| held.number),
                    "{:?}",
                    self.model
                );
                if self.seen.last().is_none_or(|seen| seen.generation() != generation) {
                    self.seen.push(cached);
                }
                Outcome::Served(generation)
            }
        }
    }
}
