//! Which nonce counts were seen, so that no request is replayed.

use std::collections::{HashMap, VecDeque};

use crate::text::Text;

/// How many counts below the highest one may still arrive late.
const WINDOW: u32 = 64;

/// The nonce counts seen of the nonces in use: a table of fixed size, oldest nonce first out.
#[derive(Debug)]
pub struct NonceCounts {
    seen: HashMap<Text, Window>,
    order: VecDeque<Text>,
    capacity: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    /// Bit n: `highest - n` was seen.
    bits: u64,
}

impl NonceCounts {
    /// A table of at most `capacity` nonces.
    pub fn new(capacity: usize) -> Self {
        Self { seen: HashMap::new(), order: VecDeque::new(), capacity: capacity.max(1) }
    }

    /// Notes a count of a nonce; `false` when it was seen before, or when the nonce is not known and the count is not
    /// its first: then the client is to be challenged again with `stale`.
    pub fn accept(&mut self, nonce: &Text, nc: u32) -> bool {
        if let Some(window) = self.seen.get_mut(nonce) {
            return window.accept(nc);
        }
        if nc != 1 {
            return false;
        }
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        let nonce = nonce.detached();
        self.order.push_back(nonce.clone());
        self.seen.insert(nonce, Window { highest: 1, bits: 1 });
        true
    }
}

impl Window {
    fn accept(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            let shift = nc - self.highest;
            self.bits = self.bits.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let behind = self.highest - nc;
        if nc == 0 || behind >= WINDOW || self.bits >> behind & 1 == 1 {
            return false;
        }
        self.bits |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_accepted_once_even_late() {
        let mut counts = NonceCounts::new(4);
        let nonce = Text::from_static("n");
        for (nc, accepted) in
            [(2, false), (1, true), (1, false), (3, true), (2, true), (2, false), (200, true)]
        {
            assert_eq!(counts.accept(&nonce, nc), accepted, "{nc}");
        }
        assert!(!counts.accept(&nonce, 100), "too late to tell");
        assert!(!counts.accept(&nonce, 0));
    }

    #[test]
    fn the_table_does_not_grow() {
        let mut counts = NonceCounts::new(4);
        for i in 0..100 {
            assert!(counts.accept(&Text::from(format!("n{i}")), 1));
        }
        assert_eq!((counts.seen.len(), counts.order.len()), (4, 4));
    }
}
