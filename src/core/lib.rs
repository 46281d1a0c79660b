//! The B2BUA media core: sockets, signalling, calls, routing, registrar, media threads.
//!
//! One task owns all of SIP (`signalling`), a few threads own all of media ([`media`]), and each call has a task
//! of its own (`call`) that talks to both and to its application. State has one owner each; between them go
//! messages over bounded channels.
//!
//! ```text
//!  UDP, TCP -> signalling task (sems_sip::Endpoint, desk: limits, identity, routes, registrar)
//!                  |  events, asks
//!              call task (actor: verbs of the application; or connect: the B2BUA)
//!                  |  commands, media events
//!              media worker threads (sessions, rooms, bridges, recorder)
//! ```

#![deny(unsafe_code)]

mod accounts;
mod call;
pub mod config;
mod counters;
mod desk;
mod host;
mod identity;
mod limits;
mod locate;
mod location;
pub mod media;
mod registrar;
pub mod routing;
mod server;
mod shared;
mod signalling;
pub mod snapshot;
mod sources;
mod trace;
mod traffic;
mod transport;
mod view;

pub use server::{Server, StartError};
pub use transport::TlsError;
