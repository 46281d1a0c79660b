//! `message.py`: the mailbox over one's own messages.

use std::time::Duration;

use sems_app::{
    MessageId,
    testing::{Caller, Loaded, Outcome, Side, TestHost},
};

use crate::{Turn, top};

const ALICE: &str = "alice@example.org";

struct Shop {
    host: TestHost,
    ivr: Loaded,
    _turn: Turn,
}

impl Shop {
    /// Alice's mailbox with this many messages, the PIN 4711, and the number 100 with the PIN 1.
    fn with(messages: usize) -> (Self, Vec<MessageId>) {
        let turn = Turn::shared();
        let host = TestHost::new().instant().search(top());
        let ivr = host.load(ivr::PLUGIN, "").expect("loads");
        let mailboxes = host.mailboxes();
        mailboxes.add(ALICE);
        mailboxes.set_pin(ALICE, "4711");
        mailboxes.add("100@example.org");
        mailboxes.set_pin("100@example.org", "1");
        let leave = |_| mailboxes.leave(ALICE, "sip:bob@example.com", Duration::from_secs(4));
        let ids = (0..messages).map(leave).collect();
        (Self { host, ivr, _turn: turn }, ids)
    }

    async fn call(&self, caller: Caller) -> Outcome {
        let outcome = self.ivr.call(caller.params("script = \"message.py\"")).await;
        assert!(!outcome.heard().contains(&"apology"), "{:?}", outcome.heard());
        outcome
    }

    /// What is left: (key, heard).
    fn left(&self) -> Vec<(MessageId, bool)> {
        let messages = self.host.mailboxes().messages_of(ALICE);
        messages.into_iter().filter(|m| !m.deleted).map(|m| (m.info.id, m.info.heard)).collect()
    }

    fn audio(&self, id: &MessageId) -> String {
        let messages = self.host.mailboxes().messages_of(ALICE);
        let message = messages.iter().find(|message| message.info.id == *id).expect("there");
        message.path.display().to_string()
    }
}

fn alice() -> Caller {
    Caller::calling("sip:message@example.org").account("sip:alice@example.org")
}

fn stranger() -> Caller {
    Caller::calling("sip:message@example.org")
}

const MENU: &str = "message/menu";

// SEMS-IV-2, SEMS-IV-3
#[tokio::test]
async fn one_plays_two_deletes_three_goes_on() {
    let (shop, ids) = Shop::with(3);
    let [first, second] = [shop.audio(&ids[0]), shop.audio(&ids[1])];
    let person = alice().hears(MENU).presses("1").hears_out(&first);
    let person = person.hears(MENU).presses("3").hears(MENU).presses("1").hears_out(&second);
    let person = person.hears(MENU).presses("2").hears(MENU).presses("2");
    let outcome = shop.call(person).await;
    let expected = [
        MENU,
        &first,
        MENU,
        "message/next_message",
        MENU,
        &second,
        MENU,
        "message/deleted",
        "message/next_message",
        MENU,
        "message/deleted",
        "message/no_messages",
        "message/goodbye",
    ];
    assert_eq!(outcome.heard(), expected);
    assert_eq!(shop.left(), [(ids[0].clone(), true)]);
    assert_eq!(outcome.ended_by, Some(Side::Application));
}

// SEMS-IV-3
#[tokio::test]
async fn an_empty_box_says_so() {
    let (shop, _) = Shop::with(0);
    assert_eq!(shop.call(alice()).await.heard(), ["message/no_messages", "message/goodbye"]);
}

#[tokio::test]
async fn what_was_not_played_stays_unheard_and_comes_first() {
    let (shop, ids) = Shop::with(2);
    let first = shop.audio(&ids[0]);
    shop.call(alice().hears(MENU).presses("1").hears_out(&first).presses("33")).await;
    assert_eq!(shop.left(), [(ids[0].clone(), true), (ids[1].clone(), false)]);
    let second = shop.audio(&ids[1]);
    let outcome = shop.call(alice().hears(MENU).presses("1").hears(&second).hangs_up()).await;
    assert_eq!(outcome.heard(), [MENU, &second]);
    assert!(!shop.left()[1].1, "a hang-up in the middle leaves it unheard");
}

// SEMS-IV-4
#[tokio::test]
async fn other_digits_and_minutes_repeat_the_menu_and_three_minutes_end_it() {
    let (shop, ids) = Shop::with(1);
    let outcome = shop.call(alice().hears(MENU).presses("7")).await;
    assert_eq!(outcome.heard(), [MENU, MENU, MENU, MENU, "message/goodbye"]);
    let minutes = (outcome.lasted - outcome.sounds().map(|sound| sound.lasted).sum::<Duration>()).as_secs();
    assert_eq!(minutes, 180);
    assert_eq!(shop.left(), [(ids[0].clone(), false)]);
}

#[tokio::test]
async fn digits_typed_ahead_and_during_a_message_choose_at_once() {
    let (shop, ids) = Shop::with(2);
    let first = shop.audio(&ids[0]);
    let outcome = shop.call(alice().hears(MENU).presses("1").hears(&first).presses("22")).await;
    assert!(shop.left().is_empty(), "{:?}", outcome.heard());
    let cut = outcome.sounds().find(|sound| sound.sound == first).expect("played");
    assert!(!cut.whole);
}

#[tokio::test]
async fn a_stranger_says_number_and_pin() {
    let (shop, _) = Shop::with(0);
    let person =
        stranger().hears("message/enter_mailbox").presses("100#").hears("message/enter_pin").presses("1#");
    let expected = ["message/enter_mailbox", "message/enter_pin", "message/no_messages", "message/goodbye"];
    assert_eq!(shop.call(person).await.heard(), expected);
    // All of it typed before the first word.
    let outcome = shop.call(stranger().presses("100#1#")).await;
    assert!(outcome.heard().contains(&"message/no_messages"), "{:?}", outcome.heard());
}

// Whoever dials the server's address means its first domain, which the core tells as the mailbox.
#[tokio::test]
async fn a_number_is_one_of_our_domain_even_where_an_address_was_dialled() {
    let (shop, _) = Shop::with(0);
    let person = Caller::calling("sip:message@127.0.0.1:5060")
        .info(|info| info.mailbox = Some("sip:message@example.org".parse().expect("a URI")));
    let outcome = shop.call(person.presses("100#1#")).await;
    assert!(outcome.heard().contains(&"message/no_messages"), "{:?}", outcome.heard());
}

#[tokio::test]
async fn a_from_header_opens_nothing() {
    let (shop, ids) = Shop::with(1);
    let outcome = shop.call(stranger().from("sip:alice@example.org").presses("2")).await;
    assert_eq!(outcome.heard()[0], "message/enter_mailbox");
    assert_eq!(shop.left(), [(ids[0].clone(), false)]);
}

#[tokio::test]
async fn three_wrong_pins_end_the_call() {
    let (shop, _) = Shop::with(0);
    let outcome = shop.call(stranger().presses("100#9#100#8#777#1#")).await;
    let heard = outcome.heard();
    assert_eq!(heard.iter().filter(|sound| **sound == "message/wrong_pin").count(), 3, "{heard:?}");
    assert_eq!(heard.last(), Some(&"message/goodbye"));
}

#[tokio::test]
async fn a_locked_box_says_so_even_to_the_right_pin() {
    let (shop, _) = Shop::with(0);
    shop.call(stranger().presses("100#9#100#9#100#9#")).await;
    let outcome = shop.call(stranger().presses("100#1#")).await;
    assert_eq!(outcome.heard().last_chunk(), Some(&["message/locked", "message/goodbye"]));
}

#[tokio::test]
async fn a_damaged_message_is_skipped_with_a_word() {
    let (shop, ids) = Shop::with(2);
    std::fs::write(shop.audio(&ids[0]), b"RIFF, but no more").expect("written");
    let second = shop.audio(&ids[1]);
    let outcome = shop.call(alice().presses("1").hears("message/next_message").presses("1")).await;
    let heard = outcome.heard();
    assert!(heard.contains(&"message/damaged") && heard.contains(&second.as_str()), "{heard:?}");
    assert_eq!(shop.left(), [(ids[0].clone(), false), (ids[1].clone(), true)]);
}

#[tokio::test]
async fn every_prompt_it_plays_is_in_the_sound_set() {
    let source = std::fs::read_to_string(top().join("ivr_scripts/message.py")).expect("there");
    let names: Vec<_> = source.split('"').filter(|text| text.starts_with("message/")).collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        assert!(top().join(format!("sounds/en/{name}.wav")).exists(), "{name}");
    }
}
