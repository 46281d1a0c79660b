//! A session asks for memory when it is created, and never else.

use std::time::{Duration, Instant};

use sems_media::{CodecKind, Direction, Frame, Negotiated, OpusParameters, Session, tone::Tone};

fn agreed(codec: CodecKind) -> Negotiated {
    let payload_type = codec.static_pt().unwrap_or(96);
    Negotiated {
        codec,
        payload_type,
        ptime_ms: 20,
        receive: [(payload_type, codec)].into_iter().collect(),
        dtmf: Some((101, 8000)),
        dtmf_receive: [(101, 8000)].into_iter().collect(),
        direction: Direction::SendRecv,
        remote: "192.0.2.1:4000".parse().ok(),
        remote_rtcp: None,
        rtcp_mux: false,
        opus: OpusParameters::default(),
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "an instant cannot be made otherwise; the test goes on from it")]
fn packets_are_heard_and_said_without_asking_for_memory() {
    for codec in CodecKind::ALL {
        let agreed = agreed(codec);
        let (mut phone, mut leg) = (Session::new(1, &agreed), Session::new(2, &agreed));
        let (start, from) = (Instant::now(), agreed.remote.expect("an address"));
        let mut tone = Tone::new(440.0, codec.sample_rate(), 8000.0);
        let (mut said, mut heard) = (Frame::silence(codec.sample_rate()), Frame::default());
        let mut asked = 0;
        for tick in 0..400_u32 {
            let (now, mut packet, mut out) = (start + Duration::from_millis(20) * tick, [0; 1500], [0; 1500]);
            tone.fill(said.samples_mut());
            let length = phone.push(now, &said, &mut packet).expect("a packet");
            // Every tenth is lost, and concealed.
            let arrives = tick % 10 != 9;
            let info = allocation_counter::measure(|| {
                if arrives {
                    leg.handle_rtp(now, from, &packet[..length]);
                }
                leg.pull(now, &mut heard);
                assert!(leg.push(now, &heard, &mut out).is_some());
                leg.rtcp(now, &mut out);
                while leg.poll_event().is_some() {}
            });
            asked += if tick < 100 { 0 } else { info.count_total };
        }
        assert_eq!(asked, 0, "{codec:?}");
    }
}
