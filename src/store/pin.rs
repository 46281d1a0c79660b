//! PINs: which ones are good enough, and what a wrong one costs.
//!
//! Three wrong PINs lock a mailbox for 15 minutes, the next three for 30, and so on to a day; the right one
//! forgets all. The count is in the account's row, so that neither a new call nor a restart resets it. An attempt
//! is counted before the PIN is compared: many calls at once get no more than three between them.

use std::time::{Duration, SystemTime};

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::SaltString};
use sems_app::{MailboxError, MailboxId};
use sqlx::{Row as _, Sqlite, Transaction};

use crate::{
    Store, StoreError,
    store::blocking,
    value::{length, millis, new_id, split_mailbox},
};

const TRIES: i64 = 3;
const LOCK: Duration = Duration::from_secs(15 * 60);
const LONGEST_LOCK: Duration = Duration::from_secs(24 * 3600);

/// Whether a PIN is hard to guess: 6 to 32 digits, not one digit again and again or two in turn, no run, not the
/// extension or a part of it.
pub(crate) fn is_strong(pin: &str, user: &str) -> bool {
    let digits = pin.as_bytes();
    if !(6..=32).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let steps: Vec<i16> = digits.windows(2).map(|pair| i16::from(pair[1]) - i16::from(pair[0])).collect();
    let run = steps.iter().all(|step| *step == 1) || steps.iter().all(|step| *step == -1);
    let repeats = (1..=digits.len() / 2)
        .any(|period| digits.iter().zip(digits.iter().skip(period)).all(|(a, b)| a == b));
    let extension: String = user.chars().filter(char::is_ascii_digit).collect();
    let is_extension = extension.len() >= 3 && (extension.contains(pin) || pin.contains(&extension));
    !run && !repeats && !is_extension
}

impl Store {
    pub(crate) async fn hash_pin(&self, pin: &str) -> Result<String, StoreError> {
        let pin = pin.to_owned();
        let _turn = self.shared.hashing.acquire().await.map_err(|_| StoreError::ShuttingDown)?;
        blocking(move || {
            let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(|_| StoreError::Hash)?;
            let hash =
                Argon2::default().hash_password(pin.as_bytes(), &salt).map_err(|_| StoreError::Hash)?;
            Ok(hash.to_string())
        })
        .await
    }

    async fn pin_matches(&self, pin: &str, hash: String) -> Result<bool, StoreError> {
        // No longer one was ever set, and a stranger's hash costs what its length costs.
        if pin.len() > 32 {
            return Ok(false);
        }
        let pin = pin.to_owned();
        let _turn = self.shared.hashing.acquire().await.map_err(|_| StoreError::ShuttingDown)?;
        blocking(move || {
            let hash = PasswordHash::new(&hash).map_err(|_| StoreError::Hash)?;
            Ok(Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok())
        })
        .await
    }

    /// See [`sems_app::MailboxBackend::verify_pin`]. The third wrong PIN is answered with the lock.
    pub(crate) async fn try_pin(&self, mailbox: &MailboxId, pin: &str) -> Result<bool, MailboxError> {
        let now = self.now();
        let (hash, locked) = self.count_attempt(&mailbox.0, now).await?;
        let right = match hash {
            Some(hash) => self.pin_matches(pin, hash).await?,
            None => false,
        };
        match (right, locked) {
            (true, _) => {
                self.forget_attempts(&mailbox.0, now).await?;
                Ok(true)
            }
            (false, true) => {
                tracing::warn!(mailbox = %mailbox.0, "locked after three wrong PINs");
                self.note_lock(&mailbox.0, now).await?;
                Err(MailboxError::Locked)
            }
            (false, false) => Ok(false),
        }
    }

    /// Counts an attempt beforehand. Returns the hash, and whether this attempt, if it fails, is the last.
    async fn count_attempt(
        &self,
        mailbox: &str,
        now: SystemTime,
    ) -> Result<(Option<String>, bool), MailboxError> {
        let (user, domain) = split_mailbox(mailbox);
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "SELECT pin_hash, pin_failures, pin_locks, pin_locked_until FROM account \
             WHERE username = $1 AND domain = $2 AND has_mailbox",
        )
        .bind(user)
        .bind(domain)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(StoreError::from)?
        .ok_or(MailboxError::NotFound)?;
        let column = |name| row.try_get::<i64, _>(name).map_err(StoreError::from);
        if column("pin_locked_until")? > millis(now) {
            return Err(MailboxError::Locked);
        }
        let hash = row.try_get("pin_hash").map_err(StoreError::from)?;
        let (mut failures, mut locks, mut until) = (column("pin_failures")? + 1, column("pin_locks")?, 0);
        let last = failures >= TRIES;
        if last {
            until = millis(now).saturating_add(length(lock_length(locks)));
            (failures, locks) = (0, locks + 1);
        }
        set_attempts(&mut transaction, mailbox, [failures, locks, until]).await?;
        audit(&mut transaction, mailbox, now, "attempt").await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok((hash, last))
    }

    async fn note_lock(&self, mailbox: &str, now: SystemTime) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        audit(&mut transaction, mailbox, now, "locked").await?;
        Ok(transaction.commit().await?)
    }

    async fn forget_attempts(&self, mailbox: &str, now: SystemTime) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        set_attempts(&mut transaction, mailbox, [0, 0, 0]).await?;
        audit(&mut transaction, mailbox, now, "opened").await?;
        Ok(transaction.commit().await?)
    }

    /// What happened to the PIN of an account: (time, `attempt`, `locked` or `opened`), latest first, 1,000 at most.
    pub async fn pin_audit(&self, user: &str, domain: &str) -> Result<Vec<(SystemTime, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT at, event FROM pin_audit WHERE mailbox = $1 ORDER BY at DESC, id DESC LIMIT 1000",
        )
        .bind(crate::value::mailbox_key(user, domain))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| Ok((crate::value::time(row.try_get("at")?), row.try_get("event")?))).collect()
    }
}

fn lock_length(locks: i64) -> Duration {
    let doublings = u32::try_from(locks).unwrap_or(0).min(16);
    LOCK.saturating_mul(1 << doublings).min(LONGEST_LOCK)
}

async fn set_attempts(
    transaction: &mut Transaction<'_, Sqlite>,
    mailbox: &str,
    [failures, locks, until]: [i64; 3],
) -> Result<(), StoreError> {
    let (user, domain) = split_mailbox(mailbox);
    sqlx::query(
        "UPDATE account SET pin_failures = $3, pin_locks = $4, pin_locked_until = $5 \
         WHERE username = $1 AND domain = $2",
    )
    .bind(user)
    .bind(domain)
    .bind(failures)
    .bind(locks)
    .bind(until)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn audit(
    transaction: &mut Transaction<'_, Sqlite>,
    mailbox: &str,
    now: SystemTime,
    event: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO pin_audit (id, mailbox, at, event) VALUES ($1, $2, $3, $4)")
        .bind(new_id(now))
        .bind(mailbox)
        .bind(millis(now))
        .bind(event)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_that_are_guessed_are_weak() {
        for weak in
            ["", "48151", "111111", "123456", "987654", "121212", "123123", "48151a", "100100", "841001"]
        {
            assert!(!is_strong(weak, "1001"), "{weak}");
        }
        for strong in ["481516", "902744", "00420815"] {
            assert!(is_strong(strong, "1001"), "{strong}");
        }
    }

    #[test]
    fn each_lock_is_twice_as_long_to_a_day() {
        let minutes: Vec<u64> = (0..9).map(|locks| lock_length(locks).as_secs() / 60).collect();
        assert_eq!(minutes, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
    }
}
