//! Parameters behind a semicolon, of URIs and of header fields.

use std::fmt;

use crate::grammar::{self, Scan};
use crate::text::Text;

/// `;name=value` parameters, kept as they were written and read on demand.
///
/// Names compare without case. A value keeps its quotes in the text; [`Params::get`] takes them off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Text);

impl Params {
    /// No parameters.
    pub const fn new() -> Self {
        Self(Text::from_static(""))
    }

    /// Parameters written as `name=value;name` (without the first semicolon), already found well-formed.
    pub(crate) const fn from_checked(text: Text) -> Self {
        Self(text)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names with their values as written, in order; a flag such as `lr` has no value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut scan = Scan::new(&self.0);
        std::iter::from_fn(move || {
            while !scan.is_done() {
                let (name, value) = scan.param();
                if !name.is_empty() {
                    return Some((name, value));
                }
            }
            None
        })
    }

    /// Whether a parameter of this name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter of this name, without surrounding quotes (escapes inside are left).
    /// `None` when it is absent or only a flag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .find_map(|(_, v)| v)
            .map(grammar::strip_quotes)
    }

    /// Like [`Params::get`], sharing the buffer.
    pub fn get_text(&self, name: &str) -> Option<Text> {
        self.get(name).map(|value| self.0.slice(value))
    }

    /// Sets a parameter, in its place if it was there, else at the end. A value that is neither a token nor a
    /// host is quoted.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.set_raw(name, value.map(quoted_if_needed).as_deref());
    }

    /// Sets a parameter whose value is always quoted, as some headers want it.
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.set_raw(name, Some(&grammar::quote(value)));
    }

    fn set_raw(&mut self, name: &str, value: Option<&str>) {
        let mut out = String::with_capacity(self.0.len() + name.len() + value.map_or(0, str::len) + 2);
        let mut done = false;
        for (n, v) in self.iter() {
            if n.eq_ignore_ascii_case(name) {
                if !done {
                    append(&mut out, name, value);
                    done = true;
                }
            } else {
                append(&mut out, n, v);
            }
        }
        if !done {
            append(&mut out, name, value);
        }
        self.0 = Text::from(out);
    }

    /// [`Params::set`] for building in one expression.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, Some(value));
        self
    }

    /// Removes every parameter of this name.
    pub fn remove(&mut self, name: &str) {
        if !self.has(name) {
            return;
        }
        let mut out = String::with_capacity(self.0.len());
        for (n, v) in self.iter().filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
            append(&mut out, n, v);
        }
        self.0 = Text::from(out);
    }
}

fn append(out: &mut String, name: &str, value: Option<&str>) {
    if !out.is_empty() {
        out.push(';');
    }
    out.push_str(name);
    if let Some(value) = value {
        out.push('=');
        out.push_str(value);
    }
}

fn quoted_if_needed(value: &str) -> String {
    if !value.is_empty() && value.bytes().all(grammar::is_param_char) {
        value.to_owned()
    } else {
        grammar::quote(value)
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ";{}", self.0) }
    }
}
