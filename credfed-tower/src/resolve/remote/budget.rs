//! So many a second, and as many at once after a pause.

use std::time::Duration;

pub(super) struct Budget {
    left: f64,
    most: f64,
    seen: Duration,
}

impl Budget {
    pub(super) fn new(per_second: u32, now: Duration) -> Self {
        let most = f64::from(per_second);
        Self { left: most, most, seen: now }
    }

    /// Takes one, if there is one; `now` on the monotonic clock.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let grown = now.saturating_sub(self.seen).as_secs_f64() * self.most;
        self.left = (self.left + grown).min(self.most);
        self.seen = self.seen.max(now);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_gives_more_than_its_share() {
        let start = Duration::from_secs(1_000);
        let mut budget = Budget::new(10, start);
        assert_eq!((0..100).filter(|_| budget.take(start)).count(), 10);
        assert!(!budget.take(start + Duration::from_millis(50)));
        let taken = (0..1_000).filter(|at| budget.take(start + Duration::from_millis(*at))).count();
        assert_eq!(taken, 9);
        assert_eq!((0..100).filter(|_| budget.take(start + Duration::from_secs(3_600))).count(), 10);
        // A clock that goes back gives nothing.
        assert!(!budget.take(start));
    }
}
