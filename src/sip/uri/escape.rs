//! Percent escapes in URIs (RFC 3261 §25.1).

use std::borrow::Cow;

use crate::grammar;

const fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// The bytes of `text`, each with whether it was written as an escape.
pub(super) fn bytes(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || match rest {
        [b'%', high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
            rest = tail;
            Some((hex(*high)? << 4 | hex(*low)?, true))
        }
        [b, tail @ ..] => {
            rest = tail;
            Some((*b, false))
        }
        [] => None,
    })
}

/// Decodes the escapes; what is not UTF-8 afterwards becomes U+FFFD.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let decoded: Vec<u8> = bytes(text).map(|(b, _)| b).collect();
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// Escapes everything that may not stand in the user part as it is.
pub fn encode_user(user: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(user.len());
    for b in user.bytes() {
        if grammar::is(b, grammar::USER) && b != b'#' {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(b >> 4)]));
            out.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
    out
}
