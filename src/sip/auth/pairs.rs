//! The `name=value` pairs of challenges and credentials.

use std::fmt;

use crate::grammar;
use crate::text::Text;

/// Reads pairs separated by commas and gives each to `take`, its value unquoted.
pub(super) fn parse(
    text: &Text,
    mut take: impl FnMut(&str, Text) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    for pair in grammar::split_unquoted(text, b',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("parameter without value")?;
        let (name, value) = (name.trim(), value.trim());
        if !grammar::is_token(name) {
            return Err("parameter name is not a token");
        }
        if !value.starts_with('"') {
            take(name, text.slice(value))?;
            continue;
        }
        if grammar::quoted_len(value) != Some(value.len()) {
            return Err("unbalanced quote in a parameter");
        }
        let bare = grammar::strip_quotes(value);
        let bare = if bare.contains('\\') { Text::from(grammar::unescape(bare)) } else { text.slice(bare) };
        take(name, bare)?;
    }
    Ok(())
}

/// Writes `, name="value"`.
pub(super) fn quoted(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    write!(f, ", {name}={}", grammar::quote(value))
}
