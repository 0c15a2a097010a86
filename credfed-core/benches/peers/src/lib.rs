//! How the cached provider behaves beside its peers. See README.md.
//!
//! Two binaries share this: `peers` prints the tables, and runs `allocations`, which counts under an allocator
//! that would distort the times.
#![expect(clippy::disallowed_methods, reason = "a bench lives in real time, and so do the peers")]

pub mod callers;
pub mod hits;
pub mod peer;
pub mod peers;
pub mod scenarios;
pub mod source;
pub mod table;
