//! Accounts: who may register and own a mailbox.

use std::fmt::{self, Write as _};

use md5::{Digest as _, Md5};
use sha2::Sha256;
use sqlx::{
    Row as _, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{Store, StoreError, mail, pin};

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
    pub async fn seed_accounts(&self, seeds: &[AccountSeed]) -> Result<usize, StoreError> {
        let mut absent = Vec::new();
        for seed in seeds {
            check_address(&seed.user, &seed.domain)?;
            seed.email.as_deref().map(check_email).transpose()?;
            if self.account(&seed.user, &seed.domain).await?.is_none() {
                let pin_hash = match &seed.pin {
                    Some(pin) => {
                        if !pin::is_strong(pin, &seed.user) {
                            tracing::warn!(user = %seed.user, "the PIN of this account is easily guessed");
                        }
                        Some(self.hash_pin(pin).await?)
                    }
                    None => None,
                };
                absent.push((seed, pin_hash));
            }
        }
        if absent.is_empty() {
            return Ok(0);
        }
        let mut made = 0;
        let mut transaction = self.write().await?;
        for (seed, pin_hash) in absent {
            let (md5, sha256) = seed.ha1()?;
            let result = sqlx::query(
                "INSERT INTO account (username, domain, ha1_md5, ha1_sha256, email, display_name, \
                 has_mailbox, pin_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (username, domain) DO NOTHING",
            )
            .bind(&seed.user)
            .bind(seed.domain.to_ascii_lowercase())
            .bind(md5)
            .bind(sha256)
            .bind(&seed.email)
            .bind(&seed.display_name)
            .bind(seed.mailbox)
            .bind(pin_hash)
            .execute(&mut *transaction)
            .await?;
            made += result.rows_affected();
        }
        transaction.commit().await?;
        Ok(usize::try_from(made).unwrap_or(usize::MAX))
    }

    /// An account by its address of record.
    pub async fn account(&self, user: &str, domain: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query("SELECT * FROM account WHERE username = $1 AND domain = $2")
            .bind(user)
            .bind(domain.to_ascii_lowercase())
            .fetch_optional(self.reader())
            .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// All accounts, by domain and user.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM account ORDER BY domain, username").fetch_all(self.reader()).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Sets the password.
    pub async fn set_password(&self, user: &str, domain: &str, password: &str) -> Result<(), StoreError> {
        let domain = domain.to_ascii_lowercase();
        let (md5, sha256) = ha1(user, &domain, password)?;
        let update = sqlx::query(
            "UPDATE account SET ha1_md5 = $3, ha1_sha256 = $4 WHERE username = $1 AND domain = $2",
        )
        .bind(user)
        .bind(domain)
        .bind(md5)
        .bind(sha256);
        self.update_account(update).await
    }

    /// Sets the PIN and opens a lock. A PIN that is easily guessed is [`StoreError::WeakPin`].
    pub async fn set_pin(&self, user: &str, domain: &str, pin: &str) -> Result<(), StoreError> {
        if !pin::is_strong(pin, user) {
            return Err(StoreError::WeakPin);
        }
        let hash = self.hash_pin(pin).await?;
        let update = sqlx::query(
            "UPDATE account SET pin_hash = $3, pin_failures = 0, pin_locks = 0, pin_locked_until = 0 \
             WHERE username = $1 AND domain = $2",
        )
        .bind(user)
        .bind(domain.to_ascii_lowercase())
        .bind(hash);
        self.update_account(update).await
    }

    /// Sets or removes the address that voicemail is mailed to.
    pub async fn set_email(&self, user: &str, domain: &str, email: Option<&str>) -> Result<(), StoreError> {
        email.map(check_email).transpose()?;
        let update = sqlx::query("UPDATE account SET email = $3 WHERE username = $1 AND domain = $2")
            .bind(user)
            .bind(domain.to_ascii_lowercase())
            .bind(email);
        self.update_account(update).await
    }

    pub(crate) async fn update_account(
        &self,
        update: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let changed = update.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        if changed == 0 { Err(StoreError::NoSuchAccount) } else { Ok(()) }
    }
}

impl AccountSeed {
    fn ha1(&self) -> Result<(Option<String>, Option<String>), StoreError> {
        let lower = |hash: &Option<String>| hash.as_ref().map(|hash| hash.to_ascii_lowercase());
        match &self.password {
            Some(password) => {
                let (md5, sha256) = ha1(&self.user, &self.domain.to_ascii_lowercase(), password)?;
                Ok((Some(md5), Some(sha256)))
            }
            None => Ok((lower(&self.ha1_md5), lower(&self.ha1_sha256))),
        }
    }
}

fn read(row: &SqliteRow) -> Result<Account, sqlx::Error> {
    Ok(Account {
        user: row.try_get("username")?,
        domain: row.try_get("domain")?,
        ha1_md5: row.try_get("ha1_md5")?,
        ha1_sha256: row.try_get("ha1_sha256")?,
        email: row.try_get("email")?,
        display_name: row.try_get("display_name")?,
        has_mailbox: row.try_get("has_mailbox")?,
        has_pin: row.try_get::<Option<String>, _>("pin_hash")?.is_some(),
    })
}

/// HA1 by MD5 and by SHA-256 (RFC 7616 section 3.4.2), in lower-case hexadecimal.
fn ha1(user: &str, domain: &str, password: &str) -> Result<(String, String), StoreError> {
    if password.is_empty() {
        return Err(StoreError::EmptyPassword);
    }
    let text = format!("{user}:{domain}:{password}");
    Ok((hex(&Md5::digest(&text)), hex(&Sha256::digest(&text))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 7616 keeps `:` out of the user name; the other limits keep rows and file names sane.
fn check_address(user: &str, domain: &str) -> Result<(), StoreError> {
    let user_ok =
        !user.is_empty() && user.chars().count() <= 128 && !user.chars().any(|c| c.is_control() || c == ':');
    let domain_ok = !domain.is_empty()
        && domain.len() <= 255
        && !domain.chars().any(|c| c.is_control() || c.is_whitespace() || c == '@');
    if user_ok && domain_ok { Ok(()) } else { Err(StoreError::Address) }
}

fn check_email(email: &str) -> Result<(), StoreError> {
    if mail::is_mail_address(email) { Ok(()) } else { Err(StoreError::Email) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ha1_is_that_of_the_rfc() {
        // RFC 7616 section 3.9.1 uses this user, realm and password; the values are of md5sum and sha256sum.
        let (md5, sha256) = ha1("Mufasa", "http-auth@example.org", "Circle of Life").unwrap();
        assert_eq!(md5, "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(sha256, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232");
    }
}
