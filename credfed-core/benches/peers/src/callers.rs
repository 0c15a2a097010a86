//! Callers: tasks that ask a peer for a credential, and what became of them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::task::JoinHandle;

use crate::peer::Peer;

/// Who waits longer than this is taken to wait for ever.
pub const FOR_EVER: Duration = Duration::from_secs(5);

pub struct Caller {
    pub answer: Answer,
    pub waited: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Served,
    Refused,
    GaveUp,
}

/// One caller, in a task of its own, that gives up when its patience is over.
pub fn send(peer: &Arc<dyn Peer>, patience: Duration) -> JoinHandle<Caller> {
    let peer = Arc::clone(peer);
    tokio::spawn(async move {
        let began = Instant::now();
        let answer = match tokio::time::timeout(patience, peer.get()).await {
            Ok(Ok(())) => Answer::Served,
            Ok(Err(_)) => Answer::Refused,
            Err(_) => Answer::GaveUp,
        };
        Caller { answer, waited: began.elapsed() }
    })
}

/// So many callers at once, each of which would wait for ever.
pub fn crowd(peer: &Arc<dyn Peer>, count: usize) -> Vec<JoinHandle<Caller>> {
    (0..count).map(|_| send(peer, FOR_EVER)).collect()
}

/// What became of many callers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub served: usize,
    pub refused: usize,
    pub gave_up: usize,
    pub panicked: usize,
    /// The longest that one of them waited for its answer.
    pub longest: Duration,
}

impl Tally {
    pub async fn of(callers: impl IntoIterator<Item = JoinHandle<Caller>>) -> Self {
        let mut callers: FuturesUnordered<_> = callers.into_iter().collect();
        let mut tally = Self::default();
        while let Some(caller) = callers.next().await {
            match caller {
                Ok(caller) => tally.add(&caller),
                Err(error) if error.is_panic() => tally.panicked += 1,
                Err(_) => {}
            }
        }
        tally
    }

    pub fn add(&mut self, caller: &Caller) {
        match caller.answer {
            Answer::Served => self.served += 1,
            Answer::Refused => self.refused += 1,
            Answer::GaveUp => self.gave_up += 1,
        }
        self.longest = self.longest.max(caller.waited);
    }
}

/// Names only what occurred; who gave up after [`FOR_EVER`] hangs.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} served", self.served)?;
        for (count, what) in [(self.refused, "error"), (self.panicked, "panic")] {
            if count > 0 {
                write!(f, ", {count} {what}{}", if count == 1 { "" } else { "s" })?;
            }
        }
        if self.gave_up > 0 {
            write!(f, ", {} hang", self.gave_up)?;
        }
        Ok(())
    }
}
