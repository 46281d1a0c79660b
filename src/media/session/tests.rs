//! Sessions on virtual time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use smallvec::smallvec;

use super::*;
use crate::{
    CodecKind, Direction, OpusParameters,
    analysis::{goertzel, max_step, rms},
    tone::Tone,
};

const TICK: Duration = Duration::from_millis(20);
const PHONE: &str = "192.0.2.1:4000";

fn phone() -> SocketAddr {
    PHONE.parse().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "an instant cannot be made otherwise; the test goes on from it")]
fn start() -> Instant {
    Instant::now()
}

fn negotiated(codec: CodecKind, ptime_ms: u8) -> Negotiated {
    let payload_type = codec.static_pt().unwrap_or(96);
    Negotiated {
        codec,
        payload_type,
        ptime_ms,
        receive: smallvec![(payload_type, codec)],
        dtmf: Some((101, codec.rtp_clock())),
        dtmf_receive: smallvec![(101, codec.rtp_clock())],
        direction: Direction::SendRecv,
        remote: Some(phone()),
        remote_rtcp: Some("192.0.2.1:4001".parse().unwrap()),
        rtcp_mux: false,
        opus: OpusParameters::default(),
    }
}

/// Packets of a tone as a phone would send them, with their times.
fn talk(codec: CodecKind, ptime_ms: u8, seconds: u32, hz: f32) -> Vec<(Duration, Vec<u8>)> {
    let mut session = Session::new(9, &negotiated(codec, ptime_ms));
    let now = start();
    let rate = codec.sample_rate();
    let mut tone = Tone::new(hz, rate, 10_000.0);
    let mut packets = Vec::new();
    for tick in 0..seconds * 50 {
        let at = TICK * tick;
        let frame = Frame::from_samples(&tone.take(rate as usize / 50), rate);
        let mut out = [0; 1500];
        let mut pushed = session.push(now + at, &frame, &mut out);
        while let Some(len) = pushed {
            packets.push((at, out[..len].to_vec()));
            pushed = session.push_rest(now + at, &mut out);
        }
    }
    packets
}

/// What is heard when packets arrive at these times.
fn hear(session: &mut Session, arrivals: &[(Duration, Vec<u8>)], ticks: u32) -> (Vec<i16>, Vec<Pulled>) {
    let now = start();
    let (mut all, mut pulls, mut frame) = (Vec::new(), Vec::new(), Frame::default());
    let mut sorted: Vec<_> = arrivals.to_vec();
    sorted.sort_by_key(|a| a.0);
    let mut next = sorted.iter().peekable();
    for tick in 0..ticks {
        let at = TICK * tick;
        while let Some((time, packet)) = next.next_if(|(time, _)| *time <= at) {
            session.handle_rtp(now + *time, phone(), packet);
        }
        pulls.push(session.pull(now + at, &mut frame));
        all.extend_from_slice(frame.samples());
    }
    (all, pulls)
}

#[test]
fn each_codec_and_packet_time_is_heard_as_it_was_said() {
    for codec in CodecKind::ALL {
        for ptime in [10, 20, 30, 40, 60] {
            if codec == CodecKind::Opus && ptime == 30 {
                continue;
            }
            let packets = talk(codec, ptime, 2, 440.0);
            let (all, pulls) = hear(&mut Session::new(1, &negotiated(codec, ptime)), &packets, 100);
            let rate = codec.sample_rate();
            assert_eq!(all.len(), 2 * rate as usize, "a recording lasts as long as the call");
            let middle = &all[rate as usize / 2..rate as usize * 3 / 2];
            let level = goertzel(middle, rate, 440.0);
            assert!((level + 10.3).abs() < 1.0, "{codec:?} {ptime} ms: {level}");
            assert!(max_step(middle) < 6000 * 8000 / rate as i32, "{codec:?} {ptime}: {}", max_step(middle));
            assert!(pulls[10..95].iter().all(|p| *p == Pulled::Audio), "{codec:?} {ptime} {pulls:?}");
        }
    }
}

#[test]
fn losses_are_concealed_without_clicks_and_keep_the_duration() {
    for codec in CodecKind::ALL {
        let mut packets = talk(codec, 20, 4, 400.0);
        let mut index = 0;
        packets.retain(|_| {
            index += 1;
            index % 10 != 7 && !(100..102).contains(&index)
        });
        let rate = codec.sample_rate();
        let mut session = Session::new(1, &negotiated(codec, 20));
        let (all, pulls) = hear(&mut session, &packets, 200);
        let middle = &all[rate as usize / 2..rate as usize * 7 / 2];
        assert!(goertzel(middle, rate, 400.0) > -12.5, "{codec:?}");
        assert!(max_step(middle) < 7000 * 8000 / rate as i32, "{codec:?}: {}", max_step(middle));
        for chunk in middle.chunks(rate as usize / 25) {
            assert!(rms(chunk) > -24.0, "{codec:?}: a hole");
        }
        assert_eq!(session.stats().lost, 200 - packets.len() as u64, "{codec:?}");
        assert!(pulls.iter().filter(|p| **p == Pulled::Concealed).count() >= 20);
    }
}

#[test]
fn reordered_doubled_and_jittered_packets_are_played_once_in_order() {
    let mut packets = talk(CodecKind::Pcmu, 20, 4, 400.0);
    let mut doubled = Vec::new();
    for (i, (at, packet)) in packets.iter_mut().enumerate() {
        // Up to 35 ms late, in no order.
        *at += Duration::from_millis((i as u64 * 7919) % 36);
        if i % 9 == 0 {
            doubled.push((*at + Duration::from_millis(3), packet.clone()));
        }
    }
    packets.extend(doubled);
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (all, pulls) = hear(&mut session, &packets, 200);
    let steady = &all[8000..31_000];
    assert!(goertzel(steady, 8000, 400.0) > -11.0);
    assert!(max_step(steady) < 6000, "{}", max_step(steady));
    assert!(pulls[50..198].iter().all(|p| *p == Pulled::Audio), "the depth has adapted: {pulls:?}");
    assert_eq!(session.stats().lost, 0);
    assert!(session.stats().duplicate >= 22);
}

#[test]
fn a_clock_that_drifts_neither_clicks_nor_fills_the_buffer() {
    for drift in [-1000i64, 1000] {
        let mut packets = talk(CodecKind::Pcma, 20, 60, 300.0);
        for (at, _) in &mut packets {
            let micros = at.as_micros() as i64;
            *at = Duration::from_micros((micros + micros * drift / 1_000_000 + 9000) as u64);
        }
        let mut session = Session::new(1, &negotiated(CodecKind::Pcma, 20));
        let (all, _) = hear(&mut session, &packets, 2990);
        assert!(max_step(&all[8000..8000 * 59]) < 4500, "{drift}: {}", max_step(&all[8000..8000 * 59]));
        for (i, chunk) in all[8000..8000 * 59].chunks(400).enumerate() {
            assert!(rms(chunk) > -20.0, "{drift}: a hole at {i}");
        }
        assert!(session.stats().depth_ms <= 80, "{drift}: {}", session.stats().depth_ms);
    }
}

#[test]
fn a_stall_of_the_network_ends_in_at_most_200_ms_of_delay() {
    let mut packets = talk(CodecKind::Pcmu, 20, 6, 400.0);
    for (at, _) in &mut packets {
        if (1000..1500).contains(&at.as_millis()) {
            *at = Duration::from_millis(1500);
        }
    }
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (all, _) = hear(&mut session, &packets, 300);
    assert!(session.stats().depth_ms <= 200, "{}", session.stats().depth_ms);
    assert!(goertzel(&all[8000 * 2..8000 * 5], 8000, 400.0) > -11.0);
    assert!(max_step(&all) < 6000, "{}", max_step(&all));
}

#[test]
fn sequence_and_timestamp_run_over() {
    let mut packets = talk(CodecKind::Pcmu, 20, 2, 400.0);
    for (i, (_, packet)) in packets.iter_mut().enumerate() {
        packet[2..4].copy_from_slice(&65_500u16.wrapping_add(i as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::MAX - 8000).wrapping_add(i as u32 * 160).to_be_bytes());
    }
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (all, pulls) = hear(&mut session, &packets, 100);
    assert!(pulls[3..98].iter().all(|p| *p == Pulled::Audio));
    assert!(max_step(&all[800..15_000]) < 3300);
    assert_eq!((session.stats().lost, session.stats().late), (0, 0));
}

#[test]
fn a_sender_that_starts_over_is_heard_again() {
    let mut packets = talk(CodecKind::Pcmu, 20, 3, 400.0);
    for (i, (at, packet)) in packets.iter_mut().enumerate() {
        let sequence = if at.as_millis() < 1000 { 40_000 + i as u16 } else { i as u16 };
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    }
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (all, _) = hear(&mut session, &packets, 150);
    assert!(goertzel(&all[12_000..23_000], 8000, 400.0) > -11.0);
    assert!(session.stats().lost <= 1, "{}", session.stats().lost);
}

#[test]
fn silence_suppression_keeps_the_pauses() {
    let mut packets = talk(CodecKind::Pcmu, 20, 6, 400.0);
    packets.retain(|(at, _)| (at.as_millis() / 1000).is_multiple_of(2));
    // Sequence numbers have no gap where a phone was silent.
    for (i, (_, packet)) in packets.iter_mut().enumerate() {
        packet[2..4].copy_from_slice(&(i as u16).to_be_bytes());
    }
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (all, pulls) = hear(&mut session, &packets, 300);
    for second in 0..6 {
        let level = rms(&all[second * 8000 + 1600..second * 8000 + 7900]);
        assert!(if second % 2 == 0 { level > -15.0 } else { level < -90.0 }, "{second}: {level}");
    }
    assert!(pulls[60..98].iter().all(|p| *p == Pulled::Silence));
    assert_eq!(session.stats().lost, 0);
}

#[test]
fn echo_sends_what_came_at_once_and_counts_its_own_sequence() {
    let packets = talk(CodecKind::Pcmu, 20, 1, 400.0);
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let now = start();
    let mut last: Option<(u16, u32)> = None;
    for (at, packet) in &packets {
        session.handle_rtp(now + *at, phone(), packet);
        let mut out = [0; 1500];
        let len = session.echo(now + *at, &mut out).unwrap();
        assert_eq!(out[12..len], packet[12..]);
        let sent = rtp::read(&out[..len]).unwrap();
        let place = (u16::from(sent.sequence_number()), sent.timestamp());
        if let Some((sequence, timestamp)) = last {
            assert_eq!(place, (sequence.wrapping_add(1), timestamp.wrapping_add(160)));
        }
        last = Some(place);
        assert!(session.echo(now + *at, &mut out).is_none());
    }
    assert_eq!(session.destination(), Some(phone()));
    assert_eq!(session.poll_event(), Some(SessionEvent::Latched(phone())));
}

#[test]
fn echo_answers_in_the_codec_it_hears() {
    let mut agreed = negotiated(CodecKind::Pcmu, 20);
    agreed.receive.push((8, CodecKind::Pcma));
    let mut session = Session::new(1, &agreed);
    let (now, mut out) = (start(), [0; 1500]);
    session.handle_rtp(now, phone(), &talk(CodecKind::Pcma, 20, 1, 400.0)[3].1);
    let len = session.echo(now, &mut out).unwrap();
    assert_eq!(rtp::read(&out[..len]).unwrap().payload_type(), 8);
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() < 2560, "{}", size_of::<Session>());
}

#[test]
fn a_pause_in_sending_moves_the_timestamp_and_sets_the_marker() {
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (now, mut out) = (start(), [0; 1500]);
    let mut send = |at: u64| {
        let len = session
            .push_payload(now + Duration::from_millis(at), &[0xFF; 160], false, 160, &mut out)
            .unwrap();
        let reader = rtp::read(&out[..len]).unwrap();
        (reader.timestamp(), reader.mark())
    };
    let (first, marker) = send(0);
    assert!(marker);
    assert_eq!(send(20), (first.wrapping_add(160), false));
    assert_eq!(send(45), (first.wrapping_add(320), false), "a late tick is no pause");
    assert_eq!(send(1045), (first.wrapping_add(320 + 8000), true));
}

/// Sends digits from one session to another and returns what arrives.
fn dial(digits: &str, sender: &Negotiated, receiver: &Negotiated, lose: impl Fn(usize) -> bool) -> String {
    let (mut a, mut b) = (Session::new(1, sender), Session::new(2, receiver));
    let now = start();
    for digit in digits.chars() {
        assert!(a.send_digit(digit, Duration::from_millis(100)));
    }
    let (mut heard, mut sent, mut done) = (String::new(), 0, 0);
    let mut tone = Tone::new(1000.0, 8000, 3000.0);
    for tick in 0..(digits.len() as u32 * 15 + 20) {
        let (at, mut out, mut frame) = (now + TICK * tick, [0; 1500], Frame::default());
        let sound = Frame::from_samples(&tone.take(160), 8000);
        if let Some(len) = a.push(at, &sound, &mut out) {
            sent += 1;
            if !lose(sent) {
                b.handle_rtp(at, phone(), &out[..len]);
            }
        }
        b.pull(at, &mut frame);
        while let Some(event) = b.poll_event() {
            if let SessionEvent::Digit(digit) = event {
                heard.push(digit);
            }
        }
        done += std::iter::from_fn(|| a.poll_event()).filter(|e| *e == SessionEvent::DigitsSent).count();
    }
    assert_eq!(done, 1, "told once that all were sent");
    heard
}

#[test]
fn digits_travel_as_events_and_as_tones() {
    let all = "1234567890*#ABCD55";
    for codec in CodecKind::ALL {
        let events = negotiated(codec, 20);
        assert_eq!(dial(all, &events, &events, |_| false), all, "{codec:?}");
        assert_eq!(dial(all, &events, &events, |i| i % 3 == 0), all, "{codec:?} with losses");
    }
    for codec in [CodecKind::Pcmu, CodecKind::G722] {
        let mut tones = negotiated(codec, 20);
        tones.dtmf = None;
        tones.dtmf_receive.clear();
        assert_eq!(dial(all, &tones, &tones, |_| false), all, "{codec:?} by tones");
    }
}

#[test]
fn a_digit_by_info_and_by_rtp_is_one() {
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let mut phone_side = Session::new(2, &negotiated(CodecKind::Pcmu, 20));
    let (now, mut out) = (start(), [0; 1500]);
    phone_side.send_digit('7', Duration::from_millis(80));
    let len = phone_side.push_digit(now, &mut out).unwrap();
    session.handle_rtp(now, phone(), &out[..len]);
    session.info_digit(now + TICK, '7');
    session.info_digit(now + TICK, '8');
    session.info_digit(now + TICK, 'x');
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    assert_eq!(events, [SessionEvent::Latched(phone()), SessionEvent::Digit('7'), SessionEvent::Digit('8')]);
}

#[test]
fn a_long_press_whose_info_comes_at_its_end_is_one_digit_and_one_whose_info_comes_first_too() {
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let mut phone_side = Session::new(2, &negotiated(CodecKind::Pcmu, 20));
    let (now, mut out) = (start(), [0; 1500]);
    phone_side.send_digit('7', Duration::from_secs(2));
    let mut press = |session: &mut Session, from: u32, ticks: u32| {
        for tick in from..from + ticks {
            if let Some(len) = phone_side.push_digit(now + TICK * tick, &mut out) {
                session.handle_rtp(now + TICK * tick, phone(), &out[..len]);
            }
        }
        phone_side.send_digit('8', Duration::from_millis(100));
    };
    press(&mut session, 0, 110);
    session.info_digit(now + TICK * 111, '7');
    session.info_digit(now + TICK * 200, '8');
    press(&mut session, 201, 20);
    let digit = |event| if let SessionEvent::Digit(digit) = event { Some(digit) } else { None };
    let digits: String = std::iter::from_fn(|| session.poll_event()).filter_map(digit).collect();
    assert_eq!(digits, "78");
}

#[test]
fn reports_are_a_sign_of_life() {
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let mut phone_side = Session::new(2, &negotiated(CodecKind::Pcmu, 20));
    let (now, mut out) = (start(), [0; 1500]);
    assert_eq!(session.last_heard(), None);
    let len = phone_side.rtcp_bye(now, &mut out).unwrap();
    session.handle_rtcp(now, "203.0.113.9:4001".parse().unwrap(), &out[..len]);
    assert_eq!(session.last_heard(), None, "of a stranger");
    session.handle_rtcp(now + TICK, phone(), &out[..len]);
    assert_eq!(session.last_heard(), Some(now + TICK));
}

#[test]
fn strays_are_not_heard_and_do_not_move_the_destination() {
    let packets = talk(CodecKind::Pcmu, 20, 1, 400.0);
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let now = start();
    session.handle_rtp(now, phone(), &packets[0].1);
    let attacker: SocketAddr = "203.0.113.9:4000".parse().unwrap();
    for (at, packet) in &packets {
        assert_eq!(
            session.handle_rtp(now + *at, attacker, packet),
            RtpVerdict { accepted: None, latched: None }
        );
    }
    assert_eq!(session.destination(), Some(phone()));
    assert_eq!(session.stats().received, 1);
    assert_eq!(session.stats().rejected, 50);
}

#[test]
fn directions_are_kept() {
    let mut held = negotiated(CodecKind::Pcmu, 20);
    held.direction = Direction::RecvOnly;
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    session.reconfigure(&held);
    let (now, mut out) = (start(), [0; 1500]);
    assert_eq!(session.push(now, &Frame::silence(8000), &mut out), None);
    held.direction = Direction::SendOnly;
    session.reconfigure(&held);
    assert!(session.push(now, &Frame::silence(8000), &mut out).is_some());
    let (_, pulls) = hear(&mut session, &talk(CodecKind::Pcmu, 20, 1, 400.0), 50);
    assert!(pulls.iter().all(|p| *p == Pulled::Silence));
}

#[test]
fn a_reinvite_keeps_the_ssrc_and_switches_the_codec() {
    let mut session = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let (now, mut out) = (start(), [0; 1500]);
    let len = session.push(now, &Frame::silence(8000), &mut out).unwrap();
    let before = rtp::read(&out[..len]).unwrap();
    let (ssrc, sequence) = (before.ssrc(), u16::from(before.sequence_number()));
    session.reconfigure(&negotiated(CodecKind::G722, 20));
    let len = session.push(now + TICK, &Frame::silence(8000), &mut out).unwrap();
    let after = rtp::read(&out[..len]).unwrap();
    assert_eq!((after.ssrc(), u16::from(after.sequence_number())), (ssrc, sequence.wrapping_add(1)));
    assert_eq!((after.payload_type(), after.payload().len()), (9, 160));
    let (all, _) = hear(&mut session, &talk(CodecKind::G722, 20, 1, 600.0), 50);
    assert!(goertzel(&all[8000..], 16_000, 600.0) > -12.0);
}

#[test]
fn what_is_relayed_keeps_its_gaps_and_order() {
    let mut packets = talk(CodecKind::Pcmu, 20, 1, 400.0);
    packets.remove(10);
    packets.swap(20, 21);
    let a = Session::new(1, &negotiated(CodecKind::Pcmu, 20));
    let mut to = negotiated(CodecKind::Pcmu, 20);
    to.dtmf = Some((97, 8000));
    let mut b = Session::new(2, &to);
    let (now, mut out) = (start(), [0; 1500]);
    let mut places = Vec::new();
    for (at, packet) in &packets {
        let len = b.relay(now + *at, &a.view(packet).unwrap(), &mut out).unwrap();
        let (sent, came) = (rtp::read(&out[..len]).unwrap(), rtp::read(packet).unwrap());
        assert_eq!(sent.payload(), came.payload());
        places.push((
            u16::from(sent.sequence_number()).wrapping_sub(u16::from(came.sequence_number())),
            sent.timestamp().wrapping_sub(came.timestamp()),
        ));
    }
    assert!(places.iter().all(|p| *p == places[0]), "{places:?}");
    let mut dialler = Session::new(9, &negotiated(CodecKind::Pcmu, 20));
    dialler.send_digit('1', Duration::from_millis(100));
    let mut event = [0; 100];
    let len = dialler.push_digit(now, &mut event).unwrap();
    let len = b.relay(now, &a.view(&event[..len]).unwrap(), &mut out).unwrap();
    assert_eq!(rtp::read(&out[..len]).unwrap().payload_type(), 97);
}

#[test]
fn reports_tell_loss_and_round_trip() {
    let (mut a, mut b) = (
        Session::new(1, &negotiated(CodecKind::Pcmu, 20)),
        Session::new(2, &negotiated(CodecKind::Pcmu, 20)),
    );
    let (now, mut out) = (start(), [0; 1500]);
    let (mut from_a, mut trip) = (0, Duration::from_millis(35));
    for tick in 0..1500u32 {
        let at = now + TICK * tick;
        let len = a.push(at, &Frame::silence(8000), &mut out).unwrap();
        if tick % 4 != 0 {
            b.handle_rtp(at, phone(), &out[..len]);
        }
        if let Some(len) = a.rtcp(at, &mut out) {
            from_a += 1;
            b.handle_rtcp(at + trip, phone(), &out[..len]);
        }
        if let Some(len) = b.rtcp(at, &mut out) {
            a.handle_rtcp(at + trip, phone(), &out[..len]);
        }
    }
    trip *= 2;
    assert!((4..=12).contains(&from_a), "{from_a}");
    let stats = a.stats();
    assert!((stats.rtt_ms.unwrap() - trip.as_secs_f64() * 1000.0).abs() < 2.0, "{:?}", stats.rtt_ms);
    assert!((60..=68).contains(&stats.remote_lost.unwrap()), "{:?}", stats.remote_lost);
    assert!((374..=375).contains(&b.stats().lost), "{}", b.stats().lost);
    let len = a.rtcp_bye(now, &mut out).unwrap();
    b.handle_rtcp(now, phone(), &out[..len]);
    assert!(std::iter::from_fn(|| b.poll_event()).any(|e| e == SessionEvent::Bye));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::with_cases(128)
    })]

    /// Whatever arrives, nothing panics, and each tick gives 20 ms.
    #[test]
    fn no_packets_panic(
        codec in 0..4usize,
        packets in proptest::collection::vec(
            (0..8u8, proptest::prelude::any::<u16>(), proptest::prelude::any::<u32>(),
             proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)),
            1..80,
        ),
    ) {
        let codec = CodecKind::ALL[codec];
        let mut agreed = negotiated(codec, 20);
        agreed.receive.push((111, CodecKind::G722));
        agreed.receive.push((112, CodecKind::Opus));
        agreed.dtmf_receive.clear();
        agreed.dtmf_receive.push((101, 8000));
        let mut session = Session::new(1, &agreed);
        let (now, mut frame, mut out) = (start(), Frame::default(), [0; 1500]);
        for (i, (kind, number, word, bytes)) in packets.iter().enumerate() {
            let at = now + Duration::from_millis(i as u64 * 7);
            let payload_type = [agreed.payload_type, 101, 111, 112, 13, 101, 0, 77][usize::from(*kind)];
            let sequence = if number % 3 == 0 { *number } else { i as u16 };
            let timestamp = if number % 5 == 0 { *word } else { i as u32 * 160 };
            // Now and then with padding, an extension, or contributing sources that are not there.
            let first = if number % 7 == 0 { 0x80 | (word & 0x3F) as u8 } else { 0x80 };
            let mut packet = vec![first, payload_type];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend(7u32.to_be_bytes());
            packet.extend(bytes);
            session.handle_rtp(at, phone(), &packet);
            session.handle_rtp(at, phone(), bytes);
            session.handle_rtcp(at, phone(), bytes);
            let _ = session.view(&packet);
            match number % 4 {
                0 => drop(session.echo(at, &mut out)),
                1 => {
                    if let Some(payload) = session.pull_payload(at) {
                        assert!(payload.bytes.len() <= 1500);
                    }
                }
                _ => {
                    session.pull(at, &mut frame);
                    assert_eq!(frame.samples().len(), frame.rate() as usize / 50);
                }
            }
            session.push(at, &frame, &mut out);
            session.rtcp(at, &mut out);
        }
        let _ = session.stats();
    }
}
