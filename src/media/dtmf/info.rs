//! Digits in SIP INFO: `application/dtmf-relay` and `application/dtmf`, as phones send them (no RFC has them).

use std::time::Duration;

/// The digit of an INFO body and its duration (250 ms where none is given); none for other bodies.
pub fn parse(content_type: &str, body: &[u8]) -> Option<(char, Duration)> {
    const USUAL: u64 = 250;
    const LONGEST: u64 = 5000;
    let body = std::str::from_utf8(body).ok()?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/dtmf") {
        return Some((only_digit(body)?, Duration::from_millis(USUAL)));
    }
    if !media_type.eq_ignore_ascii_case("application/dtmf-relay") {
        return None;
    }
    let (mut found, mut ms) = (None, USUAL);
    for line in body.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if key.trim().eq_ignore_ascii_case("signal") {
            found = only_digit(value);
        } else if key.trim().eq_ignore_ascii_case("duration") {
            ms = value.trim().parse().unwrap_or(USUAL).clamp(40, LONGEST);
        }
    }
    Some((found?, Duration::from_millis(ms)))
}

/// A digit, or the number of its event: some phones send 10 for `*` and 11 for `#`.
fn only_digit(text: &str) -> Option<char> {
    let text = text.trim();
    let mut chars = text.chars();
    let first = chars.next()?;
    if chars.next().is_none() {
        return super::digit(super::code(first)?);
    }
    super::digit(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_phones() {
        let ms = Duration::from_millis;
        assert_eq!(parse("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), Some(('5', ms(160))));
        assert_eq!(parse("Application/DTMF-Relay; x=y", b"Signal= *\nDuration= 100"), Some(('*', ms(100))));
        assert_eq!(parse("application/dtmf", b"#"), Some(('#', ms(250))));
        assert_eq!(parse("application/dtmf-relay", b"Signal=11\r\n"), Some(('#', ms(250))));
        assert_eq!(parse("application/dtmf", b"16"), None);
        assert_eq!(parse("application/dtmf", b"\xff"), None);
        assert_eq!(parse("text/plain", b"5"), None);
        assert_eq!(parse("application/dtmf-relay", b"Duration=160"), None);
    }
}
