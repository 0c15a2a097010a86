//! One file per scenario: what a peer does in it, as a cell of the table.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::peer::Kind;

mod blip;
mod cold;
mod down;
mod hangs;
mod impatient;
mod leader_aborted;
mod outage;
mod panics;
mod refresh;

pub struct Scenario {
    pub id: char,
    pub title: &'static str,
    /// Long and quiet: all peers go through all of these at the same time.
    pub long: bool,
    pub run: fn(Kind) -> BoxFuture<'static, String>,
}

pub const ALL: [Scenario; 10] = [
    Scenario {
        id: 'a',
        title: "10,000 cold callers, the load takes 50 ms",
        long: false,
        run: |kind| cold::run(kind).boxed(),
    },
    Scenario {
        id: 'b',
        title: "the source is down, an attempt takes 20 ms, 100 callers",
        long: false,
        run: |kind| down::run(kind).boxed(),
    },
    Scenario {
        id: 'c',
        title: "whoever began the load is aborted at half of it, 50 wait",
        long: false,
        run: |kind| leader_aborted::run(kind).boxed(),
    },
    Scenario {
        id: 'd',
        title: "80 callers, one every quarter of the load, each gives up after half of it",
        long: false,
        run: |kind| impatient::run(kind).boxed(),
    },
    Scenario {
        id: 'e',
        title: "the source panics once: 20 callers, then 20 more",
        long: false,
        run: |kind| panics::run(kind).boxed(),
    },
    Scenario {
        id: 'f',
        title: "refreshes fail while the held credential is valid: 100 pairs of callers until 1 s before expiry",
        long: true,
        run: |kind| refresh::failing(kind).boxed(),
    },
    Scenario {
        id: 'g',
        title: "a refresh takes 500 ms while the held credential is valid: 100 pairs of callers",
        long: true,
        run: |kind| refresh::slow(kind).boxed(),
    },
    Scenario {
        id: 'h',
        title: "one attempt fails, then the source works: 100 cold callers, then one every 10 ms",
        long: false,
        run: |kind| blip::run(kind).boxed(),
    },
    Scenario {
        id: 'i',
        title: "the first call never answers, then the source works: a caller every 100 ms gives up after 250 ms",
        long: true,
        run: |kind| hangs::run(kind).boxed(),
    },
    Scenario {
        id: 'j',
        title: "the source is down for 6 s, a caller every 50 ms",
        long: true,
        run: |kind| outage::run(kind).boxed(),
    },
];

fn calls(count: usize) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
