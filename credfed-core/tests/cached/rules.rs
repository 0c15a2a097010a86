//! Whatever happens in whatever order, the cache does what the model foretells.
//!
//! `CREDFED_CACHE_RULES` sets how many orders of events are tried (default 256):
//! `CREDFED_CACHE_RULES=200000 cargo test --release -p credfed-core --all-features --test cached rules`

use std::time::Duration;

use credfed_core::cached::Mode;
use proptest::prelude::*;

use crate::machine::{Machine, Op, Step};
use crate::script::Act;
use crate::support::HOUR;

fn lifetime() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(3_600_000_u64),
        2 => Just(43_200_000),
        2 => Just(1_000),
        1 => Just(0),
        1 => 0..120_000_u64,
        1 => 0..7_200_000_u64,
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let asks = || prop_oneof![3 => Just(None), 2 => (0..30_u64).prop_map(Some), 1 => Just(Some(86_400))];
    let act = prop_oneof![
        8 => lifetime().prop_map(Act::Give),
        1 => Just(Act::Never),
        1 => Just(Act::InThePast),
        1 => Just(Act::InTheYear9999),
        2 => (lifetime(), -7_200_000..7_200_000_i64).prop_map(|(lifetime, off)| Act::Dated(lifetime, off)),
        3 => Just(Act::TheSame),
        6 => (0..5_usize, asks()).prop_map(|(class, asks)| Act::Fail(class, asks)),
        2 => Just(Act::Hang),
        1 => Just(Act::Panic),
    ];
    let late = (0..20_000_u64, act.clone()).prop_map(|(by, then)| Act::Late(by, Box::new(then)));
    // Not `prop_oneof`, which would need the strategy twice.
    (act, proptest::option::weighted(0.3, late)).prop_map(|(now, late)| late.unwrap_or(now))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Get),
        3 => Just(Op::TryGet),
        3 => Just(Op::With),
        2 => Just(Op::Read),
        4 => prop_oneof![0..3_000_u64, 0..60_000_u64, 0..4_000_000_u64].prop_map(Op::Advance),
        6 => prop::sample::select(vec![500, 749, 750, 800, 875, 950, 984, 985, 999, 1_000, 1_001]).prop_map(Op::Age),
        2 => prop_oneof![-3_600_000..3_600_000_i64, -5_000..5_000_i64].prop_map(Op::Jump),
        2 => (0..8_usize).prop_map(Op::Leave),
        4 => prop_oneof![3 => Just(0), 1 => 1..4_usize].prop_map(Op::Invalidate),
        2 => prop_oneof![3 => Just(0), 1 => 1..4_usize].prop_map(Op::Refresh),
        2 => prop_oneof![3 => Just(0), 1 => 1..4_usize].prop_map(Op::Refreshed),
        8 => act().prop_map(Op::Source),
        1 => Just(Op::DropTasks),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((op(), prop::bool::weighted(0.15)).prop_map(|(op, lazy)| Step { op, lazy }), 0..80)
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Spawned), Just(Mode::Inline), Just(Mode::Isolated)]
}

fn cases() -> u32 {
    std::env::var("CREDFED_CACHE_RULES").ok().and_then(|count| count.parse().ok()).unwrap_or(256)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_the_rules(steps in steps(), mode in mode(), seed in any::<u64>()) {
        let mut machine = Machine::new(mode, seed);
        for step in steps {
            machine.step(step);
        }
        machine.finish();
    }
}

#[test]
fn a_source_that_is_down_for_an_hour_is_asked_a_bounded_number_of_times() {
    for class in 0..5 {
        for steps in [1, 60, 720, 4_000_u32] {
            let mut machine = Machine::new(Mode::Spawned, u64::from(steps));
            machine.act(Op::Source(Act::Fail(class, None)));
            for _ in 0..steps {
                machine.act(Op::Get);
                machine.act(Op::Advance(u64::from(3_600_000 / steps)));
            }
            // Full jitter below five seconds averages half of that.
            let most = HOUR.as_secs() * 2 / 3;
            assert!(u64::from(machine.calls()) <= most, "class {class}: {} calls", machine.calls());
            let least = if class < 2 { 2_500 } else { 3_000 };
            let average = Duration::from_millis(least).as_secs_f64();
            assert!(steps < 4_000 || f64::from(machine.calls()) >= 3_600.0 / (average + 1.5));
        }
    }
}
