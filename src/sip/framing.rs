//! Messages on a stream: TCP, TLS.

use bytes::{Buf, Bytes, BytesMut};

use crate::grammar;
use crate::header::HeaderName;

/// The longest message taken from a stream unless told otherwise, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What came out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// CRLFCRLF: to be answered with CRLF (RFC 5626 §4.4.1).
    Ping,
    /// CRLF: the answer to our ping, or the beginning of a ping whose rest is on its way.
    Pong,
    /// A whole message, headers and body.
    Message(Bytes),
}

/// A stream that can no longer be cut into messages: the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FramingError {
    #[error("message without Content-Length")]
    MissingLength,
    #[error("Content-Length is not a number, or two differ")]
    MalformedLength,
    #[error("message longer than allowed")]
    TooLong,
}

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    max: usize,
    /// How far the buffer was searched for the end of the headers, so that slow senders cost no more than fast ones.
    searched: usize,
    /// The length of the message at the front, once its headers are whole.
    length: Option<usize>,
    /// A CRLF that may be the first half of a ping was reported.
    half_ping: bool,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MAX_MESSAGE)
    }
}

impl Framer {
    /// A framer that takes messages of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), max, searched: 0, length: None, half_ping: false }
    }

    /// Adds bytes received. Take all frames out before the next bytes, so that no more than one message and one read
    /// are ever held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message or keepalive; `Ok(None)` when more bytes are needed. After an error the stream is lost.
    pub fn next_frame(&mut self) -> Result<Option<Framed>, FramingError> {
        if self.length.is_none() {
            if let Some(keepalive) = self.keepalive() {
                return Ok(Some(keepalive));
            }
            self.length = self.message_length()?;
        }
        match self.length {
            Some(length) if self.buffer.len() >= length => {
                self.length = None;
                self.searched = 0;
                Ok(Some(Framed::Message(self.buffer.split_to(length).freeze())))
            }
            None if self.buffer.len() > self.max => Err(FramingError::TooLong),
            _ => Ok(None),
        }
    }

    /// Line breaks in front of a start line.
    fn keepalive(&mut self) -> Option<Framed> {
        if self.buffer.first().is_some_and(|b| *b != b'\r') {
            self.half_ping = false;
            // A lone LF separates nothing and means nothing.
            let blank = self.buffer.iter().take_while(|b| **b == b'\n').count();
            self.buffer.advance(blank);
        }
        if self.buffer.starts_with(b"\r\n\r\n") && !self.half_ping {
            self.buffer.advance(4);
            return Some(Framed::Ping);
        }
        if self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            let second = self.half_ping;
            self.half_ping = !second;
            return Some(if second { Framed::Ping } else { Framed::Pong });
        }
        None
    }

    /// The length of the message at the front with its body, once its headers are there.
    fn message_length(&mut self) -> Result<Option<usize>, FramingError> {
        let Some(head) = end_of_headers(&self.buffer, self.searched) else {
            // The last bytes may be the beginning of CRLFCRLF.
            self.searched = self.buffer.len().saturating_sub(3);
            return Ok(None);
        };
        let body = content_length(self.buffer.get(..head).unwrap_or_default())?;
        match head.checked_add(body) {
            Some(length) if length <= self.max => Ok(Some(length)),
            _ => Err(FramingError::TooLong),
        }
    }
}

/// The position behind the empty line that ends the headers; lines end with CRLF or LF.
fn end_of_headers(buffer: &[u8], from: usize) -> Option<usize> {
    let rest = buffer.get(from..)?;
    rest.iter().enumerate().filter(|(_, b)| **b == b'\n').find_map(|(at, _)| {
        let next = from + at + 1;
        match buffer.get(next..) {
            Some([b'\n', ..]) => Some(next + 1),
            Some([b'\r', b'\n', ..]) => Some(next + 2),
            _ => None,
        }
    })
}

/// The value of Content-Length, in long or compact form, with space before the colon and folded, as any header.
fn content_length(head: &[u8]) -> Result<usize, FramingError> {
    let mut found = None;
    let mut lines = head.split(|b| *b == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let mut value: Option<Vec<u8>> = None;
        if let Some(colon) = line.iter().position(|b| *b == b':')
            && let Some((name, rest)) = line.split_at_checked(colon)
            && HeaderName::known(name.trim_ascii_end()) == Some(HeaderName::ContentLength)
        {
            value = Some(rest.get(1..).unwrap_or_default().trim_ascii().to_vec());
        }
        while let Some(more) = lines.next_if(|line| matches!(line.first(), Some(b' ' | b'\t'))) {
            if let Some(value) = &mut value {
                value.extend_from_slice(more.trim_ascii());
            }
        }
        let Some(value) = value else { continue };
        let length = std::str::from_utf8(&value).ok().and_then(grammar::number);
        let length = length.ok_or(FramingError::MalformedLength)?;
        if found.is_some_and(|other| other != length) {
            return Err(FramingError::MalformedLength);
        }
        found = Some(length);
    }
    let length = found.ok_or(FramingError::MissingLength)?;
    usize::try_from(length).map_err(|_| FramingError::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut Framer) -> Vec<Framed> {
        std::iter::from_fn(|| framer.next_frame().unwrap()).collect()
    }

    fn message(length: &str, body: &str) -> String {
        format!("OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n{length}\r\n\r\n{body}")
    }

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let one = message("Content-Length   : 3", "abc");
        let two = message("l:\r\n\t 2", "de");
        let stream = format!("{one}{two}\r\n\r\n{one}");
        let expected = [
            Framed::Message(Bytes::from(one.clone())),
            Framed::Message(Bytes::from(two)),
            Framed::Ping,
            Framed::Message(Bytes::from(one)),
        ];
        let mut whole = Framer::default();
        whole.push(stream.as_bytes());
        assert_eq!(frames(&mut whole), expected);

        let mut bytewise = Framer::default();
        let mut out = Vec::new();
        for byte in stream.bytes() {
            bytewise.push(&[byte]);
            out.extend(frames(&mut bytewise));
        }
        out.retain(|frame| *frame != Framed::Pong);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_ping_is_told_from_a_pong() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert_eq!(frames(&mut framer), [Framed::Pong]);
        framer.push(message("l: 0", "").as_bytes());
        assert_eq!(frames(&mut framer).len(), 1);
        framer.push(b"\r\n\r\n");
        assert_eq!(frames(&mut framer), [Framed::Ping]);
    }

    #[test]
    fn line_feeds_before_a_ping_do_not_make_it_a_message() {
        let mut framer = Framer::default();
        framer.push(b"\n\n\r\n\r\n");
        framer.push(message("l: 0", "").as_bytes());
        let [Framed::Ping, Framed::Message(message)] = &frames(&mut framer)[..] else { panic!() };
        assert!(message.starts_with(b"OPTIONS"));
    }

    #[test]
    fn a_stream_without_a_usable_length_is_lost() {
        for (head, error) in [
            ("X: y", FramingError::MissingLength),
            ("Content-Length: -1", FramingError::MalformedLength),
            ("Content-Length: 3\r\nl: 0", FramingError::MalformedLength),
            ("Content-Length: 99999999999999999999", FramingError::MalformedLength),
            ("Content-Length: 4294967295", FramingError::TooLong),
        ] {
            let mut framer = Framer::default();
            framer.push(message(head, "").as_bytes());
            assert_eq!(framer.next_frame(), Err(error), "{head}");
        }
    }

    #[test]
    fn headers_without_end_are_given_up() {
        let mut framer = Framer::new(1000);
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n");
        for _ in 0..50 {
            framer.push(b"X: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
            if framer.next_frame() == Err(FramingError::TooLong) {
                return;
            }
        }
        panic!("the framer took more than it may");
    }
}
