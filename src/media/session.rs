//! One RTP association of a leg.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{Frame, Negotiated, Payload, PayloadKind};

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

/// One RTP association: no sockets, no clock, no allocation after its creation.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// A session as agreed on. `seed` gives SSRC, first sequence number and first timestamp (RFC 3550 section
    /// 5.1 wants them unpredictable).
    pub fn new(seed: u64, negotiated: &Negotiated) -> Self {
        let _ = (seed, negotiated);
        todo!()
    }

    /// Changes to a new agreement (re-INVITE, UPDATE): keeps SSRC and sequence, switches the codec, latches anew.
    pub fn reconfigure(&mut self, negotiated: &Negotiated) {
        let _ = negotiated;
        todo!()
    }

    /// What was agreed on.
    pub fn negotiated(&self) -> &Negotiated {
        todo!()
    }

    /// Takes a packet from the RTP port (with rtcp-mux, RTCP too).
    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) -> RtpVerdict {
        let _ = (now, source, packet);
        todo!()
    }

    /// Takes a packet from the RTCP port.
    pub fn handle_rtcp(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        let _ = (now, source, packet);
        todo!()
    }

    /// Where to send RTP: the latched source, else the address of the description.
    pub fn destination(&self) -> Option<SocketAddr> {
        todo!()
    }

    /// Where to send RTCP.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        todo!()
    }

    /// The next 20 ms of what the other side says, at the codec's rate. To be called once per 20 ms.
    pub fn pull(&mut self, now: Instant, out: &mut Frame) -> Pulled {
        let _ = (now, out);
        todo!()
    }

    /// The next received payload at once, not decoded; to be called until there is none.
    pub fn pull_payload(&mut self, now: Instant) -> Option<Payload<'_>> {
        let _ = now;
        todo!()
    }

    /// Encodes a frame (of any rate) and writes a packet into `out`; returns its length. None while the packet
    /// is not full (ptime above 20 ms), or when the direction forbids sending. With a ptime of 10 ms call
    /// [`push_rest`](Self::push_rest) afterwards.
    pub fn push(&mut self, now: Instant, frame: &Frame, out: &mut [u8]) -> Option<usize> {
        let _ = (now, frame, out);
        todo!()
    }

    /// The second packet of a pushed frame, when the ptime is 10 ms.
    pub fn push_rest(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let _ = (now, out);
        todo!()
    }

    /// Writes a packet around a payload of the negotiated codec; returns its length.
    pub fn push_payload(
        &mut self,
        now: Instant,
        payload: &[u8],
        marker: bool,
        duration_ticks: u32,
        out: &mut [u8],
    ) -> Option<usize> {
        let _ = (now, payload, marker, duration_ticks, out);
        todo!()
    }

    /// Passes a payload on that another session received ([`pull_payload`](Self::pull_payload)), with its gaps
    /// and its order. None when it is of a codec that was not agreed on here.
    pub fn relay(&mut self, now: Instant, payload: &Payload<'_>, out: &mut [u8]) -> Option<usize> {
        let _ = (now, payload, out);
        todo!()
    }

    /// Queues a digit to be sent: by RFC 4733, or as a tone where that was not agreed on. False when it is no
    /// digit, or the queue is full.
    pub fn send_digit(&mut self, digit: char, duration: Duration) -> bool {
        let _ = (digit, duration);
        todo!()
    }

    /// Whether digits are being sent, so that [`push`](Self::push) sends them in place of sound. Where nothing
    /// is pushed, call [`push_digit`](Self::push_digit) once per 20 ms.
    pub fn sending_digits(&self) -> bool {
        todo!()
    }

    /// The next packet of a digit being sent.
    pub fn push_digit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let _ = (now, out);
        todo!()
    }

    /// A digit that came by SIP INFO: reported as an event unless it came by RTP as well.
    pub fn info_digit(&mut self, now: Instant, digit: char) {
        let _ = (now, digit);
        todo!()
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        todo!()
    }

    /// An RTCP report when one is due (about every 5 s); returns its length.
    pub fn rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let _ = (now, out);
        todo!()
    }

    /// A last report with a BYE; returns its length.
    pub fn rtcp_bye(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let _ = (now, out);
        todo!()
    }

    /// The numbers so far.
    pub fn stats(&self) -> SessionStats {
        todo!()
    }
}
