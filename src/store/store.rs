//! The store: what all its parts share.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sems_app::MailboxId;
use sqlx::{
    SqlSafeStr as _, Sqlite, SqlitePool, Transaction,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Notify, Semaphore, broadcast};

use crate::{Clock, StoreConfig, StoreError, cdr, mail::Mailer};

/// The steps of the schema: version, name, statements. A step that was released never changes.
const SCHEMA: [(i64, &str, &str); 1] = [(1, "begin", include_str!("migrations/0001_begin.sql"))];

/// Readers at a time: queries take far below a millisecond, and SQLite gains nothing from more.
const READERS: u32 = 4;
/// Mailboxes that may have changed before a listener looks; one that lags is told, and counts anew.
const CHANGES: usize = 256;
/// PINs hashed at a time: each takes 19 MiB and tens of milliseconds of a core.
const HASHES: usize = 2;

/// Accounts, bindings, mailboxes, outbox and call records; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a [`Store`] have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    reader: SqlitePool,
    /// One connection: SQLite has one writer at a time, and waiting here is fairer than its busy loop.
    writer: SqlitePool,
    pub(crate) folders: Folders,
    pub(crate) clock: Clock,
    pub(crate) mailer: Mailer,
    pub(crate) max_messages: u32,
    /// The takes of calls that are going on, which [`Store::recover`] must leave alone.
    live: Mutex<HashSet<String>>,
    pub(crate) changes: broadcast::Sender<MailboxId>,
    pub(crate) mail_waits: Notify,
    /// Held by whoever sends, so that no mail is sent twice at the same time.
    pub(crate) sending: tokio::sync::Mutex<()>,
    pub(crate) hashing: Semaphore,
    cdrs_waiting: Mutex<Vec<cdr::Waiting>>,
    /// Held by whoever writes call records for all that wait.
    pub(crate) writing_cdrs: tokio::sync::Mutex<()>,
    /// Locked as long as this lives; the system opens it when the process dies.
    _lock: File,
}

/// Where files lie.
#[derive(Debug)]
pub(crate) struct Folders {
    pub(crate) spool: PathBuf,
    pub(crate) recordings: PathBuf,
    pub(crate) greetings: PathBuf,
    pub(crate) quarantine: PathBuf,
}

impl Store {
    /// Opens the store, and makes or migrates its database. One process at a time may have a data folder open.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_with(config, Clock::default()).await
    }

    /// As [`open`](Self::open), with a clock of one's own.
    pub async fn open_with(config: StoreConfig, clock: Clock) -> Result<Self, StoreError> {
        let database = below(&config.data_dir, "store.database", &config.database, "sqlite:")?;
        let recordings = below(&config.data_dir, "store.recordings", &config.recordings, "file:")?;
        let folders = Folders {
            spool: config.data_dir.join("spool"),
            recordings,
            greetings: config.data_dir.join("greetings"),
            quarantine: config.data_dir.join("quarantine"),
        };
        make_folder(&config.data_dir)?;
        for folder in [&folders.spool, &folders.recordings, &folders.greetings, &folders.quarantine] {
            make_folder(folder)?;
        }
        let lock = lock(&config.data_dir)?;
        let mailer = Mailer::new(&config.data_dir, &config.mail)?;
        let (reader, writer) = connect(&database).await?;
        let (changes, _) = broadcast::channel(CHANGES);
        let shared = Shared {
            reader,
            writer,
            folders,
            clock,
            mailer,
            max_messages: config.max_messages,
            live: Mutex::default(),
            changes,
            mail_waits: Notify::new(),
            sending: tokio::sync::Mutex::default(),
            hashing: Semaphore::new(HASHES),
            cdrs_waiting: Mutex::default(),
            writing_cdrs: tokio::sync::Mutex::default(),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// For queries that change nothing.
    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.shared.reader
    }

    /// Begins a transaction that writes. Its commit is synced to the disk.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.shared.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// The takes of calls that are going on. The lock is never held across an await.
    pub(crate) fn live(&self) -> MutexGuard<'_, HashSet<String>> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call records that wait to be written. The lock is never held across an await.
    pub(crate) fn cdrs_waiting(&self) -> MutexGuard<'_, Vec<cdr::Waiting>> {
        self.shared.cdrs_waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells who listens that the messages of a mailbox are others now.
    pub(crate) fn changed(&self, mailbox: &str) {
        // An error means that nobody listens.
        let _ = self.shared.changes.send(MailboxId(mailbox.into()));
    }
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::ShuttingDown))
}

fn below(
    data_dir: &Path,
    key: &'static str,
    value: &str,
    scheme: &'static str,
) -> Result<PathBuf, StoreError> {
    match value.strip_prefix(scheme) {
        Some(path) if !path.is_empty() => Ok(data_dir.join(path)),
        _ => Err(StoreError::Config {
            key,
            reason: format!("`{value}` is not supported; expected {scheme}NAME").into(),
        }),
    }
}

/// Messages are private: the folders are the owner's alone.
pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(StoreError::file(folder))
}

fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("store.lock");
    let file = File::create(&path).map_err(StoreError::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(data_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}

async fn connect(database: &Path) -> Result<(SqlitePool, SqlitePool), StoreError> {
    // Made beforehand, because SQLite would make it readable by everybody.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(database)
        .map_err(StoreError::file(database))?;
    let options = SqliteConnectOptions::new()
        .filename(database)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10));
    let pool = |size| SqlitePoolOptions::new().max_connections(size).idle_timeout(None).max_lifetime(None);
    let writer = pool(1).connect_with(options.clone()).await?;
    migrations().run(&writer).await.map_err(migration_error)?;
    if let Some(folder) = database.parent() {
        crate::spool::sync_folder(folder)?;
    }
    Ok((pool(READERS).connect_with(options).await?, writer))
}

fn migrations() -> Migrator {
    let step = |(version, name, statements): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, statements.into_sql_str(), false)
    };
    Migrator::with_migrations(SCHEMA.map(step).into())
}

fn migration_error(error: MigrateError) -> StoreError {
    let known = SCHEMA.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if found > known => StoreError::NewerSchema { found, known },
        other => StoreError::Migration(other),
    }
}
