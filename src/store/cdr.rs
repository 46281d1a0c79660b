//! Call records and missed calls.

use std::time::SystemTime;

use sqlx::{Row as _, Sqlite, Transaction, sqlite::SqliteRow};
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::{
    Store, StoreError,
    value::{clean, mailbox_key, millis, time},
};

/// Characters kept of what a peer chose; its messages may be 64 KiB.
const MOST: usize = 512;

/// Records in one transaction: few enough that a message does not wait long for its turn to be committed.
const BATCH: usize = 256;

/// A record that waits to be written, and who waits for it. There are no more of them than calls.
pub(crate) type Waiting = (Cdr, oneshot::Sender<bool>);

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cdr {
    /// The call's id.
    pub id: String,
    /// The Call-ID of SIP.
    pub sip_call_id: String,
    /// The From URI.
    pub from: String,
    /// The request URI.
    pub to: String,
    /// The application that served it; none where it was routed to a phone or refused.
    pub application: Option<String>,
    /// The address it came from.
    pub source: String,
    /// When the INVITE arrived.
    pub started: SystemTime,
    /// When it was answered.
    pub answered: Option<SystemTime>,
    /// When it ended.
    pub ended: SystemTime,
    /// The final status of the INVITE.
    pub status: u16,
    /// Who ended it, and why: `caller`, `callee`, `application`, `timeout`, ...
    pub ended_by: String,
    /// The codec.
    pub codec: Option<String>,
}

/// A call that left no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedCall {
    /// Who called: a URI as text.
    pub caller: String,
    /// The display name.
    pub caller_name: Option<String>,
    /// When.
    pub received: SystemTime,
}

impl Store {
    /// Writes a call record; one of the same id is replaced. Records that come while others are written are gathered
    /// into one transaction, as a thousand calls may end in the same second and each commit waits for the disk.
    pub async fn write_cdr(&self, cdr: &Cdr) -> Result<(), StoreError> {
        let (tell, mut written) = oneshot::channel();
        self.cdrs_waiting().push((cdr.clone(), tell));
        let turn = self.shared.writing_cdrs.lock().await;
        loop {
            match written.try_recv() {
                Ok(true) => return Ok(()),
                Err(TryRecvError::Empty) => self.write_waiting().await,
                // Alone, so that nothing that is wrong with another keeps it away.
                Ok(false) | Err(TryRecvError::Closed) => break,
            }
        }
        drop(turn);
        self.write_cdrs(std::slice::from_ref(cdr)).await
    }

    /// Writes a batch of those that wait.
    async fn write_waiting(&self) {
        let (cdrs, tell): (Vec<_>, Vec<_>) = {
            let mut waiting = self.cdrs_waiting();
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).unzip()
        };
        let done = self.write_cdrs(&cdrs).await.is_ok();
        for tell in tell {
            // Whoever waited may have given up.
            let _ = tell.send(done);
        }
    }

    async fn write_cdrs(&self, cdrs: &[Cdr]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        for cdr in cdrs {
            write(&mut transaction, cdr).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The latest call records, latest first.
    pub async fn cdrs(&self, limit: u32) -> Result<Vec<Cdr>, StoreError> {
        let rows = sqlx::query("SELECT * FROM cdr ORDER BY ended DESC, id DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(read).collect()
    }

    /// The latest missed calls of an account, latest first.
    pub async fn missed_calls(
        &self,
        user: &str,
        domain: &str,
        limit: u32,
    ) -> Result<Vec<MissedCall>, StoreError> {
        let rows = sqlx::query(
            "SELECT caller, caller_name, received FROM missed_call WHERE mailbox = $1 \
             ORDER BY received DESC, id DESC LIMIT $2",
        )
        .bind(mailbox_key(user, domain))
        .bind(i64::from(limit))
        .fetch_all(self.reader())
        .await?;
        let missed = |row: &SqliteRow| {
            Ok(MissedCall {
                caller: row.try_get("caller")?,
                caller_name: row.try_get("caller_name")?,
                received: time(row.try_get("received")?),
            })
        };
        rows.iter().map(missed).collect()
    }
}

async fn write(transaction: &mut Transaction<'static, Sqlite>, cdr: &Cdr) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM cdr WHERE id = $1").bind(&cdr.id).execute(&mut **transaction).await?;
    sqlx::query(
        "INSERT INTO cdr (id, sip_call_id, from_uri, to_uri, application, source, started, answered, ended, \
         status, ended_by, codec) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(&cdr.id)
    .bind(clean(&cdr.sip_call_id, MOST))
    .bind(clean(&cdr.from, MOST))
    .bind(clean(&cdr.to, MOST))
    .bind(&cdr.application)
    .bind(&cdr.source)
    .bind(millis(cdr.started))
    .bind(cdr.answered.map(millis))
    .bind(millis(cdr.ended))
    .bind(i64::from(cdr.status))
    .bind(&cdr.ended_by)
    .bind(&cdr.codec)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<Cdr, StoreError> {
    Ok(Cdr {
        id: row.try_get("id")?,
        sip_call_id: row.try_get("sip_call_id")?,
        from: row.try_get("from_uri")?,
        to: row.try_get("to_uri")?,
        application: row.try_get("application")?,
        source: row.try_get("source")?,
        started: time(row.try_get("started")?),
        answered: row.try_get::<Option<i64>, _>("answered")?.map(time),
        ended: time(row.try_get("ended")?),
        status: u16::try_from(row.try_get::<i64, _>("status")?).unwrap_or(0),
        ended_by: row.try_get("ended_by")?,
        codec: row.try_get("codec")?,
    })
}
