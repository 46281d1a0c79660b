//! A worker: the thread that serves its legs, each once in 20 ms.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    JoinSpec, LegId,
    command::{Action, LegShared, Order},
    io::{Io, Tally},
    playing::Playing,
    ports::{PortPool, Sockets},
    recorder::RecordingId,
    room::{Room, RoomSeat, Seat},
    socket::Udp,
    stream::{Link, Stream},
    wheel::{SLOTS, Wheel},
};

/// Orders carried out between two ticks; more would make the ticks late.
const ORDERS_PER_TICK: usize = 256;
/// A worker that has little to do looks for orders after this many ticks.
const LONGEST_SLEEP: u32 = 5;
/// A tick that begins later than this is counted as late.
const LATE: Duration = Duration::from_millis(5);
/// How often resting ports are listened to.
const LISTEN: Duration = Duration::from_millis(50);
/// Datagrams taken from a resting port at once.
const REST_BURST: usize = 64;
/// A port that is never quiet is freed after this many quarantines.
const REST_LIMIT: u32 = 30;
/// Ports that rest at once on a worker; beyond, the oldest is freed early.
const RESTING: usize = 2048;

/// What workers and the engine share.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) workers: Vec<SyncSender<Order>>,
    /// Legs of each worker.
    pub(crate) loads: Vec<AtomicUsize>,
    pub(crate) counts: Vec<Counts>,
    pub(crate) ports: PortPool,
    pub(crate) quarantine: Duration,
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
enum Entry {
    Leg(usize),
    Room(usize),
}

/// The ports of a closed leg, listened to until nothing more comes.
#[derive(Debug)]
struct Resting {
    sockets: Sockets,
    since: Instant,
    heard: Instant,
}

/// One worker; lives on its thread.
#[derive(Debug)]
pub(crate) struct Worker {
    index: usize,
    fleet: Arc<Fleet>,
    orders: Receiver<Order>,
    /// Orders for other workers whose queue was full.
    outbox: VecDeque<(usize, Order)>,
    legs: Vec<Option<Box<Stream>>>,
    free: Vec<usize>,
    places: HashMap<LegId, usize>,
    rooms: Vec<Option<Box<Room>>>,
    slots: [Vec<Entry>; SLOTS],
    wheel: Wheel,
    resting: VecDeque<Resting>,
    listened: Instant,
    closing: Vec<usize>,
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
            resting: VecDeque::new(),
            listened: now,
            closing: Vec::new(),
            io,
        }
    }

    pub(crate) fn packets_out(&self) -> u64 {
        self.io.wire.tally.packets_out
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) {
        loop {
            if !self.wait() {
                break;
            }
            self.tick();
        }
        let now = Instant::now();
        for mut stream in std::mem::take(&mut self.legs).into_iter().flatten() {
            stream.close_waiting(now, &mut self.io);
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
            self.wheel.skip_empty(LONGEST_SLEEP);
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
        if now.saturating_duration_since(self.listened) >= LISTEN {
            self.listened = now;
            self.listen(now);
        }
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
        let entries = std::mem::take(&mut self.slots[slot]);
        for entry in &entries {
            match *entry {
                Entry::Leg(place) => self.serve_leg(now, place),
                Entry::Room(room) => self.serve_room(now, room),
            }
        }
        self.slots[slot] = entries;
        while let Some(place) = self.closing.pop() {
            self.close(now, place);
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
                Some(other) => stream.serve_bridged(now, other, &mut self.io),
                None => stream.serve(now, &mut self.io),
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
                let place = self.add(stream);
                self.act(place, *action);
            }
            Order::Leg(leg, action) => match self.place_of(leg.id) {
                Some(place) => self.act(place, *action),
                None => {
                    let home = self.home_of(&leg);
                    // At home here but not found: the leg is closed.
                    if home != self.index {
                        self.send_to(home, Order::Leg(leg, action));
                    }
                }
            },
        }
        true
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
                stream.record(id, spec, &self.io);
            }
            Action::StopRecord => stream.stop_record(&self.io),
            Action::Echo(on) => stream.echo(on),
            Action::SendDigits(digits) => stream.send_digits(&digits),
            Action::InfoDigit(digit) => stream.info_digit(now, digit),
            Action::Stats(reply) => {
                // Who asked may have gone.
                let _ = reply.send(stream.stats());
            }
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

    pub(crate) fn home_of(&self, leg: &LegShared) -> usize {
        leg.home.load(Ordering::Acquire)
    }

    fn add(&mut self, mut stream: Box<Stream>) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        stream.slot = self.wheel.place(1);
        self.slots[stream.slot].push(Entry::Leg(place));
        self.places.insert(stream.shared.id, place);
        self.legs[place] = Some(stream);
        place
    }

    fn remove(&mut self, place: usize) -> Option<Box<Stream>> {
        self.unlink(place);
        let stream = self.legs.get_mut(place)?.take()?;
        self.take_from_slot(stream.slot, Entry::Leg(place), 1);
        self.places.remove(&stream.shared.id);
        self.free.push(place);
        Some(stream)
    }

    fn take_from_slot(&mut self, slot: usize, entry: Entry, weight: u32) {
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
        // After it is in the queue: what the handle sends there from now on comes behind it.
        shared.home.store(target, Ordering::Release);
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
        count(&self.fleet.loads, self.index, false);
        if self.resting.len() >= RESTING
            && let Some(oldest) = self.resting.pop_front()
        {
            self.fleet.ports.free(oldest.sockets.pair);
        }
        self.resting.push_back(Resting { sockets: stream.sockets, since: now, heard: now });
    }

    /// Frees the ports that nobody sends to any more.
    fn listen(&mut self, now: Instant) {
        let (fleet, io) = (&self.fleet, &mut self.io);
        for resting in &mut self.resting {
            for socket in [&resting.sockets.rtp, &resting.sockets.rtcp] {
                if (0..REST_BURST).take_while(|_| socket.receive(&mut io.inbound).is_some()).count() > 0 {
                    resting.heard = now;
                }
            }
        }
        let limit = fleet.quarantine * REST_LIMIT;
        self.resting.retain(|resting| {
            let rests = now.saturating_duration_since(resting.heard) < fleet.quarantine
                && now.saturating_duration_since(resting.since) < limit;
            if !rests {
                fleet.ports.free(resting.sockets.pair);
            }
            rests
        });
    }

    // Rooms and bridges.

    /// Dissolves what the leg is connected with. Rooms sound their leave tone.
    pub(crate) fn unlink(&mut self, place: usize) {
        let Some(stream) = self.leg(place) else { return };
        match std::mem::replace(&mut stream.link, Link::Alone) {
            Link::Alone => {}
            Link::Bridged(other) => {
                if let Some(partner) = self.place_of(other)
                    && let Some(partner) = self.leg(partner)
                {
                    partner.link = Link::Alone;
                }
            }
            Link::Seated(seat) => self.leave(place, *seat),
        }
    }

    fn leave(&mut self, place: usize, seat: Seat) {
        let slot = self.wheel.place(1);
        self.slots[slot].push(Entry::Leg(place));
        if let Some(stream) = self.leg(place) {
            stream.slot = slot;
        }
        let Some(Some(room)) = self.rooms.get_mut(seat.room) else { return };
        room.members.retain(|member| *member != place);
        room.changed = true;
        let slot = room.slot;
        if room.members.is_empty() {
            self.rooms[seat.room] = None;
            self.take_from_slot(slot, Entry::Room(seat.room), 1);
        } else {
            self.wheel.remove(slot, 1);
            if let Some(tone) = seat.leave_tone {
                room.sound(tone, None);
            }
        }
    }

    fn join(&mut self, place: usize, seat: RoomSeat, spec: JoinSpec, reply: oneshot::Sender<()>) {
        let target = seat.home().worker;
        if target != self.index {
            return self.move_leg(place, target, Action::Join { seat, spec: Box::new(spec), reply });
        }
        self.unlink(place);
        let at = self.room_of(&seat);
        let Some(Some(room)) = self.rooms.get_mut(at) else { return };
        let Some(Some(stream)) = self.legs.get_mut(place) else { return };
        let left = std::mem::replace(&mut stream.slot, room.slot);
        stream.link = Link::Seated(Box::new(Seat::new(at, seat, spec.leave_tone)));
        room.changed = true;
        if room.members.is_empty() {
            if let Some(alone) = spec.alone {
                stream.play(Playing::unnamed(alone));
            }
        } else if let Some(tone) = spec.join_tone {
            room.sound(tone, Some(stream.shared.id));
        }
        // Who waited alone hears the other now.
        if let [first] = room.members[..]
            && let Some(Some(first)) = self.legs.get_mut(first)
        {
            first.stop_play(None);
        }
        let slot = room.slot;
        room.members.push(place);
        self.take_from_slot(left, Entry::Leg(place), 1);
        self.wheel.add(slot, 1);
        // Who asked may have gone.
        let _ = reply.send(());
    }

    fn room_of(&mut self, seat: &RoomSeat) -> usize {
        let same =
            |room: &Option<Box<Room>>| room.as_ref().is_some_and(|r| Arc::ptr_eq(&r.home, seat.home()));
        if let Some(at) = self.rooms.iter().position(same) {
            return at;
        }
        let at = self.rooms.iter().position(Option::is_none).unwrap_or_else(|| {
            self.rooms.push(None);
            self.rooms.len() - 1
        });
        let slot = self.wheel.place(0);
        self.slots[slot].push(Entry::Room(at));
        self.rooms[at] = Some(Box::new(Room::new(Arc::clone(seat.home()), slot)));
        at
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
