//! What a hit costs.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::peer::{Hit, Kind};
use crate::source::Source;

/// A sample is about so long.
const SAMPLE: Duration = Duration::from_millis(10);

/// One way to hit one peer.
pub struct Subject {
    pub peer: Kind,
    pub hit: Hit,
}

/// Medians, in nanoseconds per hit.
pub struct Price {
    pub alone: f64,
    pub beside_another: f64,
}

/// Every way to hit each of the peers, with a credential at hand.
pub fn subjects(runtime: &Runtime, kinds: &[Kind]) -> Result<Vec<Subject>, String> {
    let mut subjects = Vec::new();
    for &peer in kinds {
        let cache = peer.in_front_of(&Source::works(Duration::ZERO));
        runtime.block_on(cache.get()).map_err(|error| format!("{}: {error}", peer.name))?;
        subjects.extend(Arc::clone(&cache).hits().into_iter().map(|hit| Subject { peer, hit }));
    }
    Ok(subjects)
}

/// All subjects in turn, one sample each, over and over: a slow moment hits all of them.
pub fn measure(runtime: &Runtime, subjects: &[Subject], rounds: usize) -> Result<Vec<Price>, String> {
    let times: Vec<_> = subjects.iter().map(|subject| times(runtime, &subject.hit)).collect();
    let mut alone = vec![Vec::with_capacity(rounds); subjects.len()];
    let mut beside_another = alone.clone();
    for round in 1..=rounds {
        for (at, (subject, &times)) in subjects.iter().zip(&times).enumerate() {
            alone[at].push(sample(runtime, subject, times)?);
            beside_another[at].push(sample_of_two(runtime, subject, times)?);
        }
        if round % 10 == 0 {
            eprintln!("hits: round {round} of {rounds}");
        }
    }
    let price = |(alone, beside)| Price { alone: median(alone), beside_another: median(beside) };
    Ok(alone.into_iter().zip(beside_another).map(price).collect())
}

/// How many hits make up a sample; warms up on the way.
fn times(runtime: &Runtime, hit: &Hit) -> usize {
    const TRIAL: usize = 20_000;
    let _context = runtime.enter();
    let began = Instant::now();
    (hit.run)(TRIAL);
    let trial = began.elapsed().as_nanos().max(1);
    let times = SAMPLE.as_nanos() * TRIAL as u128 / trial;
    usize::try_from(times).unwrap_or(usize::MAX).clamp(1_000, 5_000_000)
}

fn sample(runtime: &Runtime, subject: &Subject, times: usize) -> Result<f64, String> {
    let _context = runtime.enter();
    let began = Instant::now();
    let hits = (subject.hit.run)(times);
    let elapsed = began.elapsed();
    if hits == times {
        Ok(elapsed.as_nanos() as f64 / times as f64)
    } else {
        Err(format!("{}: {} of {times} were no hits", subject.peer.name, times - hits))
    }
}

/// The mean of two threads that do the same at the same time.
fn sample_of_two(runtime: &Runtime, subject: &Subject, times: usize) -> Result<f64, String> {
    let start = Barrier::new(2);
    let run = || {
        start.wait();
        sample(runtime, subject, times)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(run);
        let here = run()?;
        let there = other.join().map_err(|_| format!("{}: a hit panicked", subject.peer.name))??;
        Ok((here + there) / 2.0)
    })
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}
