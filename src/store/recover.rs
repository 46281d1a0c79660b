//! What a crash left behind.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use sems_app::MailboxError;

use crate::{
    Store, StoreError,
    spool::{Sidecar, remove, sync_folder},
    store::{Folders, blocking},
    value::is_id,
    wav::{self, WavError},
};

/// A recording is flushed every second. One not touched for this long has lost its call, even if nobody said so.
const ABANDONED: Duration = Duration::from_secs(10 * 60);

/// What became of the takes found at start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Delivered as messages.
    pub delivered: usize,
    /// Too short: noted as missed calls.
    pub missed: usize,
    /// Unreadable: moved to `quarantine/`, and noted as missed calls where the owner is known.
    pub quarantined: usize,
}

enum Fate {
    Delivered,
    Missed,
    Quarantined,
    Settled,
}

impl Store {
    /// Delivers the takes that a crash left in the spool: at start, before the first call. Those with less than
    /// `least` of sound become missed calls. The takes of calls that are going on are left alone, so it may be
    /// called at any time; one take that fails does not keep the others from being delivered.
    pub async fn recover(&self, least: Duration) -> Result<Recovered, StoreError> {
        let spool = self.shared.folders.spool.clone();
        let ids = blocking(move || left_behind(&spool)).await?;
        let mut recovered = Recovered::default();
        for id in ids {
            if self.is_going_on(&id) {
                continue;
            }
            let fate = self.recover_take(&id, least).await;
            // One that was abandoned was still counted among those that go on.
            self.live().remove(&id);
            match fate {
                Ok(Fate::Delivered) => recovered.delivered += 1,
                Ok(Fate::Missed) => recovered.missed += 1,
                Ok(Fate::Quarantined) => recovered.quarantined += 1,
                Ok(Fate::Settled) => {}
                Err(error) => tracing::error!(take = id, %error, "a take stays in the spool"),
            }
        }
        if recovered != Recovered::default() {
            tracing::info!(?recovered, "takes were left in the spool");
        }
        Ok(recovered)
    }

    fn is_going_on(&self, id: &str) -> bool {
        let folders = &self.shared.folders;
        let touched = [folders.take(id), folders.sidecar(id)]
            .iter()
            .filter_map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
            .max();
        let abandoned = touched
            .and_then(|touched| SystemTime::now().duration_since(touched).ok())
            .is_some_and(|age| age >= ABANDONED);
        !abandoned && self.live().contains(id)
    }

    async fn recover_take(&self, id: &str, least: Duration) -> Result<Fate, MailboxError> {
        if self.is_settled(id).await? {
            // The crash came between the row and the end of the sidecar; or of the sound of a missed call.
            let (path, take) = (self.shared.folders.sidecar(id), self.shared.folders.take(id));
            blocking(move || remove(&take).and_then(|()| remove(&path))).await?;
            return Ok(Fate::Settled);
        }
        let sidecar = match self.read_sidecar(id).await {
            Ok(Some(sidecar)) => sidecar,
            Ok(None) if self.shared.folders.take(id).exists() => {
                return self.quarantine(id, "nobody knows whose it is").await;
            }
            Ok(None) => {
                // A sidecar half written: its caller heard no beep yet.
                let partial = self.shared.folders.sidecar(id).with_extension("json.tmp");
                blocking(move || remove(&partial)).await?;
                return Ok(Fate::Settled);
            }
            Err(error) => return self.quarantine(id, &error.to_string()).await,
        };
        let Some(sound) = self.shared.folders.sound(id) else {
            return self.miss(id, &sidecar).await;
        };
        let repaired = blocking(move || Ok(wav::repair(&sound))).await?;
        match repaired {
            Ok(length) if length >= least => {
                self.commit_take(id, length).await?;
                Ok(Fate::Delivered)
            }
            Ok(_) | Err(WavError::Empty) => self.miss(id, &sidecar).await,
            Err(error @ WavError::Corrupt(_)) => {
                self.insert_missed(id, &sidecar).await?;
                self.quarantine(id, &error.to_string()).await
            }
            Err(WavError::Io(source)) => {
                Err(StoreError::File { path: self.shared.folders.take(id), source }.into())
            }
        }
    }

    async fn miss(&self, id: &str, sidecar: &Sidecar) -> Result<Fate, MailboxError> {
        self.insert_missed(id, sidecar).await?;
        self.remove_take(id).await?;
        Ok(Fate::Missed)
    }

    async fn quarantine(&self, id: &str, reason: &str) -> Result<Fate, MailboxError> {
        let store = self.clone();
        let key = id.to_owned();
        blocking(move || move_away(&store.shared.folders, &key)).await?;
        tracing::error!(take = id, reason, "a take was put into quarantine");
        Ok(Fate::Quarantined)
    }
}

/// The keys of all files in the spool.
fn left_behind(spool: &Path) -> Result<BTreeSet<String>, StoreError> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(spool).map_err(StoreError::file(spool))? {
        let path = entry.map_err(StoreError::file(spool))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name.split_once('.') {
            Some((id, "json" | "json.tmp" | "wav")) if is_id(id) => {
                ids.insert(id.to_owned());
            }
            _ => {}
        }
    }
    Ok(ids)
}

/// Moves sound and sidecar, the sidecar last.
fn move_away(folders: &Folders, id: &str) -> Result<(), StoreError> {
    let mut paths: Vec<_> = folders.sound(id).into_iter().collect();
    paths.push(folders.sidecar(id));
    for path in paths.iter().filter(|path| path.exists()) {
        let name = path.file_name().unwrap_or_default();
        fs::rename(path, folders.quarantine.join(name)).map_err(StoreError::file(path))?;
    }
    sync_folder(&folders.quarantine)
}
