//! The media engine with real sockets: who hears what, judged by ear.

mod phone;

use std::{sync::Arc, time::Duration};

use phone::{HOME, Phone, config, engine, negotiated, next, pass};
use sems_core::media::{
    Audio, Engine, JoinError, JoinSpec, MediaEvent, PlayId, PlayOptions, RecordEnd, RecordSpec,
};
use sems_media::{CodecKind, Direction, analysis, tone};

/// What counts as heard, and as not heard, in dBFS.
const HEARD: f64 = -20.0;
const QUIET: f64 = -45.0;

fn beep(hz: f32, ms: u32) -> Arc<Audio> {
    Arc::new(Audio::new(tone::Tone::new(hz, 8000, 8000.0).take(ms as usize * 8), 8000))
}

fn spec(path: &std::path::Path, max_ms: u64, warn_ms: u64) -> RecordSpec {
    let ms = Duration::from_millis;
    RecordSpec { path: path.to_owned(), max: ms(max_ms), warn: ms(warn_ms), silence: Duration::ZERO }
}

// SEMS-EC-1: one's own voice returns, and soon.
#[tokio::test]
async fn echo_returns_what_was_said() {
    let engine = engine(1, 39_000);
    let (phone, leg, _events) = Phone::call(&engine, CodecKind::Pcmu);
    leg.echo(true);
    pass(200).await;
    phone.say(441);
    pass(1500).await;
    assert!(phone.level(441.0) > HEARD, "{}", phone.level(441.0));
    // The packets of 441 Hz repeat after a second only.
    let mut trips = phone.round_trips();
    trips.sort();
    let median = trips[trips.len() / 2];
    assert!(median < Duration::from_millis(60), "{median:?}");
}

#[tokio::test]
async fn echo_serves_each_codec() {
    let engine = engine(1, 39_200);
    for codec in CodecKind::ALL {
        let (phone, leg, _events) = Phone::call(&engine, codec);
        leg.echo(true);
        phone.say(700);
        pass(1200).await;
        assert!(phone.level(700.0) > HEARD, "{codec:?} {}", phone.level(700.0));
    }
}

#[tokio::test]
async fn a_sound_is_heard_from_its_first_sample_and_for_as_long_as_it_is() {
    let engine = engine(1, 39_400);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcma);
    pass(200).await;
    let begun = std::time::Instant::now();
    leg.play(PlayId(7), beep(1000.0, 500), PlayOptions::default()).await;
    assert_eq!(next(&mut events).await, Some(MediaEvent::PlayEnded { id: PlayId(7) }));
    let lasted = begun.elapsed();
    assert!(lasted > Duration::from_millis(480) && lasted < Duration::from_millis(700), "{lasted:?}");
    pass(100).await;
    let sound = phone.sound();
    let loud: Vec<usize> = (0..sound.len()).filter(|i| sound[*i].unsigned_abs() > 100).collect();
    let length = loud[loud.len() - 1] - loud[0] + 1;
    assert!((3_990..=4_000).contains(&length), "{length}");
    assert!(analysis::goertzel(&sound[loud[0]..loud[0] + 800], 8000, 1000.0) > HEARD);
}

#[tokio::test]
async fn a_sound_that_repeats_goes_on_until_it_is_stopped_and_reports_no_end() {
    let engine = engine(1, 39_600);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    leg.play(PlayId(1), beep(1000.0, 100), PlayOptions { repeat: true }).await;
    pass(900).await;
    assert!(phone.level(1000.0) > HEARD);
    leg.stop_play(PlayId(2));
    pass(500).await;
    assert!(phone.level(1000.0) > HEARD);
    leg.stop_play(PlayId(1));
    pass(600).await;
    assert!(phone.level(1000.0) < QUIET);
    assert!(events.try_recv().is_ok_and(|event| matches!(event, MediaEvent::Latched(_))));
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_phone_that_hears_nothing_gets_silence_every_20_ms() {
    let engine = engine(1, 39_800);
    let (phone, _leg, _events) = Phone::call(&engine, CodecKind::Pcmu);
    pass(1000).await;
    let packets = phone.packets();
    assert!((40..=52).contains(&packets.len()), "{}", packets.len());
    assert!(packets.windows(2).all(|w| w[1].sequence == w[0].sequence.wrapping_add(1)));
    assert!(analysis::rms(&phone.sound()) < -60.0);
}

// SEMS-VM-1, SEMS-VM-2: what was said is in the file, and for as long as it was said.
#[tokio::test]
async fn a_recording_holds_what_was_said() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("take.wav");
    let engine = engine(1, 40_000);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    phone.say(600);
    pass(300).await;
    leg.record(spec(&path, 60_000, 0));
    pass(2_600).await;
    // After kill -9 there would be this: a whole file that lacks a second at most.
    let running = hound::WavReader::open(&path).expect("a valid header");
    assert!(running.duration() > 8000, "{}", running.duration());
    leg.stop_record();
    let Some(MediaEvent::RecordEnded { duration, ended }) = next(&mut events).await else { panic!("no end") };
    assert_eq!(ended, RecordEnd::Stopped);
    assert!((2_400..2_900).contains(&duration.as_millis()), "{duration:?}");
    let reader = hound::WavReader::open(&path).expect("a valid header");
    let samples: Vec<i16> = reader.into_samples().map(|s| s.expect("a sample")).collect();
    assert_eq!(samples.len() as u128, duration.as_millis() * 8);
    assert!(analysis::goertzel(&samples, 8000, 600.0) > HEARD);
    assert!(analysis::longest_gap(&samples[800..], 500) < 400);
}

// SEMS-VM-3: the limit, with a warning before it.
#[tokio::test]
async fn a_recording_warns_and_ends_at_its_limit() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine(1, 40_200);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    phone.say(600);
    pass(200).await;
    leg.record(spec(&folder.path().join("take.wav"), 1_500, 600));
    let ended = MediaEvent::RecordEnded { duration: Duration::from_millis(1_500), ended: RecordEnd::Limit };
    pass(1_150).await;
    assert!(phone.level(1400.0) > -30.0, "{}", phone.level(1400.0));
    assert_eq!(next(&mut events).await, Some(ended));
}

#[tokio::test]
async fn a_leg_that_closes_keeps_its_recording_and_lost_sound_is_silence() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("take.wav");
    let engine = engine(1, 40_400);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    phone.say(600);
    pass(200).await;
    leg.record(spec(&path, 0, 0));
    pass(500).await;
    phone.mute();
    pass(600).await;
    phone.say(600);
    pass(500).await;
    drop(leg);
    let Some(MediaEvent::RecordEnded { duration, .. }) = next(&mut events).await else { panic!("no end") };
    assert!((1_450..1_900).contains(&duration.as_millis()), "{duration:?}");
}

// SEMS-CF-1: each hears all others, and not himself.
#[tokio::test]
async fn in_a_room_each_hears_the_others_and_not_himself() {
    let engine = engine(2, 40_600);
    let codecs = [CodecKind::Pcmu, CodecKind::Pcma, CodecKind::G722];
    let tones = [500, 900, 1700];
    let mut members = Vec::new();
    for (codec, hz) in codecs.into_iter().zip(tones) {
        let (phone, leg, events) = Phone::call(&engine, codec);
        leg.join("blue", JoinSpec::default()).await.expect("a place");
        phone.say(hz);
        members.push((phone, leg, events));
    }
    pass(1_500).await;
    let rooms = engine.rooms();
    assert_eq!((rooms[0].name.as_str(), rooms[0].members, rooms[0].rate), ("blue", 3, 16_000));
    for (index, (phone, ..)) in members.iter().enumerate() {
        for (other, hz) in tones.into_iter().enumerate() {
            let level = phone.level(f64::from(hz));
            assert_eq!(level > HEARD, index != other, "{index} hears {other} with {level}");
            assert!(index != other || level < QUIET, "{index} hears himself with {level}");
        }
    }
    // SEMS-CF-2: another room is another room; and who left hears nobody.
    members[2].1.join("green", JoinSpec::default()).await.expect("a place");
    members[1].1.leave();
    pass(1_000).await;
    for (phone, ..) in &members {
        assert!(tones.iter().all(|hz| phone.level(f64::from(*hz)) < QUIET));
    }
    assert_eq!(engine.rooms().iter().map(|room| room.members).collect::<Vec<_>>(), [1, 1]);
    members.clear();
    pass(100).await;
    assert!(engine.rooms().is_empty());
}

#[tokio::test]
async fn a_room_sounds_when_somebody_comes_and_refuses_one_too_many() {
    let engine = engine(1, 40_800);
    let join = || JoinSpec {
        join_tone: Some(beep(1000.0, 600)),
        leave_tone: Some(beep(2000.0, 600)),
        alone: Some(beep(300.0, 10_000)),
        max_members: 2,
    };
    let (first, leg, _events) = Phone::call(&engine, CodecKind::Pcmu);
    leg.join("blue", join()).await.expect("a place");
    pass(700).await;
    assert!(first.level(300.0) > HEARD);
    let (second, other, _events) = Phone::call(&engine, CodecKind::Pcmu);
    other.join("blue", join()).await.expect("a place");
    pass(550).await;
    assert!(first.level(1000.0) > HEARD, "{}", first.level(1000.0));
    assert!(second.level(1000.0) < QUIET);
    let (_third, late, _events) = Phone::call(&engine, CodecKind::Pcmu);
    assert_eq!(late.join("blue", join()).await, Err(JoinError::Full));
    pass(700).await;
    drop(other);
    pass(550).await;
    assert!(first.level(2000.0) > HEARD);
    assert!(first.level(300.0) < QUIET);
}

async fn talk(engine: &Engine, codecs: [CodecKind; 2]) {
    let (alice, a, _) = Phone::call(engine, codecs[0]);
    let (bob, b, mut heard) = Phone::call(engine, codecs[1]);
    alice.say(500);
    bob.say(1300);
    a.bridge(&b).await;
    pass(1_200).await;
    assert!(alice.level(1300.0) > HEARD && bob.level(500.0) > HEARD, "{codecs:?}");
    assert!(alice.level(500.0) < QUIET && bob.level(1300.0) < QUIET, "{codecs:?}");
    alice.forget();
    bob.press(5);
    assert_eq!(next(&mut heard).await, Some(MediaEvent::Digit('5')));
    pass(500).await;
    let relayed = alice.packets().iter().any(|p| p.payload_type == phone::EVENT && p.payload[0] == 5);
    assert!(relayed, "{codecs:?}");
    a.unbridge();
    pass(600).await;
    assert!(alice.level(1300.0) < QUIET && bob.level(500.0) < QUIET, "{codecs:?}");
}

#[tokio::test]
async fn a_bridge_carries_sound_and_digits_both_ways() {
    let one = engine(1, 41_000);
    talk(&one, [CodecKind::Pcmu, CodecKind::Pcmu]).await;
    talk(&one, [CodecKind::Pcmu, CodecKind::Pcma]).await;
    // The two legs begin on two workers: one of them moves.
    let two = engine(2, 41_200);
    talk(&two, [CodecKind::Pcma, CodecKind::G722]).await;
    talk(&two, [CodecKind::Pcma, CodecKind::Pcma]).await;
}

#[tokio::test]
async fn digits_are_sent_one_after_the_other() {
    let engine = engine(1, 41_400);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    pass(100).await;
    leg.send_digits("4,2x");
    assert_eq!(next(&mut events).await, Some(MediaEvent::DigitsSent));
    let mut codes: Vec<u8> =
        phone.packets().iter().filter(|p| p.payload_type == phone::EVENT).map(|p| p.payload[0]).collect();
    codes.dedup();
    assert_eq!(codes, [4, 2]);
}

#[tokio::test]
async fn each_press_is_one_digit() {
    let engine = engine(1, 41_600);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    pass(100).await;
    for code in [1, 2, 11] {
        phone.press(code);
    }
    for digit in ['1', '2', '#'] {
        assert_eq!(next(&mut events).await, Some(MediaEvent::Digit(digit)));
    }
    leg.info_digit('7');
    assert_eq!(next(&mut events).await, Some(MediaEvent::Digit('7')));
}

#[tokio::test]
async fn a_timeout_of_zero_never_reports_silence() {
    let mut config = config(1, 41_900);
    config.rtp_timeout = Duration::ZERO;
    let engine = Engine::start(config).expect("an engine");
    let (_phone, _leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    // Longer than the second between two looks.
    pass(1_500).await;
    while let Ok(event) = events.try_recv() {
        assert!(matches!(event, MediaEvent::Latched(_)), "{event:?}");
    }
}

#[tokio::test]
async fn silence_on_the_wire_is_reported_once_and_not_on_hold() {
    let mut config = config(1, 41_800);
    config.rtp_timeout = Duration::from_secs(1);
    let engine = Engine::start(config).expect("an engine");
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    let (held, hold, mut quiet) = Phone::call(&engine, CodecKind::Pcmu);
    let mut negotiated = negotiated(CodecKind::Pcmu, Some(held.address));
    negotiated.direction = Direction::SendOnly;
    hold.configure(negotiated);
    pass(200).await;
    phone.mute();
    held.mute();
    assert_eq!(next(&mut events).await, Some(MediaEvent::Silent));
    pass(1_500).await;
    assert!(events.try_recv().is_err());
    while let Ok(event) = quiet.try_recv() {
        assert!(matches!(event, MediaEvent::Latched(_)), "{event:?}");
    }
    assert!(leg.stats().await.is_some_and(|stats| stats.rtp.received > 5));
}

#[tokio::test]
async fn a_freed_port_rests_until_it_is_quiet() {
    let mut small = config(1, 42_000);
    small.rtp_ports = 42_000..=42_001;
    small.quarantine = Duration::from_millis(400);
    let engine = Engine::start(small).expect("an engine");
    let (events, _received) = tokio::sync::mpsc::channel(64);
    let leg = engine.open(HOME, events.clone()).expect("the only pair");
    let phone = Phone::new(CodecKind::Pcmu);
    phone.talk_to(leg.address());
    pass(100).await;
    drop(leg);
    // The old caller still talks: nobody else gets the port.
    pass(1_000).await;
    assert!(engine.open(HOME, events.clone()).is_err());
    phone.mute();
    pass(700).await;
    assert!(engine.open(HOME, events).is_ok());
}

#[tokio::test]
async fn a_new_address_is_followed_after_a_new_agreement() {
    let engine = engine(1, 42_200);
    let (old, leg, _events) = Phone::call(&engine, CodecKind::Pcmu);
    leg.echo(true);
    old.say(500);
    pass(500).await;
    let new = Phone::new(CodecKind::Pcma);
    leg.configure(negotiated(CodecKind::Pcma, Some(new.address)));
    new.talk_to(leg.address());
    new.say(900);
    pass(1_200).await;
    assert!(new.level(900.0) > HEARD, "{}", new.level(900.0));
    assert!(new.level(500.0) < QUIET);
}

#[tokio::test]
async fn shutdown_finishes_recordings_and_closes_legs() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = engine(2, 42_400);
    let (phone, leg, mut events) = Phone::call(&engine, CodecKind::Pcmu);
    phone.say(600);
    leg.record(spec(&folder.path().join("take.wav"), 0, 0));
    pass(600).await;
    let stopping = engine.clone();
    tokio::task::spawn_blocking(move || stopping.shutdown()).await.expect("joined");
    assert!(matches!(
        next(&mut events).await,
        Some(MediaEvent::RecordEnded { ended: RecordEnd::Stopped, .. })
    ));
    assert_eq!(leg.join("blue", JoinSpec::default()).await, Err(JoinError::Stopped));
    assert!(engine.open(HOME, tokio::sync::mpsc::channel(1).0).is_err());
}
