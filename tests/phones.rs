//! Foreign phones, baresip and linphone, against the whole server: what they hear decides.

mod field;

use std::{path::Path, process::Command, time::Duration};

use field::{
    ALICE, BOB, CAROL, LOUD, PATIENCE, Server, awaited, baresip::Baresip, dialling, eventually, heard,
    hung_up, letter, level, linphone::Linphone, mails, tone_file, total, unbroken, wav,
};

/// Seconds of a tone that a phone in a call has heard so far.
fn so_far(phone: &Baresip, hz: f64) -> f64 {
    let (samples, rate) = phone.heard();
    total(&heard(&samples, rate, hz, LOUD))
}

/// SEMS-EC-1, SER-05, SER-01: baresip registers by digest, and hears itself at `echo` in each of its codecs.
#[test]
fn baresip_hears_itself_in_every_codec() {
    let server = Server::start("");
    for codec in ["PCMU/8000/1", "PCMA/8000/1", "G722/16000/1", "opus/48000/2"] {
        let mut phone = Baresip::start(server.dir.path(), &ALICE, server.udp, codec, 700.0);
        phone.call(&server.uri("echo"));
        awaited(codec, || phone.log(), || (so_far(&phone, 700.0) > 2.5).then_some(()));
        let (_, calls) = server.get("/api/v1/calls");
        let name = codec.split('/').next().expect("a name").to_lowercase();
        assert!(calls.to_lowercase().contains(&name), "{codec}: {calls}");
        phone.hang_up();
        unbroken(codec, &phone.heard(), 700.0, 2.5);
    }
}

/// SEMS-EC-1, SER-05, SER-01: linphone registers by digest, calls `echo`, and hears itself.
#[test]
fn linphone_hears_itself() {
    let server = Server::start("");
    let mut phone = Linphone::start(server.dir.path(), &BOB, server.udp, 900.0);
    let (_, registrations) = server.get("/api/v1/registrations");
    assert!(registrations.contains("bob@localhost"), "{registrations}");
    phone.call(&server.uri("echo"));
    std::thread::sleep(Duration::from_secs(4));
    phone.hang_up();
    unbroken("linphone", &phone.heard(), 900.0, 2.5);
}

/// SER-05, SER-02, SEMS-VM-6: two foreign phones talk to each other through us.
#[test]
fn baresip_and_linphone_hear_each_other() {
    let server = Server::start("");
    let mut alice = Baresip::start(server.dir.path(), &ALICE, server.udp, "PCMA/8000/1", 700.0);
    let mut bob = Linphone::start(server.dir.path(), &BOB, server.udp, 900.0);
    alice.call(&server.uri("bob"));
    bob.wait_for(" connected.");
    awaited("alice hears bob", || alice.log() + &bob.log(), || (so_far(&alice, 900.0) > 3.0).then_some(()));
    bob.hang_up();
    alice.wait_for("CALL_CLOSED");
    let (alice, bob) = (alice.heard(), bob.heard());
    unbroken("alice", &alice, 900.0, 3.0);
    unbroken("bob", &bob, 700.0, 2.5);
    for (who, (samples, rate), own) in [("alice", &alice, 700.0), ("bob", &bob, 900.0)] {
        let own = total(&heard(samples, *rate, own, -35.0));
        assert!(own < 0.2, "{who} hears himself for {own:.2} s");
    }
}

/// SEMS-VM-1, SEMS-VM-2, SEMS-VM-4, SEMS-VM-5, SER-05: baresip calls somebody who is not there, hears greeting and
/// beep, speaks and hangs up; the mail brings what it said.
#[test]
fn baresip_leaves_a_voicemail() {
    let server = Server::start("");
    let mut alice = Baresip::start(server.dir.path(), &ALICE, server.udp, "G722/16000/1", 700.0);
    alice.call(&server.uri("bob"));
    let beep = awaited(
        "the beep",
        || alice.log(),
        || {
            let (samples, rate) = alice.heard();
            heard(&samples, rate, 440.0, -25.0).into_iter().find(|(start, end)| end - start > 0.3)
        },
    );
    let (samples, rate) = alice.heard();
    let greeting = &samples[..(beep.0 * f64::from(rate)) as usize];
    let loud = greeting.chunks_exact(rate as usize / 25).filter(|part| peak(part) > 1000).count();
    assert!(loud > 25, "the greeting is heard for {:.2} s", loud as f64 / 25.0);
    // So long does alice speak.
    std::thread::sleep(Duration::from_secs(4));
    alice.hang_up();
    let mail = eventually("the mail is written", PATIENCE, || mails(&server.data().join("mail")).pop());
    let sound = server.dir.path().join("message.wav");
    let text = letter(&mail, &sound);
    assert!(text.contains("To: bob@example.org"), "{text}");
    let length: f64 = soxi("-D", &sound).parse().expect("seconds");
    assert!((3.0..9.0).contains(&length), "{length} s");
    let message = wav(&sound);
    unbroken("the message", &message, 700.0, 3.5);
}

fn peak(samples: &[i16]) -> u16 {
    samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default()
}

fn soxi(option: &str, sound: &Path) -> String {
    let output = Command::new("soxi").arg(option).arg(sound).output().expect("sox is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a member of a room hears: for seconds all of `others` at once, and in those moments none of `not`.
fn member_hears(who: &str, (samples, rate): &(Vec<i16>, u32), others: &[f64], not: &[f64]) {
    let windows = samples.chunks_exact((*rate / 25) as usize);
    let settled: Vec<_> =
        windows.filter(|part| others.iter().all(|hz| level(part, *rate, *hz) > LOUD)).collect();
    assert!(settled.len() > 2 * 25, "{who} hears {others:?} together for {} windows of 40 ms", settled.len());
    for hz in not {
        // Tones of members who come and go overlap some.
        let with = settled.iter().filter(|part| level(part, *rate, *hz) > -38.0).count();
        assert!(with * 10 < settled.len(), "{who} hears {hz} Hz in {with} of {} windows", settled.len());
    }
}

/// SEMS-CF-1, SEMS-CF-2, SER-05: in a room of three different phones everyone hears both others and not himself,
/// and nothing of another room.
#[test]
fn three_phones_confer() {
    let server = Server::start("");
    let dir = server.dir.path();
    let (said, elsewhere) = (dir.join("said.wav"), dir.join("elsewhere.wav"));
    tone_file(&said, 2000.0, Duration::from_secs(50));
    let other_room = dialling(&[
        &server.uri("conference2"),
        "--play",
        said.to_str().expect("text"),
        "--record",
        elsewhere.to_str().expect("text"),
        "--for",
        "40s",
    ]);
    let mut alice = Baresip::start(dir, &ALICE, server.udp, "PCMU/8000/1", 700.0);
    let mut bob = Linphone::start(dir, &BOB, server.udp, 900.0);
    let mut carol = Baresip::start(dir, &CAROL, server.udp, "opus/48000/2", 1200.0);
    for call in [&mut alice, &mut carol] {
        call.call(&server.uri("conference"));
    }
    bob.call(&server.uri("conference"));
    let both = |phone: &Baresip, one, other| so_far(phone, one) > 4.0 && so_far(phone, other) > 4.0;
    awaited(
        "everybody hears the others",
        || alice.log() + &carol.log(),
        || (both(&alice, 900.0, 1200.0) && both(&carol, 700.0, 900.0)).then_some(()),
    );
    let (_, rooms) = server.get("/api/v1/rooms");
    assert!(rooms.contains("conference2"), "the other room stands meanwhile: {rooms}");
    bob.hang_up();
    alice.hang_up();
    carol.hang_up();
    member_hears("alice", &alice.heard(), &[900.0, 1200.0], &[700.0, 2000.0]);
    member_hears("bob", &bob.heard(), &[700.0, 1200.0], &[900.0, 2000.0]);
    member_hears("carol", &carol.heard(), &[700.0, 900.0], &[1200.0, 2000.0]);
    let other = hung_up(other_room);
    assert!(other.success, "{other:?}");
    let (samples, rate) = wav(&elsewhere);
    for hz in [700.0, 900.0, 1200.0] {
        let strange = total(&heard(&samples, rate, hz, -30.0));
        assert!(strange < 0.5, "{hz} Hz is heard in the other room for {strange:.2} s");
    }
}
