//! Takes on their way to becoming messages: files first, then rows, each step safe to be the last one.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use sems_app::{Deposit, MailboxError, MailboxId, MessageId, Mode, Spool};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    store::{Folders, blocking},
    value::{clean, is_id, millis, new_id},
};

/// Characters kept of a caller's URI and of his name, which he chose.
const CALLER: usize = 512;
const CALLER_NAME: usize = 128;

/// What is known of a take before its first frame; lies beside it until the message has its row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    pub(crate) mailbox: String,
    pub(crate) caller: String,
    pub(crate) caller_name: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) received: i64,
    pub(crate) mode: Mode,
}

impl Sidecar {
    pub(crate) fn new(mailbox: &MailboxId, deposit: &Deposit) -> Self {
        Self {
            mailbox: mailbox.0.as_ref().to_owned(),
            caller: clean(&deposit.caller, CALLER),
            caller_name: deposit.caller_name.as_deref().map(|name| clean(name, CALLER_NAME)),
            received: millis(deposit.received),
            mode: deposit.mode,
        }
    }
}

impl Folders {
    pub(crate) fn sidecar(&self, id: &str) -> PathBuf {
        self.spool.join(format!("{id}.json"))
    }

    pub(crate) fn take(&self, id: &str) -> PathBuf {
        self.spool.join(format!("{id}.wav"))
    }

    pub(crate) fn recording(&self, id: &str) -> PathBuf {
        self.recordings.join(format!("{id}.wav"))
    }

    /// Where the sound of a take is: not yet moved, or already.
    pub(crate) fn sound(&self, id: &str) -> Option<PathBuf> {
        [self.take(id), self.recording(id)].into_iter().find(|path| path.exists())
    }
}

impl Store {
    pub(crate) async fn begin_take(
        &self,
        mailbox: &MailboxId,
        deposit: &Deposit,
    ) -> Result<Spool, MailboxError> {
        if self.is_full(&mailbox.0).await? {
            return Err(MailboxError::Full);
        }
        let id = new_id(self.now());
        let sidecar = Sidecar::new(mailbox, deposit);
        let (path, target) = (self.shared.folders.take(&id), self.shared.folders.sidecar(&id));
        self.live().insert(id.clone());
        if let Err(error) = blocking(move || write_sidecar(&target, &sidecar)).await {
            self.live().remove(&id);
            return Err(error.into());
        }
        Ok(Spool { path, id: MessageId(id.into()) })
    }

    /// Makes a take a message; does nothing the second time. Whatever fails, files and sidecar stay, and
    /// [`Store::recover`] tries again.
    pub(crate) async fn commit_take(&self, id: &str, duration: Duration) -> Result<(), MailboxError> {
        if !is_id(id) {
            return Err(MailboxError::NoSuchMessage);
        }
        let committed = self.commit_files_then_rows(id, duration).await;
        self.live().remove(id);
        committed
    }

    async fn commit_files_then_rows(&self, id: &str, duration: Duration) -> Result<(), MailboxError> {
        if self.is_settled(id).await? {
            self.remove_sidecar(id).await;
            return Ok(());
        }
        let sidecar = self.read_sidecar(id).await?.ok_or(MailboxError::NoSuchMessage)?;
        let (take, recording) = (self.shared.folders.take(id), self.shared.folders.recording(id));
        blocking(move || keep_sound(&take, &recording)).await?;
        self.insert_message(id, &sidecar, duration).await?;
        self.remove_sidecar(id).await;
        self.shared.mail_waits.notify_one();
        self.changed(&sidecar.mailbox);
        Ok(())
    }

    /// Makes a take a missed call and removes its files.
    pub(crate) async fn discard_take(&self, id: &str) -> Result<(), MailboxError> {
        if !is_id(id) {
            return Err(MailboxError::NoSuchMessage);
        }
        self.live().remove(id);
        if let Some(sidecar) = self.read_sidecar(id).await?
            && !self.is_settled(id).await?
        {
            self.insert_missed(id, &sidecar).await?;
            self.remove_take(id).await?;
        }
        Ok(())
    }

    /// The sidecar of a take; none where there is none. One that cannot be read is an error.
    pub(crate) async fn read_sidecar(&self, id: &str) -> Result<Option<Sidecar>, StoreError> {
        let path = self.shared.folders.sidecar(id);
        blocking(move || match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| StoreError::File { path, source: error.into() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::File { path, source }),
        })
        .await
    }

    /// Removes sound and sidecar, the sidecar last: until then the sound has an owner.
    pub(crate) async fn remove_take(&self, id: &str) -> Result<(), StoreError> {
        let folders = &self.shared.folders;
        let paths = [folders.take(id), folders.recording(id), folders.sidecar(id)];
        blocking(move || paths.iter().try_for_each(|path| remove(path))).await
    }

    /// A sidecar that stays is removed at the next start, so a failure is only told.
    async fn remove_sidecar(&self, id: &str) {
        let path = self.shared.folders.sidecar(id);
        if let Err(error) = blocking(move || remove(&path)).await {
            tracing::warn!(%error, "a sidecar stays until the next start");
        }
    }
}

/// Writes a file whole or not at all, durably.
pub(crate) fn write_whole(target: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut partial = target.as_os_str().to_owned();
    partial.push(".tmp");
    let partial = PathBuf::from(partial);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, target)
    };
    if let Err(source) = write() {
        // What was begun is of no use; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&partial);
        return Err(StoreError::File { path: target.to_owned(), source });
    }
    target.parent().map_or(Ok(()), sync_folder)
}

fn write_sidecar(target: &Path, sidecar: &Sidecar) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(sidecar)
        .map_err(|error| StoreError::File { path: target.to_owned(), source: error.into() })?;
    write_whole(target, &bytes)
}

/// Syncs a sound and moves it to its place; one that is there already stays.
fn keep_sound(take: &Path, recording: &Path) -> Result<(), StoreError> {
    let source = if take.exists() { take } else { recording };
    File::open(source).and_then(|file| file.sync_all()).map_err(StoreError::file(source))?;
    if source == take {
        fs::rename(take, recording).map_err(StoreError::file(recording))?;
    }
    for folder in [recording.parent(), take.parent()].into_iter().flatten() {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Makes what was created, renamed or removed in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(StoreError::file(folder))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(StoreError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
