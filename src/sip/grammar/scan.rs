//! A text read from its beginning, piece by piece, each character once.

use super::{HOST, TOKEN, URI_PARAM, VALUE, WORDS, number, quoted_len, run};
use crate::params::Params;
use crate::text::Part;
use crate::uri::Host;

/// A text, and how far it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// All of a text.
    #[inline]
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Whether nothing is left.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    #[inline]
    fn first(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next so many bytes, which end between characters.
    #[inline]
    fn advance(&mut self, len: usize) -> &'a str {
        let piece = self.text.get(self.at..self.at + len).unwrap_or_default();
        self.at += len;
        piece
    }

    /// Passes over a text, if it is the next one, as it is written here.
    #[inline]
    pub(crate) fn eat_text(&mut self, wanted: &str) -> bool {
        let there = self.bytes().starts_with(wanted.as_bytes());
        if there {
            self.at += wanted.len();
        }
        there
    }

    /// The characters of a class, as many as there are.
    #[inline]
    pub(crate) fn take(&mut self, class: u16) -> &'a str {
        let len = run(self.bytes(), class);
        self.advance(len)
    }

    /// The characters of a class and whole percent escapes, as many as there are.
    #[inline]
    pub(crate) fn take_escaped(&mut self, class: u16) -> &'a str {
        let rest = self.bytes();
        let mut len = run(rest, class);
        while let Some([b'%', high, low, tail @ ..]) = rest.get(len..)
            && high.is_ascii_hexdigit()
            && low.is_ascii_hexdigit()
        {
            len += 3 + run(tail, class);
        }
        self.advance(len)
    }

    /// Passes over a character, if it is the next one.
    #[inline]
    pub(crate) fn eat(&mut self, wanted: u8) -> bool {
        let there = self.first() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// Whether the next character is a space.
    #[inline]
    pub(crate) fn at_space(&self) -> bool {
        matches!(self.first(), Some(b' ' | b'\t'))
    }

    /// Passes over spaces.
    #[inline]
    pub(crate) fn skip_space(&mut self) -> &mut Self {
        while self.at_space() {
            self.at += 1;
        }
        self
    }

    /// What stands before a character, which is passed over; `None` when it is not there.
    pub(crate) fn until(&mut self, end: u8) -> Option<&'a str> {
        let len = memchr::memchr(end, self.bytes())?;
        let piece = self.advance(len);
        self.at += 1;
        Some(piece)
    }

    /// What stands before a character that may be absent, and is left.
    pub(crate) fn before(&mut self, end: u8) -> &'a str {
        let len = memchr::memchr(end, self.bytes()).unwrap_or(self.bytes().len());
        self.advance(len)
    }

    /// A display name as it is written, with the space behind it taken off: a quoted string, or tokens. Empty where
    /// there is none.
    pub(crate) fn display_name(&mut self) -> Result<&'a str, &'static str> {
        if self.first() == Some(b'"') {
            let len = quoted_len(self.rest()).ok_or("quote is not closed")?;
            let name = self.advance(len);
            self.skip_space();
            return if self.first() == Some(b'<') {
                Ok(name)
            } else {
                Err("display name is not one quoted string")
            };
        }
        let before = *self;
        let name = self.take(WORDS).trim_ascii_end();
        match self.first() {
            Some(b'<') => Ok(name),
            // Not a name, or one of wrong characters, which the brackets behind it tell.
            _ if memchr::memchr(b'<', self.bytes()).is_some() => {
                Err("unquoted display name is not made of tokens")
            }
            _ => {
                *self = before;
                Ok("")
            }
        }
    }

    /// A host: a name, an IPv4 address, or an IPv6 address in brackets.
    pub(crate) fn host(&mut self, source: Part<'_>) -> Result<Host, &'static str> {
        let len = match self.first() {
            Some(b'[') => {
                memchr::memchr(b']', self.bytes()).ok_or("IPv6 address without closing bracket")? + 1
            }
            _ => run(self.bytes(), HOST),
        };
        let host = self.advance(len);
        Host::read(source, host)
    }

    /// A port behind a colon, with space around the colon's right side; `None` where there is no colon.
    pub(crate) fn port(&mut self) -> Result<Option<u16>, &'static str> {
        if !self.eat(b':') {
            return Ok(None);
        }
        let digits = self.skip_space().take(super::DIGIT);
        let port = number(digits).and_then(|port| u16::try_from(port).ok());
        port.map(Some).ok_or("port is not a number up to 65535")
    }

    /// What is left as parameters of a header, each behind a semicolon.
    pub(crate) fn params(&mut self, source: Part<'_>) -> Result<Params, &'static str> {
        self.skip_space();
        if self.is_done() {
            return Ok(Params::new());
        }
        if !self.eat(b';') {
            return Err("something else than parameters at the end");
        }
        let text = self.rest().trim_ascii();
        self.all_params()?;
        Ok(Params::from_checked(source.slice(text)))
    }

    /// The next parameter, which was found well-formed, and its semicolon: name, and value as written.
    pub(crate) fn param(&mut self) -> (&'a str, Option<&'a str>) {
        let name = self.skip_space().take(TOKEN | URI_PARAM);
        let value = self.skip_space().eat(b'=').then(|| {
            let quoted = self.skip_space().first() == Some(b'"');
            match quoted_len(self.rest()) {
                Some(len) if quoted => self.advance(len),
                _ => self.before(b';').trim_ascii_end(),
            }
        });
        self.before(b';');
        self.eat(b';');
        (name, value)
    }

    /// What is left as parameters separated by semicolons.
    pub(crate) fn all_params(&mut self) -> Result<(), &'static str> {
        loop {
            if self.skip_space().take(TOKEN).is_empty() {
                return Err("parameter name is not a token");
            }
            if self.skip_space().eat(b'=') {
                self.skip_space();
                if self.first() == Some(b'"') {
                    let len = quoted_len(self.rest()).ok_or("unbalanced quote in a parameter")?;
                    self.advance(len);
                } else if self.take(VALUE).is_empty() {
                    return Err("parameter value is neither token, host nor quoted string");
                }
                self.skip_space();
            }
            if self.is_done() {
                return Ok(());
            }
            if !self.eat(b';') {
                return Err("parameter with something behind its value");
            }
        }
    }
}
