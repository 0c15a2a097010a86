//! a. Ten thousand callers find nothing.

use std::time::Duration;

use super::{calls, time};
use crate::callers::{Tally, crowd};
use crate::peer::Kind;
use crate::source::Source;

pub async fn run(kind: Kind) -> String {
    let source = Source::works(Duration::from_millis(50));
    let peer = kind.in_front_of(&source);
    let tally = Tally::of(crowd(&peer, 10_000)).await;
    format!("{}, {tally}, the last after {}", calls(source.calls()), time(tally.longest))
}
