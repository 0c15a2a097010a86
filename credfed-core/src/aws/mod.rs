//! Sources of AWS keys.

mod env;

pub use env::EnvProvider;
