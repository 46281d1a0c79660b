//! Playing out evenly what arrives unevenly.

mod playout;
mod store;
mod stretch;

pub(crate) use playout::Playout;
pub(crate) use store::{Arrival, Packet, Store};
