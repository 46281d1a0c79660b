//! `[[account]]`.

use super::Secret;

/// An account that the store is seeded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user part of its address.
    pub user: String,
    /// One of `server.domains`; the digest realm.
    pub domain: String,
    /// Its digest password; none cannot register.
    pub password: Option<Secret>,
    /// Where its voicemail goes.
    pub email: Option<String>,
    /// Its PIN, for the mailbox from a foreign phone: digits.
    pub pin: Option<Secret>,
    /// How it is shown to people.
    pub display_name: Option<String>,
    /// Whether it has a mailbox.
    pub mailbox: bool,
}
