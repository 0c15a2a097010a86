//! Request dates, read strictly (rule 5).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A date of second precision between 1970 and 9999, in the two shapes that signing needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    /// `YYYYMMDDTHHMMSSZ`
    text: [u8; 16],
    seconds: u64,
}

impl Date {
    /// Reads exactly `YYYYMMDDTHHMMSSZ`.
    pub(crate) fn basic(text: &[u8]) -> Option<Self> {
        let text: [u8; 16] = text.try_into().ok()?;
        if text[8] != b'T' || text[15] != b'Z' {
            return None;
        }
        let [day, time] = [text.first_chunk()?, text.last_chunk()?].map(|half| u64::from_le_bytes(*half));
        let [century, year, month, day] = pairs(day)?;
        // Without the `T` and the `Z`, and with two more digits behind.
        let [hour, minute, second, _] =
            pairs(time << 8 >> 16 | u64::from_le_bytes([0, 0, 0, 0, 0, 0, b'0', b'0']))?;
        let year = 100 * century + year;
        let seconds = seconds_since_epoch([year, month, day], [hour, minute, second])?;
        Some(Self { text, seconds })
    }

    /// Reads a `Date` header: IMF-fixdate (RFC 9110, 5.6.7), the day of the week included, or the
    /// basic form.
    pub(crate) fn header(text: &[u8]) -> Option<Self> {
        Self::basic(text).or_else(|| Self::imf_fixdate(text))
    }

    fn imf_fixdate(text: &[u8]) -> Option<Self> {
        const MONTHS: [&[u8]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        const WEEKDAYS: [&[u8]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
        let text: &[u8; 29] = text.try_into().ok()?;
        let fixed = text[3..5] == *b", "
            && [text[7], text[11], text[16], text[25]] == [b' '; 4]
            && [text[19], text[22]] == [b':'; 2]
            && text[26..] == *b"GMT";
        if !fixed {
            return None;
        }
        let month = (1..).zip(MONTHS).find(|(_, name)| *name == &text[8..11])?.0;
        let day = [digits(&text[12..16])?, month, digits(&text[5..7])?];
        let time = [digits(&text[17..19])?, digits(&text[20..22])?, digits(&text[23..25])?];
        let seconds = seconds_since_epoch(day, time)?;
        let weekday = usize::try_from(seconds / 86_400 % 7).ok()?;
        if WEEKDAYS[weekday] != &text[..3] {
            return None;
        }
        Some(Self { text: basic_text(day, time), seconds })
    }

    /// The date of `time`, whole seconds; `None` before 1970 or after 9999.
    pub(crate) fn from_system_time(time: SystemTime) -> Option<Self> {
        let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let day = civil_from_days(seconds / 86_400)?;
        let rest = u32::try_from(seconds % 86_400).ok()?;
        Some(Self { text: basic_text(day, [rest / 3600, rest / 60 % 60, rest % 60]), seconds })
    }

    /// `YYYYMMDDTHHMMSSZ`
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.text
    }

    /// `YYYYMMDD`
    pub(crate) fn day(&self) -> &[u8] {
        &self.text[..8]
    }

    /// Since 1970.
    pub(crate) fn since_epoch(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }
}

/// Shows the basic form.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text).unwrap_or("?"))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    let mut value = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

/// Four numbers of two digits each, all at once.
fn pairs(text: u64) -> Option<[u32; 4]> {
    let digits = text ^ u64::from_le_bytes([b'0'; 8]);
    // The highest bit of each byte that is above 9. Where one carries into the next, its own is set as well.
    if (digits.wrapping_add(u64::from_le_bytes([0x7f - 9; 8])) | digits) & u64::from_le_bytes([0x80; 8]) != 0
    {
        return None;
    }
    let [a, _, b, _, c, _, d, _] = (digits * 10 + (digits >> 8)).to_le_bytes();
    Some([a, b, c, d].map(u32::from))
}

fn basic_text([year, month, day]: [u32; 3], [hour, minute, second]: [u32; 3]) -> [u8; 16] {
    let mut text = *b"00000000T000000Z";
    let fields =
        [(0, year / 100), (2, year % 100), (4, month), (6, day), (9, hour), (11, minute), (13, second)];
    for (at, value) in fields {
        let [tens, ones] = [value / 10 % 10, value % 10].map(|d| b'0' + d.to_le_bytes()[0]);
        text[at] = tens;
        text[at + 1] = ones;
    }
    text
}

/// Checks every field's range; a leap second is refused, as AWS's signers never write one.
fn seconds_since_epoch([year, month, day]: [u32; 3], [hour, minute, second]: [u32; 3]) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years are counted from March, so that the leap day is a year's last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * u64::from(y) + u64::from(y / 4) - u64::from(y / 100)
        + u64::from(y / 400)
        + u64::from((153 * m + 2) / 5)
        + u64::from(day - 1);
    let days = days - DAYS_TO_EPOCH;
    Some(days * 86_400 + u64::from(hour * 3600 + minute * 60 + second))
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;

fn civil_from_days(days: u64) -> Option<[u32; 3]> {
    let days = days + DAYS_TO_EPOCH;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * of_year + 2) / 153;
    let day = of_year - (153 * m + 2) / 5 + 1;
    let (month, carry) = if m < 10 { (m + 3, 0) } else { (m - 9, 1) };
    let year = era * 400 + year_of_era + carry;
    if year > 9999 {
        return None;
    }
    Some([u32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        Date::header(text.as_bytes()).map(|date| date.seconds)
    }

    #[test]
    fn reads_known_instants() {
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(seconds("20000229T235959Z"), Some(951_868_799));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("99991231T235959Z"), Some(253_402_300_799));
    }

    #[test]
    fn both_directions_agree_on_every_day() {
        for day in 0..(253_402_300_799_u64 / 86_400) {
            let at = UNIX_EPOCH + Duration::from_secs(day * 86_400 + day % 86_400);
            let date = Date::from_system_time(at).unwrap();
            assert_eq!(Date::basic(date.as_bytes()), Some(date));
            assert_eq!(date.to_system_time(), at);
        }
        assert!(Date::from_system_time(UNIX_EPOCH + Duration::from_secs(253_402_300_800)).is_none());
        assert!(Date::from_system_time(UNIX_EPOCH - Duration::from_secs(1)).is_none());
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "not-a-date",
            "20150830T123600",
            "20150830T123600z",
            "20150830t123600Z",
            "2015-08-30T12:36:00Z",
            "20150830T123600Z ",
            " 20150830T123600Z",
            "20150830T12360Z",
            "+2015083T123600Z",
            "20150230T123600Z",
            "20150229T000000Z",
            "19000229T000000Z",
            "19691231T235959Z",
            "20151301T123600Z",
            "20150001T123600Z",
            "20150800T123600Z",
            "20150830T240000Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "20150830T12 600Z",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
