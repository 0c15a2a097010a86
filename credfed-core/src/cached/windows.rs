//! When a refresh begins, and when it begins to be urgent.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// What never expires is not asked for more often than this, whatever its source hints.
const SHORTEST_HINT: Duration = Duration::from_secs(5);

/// How long before expiry a refresh begins.
///
/// | lifetime at fetch | advisory window | mandatory window |
/// |---|---|---|
/// | up to 20 min | 5 min | 60 s |
/// | under 90 min | 15 min | 60 s |
/// | 90 min and more | 60 min | 60 s |
/// | no expiry | none | none |
///
/// Whatever is set, the advisory window is at most half of the lifetime and the mandatory one at most a
/// quarter of the advisory one: a window as long as the lifetime would mean one upstream call per request. The
/// start of the advisory window is spread at random over its first half, so that a fleet that started together
/// does not refresh together; what is left of it is at least twice the mandatory one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    advisory: Option<Duration>,
    mandatory: Option<Duration>,
}

impl Windows {
    /// A fixed advisory window instead of the table's.
    #[must_use]
    pub fn advisory(mut self, before_expiry: Duration) -> Self {
        self.advisory = Some(before_expiry);
        self
    }

    /// A fixed mandatory window instead of the table's.
    #[must_use]
    pub fn mandatory(mut self, before_expiry: Duration) -> Self {
        self.mandatory = Some(before_expiry);
        self
    }

    /// The times of a credential that lives for `lifetime` after its fetch. `spread` is in 0 ..= 1 and says
    /// where in the first half of the advisory window it starts.
    pub(super) fn plan(&self, lifetime: Option<Duration>, hint: Option<Duration>, spread: f64) -> Plan {
        let Some(lifetime) = lifetime else {
            let advisory = hint.map(|hint| hint.max(SHORTEST_HINT));
            return Plan { advisory, mandatory: None, expiry: None };
        };
        let advisory = match hint {
            Some(hint) if hint < lifetime => lifetime.saturating_sub(hint),
            _ => self.advisory.unwrap_or_else(|| table(lifetime)),
        };
        let advisory = advisory.min(lifetime / 2);
        let start = lifetime - advisory + (advisory / 2).mul_f64(spread.clamp(0.0, 1.0)).min(advisory / 2);
        // Half of what the latest start leaves, so that there is time for a refresh that nobody waits for.
        let mandatory = self.mandatory.unwrap_or(MINUTE).min(advisory / 4);
        Plan { advisory: Some(start), mandatory: Some(lifetime - mandatory), expiry: Some(lifetime) }
    }
}

/// Times after the fetch; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) advisory: Option<Duration>,
    pub(super) mandatory: Option<Duration>,
    pub(super) expiry: Option<Duration>,
}

fn table(lifetime: Duration) -> Duration {
    if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_table_without_spread() {
        for (lifetime, advisory, mandatory) in [
            (64, 32, 56),
            (480, 240, 420),
            (600, 300, 540),
            (1_200, 900, 1_140),
            (3_600, 2_700, 3_540),
            (5_399, 4_499, 5_339),
            (5_400, 2_700, 5_340),
            (43_200, 39_600, 43_140),
        ] {
            let plan = Windows::default().plan(secs(lifetime), None, 0.0);
            let expected =
                Plan { advisory: secs(advisory), mandatory: secs(mandatory), expiry: secs(lifetime) };
            assert_eq!(plan, expected, "lifetime {lifetime} s");
        }
        assert_eq!(
            Windows::default().plan(None, None, 0.5),
            Plan { advisory: None, mandatory: None, expiry: None }
        );
    }

    #[test]
    fn a_hint_takes_the_place_of_the_table_within_the_clamp() {
        assert_eq!(Windows::default().plan(secs(3_600), secs(3_000), 0.0).advisory, secs(3_000));
        assert_eq!(Windows::default().plan(secs(3_600), secs(1), 0.0).advisory, secs(1_800));
        assert_eq!(Windows::default().plan(None, secs(300), 0.9).advisory, secs(300));
        assert_eq!(Windows::default().plan(None, secs(0), 0.9).advisory, secs(5));
    }

    proptest! {
        #[test]
        fn windows_stay_within_their_share_of_any_lifetime(
            lifetime in prop_oneof![0_u64..100_000, 0..u64::MAX],
            fixed in proptest::option::of(0..u64::MAX),
            hint in proptest::option::of(0..u64::MAX),
            spread in -1.0..2.0_f64,
        ) {
            let mut windows = Windows::default();
            windows.advisory = fixed.map(Duration::from_nanos);
            windows.mandatory = windows.advisory;
            let lifetime = Duration::from_nanos(lifetime);
            let plan = windows.plan(Some(lifetime), hint.map(Duration::from_nanos), spread);
            let (advisory, mandatory) = (plan.advisory.unwrap(), plan.mandatory.unwrap());
            prop_assert!(advisory >= lifetime / 2);
            prop_assert!(mandatory >= lifetime - lifetime / 8 && mandatory <= lifetime);
            prop_assert!(mandatory - advisory >= lifetime - mandatory, "ahead of it is as long as it");
        }
    }

    #[test]
    fn the_longest_lifetime_does_not_panic() {
        let plan = Windows::default().plan(Some(Duration::MAX), Some(Duration::MAX), 1.0);
        assert_eq!(plan.expiry, Some(Duration::MAX));
    }
}
