//! Messages in their boxes.

use std::time::Duration;

use sems_app::{MailboxBackend as _, MailboxError, MessageId, Mode, Uri};
use sems_store::{AccountSeed, MailboxStore, MessageCounts};

use crate::{House, alice, alice_box};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_mailbox_is_found_by_user_and_domain_and_nothing_less() {
    let house = House::new();
    let store = house.open().await;
    let bob = AccountSeed { user: "bob".to_owned(), mailbox: false, ..alice() };
    store.seed_accounts(&[bob]).await.unwrap();
    let owner = |uri: &str| {
        let (mailboxes, uri) = (store.mailboxes(), uri.parse::<Uri>().unwrap());
        async move { mailboxes.owner_of(&uri).await.map(|mailbox| mailbox.id().clone()) }
    };
    assert_eq!(owner("sip:alice@LOCALHOST:5070;x=y").await.unwrap(), alice_box());
    for uri in ["sip:bob@localhost", "sip:Alice@localhost", "sip:alice@127.0.0.1", "tel:+1", "sip:localhost"]
    {
        assert!(matches!(owner(uri).await, Err(MailboxError::NotFound)), "{uri}");
    }
}

// SEMS-IV-3: messages are played oldest first, unheard before heard; deleted ones are gone.
#[tokio::test]
async fn messages_are_told_unheard_first_and_oldest_first_and_kept_until_deleted() {
    let house = House::new();
    let store = house.open().await;
    let mailboxes = MailboxStore::new(store.clone());
    let mut changes = store.mailbox_changes();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(house.leave_message(&store, Mode::Box, 2).await);
        house.pass(Duration::from_millis(1));
    }
    assert_eq!(house.listed(&store).await, ids);
    assert_eq!(changes.recv().await.unwrap(), alice_box());
    mailboxes.mark_heard(&alice_box(), &ids[0]).await.unwrap();
    let [first, second, third] = [&ids[0], &ids[1], &ids[2]].map(MessageId::clone);
    assert_eq!(house.listed(&store).await, [second.clone(), third.clone(), first.clone()]);
    let counts = store.message_counts("alice", "localhost").await.unwrap();
    assert_eq!(counts, MessageCounts { new: 2, old: 1 });
    let info = &mailboxes.messages(&alice_box()).await.unwrap()[0];
    assert_eq!((info.caller.as_str(), info.caller_name.as_deref()), ("sip:1001@example.org", Some("Zoë Å")));
    assert_eq!((info.duration, info.heard), (Duration::from_secs(2), false));

    mailboxes.delete(&alice_box(), &second).await.unwrap();
    assert!(matches!(mailboxes.delete(&alice_box(), &second).await, Err(MailboxError::NoSuchMessage)));
    assert!(matches!(mailboxes.audio(&alice_box(), &second).await, Err(MailboxError::NoSuchMessage)));
    house.pass(7 * DAY - Duration::from_secs(1));
    store.purge(house.now()).await.unwrap();
    store.undelete(&alice_box(), &second).await.unwrap();
    assert_eq!(house.listed(&store).await, [second.clone(), third, first]);
    assert!(mailboxes.audio(&alice_box(), &second).await.unwrap().is_file());

    mailboxes.delete(&alice_box(), &second).await.unwrap();
    house.pass(7 * DAY);
    store.purge(house.now()).await.unwrap();
    assert!(matches!(store.undelete(&alice_box(), &second).await, Err(MailboxError::NoSuchMessage)));
    assert!(!house.path(&format!("recordings/{}.wav", second.0)).exists());
    assert_eq!(house.files("recordings").len(), 2);
}

#[tokio::test]
async fn nobody_reads_from_another_box() {
    let house = House::new();
    let store = house.open().await;
    let mailboxes = MailboxStore::new(store.clone());
    let message = house.leave_message(&store, Mode::Box, 2).await;
    let other = sems_app::MailboxId("bob@localhost".into());
    for result in [
        mailboxes.audio(&other, &message).await.map(drop),
        mailboxes.mark_heard(&other, &message).await,
        mailboxes.delete(&other, &message).await,
        mailboxes.audio(&alice_box(), &MessageId("../sems.db".into())).await.map(drop),
    ] {
        assert!(matches!(result, Err(MailboxError::NoSuchMessage)));
    }
}

#[tokio::test]
async fn a_full_box_takes_no_more() {
    let mut house = House::new();
    house.config.max_messages = 2;
    let store = house.open().await;
    let mailboxes = MailboxStore::new(store.clone());
    let first = house.leave_message(&store, Mode::Box, 2).await;
    assert!(!mailboxes.is_full(&alice_box()).await.unwrap());
    house.leave_message(&store, Mode::Mail, 2).await;
    let deposit = house.deposit(Mode::Box);
    assert!(mailboxes.is_full(&alice_box()).await.unwrap(), "told before the caller speaks");
    assert!(matches!(mailboxes.begin(&alice_box(), &deposit).await, Err(MailboxError::Full)));
    mailboxes.delete(&alice_box(), &first).await.unwrap();
    assert!(!mailboxes.is_full(&alice_box()).await.unwrap());
    mailboxes.begin(&alice_box(), &deposit).await.unwrap();
}

#[tokio::test]
async fn what_is_too_short_is_a_missed_call() {
    let house = House::new();
    let store = house.open().await;
    let mailboxes = MailboxStore::new(store.clone());
    let spool = house.record(&store, Mode::Both, 1).await;
    mailboxes.discard(&alice_box(), &spool).await.unwrap();
    mailboxes.missed(&alice_box(), &house.deposit(Mode::Box)).await.unwrap();
    assert!(house.listed(&store).await.is_empty());
    assert!(house.files("spool").is_empty());
    let missed = store.missed_calls("alice", "localhost", 10).await.unwrap();
    assert_eq!(missed.len(), 2);
    assert_eq!((missed[0].caller.as_str(), missed[0].received), ("sip:1001@example.org", house.now()));
}

#[tokio::test]
async fn an_own_greeting_is_kept() {
    let house = House::new();
    let store = house.open().await;
    let mailboxes = MailboxStore::new(store.clone());
    assert_eq!(mailboxes.greeting(&alice_box()).await.unwrap(), None);
    store.set_greeting("alice", "localhost", Some(vec![1, 2, 3])).await.unwrap();
    let path = mailboxes.greeting(&alice_box()).await.unwrap().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), [1, 2, 3]);
    store.set_greeting("alice", "localhost", None).await.unwrap();
    assert_eq!(mailboxes.greeting(&alice_box()).await.unwrap(), None);
}
