//! A look at a cache from outside.

use std::time::Duration;

use crate::ErrorKind;

/// The state of a [`CachedProvider`](super::CachedProvider) at one moment, for readiness probes and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Where the credential at hand stands.
    pub state: State,
    /// Time until the credential at hand expires; `None` if there is none or it never does.
    pub expires_in: Option<Duration>,
    /// How many credentials have been loaded so far.
    pub generation: u64,
    /// Whether a load is under way.
    pub refreshing: bool,
    /// Loads that failed since the last one that worked.
    pub consecutive_failures: u32,
    /// What the last of them failed with.
    pub last_error: Option<ErrorKind>,
}

impl Status {
    /// Whether a valid credential is at hand. In the mandatory window a caller may still wait for a refresh, for
    /// two seconds at most.
    pub fn is_ready(&self) -> bool {
        !matches!(self.state, State::Empty | State::Expired)
    }
}

/// Where the credential at hand stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// There is none: nothing was loaded yet, or it was rejected.
    Empty,
    /// Valid, with nothing to do.
    Fresh,
    /// Valid, and due for a refresh that nobody waits for.
    Advisory,
    /// Valid, and about to expire.
    Mandatory,
    /// No longer valid.
    Expired,
}
