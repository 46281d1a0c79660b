//! Bindings of the registrar, which survive a restart (SER-M7).

use std::time::SystemTime;

use crate::{Store, StoreError};

/// A contact bound to an address of record (RFC 3261 section 10).
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The user of the address of record.
    pub user: String,
    /// Its domain, in lower case.
    pub domain: String,
    /// The contact URI, the key within the address of record.
    pub contact: String,
    /// The flow on which it was received, as text of the registrar's own.
    pub received: String,
    /// The Path vector (RFC 3327), topmost first.
    pub path: Vec<String>,
    /// The Call-ID of the registration.
    pub call_id: String,
    /// Its CSeq.
    pub cseq: u32,
    /// The User-Agent; empty where it told none.
    pub user_agent: String,
    /// Its preference, 0.0 to 1.0.
    pub q: f32,
    /// When it ends.
    pub expires: SystemTime,
}

impl Store {
    /// Saves a binding, or replaces the one with this contact.
    pub async fn save_binding(&self, binding: &Binding) -> Result<(), StoreError> {
        self.save_bindings(std::slice::from_ref(binding)).await
    }

    /// Saves many in one transaction: one sync of the disk for all.
    pub async fn save_bindings(&self, _bindings: &[Binding]) -> Result<(), StoreError> {
        todo!()
    }

    /// Removes a binding, if it is there.
    pub async fn remove_binding(&self, _user: &str, _domain: &str, _contact: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// The bindings that have not expired.
    pub async fn bindings(&self) -> Result<Vec<Binding>, StoreError> {
        todo!()
    }
}
