//! The rows of messages and missed calls.

use std::time::{Duration, SystemTime};

use sems_app::{MailboxError, MessageId, MessageInfo, Mode};
use sqlx::{Row as _, Sqlite, Transaction, sqlite::SqliteRow};

use crate::{
    MessageCounts, Store, StoreError,
    spool::Sidecar,
    value::{count, duration, is_id, length, mailbox_key, millis, new_id, split_mailbox, time},
};

/// Deleted messages are kept this long.
const UNDELETE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Call records, missed calls and PIN events are kept this long.
const RECORDS: Duration = Duration::from_secs(90 * 24 * 3600);
/// Missed calls kept of a mailbox: anyone can cause them.
const MISSED_CALLS: i64 = 1_000;

pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Mail => "mail",
        Mode::Box => "box",
        Mode::Both => "both",
        Mode::Announce => "announce",
    }
}

impl Store {
    /// Whether a box holds all it may. Messages that only wait to be mailed take room as well.
    pub(crate) async fn is_full(&self, mailbox: &str) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT COUNT(*) AS messages FROM message WHERE mailbox = $1 AND deleted_at IS NULL")
                .bind(mailbox)
                .fetch_one(self.reader())
                .await?;
        let messages: i64 = row.try_get("messages")?;
        Ok(messages >= i64::from(self.shared.max_messages))
    }

    /// Whether a take is a message, or a missed call, already.
    pub(crate) async fn is_settled(&self, id: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT id FROM message WHERE id = $1 UNION ALL SELECT id FROM missed_call WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(self.reader())
        .await?;
        Ok(row.is_some())
    }

    /// The one transaction that makes a take a message: its row, and its mail.
    pub(crate) async fn insert_message(
        &self,
        id: &str,
        sidecar: &Sidecar,
        duration: Duration,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut transaction = self.write().await?;
        let recipient = match sidecar.mode {
            Mode::Mail | Mode::Both => email_of(&mut transaction, &sidecar.mailbox).await?,
            Mode::Box | Mode::Announce => None,
        };
        if sidecar.mode == Mode::Mail && recipient.is_none() {
            tracing::warn!(mailbox = %sidecar.mailbox, "no e-mail address: the message is kept in the box");
        }
        // Only what is on its way elsewhere may be absent from the box.
        let hidden = sidecar.mode == Mode::Mail && recipient.is_some();
        sqlx::query(
            "INSERT INTO message (id, mailbox, caller, caller_name, received, duration, mode, hidden) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(&sidecar.mailbox)
        .bind(&sidecar.caller)
        .bind(&sidecar.caller_name)
        .bind(sidecar.received)
        .bind(length(duration))
        .bind(mode_name(sidecar.mode))
        .bind(hidden)
        .execute(&mut *transaction)
        .await?;
        if let Some(recipient) = recipient {
            sqlx::query(
                "INSERT INTO mail_job (id, message_id, recipient, state, attempts, created, next_attempt, \
                 message_id_header) VALUES ($1, $2, $3, 'pending', 0, $4, $4, $5)",
            )
            .bind(new_id(now))
            .bind(id)
            .bind(recipient)
            .bind(millis(now))
            .bind(format!("<{id}@{}>", self.shared.mailer.domain()))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    pub(crate) async fn insert_missed(&self, id: &str, sidecar: &Sidecar) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO missed_call (id, mailbox, caller, caller_name, received) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(id)
        .bind(&sidecar.mailbox)
        .bind(&sidecar.caller)
        .bind(&sidecar.caller_name)
        .bind(sidecar.received)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM missed_call WHERE mailbox = $1 AND id NOT IN (SELECT id FROM missed_call \
             WHERE mailbox = $1 ORDER BY received DESC, id DESC LIMIT $2)",
        )
        .bind(&sidecar.mailbox)
        .bind(MISSED_CALLS)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Unheard before heard, oldest first in each.
    pub(crate) async fn list_messages(&self, mailbox: &str) -> Result<Vec<MessageInfo>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, caller, caller_name, received, duration, heard_at FROM message \
             WHERE mailbox = $1 AND deleted_at IS NULL AND NOT hidden \
             ORDER BY CASE WHEN heard_at IS NULL THEN 0 ELSE 1 END, received, id",
        )
        .bind(mailbox)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Whether a message is in this box (and not deleted).
    pub(crate) async fn has_message(&self, mailbox: &str, id: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT id FROM message WHERE id = $1 AND mailbox = $2 AND deleted_at IS NULL AND NOT hidden",
        )
        .bind(id)
        .bind(mailbox)
        .fetch_optional(self.reader())
        .await?;
        Ok(is_id(id) && row.is_some())
    }

    pub(crate) async fn set_heard(&self, mailbox: &str, id: &str) -> Result<(), MailboxError> {
        let now = millis(self.now());
        let update = sqlx::query(
            "UPDATE message SET heard_at = COALESCE(heard_at, $3) \
             WHERE id = $1 AND mailbox = $2 AND deleted_at IS NULL AND NOT hidden",
        );
        self.update_message(mailbox, update.bind(id).bind(mailbox).bind(now)).await
    }

    pub(crate) async fn set_deleted(&self, mailbox: &str, id: &str) -> Result<(), MailboxError> {
        let now = millis(self.now());
        let update = sqlx::query(
            "UPDATE message SET deleted_at = $3 \
             WHERE id = $1 AND mailbox = $2 AND deleted_at IS NULL AND NOT hidden",
        );
        self.update_message(mailbox, update.bind(id).bind(mailbox).bind(now)).await
    }

    pub(crate) async fn unset_deleted(&self, mailbox: &str, id: &str) -> Result<(), MailboxError> {
        let update = sqlx::query(
            "UPDATE message SET deleted_at = NULL \
             WHERE id = $1 AND mailbox = $2 AND deleted_at IS NOT NULL AND NOT hidden",
        );
        self.update_message(mailbox, update.bind(id).bind(mailbox)).await
    }

    async fn update_message(
        &self,
        mailbox: &str,
        update: sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<(), MailboxError> {
        let mut transaction = self.write().await?;
        let result = update.execute(&mut *transaction).await.map_err(StoreError::from)?;
        transaction.commit().await.map_err(StoreError::from)?;
        if result.rows_affected() == 0 {
            return Err(MailboxError::NoSuchMessage);
        }
        self.changed(mailbox);
        Ok(())
    }

    /// How many messages are in an account's box.
    pub async fn message_counts(&self, user: &str, domain: &str) -> Result<MessageCounts, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS messages, COUNT(heard_at) AS heard FROM message \
             WHERE mailbox = $1 AND deleted_at IS NULL AND NOT hidden",
        )
        .bind(mailbox_key(user, domain))
        .fetch_one(self.reader())
        .await?;
        let (all, heard): (i64, i64) = (row.try_get("messages")?, row.try_get("heard")?);
        Ok(MessageCounts { new: count(all - heard), old: count(heard) })
    }

    /// Forgets what need not be kept any longer: messages deleted 7 days ago (those still to be mailed stay),
    /// expired bindings, and records of calls and PINs older than 90 days.
    pub async fn purge(&self, now: SystemTime) -> Result<(), StoreError> {
        let before = |age| millis(now).saturating_sub(length(age));
        let rows = sqlx::query(
            "SELECT id FROM message WHERE deleted_at <= $1 AND NOT EXISTS (SELECT 1 FROM mail_job \
             WHERE mail_job.message_id = message.id AND mail_job.state = 'pending')",
        )
        .bind(before(UNDELETE))
        .fetch_all(self.reader())
        .await?;
        for row in rows {
            let id: String = row.try_get("id")?;
            // The sound first: should this be the last step, the row is found again.
            self.remove_take(&id).await?;
            let mut transaction = self.write().await?;
            for statement in [
                "DELETE FROM mail_attempt WHERE job_id IN (SELECT id FROM mail_job WHERE message_id = $1)",
                "DELETE FROM mail_job WHERE message_id = $1",
                "DELETE FROM message WHERE id = $1",
            ] {
                sqlx::query(statement).bind(&id).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        }
        let mut transaction = self.write().await?;
        for (statement, limit) in [
            ("DELETE FROM binding WHERE expires <= $1", millis(now)),
            ("DELETE FROM cdr WHERE ended <= $1", before(RECORDS)),
            ("DELETE FROM missed_call WHERE received <= $1", before(RECORDS)),
            ("DELETE FROM pin_audit WHERE at <= $1", before(RECORDS)),
        ] {
            sqlx::query(statement).bind(limit).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

fn read(row: &SqliteRow) -> Result<MessageInfo, StoreError> {
    Ok(MessageInfo {
        id: MessageId(row.try_get::<String, _>("id")?.into()),
        caller: row.try_get("caller")?,
        caller_name: row.try_get("caller_name")?,
        received: time(row.try_get("received")?),
        duration: duration(row.try_get("duration")?),
        heard: row.try_get::<Option<i64>, _>("heard_at")?.is_some(),
    })
}

async fn email_of(
    transaction: &mut Transaction<'_, Sqlite>,
    mailbox: &str,
) -> Result<Option<String>, StoreError> {
    let (user, domain) = split_mailbox(mailbox);
    let row = sqlx::query("SELECT email FROM account WHERE username = $1 AND domain = $2")
        .bind(user)
        .bind(domain)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.map(|row| row.try_get::<Option<String>, _>("email")).transpose()?.flatten())
}
