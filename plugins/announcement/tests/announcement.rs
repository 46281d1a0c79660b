//! Announcements against the scripted core.

use std::time::Duration;

use sems_app::testing::{Caller, Event, Loaded, Side, TestHost, write_wav};

const SOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sounds/en");

fn announcement() -> (TestHost, Loaded, String) {
    let host = TestHost::new().sounds(SOUNDS);
    let file = host.folder().join("closed.wav");
    write_wav(&file, Duration::from_secs(3), &[]).expect("a writable folder");
    let loaded = host.load(announcement::PLUGIN, "").expect("loads");
    (host, loaded, file.display().to_string())
}

#[tokio::test(start_paused = true)]
async fn a_file_is_played_once_and_then_we_hang_up() {
    let (_host, announcement, file) = announcement();
    let caller = Caller::calling("sip:closed@example.org").params("file = 'closed.wav'");
    let outcome = announcement.call(caller).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert_eq!((outcome.status, outcome.ended_by), (200, Some(Side::Application)));
    assert_eq!(outcome.heard(), [file]);
    assert!(outcome.sounds().all(|sound| sound.whole && sound.lasted == Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn a_loop_lasts_until_the_caller_hangs_up() {
    let (_host, announcement, _) = announcement();
    let caller = Caller::calling("sip:welcome@example.org")
        .params("file = 'closed.wav'\nloop = true")
        .waits(Duration::from_secs(10))
        .hangs_up();
    let outcome = announcement.call(caller).await;
    assert_eq!(outcome.heard().len(), 4);
    assert_eq!((outcome.ended_by, outcome.lasted), (Some(Side::Caller), Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn an_early_announcement_is_heard_unanswered_and_refuses() {
    let (_host, announcement, _) = announcement();
    for (params, status) in [("", 480), ("status = 404", 404)] {
        let params = format!("prompt = 'vm/announce'\nearly = true\n{params}");
        let outcome = announcement.call(Caller::calling("sip:gone@example.org").params(&params)).await;
        assert_eq!((outcome.status, outcome.ended_by), (status, None));
        assert_eq!(outcome.heard(), ["vm/announce"]);
        assert_eq!(outcome.events().next(), Some(&Event::Early));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_there_refuses_before_answering() {
    let (_host, announcement, _) = announcement();
    let outcome =
        announcement.call(Caller::calling("sip:x@example.org").params("file = 'nowhere.wav'")).await;
    assert_eq!(outcome.status, 500);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (_host, announcement, _) = announcement();
    for params in [
        "",
        "file = 'a.wav'\nprompt = 'welcome'",
        "file = 'a.wav'\nlop = true",
        "file = 'a.wav'\nearly = true\nloop = true",
        "file = 'a.wav'\nearly = true\nstatus = 200",
        "file = 'a.wav'\nstatus = 404",
    ] {
        assert!(announcement.check(params).is_err(), "{params}");
    }
    assert!(announcement.check("file = 'a.wav'\nloop = true").is_ok());
}
