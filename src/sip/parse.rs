//! One pass over a datagram, to a message or to what must be answered to a malformed one.

use bytes::Bytes;

use crate::message::{Message, Response, StatusCode};

/// A message that breaks the grammar.
#[derive(Clone, Debug, thiserror::Error)]
#[error("malformed message: {what}")]
pub struct Malformed {
    /// The status that answers it.
    pub status: StatusCode,
    /// What is wrong.
    pub what: &'static str,
    reply: Option<Box<Response>>,
}

impl Malformed {
    /// The response to send to where the message came from; `None` asks for silence: a response, an ACK, or a request
    /// without a Via that could be read.
    pub fn reply(&self) -> Option<Response> {
        self.reply.as_deref().cloned()
    }
}

pub(crate) fn message(datagram: Bytes) -> Result<Message, Malformed> {
    let _ = datagram;
    Err(Malformed { status: StatusCode::BAD_REQUEST, what: "unread", reply: None })
}
