//! Packets in the order of their sequence numbers, in memory that is taken once.

use std::hint::black_box;

/// How many packets are kept: 640 ms of 10 ms packets. A power of two that divides 2^16.
const SLOTS: usize = 64;

/// The least memory for payloads, in bytes: that of two of the longest packets.
const LEAST: usize = 2 * crate::rtp::MAX_PACKET;

/// A received packet of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The sequence number, extended over its overflows.
    pub(crate) sequence: i64,
    /// The RTP timestamp, extended over its overflows.
    pub(crate) timestamp: i64,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    /// RTP ticks of the sound in it.
    pub(crate) ticks: u32,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Stored,
    /// It was there already, or its turn is over and it was played.
    Duplicate,
    /// Its turn is over.
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    packet: Packet,
    /// Where its payload begins, counted over all bytes ever written.
    start: u64,
    len: u16,
    full: bool,
}

/// Packets waiting for their turn.
#[derive(Debug)]
pub(crate) struct Store {
    slots: Box<[Slot]>,
    bytes: Box<[u8]>,
    written: u64,
    /// The sequence number whose turn is next; none before the first packet.
    next: Option<i64>,
    newest: i64,
    /// Which of the 64 packets up to `newest` did arrive, that of `newest` in the lowest bit.
    seen: u64,
    count: usize,
}

impl Store {
    /// A store with that much memory for payloads. What is not played when it is full is overwritten.
    pub(crate) fn new(bytes: usize) -> Self {
        let packet = Packet { sequence: 0, timestamp: 0, payload_type: 0, marker: false, ticks: 0 };
        let slot = Slot { packet, start: 0, len: 0, full: false };
        Self {
            slots: vec![slot; SLOTS].into(),
            bytes: vec![0; bytes.max(LEAST)].into(),
            written: 0,
            next: None,
            newest: 0,
            seen: 0,
            count: 0,
        }
    }

    /// Looks at the places of the next packet to come and to go.
    pub(crate) fn touch(&self) {
        let place = |sequence| self.slots.get(index(sequence)).map(|slot| slot.full);
        black_box((place(self.newest + 1), self.next.and_then(place)));
        let at = (self.written % self.bytes.len() as u64) as usize;
        for line in 0..3 {
            black_box(self.bytes.get(at + line * 64).copied());
        }
    }

    /// Forgets all packets, and where the sequence was.
    pub(crate) fn reset(&mut self) {
        self.clear();
        self.next = None;
        self.seen = 0;
    }

    fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.full = false;
        }
        self.count = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn insert(&mut self, packet: Packet, payload: &[u8]) -> Arrival {
        let sequence = packet.sequence;
        let next = *self.next.get_or_insert(sequence);
        if self.note(sequence) {
            return Arrival::Duplicate;
        }
        if sequence < next {
            return Arrival::Late;
        }
        if sequence >= next + SLOTS as i64 {
            // The gap is longer than anything that could still be filled.
            self.clear();
            self.next = Some(sequence);
        }
        if self.count == 0 {
            // Where nothing waits, the same memory is written again and again, and is near.
            self.written = self.written.next_multiple_of(self.bytes.len() as u64);
        }
        if payload.len() <= self.bytes.len() {
            let start = self.store(payload);
            let slot = &mut self.slots[index(sequence)];
            if !slot.full {
                self.count += 1;
            }
            *slot = Slot { packet, start, len: payload.len() as u16, full: true };
        }
        Arrival::Stored
    }

    /// Marks a packet as arrived; returns whether it had arrived before.
    fn note(&mut self, sequence: i64) -> bool {
        let ahead = sequence - self.newest;
        if self.seen == 0 || ahead >= SLOTS as i64 {
            (self.newest, self.seen) = (sequence, 1);
            return false;
        }
        if ahead > 0 {
            (self.newest, self.seen) = (sequence, (self.seen << ahead) | 1);
            return false;
        }
        let Some(bit) = u32::try_from(-ahead).ok().and_then(|age| 1u64.checked_shl(age)) else {
            return false;
        };
        let before = self.seen & bit != 0;
        self.seen |= bit;
        before
    }

    /// Copies a payload to where it is not cut in two by the end of the memory.
    fn store(&mut self, payload: &[u8]) -> u64 {
        let room = self.bytes.len();
        let mut at = (self.written % room as u64) as usize;
        if at + payload.len() > room {
            self.written += (room - at) as u64;
            at = 0;
        }
        let start = self.written;
        self.bytes[at..at + payload.len()].copy_from_slice(payload);
        self.written += payload.len() as u64;
        start
    }

    /// The packet whose turn is next or, where that one is missing, the first one after it.
    pub(crate) fn peek(&self) -> Option<Packet> {
        self.first().map(|slot| slot.packet)
    }

    /// The newest waiting packet.
    pub(crate) fn last(&self) -> Option<Packet> {
        if self.count == 0 {
            return None;
        }
        let next = self.next?;
        (next..=self.newest).rev().find_map(|sequence| self.at(sequence)).map(|slot| slot.packet)
    }

    fn first(&self) -> Option<&Slot> {
        if self.count == 0 {
            return None;
        }
        let next = self.next?;
        (next..=self.newest).find_map(|sequence| self.at(sequence))
    }

    fn at(&self, sequence: i64) -> Option<&Slot> {
        let slot = self.slots.get(index(sequence))?;
        let kept = slot.start + self.bytes.len() as u64 >= self.written;
        (slot.full && kept && slot.packet.sequence == sequence).then_some(slot)
    }

    /// The payload of the packet that [`peek`](Self::peek) shows.
    pub(crate) fn peek_payload(&self) -> &[u8] {
        self.first().map_or(&[], |slot| self.payload(slot.start, slot.len))
    }

    fn payload(&self, start: u64, len: u16) -> &[u8] {
        let at = (start % self.bytes.len() as u64) as usize;
        self.bytes.get(at..at + usize::from(len)).unwrap_or_default()
    }

    /// Takes the packet that [`peek`](Self::peek) shows.
    pub(crate) fn pop(&mut self) -> Option<(Packet, &[u8])> {
        let Some(slot) = self.first().copied() else {
            // What is counted but not found was overwritten.
            if self.count > 0 {
                self.clear();
                self.next = Some(self.newest + 1);
            }
            return None;
        };
        self.count -= 1;
        self.next = Some(slot.packet.sequence + 1);
        if let Some(own) = self.slots.get_mut(index(slot.packet.sequence)) {
            own.full = false;
        }
        Some((slot.packet, self.payload(slot.start, slot.len)))
    }
}

fn index(sequence: i64) -> usize {
    sequence.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: i64) -> Packet {
        Packet { sequence, timestamp: sequence * 160, payload_type: 0, marker: false, ticks: 160 }
    }

    #[test]
    fn packets_come_out_in_order_once() {
        let mut store = Store::new(8192);
        assert_eq!(store.insert(packet(10), &[10]), Arrival::Stored);
        assert_eq!(store.insert(packet(12), &[12]), Arrival::Stored);
        assert_eq!(store.insert(packet(12), &[0]), Arrival::Duplicate);
        assert_eq!(store.insert(packet(11), &[11]), Arrival::Stored);
        let order: Vec<u8> = std::iter::from_fn(|| store.pop().map(|(_, payload)| payload[0])).collect();
        assert_eq!(order, [10, 11, 12]);
        assert_eq!(store.insert(packet(11), &[11]), Arrival::Duplicate);
        assert_eq!(store.insert(packet(9), &[9]), Arrival::Late);
        assert_eq!(store.len(), 0);
    }

    #[test]
    fn memory_is_bounded_and_what_is_overwritten_is_gone() {
        let mut store = Store::new(8192);
        for sequence in 0..1000 {
            store.insert(packet(sequence), &[sequence as u8; 1400]);
        }
        let mut got = 0;
        while store.len() > 0 {
            if let Some((packet, payload)) = store.pop() {
                assert!(payload.iter().all(|b| *b == packet.sequence as u8));
                got += 1;
            }
        }
        assert!((1..=6).contains(&got), "{got}");
    }

    #[test]
    fn a_jump_begins_anew() {
        let mut store = Store::new(8192);
        store.insert(packet(0), &[1]);
        store.insert(packet(5000), &[2]);
        assert_eq!(store.pop().map(|(p, _)| p.sequence), Some(5000));
        assert!(store.pop().is_none());
    }
}
