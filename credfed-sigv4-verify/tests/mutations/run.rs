//! The run: valid requests, each changed several times and written anew.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::dice::Dice;
use super::judge::{By, Verifiers};
use super::operators::{Named, changes, respellings};
use super::samples::sample;

/// How much is run; besides, each valid request is written once in other words. The same seed gives the same requests, whatever the number of threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) valid: u64,
    /// Refused unless the verifier is wrong.
    pub(crate) mutated: u64,
    pub(crate) seed: u64,
    /// Tells how far it is.
    pub(crate) progress: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) valid: BTreeMap<&'static str, u64>,
    pub(crate) changes: BTreeMap<&'static str, u64>,
    pub(crate) respellings: BTreeMap<&'static str, u64>,
    /// Refused, though valid; at most a hundred are described.
    pub(crate) wrongly_refused: Wrong,
    pub(crate) wrongly_accepted: Wrong,
}

#[derive(Debug, Default)]
pub(crate) struct Wrong {
    pub(crate) count: u64,
    pub(crate) described: Vec<String>,
}

impl Wrong {
    fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.described.len() < 100 {
            self.described.push(describe());
        }
    }
}

/// Samples that one random generator makes, one after the other.
const BATCH: u64 = 500;

pub(crate) fn run(plan: Plan) -> Report {
    let total = Mutex::new(Report::default());
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let worker = Worker::new(plan);
                loop {
                    let first = next.fetch_add(BATCH, Ordering::Relaxed);
                    if first >= plan.valid {
                        break;
                    }
                    let report = worker.batch(first);
                    let mut total = total.lock().unwrap();
                    total.add(report);
                    if plan.progress {
                        total.tell_progress(plan);
                    }
                }
            });
        }
    });
    total.into_inner().unwrap()
}

struct Worker {
    plan: Plan,
    verifiers: Verifiers,
    changes: Vec<Named>,
    respellings: Vec<Named>,
}

impl Worker {
    fn new(plan: Plan) -> Self {
        Self { plan, verifiers: Verifiers::new(), changes: changes(), respellings: respellings() }
    }

    fn batch(&self, first: u64) -> Report {
        let mut report = Report::default();
        let mut dice = Dice::new(self.plan.seed ^ first.rotate_left(32));
        let seed: Vec<u8> = (0..4).flat_map(|_| dice.next().to_le_bytes()).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let samples = sample();
        for index in first..self.plan.valid.min(first + BATCH) {
            // All together exactly as many as planned.
            let share =
                |index: u64| u128::from(self.plan.mutated) * u128::from(index) / u128::from(self.plan.valid);
            let mutations = share(index + 1) - share(index);
            let sample = samples.new_tree(&mut runner).unwrap().current();
            let profile = sample.profile;
            *report.valid.entry(sample.kind).or_default() += 1;
            let by = if index % 16 == 0 { By::Cold } else { By::Strict };
            if let Err(reason) = self.verifiers.verdict(by, profile, &sample.arrival) {
                report.wrongly_refused.add(|| format!("{by:?}: {reason:?}: {sample:?}"));
            }
            let mut done = 0;
            while done < mutations {
                let (name, change) = *dice.pick(&self.changes).unwrap();
                let Some(changed) = change(&sample, &mut dice) else { continue };
                done += 1;
                *report.changes.entry(name).or_default() += 1;
                let by = match dice.next() % 8 {
                    0 => By::Cold,
                    1 => By::Anywhere,
                    _ => By::Strict,
                };
                if self.verifiers.verdict(by, profile, &changed).is_ok() {
                    report.wrongly_accepted.add(|| format!("{name}, {by:?}: {changed:?} of {sample:?}"));
                }
            }
            let (name, respelt) = loop {
                let (name, respell) = *dice.pick(&self.respellings).unwrap();
                if let Some(respelt) = respell(&sample, &mut dice) {
                    break (name, respelt);
                }
            };
            *report.respellings.entry(name).or_default() += 1;
            if let Err(reason) = self.verifiers.verdict(By::Strict, profile, &respelt) {
                report.wrongly_refused.add(|| format!("{name}: {reason:?}: {respelt:?} of {sample:?}"));
            }
        }
        report
    }
}

impl Report {
    pub(crate) fn valid(&self) -> u64 {
        self.valid.values().sum()
    }

    pub(crate) fn mutated(&self) -> u64 {
        self.changes.values().sum()
    }

    pub(crate) fn respelt(&self) -> u64 {
        self.respellings.values().sum()
    }

    fn add(&mut self, other: Self) {
        for (mine, theirs) in [
            (&mut self.valid, other.valid),
            (&mut self.changes, other.changes),
            (&mut self.respellings, other.respellings),
        ] {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
        for (mine, theirs) in [
            (&mut self.wrongly_refused, other.wrongly_refused),
            (&mut self.wrongly_accepted, other.wrongly_accepted),
        ] {
            mine.count += theirs.count;
            let room = 100 - mine.described.len();
            mine.described.extend(theirs.described.into_iter().take(room));
        }
    }

    /// A line per twentieth.
    fn tell_progress(&self, plan: Plan) {
        let step = (plan.valid / 20).max(1);
        if self.valid() / step != self.valid().saturating_sub(BATCH) / step {
            println!(
                "{} valid, {} respelt, {} mutated; wrongly refused {}, wrongly accepted {}",
                self.valid(),
                self.respelt(),
                self.mutated(),
                self.wrongly_refused.count,
                self.wrongly_accepted.count
            );
        }
    }

    /// Counts by kind and operator, then whatever went wrong.
    pub(crate) fn tell(&self) {
        for (title, counts) in [
            ("valid, accepted", &self.valid),
            ("valid in other words, accepted", &self.respellings),
            ("mutated, refused", &self.changes),
        ] {
            println!("\n{title}: {}", counts.values().sum::<u64>());
            for (name, count) in counts {
                println!("{count:>12}  {name}");
            }
        }
        println!("\nwrong refusals: {}", self.wrongly_refused.count);
        self.wrongly_refused.described.iter().for_each(|wrong| println!("  {wrong}"));
        println!("wrong accepts: {}", self.wrongly_accepted.count);
        self.wrongly_accepted.described.iter().for_each(|wrong| println!("  {wrong}"));
    }
}
