//! j. A source that is down for a while: who bothers it meanwhile, and who notices when it is back.

use std::time::{Duration, Instant};

use super::{calls, time};
use crate::callers::{Answer, FOR_EVER, send};
use crate::peer::Kind;
use crate::source::{Source, Step};

const DOWN: Duration = Duration::from_secs(6);
const AFTER: Duration = Duration::from_millis(20);

pub async fn run(kind: Kind) -> String {
    let source = Source::new([], Step::IsDown { at_first: DOWN, after: AFTER });
    let peer = kind.in_front_of(&source);
    let began = Instant::now();
    let mut during = 0;
    while began.elapsed() < DOWN * 3 {
        if began.elapsed() < DOWN {
            during = source.calls();
        }
        if matches!(send(&peer, FOR_EVER).await, Ok(caller) if caller.answer == Answer::Served) {
            let late = began.elapsed().saturating_sub(DOWN);
            return format!("{} meanwhile, served {} after its return", calls(during), time(late));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    format!("{} meanwhile, nobody served", calls(during))
}
