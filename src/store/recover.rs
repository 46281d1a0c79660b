//! What a crash left behind.

use std::time::Duration;

use crate::{Store, StoreError};

/// What became of the takes found at start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Delivered as messages.
    pub delivered: usize,
    /// Too short: noted as missed calls.
    pub missed: usize,
    /// Unreadable: moved to `quarantine/`.
    pub quarantined: usize,
}

impl Store {
    /// Delivers the takes that a crash left in the spool: at start, before the first call. Those with less than
    /// `least` of sound become missed calls.
    pub async fn recover(&self, _least: Duration) -> Result<Recovered, StoreError> {
        todo!()
    }
}
