//! Bindings of the registrar, which survive a restart (SER-M7).

use std::time::SystemTime;

use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    Store, StoreError,
    value::{count, millis, time},
};

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
    pub async fn save_bindings(&self, bindings: &[Binding]) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        for binding in bindings {
            sqlx::query(
                "INSERT INTO binding (username, domain, contact, received, path, call_id, cseq, user_agent, q, \
                 expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                 ON CONFLICT (username, domain, contact) DO UPDATE SET received = excluded.received, \
                 path = excluded.path, call_id = excluded.call_id, cseq = excluded.cseq, \
                 user_agent = excluded.user_agent, q = excluded.q, expires = excluded.expires",
            )
            .bind(&binding.user)
            .bind(binding.domain.to_ascii_lowercase())
            .bind(&binding.contact)
            .bind(&binding.received)
            .bind(serde_json::Value::from(binding.path.clone()).to_string())
            .bind(&binding.call_id)
            .bind(i64::from(binding.cseq))
            .bind(&binding.user_agent)
            .bind(f64::from(binding.q))
            .bind(millis(binding.expires))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Removes a binding, if it is there.
    pub async fn remove_binding(&self, user: &str, domain: &str, contact: &str) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM binding WHERE username = $1 AND domain = $2 AND contact = $3")
            .bind(user)
            .bind(domain.to_ascii_lowercase())
            .bind(contact)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The bindings that have not expired.
    pub async fn bindings(&self) -> Result<Vec<Binding>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM binding WHERE expires > $1 ORDER BY domain, username, q DESC, contact",
        )
        .bind(millis(self.now()))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<Binding, StoreError> {
    // Rows are written above only; a path that is no JSON is none.
    let path: Vec<String> = serde_json::from_str(row.try_get("path")?).unwrap_or_default();
    Ok(Binding {
        user: row.try_get("username")?,
        domain: row.try_get("domain")?,
        contact: row.try_get("contact")?,
        received: row.try_get("received")?,
        path,
        call_id: row.try_get("call_id")?,
        cseq: count(row.try_get("cseq")?),
        user_agent: row.try_get("user_agent")?,
        q: row.try_get::<f64, _>("q")? as f32,
        expires: time(row.try_get("expires")?),
    })
}
