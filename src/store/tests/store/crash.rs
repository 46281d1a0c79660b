//! The process dies between any two steps, and nothing is lost or doubled (SEMS-VM-2).

use std::{fs, io::Write as _, time::Duration};

use sems_app::{MailboxBackend as _, Mode, Spool};
use sems_store::{MailboxStore, Recovered, Store};

use crate::{House, RATE, alice_box, write_tone};

const LEAST: Duration = Duration::from_secs(2);

fn delivered(delivered: usize) -> Recovered {
    Recovered { delivered, ..Recovered::default() }
}

/// What every delivered take must look like, however often the start was repeated.
async fn assert_delivered_once(house: &House, store: &Store, spool: &Spool, seconds: u64) {
    assert_eq!(store.recover(LEAST).await.unwrap(), Recovered::default());
    let mailboxes = MailboxStore::new(store.clone());
    let messages = mailboxes.messages(&alice_box()).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!((&messages[0].id, messages[0].duration), (&spool.id, Duration::from_secs(seconds)));
    assert_eq!(messages[0].caller_name.as_deref(), Some("Zoë Å"));
    let sound = mailboxes.audio(&alice_box(), &spool.id).await.unwrap();
    assert_eq!(u64::from(hound::WavReader::open(sound).unwrap().duration()), seconds * u64::from(RATE));
    assert_eq!(store.outbox().await.unwrap().len(), 1);
    assert!(house.files("spool").is_empty(), "{:?}", house.files("spool"));
}

#[tokio::test]
async fn a_take_cut_off_while_recording_is_delivered_at_the_next_start() {
    let house = House::new();
    let store = house.open().await;
    let spool = house.record(&store, Mode::Both, 5).await;
    // The header says one second, as it did at the last flush.
    let mut bytes = fs::read(&spool.path).unwrap();
    bytes[40..44].copy_from_slice(&(RATE * 2).to_le_bytes());
    fs::write(&spool.path, bytes).unwrap();
    drop(store);
    let store = house.open().await;
    assert_eq!(store.recover(LEAST).await.unwrap(), delivered(1));
    assert_delivered_once(&house, &store, &spool, 5).await;
}

#[tokio::test]
async fn a_crash_between_sound_and_row_delivers() {
    let house = House::new();
    let store = house.open().await;
    let spool = house.record(&store, Mode::Both, 5).await;
    fs::rename(&spool.path, house.path(&format!("recordings/{}.wav", spool.id.0))).unwrap();
    drop(store);
    let store = house.open().await;
    assert_eq!(store.recover(LEAST).await.unwrap(), delivered(1));
    assert_delivered_once(&house, &store, &spool, 5).await;
}

#[tokio::test]
async fn a_crash_between_row_and_sidecar_doubles_nothing() {
    let house = House::new();
    let store = house.open().await;
    let spool = house.record(&store, Mode::Both, 5).await;
    let sidecar = house.path(&format!("spool/{}.json", spool.id.0));
    let kept = fs::read(&sidecar).unwrap();
    let mailboxes = MailboxStore::new(store.clone());
    mailboxes.commit(&alice_box(), &spool, Duration::from_secs(5)).await.unwrap();
    fs::write(&sidecar, kept).unwrap();
    // A commit that is repeated is the same commit.
    mailboxes.commit(&alice_box(), &spool, Duration::from_secs(5)).await.unwrap();
    assert!(house.files("spool").is_empty());
    fs::write(&sidecar, "{}").unwrap();
    drop((mailboxes, store));
    let store = house.open().await;
    let _ = store.recover(LEAST).await.unwrap();
    assert_delivered_once(&house, &store, &spool, 5).await;
}

#[tokio::test]
async fn a_crash_while_discarding_leaves_one_missed_call() {
    let house = House::new();
    let store = house.open().await;
    let spool = house.record(&store, Mode::Both, 5).await;
    let sidecar = house.path(&format!("spool/{}.json", spool.id.0));
    let kept = fs::read(&sidecar).unwrap();
    MailboxStore::new(store.clone()).discard(&alice_box(), &spool).await.unwrap();
    fs::write(&sidecar, kept).unwrap();
    write_tone(&spool.path, 5);
    drop(store);
    let store = house.open().await;
    assert_eq!(store.recover(LEAST).await.unwrap(), Recovered::default());
    assert!(house.listed(&store).await.is_empty());
    assert_eq!(store.missed_calls("alice", "localhost", 10).await.unwrap().len(), 1);
    assert!(house.files("spool").is_empty());
}

#[tokio::test]
async fn takes_without_sound_are_missed_calls() {
    let house = House::new();
    let store = house.open().await;
    house.record(&store, Mode::Both, 1).await;
    fs::write(house.path(&format!("spool/{}.json.tmp", "0".repeat(32))), "{").unwrap();
    let empty = house.record(&store, Mode::Both, 5).await;
    fs::write(&empty.path, []).unwrap();
    let absent = house.record(&store, Mode::Both, 5).await;
    fs::remove_file(&absent.path).unwrap();
    drop(store);
    let store = house.open().await;
    let expected = Recovered { missed: 3, ..Recovered::default() };
    assert_eq!(store.recover(LEAST).await.unwrap(), expected);
    assert_eq!(store.missed_calls("alice", "localhost", 10).await.unwrap().len(), 3);
    assert!(house.files("spool").is_empty());
}

#[tokio::test]
async fn one_broken_take_goes_to_quarantine_and_the_others_are_delivered() {
    let house = House::new();
    let store = house.open().await;
    let noise = house.record(&store, Mode::Both, 5).await;
    fs::write(&noise.path, [7; 5_000]).unwrap();
    let ownerless = house.record(&store, Mode::Both, 5).await;
    let sidecar = house.path(&format!("spool/{}.json", ownerless.id.0));
    fs::OpenOptions::new().append(true).open(&sidecar).unwrap().write_all(b"}").unwrap();
    let whole = house.record(&store, Mode::Both, 5).await;
    drop(store);
    let store = house.open().await;
    let expected = Recovered { delivered: 1, missed: 0, quarantined: 2 };
    assert_eq!(store.recover(LEAST).await.unwrap(), expected);
    assert_delivered_once(&house, &store, &whole, 5).await;
    assert_eq!(house.files("quarantine").len(), 4);
}

#[tokio::test]
async fn the_take_of_a_call_that_goes_on_is_left_alone() {
    let house = House::new();
    let store = house.open().await;
    let spool = house.record(&store, Mode::Both, 5).await;
    assert_eq!(store.recover(LEAST).await.unwrap(), Recovered::default());
    let mailboxes = MailboxStore::new(store.clone());
    mailboxes.commit(&alice_box(), &spool, Duration::from_secs(5)).await.unwrap();
    assert_delivered_once(&house, &store, &spool, 5).await;
}

#[tokio::test]
async fn a_commit_that_failed_is_made_up_for_without_a_restart() {
    let house = House::new();
    let store = house.open().await;
    let spool = house.record(&store, Mode::Both, 5).await;
    // The disk refuses: the folder of the recordings is away for a while.
    let (recordings, away) = (house.path("recordings"), house.path("away"));
    fs::rename(&recordings, &away).unwrap();
    let mailboxes = MailboxStore::new(store.clone());
    mailboxes.commit(&alice_box(), &spool, Duration::from_secs(5)).await.unwrap_err();
    fs::rename(&away, &recordings).unwrap();
    assert_eq!(store.recover(LEAST).await.unwrap(), delivered(1));
    assert_delivered_once(&house, &store, &spool, 5).await;
}
