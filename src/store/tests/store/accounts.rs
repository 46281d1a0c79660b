//! Accounts, PINs, bindings and call records.

use std::time::Duration;

use sems_app::{MailboxBackend as _, MailboxError};
use sems_store::{AccountSeed, Binding, Cdr, MailboxStore, Store, StoreError};

use crate::{House, alice, alice_box};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_seed_makes_what_is_absent_and_changes_nothing_else() {
    let house = House::new();
    let store = house.open().await;
    let before = store.account("alice", "LOCALHOST").await.unwrap().unwrap();
    assert!(before.has_mailbox && before.has_pin);
    // md5sum and sha256sum of `alice:localhost:correct horse`.
    assert_eq!(before.ha1_md5.as_deref(), Some("2c16d343d5c13f5ee9fe651c71bae1de"));
    assert_eq!(
        before.ha1_sha256.as_deref(),
        Some("94366f0541926529b1ce11bb357f63b7c9ff662bb7c8d5b01908f93284a68a93")
    );
    let other = AccountSeed { password: Some("other".to_owned()), email: None, ..alice() };
    let bob = AccountSeed { user: "bob".to_owned(), mailbox: false, pin: None, ..alice() };
    assert_eq!(store.seed_accounts(&[other, bob]).await.unwrap(), 1);
    assert!(store.account("alice", "localhost").await.unwrap() == Some(before));
    assert!(!store.account("bob", "localhost").await.unwrap().unwrap().has_mailbox);
    assert_eq!(store.accounts().await.unwrap().len(), 2);
}

#[tokio::test]
async fn secrets_are_neither_stored_nor_shown() {
    let house = House::new();
    let store = house.open().await;
    let shown = format!("{:?} {:?}", alice(), store.accounts().await.unwrap());
    drop(store);
    for name in house.files(".").iter().filter(|name| name.starts_with("sems.db")) {
        let bytes = std::fs::read(house.path(name)).unwrap();
        for secret in ["correct horse", "481516"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} in {name}");
            assert!(!shown.contains(secret));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused() {
    let house = House::new();
    let store = house.open().await;
    for (user, domain) in
        [("", "localhost"), ("a:b", "localhost"), ("a\n", "localhost"), ("a", ""), ("a", "x@y")]
    {
        let seed = AccountSeed { user: user.to_owned(), domain: domain.to_owned(), ..alice() };
        assert!(matches!(store.seed_accounts(&[seed]).await, Err(StoreError::Address)), "{user} {domain}");
    }
    let seed = AccountSeed { user: "bob".to_owned(), email: Some("b\r\nBcc: x@y".to_owned()), ..alice() };
    assert!(matches!(store.seed_accounts(&[seed]).await, Err(StoreError::Email)));
    assert!(matches!(store.set_pin("alice", "localhost", "123456").await, Err(StoreError::WeakPin)));
    assert!(matches!(store.set_password("nobody", "localhost", "x").await, Err(StoreError::NoSuchAccount)));
    assert!(matches!(store.set_password("alice", "localhost", "").await, Err(StoreError::EmptyPassword)));
}

#[tokio::test]
async fn three_wrong_pins_lock_the_box_across_calls_and_restarts_and_each_lock_is_longer() {
    let house = House::new();
    let mut store = house.open().await;
    let mailbox = alice_box();
    for lock in [15, 30] {
        let calls = MailboxStore::new(store.clone());
        assert!(matches!(calls.verify_pin(&mailbox, "000000").await, Ok(false)));
        assert!(matches!(calls.verify_pin(&mailbox, "").await, Ok(false)));
        assert!(matches!(calls.verify_pin(&mailbox, &"9".repeat(10_000)).await, Err(MailboxError::Locked)));
        drop(calls);
        drop(store);
        store = house.open().await;
        house.pass(lock * MINUTE - Duration::from_secs(1));
        let right = MailboxStore::new(store.clone()).verify_pin(&mailbox, "481516").await;
        assert!(matches!(right, Err(MailboxError::Locked)), "{lock} min");
        house.pass(Duration::from_secs(1));
    }
    let calls = MailboxStore::new(store.clone());
    assert!(calls.verify_pin(&mailbox, "481516").await.unwrap());
    // The right PIN forgets the wrong ones.
    assert!(!calls.verify_pin(&mailbox, "000000").await.unwrap());
    assert!(!calls.verify_pin(&mailbox, "000000").await.unwrap());
    assert!(calls.verify_pin(&mailbox, "481516").await.unwrap());
    let audit = store.pin_audit("alice", "localhost").await.unwrap();
    assert_eq!(audit.iter().filter(|(_, event)| event == "locked").count(), 2);
}

#[tokio::test]
async fn many_calls_at_once_get_no_more_guesses_than_one() {
    let house = House::new();
    let store = house.open().await;
    let guesses = (0..12).map(|n| {
        let calls = MailboxStore::new(store.clone());
        tokio::spawn(async move { calls.verify_pin(&alice_box(), &format!("90000{n}")).await })
    });
    let mut answered = 0;
    for guess in guesses.collect::<Vec<_>>() {
        answered += usize::from(guess.await.unwrap().is_ok());
    }
    assert_eq!(answered, 2);
}

#[tokio::test]
async fn a_new_pin_opens_the_lock() {
    let house = House::new();
    let store = house.open().await;
    let calls = MailboxStore::new(store.clone());
    for _ in 0..3 {
        let _ = calls.verify_pin(&alice_box(), "000000").await;
    }
    store.set_pin("alice", "localhost", "902744").await.unwrap();
    assert!(calls.verify_pin(&alice_box(), "902744").await.unwrap());
}

fn binding(house: &House, domain: &str, contact: &str, minutes: u32) -> Binding {
    Binding {
        user: "12345".to_owned(),
        domain: domain.to_owned(),
        contact: contact.to_owned(),
        received: "udp:192.0.2.1:5060".to_owned(),
        path: vec!["<sip:p1.example.org;lr>".to_owned(), "<sip:p2.example.org;lr>".to_owned()],
        call_id: "a84b4c76e66710".to_owned(),
        cseq: u32::MAX,
        user_agent: "Phone/1.0".to_owned(),
        q: 0.5,
        expires: house.now() + minutes * MINUTE,
    }
}

// SER-M7: the same user name in two domains is two users, and bindings persist.
#[tokio::test]
async fn bindings_survive_a_restart_until_they_expire() {
    let house = House::new();
    let store = house.open().await;
    let one = binding(&house, "a.example.org", "sip:12345@192.0.2.1", 10);
    let two = binding(&house, "b.example.org", "sip:12345@192.0.2.1", 20);
    let gone = binding(&house, "b.example.org", "sip:12345@192.0.2.2", 20);
    store.save_bindings(&[one.clone(), two.clone(), gone.clone()]).await.unwrap();
    store.remove_binding(&gone.user, &gone.domain, &gone.contact).await.unwrap();
    let refreshed = Binding { cseq: 7, q: 1.0, ..one };
    store.save_binding(&refreshed).await.unwrap();
    drop(store);
    let store = house.open().await;
    assert_eq!(store.bindings().await.unwrap(), [refreshed, two.clone()]);
    house.pass(10 * MINUTE);
    assert_eq!(store.bindings().await.unwrap(), [two]);
}

#[tokio::test]
async fn call_records_are_told_latest_first_and_forgotten_after_90_days() {
    let house = House::new();
    let store = house.open().await;
    let record = |id: &str, ended: u32| Cdr {
        id: id.to_owned(),
        sip_call_id: "x@y".to_owned(),
        from: "sip:a@b".to_owned(),
        to: "sip:echo@localhost".to_owned(),
        application: Some("echo".to_owned()),
        source: "127.0.0.1:5060".to_owned(),
        started: house.now(),
        answered: None,
        ended: house.now() + ended * MINUTE,
        status: 200,
        ended_by: "caller".to_owned(),
        codec: Some("PCMU".to_owned()),
    };
    let (first, second) = (record("1", 1), record("2", 2));
    store.write_cdr(&first).await.unwrap();
    store.write_cdr(&second).await.unwrap();
    store.write_cdr(&first).await.unwrap();
    assert_eq!(store.cdrs(10).await.unwrap(), [second.clone(), first]);
    assert_eq!(store.cdrs(1).await.unwrap().len(), 1);
    store.purge(second.ended + Duration::from_secs(90 * 24 * 3600 - 1)).await.unwrap();
    assert_eq!(store.cdrs(10).await.unwrap(), [second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_call_records_at_once_are_all_written() {
    let house = House::new();
    let store = house.open().await;
    let now = house.now();
    let writing: Vec<_> = (0..1000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let cdr = Cdr {
                    id: format!("{number}"),
                    sip_call_id: String::new(),
                    from: "sip:a@b".to_owned(),
                    to: "sip:c@d".to_owned(),
                    application: None,
                    source: String::new(),
                    started: now,
                    answered: None,
                    ended: now,
                    status: 486,
                    ended_by: "callee".to_owned(),
                    codec: None,
                };
                // Some give up at once: that takes nobody else's record away.
                match number % 10 {
                    0 => drop(tokio::time::timeout(Duration::ZERO, store.write_cdr(&cdr)).await),
                    _ => store.write_cdr(&cdr).await.unwrap(),
                }
            })
        })
        .collect();
    for writing in writing {
        writing.await.unwrap();
    }
    let ids: std::collections::HashSet<_> =
        store.cdrs(2000).await.unwrap().into_iter().map(|cdr| cdr.id).collect();
    let missing: Vec<_> = (0..1000).filter(|n| n % 10 != 0 && !ids.contains(&n.to_string())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn a_folder_in_use_and_a_newer_schema_are_refused() {
    let house = House::new();
    let store = house.open().await;
    assert!(matches!(Store::open(house.config.clone()).await, Err(StoreError::InUse(_))));
    drop(store);
    let url = format!("sqlite:{}", house.path("sems.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'later', TRUE, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let error = Store::open(house.config.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 9000, known: 1 }), "{error}");
}

#[tokio::test]
async fn what_the_configuration_cannot_mean_is_refused_by_its_key() {
    let house = House::new();
    for (key, change) in [
        (
            "store.database",
            (|config| config.database = "postgres://x/y".to_owned()) as fn(&mut sems_store::StoreConfig),
        ),
        ("store.recordings", |config| config.recordings = "s3://bucket".to_owned()),
        ("mail.from", |config| config.mail.from = "nobody".to_owned()),
    ] {
        let mut config = house.config.clone();
        change(&mut config);
        let error = Store::open(config).await.unwrap_err();
        assert!(matches!(error, StoreError::Config { key: named, .. } if named == key), "{key}: {error}");
    }
}
