//! Whatever happens in whatever order: what must never be handed out is not, and nobody waits for good.

#![expect(clippy::unwrap_used, reason = "only tests call this")]

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use credfed_core::cached::Mode;
use credfed_core::runtime::{Now, Runtime};
use credfed_core::{
    Cached, CachedProvider, Expiring, Get, Identity, Provider, ProviderError, Rejection, VirtualRuntime,
};
use proptest::prelude::*;

use crate::support::{HOUR, poll_once};

#[derive(Clone, Debug)]
enum Op {
    Get,
    TryGet,
    With,
    Advance(u64),
    Jump(i64),
    Leave(usize),
    Invalidate,
    Refresh,
    Source(Habit),
    RunTasks,
    DropTasks,
}

#[derive(Clone, Debug)]
enum Habit {
    Give(u64),
    Never,
    Fail(u8),
    Hang,
    Panic,
    Late(u64, u64),
}

fn habit() -> impl Strategy<Value = Habit> {
    prop_oneof![
        4 => prop_oneof![Just(0), Just(1), Just(1_000), Just(60_000), Just(3_600_000), 0..7_200_000_u64].prop_map(Habit::Give),
        1 => Just(Habit::Never),
        3 => (0..4_u8).prop_map(Habit::Fail),
        1 => Just(Habit::Hang),
        1 => Just(Habit::Panic),
        2 => (0..20_000_u64, 0..3_600_000_u64).prop_map(|(late, lifetime)| Habit::Late(late, lifetime)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Get),
        3 => Just(Op::TryGet),
        3 => Just(Op::With),
        6 => prop_oneof![0..3_000_u64, 0..60_000_u64, 0..4_000_000_u64].prop_map(Op::Advance),
        1 => (-3_600_000..3_600_000_i64).prop_map(Op::Jump),
        2 => (0..8_usize).prop_map(Op::Leave),
        2 => Just(Op::Invalidate),
        1 => Just(Op::Refresh),
        4 => habit().prop_map(Op::Source),
        3 => Just(Op::RunTasks),
        1 => Just(Op::DropTasks),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Spawned), Just(Mode::Inline), Just(Mode::Isolated)]
}

#[derive(Debug)]
struct Source {
    runtime: VirtualRuntime,
    habit: Mutex<Habit>,
    calls: AtomicU32,
    running: AtomicU32,
    most: AtomicU32,
    /// When each one that was given expires, on both clocks.
    given: Mutex<HashMap<u32, Option<(Duration, SystemTime)>>>,
}

struct Running<'a>(&'a Source);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Provider for Source {
    type Credential = (u32, u32);

    fn identity(&self) -> Identity {
        Identity::of("rules").finish()
    }

    async fn provide(&self) -> Result<Expiring<(u32, u32)>, ProviderError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _running = Running(self);
        let start = self.runtime.now();
        let give = |lifetime: Duration| {
            let ends = (start.monotonic() + lifetime, start.wall() + lifetime);
            self.given.lock().unwrap().insert(call, Some(ends));
            Ok(Expiring::after((call, call), lifetime))
        };
        let habit = self.habit.lock().unwrap().clone();
        match habit {
            Habit::Give(lifetime) => give(Duration::from_millis(lifetime)),
            Habit::Never => {
                self.given.lock().unwrap().insert(call, None);
                Ok(Expiring::never((call, call)))
            }
            Habit::Fail(0) => Err(ProviderError::transient("down")),
            Habit::Fail(1) => Err(ProviderError::throttled("slow down", Some(Duration::from_secs(20)))),
            Habit::Fail(2) => Err(ProviderError::rejected("no")),
            Habit::Fail(_) => Err(ProviderError::misconfigured("half a pair")),
            Habit::Hang => std::future::pending().await,
            Habit::Panic => panic!("the script says so"),
            Habit::Late(late, lifetime) => {
                self.runtime.sleep(Duration::from_millis(late)).await;
                give(Duration::from_millis(lifetime))
            }
        }
    }
}

struct Stage {
    runtime: VirtualRuntime,
    source: Arc<Source>,
    provider: CachedProvider<(u32, u32)>,
    waiters: Vec<Get<(u32, u32)>>,
    last: Option<Cached<(u32, u32)>>,
    rejected: HashSet<u64>,
}

impl Stage {
    fn new(mode: Mode) -> Self {
        let runtime = VirtualRuntime::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let source = Arc::new(Source {
            runtime: runtime.clone(),
            habit: Mutex::new(Habit::Give(3_600_000)),
            calls: AtomicU32::new(0),
            running: AtomicU32::new(0),
            most: AtomicU32::new(0),
            given: Mutex::default(),
        });
        let provider =
            CachedProvider::builder(Arc::clone(&source)).runtime(runtime.clone()).mode(mode).build();
        Self { runtime, source, provider, waiters: Vec::new(), last: None, rejected: HashSet::new() }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Get => self.waiters.push(self.provider.get()),
            Op::TryGet => {
                if let Some(cached) = self.provider.try_get() {
                    self.judge(cached);
                }
            }
            Op::With => {
                let now = self.runtime.now();
                self.provider.with(|pair| self.judge_value(*pair, now));
            }
            Op::Advance(by) => self.runtime.advance(Duration::from_millis(by)),
            Op::Jump(by) if by < 0 => self.runtime.clock().rewind(Duration::from_millis(by.unsigned_abs())),
            Op::Jump(by) => self.runtime.clock().advance(Duration::from_millis(by.unsigned_abs())),
            Op::Leave(which) => {
                if which < self.waiters.len() {
                    drop(self.waiters.swap_remove(which));
                }
            }
            Op::Invalidate => {
                if let Some(last) = self.last.take() {
                    self.provider.invalidate(&last, Rejection::Invalid);
                    self.rejected.insert(last.generation());
                }
            }
            Op::Refresh => {
                if let Some(last) = &self.last {
                    self.provider.refresh(last);
                }
            }
            Op::Source(habit) => *self.source.habit.lock().unwrap() = habit,
            Op::RunTasks => self.runtime.run(),
            Op::DropTasks => self.runtime.drop_tasks(),
        }
        self.poll_waiters();
    }

    fn poll_waiters(&mut self) {
        for mut waiter in std::mem::take(&mut self.waiters) {
            match poll_once(&mut waiter) {
                Poll::Pending => self.waiters.push(waiter),
                Poll::Ready(Ok(cached)) => self.judge(cached),
                Poll::Ready(Err(_)) => {}
            }
        }
    }

    fn judge(&mut self, cached: Cached<(u32, u32)>) {
        assert!(!cached.is_stale());
        assert!(!self.rejected.contains(&cached.generation()), "a rejected one was served again");
        self.judge_value(*cached, self.runtime.now());
        self.last = Some(cached);
    }

    fn judge_value(&self, (call, twin): (u32, u32), now: Now) {
        assert_eq!(call, twin, "both parts come from one load");
        if let Some((mono, wall)) = self.source.given.lock().unwrap()[&call] {
            assert!(now.monotonic() < mono && now.wall() < wall, "an expired one was served");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_the_rules(ops in prop::collection::vec(op(), 0..80), mode in mode()) {
        let mut stage = Stage::new(mode);
        let cut_off = ops.iter().any(|op| matches!(op, Op::DropTasks | Op::Leave(_)));
        for op in ops {
            stage.act(op);
        }
        let most = stage.source.most.load(Ordering::SeqCst);
        let limit = match mode {
            Mode::Isolated => 16,
            _ if cut_off => 2,
            _ => 1,
        };
        prop_assert!(most <= limit, "{most} loads at once");

        for _ in 0..80 {
            stage.act(Op::Advance(1_000));
        }
        prop_assert!(stage.waiters.is_empty(), "somebody waits for good");

        stage.act(Op::Source(Habit::Give(3_600_000)));
        stage.act(Op::Advance(610_000));
        stage.act(Op::Get);
        stage.act(Op::Advance(1));
        stage.act(Op::Get);
        prop_assert!(stage.last.is_some() && stage.waiters.is_empty(), "it does not recover");
    }

    #[test]
    fn a_source_that_is_down_for_an_hour_is_asked_a_bounded_number_of_times(kind in 0..4_u8, steps in 1..4_000_u64) {
        let mut stage = Stage::new(Mode::Spawned);
        stage.act(Op::Source(Habit::Fail(kind)));
        let step = 3_600_000 / steps;
        for _ in 0..steps {
            stage.act(Op::Get);
            stage.act(Op::Advance(step));
        }
        // Full jitter below five seconds averages half of that.
        let most = HOUR.as_secs() * 2 / 3;
        prop_assert!(u64::from(stage.source.calls.load(Ordering::SeqCst)) <= most);
    }
}
