//! Who is connected with whom on a worker: bridges and rooms.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    JoinSpec,
    command::{Action, LegShared},
    playing::Playing,
    room::{Room, RoomSeat, Seat},
    stream::Link,
    worker::{Entry, Worker},
};

/// A leg that follows another gives up when that one has moved on so often.
const HOPS: u8 = 4;

impl Worker {
    /// Connects two legs; when the other one lives elsewhere, this one goes there first.
    pub(crate) fn bridge(
        &mut self,
        place: usize,
        other: Arc<LegShared>,
        hops: u8,
        reply: oneshot::Sender<()>,
    ) {
        match self.place_of(other.id) {
            Some(partner) if partner != place => {
                self.unlink(place);
                self.unlink(partner);
                self.link(place, partner);
                // Who asked may have gone.
                let _ = reply.send(());
            }
            Some(_) => {}
            None => {
                if let Some(target) = self.whereabouts(&other).filter(|_| hops < HOPS) {
                    self.move_leg(place, target, Action::Bridge { other, hops: hops + 1, reply });
                }
            }
        }
    }

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

    pub(super) fn join(&mut self, place: usize, seat: RoomSeat, spec: JoinSpec, reply: oneshot::Sender<()>) {
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

    fn link(&mut self, place: usize, partner: usize) {
        let ids = [place, partner].map(|place| self.leg(place).map(|stream| stream.shared.id));
        if let [Some(id), Some(other)] = ids {
            if let Some(stream) = self.leg(place) {
                stream.link = Link::Bridged(other);
            }
            if let Some(stream) = self.leg(partner) {
                stream.link = Link::Bridged(id);
            }
        }
    }
}
