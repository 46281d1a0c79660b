//! Voicemail as its caller and its owner have it: greeting, beep, a message, a mail.

mod field;

use std::time::Duration;

use field::{
    Server, eventually,
    line::Line,
    mail::{MailServer, letters, read, soxi},
    phone::{Caller, Heard},
    rows::{count, rows},
    speech::{assert_whole, loud, said, sound_file},
    tone_file, wav,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// The greeting of these tests.
const GREETING: f64 = 700.0;

/// A server whose greeting is half a second of 700 Hz; `keys` go to `[plugins.voicemail]`, `extra` are more tables.
fn server(keys: &str, extra: &str) -> Server {
    trusting("", keys, extra)
}

/// The same with keys of `[sip]`.
fn trusting(sip: &str, keys: &str, extra: &str) -> Server {
    let dir = TempDir::new().expect("a temporary folder");
    tone_file(&dir.path().join("greeting.wav"), GREETING as f32, Duration::from_millis(500));
    let plugin =
        format!("[plugins.voicemail]\ngreeting = {:?}\n{keys}\n{extra}", dir.path().join("greeting.wav"));
    Server::start_with(dir, sip, &plugin)
}

/// A file to be said: silence while the greeting and the beep are heard, then a tone.
fn phrase(server: &Server, hz: f32, seconds: f64) -> std::path::PathBuf {
    let path = server.dir.path().join(format!("phrase-{hz}-{seconds}.wav"));
    sound_file(&path, &[(0.0, 2.0), (hz, seconds)]);
    path
}

/// The end of the beep after the greeting, in seconds.
fn beep(heard: &Heard) -> f64 {
    // Where one tone begins, others sound for a moment.
    let long = |hz| heard.tone(hz).into_iter().find(|(start, end)| end - start > 0.2);
    let (Some(greeting), Some(beep)) = (long(GREETING), long(440.0)) else {
        panic!("greeting {:?}, beep {:?}", heard.tone(GREETING), heard.tone(440.0));
    };
    assert!(beep.0 >= greeting.1 - 0.05, "the beep comes after the greeting: {greeting:?} {beep:?}");
    assert!((0.35..0.5).contains(&(beep.1 - beep.0)), "400 ms: {beep:?}");
    beep.1
}

fn messages(server: &Server) -> u64 {
    count(&server.data(), "SELECT COUNT(*) FROM message")
}

fn missed(server: &Server) -> u64 {
    count(&server.data(), "SELECT COUNT(*) FROM missed_call")
}

/// The only recording.
fn recording(server: &Server) -> std::path::PathBuf {
    let entries = std::fs::read_dir(server.data().join("recordings")).expect("recordings");
    let all: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// SEMS-VM-1, SEMS-VM-2, SEMS-VM-4: alice is offline; the caller hears greeting and beep, speaks and hangs up. The
/// mail reaches a real server and holds all that was said, as loud as it was, without a gap.
#[test]
fn a_message_left_for_somebody_offline_arrives_by_mail_whole() {
    let mail = MailServer::start();
    let server = server("", &format!("[mail]\ntransport = \"smtp://127.0.0.1:{}\"", mail.port));
    let heard = Caller::to(&server, "alice", 7.0, "ear")
        .says(&phrase(&server, 1000.0, 4.0))
        .from("sip:5551234@phones.example")
        .call();
    assert!(heard.call.success, "{:?} {:?}", heard.call, server.log());
    let beep = beep(&heard);
    let letter = read(&mail.mail(1));
    for line in ["To: alice@example.org", "From: Voicemail <voicemail@localhost>", "5551234", "audio/wav"] {
        assert!(letter.text.contains(line), "{line} is missing in {}", letter.text);
    }
    assert_eq!(soxi("-c", &letter.sound), "1");
    let length: f64 = soxi("-D", &letter.sound).parse().expect("seconds");
    let (samples, rate) = wav(&letter.sound);
    let (begin, end, _) = loud(&samples, rate);
    assert_whole("mail", &samples, rate, 4.0, heard.late());
    assert!(
        (begin - (2.0 - beep)).abs() < 0.1 + heard.late(),
        "the recording begins with the beep: {begin}, beep until {beep}"
    );
    let tail = length - end;
    assert!((0.75..1.3).contains(&tail), "a second of silence stays: {tail}");
    let tone = &samples[((begin + 0.2) * f64::from(rate)) as usize..((end - 0.2) * f64::from(rate)) as usize];
    let level = field::level(tone, rate, 1000.0);
    assert!((level + 10.0).abs() < 1.0, "said at -10 dB, recorded at {level}");
    let row = &rows(&server.data(), "SELECT mailbox, caller, duration, mode, hidden FROM message")[0];
    assert_eq!(row[0], "alice@localhost");
    assert!(row[1].as_str().is_some_and(|caller| caller.contains("5551234@phones.example")), "{row:?}");
    assert!((row[2].as_f64().expect("ms") - length * 1000.0).abs() < 20.0, "{row:?}, {length} s");
    assert_eq!((&row[3], &row[4]), (&"both".into(), &0.into()));
    eventually("the mail job is done", PATIENCE, || {
        (rows(&server.data(), "SELECT state FROM mail_job") == [["sent"]]).then_some(())
    });
}

/// SEMS-VM-2: the caller hangs up while he speaks; nothing of it is lost in any codec.
#[test]
fn a_hang_up_in_the_middle_of_a_word_loses_nothing() {
    let server = server("mode = \"box\"", "");
    for (number, codec) in ["pcmu", "g722", "opus"].into_iter().enumerate() {
        let heard =
            Caller::to(&server, "alice", 5.0, codec).codec(codec).says(&phrase(&server, 1000.0, 60.0)).call();
        assert!(heard.call.success, "{codec}: {:?}", heard.call);
        eventually("the message", PATIENCE, || (messages(&server) == number as u64 + 1).then_some(()));
        let id = rows(&server.data(), "SELECT id FROM message ORDER BY received DESC")[0][0].clone();
        let file = server.data().join(format!("recordings/{}.wav", id.as_str().expect("text")));
        let (samples, rate) = wav(&file);
        assert_whole(codec, &samples, rate, heard.seconds() - 2.0, heard.late());
        let (_, end, _) = loud(&samples, rate);
        assert!(samples.len() as f64 / f64::from(rate) - end < 0.1, "{codec}: silence behind the hang-up");
    }
}

/// SEMS-VM-5, and the law of `DESIGN`: a message is durable before the 200 of its BYE. The server dies the moment
/// that the 200 is there.
#[test]
fn the_message_is_committed_before_the_bye_is_answered() {
    let server = server("mode = \"box\"", "");
    let mut wire = Line::new(&server, "alice");
    let seen = wire.invite();
    assert_eq!((seen.first(), seen.last()), (Some(&100), Some(&200)), "{seen:?}");
    assert!(seen[..seen.len() - 1].iter().all(|status| *status < 200), "{seen:?}");
    wire.say(Duration::from_secs(5));
    assert!(wire.received.len() > 40, "RTP both ways: {}", wire.received.len());
    assert_eq!(wire.bye(), 200);
    let dir = server.kill();
    let data = dir.path().join("var");
    let kept = rows(&data, "SELECT duration FROM message");
    assert_eq!(kept.len(), 1, "one message: {kept:?}");
    let length = kept[0][0].as_f64().expect("ms");
    assert!(
        (2000.0..4700.0).contains(&length),
        "5 s less greeting and beep, which come late on a busy machine: {length} ms"
    );
    let recordings = std::fs::read_dir(data.join("recordings")).expect("recordings").count();
    assert_eq!(recordings, 1);
}

/// SEMS-VM-5: a trusted peer's request URI names the mailbox; Diversion counts only where it names none.
#[test]
fn the_mailbox_of_the_request_uri_wins_over_diversion() {
    let server = trusting("trusted = [\"127.0.0.1\"]", "mode = \"box\"", "");
    for (called, owner) in [("alice", "alice@localhost"), ("voicemail", "bob@localhost")] {
        let diverted = Line::new(&server, called).with("Diversion: <sip:bob@localhost>;reason=no-answer");
        let mut wire = diverted.with("P-App-Name: voicemail");
        wire.invite();
        wire.say(Duration::from_secs(5));
        assert_eq!(wire.bye(), 200, "{called}: {}", wire.last);
        let owners = rows(&server.data(), "SELECT mailbox FROM message ORDER BY received DESC");
        assert_eq!(owners[0][0], owner, "called as {called}");
    }
}

/// SEMS-VM-3: the limit ends the message; a beep warns 5 s before, a word follows, then our BYE.
#[test]
fn the_limit_warns_says_so_and_hangs_up() {
    let server = server("max_duration = \"10s\"\nsilence = \"0s\"", "");
    let heard = Caller::to(&server, "alice", 60.0, "ear").says(&phrase(&server, 1000.0, 60.0)).call();
    assert_eq!(heard.call.summary["ended_by"], "peer", "{:?}", heard.call);
    let end = beep(&heard);
    let beeps = heard.tone(1400.0);
    let warning =
        beeps.iter().find(|(at, _)| *at > end + 0.2).unwrap_or_else(|| panic!("no warning: {beeps:?}"));
    assert!((warning.0 - end - 5.0).abs() < 0.5, "5 s before the end: {beeps:?}, beep until {end}");
    let notice = said(&heard, "vm/saved");
    assert_eq!(notice.len(), 1, "one notice: {notice:?} of {}", heard.seconds());
    assert!((notice[0] - end - 10.0).abs() < 1.5, "after 10 s: {notice:?}, beep until {end}");
    assert_eq!(messages(&server), 1);
    let (samples, rate) = wav(&recording(&server));
    let length = samples.len() as f64 / f64::from(rate);
    assert!((length - 10.0).abs() < 0.03, "{length}");
    let (begin, end, gap) = loud(&samples, rate);
    assert!(
        end > 9.9 && gap < 0.03 + heard.late(),
        "from {begin} to {end}, a gap of {gap}: the warning makes no hole"
    );
    let warned = field::heard(&samples, rate, 1400.0, -30.0);
    assert!(warned.is_empty(), "the warning is not in the message: {warned:?}");
}

/// `#` and silence end a message: the same word, the same BYE of ours.
#[test]
fn pound_and_silence_end_a_message() {
    let server = server("silence = \"2s\"\nmode = \"box\"", "");
    // The first `,` begins half a second after the answer.
    let pound = Caller::to(&server, "alice", 60.0, "pound")
        .says(&phrase(&server, 1000.0, 60.0))
        .presses(",,,,,,,,,#")
        .call();
    assert_eq!(pound.call.summary["ended_by"], "peer", "{:?}", pound.call);
    assert_eq!(said(&pound, "vm/saved").len(), 1);
    let (samples, rate) = wav(&recording(&server));
    let (begin, end, _) = loud(&samples, rate);
    assert!((2.0..4.5).contains(&(end - begin)), "until the key: {begin} to {end}");

    let silence = Caller::to(&server, "bob", 60.0, "silence").says(&phrase(&server, 1000.0, 3.0)).call();
    assert_eq!(silence.call.summary["ended_by"], "peer", "{:?}", silence.call);
    let notice = said(&silence, "vm/saved");
    assert_eq!(notice.len(), 1);
    assert!((7.0..8.5).contains(&notice[0]), "2 s behind the last word, which was at 5 s: {notice:?}");
    let row = &rows(&server.data(), "SELECT duration FROM message WHERE mailbox = 'bob@localhost'")[0];
    let length = row[0].as_f64().expect("ms");
    assert!((4500.0..5600.0).contains(&length), "one second of the silence stays: {length} ms");
    assert_eq!(messages(&server), 2);
}

/// SEMS-VM-1: who hangs up before the beep, or says less than two seconds, was a missed call and left no message.
#[test]
fn a_hang_up_before_the_beep_and_a_short_word_are_missed_calls() {
    let server = Server::start("");
    // The usual greeting takes seconds.
    let early = Caller::to(&server, "alice", 2.0, "early").call();
    assert!(early.call.success, "{:?}", early.call);
    eventually("a missed call", PATIENCE, || (missed(&server) == 1).then_some(()));
    // `#` skips the greeting.
    let skipped = Caller::to(&server, "alice", 2.2, "skipped").presses("#").call();
    assert!(skipped.call.success, "{:?}", skipped.call);
    let beep = skipped.tone(440.0);
    assert!(beep.first().is_some_and(|(at, _)| *at < 1.6), "`#` skips the greeting: {beep:?}");
    eventually("two missed calls", PATIENCE, || (missed(&server) == 2).then_some(()));
    assert_eq!(messages(&server), 0);
    assert_eq!(std::fs::read_dir(server.data().join("recordings")).expect("a folder").count(), 0);
    assert_eq!(std::fs::read_dir(server.data().join("spool")).expect("a folder").count(), 0);
    assert!(letters(&server.data().join("mail")).is_empty());
    let caller = rows(&server.data(), "SELECT mailbox FROM missed_call");
    assert!(caller.iter().all(|row| row[0] == "alice@localhost"), "{caller:?}");
}

/// SEMS-X3: mail only, box only, both, and announcement only, each by its route; `mailbox` names the owner.
#[test]
fn modes_and_mailboxes_by_route() {
    let route = |user: &str, mode: &str| {
        format!("[[route]]\nuser = \"{user}\"\napp = \"voicemail\"\nmailbox = \"alice\"\nmode = \"{mode}\"\n")
    };
    let routes: String =
        ["mail", "box", "both", "announce"].map(|mode| route(&format!("vm-{mode}"), mode)).concat();
    let server = server("", &routes);
    let phrase = phrase(&server, 1000.0, 2.0);
    let callers = ["mail", "box", "both", "announce"].map(|mode| {
        let caller = Caller::to(&server, &format!("vm-{mode}"), 5.0, mode).says(&phrase);
        (mode, caller.start(), caller)
    });
    for (mode, program, caller) in callers {
        let heard = caller.end(program);
        assert!(heard.call.success, "{mode}: {:?}", heard.call);
        assert!(!heard.tone(GREETING).is_empty(), "{mode}: no greeting");
        if mode == "announce" {
            assert_eq!(heard.call.summary["ended_by"], "peer", "{:?}", heard.call);
            assert!(heard.tone(440.0).is_empty(), "no beep where nothing is recorded");
        }
    }
    let folder = server.data().join("mail");
    eventually("two mails", PATIENCE, || (letters(&folder).len() == 2).then_some(()));
    for letter in letters(&folder) {
        let read = read(&letter);
        assert!(read.text.contains("To: alice@example.org"), "{}", read.text);
        let length: f64 = soxi("-D", &read.sound).parse().expect("seconds");
        assert!(length > 2.0, "{length}");
    }
    // The message of mode mail goes when its mail is gone.
    eventually("the mailed message is out of the box", PATIENCE, || {
        let seen = rows(
            &server.data(),
            "SELECT mode FROM message WHERE mailbox = 'alice@localhost' AND NOT hidden AND deleted_at IS NULL \
             ORDER BY mode",
        );
        (seen == [["both"], ["box"]]).then_some(())
    });
    assert_eq!(missed(&server), 1, "the announcement");
}

/// SEMS-VM-2: `kill -9` in the middle of a word. After the next start the message is there, up to its last second,
/// and mailed.
#[test]
fn a_recording_survives_kill_9_up_to_its_last_second() {
    let server = server("", "");
    let caller = Caller::to(&server, "alice", 30.0, "ear").says(&phrase(&server, 1000.0, 60.0));
    let _program = caller.start();
    let spool = server.data().join("spool");
    let take = eventually("a recording", PATIENCE, || {
        let paths = std::fs::read_dir(&spool).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        paths.into_iter().find(|path| path.extension().is_some_and(|end| end == "wav"))
    });
    let begun = std::time::Instant::now();
    // Long enough that the limit of a second means something.
    eventually("6 s of sound", PATIENCE, || (begun.elapsed() > Duration::from_secs(6)).then_some(()));
    let length = begun.elapsed().as_secs_f64();
    let dir = server.kill();
    assert!(take.is_file(), "nothing tidied up");
    let text = std::fs::read_to_string(dir.path().join("sems.toml")).expect("the configuration");
    let plugin = text[text.find("[plugins.voicemail]").expect("the plugin")..].to_owned();
    let server = Server::start_in(dir, &plugin);
    assert_eq!(messages(&server), 1, "{:?}", server.log());
    let (samples, rate) = wav(&recording(&server));
    let kept = samples.len() as f64 / f64::from(rate);
    assert!((length - 1.0..length + 0.2).contains(&kept), "recorded for {length} s, {kept} s kept");
    let (begin, end, gap) = loud(&samples, rate);
    assert!(kept - end < 0.02 && gap < 0.2, "loud from {begin} to {end} of {kept}, gap {gap}");
    let folder = server.data().join("mail");
    eventually("the mail", PATIENCE, || (letters(&folder).len() == 1).then_some(()));
    let letter = read(&letters(&folder)[0]);
    let mailed: f64 = soxi("-D", &letter.sound).parse().expect("seconds");
    assert!((mailed - kept).abs() < 0.01, "{mailed} s mailed of {kept}");
    assert_eq!(std::fs::read_dir(server.data().join("spool")).expect("spool").count(), 0);
}
