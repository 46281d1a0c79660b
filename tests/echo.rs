//! SEMS-EC-1: whoever dials `echo` hears himself.

mod field;

use std::time::Duration;

use field::{Server, dial, heard, tone_file, wav};

#[test]
fn a_caller_of_echo_hears_himself_in_every_codec() {
    let server = Server::start("");
    let said = server.dir.path().join("said.wav");
    tone_file(&said, 1000.0, Duration::from_secs(1));
    for codec in ["pcmu", "pcma", "g722", "opus"] {
        let got = server.dir.path().join(format!("{codec}.wav"));
        let call = dial(&[
            &server.uri("echo"),
            "--codecs",
            codec,
            "--play",
            said.to_str().expect("text"),
            "--record",
            got.to_str().expect("text"),
            "--for",
            "2s",
        ]);
        assert!(call.success, "{codec}: {call:?}");
        assert_eq!(call.summary["lost"], 0, "{codec}");
        let (samples, rate) = wav(&got);
        let stretches = heard(&samples, rate, 1000.0, -25.0);
        let total: f64 = stretches.iter().map(|(start, end)| end - start).sum();
        assert!((0.9..1.15).contains(&total), "{codec}: heard {stretches:?}");
        assert!(stretches[0].0 < 0.4, "{codec}: comes back late: {stretches:?}");
    }
}
