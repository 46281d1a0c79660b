//! Dates for people, in UTC.

use std::time::SystemTime;

use crate::value::millis;

const DAY: i64 = 24 * 3600;

struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
}

/// Civil date of a time, by eras of 400 years that begin in March (proleptic Gregorian calendar).
fn date(time: SystemTime) -> Date {
    let seconds = millis(time) / 1000;
    let (days, second) = (seconds / DAY, seconds % DAY);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    Date {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * from_march + 2) / 5 + 1,
        hour: second / 3600,
        minute: second / 60 % 60,
    }
}

/// `2026-11-20 16:01 UTC`.
pub(crate) fn words(time: SystemTime) -> String {
    let Date { year, month, day, hour, minute } = date(time);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// `20261120-1601`.
pub(crate) fn stamp(time: SystemTime) -> String {
    let Date { year, month, day, hour, minute } = date(time);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // The seconds are those of `date -u -d ... +%s`.
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_763_654_460, "2025-11-20 16:01 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(words(time(seconds * 1000)), expected);
        }
        assert_eq!(stamp(time(1_763_654_460_000)), "20251120-1601");
    }
}
