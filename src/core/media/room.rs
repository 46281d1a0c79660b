//! Rooms: who is in them, and one tick of mixing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Instant,
};

use sems_media::{CodecKind, Frame, Mixer, Pulled, Resampler};

use super::{Audio, LegId, io::Io, listeners::Listeners, stream::Stream};

/// Below this a sample is the noise of an idle G.711 line: who only sends that is given what all hear.
const IDLE_LINE: u16 = 8;

/// After so many ticks without a word a member is a listener.
const LISTENER: u8 = 100;

/// Tones that sound at once. When more people come and go within a tone's length, the first ones are enough.
const TONES: usize = 4;

/// What is known of a room outside its worker.
#[derive(Debug)]
pub(crate) struct RoomHome {
    pub(crate) name: Box<str>,
    pub(crate) worker: usize,
    pub(crate) members: AtomicUsize,
    pub(crate) rate: AtomicU32,
}

/// A member's place, taken before he moves in and given back when it is dropped.
#[derive(Debug)]
pub(crate) struct RoomSeat(Arc<RoomHome>);

impl RoomSeat {
    /// A place in a room that has members and, with a `max` other than zero, fewer than that. `Err(true)` when it
    /// is full, `Err(false)` when it is empty: then it is about to go, and a new one has to be made.
    pub(crate) fn take(home: &Arc<RoomHome>, max: usize) -> Result<Self, bool> {
        home.members
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |members| {
                (members > 0 && (max == 0 || members < max)).then_some(members + 1)
            })
            .map(|_| Self(Arc::clone(home)))
            .map_err(|members| members > 0)
    }

    /// The first place of a new room.
    pub(crate) fn found(name: &str, worker: usize) -> Self {
        let (members, rate) = (AtomicUsize::new(1), AtomicU32::new(8000));
        Self(Arc::new(RoomHome { name: name.into(), worker, members, rate }))
    }

    pub(crate) fn home(&self) -> &Arc<RoomHome> {
        &self.0
    }
}

impl Drop for RoomSeat {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a member's leg carries.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The room's place on its worker.
    pub(crate) room: usize,
    pub(crate) leave_tone: Option<Arc<Audio>>,
    own: Frame,
    resampler: Option<Resampler>,
    speaks: bool,
    /// Ticks since the member spoke.
    silent: u8,
    _seat: RoomSeat,
}

impl Seat {
    pub(crate) fn new(room: usize, seat: RoomSeat, leave_tone: Option<Arc<Audio>>) -> Self {
        Self {
            room,
            leave_tone,
            own: Frame::silence(8000),
            resampler: None,
            speaks: false,
            silent: 0,
            _seat: seat,
        }
    }

    /// Remembers whether the member speaks.
    fn remember(&mut self) {
        self.silent = if self.speaks { 0 } else { self.silent.saturating_add(1) };
    }

    /// Whether the member may be sent what all listeners hear in that codec. One with memory is changed to only after
    /// a while of silence: the phone's decoder has followed another encoder until then.
    fn may_share(&self, codec: CodecKind) -> bool {
        matches!(codec, CodecKind::Pcmu | CodecKind::Pcma) || self.silent >= LISTENER
    }

    /// Keeps what the member said, at the rate of the room.
    fn take(&mut self, frame: &Frame, rate: u32) {
        if frame.rate() == rate {
            self.own.set_rate(rate);
            self.own.samples_mut().copy_from_slice(frame.samples());
        } else {
            let fits = self.resampler.as_ref().is_some_and(|r| (r.from(), r.to()) == (frame.rate(), rate));
            if !fits {
                self.resampler = Some(Resampler::new(frame.rate(), rate));
            }
            if let Some(resampler) = &mut self.resampler {
                resampler.frame(frame, &mut self.own);
            }
        }
        self.speaks = self.own.samples().iter().any(|sample| sample.unsigned_abs() > IDLE_LINE);
    }
}

/// A tone that all but one hear.
#[derive(Debug)]
struct RoomTone {
    audio: Arc<Audio>,
    position: usize,
    except: Option<LegId>,
}

/// A room on its worker. Its members are served in its slot, all in one go.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) home: Arc<RoomHome>,
    pub(crate) slot: usize,
    /// The places of the members' legs in the worker's table.
    pub(crate) members: Vec<usize>,
    /// Set when somebody came, went or changed codec: the rate is looked up again.
    pub(crate) changed: bool,
    mixer: Mixer,
    tones: Vec<RoomTone>,
    mixed: Frame,
    listeners: Listeners,
}

impl Room {
    pub(crate) fn new(home: Arc<RoomHome>, slot: usize) -> Self {
        Self {
            home,
            slot,
            members: Vec::new(),
            changed: true,
            mixer: Mixer::new(),
            tones: Vec::with_capacity(TONES),
            mixed: Frame::silence(8000),
            listeners: Listeners::new(),
        }
    }

    /// Lets all but `except` hear a tone.
    pub(crate) fn sound(&mut self, audio: Arc<Audio>, except: Option<LegId>) {
        if self.tones.len() < TONES {
            self.tones.push(RoomTone { audio, position: 0, except });
        }
    }

    /// One tick: everybody is heard, then everybody hears all others.
    pub(crate) fn serve(&mut self, now: Instant, legs: &mut [Option<Box<Stream>>], io: &mut Io) {
        if std::mem::take(&mut self.changed) {
            self.find_rate(legs);
        }
        let rate = self.home.rate.load(Ordering::Relaxed);
        self.mixer.begin(rate);
        for member in &self.members {
            let Some(Some(stream)) = legs.get_mut(*member) else { continue };
            let mut pulled = Pulled::Silence;
            stream.guarded(io, |stream, io| {
                stream.intake(now, io);
                pulled = stream.hear(now, io);
            });
            let Some(seat) = stream.seat_mut() else { continue };
            seat.speaks = false;
            if pulled != Pulled::Silence {
                seat.take(&io.frame, rate);
                if seat.speaks {
                    self.mixer.add(&seat.own);
                }
            }
        }
        self.mix_tones(rate, legs);
        self.mixer.all(&mut self.listeners.frame);
        self.listeners.begin();
        for member in &self.members {
            let Some(Some(stream)) = legs.get_mut(*member) else { continue };
            let (mixer, mixed, listeners) = (&self.mixer, &mut self.mixed, &mut self.listeners);
            stream.guarded(io, |stream, io| {
                let shared = stream.shared_codec();
                let Some(seat) = stream.seat_mut() else { return };
                seat.remember();
                let shared = shared.filter(|codec| seat.may_share(*codec));
                if seat.speaks {
                    mixer.minus(&seat.own, mixed);
                    stream.feed_frame(now, mixed, &mut io.wire);
                } else if let Some((payload, ticks)) = shared.and_then(|codec| listeners.encoded_for(codec)) {
                    stream.feed_encoded(now, payload, ticks, &mut io.wire);
                } else {
                    stream.feed_frame(now, &listeners.frame, &mut io.wire);
                }
                stream.speak(now, io);
            });
        }
    }

    fn find_rate(&self, legs: &[Option<Box<Stream>>]) {
        let rates = self.members.iter().filter_map(|member| legs.get(*member)?.as_ref()?.codec());
        let rate = rates.map(CodecKind::sample_rate).max().unwrap_or(8000);
        self.home.rate.store(rate, Ordering::Relaxed);
    }

    /// Adds the tones to the sum. To him who is not to hear one it becomes his own, which he never hears.
    fn mix_tones(&mut self, rate: u32, legs: &mut [Option<Box<Stream>>]) {
        let length = (rate / 50) as usize;
        let (mixer, mixed, members) = (&mut self.mixer, &mut self.mixed, &self.members);
        self.tones.retain_mut(|tone| {
            let samples = tone.audio.samples_at(rate).map_or(&[][..], |samples| samples);
            let rest = samples.get(tone.position * length..).unwrap_or_default();
            if rest.is_empty() {
                return false;
            }
            tone.position += 1;
            mixed.reset(rate);
            for (to, from) in mixed.samples_mut().iter_mut().zip(rest) {
                *to = *from;
            }
            mixer.add(mixed);
            let streams = members.iter().filter_map(|member| legs.get(*member)?.as_ref());
            let mut place = streams.zip(members).filter(|(stream, _)| Some(stream.shared.id) == tone.except);
            if let Some(member) = place.next().map(|(_, member)| *member)
                && let Some(Some(stream)) = legs.get_mut(member)
                && let Some(seat) = stream.seat_mut()
            {
                seat.own_also(mixed);
            }
            true
        });
    }
}

impl Seat {
    fn own_also(&mut self, frame: &Frame) {
        if !self.speaks {
            self.own.reset(frame.rate());
            self.speaks = true;
        }
        for (to, from) in self.own.samples_mut().iter_mut().zip(frame.samples()) {
            *to = to.saturating_add(*from);
        }
    }
}
