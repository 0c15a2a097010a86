//! e. A source that panics at its first call.

use std::time::Duration;

use super::calls;
use crate::callers::{Tally, crowd};
use crate::peer::Kind;
use crate::source::{Source, Step, works};

pub async fn run(kind: Kind) -> String {
    let after = Duration::from_millis(20);
    let source = Source::new([Step::Panics { after }], works(after));
    let peer = kind.in_front_of(&source);
    let first = Tally::of(crowd(&peer, 20)).await;
    // Longer than any cache leaves its source alone after one failure.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let second = Tally::of(crowd(&peer, 20)).await;
    format!("{}; {first}; then {second}", calls(source.calls()))
}
