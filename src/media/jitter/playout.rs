//! From packets to an even stream of samples.
//!
//! The depth adapts by itself: sound that is late is concealed without moving on, which makes the buffer deeper
//! by as much; what was never needed for a while is taken out again, a pitch period at a time. Each
//! [`Playout::pull`] gives exactly 20 ms, so that a recording lasts as long as the call did.

use std::hint::black_box;

use super::{Store, stretch};
use crate::{CodecKind, Decoder, Frame, Pulled, plc::Concealer};

/// Sound is held back at the beginning of a talk spurt until there is this much of it, ...
const PREFILL_MS: usize = 40;
/// ... or until this many frames were asked for.
const PREFILL_PULLS: u32 = 2;
/// The deepest buffer; older sound is skipped.
const DEEPEST_MS: usize = 200;
/// What is left after each frame for this long ...
const WINDOW_PULLS: u32 = 100;
/// ... beyond this much, is taken out.
const SPARE_MS: usize = 25;
/// After this much of nothing, the next packet begins a new talk spurt.
const STALL_MS: usize = 60;
/// The longest gap in the timestamps that is played as silence.
const LONGEST_GAP_MS: usize = 200;
/// The room for decoded samples: a packet of 120 ms, a frame, and what shortening looks at, with a margin.
const FIFO_MS: usize = 240;

/// Where the playing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing arrives.
    Idle,
    /// A talk spurt is beginning.
    Filling { pulls: u32 },
    /// Playing; the timestamp of the sample after the decoded ones, and the samples concealed for want of
    /// packets since the last one.
    Playing { timestamp: i64, stalled: usize },
}

/// Decodes, conceals and adapts.
#[derive(Debug)]
pub(crate) struct Playout {
    state: State,
    codecs: smallvec::SmallVec<[(u8, CodecKind); 4]>,
    decoder: Decoder,
    /// Decoders of codecs that the other side changed from, kept for when it changes back.
    others: smallvec::SmallVec<[Decoder; 2]>,
    concealer: Concealer,
    samples: Vec<i16>,
    start: usize,
    end: usize,
    /// The least that was left after a frame in the current window, in samples.
    least: usize,
    pulls: u32,
    surplus: bool,
    concealed: u64,
}

impl Playout {
    pub(crate) fn new(codec: CodecKind, codecs: &[(u8, CodecKind)]) -> Self {
        let rate = codec.sample_rate();
        Self {
            state: State::Idle,
            codecs: codecs.iter().copied().collect(),
            decoder: Decoder::new(codec),
            others: smallvec::SmallVec::new(),
            concealer: Concealer::new(rate),
            samples: vec![0; rate as usize / 1000 * FIFO_MS],
            start: 0,
            end: 0,
            least: usize::MAX,
            pulls: 0,
            surplus: false,
            concealed: 0,
        }
    }

    /// Frames that were concealed, wholly or in part.
    pub(crate) const fn concealed(&self) -> u64 {
        self.concealed
    }

    /// What waits, in ms.
    pub(crate) fn depth_ms(&self, store: &Store) -> u32 {
        (self.left(store) * 1000 / self.rate() as usize) as u32
    }

    /// Looks at what the next frame is made of.
    pub(crate) fn touch(&self) {
        if matches!(self.state, State::Playing { .. }) {
            // What a frame of 8 kHz takes, a line of memory each.
            for sample in self.samples.iter().take(320).step_by(32) {
                black_box(*sample);
            }
            self.concealer.touch();
        }
    }

    /// Forgets what was decoded; the next packet begins a talk spurt.
    pub(crate) fn stop(&mut self) {
        if self.state != State::Idle {
            self.state = State::Idle;
            self.flush();
        }
    }

    fn flush(&mut self) {
        (self.start, self.end) = (0, 0);
        self.concealer.reset();
    }

    const fn rate(&self) -> u32 {
        self.decoder.kind().sample_rate()
    }

    const fn per_ms(&self) -> usize {
        self.rate() as usize / 1000
    }

    /// The next 20 ms.
    pub(crate) fn pull(&mut self, store: &mut Store, out: &mut Frame) -> Pulled {
        self.begin(store);
        if !matches!(self.state, State::Playing { .. }) {
            out.reset(self.rate());
            return Pulled::Silence;
        }
        self.skip_excess(store);
        let frame = 20 * self.per_ms();
        let wanted = if self.surplus { frame + stretch::needed(self.rate()) } else { frame };
        let filled = self.fill(store, frame, wanted);
        self.shorten(frame);
        // The codec may have changed while filling.
        out.set_rate(self.rate());
        let frame = out.samples().len();
        let have = frame.min(self.end - self.start);
        out.samples_mut()[..have].copy_from_slice(&self.samples[self.start..self.start + have]);
        out.samples_mut()[have..].fill(0);
        self.start += have;
        self.observe(store);
        if filled == Pulled::Concealed {
            self.concealed += 1;
        }
        filled
    }

    /// Begins a talk spurt when there is enough of it.
    fn begin(&mut self, store: &mut Store) {
        let Some(first) = store.peek() else {
            // Packets that are counted, and not found, were overwritten.
            if store.len() > 0 {
                store.pop();
            }
            return;
        };
        let pulls = match self.state {
            State::Playing { .. } => return,
            State::Idle => 0,
            State::Filling { pulls } => pulls + 1,
        };
        let waiting = store.last().map_or(0, |last| last.timestamp + i64::from(last.ticks) - first.timestamp);
        let waiting = self.to_samples(waiting);
        if waiting >= PREFILL_MS * self.per_ms() || pulls >= PREFILL_PULLS {
            self.state = State::Playing { timestamp: first.timestamp, stalled: 0 };
            (self.least, self.pulls, self.surplus) = (usize::MAX, 0, false);
            self.flush();
        } else {
            self.state = State::Filling { pulls };
        }
    }

    fn to_samples(&self, ticks: i64) -> usize {
        self.decoder.kind().samples(u32::try_from(ticks.clamp(0, 1 << 24)).unwrap_or(0))
    }

    fn to_ticks(&self, samples: usize) -> i64 {
        i64::from(self.decoder.kind().ticks(samples))
    }

    /// Skips the oldest packets of a burst.
    fn skip_excess(&mut self, store: &mut Store) {
        while self.left(store) > DEEPEST_MS * self.per_ms() && store.len() > 1 {
            store.pop();
            // What comes next is blended with what would have come here.
            self.concealer.conceal(&mut []);
            if let (State::Playing { timestamp, stalled }, Some(first)) = (&mut self.state, store.peek()) {
                (*timestamp, *stalled) = (first.timestamp, 0);
            }
        }
    }

    /// Decodes until there are `wanted` samples; conceals only up to `frame`.
    fn fill(&mut self, store: &mut Store, frame: usize, wanted: usize) -> Pulled {
        self.compact();
        let mut pulled = Pulled::Audio;
        let mut fresh = self.end - self.start;
        while self.end - self.start < wanted {
            let State::Playing { timestamp, stalled } = self.state else { break };
            let Some(first) = store.peek() else {
                let missing = frame.saturating_sub(self.end - self.start);
                if missing > 0 {
                    pulled = self.stall(missing, timestamp, stalled, fresh);
                }
                break;
            };
            // What was made up while waiting counts for what is missing now.
            let gap = self.to_samples(first.timestamp - timestamp);
            let credit = gap.min(stalled);
            let hole = gap - credit;
            if hole > 0 && hole <= LONGEST_GAP_MS * self.per_ms() {
                if self.end - self.start >= frame {
                    break;
                }
                self.bridge(store, hole, timestamp + self.to_ticks(credit));
                pulled = Pulled::Concealed;
            } else {
                fresh += self.decode(store);
            }
        }
        pulled
    }

    /// Conceals for want of packets; after a while this is silence.
    fn stall(&mut self, missing: usize, timestamp: i64, stalled: usize, fresh: usize) -> Pulled {
        self.make_up(missing, None);
        let stalled = stalled + missing;
        self.state = if stalled >= STALL_MS * self.per_ms() {
            State::Idle
        } else {
            State::Playing { timestamp, stalled }
        };
        if fresh == 0 && self.state == State::Idle { Pulled::Silence } else { Pulled::Concealed }
    }

    /// Conceals a part of a hole before a packet that is there.
    fn bridge(&mut self, store: &Store, hole: usize, timestamp: i64) {
        let count = hole.min(20 * self.per_ms());
        // The packet after the hole may hold a copy of the end of what was lost.
        let adjacent = count == hole
            && store
                .peek()
                .is_some_and(|packet| self.codec_of(packet.payload_type) == Some(self.decoder.kind()));
        self.make_up(count, adjacent.then(|| store.peek_payload()));
        self.state = State::Playing { timestamp: timestamp + self.to_ticks(count), stalled: 0 };
    }

    fn make_up(&mut self, count: usize, next: Option<&[u8]>) {
        let count = count.min(self.samples.len() - self.end);
        let out = &mut self.samples[self.end..self.end + count];
        if !(self.decoder.conceals() && self.decoder.conceal(next, out)) {
            self.concealer.conceal(out);
        }
        self.end += count;
    }

    fn codec_of(&self, payload_type: u8) -> Option<CodecKind> {
        self.codecs.iter().find(|codec| codec.0 == payload_type).map(|codec| codec.1)
    }

    /// Decodes the next packet; returns how many samples it had.
    fn decode(&mut self, store: &mut Store) -> usize {
        let Some((packet, payload)) = store.pop() else { return 0 };
        if let Some(kind) =
            self.codecs.iter().find(|codec| codec.0 == packet.payload_type).map(|codec| codec.1)
            && kind != self.decoder.kind()
        {
            // The payload is borrowed from the store, so the parts are borrowed one by one here.
            change(&mut self.decoder, &mut self.others, kind);
            let rate = kind.sample_rate();
            if self.samples.len() != rate as usize / 1000 * FIFO_MS {
                self.samples.clear();
                self.samples.resize(rate as usize / 1000 * FIFO_MS, 0);
                (self.start, self.end) = (0, 0);
                self.concealer = Concealer::new(rate);
            }
        }
        let count = self.decoder.decode(payload, &mut self.samples[self.end..]);
        if !self.decoder.conceals() {
            self.concealer.heard(&mut self.samples[self.end..self.end + count]);
        }
        self.end += count;
        let ticks = self.to_ticks(count);
        self.state = State::Playing { timestamp: packet.timestamp + ticks, stalled: 0 };
        count
    }

    fn compact(&mut self) {
        self.samples.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// Takes a period out where there was more than enough for a while.
    fn shorten(&mut self, frame: usize) {
        let needed = stretch::needed(self.rate());
        if self.surplus && self.end - self.start >= frame + needed {
            let rate = self.rate();
            if let Some(cut) = stretch::shorten(&mut self.samples[self.start..self.end], rate) {
                self.start += cut;
            }
            self.surplus = false;
        }
    }

    /// What waits to be played, in samples.
    fn left(&self, store: &Store) -> usize {
        let decoded = self.end - self.start;
        let waiting = match (self.state, store.last(), store.peek()) {
            (State::Playing { timestamp, .. }, Some(last), Some(first)) => {
                // A gap that will not be played is not waited for.
                let from = timestamp.max(first.timestamp - self.to_ticks(LONGEST_GAP_MS * self.per_ms()));
                self.to_samples(last.timestamp + i64::from(last.ticks) - from)
            }
            (_, Some(last), Some(first)) => {
                self.to_samples(last.timestamp + i64::from(last.ticks) - first.timestamp)
            }
            _ => 0,
        };
        decoded + waiting
    }

    fn observe(&mut self, store: &Store) {
        self.least = self.least.min(self.left(store));
        self.pulls += 1;
        if self.pulls >= WINDOW_PULLS {
            self.surplus = self.least > SPARE_MS * self.per_ms();
            (self.least, self.pulls) = (usize::MAX, 0);
        }
    }
}

/// Makes the decoder one of `kind`; the state of the one before is kept.
fn change(decoder: &mut Decoder, others: &mut smallvec::SmallVec<[Decoder; 2]>, kind: CodecKind) {
    let wanted = match others.iter().position(|other| other.kind() == kind) {
        Some(at) => others.swap_remove(at),
        None => Decoder::new(kind),
    };
    others.push(std::mem::replace(decoder, wanted));
}
