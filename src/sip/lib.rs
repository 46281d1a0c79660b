//! SIP without input or output: messages, their parser and printer, typed headers, stream framing and digest
//! authentication.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: bytes, times and random values are
//! arguments. Nothing a peer sends makes it panic or grow beyond the size of what was received.
//!
//! ```text
//!  bytes -> Framer (streams) -> Message::parse -> Request | Response -> headers.typed::<T>()
//!                                            \-> Malformed::reply()
//! ```
//!
//! ```
//! use sems_sip::{Message, StatusCode, header::Contact};
//!
//! let datagram = "OPTIONS sip:bob@example.com SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK7\r\n\
//!     From: <sip:alice@example.com>;tag=1\r\n\
//!     To: <sip:bob@example.com>\r\n\
//!     Call-ID: a@192.0.2.1\r\n\
//!     CSeq: 1 OPTIONS\r\n\r\n";
//! let Ok(Message::Request(options)) = Message::parse(datagram.into()) else { panic!("not a request") };
//! assert_eq!(options.uri.user().as_deref(), Some("bob"));
//!
//! let mut response = options.response(StatusCode::OK, Some("tag"));
//! response.headers.push_typed(&Contact::new("sip:192.0.2.2".parse()?));
//! assert!(response.to_bytes().starts_with(b"SIP/2.0 200 OK\r\n"));
//! # Ok::<(), sems_sip::uri::MalformedUri>(())
//! ```

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
pub use text::{Part, Text};
pub use uri::{Host, Uri};

#[cfg(test)]
mod net;
