//! i. A first call that never answers, and callers that do not wait for ever.

use std::time::{Duration, Instant};

use super::{calls, time};
use crate::callers::{Answer, send};
use crate::peer::Kind;
use crate::source::{Source, Step, works};

const PATIENCE: Duration = Duration::from_millis(250);
const ENOUGH: Duration = Duration::from_secs(30);

pub async fn run(kind: Kind) -> String {
    let source = Source::new([Step::Hangs], works(Duration::from_millis(50)));
    let peer = kind.in_front_of(&source);
    let began = Instant::now();
    let mut waiting = Vec::new();
    let mut in_vain = 0;
    while began.elapsed() < ENOUGH {
        waiting.push(send(&peer, PATIENCE));
        tokio::time::sleep(Duration::from_millis(100)).await;
        while let Some(at) = waiting.iter().position(|caller| caller.is_finished()) {
            match waiting.swap_remove(at).await {
                Ok(caller) if caller.answer == Answer::Served => {
                    let calls = calls(source.calls());
                    return format!("{calls}, served after {}, {in_vain} in vain", time(began.elapsed()));
                }
                _ => in_vain += 1,
            }
        }
    }
    format!("{}, nobody served within {}", calls(source.calls()), time(ENOUGH))
}
