//! Conferences as their members hear them.

mod field;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use field::{
    Server, eventually,
    phone::{Caller, Heard},
    speech::said,
    tone_file,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// A tone in the mix is louder than this, and one that is not in it is quieter than [`ABSENT`].
const PRESENT: f64 = -20.0;
const ABSENT: f64 = -50.0;

fn tone(server: &Server, hz: f32) -> PathBuf {
    let path = server.dir.path().join(format!("{hz}.wav"));
    tone_file(&path, hz, Duration::from_secs(60));
    path
}

fn rooms(server: &Server) -> Vec<(String, u64, u64)> {
    let (status, body) = server.get("/api/v1/rooms");
    assert_eq!(status, 200, "{body}");
    let rooms: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let room = |room: &serde_json::Value| {
        (room["name"].as_str().expect("text").to_owned(), number(&room["members"]), number(&room["rate"]))
    };
    rooms.as_array().expect("a list").iter().map(room).collect()
}

fn members(server: &Server, room: &str, count: u64) {
    eventually(&format!("{count} in {room}"), PATIENCE, || {
        rooms(server).iter().any(|(name, members, _)| name == room && *members == count).then_some(())
    });
}

/// The longest stretch of a tone.
fn longest(heard: &Heard, hz: f64) -> (f64, f64) {
    let stretches = heard.tone(hz);
    let length = |(start, end): &(f64, f64)| end - start;
    *stretches.iter().max_by(|a, b| length(a).total_cmp(&length(b))).unwrap_or(&(0.0, 0.0))
}

/// While `hz` is heard, all of `present` are, and none of `absent`.
fn hears(name: &str, heard: &Heard, hz: f64, present: &[f64], absent: &[f64]) {
    let (start, end) = longest(heard, hz);
    assert!(end - start > 3.0, "{name} hears {hz} Hz from {start} to {end}: {:?}", heard.call);
    // Neither the tones of who comes and goes nor what a codec does at a beginning.
    let part = heard.part(start + 1.0, end - 0.8);
    for hz in present {
        let level = field::level(part, heard.rate, *hz);
        assert!(level > PRESENT, "{name} should hear {hz} Hz: {level} dB");
    }
    for hz in absent {
        let level = field::level(part, heard.rate, *hz);
        assert!(level < ABSENT, "{name} should not hear {hz} Hz: {level} dB");
    }
}

/// SEMS-CF-1: three members with three codecs; each hears the others and not himself. The first one gets a word, and
/// all hear who comes and goes; the API shows the room.
#[test]
fn three_members_hear_the_others_and_not_themselves() {
    let server = Server::start("");
    let caller = |hz: f32, codec: &str, seconds: f64| {
        Caller::to(&server, "conference", seconds, codec).codec(codec).says(&tone(&server, hz))
    };
    let (a, b, c) = (caller(500.0, "pcmu", 30.0), caller(900.0, "g722", 17.0), caller(1300.0, "opus", 8.0));
    let first = a.start();
    members(&server, "conference", 1);
    let begun = Instant::now();
    eventually("the word for the first one", PATIENCE, || {
        (begun.elapsed() > Duration::from_secs(6)).then_some(())
    });
    let second = b.start();
    members(&server, "conference", 2);
    let joined = Instant::now();
    eventually("the tones of the second", PATIENCE, || {
        (joined.elapsed() > Duration::from_secs(1)).then_some(())
    });
    let third = c.start();
    members(&server, "conference", 3);
    let wide = eventually("a wide room", PATIENCE, || {
        rooms(&server).iter().map(|(_, _, rate)| *rate).find(|rate| *rate > 16_000)
    });
    assert_eq!(wide, 48_000, "as good as Opus");
    let c = c.end(third);
    members(&server, "conference", 2);
    let (b, a) = (b.end(second), a.end(first));
    for (name, heard, codec) in [("a", &a, "PCMU"), ("b", &b, "G722"), ("c", &c, "opus")] {
        assert!(heard.call.success, "{name}: {:?}", heard.call);
        assert_eq!(heard.call.summary["codec"], codec);
    }
    hears("a", &a, 1300.0, &[900.0, 1300.0], &[500.0]);
    hears("b", &b, 1300.0, &[500.0, 1300.0], &[900.0]);
    hears("c", &c, 500.0, &[500.0, 900.0], &[1300.0]);
    assert_eq!(said(&a, "conf/alone").len(), 1, "a word for the first one");
    assert!(said(&b, "conf/alone").is_empty() && said(&c, "conf/alone").is_empty());
    // Rising tones for who comes, falling ones for who goes, judged by a, to whom 500 Hz is not there.
    let mut tones: Vec<(f64, &str)> = Vec::new();
    for (hz, name) in [(440.0, "low"), (587.0, "high")] {
        let heard = field::heard(&a.samples, a.rate, hz, -35.0);
        let notes = heard.into_iter().filter(|(start, end)| end - start > 0.07 && *start > 5.5);
        tones.extend(notes.map(|(start, _)| (start, name)));
    }
    tones.sort_by(|x, y| x.0.total_cmp(&y.0));
    let names: Vec<&str> = tones.iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["low", "high", "low", "high", "high", "low", "high", "low"], "{tones:?}");
    eventually("the room is gone", PATIENCE, || rooms(&server).is_empty().then_some(()));
}

/// SEMS-CF-2: another request URI is another room.
#[test]
fn two_rooms_hear_nothing_of_each_other() {
    let server = Server::start("");
    let caller = |room: &str, hz: f32| {
        Caller::to(&server, room, 16.0, &format!("{room}-{hz}")).codec("pcma").says(&tone(&server, hz))
    };
    let callers = [
        caller("conference-red", 500.0),
        caller("conference-red", 900.0),
        caller("conference-blue", 1300.0),
        caller("conference-blue", 1700.0),
    ];
    let programs = callers.each_ref().map(Caller::start);
    members(&server, "conference-red", 2);
    members(&server, "conference-blue", 2);
    let mut heard = Vec::new();
    for (caller, program) in callers.iter().zip(programs) {
        heard.push(caller.end(program));
    }
    let all = [500.0, 900.0, 1300.0, 1700.0];
    for (at, heard) in heard.iter().enumerate() {
        let partner = all[at ^ 1];
        let absent: Vec<f64> = all.into_iter().filter(|hz| *hz != partner).collect();
        // Speech of the word for the first one may be in it; it is over after five seconds.
        let (start, end) = longest(heard, partner);
        assert!(end - start > 7.0, "{partner} Hz from {start} to {end}: {:?}", heard.call);
        let part = heard.part(end - 4.0, end - 0.8);
        assert!(field::level(part, heard.rate, partner) > PRESENT);
        for hz in absent {
            let level = field::level(part, heard.rate, hz);
            assert!(level < ABSENT, "{hz} Hz beside {partner} Hz: {level} dB");
        }
    }
}
