//! SIP without input or output: messages, their parser and printer, typed headers, stream framing and digest
//! authentication.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: bytes, times and random values are
//! arguments. Nothing a peer sends makes it panic or grow beyond the size of what was received.

#![forbid(unsafe_code)]

pub mod auth;
#[cfg(feature = "rsip")]
pub mod compat_rsip;
mod dialog;
pub mod endpoint;
pub mod flow;
pub mod framing;
mod grammar;
pub mod header;
mod invite;
pub mod message;
mod params;
mod parse;
mod session_timer;
mod text;
mod timer;
mod transaction;
pub mod uri;

pub use endpoint::Endpoint;
pub use flow::{Flow, Transport};
pub use framing::{Framed, Framer, FramingError};
pub use header::{Header, HeaderError, HeaderName};
pub use message::{Headers, Message, Method, Request, Response, StatusCode};
pub use params::Params;
pub use parse::Malformed;
pub use text::Text;
pub use uri::{Host, Uri};

#[cfg(test)]
mod net;
