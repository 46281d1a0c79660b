//! Offers and answers, of real phones and of made-up ones.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const BARESIP: &str = "v=0\r\no=- 3957 811 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=tool:baresip 3.5.0\r\nm=audio 10002 RTP/AVP 96 9 0 8 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1;sprop-stereo=1;maxaveragebitrate=24000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:10003\r\na=sendrecv\r\na=label:1\r\na=rtcp-rsize\r\na=ssrc:2 cname:sip:a@example.com\r\na=ptime:20\r\n";
const LINPHONE: &str = "v=0\r\no=alice 2344 3101 IN IP4 192.0.2.2\r\ns=Talk\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\na=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\na=record:off\r\nm=audio 7078 RTP/AVPF 96 97 98 0 8 101 99 100\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:97 speex/16000\r\na=fmtp:97 vbr=on\r\na=rtpmap:98 speex/8000\r\na=fmtp:98 vbr=on\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:99 telephone-event/16000\r\na=rtpmap:100 telephone-event/8000\r\na=rtcp-fb:* trr-int 1000\r\na=rtcp-fb:* ccm tmmbr\r\nm=video 9078 RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
const SIPP: &str = "v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
const ASTERISK: &str = "v=0\r\no=- 1337 1337 IN IP4 192.0.2.3\r\ns=Asterisk\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\nm=audio 14566 RTP/AVP 8 0 3 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:3 GSM/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=maxptime:150\r\na=sendrecv\r\n";
const BROWSER: &str = "v=0\r\no=- 46117 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:126 telephone-event/8000\r\n";

fn local(codecs: &[CodecKind]) -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([198, 51, 100, 7]),
        port: 20_000,
        rtcp_mux: true,
        session_id: 77,
        version: 1,
        capabilities: Capabilities { codecs: codecs.to_vec(), dtmf: true, ptime: 20 },
    }
}

fn ours() -> LocalMedia {
    local(&CodecKind::ALL)
}

fn answered(offer: &str) -> Result<(Negotiated, String), NegotiationError> {
    let (negotiated, text) = answer(offer.as_bytes(), &ours(), Direction::SendRecv, None)?;
    Ok((negotiated, String::from_utf8(text.to_vec()).unwrap()))
}

/// An offer with these lines after those of the session.
fn with(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{lines}")
}

#[test]
fn phones_are_answered() {
    let (n, text) = answered(BARESIP).unwrap();
    assert_eq!((n.codec, n.payload_type, n.ptime_ms), (CodecKind::Pcmu, 0, 20));
    assert_eq!(
        n.receive[..],
        [(0, CodecKind::Pcmu), (8, CodecKind::Pcma), (9, CodecKind::G722), (96, CodecKind::Opus)]
    );
    assert_eq!((n.dtmf, n.remote_rtcp), (Some((101, 8000)), Some("192.0.2.1:10003".parse().unwrap())));
    assert_eq!((n.opus.max_average_bitrate, n.opus.fec), (Some(24_000), false));
    assert!(text.contains("m=audio 20000 RTP/AVP 0 8 9 96 101\r\n"), "{text}");
    assert!(text.contains("o=- 77 1 IN IP4 198.51.100.7\r\n"), "{text}");
    assert!(!text.contains("rtcp-mux"), "not offered");

    let (n, text) = answered(LINPHONE).unwrap();
    assert_eq!(n.dtmf, Some((100, 8000)), "the clock of the codec");
    assert!(text.contains("m=audio 20000 RTP/AVPF 0 8 96 100 101 99\r\n"), "{text}");
    assert!(text.contains("m=video 0 RTP/AVPF 96\r\n"), "{text}");

    let (n, _) = answered(SIPP).unwrap();
    assert_eq!((n.dtmf, n.dtmf_receive.len()), (None, 0));
    assert_eq!(n.remote, Some("127.0.0.1:6000".parse().unwrap()));

    let (n, text) = answered(ASTERISK).unwrap();
    assert_eq!(n.codec, CodecKind::Pcmu, "our order");
    assert!(text.contains("RTP/AVP 0 8 101\r\n"));
}

#[test]
fn a_preferred_codec_goes_first_and_opus_gets_its_clock() {
    let (n, text) = answer(LINPHONE.as_bytes(), &ours(), Direction::SendRecv, Some(CodecKind::Opus)).unwrap();
    assert_eq!((n.codec, n.payload_type, n.dtmf), (CodecKind::Opus, 96, Some((101, 48_000))));
    assert!(n.opus.fec);
    assert!(String::from_utf8_lossy(&text).contains("RTP/AVPF 96 0 8 101 "));
    let none = answer(SIPP.as_bytes(), &local(&[CodecKind::Opus]), Direction::SendRecv, None);
    assert_eq!(none.unwrap_err(), NegotiationError::NoCommonCodec);
}

#[test]
fn what_cannot_be_served_is_refused_with_its_status() {
    let cases = [
        (BROWSER.to_owned(), 488),
        (with("m=audio 4000 RTP/SAVP 0\r\n"), 488),
        (with("m=audio 4000 RTP/AVP 18\r\n"), 488),
        (with("m=audio 0 RTP/AVP 0\r\n"), 488),
        (with("m=image 4000 udptl t38\r\n"), 488),
        (with(""), 488),
        (with("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\n"), 488),
        (String::new(), 400),
        ("nonsense".to_owned(), 400),
    ];
    for (offer, status) in cases {
        let error = answered(&offer).unwrap_err();
        assert_eq!(error.status(), status, "{offer}: {error}");
    }
}

#[test]
fn hold_in_all_its_forms() {
    use Direction::*;
    let cases = [
        ("a=sendonly\r\n", RecvOnly, true),
        ("a=recvonly\r\n", SendOnly, true),
        ("a=inactive\r\n", Inactive, true),
        ("a=sendrecv\r\n", SendRecv, true),
        ("", SendRecv, true),
        ("c=IN IP4 0.0.0.0\r\n", RecvOnly, false),
        ("c=IN IP4 0.0.0.0\r\na=inactive\r\n", Inactive, false),
    ];
    for (lines, expected, reachable) in cases {
        let (n, text) = answered(&with(&format!("m=audio 4000 RTP/AVP 0\r\n{lines}"))).unwrap();
        assert_eq!((n.direction, n.remote.is_some()), (expected, reachable), "{lines}");
        assert!(text.contains(&format!("a={}\r\n", expected.as_str())), "{text}");
    }
    let session_level = with("a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert_eq!(answered(&session_level).unwrap().0.direction, RecvOnly);
    let overridden = with("a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n");
    assert_eq!(answered(&overridden).unwrap().0.direction, SendRecv);
    let wish = answer(SIPP.as_bytes(), &ours(), SendOnly, None).unwrap();
    assert_eq!(wish.0.direction, SendOnly);
}

#[test]
fn packet_times() {
    for (lines, expected) in [
        ("a=ptime:30\r\n", 30),
        ("a=ptime:10\r\n", 10),
        ("a=ptime:25\r\n", 20),
        ("a=ptime:200\r\n", 60),
        ("a=ptime:5\r\n", 10),
        ("a=maxptime:10\r\n", 10),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
        ("a=ptime:x\r\n", 20),
    ] {
        let (n, _) = answered(&with(&format!("m=audio 4000 RTP/AVP 0\r\n{lines}"))).unwrap();
        assert_eq!(n.ptime_ms, expected, "{lines}");
    }
}

#[test]
fn static_types_ipv6_mux_and_rtcp() {
    let (n, text) = answered(&with("m=audio 4000 RTP/AVP 0 8 9 13\r\na=rtcp-mux\r\n")).unwrap();
    assert_eq!(n.receive.len(), 3);
    assert!(n.rtcp_mux && n.remote_rtcp == n.remote && text.contains("a=rtcp-mux\r\n"));
    let (n, _) = answered(&with("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n")).unwrap();
    assert_eq!(n.remote, Some("[2001:db8::1]:4000".parse().unwrap()));
    assert_eq!(n.remote_rtcp, Some("[2001:db8::1]:4001".parse().unwrap()));
    let (n, _) = answered(&with("m=audio 4000 RTP/AVP 0\r\na=rtcp:53020 IN IP4 192.0.2.44\r\n")).unwrap();
    assert_eq!(n.remote_rtcp, Some("192.0.2.44:53020".parse().unwrap()));
    let mut six = ours();
    six.address = "2001:db8::7".parse().unwrap();
    let text = offer(&six, None, Direction::SendRecv);
    assert!(String::from_utf8_lossy(&text).contains("c=IN IP6 2001:db8::7\r\n"));
    // A second stream of sound is refused, the first one that we can serve taken.
    let two = with("m=audio 4000 RTP/SAVP 0\r\nm=audio 5000 RTP/AVP 8\r\nm=audio 6000 RTP/AVP 0\r\n");
    let (n, text) = answered(&two).unwrap();
    assert_eq!(n.remote.unwrap().port(), 5000);
    assert!(text.contains("m=audio 0 RTP/SAVP 0\r\n") && text.contains("m=audio 0 RTP/AVP 0\r\n"), "{text}");
}

#[test]
fn our_offer_and_an_answer_of_ours_agree() {
    for codec in CodecKind::ALL {
        let (a, b) = (ours(), ours());
        let offered = offer(&a, Some(&[codec]), Direction::SendRecv);
        let (theirs, text) = answer(&offered, &b, Direction::SendRecv, Some(codec)).unwrap();
        let mine = accept(&text, &a).unwrap();
        assert_eq!((mine.codec, theirs.codec), (codec, codec));
        assert_eq!(mine.payload_type, theirs.payload_type);
        assert_eq!(mine.dtmf, theirs.dtmf);
        assert_eq!(mine.dtmf.unwrap().1, codec.rtp_clock());
        assert!(mine.rtcp_mux && theirs.rtcp_mux);
        assert!(mine.receive.contains(&(theirs.payload_type, codec)));
    }
}

#[test]
fn answers_are_taken_with_their_own_numbers() {
    let text = with(
        "m=audio 4000 RTP/AVP 120 100\r\na=rtpmap:120 opus/48000/2\r\na=rtpmap:100 telephone-event/48000\r\n",
    );
    let n = accept(text.as_bytes(), &ours()).unwrap();
    assert_eq!((n.payload_type, n.dtmf), (120, Some((100, 48_000))));
    assert!(n.receive.contains(&(96, CodecKind::Opus)) && n.dtmf_receive.contains(&(102, 48_000)));
    let held = with("m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n");
    assert_eq!(accept(held.as_bytes(), &ours()).unwrap().direction, Direction::SendOnly);
    let no = with("m=audio 0 RTP/AVP 0\r\n");
    assert_eq!(accept(no.as_bytes(), &ours()).unwrap_err(), NegotiationError::NoAudio);
    let foreign = with("m=audio 4000 RTP/AVP 0\r\n");
    let error = accept(foreign.as_bytes(), &local(&[CodecKind::Pcma])).unwrap_err();
    assert_eq!(error, NegotiationError::NoCommonCodec);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = answer(&bytes, &ours(), Direction::SendRecv, None);
        let _ = accept(&bytes, &ours());
    }

    #[test]
    fn no_damaged_description_panics(
        which in 0..5usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut text = [BARESIP, LINPHONE, SIPP, ASTERISK, BROWSER][which].as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        if let Ok((negotiated, text)) = answer(&text, &ours(), Direction::SendRecv, None) {
            prop_assert!(sdp::parse(&text).is_ok());
            prop_assert!(!negotiated.receive.is_empty());
            let _ = crate::Session::new(1, &negotiated);
        }
        let _ = accept(&text, &ours());
    }
}
