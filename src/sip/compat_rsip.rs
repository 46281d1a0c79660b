//! To and from the messages of the `rsip` crate, for authors who use it.
//!
//! Not every message can be represented there: `rsip` knows neither extension methods nor IPv6 hosts.

use bytes::Bytes;

use crate::message::Message;
use crate::parse::Malformed;

impl TryFrom<&Message> for rsip::SipMessage {
    type Error = rsip::Error;

    /// `Err` when `rsip` cannot represent the message.
    fn try_from(message: &Message) -> Result<Self, rsip::Error> {
        Self::try_from(&*message.to_bytes())
    }
}

impl TryFrom<&rsip::SipMessage> for Message {
    type Error = Malformed;

    /// `Err` when the message breaks the grammar or lacks a mandatory header, which `rsip` does not check.
    fn try_from(message: &rsip::SipMessage) -> Result<Self, Malformed> {
        // `rsip` prints bodies as text, which loses what is not UTF-8: the body is carried past its printer.
        let mut head = message.clone();
        let body = match &mut head {
            rsip::SipMessage::Request(request) => std::mem::take(&mut request.body),
            rsip::SipMessage::Response(response) => std::mem::take(&mut response.body),
        };
        let mut bytes = head.to_string().into_bytes();
        bytes.extend_from_slice(&body);
        Self::parse(Bytes::from(bytes))
    }
}
