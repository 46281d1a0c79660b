//! Voicemail against the scripted core.

use std::{fs, time::Duration};

use sems_app::{
    CallError, MailboxError, Mode, Unavailable, Uri,
    command::EndedBy,
    testing::{Caller, Event, Loaded, Outcome, SPEECH_HZ, Side, TestHost},
};

const SOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sounds/en");
const ALICE: &str = "alice@example.org";
const BOB: &str = "sip:bob@example.com";
const BEEP: &str = "tone 440 Hz";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A host where alice has a mailbox.
fn voicemail(table: &str) -> (TestHost, Loaded) {
    let host = TestHost::new().sounds(SOUNDS);
    host.mailboxes().add(ALICE);
    let loaded = host.load(voicemail::PLUGIN, table).expect("loads");
    (host, loaded)
}

fn caller() -> Caller {
    Caller::calling("sip:alice@example.org").after(Unavailable::Offline)
}

fn recorded(outcome: &Outcome) -> (Duration, EndedBy) {
    let recordings = outcome.recordings();
    assert_eq!(recordings.len(), 1, "{outcome:?}");
    (recordings[0].1, recordings[0].2)
}

/// The power of the caller's voice in each second of a recording of 8 kHz.
fn voice(path: &std::path::Path) -> Vec<bool> {
    let bytes = fs::read(path).expect("a WAV file");
    let samples: Vec<f64> = bytes[44..]
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
        .collect();
    let step = SPEECH_HZ / 8000.0 * std::f64::consts::TAU;
    samples
        .chunks_exact(8000)
        .map(|second| {
            let (mut sine, mut cosine) = (0.0, 0.0);
            for (at, sample) in second.iter().enumerate() {
                sine += sample * (step * at as f64).sin();
                cosine += sample * (step * at as f64).cos();
            }
            (sine.hypot(cosine) / 4000.0) > 0.1
        })
        .collect()
}

// SEMS-VM-1, SEMS-VM-3: greeting, beep, record; at the limit of 30 s with a warning before, and a notice after.
#[tokio::test(start_paused = true)]
async fn the_limit_ends_a_message_with_a_notice() {
    let (host, voicemail) = voicemail("");
    let outcome = voicemail.call(caller().hears_beep().speaks(secs(90))).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert_eq!(outcome.heard(), ["vm/unavailable", BEEP, "vm/saved"]);
    assert!(outcome.sounds().all(|sound| sound.whole));
    assert_eq!(recorded(&outcome), (secs(30), EndedBy::Limit));
    assert!(outcome.events().any(|event| *event == Event::Warned));
    assert_eq!((outcome.status, outcome.ended_by), (200, Some(Side::Application)));
    let messages = host.mailboxes().messages_of(ALICE);
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].info.duration, messages[0].mode), (secs(30), Mode::Both));
    assert_eq!(messages[0].info.caller, BOB);
    assert_eq!(messages[0].info.caller_name.as_deref(), Some("Bob"));
    assert_eq!(voice(&messages[0].path), [true; 30]);
}

// SEMS-VM-2: what was said up to the BYE is kept, and safe before the BYE is answered.
#[tokio::test(start_paused = true)]
async fn a_hang_up_keeps_the_message() {
    let (host, voicemail) = voicemail("");
    let outcome = voicemail.call(caller().hears_beep().speaks(secs(5)).hangs_up()).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert_eq!(outcome.heard(), ["vm/unavailable", BEEP]);
    assert_eq!(recorded(&outcome), (secs(5), EndedBy::HangUp));
    assert_eq!(outcome.ended_by, Some(Side::Caller));
    let messages = host.mailboxes().messages_of(ALICE);
    assert_eq!(messages.len(), 1);
    assert_eq!(voice(&messages[0].path), [true; 5]);
    let answered = outcome.bye_order().expect("the BYE was held back");
    assert!(messages[0].order < answered, "committed before the BYE was answered");
    assert_eq!(host.mailboxes().unfinished(ALICE), 0);
}

// SEMS-VM-4: each reason leads here, with its own greeting; a direct call has one too.
#[tokio::test(start_paused = true)]
async fn every_reason_has_its_greeting() {
    let (host, voicemail) = voicemail("");
    for (reason, greeting) in [
        (Some(Unavailable::Offline), "vm/unavailable"),
        (Some(Unavailable::NoAnswer), "vm/unavailable"),
        (Some(Unavailable::Declined), "vm/unavailable"),
        (Some(Unavailable::Busy), "vm/busy"),
        (None, "vm/intro"),
    ] {
        let caller = Caller::calling("sip:alice@example.org").info(|info| info.unavailable = reason);
        let outcome = voicemail.call(caller.hears_beep().speaks(secs(3)).presses("#")).await;
        assert_eq!(outcome.heard(), [greeting, BEEP, "vm/saved"], "{reason:?}");
        assert_eq!(recorded(&outcome), (secs(3), EndedBy::Digit('#')));
    }
    assert_eq!(host.mailboxes().messages_of(ALICE).len(), 5);
}

// SEMS-VM-5: the call is answered by us, after the mailbox is known and before the first sound.
#[tokio::test(start_paused = true)]
async fn the_answer_comes_before_the_greeting() {
    let (_host, voicemail) = voicemail("");
    let outcome = voicemail.call(caller().hears_beep().hangs_up()).await;
    let names: Vec<_> = outcome.events().take(2).collect();
    assert!(matches!(names[..], [Event::Answered, Event::Heard(_)]), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn pound_cuts_the_greeting_short() {
    let (_host, voicemail) = voicemail("");
    let caller = caller().hears("vm/unavailable").waits(secs(1)).presses("#");
    let outcome = voicemail.call(caller.hears_beep().speaks(secs(4)).hangs_up()).await;
    let greeting = outcome.sounds().next().expect("a greeting");
    assert_eq!((greeting.lasted, greeting.whole), (secs(1), false));
    assert_eq!(recorded(&outcome), (secs(4), EndedBy::HangUp));
}

#[tokio::test(start_paused = true)]
async fn pound_pressed_twice_does_not_end_the_message_before_it_begins() {
    let (host, voicemail) = voicemail("");
    let caller = caller().hears("vm/unavailable").presses("##");
    let outcome = voicemail.call(caller.hears_beep().speaks(secs(4)).hangs_up()).await;
    assert_eq!(recorded(&outcome), (secs(4), EndedBy::HangUp));
    assert_eq!(host.mailboxes().messages_of(ALICE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_message_and_is_cut_off() {
    let (host, voicemail) = voicemail("");
    let outcome = voicemail.call(caller().hears_beep().speaks(secs(6))).await;
    assert_eq!(recorded(&outcome), (secs(7), EndedBy::Silence));
    assert_eq!(outcome.heard().last(), Some(&"vm/saved"));
    let messages = host.mailboxes().messages_of(ALICE);
    assert_eq!(voice(&messages[0].path), [true, true, true, true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_before_or_at_the_beep_is_a_missed_call() {
    let (host, voicemail) = voicemail("");
    for caller in [
        caller().hangs_up(),
        caller().hears("vm/unavailable").waits(secs(1)).hangs_up(),
        caller().hears_out("vm/unavailable").hangs_up(),
        caller().hears_beep().hangs_up(),
        caller().hears_beep().speaks(secs(1)).hangs_up(),
    ] {
        voicemail.call(caller).await;
    }
    assert_eq!(host.mailboxes().messages_of(ALICE).len(), 0);
    assert_eq!(host.mailboxes().missed_by(ALICE), [BOB; 5]);
    assert_eq!(host.mailboxes().unfinished(ALICE), 0);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_told_so() {
    let (host, voicemail) = voicemail("");
    let outcome = voicemail.call(caller()).await;
    assert_eq!(outcome.heard(), ["vm/unavailable", BEEP, "vm/too-short"]);
    assert_eq!(recorded(&outcome).1, EndedBy::Silence);
    assert_eq!(host.mailboxes().missed_by(ALICE), [BOB]);
}

// SEMS-X3
#[tokio::test(start_paused = true)]
async fn the_mode_is_that_of_the_route_over_that_of_the_plugin() {
    let (host, voicemail) = voicemail("mode = 'box'");
    for params in ["", "mode = 'mail'", "mode = 'both'"] {
        voicemail.call(caller().params(params).hears_beep().speaks(secs(5)).hangs_up()).await;
    }
    let modes: Vec<_> = host.mailboxes().messages_of(ALICE).iter().map(|message| message.mode).collect();
    assert_eq!(modes, [Mode::Box, Mode::Mail, Mode::Both]);
}

// SEMS-X3: announcement only.
#[tokio::test(start_paused = true)]
async fn announce_plays_the_greeting_and_records_nothing() {
    let (host, voicemail) = voicemail("mode = 'announce'");
    let outcome = voicemail.call(caller()).await;
    assert_eq!(outcome.heard(), ["vm/announce"]);
    assert_eq!(outcome.recordings(), []);
    assert_eq!(outcome.ended_by, Some(Side::Application));
    assert_eq!(host.mailboxes().missed_by(ALICE), [BOB]);
}

#[tokio::test(start_paused = true)]
async fn the_owner_greets_himself_and_a_broken_greeting_costs_no_message() {
    let (host, voicemail) = voicemail("");
    let greeting = host.folder().join("alice.wav");
    sems_app::testing::write_wav(&greeting, secs(4), &[]).expect("a writable folder");
    host.mailboxes().set_greeting(ALICE, &greeting);
    let leave = || caller().hears_beep().speaks(secs(5)).hangs_up();
    let outcome = voicemail.call(leave()).await;
    assert_eq!(outcome.heard(), [greeting.display().to_string().as_str(), BEEP]);

    fs::write(&greeting, "no sound at all").expect("a writable folder");
    let outcome = voicemail.call(leave()).await;
    assert_eq!(outcome.heard(), ["vm/unavailable", BEEP]);
    assert_eq!(host.mailboxes().messages_of(ALICE).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_route_may_name_the_greeting_the_mailbox_and_the_limit() {
    let (host, voicemail) = voicemail("");
    for (mailbox, domain) in
        [("alice", "example.org"), (ALICE, "localhost"), ("sip:alice@example.org", "x.org")]
    {
        let caller = Caller::calling(&format!("sip:record@{domain}"))
            .params(&format!("mailbox = '{mailbox}'\nmax_duration = '1m'\ngreeting = 'welcome'"));
        let outcome = voicemail.call(caller.hears_beep().speaks(secs(70))).await;
        assert_eq!(outcome.heard(), ["welcome", BEEP, "vm/saved"], "{mailbox}");
        assert_eq!(recorded(&outcome), (secs(60), EndedBy::Limit));
    }
    assert_eq!(host.mailboxes().messages_of(ALICE).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_diverted_call_is_for_who_diverted_it() {
    let (host, voicemail) = voicemail("");
    let caller = Caller::calling("sip:voicemail@example.org")
        .info(|info| info.mailbox = Some(Uri::sip("alice", "example.org")));
    voicemail.call(caller.hears_beep().speaks(secs(5)).hangs_up()).await;
    assert_eq!(host.mailboxes().messages_of(ALICE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_mailbox_is_refused_unanswered() {
    let (host, voicemail) = voicemail("");
    let outcome = voicemail.call(Caller::calling("sip:nobody@example.org")).await;
    assert_eq!(outcome.status, 404);
    let tried = Caller::calling("sip:carol@example.org").after(Unavailable::NoAnswer);
    assert_eq!(voicemail.call(tried).await.status, 480);
    host.mailboxes().fail(Some(MailboxError::Store("disk".into())));
    assert_eq!(voicemail.call(caller()).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_says_so_before_anybody_speaks_in_vain() {
    let (host, voicemail) = voicemail("");
    host.mailboxes().fill(ALICE);
    let outcome = voicemail.call(caller()).await;
    assert_eq!(outcome.heard(), ["vm/full"]);
    assert_eq!(outcome.ended_by, Some(Side::Application));
    assert_eq!(host.mailboxes().missed_by(ALICE), [BOB]);
}

// A store that fails must not let the caller believe that he left a message, nor throw away what he said.
#[tokio::test(start_paused = true)]
async fn a_failed_commit_is_told_and_the_recording_stays() {
    let (host, voicemail) = voicemail("");
    host.mailboxes().fail_commits(Some(MailboxError::Store("database".into())));
    let outcome = voicemail.call(caller().hears_beep().speaks(secs(5)).presses("#")).await;
    assert_eq!(outcome.heard().last(), Some(&"vm/failed"));
    assert!(matches!(outcome.result, Err(CallError::Mailbox(MailboxError::Store(_)))), "{outcome:?}");
    let outcome = voicemail.call(caller().hears_beep().speaks(secs(5)).hangs_up()).await;
    assert!(matches!(outcome.result, Err(CallError::Mailbox(_))), "{outcome:?}");
    assert_eq!(host.mailboxes().unfinished(ALICE), 2, "left to the recovery");
    assert!(outcome.recordings().iter().all(|(path, ..)| path.exists()));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_cancels_is_a_missed_call() {
    let (host, voicemail) = voicemail("");
    let outcome = voicemail.call(caller().hangs_up()).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)));
    assert_eq!(outcome.status, 487);
    assert_eq!(host.mailboxes().missed_by(ALICE), [BOB]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (host, voicemail) = voicemail("");
    for params in [
        "max_durations = '30s'",
        "max_duration = '0s'",
        "max_duration = 30",
        "max_duration = '1s'\nmin_duration = '2s'",
        "mode = 'fax'",
        "mailbox = ''",
        "mailbox = 'http://alice'",
    ] {
        assert!(voicemail.check(params).is_err(), "{params}");
        assert!(host.load(voicemail::PLUGIN, params).is_err(), "{params}");
    }
    assert!(voicemail.check("mailbox = 'alice'\nmax_duration = '10m'").is_ok());
}
