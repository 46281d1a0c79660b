//! A worker: the thread that serves its legs, each once in 20 ms.

use std::{
    collections::{HashMap, VecDeque},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    LegId, MediaIo,
    command::{Action, LegShared, Order},
    io::{Io, Tally},
    phase::BEHIND,
    playing::Playing,
    ports::PortPool,
    recorder::RecordingId,
    resting::Resting,
    room::Room,
    socket::prefetch,
    stream::{Link, Stream},
    wheel::{SLOTS, Wheel},
};

/// Orders carried out between two ticks; more would make the ticks late.
const ORDERS_PER_TICK: usize = 256;
/// A worker that has little to do looks for orders after this many ticks.
const LONGEST_SLEEP: u32 = 10;
/// After a packet was seen of which it is not known when the next ones come, no tick is left out for so long.
const CLOSER: u32 = 120;
/// A tick that begins later than this is counted as late.
const LATE: Duration = Duration::from_millis(5);
/// Legs whose packets are received, and looked for, together.
const CHUNK: usize = 64;

/// What workers and the engine share.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) workers: Vec<SyncSender<Order>>,
    /// Legs of each worker.
    pub(crate) loads: Vec<AtomicUsize>,
    pub(crate) counts: Vec<Counts>,
    pub(crate) ports: PortPool,
    pub(crate) quarantine: Duration,
    pub(crate) io: MediaIo,
    pub(crate) recordings: AtomicU64,
}

/// The published [`Tally`] of one worker.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) packets_in: AtomicU64,
    pub(crate) packets_out: AtomicU64,
    pub(crate) send_errors: AtomicU64,
    pub(crate) late_ticks: AtomicU64,
    pub(crate) dropped_events: AtomicU64,
}

impl Counts {
    fn publish(&self, tally: &Tally) {
        self.packets_in.store(tally.packets_in, Ordering::Relaxed);
        self.packets_out.store(tally.packets_out, Ordering::Relaxed);
        self.send_errors.store(tally.send_errors, Ordering::Relaxed);
        self.late_ticks.store(tally.late_ticks, Ordering::Relaxed);
        self.dropped_events.store(tally.dropped_events, Ordering::Relaxed);
    }
}

/// What is served in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Leg(usize),
    Room(usize),
}

/// One worker; lives on its thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(super) index: usize,
    fleet: Arc<Fleet>,
    orders: Receiver<Order>,
    /// Orders for other workers whose queue was full.
    outbox: VecDeque<(usize, Order)>,
    pub(super) legs: Vec<Option<Box<Stream>>>,
    free: Vec<usize>,
    places: HashMap<LegId, usize>,
    pub(super) rooms: Vec<Option<Box<Room>>>,
    pub(super) slots: [Vec<Entry>; SLOTS],
    pub(super) wheel: Wheel,
    resting: Resting,
    closing: Vec<usize>,
    /// Legs that are to be served at another time, and when their packets come.
    shifting: Vec<(usize, usize)>,
    /// The legs that are received for together.
    chunk: Vec<usize>,
    /// Legs on their way to another worker, and to which.
    departed: Vec<(Arc<LegShared>, usize)>,
    /// Ticks of which none is left out.
    awake: u32,
    io: Io,
}

impl Worker {
    pub(crate) fn new(index: usize, fleet: Arc<Fleet>, orders: Receiver<Order>, io: Io) -> Self {
        let now = Instant::now();
        Self {
            index,
            fleet,
            orders,
            outbox: VecDeque::new(),
            legs: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            rooms: Vec::new(),
            slots: Default::default(),
            wheel: Wheel::new(now),
            resting: Resting::default(),
            closing: Vec::new(),
            shifting: Vec::new(),
            chunk: Vec::new(),
            departed: Vec::new(),
            awake: 0,
            io,
        }
    }

    pub(crate) fn packets_out(&self) -> u64 {
        self.io.wire.tally.packets_out
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) {
        self.open_io();
        loop {
            let turn = panic::catch_unwind(AssertUnwindSafe(|| {
                let goes_on = self.wait();
                if goes_on {
                    self.tick();
                }
                goes_on
            }));
            match turn {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => self.begin_anew(),
            }
        }
        let now = Instant::now();
        let mut last = std::mem::take(&mut self.legs);
        for stream in last.iter_mut().flatten() {
            stream.close_waiting(now, &mut self.io);
        }
        // While the sockets are open.
        self.io.wire.flush();
    }

    /// Receives and sends as the configuration says, and says how.
    fn open_io(&mut self) {
        let opened = match self.fleet.io {
            MediaIo::Plain => None,
            MediaIo::Auto | MediaIo::Uring => Some(self.io.wire.open_ring()),
        };
        // Once is enough: it is the same for all of them.
        if self.index > 0 {
            return;
        }
        match opened {
            Some(Ok(())) => tracing::info!(io = "uring", "media threads receive and send by io_uring"),
            Some(Err(error)) if self.fleet.io == MediaIo::Uring => {
                tracing::warn!(%error, io = "plain", "media.io: no io_uring, so that media costs more");
            }
            Some(Err(error)) => tracing::info!(%error, io = "plain", "media threads go without io_uring"),
            None => tracing::info!(io = "plain", "media threads go without io_uring"),
        }
    }

    /// Sleeps until there is something to do, and does what was ordered. False when the engine stops.
    fn wait(&mut self) -> bool {
        if self.places.is_empty() && self.resting.is_empty() && self.outbox.is_empty() {
            let Ok(order) = self.orders.recv() else { return false };
            if !self.obey(order) {
                return false;
            }
            self.wheel.restart(Instant::now());
        } else {
            self.wheel.skip_empty(if self.awake > 0 { 0 } else { LONGEST_SLEEP });
            let pause = self.wheel.due().saturating_duration_since(Instant::now());
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        for _ in 0..ORDERS_PER_TICK {
            let Ok(order) = self.orders.try_recv() else { break };
            if !self.obey(order) {
                return false;
            }
        }
        true
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let late = self.wheel.lateness(now);
        if late > LATE {
            self.io.wire.tally.late_ticks += 1;
        }
        self.serve_slot(now, self.wheel.slot());
        self.wheel.advance();
        let (ports, quarantine) = (&self.fleet.ports, self.fleet.quarantine);
        self.resting.listen(now, quarantine, ports, &mut self.io.inbound);
        while let Some((target, order)) = self.outbox.pop_front() {
            if let Err(order) = self.hand_to(target, order) {
                self.outbox.push_front((target, order));
                break;
            }
        }
        if let Some(counts) = self.fleet.counts.get(self.index) {
            counts.publish(&self.io.wire.tally);
        }
    }

    pub(crate) fn serve_slot(&mut self, now: Instant, slot: usize) {
        let mut unsure = false;
        self.io.watch.look(|place, port| {
            if let Some(Some(stream)) = self.legs.get_mut(place) {
                unsure |= stream.rouse(port, slot);
            }
        });
        self.awake = if unsure { CLOSER } else { self.awake.saturating_sub(1) };
        let entries = std::mem::take(&mut self.slots[slot]);
        for entries in entries.chunks(CHUNK) {
            self.reach(entries);
            for entry in entries {
                match *entry {
                    Entry::Leg(place) => self.serve_leg(now, place),
                    Entry::Room(room) => self.serve_room(now, room),
                }
            }
        }
        self.slots[slot] = entries;
        self.io.wire.flush();
        while let Some(place) = self.closing.pop() {
            self.close(now, place);
        }
        while let Some((place, came)) = self.shifting.pop() {
            self.shift(place, came);
        }
    }

    /// Receives for all legs of some entries, with the sends of those before, and begins to fetch what is known of
    /// them from memory: one after the other, each would be waited for.
    fn reach(&mut self, entries: &[Entry]) {
        self.chunk.clear();
        for entry in entries {
            match *entry {
                Entry::Leg(place) => self.chunk.push(place),
                Entry::Room(room) => {
                    let members = self.rooms.get(room).and_then(Option::as_ref).map(|room| &room.members);
                    self.chunk.extend(members.into_iter().flatten());
                }
            }
        }
        for place in &self.chunk {
            if let Some(Some(stream)) = self.legs.get(*place) {
                prefetch(&**stream);
            }
        }
        self.io.wire.begin_receives();
        for place in &self.chunk {
            if let Some(Some(stream)) = self.legs.get_mut(*place) {
                stream.reach(&mut self.io.wire);
            }
        }
        self.io.wire.flush();
        for place in &self.chunk {
            if let Some(Some(stream)) = self.legs.get(*place) {
                stream.reach_further();
            }
        }
    }

    fn serve_leg(&mut self, now: Instant, place: usize) {
        let Some(mut stream) = self.legs.get_mut(place).and_then(Option::take) else { return };
        if stream.is_closed() {
            self.closing.push(place);
        } else {
            let partner = match stream.link {
                Link::Bridged(other) => self.places.get(&other).copied(),
                Link::Alone | Link::Seated(_) => None,
            };
            match partner.and_then(|partner| self.legs.get_mut(partner)?.as_mut()) {
                Some(other) => {
                    stream.guarded(&mut self.io, |stream, io| stream.serve_bridged(now, other, io));
                }
                None => stream.guarded(&mut self.io, |stream, io| stream.serve(now, io)),
            };
            if let Some(came) = stream.is_better_after() {
                self.shifting.push((place, came));
            }
        }
        self.legs[place] = Some(stream);
    }

    fn serve_room(&mut self, now: Instant, room: usize) {
        let Some(Some(room)) = self.rooms.get_mut(room) else { return };
        let closed = |place: &&usize| {
            self.legs.get(**place).and_then(Option::as_ref).is_some_and(|stream| stream.is_closed())
        };
        self.closing.extend(room.members.iter().filter(closed));
        room.serve(now, &mut self.legs, &mut self.io);
    }

    /// Carries out an order. False for the last one.
    pub(crate) fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Stop => return false,
            Order::Open(stream) => {
                self.add(stream);
            }
            Order::Adopt(stream, action) => {
                // From here on its handle finds it; before, the worker that sent it passes orders on.
                stream.shared.home.store(self.index, Ordering::Release);
                let place = self.add(stream);
                self.act_guarded(place, *action);
            }
            Order::Leg(leg, action) => match (self.place_of(leg.id), self.whereabouts(&leg)) {
                (Some(place), _) => self.act_guarded(place, *action),
                (None, Some(target)) => self.send_to(target, Order::Leg(leg, action)),
                // The leg is closed.
                (None, None) => {}
            },
        }
        true
    }

    /// A panic is the end of the leg it is about, and nobody else's.
    fn act_guarded(&mut self, place: usize, action: Action) {
        if panic::catch_unwind(AssertUnwindSafe(|| self.act(place, action))).is_err()
            && let Some(Some(stream)) = self.legs.get_mut(place)
        {
            stream.fail(&mut self.io);
        }
    }

    fn act(&mut self, place: usize, action: Action) {
        let now = Instant::now();
        match action {
            Action::Bridge { other, hops, reply } => return self.bridge(place, other, hops, reply),
            Action::Unbridge | Action::Leave => {
                let leaves = matches!(action, Action::Leave);
                if self.leg(place).is_some_and(|stream| leaves == stream.seat_mut().is_some()) {
                    self.unlink(place);
                }
                return;
            }
            Action::Join { seat, spec, reply } => return self.join(place, seat, *spec, reply),
            _ => {}
        }
        let recordings = &self.fleet.recordings;
        let Some(Some(stream)) = self.legs.get_mut(place) else { return };
        match action {
            Action::Start(session) => stream.start(now, session),
            Action::Configure(negotiated) => stream.configure(now, &negotiated),
            Action::Play { id, audio, options } => stream.play(Playing::new(id, audio, options.repeat)),
            Action::StopPlay(id) => stream.stop_play(Some(id)),
            Action::Record(spec) => {
                let id = RecordingId(recordings.fetch_add(1, Ordering::Relaxed));
                stream.record(id, spec, &mut self.io);
            }
            Action::StopRecord => stream.stop_record(now, &mut self.io),
            Action::Echo(on) => stream.echo(on),
            Action::SendDigits(digits) => stream.send_digits(&digits),
            Action::InfoDigit(digit) => stream.info_digit(now, digit),
            Action::Stats(reply) => {
                // Who asked may have gone.
                let _ = reply.send(stream.stats());
            }
            #[cfg(test)]
            Action::Panic { at_once } => stream.break_down(at_once),
            Action::Bridge { .. } | Action::Unbridge | Action::Join { .. } | Action::Leave => {}
        }
        // A codec may have changed.
        if let Some(room) = stream.seat_mut().map(|seat| seat.room)
            && let Some(Some(room)) = self.rooms.get_mut(room)
        {
            room.changed = true;
        }
    }

    // The table of legs.

    pub(crate) fn leg(&mut self, place: usize) -> Option<&mut Box<Stream>> {
        self.legs.get_mut(place)?.as_mut()
    }

    pub(crate) fn place_of(&self, leg: LegId) -> Option<usize> {
        self.places.get(&leg).copied()
    }

    /// The other worker that has a leg, or will have it before it reads what is sent there afterwards. None when
    /// the leg lives here, or is closed.
    pub(crate) fn whereabouts(&self, leg: &LegShared) -> Option<usize> {
        let home = leg.home.load(Ordering::Acquire);
        if home != self.index {
            return Some(home);
        }
        self.departed.iter().find(|(other, _)| other.id == leg.id).map(|(_, target)| *target)
    }

    fn add(&mut self, mut stream: Box<Stream>) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        stream.slot = self.wheel.place(1);
        self.slots[stream.slot].push(Entry::Leg(place));
        self.places.insert(stream.shared.id, place);
        stream.settle(place, &self.io.watch);
        self.legs[place] = Some(stream);
        place
    }

    fn remove(&mut self, place: usize) -> Option<Box<Stream>> {
        self.unlink(place);
        let mut stream = self.legs.get_mut(place)?.take()?;
        stream.depart(&self.io.watch);
        self.take_from_slot(stream.slot, Entry::Leg(place), 1);
        self.places.remove(&stream.shared.id);
        self.free.push(place);
        Some(stream)
    }

    /// Serves a leg soon after its packets `came` from now on.
    fn shift(&mut self, place: usize, came: usize) {
        let Some(Some(stream)) = self.legs.get_mut(place) else { return };
        if stream.seat_mut().is_some() {
            return;
        }
        let from = stream.slot;
        let to = self.wheel.best(BEHIND.map(|behind| (came + behind) % SLOTS));
        if self.wheel.is_crowded(to) {
            // All peers may send in the same millisecond: what is late for all is good for none.
            return;
        }
        stream.slot = to;
        self.wheel.add(to, 1);
        self.take_from_slot(from, Entry::Leg(place), 1);
        self.slots[to].push(Entry::Leg(place));
    }

    pub(super) fn take_from_slot(&mut self, slot: usize, entry: Entry, weight: u32) {
        self.slots[slot].retain(|other| *other != entry);
        self.wheel.remove(slot, weight);
    }

    /// Sends a leg to another worker, where `action` goes on.
    pub(crate) fn move_leg(&mut self, place: usize, target: usize, action: Action) {
        let Some(stream) = self.remove(place) else { return };
        let shared = Arc::clone(&stream.shared);
        count(&self.fleet.loads, self.index, false);
        count(&self.fleet.loads, target, true);
        self.send_to(target, Order::Adopt(stream, Box::new(action)));
        let index = self.index;
        let under_way = |other: &LegShared| {
            other.id != shared.id
                && other.home.load(Ordering::Acquire) == index
                && !other.closed.load(Ordering::Acquire)
        };
        self.departed.retain(|(other, _)| under_way(other));
        self.departed.push((shared, target));
    }

    fn send_to(&mut self, target: usize, order: Order) {
        if !self.outbox.is_empty() {
            self.outbox.push_back((target, order));
        } else if let Err(order) = self.hand_to(target, order) {
            self.outbox.push_back((target, order));
        }
    }

    fn hand_to(&self, target: usize, order: Order) -> Result<(), Order> {
        match self.fleet.workers.get(target).map(|worker| worker.try_send(order)) {
            Some(Err(TrySendError::Full(order))) => Err(order),
            Some(Ok(()) | Err(TrySendError::Disconnected(_))) | None => Ok(()),
        }
    }

    fn close(&mut self, now: Instant, place: usize) {
        let closed =
            self.legs.get_mut(place).and_then(Option::as_mut).is_some_and(|s| s.close(now, &mut self.io));
        // Where the recorder is busy, the next tick tries again.
        if !closed {
            return;
        }
        let Some(stream) = self.remove(place) else { return };
        // What is under way goes while the socket is still connected.
        self.io.wire.flush();
        count(&self.fleet.loads, self.index, false);
        self.resting.rest(now, stream.sockets, &self.fleet.ports);
    }

    /// After a panic in the worker's own tables nothing in them can be trusted: all legs end, and say so.
    fn begin_anew(&mut self) {
        tracing::error!(
            worker = self.index,
            legs = self.places.len(),
            "a media worker failed; its calls end"
        );
        // While the sockets are open and connected.
        self.io.wire.flush();
        let now = Instant::now();
        for mut stream in std::mem::take(&mut self.legs).into_iter().flatten() {
            stream.fail(&mut self.io);
            stream.close_waiting(now, &mut self.io);
            stream.depart(&self.io.watch);
            count(&self.fleet.loads, self.index, false);
            self.resting.rest(now, stream.sockets, &self.fleet.ports);
        }
        self.rooms.clear();
        self.free.clear();
        self.places.clear();
        self.closing.clear();
        self.shifting.clear();
        self.slots = Default::default();
        self.wheel = Wheel::new(now);
    }
}

/// One leg more or less on a worker.
pub(crate) fn count(loads: &[AtomicUsize], worker: usize, more: bool) {
    if let Some(load) = loads.get(worker) {
        if more {
            load.fetch_add(1, Ordering::Relaxed);
        } else {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
