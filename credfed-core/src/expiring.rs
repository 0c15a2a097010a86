//! A value and the time until which it may be used.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A value together with its expiry, as its source stated it.
///
/// All arithmetic on it is checked: an expiry in 1970 or at the end of the year 9999 is data, not a panic.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use credfed_core::Expiring;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let token = Expiring::at("token", now + Duration::from_secs(3600));
/// assert_eq!(token.lifetime(now), Some(Duration::from_secs(3600)));
/// assert_eq!(Expiring::never("key").lifetime(now), None);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expiring<T> {
    value: T,
    expiry: Expiry,
    server_date: Option<SystemTime>,
    refresh_hint: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    At(SystemTime),
    After(Duration),
    Never,
}

impl<T> Expiring<T> {
    /// Usable until a point in time (AWS `Expiration`, Azure `expires_on`).
    pub fn at(value: T, expires_at: SystemTime) -> Self {
        Self::with(value, Expiry::At(expires_at))
    }

    /// Usable for a span of time (OAuth `expires_in`), counted from when the load began.
    pub fn after(value: T, lifetime: Duration) -> Self {
        Self::with(value, Expiry::After(lifetime))
    }

    /// Usable until it is rejected. It is never refreshed on its own.
    pub fn never(value: T) -> Self {
        Self::with(value, Expiry::Never)
    }

    /// States the server's own time (the `Date` header of the answer). The lifetime is then the expiry
    /// against that time, so a local clock that is off neither shortens nor prolongs it.
    #[must_use]
    pub fn with_server_date(mut self, date: SystemTime) -> Self {
        self.server_date = Some(date);
        self
    }

    /// States how long after the load the source wants to be asked again (Entra's `refresh_in`). It takes the
    /// place of the refresh window that the cache would choose, and is clamped like it. A hint at or past the
    /// expiry says nothing: the cache chooses.
    #[must_use]
    pub fn refresh_hint(mut self, after: Duration) -> Self {
        self.refresh_hint = Some(after);
        self
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value, without its expiry.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The same expiry for another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Expiring<U> {
        Expiring {
            value: f(self.value),
            expiry: self.expiry,
            server_date: self.server_date,
            refresh_hint: self.refresh_hint,
        }
    }

    /// How long the value may be used, seen from `now`; zero if that time is over, `None` if it never is.
    /// The server's date, if there is one, takes the place of `now`.
    pub fn lifetime(&self, now: SystemTime) -> Option<Duration> {
        match self.expiry {
            Expiry::At(at) => Some(at.duration_since(self.server_date.unwrap_or(now)).unwrap_or_default()),
            Expiry::After(lifetime) => Some(lifetime),
            Expiry::Never => None,
        }
    }

    /// Whether [`lifetime`](Self::lifetime) counts from when the load began rather than from when it ended:
    /// what the server dated or counted in seconds began on its side while the answer was still on the way.
    pub(crate) fn counts_from_the_request(&self) -> bool {
        self.server_date.is_some() || matches!(self.expiry, Expiry::After(_))
    }

    pub(crate) fn hint(&self) -> Option<Duration> {
        self.refresh_hint
    }

    fn with(value: T, expiry: Expiry) -> Self {
        Self { value, expiry, server_date: None, refresh_hint: None }
    }
}

/// Leaves the value out: nothing is known of how a foreign type prints itself.
impl<T> fmt::Debug for Expiring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiring")
            .field("expiry", &self.expiry)
            .field("server_date", &self.server_date)
            .field("refresh_hint", &self.refresh_hint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_leaves_the_value_out() {
        struct Mute;
        let _ = format!("{:?}", Expiring::never(Mute));
        let value = Expiring::after("canary", Duration::from_secs(3_600));
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert!(text.contains("3600s") && !text.contains("canary"), "{text}");
        }
    }

    fn day(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_ends_of_the_calendar_do_not_panic() {
        let end_of_9999 = day(253_402_300_799);
        for now in [day(0), day(1_800_000_000), end_of_9999] {
            for at in [day(0), day(1_800_000_000), end_of_9999] {
                for date in [None, Some(day(0)), Some(end_of_9999)] {
                    let mut value = Expiring::at((), at);
                    value.server_date = date;
                    let expected = at.duration_since(date.unwrap_or(now)).unwrap_or_default();
                    assert_eq!(value.lifetime(now), Some(expected));
                }
            }
        }
        assert_eq!(Expiring::after((), Duration::MAX).lifetime(end_of_9999), Some(Duration::MAX));
    }

    #[test]
    fn the_servers_date_takes_the_place_of_a_local_clock_that_is_off() {
        let value = Expiring::at((), day(10_000)).with_server_date(day(6_400));
        assert_eq!(value.lifetime(day(0)), Some(Duration::from_secs(3_600)));
        assert_eq!(value.lifetime(day(20_000)), Some(Duration::from_secs(3_600)));
    }
}
