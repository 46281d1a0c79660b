//! Durations as text: `"30s"`, `"250ms"`, `"1h30m"`.
//!
//! In configuration, either a field of type [`TextDuration`] or
//! `#[serde(with = "sems_app::duration")]` on a [`Duration`].

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units in milliseconds, longest first: the order in which they may follow each other.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No digits where a number should stand.
    #[error("a duration is a number and a unit, such as \"30s\"")]
    Number,
    /// A number without one of the units d, h, m, s, ms.
    #[error("the unit of a duration is d, h, m, s or ms")]
    Unit,
    /// A unit that stands twice, or before a longer one.
    #[error("the units of a duration go from the longest to the shortest")]
    Order,
    /// More milliseconds than 64 bits hold.
    #[error("the duration is too long")]
    TooLong,
}

/// Reads whole numbers with the units `d`, `h`, `m`, `s` and `ms`, the longest first.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(sems_app::duration::parse("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(sems_app::duration::parse("250ms"), Ok(Duration::from_millis(250)));
/// assert!(sems_app::duration::parse("30").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut allowed = UNITS.as_slice();
    let mut total = 0_u64;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::Number);
        }
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        if !UNITS.iter().any(|(unit, _)| *unit == name) {
            return Err(DurationError::Unit);
        }
        let at = allowed.iter().position(|(unit, _)| *unit == name).ok_or(DurationError::Order)?;
        let (_, millis) = allowed.get(at).copied().ok_or(DurationError::Order)?;
        total = number
            .checked_mul(millis)
            .and_then(|part| total.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        allowed = allowed.get(at + 1..).unwrap_or_default();
        rest = after;
        if rest.is_empty() {
            return Ok(Duration::from_millis(total));
        }
    }
}

/// The shortest text that [`parse`] reads as this duration; what is below a millisecond is left out.
pub fn format(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in UNITS {
        if left >= millis {
            text.push_str(&format!("{}{unit}", left / millis));
            left %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// For `#[serde(with = "sems_app::duration")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration in quotes, such as \"30s\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse(text).map_err(|error| E::custom(format_args!("{text:?}: {error}")))
        }
    }
    deserializer.deserialize_str(Text)
}

/// For `#[serde(with = "sems_app::duration")]`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// A [`Duration`] that is text in configuration; for where `serde(with)` does not reach, as in an `Option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TextDuration(#[serde(with = "crate::duration")] pub Duration);

impl From<TextDuration> for Duration {
    fn from(text: TextDuration) -> Self {
        text.0
    }
}

impl std::str::FromStr for TextDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(Self)
    }
}

impl fmt::Display for TextDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        for (text, millis) in
            [("0s", 0), ("30s", 30_000), ("10m", 600_000), ("1h30m", 5_400_000), ("1d2h3m4s5ms", 93_784_005)]
        {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(text), Ok(duration), "{text}");
            assert_eq!(format(duration), text);
        }
        assert_eq!(format(Duration::from_secs(90)), "1m30s");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        for (text, error) in [
            ("", DurationError::Number),
            ("s", DurationError::Number),
            ("-1s", DurationError::Number),
            ("1.5s", DurationError::Unit),
            ("30", DurationError::Unit),
            ("30 s", DurationError::Unit),
            ("5y", DurationError::Unit),
            ("5s1m", DurationError::Order),
            ("5s5s", DurationError::Order),
            ("99999999999999999999s", DurationError::TooLong),
            ("999999999999999d", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn configuration_holds_durations_as_text() {
        #[derive(Deserialize)]
        struct Table {
            #[serde(with = "crate::duration")]
            long: Duration,
            short: Option<TextDuration>,
        }
        let table: Table = toml::from_str("long = '5m'\nshort = '2s'").expect("valid");
        assert_eq!(
            (table.long, table.short),
            (Duration::from_secs(300), Some(TextDuration(Duration::from_secs(2))))
        );
        let error = toml::from_str::<Table>("long = '5x'").err().expect("an unknown unit");
        assert!(error.message().contains("\"5x\""), "{error}");
        assert!(toml::from_str::<Table>("long = 5").is_err(), "a bare number has no unit");
    }
}
