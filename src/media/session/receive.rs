//! The receiving half: sequence, jitter, events, payout.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::{
    CodecKind, Decoder, Frame, Negotiated, Payload, PayloadKind, Pulled,
    codec::packet_samples,
    dtmf::{event::Presses, inband::Detector},
    jitter::{Arrival, Packet, Playout, Store},
    rtcp, rtp,
};

/// A jump in the sequence beyond this is a new beginning, once a second packet confirms it (RFC 3550 A.1).
const JUMP: i64 = 1000;

/// Comfort noise has a payload type for good (RFC 3389 section 4).
const COMFORT_NOISE: u8 = 13;

/// The memory for waiting payloads, in bytes: half a second at 64 kbit/s, 200 ms of Opus at 320 kbit/s.
fn memory(negotiated: &Negotiated) -> usize {
    let opus = negotiated.receive.iter().any(|format| format.1 == CodecKind::Opus);
    if opus { 8192 } else { 4096 }
}

/// Whether a digit is the same as another one so soon after it that both are of one press: phones that send it in
/// two forms send the second at once, or when the key is released.
fn is_recent(other: Option<(Instant, char)>, now: Instant, digit: char) -> bool {
    const MOMENT: Duration = Duration::from_millis(500);
    other.is_some_and(|(at, other)| other == digit && now.saturating_duration_since(at) < MOMENT)
}

/// Counts what RFC 3550 wants counted.
#[derive(Debug, Default)]
struct Counters {
    base: i64,
    highest: i64,
    /// Of the stream of `base`.
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Of streams before.
    lost_before: u64,
}

impl Counters {
    fn expected(&self) -> u64 {
        if self.received == 0 { 0 } else { u64::try_from(self.highest - self.base + 1).unwrap_or(0) }
    }

    fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.received)
    }
}

/// Everything about what arrives.
#[derive(Debug)]
pub(super) struct Receiver {
    formats: SmallVec<[(u8, PayloadKind); 6]>,
    event_clocks: SmallVec<[(u8, u32); 2]>,
    listens: bool,
    codec: CodecKind,
    store: Store,
    playout: Playout,
    presses: Presses,
    detector: Option<Box<Detector>>,
    /// For finding digits in payloads that are not decoded otherwise.
    listener: Option<Box<Decoder>>,
    counters: Counters,
    begun: bool,
    restart: Option<u16>,
    timestamp: i64,
    transit: f64,
    jitter: f64,
    epoch: Option<Instant>,
    pub(super) ssrc: u32,
    pub(super) received: u64,
    pub(super) received_bytes: u64,
    pub(super) late: u64,
    pub(super) duplicate: u64,
    pub(super) last: Option<Instant>,
    /// The last digit that came by RTP, and the last one that came by INFO only.
    last_event: Option<(Instant, char)>,
    last_info: Option<(Instant, char)>,
    sender_report: Option<(u32, Instant)>,
}

impl Receiver {
    pub(super) fn new(negotiated: &Negotiated) -> Self {
        let mut receiver = Self {
            formats: SmallVec::new(),
            event_clocks: SmallVec::new(),
            listens: false,
            codec: negotiated.codec,
            store: Store::new(memory(negotiated)),
            playout: Playout::new(negotiated.codec, &negotiated.receive),
            presses: Presses::default(),
            detector: None,
            listener: None,
            counters: Counters::default(),
            begun: false,
            restart: None,
            timestamp: 0,
            transit: 0.0,
            jitter: 0.0,
            epoch: None,
            ssrc: 0,
            received: 0,
            received_bytes: 0,
            late: 0,
            duplicate: 0,
            last: None,
            last_event: None,
            last_info: None,
            sender_report: None,
        };
        receiver.configure(negotiated);
        receiver
    }

    fn configure(&mut self, negotiated: &Negotiated) {
        let audio = negotiated.receive.iter().map(|(number, kind)| (*number, PayloadKind::Audio(*kind)));
        let events = negotiated.dtmf_receive.iter().map(|(number, _)| (*number, PayloadKind::Event));
        self.formats = audio.chain(events).collect();
        self.formats.push((COMFORT_NOISE, PayloadKind::ComfortNoise));
        self.event_clocks = negotiated.dtmf_receive.clone();
        self.listens = negotiated.direction.receives();
        self.codec = negotiated.codec;
        self.detector = negotiated.dtmf_receive.is_empty().then(|| Box::new(Detector::new()));
        self.listener = None;
    }

    pub(super) fn reconfigure(&mut self, before: &Negotiated, negotiated: &Negotiated) {
        self.configure(negotiated);
        if (before.codec, &before.receive) != (negotiated.codec, &negotiated.receive) {
            // Waiting packets are of the old numbers.
            self.store = Store::new(memory(negotiated));
            self.playout = Playout::new(negotiated.codec, &negotiated.receive);
        }
    }

    pub(super) fn touch(&self) {
        self.store.touch();
        self.playout.touch();
    }

    /// Another stream begins.
    pub(super) fn begin(&mut self, ssrc: u32) {
        if self.begun && self.ssrc == ssrc {
            return;
        }
        self.ssrc = ssrc;
        self.begun = false;
        self.restart = None;
        self.sender_report = None;
        self.counters.lost_before = self.counters.lost();
        self.counters.received = 0;
        self.presses.reset();
        self.store.reset();
        self.playout.stop();
    }

    pub(super) fn kind(&self, payload_type: u8) -> Option<PayloadKind> {
        self.formats.iter().find(|format| format.0 == payload_type).map(|format| format.1)
    }

    /// Takes a packet of the stream; returns a digit that begins with it.
    pub(super) fn take(
        &mut self,
        now: Instant,
        reader: &rtp_rs::RtpReader<'_>,
        kind: PayloadKind,
    ) -> Option<char> {
        let sequence = self.place(u16::from(reader.sequence_number()))?;
        let payload = reader.payload();
        self.received += 1;
        self.received_bytes += payload.len() as u64;
        self.last = Some(now);
        match kind {
            PayloadKind::Audio(codec) => {
                self.measure(now, reader.timestamp(), codec.rtp_clock());
                self.keep(sequence, reader, codec);
                None
            }
            PayloadKind::Event => {
                let payload_type = reader.payload_type();
                let clock = self.event_clocks.iter().find(|e| e.0 == payload_type).map_or(8000, |e| e.1);
                let begun = self.presses.handle(reader.timestamp(), payload, clock);
                let new = begun.filter(|digit| self.heard_digit(now, *digit));
                // As long as it is held down it is the last digit that came by RTP.
                self.last_event = self.presses.current().map(|digit| (now, digit));
                new.filter(|_| self.listens)
            }
            PayloadKind::ComfortNoise => None,
        }
    }

    fn keep(&mut self, sequence: i64, reader: &rtp_rs::RtpReader<'_>, codec: CodecKind) {
        let payload = reader.payload();
        let samples = packet_samples(codec, payload);
        if !self.listens || samples == 0 || samples > crate::codec::longest_packet(codec) {
            return;
        }
        let packet = Packet {
            sequence,
            timestamp: self.timestamp,
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            ticks: codec.ticks(samples),
        };
        match self.store.insert(packet, payload) {
            Arrival::Stored => {}
            Arrival::Duplicate => self.duplicate += 1,
            Arrival::Late => self.late += 1,
        }
    }

    /// Extends a sequence number; none for one that is far off and not confirmed.
    fn place(&mut self, sequence: u16) -> Option<i64> {
        let counters = &mut self.counters;
        if !self.begun {
            self.begun = true;
            (counters.base, counters.highest) = (i64::from(sequence), i64::from(sequence));
            counters.received = 0;
            (counters.expected_before, counters.received_before) = (0, 0);
        }
        let ahead = i64::from(sequence.wrapping_sub(counters.highest as u16) as i16);
        let mut extended = counters.highest + ahead;
        if ahead.abs() > JUMP {
            if self.restart != Some(sequence) {
                self.restart = Some(sequence.wrapping_add(1));
                return None;
            }
            counters.lost_before = counters.lost();
            extended = i64::from(sequence);
            (counters.base, counters.highest, counters.received) = (extended, extended, 0);
            (counters.expected_before, counters.received_before) = (0, 0);
            self.store.reset();
            self.playout.stop();
        }
        self.restart = None;
        counters.base = counters.base.min(extended);
        counters.highest = counters.highest.max(extended);
        counters.received += 1;
        Some(extended)
    }

    /// Interarrival jitter (RFC 3550 A.8), and the extended timestamp.
    fn measure(&mut self, now: Instant, timestamp: u32, clock: u32) {
        let epoch = *self.epoch.get_or_insert(now);
        let ahead = timestamp.wrapping_sub(self.timestamp as u32) as i32;
        self.timestamp += i64::from(ahead);
        let arrival = now.saturating_duration_since(epoch).as_secs_f64() * f64::from(clock);
        let transit = arrival - self.timestamp as f64;
        let step = (transit - self.transit).abs();
        self.transit = transit;
        // A step of more than a second is a new beginning of the timestamps.
        if self.counters.received > 1 && step < f64::from(clock) {
            self.jitter += (step - self.jitter) / 16.0;
        }
    }

    pub(super) fn pull(&mut self, out: &mut Frame) -> (Pulled, Option<char>) {
        let pulled = self.playout.pull(&mut self.store, out);
        let digit = match (&mut self.detector, pulled) {
            (Some(detector), Pulled::Audio | Pulled::Concealed) => detector.hear(out),
            _ => None,
        };
        (pulled, digit)
    }

    pub(super) fn pull_payload(&mut self) -> Option<Payload<'_>> {
        self.playout.stop();
        let formats = &self.formats;
        let ssrc = self.ssrc;
        self.store.pop().and_then(|(packet, bytes)| {
            let kind = formats.iter().find(|format| format.0 == packet.payload_type)?.1;
            Some(Payload {
                bytes,
                kind,
                marker: packet.marker,
                sequence: packet.sequence as u16,
                timestamp: packet.timestamp as u32,
                ssrc,
                ticks: packet.ticks,
            })
        })
    }

    /// Looks for digits in the payload that is next, where there are no telephone-events.
    pub(super) fn listen_ahead(&mut self) -> Option<char> {
        let detector = self.detector.as_mut()?;
        let packet = self.store.peek()?;
        let Some(PayloadKind::Audio(codec)) =
            self.formats.iter().find(|f| f.0 == packet.payload_type).map(|f| f.1)
        else {
            return None;
        };
        if self.listener.as_ref().is_none_or(|decoder| decoder.kind() != codec) {
            self.listener = Some(Box::new(Decoder::new(codec)));
        }
        let mut samples = [0; crate::codec::MAX_PACKET_SAMPLES];
        let count = self.listener.as_mut()?.decode(self.store.peek_payload(), &mut samples);
        let rate = codec.sample_rate();
        let frames = samples.get(..count)?.chunks(rate as usize / 50);
        frames.fold(None, |found, frame| detector.hear(&Frame::from_samples(frame, rate)).or(found))
    }

    /// A digit came by SIP INFO; whether it is not one that came by RTP a moment ago.
    pub(super) fn informed(&mut self, now: Instant, digit: char) -> bool {
        let new = !is_recent(self.last_event, now, digit);
        if new {
            self.last_info = Some((now, digit));
        }
        new
    }

    /// A digit came by RTP; whether it is not one that came by SIP INFO a moment ago.
    pub(super) fn heard_digit(&mut self, now: Instant, digit: char) -> bool {
        self.last_event = Some((now, digit));
        !is_recent(self.last_info.take(), now, digit)
    }

    pub(super) fn heard_sender_report(&mut self, now: Instant, middle: u32) {
        self.sender_report = Some((middle, now));
    }

    /// The block of a report about this stream.
    pub(super) fn report(&mut self, now: Instant) -> Option<rtcp::Reception> {
        if self.counters.received == 0 {
            return None;
        }
        let counters = &mut self.counters;
        let (all, got) = (counters.expected(), counters.received);
        let expected = all.saturating_sub(counters.expected_before);
        let lost = expected.saturating_sub(got.saturating_sub(counters.received_before));
        (counters.expected_before, counters.received_before) = (all, got);
        let fraction = (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8;
        let (last_report, delay) = self.sender_report.map_or((0, 0), |(middle, at)| {
            (middle, rtcp::middle(rtcp::ntp(now.saturating_duration_since(at))))
        });
        Some(rtcp::Reception {
            ssrc: self.ssrc,
            fraction,
            lost: u32::try_from(counters.lost()).unwrap_or(u32::MAX),
            highest: counters.highest as u32,
            jitter: self.jitter as u32,
            last_report,
            delay,
        })
    }

    pub(super) fn lost(&self) -> u64 {
        self.counters.lost()
    }

    pub(super) fn concealed(&self) -> u64 {
        self.playout.concealed()
    }

    pub(super) fn jitter_ms(&self) -> f64 {
        self.jitter * 1000.0 / f64::from(self.codec.rtp_clock())
    }

    pub(super) fn depth_ms(&self) -> u32 {
        self.playout.depth_ms(&self.store)
    }

    /// A packet seen through the negotiated payload types.
    pub(super) fn view<'a>(&self, packet: &'a [u8]) -> Option<Payload<'a>> {
        let reader = rtp::read(packet)?;
        let kind = self.kind(reader.payload_type())?;
        let bytes = reader.payload();
        let ticks = match kind {
            PayloadKind::Audio(codec) => codec.ticks(packet_samples(codec, bytes)),
            PayloadKind::Event | PayloadKind::ComfortNoise => 0,
        };
        Some(Payload {
            bytes,
            kind,
            marker: reader.mark(),
            sequence: u16::from(reader.sequence_number()),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            ticks,
        })
    }
}
