//! What comes in: RTP, RTCP, and what is to be told of it.

use std::{net::SocketAddr, time::Instant};

use sems_media::{PayloadKind, Session, SessionEvent};

use super::{Link, RtcpPort, SECOND, Stream, report};
use crate::media::{
    MediaEvent,
    io::{Io, Wire},
    socket::{Found, Udp, prefetch},
    watch::{Attention, Port, Watch},
};

/// Datagrams taken from one socket in one service: four packets of 20 ms late at once, telephone-events beside
/// them, and room. A flood stays in the kernel's queue and is dropped there.
const BURST: u8 = 16;
/// After so many services in which the same number came, only as much is taken as usually comes, since asking in vain
/// costs a system call. Before, and ...
const CALM: u8 = 8;
/// ... every so many services, a socket is emptied.
const DRAIN: u32 = 16;
/// Every so many services RTCP is asked for where it cannot be watched.
const RTCP: u32 = 5;
/// RTCP datagrams taken at once.
const RTCP_BURST: u8 = 4;

impl Stream {
    /// The leg has come to this place of a worker.
    pub(crate) fn settle(&mut self, place: usize, watch: &Watch) {
        self.place = place;
        self.attention = Attention::begin(watch, &self.sockets.rtp, place);
        self.rtcp = if watch.add(&self.sockets.rtcp, place, Port::Rtcp) {
            RtcpPort::Watched { ready: true }
        } else {
            RtcpPort::Asked
        };
    }

    /// What the next service needs is brought nearer, and a datagram asked for.
    pub(crate) fn reach(&mut self, wire: &mut Wire) {
        prefetch(&*self.shared);
        if let Some(session) = &self.session {
            prefetch(&**session);
        }
        if let Some(recording) = &self.recording {
            prefetch(&**recording);
        }
        if let Link::Seated(seat) = &self.link {
            prefetch(&**seat);
        }
        self.ticket = if self.attention.is_due() { wire.ask(&self.sockets.rtp) } else { None };
    }

    /// What those things refer to is brought nearer.
    pub(crate) fn reach_further(&self) {
        if let Some(session) = &self.session {
            session.touch();
        }
    }

    /// The leg goes from its worker.
    pub(crate) fn depart(&mut self, watch: &Watch) {
        watch.remove(&self.sockets.rtp);
        watch.remove(&self.sockets.rtcp);
        (self.attention, self.rtcp) = (Attention::Asked { vain: 0 }, RtcpPort::Asked);
    }

    /// Something came at a watched port, before `slot` was served. Whether the next ones are worth a closer look.
    pub(crate) fn rouse(&mut self, port: Port, slot: usize) -> bool {
        match (port, &mut self.rtcp) {
            (Port::Rtp, _) => {
                self.attention.rouse();
                self.phase.saw(slot);
                return self.phase.is_unsure();
            }
            (Port::Rtcp, RtcpPort::Watched { ready }) => *ready = true,
            (Port::Rtcp, RtcpPort::Asked) => {}
        }
        false
    }

    /// Takes what arrived, and tells of what was in it. Pressed digits are left in `io.pressed`.
    pub(crate) fn intake(&mut self, now: Instant, io: &mut Io) {
        io.pressed.clear();
        #[cfg(test)]
        assert!(!self.breaks, "ordered by a test");
        self.served = self.served.wrapping_add(1);
        self.phase.served();
        self.receive(now, false, io);
        let Some(session) = &mut self.session else { return };
        while let Some(event) = session.poll_event() {
            let event = match event {
                SessionEvent::Digit(digit) => {
                    io.pressed.push(digit);
                    MediaEvent::Digit(digit)
                }
                SessionEvent::Latched(address) => MediaEvent::Latched(address),
                _ => continue,
            };
            report(&self.events, event, &mut io.wire);
        }
        if match self.rtcp {
            RtcpPort::Asked => self.served.is_multiple_of(RTCP),
            RtcpPort::Watched { ready } => ready,
        } {
            self.receive_rtcp(now, io);
        }
        if self.served.is_multiple_of(SECOND) {
            self.watch(now, io);
            self.report_rtcp(now, io);
            if self.phase.judge() {
                self.attention.look(&io.watch, &self.sockets.rtp, self.place);
            }
        }
    }

    /// Takes what is there to be taken; `all` of it, even where none is known of.
    pub(super) fn receive(&mut self, now: Instant, all: bool, io: &mut Io) {
        let watched = matches!(self.attention, Attention::Watched { .. });
        if !self.attention.is_due() && !all {
            return;
        }
        let calm = self.calm >= CALM && !self.served.is_multiple_of(DRAIN);
        let drain = watched || all || !calm;
        // One is looked for even where none came before, that the first word after a pause is heard at once.
        let limit = if drain { BURST } else { self.expected.max(1) };
        let mut found = 0;
        let mut empty = false;
        if let (Some(ticket), Some(peer)) = (self.ticket.take(), self.sockets.rtp.peer()) {
            match io.wire.found(ticket) {
                Found::Packet(packet) => {
                    found = 1;
                    self.take(now, packet, peer);
                }
                Found::Nothing => empty = true,
                Found::Error => {}
            }
        }
        while found < limit && !empty {
            let Some((length, source)) = self.sockets.rtp.receive(&mut io.inbound) else { break };
            found += 1;
            self.take(now, io.inbound.get(..length).unwrap_or_default(), source);
        }
        io.wire.tally.packets_in += u64::from(found);
        let expected = found.min(4);
        self.calm = if expected == self.expected { self.calm.saturating_add(1) } else { 0 };
        self.expected = expected;
        self.attention.learn(found > 0, found == BURST, &io.watch, &self.sockets.rtp, self.place);
    }

    fn take(&mut self, now: Instant, packet: &[u8], source: SocketAddr) {
        let Some(session) = &mut self.session else { return };
        let verdict = session.handle_rtp(now, source, packet);
        if let Some(kind) = verdict.accepted {
            self.silent = false;
            if let PayloadKind::Audio(codec) = kind {
                self.incoming = Some(codec);
            }
        }
        if let Some(latched) = verdict.latched {
            self.sockets.rtp.connect(Some(latched));
        }
    }

    fn receive_rtcp(&mut self, now: Instant, io: &mut Io) {
        let mut found = 0;
        while found < RTCP_BURST
            && let Some((length, source)) = self.sockets.rtcp.receive(&mut io.inbound)
        {
            found += 1;
            io.wire.tally.packets_in += 1;
            if let Some(session) = self.session.as_mut().filter(|session| !session.negotiated().rtcp_mux) {
                session.handle_rtcp(now, source, io.inbound.get(..length).unwrap_or_default());
            }
        }
        if let RtcpPort::Watched { ready } = &mut self.rtcp {
            *ready = found == RTCP_BURST;
        }
    }

    fn report_rtcp(&mut self, now: Instant, io: &mut Io) {
        let Some(mut session) = self.session.take() else { return };
        if let Some(length) = session.rtcp(now, io.wire.out()) {
            self.send_rtcp(&session, length, &mut io.wire);
        }
        self.session = Some(session);
    }

    pub(super) fn send_rtcp(&self, session: &Session, length: usize, wire: &mut Wire) {
        let Some(to) = session.rtcp_destination() else { return };
        let socket = if session.negotiated().rtcp_mux { &self.sockets.rtp } else { &self.sockets.rtcp };
        wire.send(socket, length, to);
    }

    fn watch(&mut self, now: Instant, io: &mut Io) {
        let Some(session) = &self.session else { return };
        // A phone that does not send silence still sends reports.
        let heard = session.last_heard().map_or(self.heard, |heard| heard.max(self.heard));
        if !session.negotiated().direction.receives() {
            self.heard = now;
        } else if !self.silent
            && !io.rtp_timeout.is_zero()
            && now.saturating_duration_since(heard) >= io.rtp_timeout
        {
            self.silent = true;
            report(&self.events, MediaEvent::Silent, &mut io.wire);
        }
    }
}
