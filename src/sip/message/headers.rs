//! Header fields in their order.

use bytes::Bytes;

use crate::grammar;
use crate::header::{Arity, Fault, Header, HeaderError, HeaderName};
use crate::text::Text;

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: HeaderName,
    /// Its value, unfolded, without surrounding space; bytes that are not UTF-8 are kept.
    pub value: Bytes,
}

/// Header fields in the order they stand in the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Field>);

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All fields.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Field> {
        self.0.iter()
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.field(name).map(|field| &*field.value)
    }

    /// The value of the first field of this name, if it is UTF-8.
    pub fn text(&self, name: &HeaderName) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &HeaderName) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(move |field| field.name == *name).map(|field| &field.value)
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.field(name).is_some()
    }

    fn field(&self, name: &HeaderName) -> Option<&Field> {
        self.0.iter().find(|field| field.name == *name)
    }

    /// The header, or the first element of a list. `Err` when it is absent, malformed, or stands more than once
    /// though only one is allowed.
    pub fn typed<T: Header>(&self) -> Result<T, HeaderError> {
        self.optional()?.ok_or(HeaderError::missing(T::NAME))
    }

    /// Like [`Headers::typed`], with `None` when it is absent.
    pub fn optional<T: Header>(&self) -> Result<Option<T>, HeaderError> {
        let name = T::NAME;
        let mut values = self.all(&name);
        let Some(value) = values.next() else { return Ok(None) };
        if T::ARITY == Arity::Single && values.any(|other| other != value) {
            return Err(HeaderError { name: T::NAME, fault: Fault::Repeated });
        }
        let value = Text::from_lossy(value.clone());
        if T::ARITY == Arity::List {
            let first = grammar::split_unquoted(&value, b',').next().unwrap_or_default().trim();
            return T::parse(&value.slice(first)).map(Some);
        }
        T::parse(&value).map(Some)
    }

    /// All elements of all fields, lists taken apart at their commas. Empty elements are passed over (RFC 3261
    /// §7.3.1 does not allow them, deployed peers send them). Stops at the first malformed one.
    pub fn list<T: Header>(&self) -> Result<Vec<T>, HeaderError> {
        if T::ARITY == Arity::List {
            return self.elements::<T>().map(|element| T::parse(&element)).collect();
        }
        self.all(&T::NAME).map(|value| T::parse(&Text::from_lossy(value.clone()))).collect()
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
    pub fn push(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.0.push(Field { name, value: one_line(value.into()) });
    }

    /// Adds a typed header at the end.
    pub fn push_typed<T: Header>(&mut self, header: &T) {
        self.push(T::NAME, header.to_string());
    }

    /// Adds a list of tokens as one field at the end; nothing for an empty list.
    pub fn push_tokens<'a>(&mut self, name: HeaderName, tokens: impl IntoIterator<Item = &'a str>) {
        let tokens: Vec<&str> = tokens.into_iter().collect();
        if !tokens.is_empty() {
            self.push(name, tokens.join(", "));
        }
    }

    /// Adds a field before all others of its name, or at the very beginning.
    pub fn prepend(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        let at = self.0.iter().position(|field| field.name == name).unwrap_or(0);
        self.0.insert(at, Field { name, value: one_line(value.into()) });
    }

    /// Adds a typed header before all others of its name, or at the very beginning.
    pub fn prepend_typed<T: Header>(&mut self, header: &T) {
        self.prepend(T::NAME, header.to_string());
    }

    /// Puts this value in the place of the first field of its name and removes the others, or adds it at the end.
    pub fn set(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        let field = Field { name, value: one_line(value.into()) };
        match self.0.iter().position(|f| f.name == field.name) {
            Some(at) => {
                let mut place = 0..;
                self.0.retain(|f| place.next() <= Some(at) || f.name != field.name);
                if let Some(slot) = self.0.get_mut(at) {
                    *slot = field;
                }
            }
            None => self.0.push(field),
        }
    }

    /// [`Headers::set`] with a typed header.
    pub fn set_typed<T: Header>(&mut self, header: &T) {
        self.set(T::NAME, header.to_string());
    }

    /// Replaces the first element of a list header, for instance the topmost Via once `received` is known.
    pub fn set_first<T: Header>(&mut self, header: &T) {
        let name = T::NAME;
        let Some(field) = self.0.iter_mut().find(|field| field.name == name) else {
            return self.push_typed(header);
        };
        let mut value = header.to_string().into_bytes();
        if T::ARITY == Arity::List {
            let text = Text::from_lossy(field.value.clone());
            if let Some(at) = grammar::find_unquoted(text.as_bytes(), b',') {
                value.extend_from_slice(text.as_bytes().get(at..).unwrap_or_default());
            }
        }
        field.value = one_line(Bytes::from(value));
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|field| field.name != *name);
    }

    /// Adds a field that the parser already found to be one line.
    pub(crate) fn push_parsed(&mut self, field: Field) {
        self.0.push(field);
    }

    /// The elements of all fields of a list header, unread; empty ones are passed over.
    pub(crate) fn elements<T: Header>(&self) -> impl Iterator<Item = Text> {
        let name = T::NAME;
        self.0.iter().filter(move |field| field.name == name).flat_map(|field| {
            let mut rest: &[u8] = &field.value;
            std::iter::from_fn(move || {
                while !rest.is_empty() {
                    let end = grammar::find_unquoted(rest, b',').unwrap_or(rest.len());
                    let (element, tail) = rest.split_at(end);
                    rest = tail.get(1..).unwrap_or_default();
                    let element = element.trim_ascii();
                    if !element.is_empty() {
                        return Some(Text::from_lossy(field.value.slice_ref(element)));
                    }
                }
                None
            })
        })
    }
}

/// The value without what would end its line: nobody can smuggle a header in through a value.
fn one_line(value: Bytes) -> Bytes {
    let breaks = |b: &u8| matches!(b, b'\r' | b'\n');
    if value.iter().any(breaks) {
        value.iter().map(|b| if breaks(b) { b' ' } else { *b }).collect()
    } else {
        value
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
