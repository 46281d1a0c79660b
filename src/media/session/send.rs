//! The sending half: packets of even duration, digits, passing on.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    CodecKind, Encoder, Frame, Negotiated, Payload, PayloadKind, Resampler,
    codec::MAX_PAYLOAD,
    dtmf::{self, event::Event},
    rtp::{HEADER, Header},
    tone::{Tone, amplitude},
};

/// A pause in sending longer than this moves the timestamps on, so that they stay with the clock.
const PAUSE: Duration = Duration::from_millis(100);
/// Digits that may wait: whoever dials more at once has to wait.
const DIGITS: usize = 64;
/// How often the end of an event is sent (RFC 4733 section 2.5.1.4).
const ENDS: u8 = 3;
/// The time between two packets of an event.
const STEP: Duration = Duration::from_millis(20);
/// A packet of an event is not due earlier than this after the last one.
const EARLIEST: Duration = Duration::from_millis(15);
/// The pause between two digits.
const BETWEEN: Duration = Duration::from_millis(60);
/// The level of each of the two sines of a digit sent as a tone, below full scale.
const DIGIT_LEVEL: f32 = 13.0;

/// What is being sent in place of sound.
#[derive(Debug)]
enum Dialling {
    Nothing,
    Event { code: u8, timestamp: u32, elapsed: Duration, total: Duration, ends: u8 },
    Tone { tone: Tone, left: Duration },
    Pause { left: Duration },
}

/// Where a stream that is passed on goes on in ours.
#[derive(Debug, Clone, Copy)]
struct Relayed {
    ssrc: u32,
    /// What to add to its sequence numbers.
    sequence: u16,
    /// What to add to its timestamps.
    timestamp: u32,
}

#[derive(Debug)]
pub(super) struct Sender {
    codec: CodecKind,
    payload_type: u8,
    event: Option<(u8, u32)>,
    allowed: bool,
    packet: usize,
    encoder: Encoder,
    resampler: Option<Resampler>,
    /// Samples that do not fill a packet yet.
    pending: Vec<i16>,
    filled: usize,
    pub(super) ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// When the last packet was sent, and the ticks in it.
    last: Option<(Instant, u32)>,
    relayed: Option<Relayed>,
    digits: VecDeque<(u8, Duration)>,
    dialling: Dialling,
    last_digit: Option<Instant>,
    pub(super) dialled: bool,
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
}

impl Sender {
    pub(super) fn new(ssrc: u32, sequence: u16, timestamp: u32, negotiated: &Negotiated) -> Self {
        let codec = negotiated.codec;
        let packet = packet_samples(negotiated);
        Self {
            codec,
            payload_type: negotiated.payload_type,
            event: negotiated.dtmf,
            allowed: negotiated.direction.sends(),
            packet,
            encoder: Encoder::with_parameters(codec, negotiated.opus),
            resampler: None,
            pending: vec![0; packet + codec.sample_rate() as usize / 50],
            filled: 0,
            ssrc,
            sequence,
            timestamp,
            last: None,
            relayed: None,
            digits: VecDeque::with_capacity(DIGITS),
            dialling: Dialling::Nothing,
            last_digit: None,
            dialled: false,
            sent: 0,
            sent_bytes: 0,
        }
    }

    pub(super) fn reconfigure(&mut self, before: &Negotiated, negotiated: &Negotiated) {
        if (before.codec, before.opus) != (negotiated.codec, negotiated.opus) {
            self.encoder = Encoder::with_parameters(negotiated.codec, negotiated.opus);
            self.resampler = None;
        }
        self.codec = negotiated.codec;
        self.payload_type = negotiated.payload_type;
        self.event = negotiated.dtmf;
        self.allowed = negotiated.direction.sends();
        self.packet = packet_samples(negotiated);
        self.pending = vec![0; self.packet + self.codec.sample_rate() as usize / 50];
        self.filled = 0;
        self.relayed = None;
    }

    pub(super) const fn timestamp(&self) -> u32 {
        self.timestamp
    }

    pub(super) fn is_dialling(&self) -> bool {
        !matches!(self.dialling, Dialling::Nothing) || !self.digits.is_empty()
    }

    pub(super) fn send_digit(&mut self, digit: char, duration: Duration) -> bool {
        let Some(code) = dtmf::code(digit) else { return false };
        if self.digits.len() >= DIGITS {
            return false;
        }
        self.digits.push_back((code, duration.clamp(Duration::from_millis(40), Duration::from_secs(5))));
        true
    }

    pub(super) fn push(&mut self, now: Instant, frame: &Frame, out: &mut [u8]) -> Option<usize> {
        if self.is_dialling() && self.digit_replaces_sound() {
            // What was said before an event is not sent after it.
            self.filled = if self.event.is_some() { 0 } else { self.filled };
            return self.push_digit(now, out);
        }
        if !self.allowed {
            return None;
        }
        let rate = self.codec.sample_rate();
        if frame.rate() == rate {
            return self.push_samples(now, frame.samples(), out);
        }
        if self.resampler.as_ref().is_none_or(|r| r.from() != frame.rate()) {
            self.resampler = Some(Resampler::new(frame.rate(), rate));
        }
        let mut resampled = Frame::silence(rate);
        self.resampler.as_mut()?.frame(frame, &mut resampled);
        self.push_samples(now, resampled.samples(), out)
    }

    fn push_samples(&mut self, now: Instant, samples: &[i16], out: &mut [u8]) -> Option<usize> {
        if self.filled == 0 && samples.len() == self.packet {
            let len = self.encoder.encode(samples, out.get_mut(HEADER..)?);
            return self.finish(now, len, false, self.codec.ticks(samples.len()), out);
        }
        let room = self.pending.get_mut(self.filled..)?;
        let count = samples.len().min(room.len());
        room.get_mut(..count)?.copy_from_slice(samples.get(..count)?);
        self.filled += count;
        self.push_rest(now, out)
    }

    /// A packet of what is pending, when it fills one.
    pub(super) fn push_rest(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if !self.allowed || self.filled < self.packet {
            return None;
        }
        let len = self.encoder.encode(self.pending.get(..self.packet)?, out.get_mut(HEADER..)?);
        self.pending.copy_within(self.packet..self.filled, 0);
        self.filled -= self.packet;
        self.finish(now, len, false, self.codec.ticks(self.packet), out)
    }

    pub(super) fn push_payload(
        &mut self,
        now: Instant,
        payload: &[u8],
        marker: bool,
        ticks: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        self.push_payload_as(now, self.payload_type, payload, marker, ticks, out)
    }

    /// The same with another payload type than the negotiated one, of the same clock rate.
    pub(super) fn push_payload_as(
        &mut self,
        now: Instant,
        payload_type: u8,
        payload: &[u8],
        marker: bool,
        ticks: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        if self.is_dialling() && self.digit_replaces_sound() {
            return self.push_digit(now, out);
        }
        out.get_mut(HEADER..HEADER + payload.len())?.copy_from_slice(payload);
        let total = self.finish(now, payload.len(), marker, ticks, out)?;
        if let Some(second) = out.get_mut(1) {
            *second = (*second & 0x80) | (payload_type & 0x7F);
        }
        Some(total)
    }

    /// Between two digits there is sound, where digits are events.
    fn digit_replaces_sound(&self) -> bool {
        self.event.is_none() || !matches!(self.dialling, Dialling::Pause { .. }) || self.pause_is_over()
    }

    const fn pause_is_over(&self) -> bool {
        matches!(self.dialling, Dialling::Pause { left } if left.is_zero())
    }

    /// Writes the header of a packet whose payload is in place.
    fn finish(
        &mut self,
        now: Instant,
        len: usize,
        marker: bool,
        ticks: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        if !self.allowed || len == 0 || len > MAX_PAYLOAD {
            return None;
        }
        let late = self.catch_up(now);
        let header = Header {
            payload_type: self.payload_type,
            marker: marker || late,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let total = header.write(len, out)?;
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.last = Some((now, ticks));
        self.relayed = None;
        self.count(len);
        if let (Dialling::Pause { left }, Some(_)) = (&mut self.dialling, self.event) {
            *left = left.saturating_sub(STEP);
        }
        Some(total)
    }

    fn count(&mut self, len: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        self.sent_bytes += len as u64;
    }

    /// Moves the timestamp over a pause in sending; true for the first packet and after a pause.
    fn catch_up(&mut self, now: Instant) -> bool {
        let Some((at, ticks)) = self.last else { return true };
        let clock = u64::from(self.codec.rtp_clock());
        let planned = Duration::from_micros(u64::from(ticks) * 1_000_000 / clock);
        let pause = now.saturating_duration_since(at).saturating_sub(planned);
        if pause < PAUSE {
            return false;
        }
        let skipped = pause.as_millis() as u64 * (clock / 1000);
        self.timestamp = self.timestamp.wrapping_add(skipped as u32);
        self.last = Some((now, 0));
        true
    }

    pub(super) fn relay(&mut self, now: Instant, payload: &Payload<'_>, out: &mut [u8]) -> Option<usize> {
        let payload_type = match payload.kind {
            PayloadKind::Audio(kind) if kind == self.codec => self.payload_type,
            PayloadKind::Event => self.event?.0,
            PayloadKind::Audio(_) | PayloadKind::ComfortNoise => return None,
        };
        if !self.allowed || payload.bytes.len() > MAX_PAYLOAD {
            return None;
        }
        if self.is_dialling() && self.digit_replaces_sound() {
            return self.push_digit(now, out);
        }
        let mut marker = payload.marker;
        let relayed = match self.relayed {
            Some(relayed) if relayed.ssrc == payload.ssrc => relayed,
            _ => {
                marker |= self.catch_up(now);
                let sequence = self.sequence.wrapping_sub(payload.sequence);
                let timestamp = self.timestamp.wrapping_sub(payload.timestamp);
                Relayed { ssrc: payload.ssrc, sequence, timestamp }
            }
        };
        let sequence = payload.sequence.wrapping_add(relayed.sequence);
        let timestamp = payload.timestamp.wrapping_add(relayed.timestamp);
        out.get_mut(HEADER..HEADER + payload.bytes.len())?.copy_from_slice(payload.bytes);
        let header = Header { payload_type, marker, sequence, timestamp, ssrc: self.ssrc };
        let total = header.write(payload.bytes.len(), out)?;
        self.relayed = Some(relayed);
        self.count(payload.bytes.len());
        // Ours goes on after the newest of theirs.
        let ahead = sequence.wrapping_sub(self.sequence.wrapping_sub(1)) as i16;
        if ahead >= 0 {
            self.sequence = sequence.wrapping_add(1);
            self.timestamp = timestamp.wrapping_add(payload.ticks);
            self.last = Some((now, payload.ticks));
        } else {
            self.sequence = self.sequence.wrapping_sub(1);
        }
        Some(total)
    }

    /// The next packet of a digit, when one is due.
    pub(super) fn push_digit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if self.last_digit.is_some_and(|at| now.saturating_duration_since(at) < EARLIEST) {
            return None;
        }
        if !self.allowed {
            return None;
        }
        if matches!(self.dialling, Dialling::Nothing) || self.pause_is_over() {
            self.dialling = self.next_digit(now);
        }
        self.last_digit = Some(now);
        match &mut self.dialling {
            Dialling::Nothing => {
                self.last_digit = None;
                None
            }
            Dialling::Event { .. } => self.push_event(now, out),
            Dialling::Tone { .. } => self.push_tone(now, out),
            Dialling::Pause { left } => {
                *left = left.saturating_sub(STEP);
                let silent = self.event.is_none();
                if silent { self.push_silence(now, out) } else { None }
            }
        }
    }

    fn next_digit(&mut self, now: Instant) -> Dialling {
        let Some((code, total)) = self.digits.pop_front() else {
            self.dialled = !matches!(self.dialling, Dialling::Nothing) || self.dialled;
            return Dialling::Nothing;
        };
        if self.event.is_some() {
            self.catch_up(now);
            return Dialling::Event {
                code,
                timestamp: self.timestamp,
                elapsed: Duration::ZERO,
                total,
                ends: 0,
            };
        }
        let rate = self.codec.sample_rate();
        match dtmf::digit(code).and_then(|digit| dtmf::tone(digit, rate, amplitude(DIGIT_LEVEL))) {
            Some(tone) => Dialling::Tone { tone, left: total },
            None => Dialling::Nothing,
        }
    }

    fn push_event(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let (payload_type, clock) = self.event?;
        let Dialling::Event { code, timestamp, elapsed, total, ends } = &mut self.dialling else {
            return None;
        };
        let first = elapsed.is_zero();
        *elapsed = (*elapsed + STEP).min(*total);
        let end = *elapsed >= *total;
        *ends += u8::from(end);
        let duration = (elapsed.as_millis() as u64 * u64::from(clock) / 1000).min(0xFFFF) as u16;
        let event = Event { code: *code, end, duration };
        let (timestamp, over, total) = (*timestamp, *ends >= ENDS, *total);
        let len = event.write(out.get_mut(HEADER..)?)?;
        let header =
            Header { payload_type, marker: first, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        let length = header.write(len, out)?;
        self.count(len);
        self.relayed = None;
        // Sound goes on where the event is by now.
        self.timestamp = timestamp.wrapping_add(elapsed_ticks(&self.dialling, self.codec));
        self.last = Some((now, self.codec.rtp_clock() / 50));
        if over {
            let ended = total + STEP * u32::from(ENDS - 1);
            let ticks = ended.as_millis() as u64 * u64::from(self.codec.rtp_clock()) / 1000;
            self.timestamp = timestamp.wrapping_add(ticks as u32);
            self.end_digit();
        }
        Some(length)
    }

    /// After a digit: a pause before the next one; after the last, sound again.
    fn end_digit(&mut self) {
        if self.digits.is_empty() {
            self.dialling = Dialling::Nothing;
            self.dialled = true;
        } else {
            self.dialling = Dialling::Pause { left: BETWEEN };
        }
    }

    fn push_tone(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let rate = self.codec.sample_rate();
        let mut frame = Frame::silence(rate);
        let Dialling::Tone { tone, left } = &mut self.dialling else { return None };
        tone.fill(frame.samples_mut());
        *left = left.saturating_sub(STEP);
        let over = left.is_zero();
        if over {
            self.end_digit();
        }
        self.push_samples(now, frame.samples(), out)
    }

    fn push_silence(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.push_samples(now, Frame::silence(self.codec.sample_rate()).samples(), out)
    }
}

fn elapsed_ticks(dialling: &Dialling, codec: CodecKind) -> u32 {
    match dialling {
        Dialling::Event { elapsed, .. } => elapsed.as_millis() as u32 * (codec.rtp_clock() / 1000),
        Dialling::Nothing | Dialling::Tone { .. } | Dialling::Pause { .. } => 0,
    }
}

fn packet_samples(negotiated: &Negotiated) -> usize {
    negotiated.codec.sample_rate() as usize / 1000 * usize::from(negotiated.ptime_ms.clamp(10, 60))
}
