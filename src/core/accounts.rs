//! The accounts, in memory: what signalling asks for each request must not wait for a database.

use std::collections::HashMap;

use sems_store::{Account, Store, StoreError};

use crate::location::Aor;

/// All accounts, as they were when last read.
#[derive(Debug, Default)]
pub(crate) struct Accounts(HashMap<Aor, Account>);

impl Accounts {
    /// Reads them all.
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let accounts = store.accounts().await?;
        Ok(Self(
            accounts.into_iter().map(|account| (Aor::new(&account.user, &account.domain), account)).collect(),
        ))
    }

    pub(crate) fn get(&self, aor: &Aor) -> Option<&Account> {
        self.0.get(aor)
    }

    pub(crate) fn contains(&self, aor: &Aor) -> bool {
        self.0.contains_key(aor)
    }
}

#[cfg(test)]
impl Accounts {
    /// These accounts alone.
    pub(crate) fn of(accounts: impl IntoIterator<Item = Account>) -> Self {
        Self(accounts.into_iter().map(|a| (Aor::new(&a.user, &a.domain), a)).collect())
    }
}
