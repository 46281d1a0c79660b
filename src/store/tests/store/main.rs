//! The store as others use it: on a real disk, with a real database and a real mail server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod crash;
mod kill;
mod mailboxes;
mod outbox;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sems_app::{Deposit, MailboxBackend, MailboxId, MessageId, Mode, Spool};
use sems_store::{AccountSeed, Clock, MailboxStore, Store, StoreConfig};
use tempfile::TempDir;

const RATE: u32 = 8_000;

/// A data folder and a clock, which outlive the stores opened on them.
struct House {
    folder: TempDir,
    now: Arc<Mutex<SystemTime>>,
    config: StoreConfig,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(folder.path().join("var"));
        let now = Arc::new(Mutex::new(UNIX_EPOCH + Duration::from_secs(1_763_654_460)));
        Self { folder, now, config }
    }

    /// A house whose mail goes to this port.
    fn with_mail_to(port: u16) -> Self {
        let mut house = Self::new();
        house.config.mail.transport = format!("smtp://127.0.0.1:{port}").parse().unwrap();
        house
    }

    /// Opens the store with alice in it, as a start does.
    async fn open(&self) -> Store {
        let now = self.now.clone();
        let clock = Clock::new(move || *now.lock().unwrap());
        let store = Store::open_with(self.config.clone(), clock).await.unwrap();
        store.seed_accounts(&[alice()]).await.unwrap();
        store
    }

    fn now(&self) -> SystemTime {
        *self.now.lock().unwrap()
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn path(&self, below: &str) -> PathBuf {
        self.config.data_dir.join(below)
    }

    fn files(&self, below: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(below))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn deposit(&self, mode: Mode) -> Deposit {
        Self::deposit_at(self.now(), mode)
    }

    fn deposit_at(received: SystemTime, mode: Mode) -> Deposit {
        Deposit {
            caller: "sip:1001@example.org".to_owned(),
            caller_name: Some("Zoë Å".to_owned()),
            received,
            mode,
        }
    }

    /// A take of a call that has ended: recorded, not committed.
    async fn record(&self, store: &Store, mode: Mode, seconds: u32) -> Spool {
        let spool = MailboxStore::new(store.clone()).begin(&alice_box(), &self.deposit(mode)).await.unwrap();
        write_tone(&spool.path, seconds);
        spool
    }

    /// A delivered message.
    async fn leave_message(&self, store: &Store, mode: Mode, seconds: u32) -> MessageId {
        let spool = self.record(store, mode, seconds).await;
        let length = Duration::from_secs(seconds.into());
        MailboxStore::new(store.clone()).commit(&alice_box(), &spool, length).await.unwrap()
    }

    async fn listed(&self, store: &Store) -> Vec<MessageId> {
        let messages = MailboxStore::new(store.clone()).messages(&alice_box()).await.unwrap();
        messages.into_iter().map(|message| message.id).collect()
    }
}

fn alice() -> AccountSeed {
    AccountSeed {
        user: "alice".to_owned(),
        domain: "localhost".to_owned(),
        password: Some("correct horse".to_owned()),
        email: Some("alice@example.org".to_owned()),
        pin: Some("481516".to_owned()),
        ..AccountSeed::default()
    }
}

fn alice_box() -> MailboxId {
    MailboxId("alice@localhost".into())
}

/// A tone of 440 Hz.
fn write_tone(path: &Path, seconds: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..seconds * RATE {
        let phase = f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(RATE);
        writer.write_sample((phase.sin() * 8_000.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}
