//! Sources of AWS keys.

mod env;
#[cfg(feature = "aws")]
pub mod sts;

pub use env::EnvProvider;
