//! f, g. A held credential that lives for twelve seconds, and a refresh that is due before its end.
//!
//! Each peer decides when: five minutes before expiry, or two, or one (at once, that is), or ten seconds, or at a
//! share of the lifetime.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{calls, time};
use crate::callers::{Answer, FOR_EVER, Tally, send};
use crate::peer::{Kind, Peer};
use crate::source::{Source, Step, works};

const LIFETIME: Duration = Duration::from_secs(12);
const FIRST: Step = Step::Works { after: Duration::from_millis(20), lifetime: LIFETIME };
const PAIRS: u32 = 100;
/// Slow enough to be told from a busy machine.
const WAITED: Duration = Duration::from_millis(50);

/// The source is down after the first call.
pub async fn failing(kind: Kind) -> String {
    let source = Source::new([FIRST], Step::Fails { after: Duration::from_millis(20) });
    let peer = kind.in_front_of(&source);
    let seen = visit(&peer).await;
    let attempts = calls(source.calls().saturating_sub(1));
    match seen.first_error {
        None => format!("{}, {attempts} failed behind it", seen.tally),
        Some(left) => format!("{}, the first {} before expiry; {attempts} failed", seen.tally, time(left)),
    }
}

/// The second call takes half a second and brings keys for hours.
pub async fn slow(kind: Kind) -> String {
    let source = Source::new([FIRST], works(Duration::from_millis(500)));
    let peer = kind.in_front_of(&source);
    let seen = visit(&peer).await;
    let attempts = calls(source.calls().saturating_sub(1));
    format!("{attempts}, {} waited for it, up to {}", seen.waited, time(seen.tally.longest))
}

struct Seen {
    tally: Tally,
    /// How long before expiry the first error came.
    first_error: Option<Duration>,
    /// Callers that had to wait although a valid credential was at hand.
    waited: usize,
}

/// Callers in pairs at even intervals, until a second before expiry.
async fn visit(peer: &Arc<dyn Peer>) -> Seen {
    let expiry = Instant::now() + LIFETIME;
    let mut seen = Seen { tally: Tally::default(), first_error: None, waited: 0 };
    if peer.get().await.is_err() {
        return seen;
    }
    let step = (LIFETIME - Duration::from_secs(1)) / PAIRS;
    let mut callers = Vec::new();
    for _ in 0..PAIRS {
        tokio::time::sleep(step).await;
        let left = expiry.saturating_duration_since(Instant::now());
        callers.extend([(left, send(peer, FOR_EVER)), (left, send(peer, FOR_EVER))]);
    }
    for (left, caller) in callers {
        let Ok(caller) = caller.await else { continue };
        if caller.answer == Answer::Refused && seen.first_error.is_none() {
            seen.first_error = Some(left);
        }
        seen.waited += usize::from(caller.waited > WAITED);
        seen.tally.add(&caller);
    }
    seen
}
