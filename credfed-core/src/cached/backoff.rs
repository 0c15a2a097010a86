//! How long a failed source is left alone.

use std::time::Duration;

use crate::dice::Dice;
use crate::{ErrorKind, ProviderError};

/// A server may ask for more, but a slip of its pen must not stop a service for a day.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

const WARM_LEAST: Duration = Duration::from_secs(1);
const COLD_FIRST: Duration = Duration::from_millis(100);
const COLD_MOST: Duration = Duration::from_secs(5);

/// The pause after a failure behind a valid credential: several tries fit before it expires.
pub(super) fn warm(error: &ProviderError, remaining: Duration, dice: &mut Dice) -> Duration {
    let usual = dice.between(Duration::from_secs(300), Duration::from_secs(600));
    WARM_LEAST.max(usual.min(remaining / 4)).max(asked_for(error))
}

/// The pause after the `failures`-th failure in a row (from 1) with nothing to serve.
pub(super) fn cold(error: &ProviderError, failures: u32, dice: &mut Dice) -> Duration {
    let pause = match error.kind() {
        ErrorKind::Transient | ErrorKind::Throttled => {
            let doublings = failures.saturating_sub(1).min(10);
            dice.between(Duration::ZERO, COLD_FIRST.saturating_mul(1 << doublings).min(COLD_MOST))
        }
        ErrorKind::Rejected | ErrorKind::Misconfigured | ErrorKind::NotConfigured => {
            dice.between(Duration::from_secs(1), Duration::from_secs(5))
        }
    };
    pause.max(asked_for(error))
}

/// The pause that the server asked for, within reason.
pub(super) fn asked_for(error: &ProviderError) -> Duration {
    error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_warm_pause_leaves_room_for_several_tries() {
        let error = ProviderError::transient("down");
        let mut dice = Dice::new(7);
        for remaining in [HOUR * 12, HOUR, HOUR / 60, HOUR / 3600] {
            let pause = warm(&error, remaining, &mut dice);
            assert!(pause >= WARM_LEAST && pause <= HOUR / 6);
            assert!(pause <= WARM_LEAST.max(remaining / 4));
        }
    }

    #[test]
    fn a_warm_pause_far_from_expiry_is_five_to_ten_minutes() {
        let mut dice = Dice::new(7);
        let pauses = (0..200).map(|_| warm(&ProviderError::transient("down"), HOUR * 12, &mut dice));
        let (least, most) = pauses.fold((HOUR, Duration::ZERO), |(a, b), pause| (a.min(pause), b.max(pause)));
        assert!(least >= HOUR / 12 && least < HOUR / 10, "{least:?}");
        assert!(most <= HOUR / 6 && most > HOUR / 7, "{most:?}");
    }

    #[test]
    fn a_cold_pause_grows_up_to_its_cap() {
        let error = ProviderError::transient("down");
        let mut dice = Dice::new(7);
        for failures in [1, 2, 5, 30, u32::MAX] {
            let most = COLD_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(COLD_MOST);
            let longest = (0..200).map(|_| cold(&error, failures, &mut dice)).max().unwrap();
            assert!(longest <= most && longest > most / 2, "{failures}: {longest:?} of {most:?}");
        }
    }

    #[test]
    fn a_refusal_is_remembered_for_seconds_only() {
        let mut dice = Dice::new(7);
        for error in [ProviderError::rejected("no"), ProviderError::misconfigured("no")] {
            for _ in 0..200 {
                let pause = cold(&error, 9, &mut dice);
                assert!(pause >= Duration::from_secs(1) && pause <= COLD_MOST);
            }
        }
    }

    #[test]
    fn what_the_server_asks_for_is_honoured_within_reason() {
        let mut dice = Dice::new(7);
        let minute = ProviderError::throttled("slow down", Some(HOUR / 60));
        assert_eq!(cold(&minute, 1, &mut dice), HOUR / 60);
        assert_eq!(warm(&minute, HOUR / 60, &mut dice), HOUR / 60);
        let forever = ProviderError::throttled("slow down", Some(Duration::MAX));
        assert_eq!(cold(&forever, 1, &mut dice), LONGEST_RETRY_AFTER);
    }
}
