//! What is refused before anything is spent on it.

use std::time::{Duration, Instant};

/// New calls per second: a bucket of one second's worth.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    tokens: f64,
    last: Instant,
}

impl Rate {
    /// `per_second` new calls; 0 for no limit.
    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        Self { per_second, tokens: f64::from(per_second), last: now }
    }

    /// Whether one more may come now.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let limit = f64::from(self.per_second);
        let passed = now.saturating_duration_since(self.last).min(Duration::from_secs(1));
        self.last = now;
        self.tokens = passed.as_secs_f64().mul_add(limit, self.tokens).min(limit);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_admits_its_number_each_second() {
        let start = Instant::now();
        let mut rate = Rate::new(start, 10);
        assert_eq!((0..20).filter(|_| rate.admit(start)).count(), 10);
        assert_eq!((0..20).filter(|_| rate.admit(start + Duration::from_millis(500))).count(), 5);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let start = Instant::now();
        let mut rate = Rate::new(start, 0);
        assert!((0..100_000).all(|_| rate.admit(start)));
    }
}
