//! One RTP association of a leg.

mod latch;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{Frame, Negotiated, Payload, PayloadKind, rtcp, rtp};

use self::{
    latch::{Admission, Latch},
    receive::Receiver,
    send::Sender,
};

/// What became of a received packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpVerdict {
    /// What it carried, when it was taken.
    pub accepted: Option<PayloadKind>,
    /// The source was latched by this packet: the socket may be connected to it.
    pub latched: Option<SocketAddr>,
}

/// What a [`pull`](Session::pull) brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// Sound that was received.
    Audio,
    /// Something in place of what was lost or late.
    Concealed,
    /// Nothing arrives.
    Silence,
}

/// What happened in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The other side pressed a key: `0`-`9`, `A`-`D`, `*`, `#`. Each press once.
    Digit(char),
    /// Its address is known.
    Latched(SocketAddr),
    /// All the digits of [`Session::send_digit`] were sent.
    DigitsSent,
    /// It said goodbye (RTCP BYE).
    Bye,
}

/// The numbers of a session.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SessionStats {
    /// RTP packets sent.
    pub sent: u64,
    /// Payload bytes sent.
    pub sent_bytes: u64,
    /// RTP packets received and taken.
    pub received: u64,
    /// Payload bytes received.
    pub received_bytes: u64,
    /// Packets that never came, by their sequence numbers.
    pub lost: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that were thrown away: of a foreign source, an unknown type, or malformed.
    pub rejected: u64,
    /// Frames that were concealed.
    pub concealed: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1) in ms.
    pub jitter_ms: f64,
    /// Round-trip time by RTCP in ms.
    pub rtt_ms: Option<f64>,
    /// What the other side lost of what we sent, by its last report, in 1/256.
    pub remote_lost: Option<u8>,
    /// The depth of the jitter buffer in ms.
    pub depth_ms: u32,
    /// Our synchronisation source.
    pub ssrc: u32,
    /// That of the other side.
    pub remote_ssrc: Option<u32>,
    /// When the last packet was taken.
    pub last_received: Option<Instant>,
}

/// How many events may wait to be polled: more than a second of the fastest dialling.
const EVENTS: usize = 32;

/// The mean time between RTCP reports (RFC 3550 section 6.2).
const REPORT: Duration = Duration::from_secs(5);

/// One RTP association: no sockets, no clock. Allocates when it is created, when the codec or the rate of what
/// is pushed changes, and never else.
#[derive(Debug)]
pub struct Session {
    negotiated: Negotiated,
    latch: Latch,
    receiver: Receiver,
    sender: Sender,
    events: VecDeque<SessionEvent>,
    rejected: u64,
    seed: u64,
    begun: Option<Instant>,
    report_due: Option<Instant>,
    reported: u64,
    rtcp_source: Option<SocketAddr>,
    /// When the other side's last report came.
    reported_at: Option<Instant>,
    rtt: Option<Duration>,
    remote_lost: Option<u8>,
}

impl Session {
    /// A session as agreed on. `seed` gives SSRC, first sequence number and first timestamp (RFC 3550 section
    /// 5.1 wants them unpredictable).
    pub fn new(seed: u64, negotiated: &Negotiated) -> Self {
        let (a, b) = (scramble(seed), scramble(seed.wrapping_add(1)));
        Self {
            negotiated: negotiated.clone(),
            latch: Latch::new(negotiated.remote),
            receiver: Receiver::new(negotiated),
            sender: Sender::new(a as u32, (a >> 32) as u16, b as u32, negotiated),
            events: VecDeque::with_capacity(EVENTS),
            rejected: 0,
            seed: b,
            begun: None,
            report_due: None,
            reported: 0,
            rtcp_source: None,
            reported_at: None,
            rtt: None,
            remote_lost: None,
        }
    }

    /// Changes to a new agreement (re-INVITE, UPDATE): keeps SSRC and sequence, switches the codec, latches anew.
    pub fn reconfigure(&mut self, negotiated: &Negotiated) {
        self.receiver.reconfigure(&self.negotiated, negotiated);
        self.sender.reconfigure(&self.negotiated, negotiated);
        self.latch.seek(negotiated.remote);
        self.rtcp_source = None;
        self.negotiated = negotiated.clone();
    }

    /// Looks at what the next packet needs of what is kept elsewhere in memory, so that it is near when it comes. Worth
    /// it where many sessions are served in turn.
    pub fn touch(&self) {
        self.receiver.touch();
    }

    /// What was agreed on.
    pub const fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// Takes a packet from the RTP port (with rtcp-mux, RTCP too).
    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) -> RtpVerdict {
        let mut verdict = RtpVerdict { accepted: None, latched: None };
        if rtp::is_rtcp(packet) {
            self.handle_rtcp(now, source, packet);
            return verdict;
        }
        let Some(reader) = rtp::read(packet) else {
            self.rejected += 1;
            return verdict;
        };
        let Some(kind) = self.receiver.kind(reader.payload_type()) else {
            self.rejected += 1;
            return verdict;
        };
        match self.latch.admit(source, reader.ssrc(), u16::from(reader.sequence_number())) {
            Admission::Refused => {
                self.rejected += 1;
                return verdict;
            }
            Admission::Taken => {}
            Admission::Begins { latched } => {
                self.receiver.begin(reader.ssrc());
                verdict.latched = latched;
            }
        }
        verdict.accepted = Some(kind);
        let digit = self.receiver.take(now, &reader, kind);
        if let Some(source) = verdict.latched {
            self.report(SessionEvent::Latched(source));
        }
        if let Some(digit) = digit {
            self.report(SessionEvent::Digit(digit));
        }
        verdict
    }

    /// Takes a packet from the RTCP port. Those of another host than RTP comes from are ignored.
    pub fn handle_rtcp(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        let host = source.ip().to_canonical();
        let known = [self.latch.source(), self.negotiated.remote_rtcp, self.negotiated.remote];
        if !known.into_iter().flatten().any(|known| known.ip().to_canonical() == host) {
            self.rejected += 1;
            return;
        }
        let Some(learnt) = rtcp::read(packet, self.sender.ssrc) else {
            self.rejected += 1;
            return;
        };
        self.rtcp_source = Some(source);
        self.reported_at = Some(now);
        let begun = *self.begun.get_or_insert(now);
        if let Some((middle, _)) = learnt.sender_report {
            self.receiver.heard_sender_report(now, middle);
        }
        if let Some((lost, report, delay)) = learnt.ours {
            self.remote_lost = Some(lost);
            let arrived = rtcp::middle(rtcp::ntp(now.saturating_duration_since(begun)));
            let trip = arrived.wrapping_sub(report).wrapping_sub(delay);
            // Beyond a minute it is the wrap of a negative one, or a lie.
            if report != 0 && trip < 60 << 16 {
                self.rtt = Some(Duration::from_micros(u64::from(trip) * 1_000_000 / 65_536));
            }
        }
        if learnt.bye.is_some() && learnt.bye == self.latch.ssrc() {
            self.report(SessionEvent::Bye);
        }
    }

    /// Where to send RTP: the latched source, else the address of the description.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.latch.source().or(self.negotiated.remote)
    }

    /// Where to send RTCP.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        if self.negotiated.rtcp_mux {
            return self.destination();
        }
        self.rtcp_source.or(self.negotiated.remote_rtcp)
    }

    /// When the last packet was taken, RTP or RTCP: a phone that suppresses silence sends reports only.
    pub fn last_heard(&self) -> Option<Instant> {
        self.receiver.last.max(self.reported_at)
    }

    /// The next 20 ms of what the other side says, at the codec's rate. To be called once per 20 ms.
    pub fn pull(&mut self, now: Instant, out: &mut Frame) -> Pulled {
        let (pulled, digit) = self.receiver.pull(out);
        self.heard(now, digit);
        pulled
    }

    /// The next received payload at once, not decoded; to be called until there is none.
    pub fn pull_payload(&mut self, now: Instant) -> Option<Payload<'_>> {
        let digit = self.receiver.listen_ahead();
        self.heard(now, digit);
        self.receiver.pull_payload()
    }

    /// Takes the next received payload and writes it into `out` as a packet of ours; returns its length. To be
    /// called until there is none.
    pub fn echo(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let digit = self.receiver.listen_ahead();
        self.heard(now, digit);
        let clock = self.negotiated.codec.rtp_clock();
        loop {
            let payload = self.receiver.pull_payload()?;
            // Back in the codec it came in, which may be another than the one we would choose.
            if let PayloadKind::Audio(codec) = payload.kind
                && codec.rtp_clock() == clock
            {
                let formats = &self.negotiated.receive;
                let number = formats.iter().find(|format| format.1 == codec)?.0;
                let (bytes, marker, ticks) = (payload.bytes, payload.marker, payload.ticks);
                return self.sender.push_payload_as(now, number, bytes, marker, ticks, out);
            }
        }
    }

    fn heard(&mut self, now: Instant, digit: Option<char>) {
        if let Some(digit) = digit.filter(|digit| self.receiver.heard_digit(now, *digit)) {
            self.report(SessionEvent::Digit(digit));
        }
    }

    /// A received packet as a payload to be [passed on](Self::relay), read by the payload types agreed on here.
    pub fn view<'a>(&self, packet: &'a [u8]) -> Option<Payload<'a>> {
        self.receiver.view(packet)
    }

    /// Encodes a frame (of any rate) and writes a packet into `out`; returns its length. None while the packet
    /// is not full (ptime above 20 ms), or when the direction forbids sending. With a ptime of 10 ms call
    /// [`push_rest`](Self::push_rest) afterwards.
    pub fn push(&mut self, now: Instant, frame: &Frame, out: &mut [u8]) -> Option<usize> {
        self.sender.push(now, frame, out)
    }

    /// The second packet of a pushed frame, when the ptime is 10 ms.
    pub fn push_rest(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.sender.push_rest(now, out)
    }

    /// Writes a packet around a payload of the negotiated codec; returns its length. None when the direction
    /// forbids sending, or `out` is too short.
    pub fn push_payload(
        &mut self,
        now: Instant,
        payload: &[u8],
        marker: bool,
        duration_ticks: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        self.sender.push_payload(now, payload, marker, duration_ticks, out)
    }

    /// Passes a payload on that another session received ([`pull_payload`](Self::pull_payload),
    /// [`view`](Self::view)), with its gaps and its order. None when it is of a codec, or an event, that was not
    /// agreed on here.
    pub fn relay(&mut self, now: Instant, payload: &Payload<'_>, out: &mut [u8]) -> Option<usize> {
        self.sender.relay(now, payload, out)
    }

    /// Queues a digit to be sent: by RFC 4733, or as a tone where that was not agreed on. It lasts 40 ms to 5 s.
    /// False when it is no digit, or the queue is full.
    pub fn send_digit(&mut self, digit: char, duration: Duration) -> bool {
        self.sender.send_digit(digit, duration)
    }

    /// Whether digits are being sent, so that [`push`](Self::push) sends them in place of sound. Where nothing
    /// is pushed, call [`push_digit`](Self::push_digit) once per 20 ms.
    pub fn sending_digits(&self) -> bool {
        self.sender.is_dialling()
    }

    /// The next packet of a digit being sent.
    pub fn push_digit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.sender.push_digit(now, out)
    }

    /// A digit that came by SIP INFO: reported as an event unless it came by RTP as well.
    pub fn info_digit(&mut self, now: Instant, digit: char) {
        let known = crate::dtmf::code(digit).and_then(crate::dtmf::digit);
        if let Some(digit) = known.filter(|digit| self.receiver.informed(now, *digit)) {
            self.report(SessionEvent::Digit(digit));
        }
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        if std::mem::take(&mut self.sender.dialled) {
            self.report(SessionEvent::DigitsSent);
        }
        self.events.pop_front()
    }

    /// Queues an event; one that finds the queue full is lost.
    fn report(&mut self, event: SessionEvent) {
        if self.events.len() < EVENTS {
            self.events.push_back(event);
        }
    }

    /// An RTCP report when one is due (about every 5 s); returns its length.
    pub fn rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.begun.get_or_insert(now);
        // Between half and one and a half of the mean, so that sessions do not report in step.
        self.seed = scramble(self.seed);
        let wait = REPORT / 2 + REPORT.mul_f64((self.seed % 1024) as f64 / 1024.0);
        let due = *self.report_due.get_or_insert(now + wait / 2);
        if now < due {
            return None;
        }
        self.report_due = Some(now + wait);
        self.write_report(now, false, out)
    }

    /// A last report with a BYE; returns its length.
    pub fn rtcp_bye(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.write_report(now, true, out)
    }

    fn write_report(&mut self, now: Instant, bye: bool, out: &mut [u8]) -> Option<usize> {
        let since = now.saturating_duration_since(*self.begun.get_or_insert(now));
        let sent = (self.sender.sent > self.reported).then(|| rtcp::Emission {
            // Zero would mean that there was no report.
            ntp: rtcp::ntp(since).max(1 << 16),
            timestamp: self.sender.timestamp(),
            packets: self.sender.sent as u32,
            bytes: self.sender.sent_bytes as u32,
        });
        self.reported = self.sender.sent;
        let received = self.receiver.report(now);
        rtcp::Report { ssrc: self.sender.ssrc, sent, received, bye }.write(out)
    }

    /// The numbers so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            sent: self.sender.sent,
            sent_bytes: self.sender.sent_bytes,
            received: self.receiver.received,
            received_bytes: self.receiver.received_bytes,
            lost: self.receiver.lost(),
            late: self.receiver.late,
            duplicate: self.receiver.duplicate,
            rejected: self.rejected,
            concealed: self.receiver.concealed(),
            jitter_ms: self.receiver.jitter_ms(),
            rtt_ms: self.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            remote_lost: self.remote_lost,
            depth_ms: self.receiver.depth_ms(),
            ssrc: self.sender.ssrc,
            remote_ssrc: self.latch.ssrc(),
            last_received: self.receiver.last,
        }
    }
}

/// Spreads a number over all its bits (the finisher of SplitMix64).
const fn scramble(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
