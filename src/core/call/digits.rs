//! Digits typed ahead, and digits that arrive as SIP INFO.

use std::collections::VecDeque;

use sems_sip::{HeaderName, Request};

/// Digits kept for later; whoever types more than this ahead is not typing.
const AHEAD: usize = 64;

/// The digits that no verb has taken yet.
#[derive(Debug, Default)]
pub(crate) struct TypedAhead(VecDeque<char>);

impl TypedAhead {
    pub(crate) fn push(&mut self, digit: char) {
        if self.0.len() < AHEAD {
            self.0.push_back(digit);
        }
    }

    /// The next digit, whichever it is.
    pub(crate) fn next(&mut self) -> Option<char> {
        self.0.pop_front()
    }

    /// The first digit that is one of `wanted`; others stay where they are.
    pub(crate) fn next_of(&mut self, wanted: &str) -> Option<char> {
        let at = self.0.iter().position(|digit| wanted.contains(*digit))?;
        self.0.remove(at)
    }
}

/// The digit of an INFO: `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).
pub(crate) fn of_info(request: &Request) -> Option<char> {
    let kind = request.headers.text(&HeaderName::ContentType)?.to_ascii_lowercase();
    let body = std::str::from_utf8(&request.body).ok()?;
    let value = if kind.starts_with("application/dtmf-relay") {
        body.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?
    } else if kind.starts_with("application/dtmf") {
        body.trim()
    } else {
        return None;
    };
    match value {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => value.chars().next().map(|c| c.to_ascii_uppercase()).filter(|c| "0123456789*#ABCD".contains(*c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_typed_ahead_are_found_in_order_and_none_is_lost() {
        let mut ahead = TypedAhead::default();
        "91#2".chars().for_each(|digit| ahead.push(digit));
        assert_eq!(ahead.next_of("#"), Some('#'));
        assert_eq!(ahead.next(), Some('9'));
        assert_eq!(ahead.next_of("123"), Some('1'));
        assert_eq!(ahead.next_of("5"), None);
        assert_eq!(ahead.next(), Some('2'));
        assert_eq!(ahead.next(), None);
    }
}
