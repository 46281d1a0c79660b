//! What a leg hears of its own, when nobody feeds it.

use std::time::Instant;

use super::{COMMA, DIGIT, DIGIT_GAP, Link, SECOND, Stream, report};
use crate::media::{MediaEvent, io::Io};

impl Stream {
    /// What this leg hears of its own: digits being sent, what is played, else silence, so that neither the phone
    /// nor a NAT on the way forgets us.
    pub(crate) fn speak(&mut self, now: Instant, io: &mut Io) {
        if self.session.is_none() || self.dial(now, io) || self.play_on(now, io) {
            return;
        }
        let busy = self.recording.is_some() || self.echo || !matches!(self.link, Link::Alone);
        self.unfed += 1;
        if busy && self.unfed < SECOND {
            return;
        }
        self.unfed = 0;
        let Some(codec) = self.codec() else { return };
        match io.silence.iter().find(|silence| silence.codec() == codec) {
            Some(silence) if self.takes_whole_payloads() => {
                let payload = silence.payload(0).unwrap_or_default();
                self.push_payload(now, payload, false, silence.ticks(), &mut io.wire);
            }
            _ => {
                io.frame.reset(codec.sample_rate());
                self.push_frame(now, &io.frame, &mut io.wire);
            }
        }
    }

    /// Whether this service belongs to a digit.
    fn dial(&mut self, now: Instant, io: &mut Io) -> bool {
        let Some(session) = &mut self.session else { return false };
        if session.sending_digits() {
            if let Some(length) = session.push_digit(now, io.wire.out())
                && let Some(to) = session.destination()
            {
                io.wire.send(&self.sockets.rtp, length, to);
            }
            return true;
        }
        if !self.dialling.active {
            return false;
        }
        if self.dialling.pause > 0 {
            self.dialling.pause -= 1;
            return false;
        }
        match self.dialling.queue.pop_front() {
            Some(',') => self.dialling.pause = COMMA,
            Some(digit) => {
                session.send_digit(digit, DIGIT);
                self.dialling.pause = DIGIT_GAP;
            }
            None => {
                self.dialling.active = false;
                report(&self.events, MediaEvent::DigitsSent, &mut io.wire);
            }
        }
        false
    }

    /// Whether something is played.
    fn play_on(&mut self, now: Instant, io: &mut Io) -> bool {
        let whole = self.takes_whole_payloads();
        let Some(mut playing) = self.playing.take() else { return false };
        if !playing.has_more() {
            if let Some(id) = playing.id() {
                report(&self.events, MediaEvent::PlayEnded { id }, &mut io.wire);
            }
            return false;
        }
        match playing.payload().filter(|_| whole) {
            Some((payload, ticks)) => {
                self.push_payload(now, payload, playing.is_at_start(), ticks, &mut io.wire);
            }
            None => {
                playing.fill(&mut io.frame);
                self.push_frame(now, &io.frame, &mut io.wire);
            }
        }
        playing.advance();
        self.unfed = 0;
        self.playing = Some(playing);
        true
    }
}
