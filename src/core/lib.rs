//! The B2BUA media core: sockets, media workers, calls, routing, registrar.

pub mod config;
pub mod media;
pub mod routing;
pub mod snapshot;
