//! The two ways in which servers write a date.

use std::time::{Duration, SystemTime};

/// `Sun, 06 Nov 1994 08:49:37 GMT`: the one form that HTTP still allows to be made (RFC 9110, section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let (date, clock) = rest.strip_suffix(" GMT")?.rsplit_once(' ')?;
    let mut parts = date.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    if parts.next().is_some() {
        return None;
    }
    moment(number(year, 4)?, month, number(day, 2)?, time_of_day(clock)?)
}

/// `2026-11-27T10:15:30.123Z`: RFC 3339, in UTC (`Z` or `+00:00`), with or without a fraction.
pub(crate) fn rfc3339(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (date, clock) = text.split_once('T')?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, digits)) => (clock, nanos(digits)?),
        None => (clock, Duration::ZERO),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    moment(number(year, 4)?, number(month, 2)?, number(day, 2)?, time_of_day(clock)?)?.checked_add(fraction)
}

fn nanos(digits: &str) -> Option<Duration> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok().map(Duration::from_nanos)
}

/// Seconds since midnight; a leap second is the one after it.
fn time_of_day(clock: &str) -> Option<u64> {
    let mut parts = clock.split(':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let fits = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    fits.then_some(hour * 3_600 + minute * 60 + second)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let fits = text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// A date of the Gregorian calendar from 1970 on.
fn moment(year: u64, month: u64, day: u64, seconds: u64) -> Option<SystemTime> {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |month: u64| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1970 || !(1..=12).contains(&month) || !(1..=length(month)).contains(&day) {
        return None;
    }
    let past = year - 1;
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days =
        (year - 1970) * 365 + leaps(past) - leaps(1969) + (1..month).map(length).sum::<u64>() + day - 1;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), at(784_111_777));
        assert_eq!(rfc3339("1994-11-06T08:49:37Z"), at(784_111_777));
        assert_eq!(rfc3339("1994-11-06T08:49:37+00:00"), at(784_111_777));
        assert_eq!(rfc3339("2000-02-29T00:00:00Z"), at(951_782_400));
        assert_eq!(rfc3339("2100-03-01T00:00:00Z"), at(4_107_542_400));
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), at(0));
        assert_eq!(rfc3339("9999-12-31T23:59:59Z"), at(253_402_300_799));
        let fraction = at(784_111_777).unwrap() + Duration::from_millis(359);
        assert_eq!(rfc3339("1994-11-06T08:49:37.359Z"), Some(fraction));
        assert_eq!(rfc3339("1994-11-06T08:49:37.359000000Z"), Some(fraction));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Z",
            "T",
            "1994-11-06T08:49:37",
            "1994-11-06 08:49:37Z",
            "1994-13-06T08:49:37Z",
            "1994-00-06T08:49:37Z",
            "1994-02-29T08:49:37Z",
            "1994-11-31T08:49:37Z",
            "1994-11-06T24:49:37Z",
            "1994-11-06T08:60:37Z",
            "1994-11-06T08:49:61Z",
            "1969-12-31T23:59:59Z",
            "-994-11-06T08:49:37Z",
            "+994-11-06T08:49:37Z",
            "1994-11-06T08:49:37.Z",
            "1994-11-06T08:49:37.1234567890Z",
            "1994-11-06T08:49:37+01:00",
            "99999-11-06T08:49:37Z",
            "1994-11-06-01T08:49:37Z",
            "784111777",
            "١٩٩٤-11-06T08:49:37Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        for text in [
            "",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 1 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
