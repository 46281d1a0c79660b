//! Text that shares the buffer it was received in.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// UTF-8 text over shared [`Bytes`]: cloning and cutting it copies nothing.
///
/// A short text keeps the whole datagram alive that it was cut from; [`Text::detached`] makes a copy for what is
/// kept long.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(ByteString);

impl Text {
    /// Text that lives in the program itself.
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// The text of `bytes`; what is not UTF-8 in it becomes U+FFFD in a copy.
    pub fn from_lossy(bytes: Bytes) -> Self {
        ByteString::try_from(bytes.clone())
            .map_or_else(|_| Self::from(String::from_utf8_lossy(&bytes).into_owned()), Self)
    }

    /// A copy of `bytes` as text; what is not UTF-8 in it becomes U+FFFD.
    pub(crate) fn copy_lossy(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::from(text),
            Err(_) => Self::from(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// The text of `bytes`, if they are UTF-8.
    pub(crate) fn from_utf8(bytes: Bytes) -> Option<Self> {
        ByteString::try_from(bytes).ok().map(Self)
    }

    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A part of this text that shares its buffer. A `part` from elsewhere is copied.
    pub fn slice(&self, part: &str) -> Self {
        let (start, inner) = (self.0.as_ptr() as usize, part.as_ptr() as usize);
        match inner.checked_sub(start) {
            Some(at) if at + part.len() <= self.0.len() => Self(self.0.slice_ref(part)),
            _ => Self::from(part),
        }
    }

    /// The same text in a buffer of its own.
    pub fn detached(&self) -> Self {
        Self::from(self.as_str())
    }

    /// The shared bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

/// The 16 hexadecimal digits of a number, as our tags and branches are made of.
pub(crate) fn hex(number: u64) -> String {
    (0..16)
        .rev()
        .map(|place| char::from(b"0123456789abcdef"[(number >> (place * 4) & 15) as usize]))
        .collect()
}

/// A piece of a text: looked at where it is, and cut out only when it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    source: &'a Text,
    text: &'a str,
    /// What is cut out is kept; else it is empty, and only whether it can be read is of interest.
    kept: bool,
}

impl<'a> Part<'a> {
    /// All of it.
    pub fn whole(source: &'a Text) -> Self {
        Self { source, text: source, kept: true }
    }

    /// A piece of this piece.
    #[must_use]
    pub fn part(self, text: &'a str) -> Self {
        Self { text, ..self }
    }

    /// The same, of which nothing is kept.
    #[must_use]
    pub(crate) fn unkept(self) -> Self {
        Self { kept: false, ..self }
    }

    /// A piece that is kept, sharing the buffer.
    pub fn slice(self, part: &str) -> Text {
        if self.kept { self.source.slice(part) } else { Text::from_static("") }
    }

    /// All of it, kept.
    pub fn to_text(self) -> Text {
        self.slice(self.text)
    }
}

impl Deref for Part<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        self.text
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0.into_bytes()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
