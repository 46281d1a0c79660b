//! What each stage of the media path costs.

use std::{
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use sems_media::{
    CodecKind, Decoder, Direction, Encoder, Frame, Mixer, Negotiated, OpusParameters, Resampler, Session,
    tone::Tone,
};

const TICK: Duration = Duration::from_millis(20);

fn phone() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4000))
}

fn negotiated(codec: CodecKind) -> Negotiated {
    let payload_type = codec.static_pt().unwrap_or(96);
    Negotiated {
        codec,
        payload_type,
        ptime_ms: 20,
        receive: [(payload_type, codec)].into_iter().collect(),
        dtmf: Some((101, 8000)),
        dtmf_receive: [(101, 8000)].into_iter().collect(),
        direction: Direction::SendRecv,
        remote: Some(phone()),
        remote_rtcp: None,
        rtcp_mux: false,
        opus: OpusParameters::default(),
    }
}

/// A packet of silence, to be numbered.
fn packet() -> [u8; 172] {
    let mut packet = [0xFF; 172];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    packet
}

fn number(packet: &mut [u8; 172], index: u32) {
    packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&index.wrapping_mul(160).to_be_bytes());
}

fn codecs(c: &mut Criterion) {
    for kind in CodecKind::ALL {
        let samples = Tone::new(440.0, kind.sample_rate(), 8000.0).take(kind.sample_rate() as usize / 50);
        let (mut encoder, mut decoder) = (Encoder::new(kind), Decoder::new(kind));
        let (mut payload, mut out) = ([0; 1275], [0; 5760]);
        let len = encoder.encode(&samples, &mut payload);
        let encoded = payload[..len].to_vec();
        c.bench_function(&format!("encode {}", kind.name()), |b| {
            b.iter(|| encoder.encode(black_box(&samples), &mut payload));
        });
        c.bench_function(&format!("decode {}", kind.name()), |b| {
            b.iter(|| decoder.decode(black_box(&encoded), &mut out));
        });
    }
}

fn resampling(c: &mut Criterion) {
    for (from, to) in [(8000, 16_000), (8000, 48_000), (48_000, 8000)] {
        let mut resampler = Resampler::new(from, to);
        let (frame, mut out) = (Frame::silence(from), Frame::silence(to));
        c.bench_function(&format!("resample {from} to {to}"), |b| {
            b.iter(|| resampler.frame(black_box(&frame), &mut out));
        });
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an instant cannot be made otherwise; all others follow from it"
)]
fn sessions(c: &mut Criterion) {
    let agreed = negotiated(CodecKind::Pcmu);
    let (mut out, mut frame) = ([0; 1500], Frame::default());
    let begun = Instant::now();

    let (mut session, mut packet, mut index) = (Session::new(1, &agreed), packet(), 0);
    c.bench_function("receive and echo a packet", |b| {
        b.iter(|| {
            number(&mut packet, index);
            let now = begun + TICK * index;
            index += 1;
            session.handle_rtp(now, phone(), &packet);
            session.echo(now, &mut out)
        });
    });

    let (mut session, mut index) = (Session::new(1, &agreed), 0);
    c.bench_function("receive and play out a packet", |b| {
        b.iter(|| {
            number(&mut packet, index);
            let now = begun + TICK * index;
            index += 1;
            session.handle_rtp(now, phone(), &packet);
            session.pull(now, &mut frame)
        });
    });

    let (mut sessions, mut index): (Vec<_>, u32) =
        ((0..1000).map(|seed| Session::new(seed, &agreed)).collect(), 0);
    c.bench_function("a tick of 1,000 sessions: receive, decode, encode", |b| {
        b.iter(|| {
            number(&mut packet, index);
            let now = begun + TICK * index;
            index += 1;
            for session in &mut sessions {
                session.handle_rtp(now, phone(), &packet);
                session.pull(now, &mut frame);
                black_box(session.push(now, &frame, &mut out));
            }
        });
    });
}

fn rooms(c: &mut Criterion) {
    let frames: Vec<Frame> = (0..100)
        .map(|i| Frame::from_samples(&Tone::new(200.0 + i as f32 * 10.0, 8000, 300.0).take(160), 8000))
        .collect();
    let (mut mixer, mut out) = (Mixer::new(), Frame::default());
    c.bench_function("a room of 100", |b| {
        b.iter(|| {
            mixer.begin(8000);
            for frame in &frames {
                mixer.add(frame);
            }
            for frame in &frames {
                mixer.minus(frame, &mut out);
                black_box(&out);
            }
        });
    });
}

criterion_group!(benches, codecs, resampling, sessions, rooms);
criterion_main!(benches);
