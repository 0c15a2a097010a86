//! What aws-sigv4 signs is accepted; after any one change that makes another request of it, it is refused; what says
//! the same in other words is accepted still. In every carrier and payload mode, with static keys and sessions.
//!
//! The tests here run a few thousand requests. The long run:
//!
//! ```text
//! CREDFED_MUTATED=10000000 CREDFED_VALID=1000000 CREDFED_SEED=1 \
//!     cargo test -p credfed-sigv4-verify --release --all-features --test mutations -- --ignored --nocapture
//! ```
//!
//! It tells its seed, how far it is, and at the end how many requests each operator made. The same numbers and seed
//! give the same requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the long run tells what it did")]

#[path = "../support/mod.rs"]
mod support;

mod dice;
mod judge;
mod operators;
mod run;
mod samples;

use std::collections::BTreeSet;

use dice::Dice;
use judge::{By, Verifiers};
use operators::{changes, respellings};
use proptest::prelude::*;
use run::{Plan, run};
use samples::sample;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_change_and_it_is_refused(sample in sample(), seed in any::<u64>()) {
        let verifiers = Verifiers::new();
        let mut dice = Dice::new(seed);
        for (name, change) in changes() {
            if let Some(changed) = change(&sample, &mut dice) {
                for by in [By::Strict, By::Cold, By::Anywhere] {
                    let verdict = verifiers.verdict(by, sample.profile, &changed);
                    prop_assert!(verdict.is_err(), "{}: {:?}", name, changed);
                }
            }
        }
    }

    #[test]
    fn the_same_in_other_words_is_accepted(sample in sample(), seed in any::<u64>()) {
        let verifiers = Verifiers::new();
        let mut dice = Dice::new(seed);
        for by in [By::Strict, By::Cold, By::Anywhere] {
            prop_assert_eq!(verifiers.verdict(by, sample.profile, &sample.arrival), Ok(()));
        }
        for (name, respell) in respellings() {
            if let Some(respelt) = respell(&sample, &mut dice) {
                let verdict = verifiers.verdict(By::Strict, sample.profile, &respelt);
                prop_assert_eq!(verdict, Ok(()), "{}: {:?}", name, respelt);
            }
        }
    }
}

/// A slice of the long run, in which every operator had its say.
#[test]
fn a_slice_of_the_long_run() {
    let plan = Plan { valid: 4_000, mutated: 24_000, seed: 1, progress: false };
    let report = run(plan);
    if report.wrongly_refused.count + report.wrongly_accepted.count > 0 {
        report.tell();
        panic!("see above");
    }
    assert_eq!((report.valid(), report.mutated()), (plan.valid, plan.mutated));
    let told: BTreeSet<_> = report.changes.keys().chain(report.respellings.keys()).copied().collect();
    let all: BTreeSet<_> = changes().iter().chain(&respellings()).map(|(name, _)| *name).collect();
    assert_eq!(all.difference(&told).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
#[ignore = "minutes: the documented run of millions"]
fn the_long_run() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let plan = Plan {
        valid: number("CREDFED_VALID", 1_000_000),
        mutated: number("CREDFED_MUTATED", 10_000_000),
        seed: number("CREDFED_SEED", 1),
        progress: true,
    };
    println!("{plan:?}");
    let report = run(plan);
    report.tell();
    assert_eq!((report.wrongly_refused.count, report.wrongly_accepted.count), (0, 0));
}
