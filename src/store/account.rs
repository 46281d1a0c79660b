//! Accounts: who may register and own a mailbox.

use std::fmt;

use crate::{Store, StoreError};

/// An account to be made where it is absent. Secrets are hashed before they are stored; `Debug` hides them.
#[derive(Clone)]
pub struct AccountSeed {
    /// The user part of the address of record; case matters.
    pub user: String,
    /// Its domain, which is the digest realm; stored in lower case.
    pub domain: String,
    /// The password; or give both HA1.
    pub password: Option<String>,
    /// `MD5(user:domain:password)` in hexadecimal (RFC 7616 section 3.4.2), where the password is not known.
    pub ha1_md5: Option<String>,
    /// `SHA-256(user:domain:password)` in hexadecimal, where the password is not known.
    pub ha1_sha256: Option<String>,
    /// Where voicemail is mailed.
    pub email: Option<String>,
    /// The PIN of the mailbox; none: no access by PIN.
    pub pin: Option<String>,
    /// The name for people.
    pub display_name: Option<String>,
    /// Whether it has a mailbox.
    pub mailbox: bool,
}

impl Default for AccountSeed {
    /// Nobody, with a mailbox.
    fn default() -> Self {
        Self {
            user: String::new(),
            domain: String::new(),
            password: None,
            ha1_md5: None,
            ha1_sha256: None,
            email: None,
            pin: None,
            display_name: None,
            mailbox: true,
        }
    }
}

impl fmt::Debug for AccountSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSeed")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// An account as stored. `Debug` hides the HA1, which is as good as the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user part of the address of record.
    pub user: String,
    /// Its domain and digest realm, in lower case.
    pub domain: String,
    /// `MD5(user:domain:password)` in lower-case hexadecimal; none where the account cannot log in with MD5.
    pub ha1_md5: Option<String>,
    /// `SHA-256(user:domain:password)` in lower-case hexadecimal; none as above.
    pub ha1_sha256: Option<String>,
    /// Where voicemail is mailed.
    pub email: Option<String>,
    /// The name for people.
    pub display_name: Option<String>,
    /// Whether callers can leave a message.
    pub has_mailbox: bool,
    /// Whether a PIN opens the mailbox.
    pub has_pin: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .field("email", &self.email)
            .field("has_mailbox", &self.has_mailbox)
            .field("has_pin", &self.has_pin)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Makes the accounts that are absent, and returns how many that were. Those that exist are left as they are.
    pub async fn seed_accounts(&self, _seeds: &[AccountSeed]) -> Result<usize, StoreError> {
        todo!()
    }

    /// An account by its address of record.
    pub async fn account(&self, _user: &str, _domain: &str) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    /// All accounts, by domain and user.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        todo!()
    }

    /// Sets the password.
    pub async fn set_password(&self, _user: &str, _domain: &str, _password: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// Sets the PIN and opens a lock. A PIN that is easily guessed is [`StoreError::WeakPin`].
    pub async fn set_pin(&self, _user: &str, _domain: &str, _pin: &str) -> Result<(), StoreError> {
        todo!()
    }

    /// Sets or removes the address that voicemail is mailed to.
    pub async fn set_email(
        &self,
        _user: &str,
        _domain: &str,
        _email: Option<&str>,
    ) -> Result<(), StoreError> {
        todo!()
    }
}
