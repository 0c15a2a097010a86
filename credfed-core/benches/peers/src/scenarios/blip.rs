//! h. One failed attempt, then a source that works.

use std::time::{Duration, Instant};

use super::{calls, time};
use crate::callers::{Answer, FOR_EVER, Tally, crowd, send};
use crate::peer::Kind;
use crate::source::{Source, Step, works};

pub async fn run(kind: Kind) -> String {
    let blip = Step::Fails { after: Duration::from_millis(20) };
    let source = Source::new([blip], works(Duration::from_millis(50)));
    let peer = kind.in_front_of(&source);
    let tally = Tally::of(crowd(&peer, 100)).await;

    let began = Instant::now();
    let mut errors = 0;
    while began.elapsed() < Duration::from_secs(10) {
        match send(&peer, FOR_EVER).await {
            Ok(caller) if caller.answer == Answer::Served => {
                let calls = calls(source.calls());
                return format!(
                    "{calls}, {tally}; the next {} later, {errors} errors between",
                    time(began.elapsed())
                );
            }
            _ => errors += 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    format!("{}, {tally}; nobody served within 10 s", calls(source.calls()))
}
