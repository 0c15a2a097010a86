//! b. A source that is down.

use std::time::Duration;

use super::{calls, time};
use crate::callers::{Tally, crowd};
use crate::peer::Kind;
use crate::source::{Source, Step};

pub async fn run(kind: Kind) -> String {
    let source = Source::new([], Step::Fails { after: Duration::from_millis(20) });
    let peer = kind.in_front_of(&source);
    let tally = Tally::of(crowd(&peer, 100)).await;
    format!("{}, the last knows after {}", calls(source.calls()), time(tally.longest))
}
