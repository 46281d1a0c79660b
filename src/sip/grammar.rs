//! The characters and small pieces of RFC 3261 §25 that URIs and headers share.

mod class;
mod scan;

pub(crate) use class::{
    DIGIT, HOST, PASSWORD, SCHEME, TOKEN, URI_HEADER, URI_PARAM, USER, VALUE, VISIBLE, WORDS, all, is, run,
};
pub(crate) use scan::Scan;

/// What stands unquoted in a parameter's value: a token, or a host with brackets and colons.
pub(crate) fn is_param_char(b: u8) -> bool {
    is(b, TOKEN) || matches!(b, b'[' | b']' | b':' | b'/' | b'$' | b'&')
}

/// Whether `text` is a token of at least one character.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// Splits at `separator` outside of quoted strings and angle brackets. Empty text yields one empty part.
pub(crate) fn split_unquoted(text: &str, separator: u8) -> SplitUnquoted<'_> {
    SplitUnquoted { rest: Some(text), separator }
}

/// The iterator of [`split_unquoted`].
pub(crate) struct SplitUnquoted<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Iterator for SplitUnquoted<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        match find_unquoted(text.as_bytes(), self.separator) {
            Some(at) => {
                let (part, rest) = text.split_at(at);
                self.rest = rest.get(1..);
                Some(part)
            }
            None => self.rest.take(),
        }
    }
}

/// The position of the first comma outside of quoted strings and angle brackets. Most lists are of one element, so
/// that a quick search finds none.
pub(crate) fn find_comma(text: &[u8]) -> Option<usize> {
    memchr::memchr(b',', text).and_then(|_| find_unquoted(text, b','))
}

/// The position of the first `wanted` (ASCII) outside of quoted strings and angle brackets.
pub(crate) fn find_unquoted(text: &[u8], wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut angle = false;
    for (at, b) in text.iter().copied().enumerate() {
        if quoted {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if b == wanted && !angle {
            return Some(at);
        }
        match b {
            b'"' if !angle => quoted = true,
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
    }
    None
}

/// The length of the quoted string that `text` starts with, closing quote included; `None` if it never closes.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    for (at, b) in bytes.iter().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The text without one pair of surrounding quotes.
pub(crate) fn strip_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// Takes the backslashes of quoted-pairs away.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' { out.extend(chars.next()) } else { out.push(c) }
    }
    out
}

/// A quoted-string holding `text`; line breaks become spaces.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\r' | '\n' => out.push(' '),
            '"' | '\\' | '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A decimal number of digits only, at most `u32::MAX`.
pub(crate) fn number(text: &str) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u32, |number, b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// A port: digits only, at most 65535.
pub(crate) fn port(text: &str) -> Option<u16> {
    number(text).and_then(|n| u16::try_from(n).ok())
}

/// Checks `name[=value]` parameters separated by semicolons: names are tokens, values are tokens, hosts or quoted
/// strings. Returns what is wrong.
pub(crate) fn check_params(text: &str) -> Result<(), &'static str> {
    Scan::new(text).all_params()
}

/// The text without one pair of surrounding square brackets.
pub(crate) fn strip_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text)
}
