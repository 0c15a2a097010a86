//! One file per peer.

pub mod credfed;
pub mod multistore;
pub mod s3s;
pub mod s3s_sigv4;
pub mod scratchstack;
