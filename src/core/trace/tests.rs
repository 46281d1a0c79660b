use super::*;

fn flow(remote: &str) -> Flow {
    Flow::udp("192.0.2.9:5060".parse().expect("an address"), remote.parse().expect("an address"))
}

fn message(trace: &mut Trace, sent: bool, first: &str, call_id: &str, more: &str) {
    let text = format!("{first}\r\nVia: x\r\nCall-ID: {call_id}\r\n{more}\r\n");
    trace.message(&flow("198.51.100.7:5060"), sent, &Bytes::from(text));
}

fn first_lines(trace: &Trace, name: &str) -> Vec<String> {
    let found = find(&trace.entries(), name);
    found.iter().map(|message| message.text.lines().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_call_is_found_by_its_name_with_all_its_legs() {
    let mut trace = Trace::new(1 << 20);
    let id = CallId("00aa".into());
    let leg = Trace::leg_id(&id);
    message(&mut trace, false, "INVITE sip:bob@x SIP/2.0", "their@phone", "");
    trace.call(&id, "their@phone");
    message(&mut trace, true, "INVITE sip:bob@198.51.100.8 SIP/2.0", &leg, "");
    message(&mut trace, false, "INVITE sip:carol@x SIP/2.0", "another@phone", "");
    trace.message(
        &flow("198.51.100.8:5062"),
        false,
        &Bytes::from(format!("SIP/2.0 180 Ringing\ni:  {leg}\n\n")),
    );
    message(&mut trace, true, "SIP/2.0 180 Ringing", "their@phone", "");
    let all = [
        "INVITE sip:bob@x SIP/2.0",
        "INVITE sip:bob@198.51.100.8 SIP/2.0",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 180 Ringing",
    ];
    assert_eq!(first_lines(&trace, "00aa"), all);
    assert_eq!(first_lines(&trace, "their@phone"), all);
    assert_eq!(first_lines(&trace, &leg), all[1..3]);
    assert!(first_lines(&trace, "00a").is_empty() && first_lines(&trace, "").is_empty());
    let found = find(&trace.entries(), "00aa");
    let way = (found[0].sent, found[0].local.as_str(), found[0].remote.as_str(), found[0].transport.as_str());
    assert_eq!(way, (false, "192.0.2.9:5060", "198.51.100.7:5060", "udp"));
}

#[test]
fn the_oldest_are_forgotten_first_and_the_size_is_kept() {
    let mut trace = Trace::new(10_000);
    for number in 0..1000 {
        message(&mut trace, true, "OPTIONS sip:x SIP/2.0", &format!("number-{number}"), "");
    }
    assert!(trace.size <= 10_000 && trace.size > 9_000);
    assert!(first_lines(&trace, "number-900").is_empty());
    assert_eq!(first_lines(&trace, "number-999").len(), 1);
    let mut nothing = Trace::new(0);
    message(&mut nothing, true, "OPTIONS sip:x SIP/2.0", "a", "");
    assert!(nothing.entries().is_empty());
}

#[test]
fn an_answer_to_a_challenge_is_not_shown_however_it_is_written() {
    for line in [
        "Proxy-Authorization: Digest username=\"alice\", response=\"0123abcd\", uri=\"sip:x\"",
        "Authorization: Digest username=\"alice\",\r\n response=\"0123abcd\", uri=\"sip:x\"",
        "authorization : DIGEST Response = \"0123abcd\" , username=\"alice\", uri=\"sip:x\"",
        "Authorization: Digest response=0123abcd,username=\"alice\", uri=\"sip:x\"",
        "Authorization: Digest username=\"alice\", response=\"0123abcd\", Digest uri=\"sip:x\", response=\"0123abcd\"",
    ] {
        let mut trace = Trace::new(10_000);
        message(&mut trace, false, "INVITE sip:x SIP/2.0", "a", &format!("{line}\r\n"));
        let text = &find(&trace.entries(), "a")[0].text;
        assert!(!text.contains("0123abcd") && text.contains("(hidden)"), "{text}");
        assert!(text.contains("username=\"alice\"") && text.contains("uri=\"sip:x\""), "{text}");
    }
}

#[test]
fn tokens_digits_and_keys_of_media_are_not_shown() {
    for (lines, secret) in [
        ("Authorization: Bearer 0123abcd\r\n", "0123abcd"),
        ("Content-Type: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=100\r\n", "Signal"),
        ("c: application/dtmf\r\n\r\n5", "\r\n5"),
        (
            "c: application/sdp\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\n",
            "c2VjcmV0",
        ),
    ] {
        let mut trace = Trace::new(10_000);
        message(&mut trace, false, "INFO sip:x SIP/2.0", "a", lines);
        let text = &find(&trace.entries(), "a")[0].text;
        assert!(!text.contains(secret) && text.contains("(hidden)"), "{text}");
    }
}
