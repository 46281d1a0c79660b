//! Announcements: once, again and again, and before the answer.

mod field;

use std::time::Duration;

use field::{
    Server,
    line::Line,
    phone::Caller,
    speech::{said, sound_file},
    tone_file,
};
use tempfile::TempDir;

fn server(keys: &str) -> Server {
    let dir = TempDir::new().expect("a temporary folder");
    let path = dir.path().join("news.wav");
    sound_file(&path, &[(900.0, 0.6), (0.0, 0.4)]);
    let route = format!("[[route]]\nuser = \"news\"\napp = \"announcement\"\nfile = {path:?}\n{keys}");
    Server::start_in(dir, &route)
}

/// The shipped route: the welcome is heard whole, once, and the server hangs up.
#[test]
fn once_and_our_bye() {
    let server = Server::start("");
    let quiet = server.dir.path().join("quiet.wav");
    tone_file(&quiet, 300.0, Duration::from_millis(20));
    let heard = Caller::to(&server, "welcome", 60.0, "ear").says(&quiet).call();
    assert_eq!(heard.call.summary["ended_by"], "peer", "{:?} {:?}", heard.call, server.log());
    let at = said(&heard, "welcome");
    assert_eq!(at.len(), 1, "{at:?} of {} s", heard.seconds());
    assert!(at[0] < 0.5, "at once: {at:?}");
}

/// `loop = true`: without a pause, until the caller hangs up.
#[test]
fn again_and_again_until_the_caller_hangs_up() {
    let server = server("loop = true\n");
    let heard = Caller::to(&server, "news", 6.5, "ear").call();
    assert_eq!(heard.call.summary["ended_by"], "us", "{:?} {:?}", heard.call, server.log());
    let stretches = heard.tone(900.0);
    let whole: Vec<_> =
        stretches.iter().filter(|(start, end)| (0.5..0.75).contains(&(end - start))).collect();
    assert!(whole.len() >= 5, "{stretches:?}");
    for pair in stretches.windows(2) {
        assert!((pair[1].0 - pair[0].0 - 1.0).abs() < 0.1, "one second each: {stretches:?}");
    }
}

/// `early = true`: heard before the answer, which never comes; the status is the route's.
#[test]
fn before_the_answer() {
    let server = server("early = true\nstatus = 486\n");
    let mut wire = Line::new(&server, "news");
    let seen = wire.invite();
    assert_eq!((seen.first(), seen.last()), (Some(&100), Some(&486)), "{seen:?} {:?}", server.log());
    assert!(seen.contains(&183) && !seen.contains(&200), "{seen:?}");
    let samples = wire.heard();
    let stretches = field::heard(&samples, 8000, 900.0, -30.0);
    let total: f64 = stretches.iter().map(|(start, end)| end - start).sum();
    assert!((0.55..0.7).contains(&total), "{stretches:?} in {} samples", samples.len());
}
