//! Date.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Header, HeaderError, HeaderName};
use crate::text::Part;

/// The time a message was sent, in whole seconds since 1970, UTC (RFC 3261 §20.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub u64);

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Date {
    /// As system time.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, in years that begin in March.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month and day.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

fn digits(text: &str, len: usize, max: i64) -> Option<i64> {
    let all = text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| all && *n <= max)
}

fn seconds(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let weekday = words.next()?.strip_suffix(',')?;
    DAYS.iter().find(|d| d.eq_ignore_ascii_case(weekday))?;
    let day = digits(words.next()?, 2, 31).filter(|d| *d > 0)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))?;
    let year = digits(words.next()?, 4, 9999)?;
    let mut clock = words.next()?.split(':');
    let (h, m, s) = (clock.next()?, clock.next()?, clock.next()?);
    let (h, m, s) = (digits(h, 2, 23)?, digits(m, 2, 59)?, digits(s, 2, 60)?);
    if clock.next().is_some() || words.next()? != "GMT" || words.next().is_some() {
        return None;
    }
    let days = days_from_civil(year, i64::try_from(month).ok()? + 1, day);
    u64::try_from(days * 86_400 + h * 3600 + m * 60 + s).ok()
}

impl Header for Date {
    const NAME: HeaderName = HeaderName::Date;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        seconds(&value).map(Self).ok_or(HeaderError::malformed(Self::NAME, "is not a date in GMT"))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = i64::try_from(self.0 / 86_400).unwrap_or(i64::MAX / 1_000_000);
        let clock = self.0 % 86_400;
        let (year, month, day) = civil_from_days(days);
        // 1 January 1970 was a Thursday.
        let weekday = DAYS[usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0)];
        let month = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
        let (h, m, s) = (clock / 3600, clock / 60 % 60, clock % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {h:02}:{m:02}:{s:02} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    #[test]
    fn a_date_reads_as_it_prints() {
        for (secs, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_289_687_340, "Sat, 13 Nov 2010 22:29:00 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
        ] {
            assert_eq!(Date(secs).to_string(), text);
            assert_eq!(Date::parse(&Text::from(text)), Ok(Date(secs)));
        }
    }

    #[test]
    fn a_date_of_another_zone_is_refused() {
        assert!(Date::parse(&Text::from("Fri, 01 Jan 2010 16:00:00 EST")).is_err());
    }
}
