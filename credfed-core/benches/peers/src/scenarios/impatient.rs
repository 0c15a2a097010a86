//! d. Callers that never wait for as long as the load takes.

use std::time::Duration;

use super::calls;
use crate::callers::{Tally, send};
use crate::peer::Kind;
use crate::source::Source;

const LOAD: Duration = Duration::from_millis(100);

pub async fn run(kind: Kind) -> String {
    let source = Source::works(LOAD);
    let peer = kind.in_front_of(&source);
    let mut callers = Vec::new();
    for _ in 0..80 {
        callers.push(send(&peer, LOAD / 2));
        tokio::time::sleep(LOAD / 4).await;
    }
    let tally = Tally::of(callers).await;
    format!("{}, {} completed, {} served", calls(source.calls()), source.finished(), tally.served)
}
