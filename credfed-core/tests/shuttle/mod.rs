//! The real gate, snapshot, flights and shared future under schedules of shuttle's choosing.
//!
//! Each test runs some thousand times, each time with other threads going first; a test that would wait for ever is a
//! failure too, and that is what a lost wake-up looks like. Shuttle is sequentially consistent: orderings and fences
//! weaker than they ought to be are not found here. A failure prints a seed: `SHUTTLE_RANDOM_SEED` takes it.
//!
//! ```console
//! $ export RUSTFLAGS="--cfg credfed_shuttle" CARGO_TARGET_DIR=target/shuttle
//! $ cargo test -p credfed-core --lib --no-default-features shuttle_tests
//! ```

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "only tests are here")]

mod ageing;
mod cold;
mod derived;
mod failures;
mod given_up;
mod invalidation;
mod isolated;
mod panics;
mod pool;
mod reader;
mod refreshing;
mod runtime_gone;
mod shared;
mod support;
