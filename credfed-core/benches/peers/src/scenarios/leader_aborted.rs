//! c. The task that began the load is aborted halfway.

use std::time::Duration;

use super::{calls, time};
use crate::callers::{FOR_EVER, Tally, crowd, send};
use crate::peer::Kind;
use crate::source::Source;

const LOAD: Duration = Duration::from_millis(200);

pub async fn run(kind: Kind) -> String {
    let source = Source::works(LOAD);
    let peer = kind.in_front_of(&source);
    let leader = send(&peer, FOR_EVER);
    while source.calls() == 0 {
        tokio::task::yield_now().await;
    }
    let waiters = crowd(&peer, 50);
    tokio::time::sleep(LOAD / 2).await;
    leader.abort();
    let tally = Tally::of(waiters).await;
    format!("{}, {tally} after {}", calls(source.calls()), time(tally.longest))
}
