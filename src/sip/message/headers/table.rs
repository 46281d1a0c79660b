//! The table itself: numbers of names, and where their values lie.

use std::fmt::{self, Write};

use super::{Field, Headers};
use crate::grammar;
use crate::header::{Header, HeaderError, HeaderName};
use crate::text::{Part, Text};

/// The buffer that a value lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The datagram.
    Received,
    /// What was added.
    Added,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(super) place: Place,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// A part of the datagram. Messages are shorter than 4 GiB: what lies beyond is empty.
    pub(crate) fn received(start: usize, end: usize) -> Self {
        Self { place: Place::Received, start: offset(start), end: offset(end) }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One field: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The number of its name.
    pub(super) number: u8,
    /// The place of the name among those without number.
    other: u16,
    pub(super) value: Span,
}

impl Entry {
    pub(super) fn is(&self, name: &HeaderName, others: &[HeaderName]) -> bool {
        self.number == name.number()
            && (self.number != HeaderName::OTHER || others.get(usize::from(self.other)) == Some(name))
    }
}

impl Headers {
    /// Adds a field that was received.
    pub(crate) fn push_received(&mut self, number: u8, value: Span) {
        self.entries.push(Entry { number, other: 0, value });
    }

    /// Adds a field that was received, whose name has no number.
    pub(crate) fn push_entry(&mut self, name: HeaderName, value: Span) {
        let entry = self.entry(name, value);
        self.entries.push(entry);
    }

    pub(super) fn entry(&mut self, name: HeaderName, value: Span) -> Entry {
        self.forget(&name);
        let number = name.number();
        let mut other = 0;
        if number == HeaderName::OTHER {
            // Each its own, as a search among them would take long where a peer sends many. Beyond so many, which no
            // message has, they are taken for the last one.
            other = u16::try_from(self.others.len()).unwrap_or(u16::MAX);
            self.others.push(name);
        }
        Entry { number, other, value }
    }

    /// Puts a value in the place of the first field of its name and removes the others.
    pub(super) fn put(&mut self, name: HeaderName, value: Span) {
        let Some(at) = self.position(&name) else { return self.push_entry(name, value) };
        self.forget(&name);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.value = value;
        }
        let (mut place, others) = (0.., &self.others);
        self.entries.retain(|entry| place.next() <= Some(at) || !entry.is(&name, others));
    }

    pub(super) fn named<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.is(name, &self.others))
    }

    pub(super) fn position(&self, name: &HeaderName) -> Option<usize> {
        self.entries.iter().position(|entry| entry.is(name, &self.others))
    }

    pub(super) fn value(&self, entry: &Entry) -> &[u8] {
        self.bytes_at(entry.value)
    }

    pub(crate) fn bytes_at(&self, span: Span) -> &[u8] {
        let buffer: &[u8] = match span.place {
            Place::Received => &self.received,
            Place::Added => &self.added,
        };
        buffer.get(span.range()).unwrap_or_default()
    }

    /// Removes fields whose value has a carriage return: whether there was one.
    pub(crate) fn remove_broken(&mut self) -> bool {
        let mut entries = std::mem::take(&mut self.entries);
        let all = entries.len();
        entries.retain(|entry| !self.value(entry).contains(&b'\r'));
        self.entries = entries;
        self.entries.len() < all
    }

    /// Notes that the datagram is a text as far as its headers go, if it is.
    pub(crate) fn note_head(&mut self, end: usize) {
        self.text = Text::from_utf8(self.received.slice(..end)).unwrap_or_default();
    }

    /// Reads one value, or one element of a list.
    #[inline]
    pub(crate) fn read_at<T: Header>(&self, span: Span) -> Result<T, HeaderError> {
        let shared = (span.place == Place::Received).then(|| self.text.get(span.range())).flatten();
        match shared {
            Some(value) => T::read(Part::whole(&self.text).part(value)),
            None => T::parse(&self.text_at(span)),
        }
    }

    /// Whether one value, or one element of a list, can be read.
    pub(crate) fn can_read_at<T: Header>(&self, span: Span) -> bool {
        let shared = (span.place == Place::Received).then(|| self.text.get(span.range())).flatten();
        match shared {
            Some(value) => T::read(Part::whole(&self.text).part(value).unkept()).is_ok(),
            None => T::parse(&self.text_at(span)).is_ok(),
        }
    }

    /// The value as text: sharing the datagram, or a copy of what was added.
    pub(crate) fn text_at(&self, span: Span) -> Text {
        match span.place {
            Place::Received => Text::from_lossy(self.received.slice_ref(self.bytes_at(span))),
            Place::Added => Text::copy_lossy(self.bytes_at(span)),
        }
    }

    pub(super) fn field(&self, entry: &Entry) -> Field<'_> {
        const NAMELESS: &HeaderName = &HeaderName::Warning;
        let other = || self.others.get(usize::from(entry.other));
        let name = HeaderName::numbered(entry.number).or_else(other).unwrap_or(NAMELESS);
        Field { name, value: self.value(entry) }
    }

    /// Every field with the number of its name and where its value lies.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (u8, Span)> {
        self.entries.iter().map(|entry| (entry.number, entry.value))
    }

    /// The elements of one field of a list header; empty ones are passed over.
    pub(crate) fn elements_at(&self, span: Span) -> impl Iterator<Item = Span> {
        let mut at = span.start as usize;
        let mut rest = self.bytes_at(span);
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = grammar::find_comma(rest).unwrap_or(rest.len());
                let (element, tail) = rest.split_at(end);
                let start = at + element.len() - element.trim_ascii_start().len();
                let len = element.trim_ascii().len();
                at += end + 1;
                rest = tail.get(1..).unwrap_or_default();
                if len > 0 {
                    return Some(Span { place: span.place, start: offset(start), end: offset(start + len) });
                }
            }
            None
        })
    }

    /// Appends a value that is one line, and says where it lies.
    pub(crate) fn append(&mut self, value: &[u8]) -> Span {
        let start = offset(self.added.len());
        self.added.extend_from_slice(value);
        Span { place: Place::Added, start, end: offset(self.added.len()) }
    }

    /// Appends a value without what would end its line: nobody can smuggle a header in through a value.
    pub(super) fn add(&mut self, value: &[u8]) -> Span {
        let span = self.append(value);
        self.mend_line(span)
    }

    /// Prints a value into its place.
    pub(super) fn print(&mut self, value: impl fmt::Display) -> Span {
        struct Added<'a>(&'a mut Vec<u8>);
        impl Write for Added<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        let start = offset(self.added.len());
        // Writing into memory does not fail.
        let _ = write!(Added(&mut self.added), "{value}");
        self.mend_line(Span { place: Place::Added, start, end: offset(self.added.len()) })
    }

    fn mend_line(&mut self, span: Span) -> Span {
        for byte in self.added.get_mut(span.range()).unwrap_or_default() {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        span
    }
}
