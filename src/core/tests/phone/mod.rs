//! A phone for tests: a socket that says a tone and keeps what it hears, packet by packet.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sems_core::media::{Engine, EngineConfig, MediaEvent, MediaIo, MediaLeg};
use sems_media::{CodecKind, Decoder, Direction, Encoder, Negotiated, OpusParameters, tone};
use tokio::sync::mpsc;

pub(crate) const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// The payload type of telephone-events.
pub(crate) const EVENT: u8 = 101;
/// Says nothing at all, not even silence.
const MUTE: u32 = u32::MAX;

/// A received packet.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) sequence: u16,
    pub(crate) payload_type: u8,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug)]
struct State {
    codec: CodecKind,
    hz: AtomicU32,
    target: Mutex<Option<SocketAddr>>,
    heard: Mutex<Vec<Heard>>,
    sent: Mutex<Vec<(Instant, Vec<u8>)>>,
    digits: Mutex<Vec<(u8, u16, bool)>>,
    over: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    thread: Option<thread::JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic")
}

impl Phone {
    /// A phone that says silence to nobody yet.
    pub(crate) fn new(codec: CodecKind) -> Self {
        let socket = UdpSocket::bind((HOME, 0)).expect("a free port");
        let address = socket.local_addr().expect("bound");
        let state = Arc::new(State {
            codec,
            hz: AtomicU32::new(0),
            target: Mutex::new(None),
            heard: Mutex::default(),
            sent: Mutex::default(),
            digits: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || live(&socket, &shared));
        Self { address, state, thread: Some(thread) }
    }

    /// A phone in a call with a new leg.
    pub(crate) fn call(engine: &Engine, codec: CodecKind) -> (Self, MediaLeg, mpsc::Receiver<MediaEvent>) {
        let phone = Self::new(codec);
        let (events, received) = mpsc::channel(64);
        let leg = engine.open(HOME, events).expect("a port");
        leg.configure(negotiated(codec, Some(phone.address)));
        phone.talk_to(leg.address());
        (phone, leg, received)
    }

    pub(crate) fn talk_to(&self, target: SocketAddr) {
        *lock(&self.state.target) = Some(target);
    }

    /// Says a tone from now; 0 is silence.
    pub(crate) fn say(&self, hz: u32) {
        self.state.hz.store(hz, Ordering::Relaxed);
    }

    /// Sends nothing from now.
    pub(crate) fn mute(&self) {
        self.state.hz.store(MUTE, Ordering::Relaxed);
    }

    /// Presses a digit: three packets of an event, three times its end.
    pub(crate) fn press(&self, code: u8) {
        let packets = [(160, false), (320, false), (480, true), (480, true), (480, true)];
        lock(&self.state.digits).extend(packets.map(|(duration, end)| (code, duration, end)));
    }

    /// All that was heard so far.
    pub(crate) fn packets(&self) -> Vec<Heard> {
        lock(&self.state.heard).clone()
    }

    pub(crate) fn forget(&self) {
        lock(&self.state.heard).clear();
    }

    /// The sound that was heard so far, without what was lost.
    pub(crate) fn sound(&self) -> Vec<i16> {
        let mut decoder = Decoder::new(self.state.codec);
        let mut samples = Vec::new();
        let mut packets = self.packets();
        packets.sort_by_key(|packet| packet.at);
        for packet in packets.iter().filter(|packet| packet.payload_type != EVENT) {
            let mut decoded = [0; 5760];
            let length = decoder.decode(&packet.payload, &mut decoded);
            samples.extend_from_slice(&decoded[..length]);
        }
        samples
    }

    /// The last `ms` of the sound.
    pub(crate) fn last(&self, ms: usize) -> Vec<i16> {
        let sound = self.sound();
        sound[sound.len().saturating_sub(ms * self.rate() as usize / 1000)..].to_vec()
    }

    pub(crate) fn rate(&self) -> u32 {
        self.state.codec.sample_rate()
    }

    /// How loud a tone was in the last 400 ms, in dBFS.
    pub(crate) fn level(&self, hz: f64) -> f64 {
        sems_media::analysis::goertzel(&self.last(400), self.rate(), hz)
    }

    /// The time from saying a payload to hearing it again, for each payload that came back. Of a tone whose
    /// packets differ for long enough: where one is like an earlier one, the later is meant.
    pub(crate) fn round_trips(&self) -> Vec<Duration> {
        let sent = lock(&self.state.sent).clone();
        self.packets()
            .iter()
            .filter_map(|heard| {
                let mut before = sent.iter().rev().filter(|(at, _)| *at < heard.at);
                let (at, _) = before.find(|(_, payload)| *payload == heard.payload)?;
                Some(heard.at - *at)
            })
            .collect()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn live(socket: &UdpSocket, state: &State) {
    let mut due = Instant::now();
    let mut encoder = Encoder::new(state.codec);
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    let rate = state.codec.sample_rate();
    let mut tone = tone::Tone::new(0.0, rate, 0.0);
    let mut tone_hz = 0;
    while !state.over.load(Ordering::Relaxed) {
        receive_until(socket, state, due);
        due += Duration::from_millis(20);
        sequence = sequence.wrapping_add(1);
        timestamp = timestamp.wrapping_add(state.codec.rtp_clock() / 50);
        let hz = state.hz.load(Ordering::Relaxed);
        let Some(target) = *lock(&state.target) else { continue };
        if hz == MUTE {
            continue;
        }
        if hz != tone_hz {
            tone_hz = hz;
            tone = tone::Tone::new(hz as f32, rate, if hz == 0 { 0.0 } else { 8_000.0 });
        }
        let digit = {
            let mut digits = lock(&state.digits);
            (!digits.is_empty()).then(|| digits.remove(0))
        };
        let samples = tone.take(rate as usize / 50);
        let mut payload = vec![0; 1500];
        let length = encoder.encode(&samples, &mut payload);
        payload.truncate(length);
        let (payload_type, stamp, payload) = match digit {
            Some((code, duration, end)) => {
                let [high, low] = duration.to_be_bytes();
                // All packets of one press have the timestamp of its beginning.
                (EVENT, u32::from(code) * 100_000, vec![code, if end { 0x8a } else { 0x0a }, high, low])
            }
            None => (payload_type(state.codec), timestamp, payload),
        };
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&stamp.to_be_bytes());
        packet.extend_from_slice(&0x1234_5678_u32.to_be_bytes());
        packet.extend_from_slice(&payload);
        lock(&state.sent).push((Instant::now(), payload));
        let _ = socket.send_to(&packet, target);
    }
}

fn receive_until(socket: &UdpSocket, state: &State, due: Instant) {
    let mut buffer = [0; 2000];
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        socket.set_read_timeout(Some(left.max(Duration::from_micros(100)))).expect("a socket");
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let packet = &buffer[..length];
        if length < 12 || (200..=207).contains(&packet[1]) {
            continue;
        }
        lock(&state.heard).push(Heard {
            at: Instant::now(),
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            payload_type: packet[1] & 0x7f,
            payload: packet[12..].to_vec(),
        });
    }
}

fn payload_type(codec: CodecKind) -> u8 {
    codec.static_pt().unwrap_or(111)
}

/// What both sides would agree on.
pub(crate) fn negotiated(codec: CodecKind, remote: Option<SocketAddr>) -> Negotiated {
    Negotiated {
        codec,
        payload_type: payload_type(codec),
        ptime_ms: 20,
        receive: [(payload_type(codec), codec)].into_iter().collect(),
        dtmf: Some((EVENT, 8000)),
        dtmf_receive: [(EVENT, 8000)].into_iter().collect(),
        direction: Direction::SendRecv,
        remote,
        remote_rtcp: None,
        rtcp_mux: false,
        opus: OpusParameters::default(),
    }
}

pub(crate) fn config(workers: usize, first_port: u16) -> EngineConfig {
    EngineConfig {
        workers,
        rtp_ports: first_port..=first_port + 199,
        realtime: false,
        io: MediaIo::Auto,
        rtp_timeout: Duration::from_secs(60),
        quarantine: Duration::from_millis(200),
        sounds: Vec::new(),
        language: "en".to_owned(),
    }
}

pub(crate) fn engine(workers: usize, first_port: u16) -> Engine {
    Engine::start(config(workers, first_port)).expect("an engine")
}

pub(crate) async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The next event that is not the latch, within three seconds.
pub(crate) async fn next(events: &mut mpsc::Receiver<MediaEvent>) -> Option<MediaEvent> {
    loop {
        match tokio::time::timeout(Duration::from_secs(3), events.recv()).await {
            Ok(Some(MediaEvent::Latched(_))) => {}
            Ok(event) => return event,
            Err(_) => return None,
        }
    }
}
