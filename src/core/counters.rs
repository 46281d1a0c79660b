//! Numbers for `/metrics`: counted where things happen, read whenever somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::traffic::Traffic;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What signalling counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sip: Traffic,
    pub(crate) stun_answered: Count,
    pub(crate) calls: Count,
    pub(crate) calls_refused_busy: Count,
    pub(crate) calls_answered: Count,
    pub(crate) registrations: Count,
    pub(crate) authentication_failures: Count,
}
