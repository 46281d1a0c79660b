//! Percent escapes in URIs (RFC 3261 §25.1).

use std::borrow::Cow;

const fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// What stands unescaped in the user part. `#` is no part of the grammar, but phones dial it unescaped.
pub(super) const fn is_user_char(b: u8) -> bool {
    is_unreserved(b) || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#')
}

/// What stands unescaped in the password.
pub(super) const fn is_password_char(b: u8) -> bool {
    is_unreserved(b) || matches!(b, b'&' | b'=' | b'+' | b'$' | b',')
}

/// What stands unescaped in a parameter; quotes and `@` are refused.
pub(super) const fn is_param_char(b: u8) -> bool {
    is_unreserved(b) || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'`')
}

/// What stands unescaped in a header.
pub(super) const fn is_header_char(b: u8) -> bool {
    is_unreserved(b) || matches!(b, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$')
}

const fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// Whether `text` has only characters that `plain` accepts, and whole escapes.
pub(super) fn is_escaped(text: &str, plain: fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let two = (bytes.next().and_then(hex), bytes.next().and_then(hex));
            if two.0.is_none() || two.1.is_none() {
                return false;
            }
        } else if !plain(b) {
            return false;
        }
    }
    true
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
        if is_user_char(b) && b != b'#' {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(b >> 4)]));
            out.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
    out
}
