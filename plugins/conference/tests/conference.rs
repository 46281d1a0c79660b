//! Rooms against the scripted core. What is heard of each other is the real core's, tested there.

use std::time::Duration;

use sems_app::testing::{Caller, Event, Loaded, Outcome, Side, TestHost};

const SOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sounds/en");
const RISING: [&str; 2] = ["tone 440 Hz", "tone 587 Hz"];
const FALLING: [&str; 2] = ["tone 587 Hz", "tone 440 Hz"];

fn conference(table: &str) -> Loaded {
    TestHost::new().sounds(SOUNDS).load(conference::PLUGIN, table).expect("loads")
}

fn guest(uri: &str, seconds: u64) -> Caller {
    Caller::calling(uri).waits(Duration::from_secs(seconds)).hangs_up()
}

/// A call that begins so many seconds after the others, so that the order of joining is certain.
async fn later(conference: &Loaded, seconds: u64, caller: Caller) -> Outcome {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    conference.call(caller).await
}

fn rooms(outcome: &Outcome) -> Vec<&str> {
    outcome
        .events()
        .filter_map(|event| match event {
            Event::Joined(room) => Some(room.as_str()),
            _ => None,
        })
        .collect()
}

// SEMS-CF-1: three in one room, each told of the others' coming and going.
#[tokio::test(start_paused = true)]
async fn three_callers_meet_in_one_room() {
    let conference = conference("");
    let (first, second, third) = tokio::join!(
        later(&conference, 0, guest("sip:conference@example.org", 30)),
        later(&conference, 1, guest("sip:Conference@example.org", 20)),
        later(&conference, 2, guest("sip:conference@EXAMPLE.org;transport=tcp", 10)),
    );
    for outcome in [&first, &second, &third] {
        assert_eq!(rooms(outcome), ["conference"]);
        assert_eq!((outcome.status, outcome.ended_by), (200, Some(Side::Caller)));
    }
    let alone = ["conf/alone"];
    let expected: Vec<&str> =
        [&RISING[..], &alone, &RISING, &RISING, &FALLING, &FALLING].into_iter().flatten().copied().collect();
    assert_eq!(first.heard(), expected);
    assert_eq!(third.heard(), RISING, "who leaves first hears nobody leave");
}

// SEMS-CF-2
#[tokio::test(start_paused = true)]
async fn another_request_uri_is_another_room() {
    let conference = conference("tones = false");
    let (one, other) = tokio::join!(
        conference.call(guest("sip:conference-1@example.org", 10)),
        conference.call(guest("sip:conference-2@example.org", 10)),
    );
    assert_eq!((rooms(&one), rooms(&other)), (vec!["conference-1"], vec!["conference-2"]));
    assert_eq!((one.heard(), other.heard()), (vec!["conf/alone"], vec!["conf/alone"]));
}

#[tokio::test(start_paused = true)]
async fn a_full_room_says_so_and_hangs_up() {
    let conference = conference("tones = false");
    let uri = "sip:conference@example.org";
    let small = |seconds| guest(uri, seconds).params("max_members = 2\nroom = 'board'");
    let (first, second, third) = tokio::join!(
        later(&conference, 0, small(30)),
        later(&conference, 1, small(30)),
        later(&conference, 2, Caller::calling(uri).params("max_members = 2\nroom = 'board'")),
    );
    assert_eq!((rooms(&first), rooms(&second)), (vec!["board"], vec!["board"]));
    assert_eq!(rooms(&third), [""; 0]);
    assert_eq!(third.heard(), ["conf/full"]);
    assert_eq!(third.ended_by, Some(Side::Application));
    let later = conference.call(small(1)).await;
    assert_eq!(rooms(&later), ["board"], "places are free again");
}

#[tokio::test(start_paused = true)]
async fn a_pin_opens_the_room_within_three_tries() {
    let conference = conference("tones = false");
    let ask = |typed: [&str; 3]| {
        let caller = Caller::calling("sip:conference@example.org").params("pin = '4711'");
        typed
            .into_iter()
            .fold(caller, |caller, digits| caller.hears("conf/enter-pin").presses(digits))
            .waits(Duration::from_secs(60))
            .hangs_up()
    };
    let knowing = conference.call(ask(["1#", "4711#", ""])).await;
    assert_eq!(rooms(&knowing), ["conference"]);
    let guessing = conference.call(ask(["1#", "2#", "3#"])).await;
    assert_eq!(rooms(&guessing), [""; 0]);
    assert_eq!(guessing.heard().last(), Some(&"goodbye"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let conference = conference("max_members = 10");
    for params in
        ["romm = 'x'", "room = ' '", "pin = '12a4'", "pin = ''", "max_members = -1", "tones = 'yes'"]
    {
        assert!(conference.check(params).is_err(), "{params}");
    }
    assert!(conference.check("room = 'board'\npin = '1234'").is_ok());
}
