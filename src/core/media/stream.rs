//! A leg as its worker has it: sockets, RTP session, and what is played, recorded and passed on.

mod intake;
mod speech;

use std::{
    collections::VecDeque,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sems_media::{CodecKind, Frame, Negotiated, OpusParameters, Payload, Pulled, Session};
use tokio::sync::mpsc;

use super::{
    LegId, LegStats, MediaEvent, PlayId, RecordEnd, RecordSpec,
    command::LegShared,
    io::{Io, Wire},
    phase::Phase,
    playing::Playing,
    ports::Sockets,
    recorder::RecordingId,
    recording::{BEHIND, Recording, Step},
    room::Seat,
    socket::{Ticket, Udp},
    watch::Attention,
};

/// Every so many services, so once a second: the watch for silence on the wire, and a packet to a phone that
/// would hear nothing otherwise.
pub(crate) const SECOND: u32 = 50;
/// How long a digit is sent, and the pause after it and at a `,`, in services.
const DIGIT: Duration = Duration::from_millis(120);
const DIGIT_GAP: u32 = 3;
const COMMA: u32 = 25;

/// Speech has nothing above 8 kHz that a message would miss: recordings of Opus are made at this rate.
const WIDEBAND: u32 = 16_000;

/// Whom a leg is connected with.
#[derive(Debug)]
pub(crate) enum Link {
    Alone,
    Bridged(LegId),
    Seated(Box<Seat>),
}

/// How the RTCP port is attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RtcpPort {
    /// Where it cannot be watched.
    Asked,
    Watched {
        ready: bool,
    },
}

/// Digits that wait to be sent.
#[derive(Debug, Default)]
struct Dialling {
    queue: VecDeque<char>,
    pause: u32,
    active: bool,
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) shared: Arc<LegShared>,
    pub(crate) link: Link,
    /// Its place in the table of its worker.
    pub(crate) place: usize,
    /// Its place in the wheel of its worker.
    pub(crate) slot: usize,
    pub(crate) sockets: Sockets,
    session: Option<Box<Session>>,
    events: mpsc::Sender<MediaEvent>,
    playing: Option<Playing>,
    echo: bool,
    /// Payloads went on as they came in the last service.
    passes: bool,
    recording: Option<Box<Recording>>,
    dialling: Dialling,
    incoming: Option<CodecKind>,
    attention: Attention,
    rtcp: RtcpPort,
    /// How many packets came in the last service, and in how many of the same number before it.
    expected: u8,
    calm: u8,
    served: u32,
    unfed: u32,
    heard: Instant,
    silent: bool,
    phase: Phase,
    /// The receive that was asked for ahead of this service.
    ticket: Option<Ticket>,
    #[cfg(test)]
    breaks: bool,
}

/// Frames taken out of the jitter buffer when a recording is stopped: the deepest one is 200 ms.
const LAST_FRAMES: usize = 12;

impl Stream {
    pub(crate) fn new(
        now: Instant,
        shared: Arc<LegShared>,
        sockets: Sockets,
        events: mpsc::Sender<MediaEvent>,
    ) -> Self {
        Self {
            shared,
            link: Link::Alone,
            place: 0,
            slot: 0,
            sockets,
            session: None,
            events,
            playing: None,
            echo: false,
            passes: false,
            recording: None,
            dialling: Dialling::default(),
            incoming: None,
            attention: Attention::Asked { vain: 0 },
            rtcp: RtcpPort::Asked,
            expected: 1,
            calm: 0,
            served: 0,
            unfed: 0,
            heard: now,
            silent: false,
            phase: Phase::default(),
            ticket: None,
            #[cfg(test)]
            breaks: false,
        }
    }

    /// Does something for this leg. A panic there is its end, and nobody else's.
    pub(crate) fn guarded(&mut self, io: &mut Io, work: impl FnOnce(&mut Self, &mut Io)) {
        if panic::catch_unwind(AssertUnwindSafe(|| work(self, io))).is_err() {
            self.fail(io);
        }
    }

    /// Ends the leg after a panic: nothing in its session can be trusted any more. It closes when it is served next.
    pub(crate) fn fail(&mut self, io: &mut Io) {
        tracing::error!(leg = self.shared.id.0, "serving a media leg failed; the leg ends");
        (self.session, self.playing) = (None, None);
        self.shared.closed.store(true, Ordering::Release);
        report(&self.events, MediaEvent::Failed, &mut io.wire);
    }

    #[cfg(test)]
    pub(crate) fn break_down(&mut self, at_once: bool) {
        assert!(!at_once, "ordered by a test");
        self.breaks = true;
    }

    /// When its packets come, where it passes them on and had better be served at another time.
    pub(crate) fn is_better_after(&self) -> Option<usize> {
        self.phase.is_better_after(self.slot).filter(|_| self.passes)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    pub(crate) fn codec(&self) -> Option<CodecKind> {
        self.session.as_ref().map(|session| session.negotiated().codec)
    }

    /// Whether encodings made beforehand fit: they are of 20 ms.
    pub(crate) fn takes_whole_payloads(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.negotiated().ptime_ms == super::audio::PTIME_MS)
    }

    /// The codec, where the leg takes what was encoded for several: packets of 20 ms, by an encoder as it is for all.
    pub(crate) fn shared_codec(&self) -> Option<CodecKind> {
        let negotiated = self.session.as_ref()?.negotiated();
        let usual = negotiated.codec != CodecKind::Opus || negotiated.opus == OpusParameters::default();
        (usual && negotiated.ptime_ms == super::audio::PTIME_MS).then_some(negotiated.codec)
    }

    pub(crate) fn seat_mut(&mut self) -> Option<&mut Seat> {
        match &mut self.link {
            Link::Seated(seat) => Some(seat),
            Link::Alone | Link::Bridged(_) => None,
        }
    }

    // What is ordered.

    pub(crate) fn start(&mut self, now: Instant, session: Box<Session>) {
        if self.session.is_none() {
            self.heard = now;
            self.session = Some(session);
        } else {
            let negotiated = session.negotiated().clone();
            self.configure(now, &negotiated);
        }
    }

    pub(crate) fn configure(&mut self, now: Instant, negotiated: &Negotiated) {
        self.heard = now;
        self.silent = false;
        let Some(session) = &mut self.session else { return };
        session.reconfigure(negotiated);
        // Until the source is latched anew, anybody may be it.
        self.sockets.rtp.connect(None);
        if let Some(playing) = &mut self.playing {
            playing.encode_for(negotiated.codec);
        }
    }

    pub(crate) fn play(&mut self, mut playing: Playing) {
        if let Some(codec) = self.codec() {
            playing.encode_for(codec);
        }
        self.playing = Some(playing);
    }

    pub(crate) fn stop_play(&mut self, id: Option<PlayId>) {
        if self.playing.as_ref().is_some_and(|playing| playing.id() == id) {
            self.playing = None;
        }
    }

    pub(crate) fn record(&mut self, id: RecordingId, spec: RecordSpec, io: &mut Io) {
        self.cut_record(io);
        if self.recording.is_some() {
            // The recorder is too busy even to end the last one, which must not be forgotten.
            let (duration, ended) = (Duration::ZERO, RecordEnd::Disk(BEHIND.to_owned()));
            return report(&self.events, MediaEvent::RecordEnded { duration, ended }, &mut io.wire);
        }
        let rate = self.codec().map_or(8000, CodecKind::sample_rate).min(WIDEBAND);
        self.recording = Recording::begin(id, spec, rate, self.events.clone(), &io.outlet).map(Box::new);
    }

    /// Ends the recording with all that was said until now: what has arrived and was not its turn yet goes first.
    pub(crate) fn stop_record(&mut self, now: Instant, io: &mut Io) {
        if self.recording.is_some() {
            self.receive(now, true, io);
        }
        for _ in 0..LAST_FRAMES {
            let waits = self.session.as_ref().is_some_and(|session| session.stats().depth_ms >= 20);
            if !waits || self.recording.is_none() {
                break;
            }
            self.hear(now, io);
        }
        self.cut_record(io);
    }

    fn cut_record(&mut self, io: &Io) {
        if let Some(recording) = &mut self.recording
            && recording.end(RecordEnd::Stopped, &io.outlet) == Step::Over
        {
            self.recording = None;
        }
    }

    pub(crate) fn echo(&mut self, on: bool) {
        self.echo = on;
    }

    pub(crate) fn send_digits(&mut self, digits: &str) {
        let known = |c: &char| *c == ',' || sems_media::dtmf::code(*c).is_some();
        let room = super::DIGITS.saturating_sub(self.dialling.queue.len());
        self.dialling.queue.extend(digits.chars().filter(known).take(room));
        self.dialling.active = true;
    }

    pub(crate) fn info_digit(&mut self, now: Instant, digit: char) {
        if let Some(session) = &mut self.session {
            session.info_digit(now, digit);
        }
    }

    pub(crate) fn stats(&self) -> Option<LegStats> {
        let session = self.session.as_ref()?;
        Some(LegStats {
            codec: session.negotiated().codec,
            remote: session.destination(),
            rtp: session.stats(),
        })
    }

    /// The last words on the wire. The recording is ended; where the recorder is busy the caller calls again.
    pub(crate) fn close(&mut self, now: Instant, io: &mut Io) -> bool {
        if let Some(recording) = &mut self.recording
            && recording.end(RecordEnd::Stopped, &io.outlet) == Step::On
        {
            return false;
        }
        self.recording = None;
        if let Some(mut session) = self.session.take()
            && let Some(length) = session.rtcp_bye(now, io.wire.out())
        {
            self.send_rtcp(&session, length, &mut io.wire);
        }
        true
    }

    /// As [`close`](Self::close), waiting for the recorder: when the engine stops.
    pub(crate) fn close_waiting(&mut self, now: Instant, io: &mut Io) {
        if let Some(recording) = self.recording.take() {
            recording.end_waiting(&io.outlet);
        }
        self.close(now, io);
    }

    // What happens in each service; what comes in is in `intake`.

    /// The next 20 ms of what the other side says, into `io.frame`, and into the recording.
    pub(crate) fn hear(&mut self, now: Instant, io: &mut Io) -> Pulled {
        let pulled = match &mut self.session {
            Some(session) => session.pull(now, &mut io.frame),
            None => {
                io.frame.reset(8000);
                Pulled::Silence
            }
        };
        if let Some(recording) = &mut self.recording {
            match recording.append(now, &io.frame, &io.outlet) {
                Step::On => {}
                Step::Warn if self.playing.is_none() => self.play(Playing::unnamed(Arc::clone(&io.beep))),
                Step::Warn => {}
                Step::Over => self.recording = None,
            }
        }
        pulled
    }

    /// One service of a leg that is connected with nobody.
    pub(crate) fn serve(&mut self, now: Instant, io: &mut Io) {
        self.passes = false;
        self.intake(now, io);
        if !self.echo {
            self.hear(now, io);
        } else if self.playing.is_none() && self.recording.is_none() && self.returns_as_it_came() {
            self.echo_payloads(now, io);
        } else if self.hear(now, io) != Pulled::Silence {
            self.feed_frame(now, &io.frame, &mut io.wire);
        }
        self.speak(now, io);
    }

    /// Whether what arrives can be sent back undecoded: in the codec it came in, if its clock is that of ours.
    fn returns_as_it_came(&self) -> bool {
        let clock = |codec: Option<CodecKind>| codec.map(CodecKind::rtp_clock);
        clock(self.incoming) == clock(self.codec())
    }

    fn echo_payloads(&mut self, now: Instant, io: &mut Io) {
        let Some(session) = &mut self.session else { return };
        let mut passed = 0;
        while let (Some(length), Some(to)) = (session.echo(now, io.wire.out()), session.destination()) {
            self.unfed = 0;
            passed += 1;
            io.wire.send(&self.sockets.rtp, length, to);
        }
        self.phase.note(passed);
        self.passes = true;
    }

    /// One service of a leg whose sound goes to `other`.
    pub(crate) fn serve_bridged(&mut self, now: Instant, other: &mut Self, io: &mut Io) {
        self.passes = false;
        self.intake(now, io);
        if self.passes_to(other)
            && let Some(session) = &mut self.session
        {
            let mut passed = 0;
            while let Some(payload) = session.pull_payload(now) {
                passed += 1;
                other.feed_payload(now, &payload, &mut io.wire);
            }
            self.phase.note(passed);
            self.passes = true;
        } else if self.hear(now, io) != Pulled::Silence {
            other.feed_frame(now, &io.frame, &mut io.wire);
        }
        // Digits that are tones in the sound went with it; those that came as events are sent anew.
        let by_event = self.session.as_ref().is_some_and(|s| !s.negotiated().dtmf_receive.is_empty());
        if let Some(session) = &mut other.session
            && by_event
        {
            for digit in &io.pressed {
                session.send_digit(*digit, DIGIT);
            }
        }
        self.speak(now, io);
    }

    /// Whether payloads can go to `other` as they are. Not while this leg is recorded.
    fn passes_to(&self, other: &Self) -> bool {
        self.recording.is_none() && self.incoming.is_some() && self.incoming == other.codec()
    }

    fn takes_sound(&self) -> bool {
        self.playing.is_none() && self.session.as_ref().is_some_and(|session| !session.sending_digits())
    }

    /// Sends a frame, unless something of this leg's own is to be heard there.
    pub(crate) fn feed_frame(&mut self, now: Instant, frame: &Frame, wire: &mut Wire) {
        if !self.takes_sound() {
            return;
        }
        self.unfed = 0;
        self.push_frame(now, frame, wire);
    }

    fn push_frame(&mut self, now: Instant, frame: &Frame, wire: &mut Wire) {
        let Some(session) = &mut self.session else { return };
        let mut length = session.push(now, frame, wire.out());
        while let (Some(packet), Some(to)) = (length, session.destination()) {
            wire.send(&self.sockets.rtp, packet, to);
            length = session.push_rest(now, wire.out());
        }
    }

    /// Passes on what another leg received.
    fn feed_payload(&mut self, now: Instant, payload: &Payload<'_>, wire: &mut Wire) {
        if !self.takes_sound() {
            return;
        }
        self.unfed = 0;
        if let Some(session) = &mut self.session
            && let Some(length) = session.relay(now, payload, wire.out())
            && let Some(to) = session.destination()
        {
            wire.send(&self.sockets.rtp, length, to);
        }
    }

    /// Sends 20 ms that were encoded for several legs at once.
    pub(crate) fn feed_encoded(&mut self, now: Instant, payload: &[u8], ticks: u32, wire: &mut Wire) {
        if self.takes_sound() {
            self.unfed = 0;
            self.push_payload(now, payload, false, ticks, wire);
        }
    }

    fn push_payload(&mut self, now: Instant, payload: &[u8], marker: bool, ticks: u32, wire: &mut Wire) {
        if let Some(session) = &mut self.session
            && let Some(length) = session.push_payload(now, payload, marker, ticks, wire.out())
            && let Some(to) = session.destination()
        {
            wire.send(&self.sockets.rtp, length, to);
        }
    }
}

/// Tells the call; what does not fit is lost, and counted.
fn report(events: &mpsc::Sender<MediaEvent>, event: MediaEvent, wire: &mut Wire) {
    if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(event) {
        wire.tally.dropped_events += 1;
    }
}
