//! Header fields in their order: a table of offsets into the datagram they came in, and into what was added since.

mod kept;
mod response;
mod table;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

pub(crate) use kept::Kept;
pub(crate) use table::Span;

use self::table::Entry;
use crate::grammar;
use crate::header::{Arity, CSeq, CallId, Contact, Fault, From, Header, HeaderError, HeaderName, To, Via};
use crate::text::Text;

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a HeaderName,
    /// Its value, unfolded, without surrounding space; bytes that are not UTF-8 are kept.
    pub value: &'a [u8],
}

/// Header fields in the order they stand in the message.
///
/// What every message has is read once, when it is accepted, and kept until it is changed.
#[derive(Clone, Default)]
pub struct Headers {
    /// The datagram.
    received: Bytes,
    /// Its head as text, if it is UTF-8.
    text: Text,
    /// Values that were added, one behind the other; those replaced stay until all are dropped.
    added: Vec<u8>,
    entries: Vec<Entry>,
    /// Names that have no number.
    others: Vec<HeaderName>,
    kept: Option<Box<Kept>>,
}

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Self {
            received: Bytes::new(),
            text: Text::from_static(""),
            added: Vec::new(),
            entries: Vec::new(),
            others: Vec::new(),
            kept: None,
        }
    }

    /// No fields, with room for so many, and for values of so many bytes in all.
    pub(crate) fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { added: Vec::with_capacity(bytes), entries: Vec::with_capacity(fields), ..Self::new() }
    }

    /// No fields yet of a datagram that was received, with room for so many.
    pub(crate) fn of_datagram(received: Bytes, fields: usize) -> Self {
        Self { received, entries: Vec::with_capacity(fields), ..Self::new() }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All fields.
    pub fn iter(&self) -> Fields<'_> {
        Fields { headers: self, entries: self.entries.iter() }
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.named(name).next().map(|entry| self.value(entry))
    }

    /// The value of the first field of this name, if it is UTF-8.
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields of this name.
    pub fn all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.named(name).map(|entry| self.value(entry))
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.position(name).is_some()
    }

    /// The topmost Via: who sent the request to us, or our own in a response.
    pub fn top_via(&self) -> Result<Cow<'_, Via>, HeaderError> {
        self.kept_or_read(|kept| &kept.via)
    }

    /// Whom the request is from.
    pub fn from(&self) -> Result<Cow<'_, From>, HeaderError> {
        self.kept_or_read(|kept| &kept.from)
    }

    /// Whom the request is for; in a response, with the tag of who answers.
    pub fn to(&self) -> Result<Cow<'_, To>, HeaderError> {
        self.kept_or_read(|kept| &kept.to)
    }

    /// The call.
    pub fn call_id(&self) -> Result<Cow<'_, CallId>, HeaderError> {
        self.kept_or_read(|kept| &kept.call_id)
    }

    /// The number and method of the request.
    pub fn cseq(&self) -> Result<Cow<'_, CSeq>, HeaderError> {
        self.kept_or_read(|kept| &kept.cseq)
    }

    /// The first contact.
    pub fn contact(&self) -> Result<Cow<'_, Contact>, HeaderError> {
        self.kept_or_read(|kept| &kept.contact)
    }

    /// The header, or the first element of a list. `Err` when it is absent, malformed, or stands more than once
    /// though only one is allowed.
    pub fn typed<T: Header>(&self) -> Result<T, HeaderError> {
        self.optional()?.ok_or(HeaderError::missing(T::NAME))
    }

    /// Like [`Headers::typed`], with `None` when it is absent.
    pub fn optional<T: Header>(&self) -> Result<Option<T>, HeaderError> {
        match self.kept.as_deref().and_then(T::kept) {
            Some(kept) => Ok(Some(kept)),
            None => self.read(),
        }
    }

    /// Reads a header whatever is kept of it.
    pub(crate) fn read<T: Header>(&self) -> Result<Option<T>, HeaderError> {
        let name = T::NAME;
        let mut entries = self.named(&name);
        let Some(entry) = entries.next() else { return Ok(None) };
        if T::ARITY == Arity::Single && entries.any(|other| self.value(other) != self.value(entry)) {
            return Err(HeaderError { name: T::NAME, fault: Fault::Repeated });
        }
        let span = match T::ARITY {
            Arity::List => self.elements_at(entry.value).next().unwrap_or(entry.value),
            Arity::Single | Arity::Repeated => entry.value,
        };
        self.read_at(span).map(Some)
    }

    /// All elements of all fields, lists taken apart at their commas. Empty elements are passed over (RFC 3261
    /// §7.3.1 does not allow them, deployed peers send them). Stops at the first malformed one.
    pub fn list<T: Header>(&self) -> Result<Vec<T>, HeaderError> {
        if T::ARITY == Arity::List {
            return self.elements::<T>().map(|element| self.read_at(element)).collect();
        }
        self.named(&T::NAME).map(|entry| self.read_at(entry.value)).collect()
    }

    /// The tokens of a list such as Supported, Require or Allow, of all its fields.
    pub fn tokens<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|token| !token.is_empty())
    }

    /// Whether such a list has this token, without case.
    pub fn has_token(&self, name: &HeaderName, token: &str) -> bool {
        self.tokens(name).any(|t| t.eq_ignore_ascii_case(token))
    }

    /// Whether the sender supports or requires an option such as `100rel` or `timer`.
    pub fn supports(&self, option: &str) -> bool {
        self.has_token(&HeaderName::Supported, option) || self.has_token(&HeaderName::Require, option)
    }

    /// Adds a field at the end. Line breaks in the value become spaces.
    pub fn push(&mut self, name: HeaderName, value: impl AsRef<[u8]>) {
        let value = self.add(value.as_ref());
        self.push_entry(name, value);
    }

    /// Adds a typed header at the end.
    pub fn push_typed<T: Header>(&mut self, header: &T) {
        self.push_display(T::NAME, header);
    }

    /// Adds a field at the end that is printed into its place.
    pub(crate) fn push_display(&mut self, name: HeaderName, value: impl fmt::Display) {
        let value = self.print(value);
        self.push_entry(name, value);
    }

    /// Adds a list of tokens as one field at the end; nothing for an empty list.
    pub fn push_tokens<'a>(&mut self, name: HeaderName, tokens: impl IntoIterator<Item = &'a str>) {
        let tokens: Vec<&str> = tokens.into_iter().collect();
        if !tokens.is_empty() {
            self.push(name, tokens.join(", "));
        }
    }

    /// Adds a field before all others of its name, or at the very beginning.
    pub fn prepend(&mut self, name: HeaderName, value: impl AsRef<[u8]>) {
        let at = self.position(&name).unwrap_or(0);
        let value = self.add(value.as_ref());
        let entry = self.entry(name, value);
        self.entries.insert(at, entry);
    }

    /// Adds a typed header before all others of its name, or at the very beginning.
    pub fn prepend_typed<T: Header>(&mut self, header: &T) {
        self.prepend(T::NAME, header.to_string());
    }

    /// Puts this value in the place of the first field of its name and removes the others, or adds it at the end.
    pub fn set(&mut self, name: HeaderName, value: impl AsRef<[u8]>) {
        let value = self.add(value.as_ref());
        self.put(name, value);
    }

    /// [`Headers::set`] with a typed header.
    pub fn set_typed<T: Header>(&mut self, header: &T) {
        let value = self.print(header);
        self.put(T::NAME, value);
    }

    /// Replaces the first element of a list header, for instance the topmost Via once `received` is known.
    pub fn set_first<T: Header>(&mut self, header: &T) {
        let name = T::NAME;
        let Some(at) = self.position(&name) else { return self.push_typed(header) };
        let mut rest = Vec::new();
        if T::ARITY == Arity::List
            && let Some(entry) = self.entries.get(at)
        {
            let value = self.value(entry);
            let comma = grammar::find_comma(value).unwrap_or(value.len());
            rest.extend_from_slice(value.get(comma..).unwrap_or_default());
        }
        let mut value = self.print(header);
        value.end = self.add(&rest).end;
        self.forget(&name);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.value = value;
        }
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: &HeaderName) {
        if self.has(name) {
            self.forget(name);
            let others = &self.others;
            self.entries.retain(|entry| !entry.is(name, others));
        }
    }

    /// Adds a field of another message as it is.
    pub(crate) fn push_field(&mut self, field: Field<'_>) {
        let value = self.append(field.value);
        self.push_entry(field.name.clone(), value);
    }

    /// Adds a field whose value is put together of parts that are one line.
    pub(crate) fn push_parts(&mut self, name: HeaderName, parts: &[&[u8]]) {
        let mut value = self.append(b"");
        for part in parts {
            value.end = self.append(part).end;
        }
        self.push_entry(name, value);
    }

    /// The elements of all fields of a list header, unread; empty ones are passed over.
    pub(crate) fn elements<T: Header>(&self) -> impl Iterator<Item = Span> {
        let number = T::NAME.number();
        self.entries
            .iter()
            .filter(move |entry| entry.number == number)
            .flat_map(|entry| self.elements_at(entry.value))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value| String::from_utf8_lossy(value);
        f.debug_map().entries(self.iter().map(|field| (field.name.as_str(), text(field.value)))).finish()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

/// The fields of a message in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    headers: &'a Headers,
    entries: std::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.entries.next().map(|entry| self.headers.field(entry))
    }
}

impl DoubleEndedIterator for Fields<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back().map(|entry| self.headers.field(entry))
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = Field<'a>;
    type IntoIter = Fields<'a>;

    fn into_iter(self) -> Fields<'a> {
        self.iter()
    }
}
