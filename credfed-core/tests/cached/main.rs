//! The behaviour of the cached provider, on virtual time: nothing here sleeps.
//!
//! | what must hold | where |
//! |---|---|
//! | one load, however many ask; a source that is down is asked once | `cold`, `ageing`, `real` (threads) |
//! | whoever leaves takes nothing along | `flights`, `real` |
//! | no error before expiry, nothing expired after it; sources that hang, panic or bring nonsense | `failures`, `observed` |
//! | no order of events breaks a rule | `rules` with its reference `model`; `machine`, `script`, `waiter`, `held` drive it |
//! | the same under every schedule of threads | `tests/shuttle` |
//! | runtimes that go, lifetimes, clocks that are set, fleets | `mortal`, `flights`, `real`, `ageing`, `time` |
//! | callers that look late | `sleepers` |
//! | what the service rejects is not served again | `invalidation` |
//! | callers that may not wait for one another | `isolated` |
//! | a bounded number of providers | `pool` |
//! | a hit allocates nothing and takes few instructions | `tests/hit_path.rs`, `benches/instructions` |
//! | an answer for another principal | `tests/sts` |

mod ageing;
mod cold;
mod failures;
mod flights;
mod held;
mod invalidation;
mod isolated;
mod isolated_together;
mod machine;
mod model;
mod mortal;
mod observed;
mod panics;
mod pool;
mod reader;
mod real;
mod rules;
mod script;
mod sleepers;
mod support;
mod time;
mod waiter;
mod windows;
