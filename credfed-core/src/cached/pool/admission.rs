//! How many identities may be new in a while.

use std::time::Duration;

use crate::runtime::nanos;

/// A token bucket, kept as the one moment at which it is full again. Times are nanoseconds of the monotonic clock, in
/// 128 bits: the longest period times the largest burst is about 2^96, and a sum that stuck at its bound would let in
/// whoever comes.
pub(super) struct Admission {
    /// One more token per this time; 0 is no limit.
    every: u128,
    /// How far the moment may lie ahead for there to be a token left.
    slack: u128,
    full_at: u128,
}

impl Admission {
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        let every = u128::from(nanos(every));
        let slack = every.saturating_mul(u128::from(burst.saturating_sub(1)));
        Self { every, slack, full_at: 0 }
    }

    /// How long it takes until there is a token; `None` if there is one.
    pub(super) fn wait(&self, now: u64) -> Option<Duration> {
        let wait = self.full_at.saturating_sub(u128::from(now)).saturating_sub(self.slack);
        (wait > 0).then(|| Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// Takes a token, or says how long it takes until there is one.
    pub(super) fn take(&mut self, now: u64) -> Result<(), Duration> {
        match self.wait(now) {
            Some(wait) => Err(wait),
            None => {
                self.full_at = self.full_at.max(u128::from(now)).saturating_add(self.every);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(admission: &mut Admission, now: u64) -> usize {
        (0..100).take_while(|_| admission.take(now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_let_in_and_then_one_per_period() {
        let mut admission = Admission::new(3, Duration::from_secs(2));
        let start = 7 * SECOND;
        assert_eq!(taken(&mut admission, start), 3);
        assert_eq!(admission.wait(start), Some(Duration::from_secs(2)));
        assert_eq!(taken(&mut admission, start + 2 * SECOND - 1), 0);
        assert_eq!(taken(&mut admission, start + 2 * SECOND), 1);
        assert_eq!(taken(&mut admission, start + 3 * SECOND), 0);
        assert_eq!(taken(&mut admission, start + 3_600 * SECOND), 3, "no more than the burst is saved up");
    }

    #[test]
    fn without_a_period_there_is_no_limit() {
        let mut admission = Admission::new(1, Duration::ZERO);
        assert_eq!(taken(&mut admission, 0), 100);
    }

    #[test]
    fn the_longest_times_do_not_overflow() {
        let mut admission = Admission::new(u32::MAX, Duration::MAX);
        assert_eq!(taken(&mut admission, u64::MAX), 100, "of a burst of billions");
        for burst in [1, 2, 99] {
            let mut admission = Admission::new(burst, Duration::MAX);
            assert_eq!(taken(&mut admission, 5), burst as usize);
            assert_eq!(taken(&mut admission, u64::MAX - 1), 0);
            assert!(admission.wait(u64::MAX - 1).is_some());
        }
    }
}
