//! The cache and the model side by side: both are told the same, and must say the same.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use credfed_core::cached::{Mode, Reader, Refreshed, State};
use credfed_core::runtime::Runtime;
use credfed_core::{
    AwsCredentials, Cached, CachedProvider, ErrorKind, Expiring, Get, Identity, Provider, ProviderError,
    Rejection, Secret, VirtualRuntime,
};

use crate::model::{
    At, DEADLINE, Due, Fault, Gift, ISOLATED_LOADS, MARGIN, Model, Outcome, PATIENCE, Phase, SECOND,
};

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

/// What the source does; times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Give(u64),
    Never,
    InThePast,
    InTheYear9999,
    /// A lifetime against a server's clock that is this far off.
    Dated(u64, i64),
    /// Gives once more what it gave last.
    TheSame,
    /// A class, and the seconds that the server asks for.
    Fail(usize, Option<u64>),
    Hang,
    Panic,
    Late(u64, Box<Act>),
}

const CLASSES: [ErrorKind; 5] = [
    ErrorKind::Transient,
    ErrorKind::Throttled,
    ErrorKind::Rejected,
    ErrorKind::Misconfigured,
    ErrorKind::NotConfigured,
];

/// `lazy`: neither the tasks of the runtime nor those who wait come to run before the next step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) lazy: bool,
}

#[derive(Debug)]
struct Source {
    runtime: VirtualRuntime,
    act: Mutex<Act>,
    events: Mutex<Events>,
}

#[derive(Debug, Default)]
struct Events {
    calls: u32,
    last: Option<(u32, SystemTime)>,
    new: Vec<(u32, At, Event)>,
}

#[derive(Debug)]
enum Event {
    Began,
    Ended(Result<Gift, Fault>),
    Dropped,
}

/// Tells of a call that is dropped before it answered.
struct Running<'a> {
    source: &'a Source,
    call: u32,
    ended: bool,
}

impl Source {
    fn tell(&self, call: u32, event: Event) {
        let now = self.runtime.now().into();
        self.events.lock().unwrap().new.push((call, now, event));
    }
}

impl Running<'_> {
    fn give(
        &mut self,
        number: u32,
        lifetime: Option<Duration>,
        from_arrival: bool,
        expiring: impl FnOnce(AwsCredentials) -> Expiring<AwsCredentials>,
    ) -> Result<Expiring<AwsCredentials>, ProviderError> {
        let nanos = |lifetime: Duration| i128::try_from(lifetime.as_nanos()).unwrap();
        self.end(Ok(Gift { number, lifetime: lifetime.map(nanos), from_arrival }));
        let [id, secret, token] = ["id", "secret", "token"].map(|part| format!("{part}-{number}"));
        Ok(expiring(AwsCredentials::new(id, Secret::new(secret), Some(Secret::new(token)))))
    }

    fn end(&mut self, answer: Result<Gift, Fault>) {
        self.ended = true;
        self.source.tell(self.call, Event::Ended(answer));
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.source.tell(self.call, Event::Dropped);
        }
    }
}

impl Provider for Source {
    type Credential = AwsCredentials;

    fn identity(&self) -> Identity {
        Identity::of("rules").finish()
    }

    async fn provide(&self) -> Result<Expiring<AwsCredentials>, ProviderError> {
        let call = {
            let mut events = self.events.lock().unwrap();
            events.calls += 1;
            events.calls
        };
        self.tell(call, Event::Began);
        let began = self.runtime.now();
        let mut running = Running { source: self, call, ended: false };
        let mut act = self.act.lock().unwrap().clone();
        if let Act::Late(by, then) = act {
            self.runtime.sleep(Duration::from_millis(by)).await;
            act = *then;
        }
        let wall = self.runtime.now().wall();
        let until = |at: SystemTime| Some(at.duration_since(wall).unwrap_or_default());
        let mut last = self.events.lock().unwrap().last;
        match act {
            Act::Give(lifetime) => {
                let lifetime = Duration::from_millis(lifetime);
                last = Some((call, began.wall() + lifetime));
                self.events.lock().unwrap().last = last;
                running.give(call, Some(lifetime), false, |keys| Expiring::after(keys, lifetime))
            }
            Act::Dated(lifetime, off) => {
                let lifetime = Duration::from_millis(lifetime);
                let date = SystemTime::UNIX_EPOCH
                    + Duration::from_secs(1_800_000_000)
                    + Duration::from_millis(off.unsigned_abs());
                running.give(call, Some(lifetime), false, |keys| {
                    Expiring::at(keys, date + lifetime).with_server_date(date)
                })
            }
            Act::TheSame => {
                let (number, at) = last.unwrap_or((call, wall + Duration::from_secs(3_600)));
                self.events.lock().unwrap().last = Some((number, at));
                running.give(number, until(at), true, |keys| Expiring::at(keys, at))
            }
            Act::InThePast => {
                let at = wall - Duration::from_secs(1);
                running.give(call, until(at), true, |keys| Expiring::at(keys, at))
            }
            Act::InTheYear9999 => {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
                running.give(call, until(at), true, |keys| Expiring::at(keys, at))
            }
            Act::Never => running.give(call, None, true, Expiring::never),
            Act::Fail(class, asks) => {
                let (kind, asked) = (CLASSES[class], asks.map_or(0, |asks| i128::from(asks) * SECOND));
                running.end(Err(Fault { kind, call: Some(call), asks: asked }));
                let error = ProviderError::new(kind, "as the script says").with_code(call.to_string());
                Err(match asks {
                    Some(asks) => error.with_retry_after(Duration::from_secs(asks)),
                    None => error,
                })
            }
            Act::Panic => {
                running.end(Err(Fault { kind: ErrorKind::Transient, call: None, asks: 0 }));
                // Without the hook, which would print it.
                std::panic::resume_unwind(Box::new("the script says so"))
            }
            Act::Hang | Act::Late(..) => std::future::pending().await,
        }
    }
}

type Answer = Result<Cached<AwsCredentials>, ProviderError>;

enum Call {
    Get(Get<AwsCredentials>),
    /// For a newer one than this generation.
    Refreshed(Refreshed<AwsCredentials>, u64),
}

struct Waiter {
    call: Call,
    woken: Arc<Flag>,
    /// Since when, or since when for another load than at first.
    since: i128,
    /// The call to the source that is its own, where each makes its own.
    own: Option<u32>,
    /// What was valid all the time since.
    valid: Option<u64>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
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
        let source = Arc::new(Source {
            runtime: runtime.clone(),
            act: Mutex::new(Act::Give(3_600_000)),
            events: Mutex::default(),
        });
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
        self.source.events.lock().unwrap().calls
    }

    pub(crate) fn act(&mut self, op: Op) {
        self.step(Step { op, lazy: false });
    }

    pub(crate) fn step(&mut self, Step { op, lazy }: Step) {
        let calls = self.calls();
        // Whoever does not wait begins nothing but where a task can be spawned.
        let spawns = self.mode == Mode::Spawned;
        let due = self.model.due(self.now());
        let asked = match op {
            Op::Get => self.get().then_some(due),
            Op::TryGet => {
                let served = self.provider.try_get();
                self.sees(served.as_ref());
                spawns.then_some(due)
            }
            Op::With => {
                let number = self.provider.with(number);
                self.sees_number(number);
                spawns.then_some(due)
            }
            Op::Read => {
                let number = self.reader.read().map(number);
                self.sees_number(number);
                spawns.then_some(due)
            }
            Op::Invalidate(ago) => {
                self.invalidate(ago);
                None
            }
            Op::Refresh(ago) => {
                let asked = self.seen_before(ago).is_some_and(|seen| {
                    self.provider.refresh(&seen);
                    self.model.refresh(seen.generation(), self.now())
                });
                (spawns && asked).then(|| self.model.due(self.now()))
            }
            Op::Refreshed(ago) => self.seen_before(ago).and_then(|seen| self.refreshed(&seen)),
            Op::Advance(by) => self.advance(Duration::from_millis(by)),
            Op::Age(share) => self.age(share),
            Op::Jump(by) => self.jump(by),
            Op::Leave(which) => self.leave(which),
            Op::Source(act) => {
                *self.source.act.lock().unwrap() = act;
                None
            }
            Op::DropTasks => self.drop_tasks(),
        };
        self.drain(Who::Waiter);
        self.note_launch();
        if !lazy {
            self.settle();
        }
        let began = self.calls() > calls || self.model.loads.iter().any(|load| load.call == 0);
        match asked {
            Some(Due::Yes) => assert!(began, "a load is due and none begins: {:?}", self.model),
            _ => {}
        }
    }

    fn now(&self) -> At {
        self.runtime.now().into()
    }

    fn get(&mut self) -> bool {
        let before = self.calls();
        let waiter = self.waiter(Call::Get(self.provider.get()));
        self.comes(waiter, before);
        true
    }

    fn refreshed(&mut self, seen: &Cached<AwsCredentials>) -> Option<Due> {
        let before = self.calls();
        let asked = self.model.at_hand(self.now()) == Outcome::Served(seen.generation())
            && self.model.refresh(seen.generation(), self.now());
        let due = asked.then(|| self.model.due(self.now()));
        let call = Call::Refreshed(self.provider.refreshed(seen), seen.generation());
        let waiter = self.waiter(call);
        self.comes(waiter, before);
        due
    }

    fn waiter(&self, call: Call) -> Waiter {
        let now = self.now();
        let valid = self.model.valid(now).map(|held| held.generation);
        Waiter { call, woken: Arc::new(Flag(AtomicBool::new(false))), since: now.mono, own: None, valid }
    }

    /// The first poll of a call.
    fn comes(&mut self, mut waiter: Waiter, before: u32) {
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
        let seen = self.seen.len().checked_sub(ago + 1).and_then(|at| self.seen.get(at)).cloned()?;
        let held = self.model.held.is_some_and(|held| held.generation == seen.generation());
        // Whether a newer one may be asked for behind an expired one depends on a jittered pause.
        (!held || self.model.valid(self.now()).is_some()).then_some(seen)
    }

    fn invalidate(&mut self, ago: usize) {
        let Some(seen) = self.seen_before(ago) else { return };
        self.provider.invalidate(&seen, Rejection::Invalid);
        self.model.invalidate(seen.generation(), self.now());
        self.rejected.insert(seen.generation());
    }

    fn advance(&mut self, by: Duration) -> Option<Due> {
        self.runtime.advance(by);
        None
    }

    fn age(&mut self, share: i64) -> Option<Due> {
        let now = self.now();
        let by = self.model.held.map_or(0, |held| held.until(share.into(), now));
        self.advance(Duration::from_nanos(u64::try_from(by).unwrap_or(0)))
    }

    fn jump(&mut self, by: i64) -> Option<Due> {
        let far = Duration::from_millis(by.unsigned_abs());
        if by < 0 {
            self.runtime.clock().rewind(far);
        } else {
            self.runtime.clock().advance(far);
        }
        None
    }

    fn leave(&mut self, which: usize) -> Option<Due> {
        if which < self.waiters.len() {
            drop(self.waiters.swap_remove(which));
            self.drain(Who::Nobody);
        }
        None
    }

    fn drop_tasks(&mut self) -> Option<Due> {
        self.runtime.drop_tasks();
        self.drain(Who::Nobody);
        self.model.drop_tasks();
        None
    }

    /// The tasks run, and those who wait are polled once they were woken.
    fn settle(&mut self) {
        self.runtime.run();
        self.drain(Who::Waiter);
        while let Some(at) =
            self.waiters.iter().position(|waiter| waiter.woken.0.swap(false, Ordering::SeqCst))
        {
            let waiter = self.waiters.swap_remove(at);
            self.resumes(waiter);
            self.runtime.run();
            self.drain(Who::Waiter);
        }
        self.check_waiters();
        self.check_status();
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
                let load = self.model.loads.iter().map(|load| load.since.mono).max();
                waiter.since = waiter.since.max(load.unwrap_or(0));
                self.waiters.push(waiter);
            }
            (Outcome::Served(_), Call::Get(_)) => {
                assert_eq!(outcome, self.model.at_hand(now), "{:?}", self.model)
            }
            (Outcome::Failed(fault), Call::Get(_)) => {
                assert_eq!(
                    self.model.at_hand(now),
                    Outcome::Nothing,
                    "an error in place of a valid credential"
                );
                let known = self.faults.contains(fault) || self.model.last.contains(fault);
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

    /// Nobody waits who need not.
    fn check_waiters(&mut self) {
        let now = self.now();
        let valid = self.model.valid(now).map(|held| (held.generation, held.phase(now)));
        for at in 0..self.waiters.len() {
            let waiter = &mut self.waiters[at];
            waiter.valid =
                waiter.valid.filter(|generation| valid.is_some_and(|(valid, _)| valid == *generation));
            let (call, waited) = (waiter.own, now.mono - waiter.since);
            assert!(waiter.poll().is_pending(), "not woken, and yet it need not wait: {:?}", self.model);
            let load = self.model.loads.iter().find(|load| call.is_none_or(|call| load.call == call));
            assert!(load.is_some(), "waits for nothing: {:?}", self.model);
            assert!(waited < DEADLINE + MARGIN, "waits past the deadline: {:?}", self.model);
            let youngest = self.model.loads.iter().map(|load| now.mono - load.since.mono).min().unwrap_or(0);
            if let (Call::Get(_), Some(_), Some((_, phase))) =
                (&self.waiters[at].call, self.waiters[at].valid, valid)
            {
                let alone = self.mode == Mode::Isolated;
                assert!(
                    alone && phase == Phase::Mandatory || youngest < PATIENCE,
                    "no patience: {:?}",
                    self.model
                );
            }
        }
        assert!(self.source.events.lock().unwrap().new.is_empty());
    }

    fn check_status(&mut self) {
        let (now, status) = (self.now(), self.provider.status());
        let phase = self.model.held.map(|held| held.phase(now));
        let states: &[State] = match phase {
            None => &[State::Empty],
            Some(Phase::Fresh) => &[State::Fresh],
            Some(Phase::Either) => &[State::Fresh, State::Advisory],
            Some(Phase::Advisory) => &[State::Advisory],
            Some(Phase::Mandatory) => &[State::Mandatory],
            Some(Phase::Expired) => &[State::Expired],
        };
        assert!(states.contains(&status.state), "{status:?}, {:?}", self.model);
        assert_eq!(status.generation, self.model.generation, "{:?}", self.model);
        assert_eq!(status.consecutive_failures, self.model.failures, "{:?}", self.model);
        assert_eq!(status.refreshing, self.model.under_way(now).next().is_some(), "{:?}", self.model);
        assert_eq!(status.is_ready(), self.model.valid(now).is_some());
        let known = |kind| self.model.last.iter().any(|fault| fault.kind == kind);
        assert!(
            status.last_error.map_or(
                self.model.last.is_empty() || self.model.last.len() == 1 && self.model.failures == 0,
                known
            ),
            "{status:?}, {:?}",
            self.model
        );
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
        self.act(Op::Get);
        self.act(Op::Advance(1));
        self.act(Op::Get);
        assert!(self.model.valid(self.now()).is_some(), "it does not recover");
    }

    /// Tells the model what the source did.
    fn drain(&mut self, who: Who) {
        let events = std::mem::take(&mut self.source.events.lock().unwrap().new);
        let driven = self.mode == Mode::Spawned && self.runtime.tasks() > 0;
        for (call, at, event) in events {
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
                let call = error.code().map(|code| code.parse().unwrap());
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

impl Waiter {
    fn poll(&mut self) -> Poll<Option<Answer>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        match &mut self.call {
            Call::Get(get) => Pin::new(get).poll(&mut cx).map(Some),
            Call::Refreshed(refreshed, _) => Pin::new(refreshed).poll(&mut cx).map(|newer| newer.map(Ok)),
        }
    }
}

/// The number of the call that brought it; all three parts are from that one.
fn number(keys: &AwsCredentials) -> u32 {
    let parts = [
        keys.access_key_id().strip_prefix("id-"),
        keys.secret_access_key().expose().strip_prefix("secret-"),
        keys.session_token().and_then(|token| token.expose().strip_prefix("token-")),
    ];
    let numbers = parts.map(|part| part.unwrap().parse::<u32>().unwrap());
    assert!(numbers.iter().all(|number| *number == numbers[0]), "parts of several loads: {numbers:?}");
    numbers[0]
}
