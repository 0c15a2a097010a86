//! The one source behind all peers: it follows a script and counts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The text of the panics that are part of the play.
pub const PANIC: &str = "the source panics, as its script says";

/// What one call comes to.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Works {
        after: Duration,
        lifetime: Duration,
    },
    Fails {
        after: Duration,
    },
    Panics {
        after: Duration,
    },
    Hangs,
    /// Fails until the source is so old, and works from then on.
    IsDown {
        at_first: Duration,
        after: Duration,
    },
}

/// Keys as they come from an STS.
#[derive(Clone, Debug)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    pub expires_at: SystemTime,
}

/// The failure of a source that is down.
#[derive(Clone, Copy, Debug)]
pub struct Down;

/// A source that follows a script: first one step after the other, then one step for ever.
#[derive(Debug)]
pub struct Source {
    first: Vec<Step>,
    then: Step,
    born: Instant,
    calls: AtomicUsize,
    finished: AtomicUsize,
}

impl Source {
    pub fn new(first: impl Into<Vec<Step>>, then: Step) -> Arc<Self> {
        Arc::new(Self {
            first: first.into(),
            then,
            born: Instant::now(),
            calls: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        })
    }

    /// Works at every call.
    pub fn works(after: Duration) -> Arc<Self> {
        Self::new([], works(after))
    }

    /// The upstream call. Only a future that is polled counts.
    pub async fn call(&self) -> Result<Keys, Down> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let step = match self.first.get(number).copied().unwrap_or(self.then) {
            Step::IsDown { at_first, after } if self.born.elapsed() < at_first => Step::Fails { after },
            Step::IsDown { after, .. } => works(after),
            step => step,
        };
        let (Step::Works { after, .. } | Step::Fails { after } | Step::Panics { after }) = step else {
            return std::future::pending().await;
        };
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.finished.fetch_add(1, Ordering::SeqCst);
        match step {
            Step::Works { lifetime, .. } => Ok(Keys {
                access_key_id: format!("ASIA{number:016}"),
                secret_access_key: "s".repeat(40),
                session_token: "t".repeat(1_000),
                expires_at: SystemTime::now() + lifetime,
            }),
            Step::Fails { .. } | Step::Hangs | Step::IsDown { .. } => Err(Down),
            Step::Panics { .. } => std::panic::panic_any(PANIC),
        }
    }

    /// Calls that were begun.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Calls that came to their end, good or bad.
    pub fn finished(&self) -> usize {
        self.finished.load(Ordering::SeqCst)
    }
}

/// A call that brings keys for twelve hours.
pub fn works(after: Duration) -> Step {
    Step::Works { after, lifetime: Duration::from_secs(12 * 3600) }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source is down")
    }
}

impl std::error::Error for Down {}
