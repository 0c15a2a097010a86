//! Times that differ from one entry to the next, so that what happened at once does not happen at once again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Random enough to spread load; nothing secret depends on it.
pub(super) struct Spread {
    seed: u64,
    drawn: u64,
}

impl Spread {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.drawn).hash(&mut hasher);
        self.drawn = self.drawn.wrapping_add(1);
        let high = u32::try_from(hasher.finish() >> 32).unwrap_or(0);
        least + most.saturating_sub(least).mul_f64(f64::from(high) / (f64::from(u32::MAX) + 1.0))
    }

    /// How long a key is not asked for after its `failures`-th failure in a row, from 1: 0 to 100 ms, doubling, at
    /// most 5 s.
    pub(super) fn pause(&mut self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(10);
        self.between(Duration::ZERO, FIRST.saturating_mul(1 << doublings).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_their_whole_width_and_grow_up_to_five_seconds() {
        let mut spread = Spread::new(7);
        for failures in [1, 2, 5, 30, u32::MAX] {
            let most = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
            let pauses: Vec<_> = (0..300).map(|_| spread.pause(failures)).collect();
            let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(*longest <= most && *longest > most * 9 / 10 && *shortest < most / 10, "{failures}");
        }
        let second = Duration::from_secs(1);
        assert_eq!(spread.between(second, second), second);
        assert_eq!(spread.between(second, Duration::ZERO), second);
    }
}
