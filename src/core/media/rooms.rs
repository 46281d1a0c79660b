//! Which rooms there are, and on which worker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use super::{
    JoinError, RoomInfo,
    room::{RoomHome, RoomSeat},
};

/// All rooms by name. Asked by calls that join, and by the API; never by workers.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    homes: Mutex<HashMap<Box<str>, Arc<RoomHome>>>,
}

impl Rooms {
    /// A place in a room; a new room is founded on `worker`.
    pub(crate) fn seat(&self, name: &str, max: usize, worker: usize) -> Result<RoomSeat, JoinError> {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(home) = homes.get(name) {
            match RoomSeat::take(home, max) {
                Ok(seat) => return Ok(seat),
                Err(true) => return Err(JoinError::Full),
                Err(false) => {}
            }
        }
        // Names come from request URIs: those of rooms that are gone are forgotten.
        homes.retain(|_, home| home.members.load(Ordering::Acquire) > 0);
        let seat = RoomSeat::found(name, worker);
        homes.insert(name.into(), Arc::clone(seat.home()));
        Ok(seat)
    }

    /// The rooms with members, by name.
    pub(crate) fn list(&self) -> Vec<RoomInfo> {
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rooms: Vec<RoomInfo> = homes
            .values()
            .map(|home| RoomInfo {
                name: home.name.to_string(),
                members: home.members.load(Ordering::Acquire),
                rate: home.rate.load(Ordering::Relaxed),
            })
            .filter(|room| room.members > 0)
            .collect();
        rooms.sort_by(|a, b| a.name.cmp(&b.name));
        rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_full_at_its_limit_and_gone_when_all_left() {
        let rooms = Rooms::default();
        let first = rooms.seat("blue", 2, 1).expect("founded");
        let second = rooms.seat("blue", 2, 0).expect("a second place");
        assert_eq!((first.home().worker, second.home().worker), (1, 1));
        assert_eq!(rooms.seat("blue", 2, 0).err(), Some(JoinError::Full));
        drop(first);
        assert!(rooms.seat("blue", 2, 0).is_ok());
        assert_eq!(rooms.list().len(), 1);
        drop(second);
        assert!(rooms.list().is_empty());
        assert_eq!(rooms.seat("blue", 2, 0).map(|s| s.home().worker), Ok(0));
    }
}
