//! The process is killed at any moment, again and again, on one data folder.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sems_app::{MailboxBackend as _, Mode};
use sems_store::{JobState, MailboxStore, Recovered, Store, StoreConfig};
use tokio::sync::watch;

use crate::{House, alice, alice_box, write_tone};

const FOLDER: &str = "STORE_TO_BE_KILLED";
const ROUNDS: usize = 8;

/// Not a test of its own: what [`no_message_is_lost_or_doubled_by_kill_9`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for ever, as the child of another test"]
async fn leave_messages_for_ever() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let config = StoreConfig { max_messages: u32::MAX, ..StoreConfig::new(folder) };
    let store = Store::open(config).await.unwrap();
    store.seed_accounts(&[alice()]).await.unwrap();
    store.recover(Duration::from_secs(2)).await.unwrap();
    let (_stop, shutdown) = watch::channel(false);
    let outbox = store.clone();
    tokio::spawn(async move { outbox.run_outbox(shutdown).await });
    for _ in 0..3 {
        tokio::spawn(leave_messages(MailboxStore::new(store.clone())));
    }
    std::future::pending::<()>().await;
}

async fn leave_messages(mailboxes: MailboxStore) {
    loop {
        let deposit = House::deposit_at(std::time::SystemTime::now(), Mode::Both);
        let spool = mailboxes.begin(&alice_box(), &deposit).await.unwrap();
        write_tone(&spool.path, 2);
        let id = mailboxes.commit(&alice_box(), &spool, Duration::from_secs(2)).await.unwrap();
        // From here on it must not be lost.
        let mut out = std::io::stdout().lock();
        writeln!(out, "promised {}", id.0).and_then(|()| out.flush()).unwrap();
    }
}

fn start(house: &House) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::leave_messages_for_ever", "--ignored", "--nocapture"])
        .env(FOLDER, &house.config.data_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

// SEMS-VM-2: what was promised is there after `kill -9`, once.
#[tokio::test]
async fn no_message_is_lost_or_doubled_by_kill_9() {
    let mut house = House::new();
    house.config.max_messages = u32::MAX;
    let mut promised = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut child = start(&house);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let is_promise = |line: &String| line.contains("promised ");
        let first = lines.find(is_promise).expect("the child leaves a message");
        std::thread::sleep(Duration::from_millis(rand::random_range(0..120)));
        child.kill().unwrap();
        child.wait().unwrap();
        let ids = std::iter::once(first).chain(lines.filter(is_promise));
        promised.extend(ids.filter_map(|line| Some(line.split_once("promised ")?.1.to_owned())));

        let store = house.open().await;
        let recovered = store.recover(Duration::from_secs(2)).await.unwrap();
        assert_eq!(recovered.quarantined, 0);
        assert_eq!(store.recover(Duration::from_secs(2)).await.unwrap(), Recovered::default());
        let listed: Vec<_> = house.listed(&store).await.iter().map(|id| id.0.to_string()).collect();
        let distinct: BTreeSet<_> = listed.iter().cloned().collect();
        assert_eq!(distinct.len(), listed.len());
        assert!(promised.is_subset(&distinct), "{:?} lost", promised.difference(&distinct));
        let sounds: BTreeSet<_> =
            house.files("recordings").iter().map(|name| name.trim_end_matches(".wav").to_owned()).collect();
        assert_eq!(sounds, distinct);
        assert!(house.files("spool").is_empty(), "{:?}", house.files("spool"));
        for entry in store.outbox().await.unwrap() {
            let mail = house.path(&format!("mail/{}.eml", entry.id));
            assert!(entry.state != JobState::Sent || mail.is_file());
        }
    }
    assert!(promised.len() >= ROUNDS);
}
