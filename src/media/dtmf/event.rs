//! Telephone-events that arrive (RFC 4733).

/// The shortest payload of an event.
const LEN: usize = 4;

/// An event longer than this goes on in a next segment with a new timestamp (RFC 4733 section 2.5.1.3).
const SEGMENT: u16 = 0xFF00;

/// One event packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event code.
    pub(crate) code: u8,
    /// The end bit.
    pub(crate) end: bool,
    /// How long it lasts so far, in ticks of its clock.
    pub(crate) duration: u16,
}

impl Event {
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let [code, flags, high, low] = *payload.first_chunk::<LEN>()?;
        Some(Self { code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
    }

    /// Writes it into `out`, at -10 dBm0; returns its length.
    pub(crate) fn write(self, out: &mut [u8]) -> Option<usize> {
        const VOLUME: u8 = 10;
        let [high, low] = self.duration.to_be_bytes();
        let flags = if self.end { 0x80 | VOLUME } else { VOLUME };
        *out.first_chunk_mut::<LEN>()? = [self.code, flags, high, low];
        Some(LEN)
    }
}

#[derive(Debug, Clone, Copy)]
struct Press {
    timestamp: u32,
    event: Event,
}

/// Makes one digit of the many packets of a press.
///
/// A press is known by its timestamp. The marker bit is not looked at, as many phones do not set it; nor is the
/// end awaited, as it may be lost.
#[derive(Debug, Default)]
pub(crate) struct Presses {
    last: Option<Press>,
}

impl Presses {
    /// Takes an event packet; returns the digit when it begins a press. `clock` is the rate of its timestamps.
    pub(crate) fn handle(&mut self, timestamp: u32, payload: &[u8], clock: u32) -> Option<char> {
        let event = Event::parse(payload)?;
        let digit = super::digit(event.code)?;
        if let Some(last) = &mut self.last {
            let age = timestamp.wrapping_sub(last.timestamp) as i32;
            if age == 0 {
                last.event.end |= event.end;
                last.event.duration = last.event.duration.max(event.duration);
                return None;
            }
            // A late repetition of an earlier press; but a clock that went far back was set anew.
            if age < 0 && age.unsigned_abs() < clock.saturating_mul(5) {
                return None;
            }
            let goes_on = event.code == last.event.code && !last.event.end;
            let next_segment = last.event.duration >= SEGMENT && age.unsigned_abs() <= 0x1_0000 + clock / 10;
            // Against the RFC, some senders give each packet of a press a new timestamp.
            let moving = event.duration > last.event.duration && age.unsigned_abs() <= clock / 10;
            if goes_on && (next_segment || moving) {
                *last = Press { timestamp, event };
                return None;
            }
        }
        self.last = Some(Press { timestamp, event });
        Some(digit)
    }

    /// The digit pressed last.
    pub(crate) fn current(&self) -> Option<char> {
        super::digit(self.last?.event.code)
    }

    /// Forgets what was pressed: another stream begins.
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u8, end: bool, duration: u16) -> [u8; 4] {
        let mut out = [0; 4];
        Event { code, end, duration }.write(&mut out);
        out
    }

    fn digits(packets: &[(u32, u8, bool, u16)]) -> String {
        let mut presses = Presses::default();
        let handle = |p: &(u32, u8, bool, u16)| presses.handle(p.0, &packet(p.1, p.2, p.3), 8000);
        packets.iter().filter_map(handle).collect()
    }

    #[test]
    fn a_press_is_one_digit_however_often_it_is_repeated() {
        let packets = [(100, 5, false, 160), (100, 5, false, 320), (100, 5, true, 480), (100, 5, true, 480)];
        assert_eq!(digits(&packets), "5");
        assert_eq!(digits(&packets[2..]), "5", "only the end arrived");
    }

    #[test]
    fn the_same_digit_twice_is_two_even_when_the_end_is_lost() {
        assert_eq!(digits(&[(100, 5, false, 160), (100, 5, true, 480), (1500, 5, false, 160)]), "55");
        assert_eq!(digits(&[(100, 5, false, 160), (100, 5, false, 320), (1500, 5, false, 160)]), "55");
    }

    #[test]
    fn three_quick_digits_and_a_late_repetition() {
        let packets = [
            (100, 1, true, 320),
            (900, 2, false, 160),
            (100, 1, true, 320),
            (900, 2, true, 320),
            (1700, 11, true, 80),
        ];
        assert_eq!(digits(&packets), "12#");
    }

    #[test]
    fn long_presses_and_moving_timestamps_are_one_digit() {
        assert_eq!(digits(&[(0, 9, false, 160), (0, 9, false, 0xFFFF), (0xFFFF, 9, false, 160)]), "9");
        assert_eq!(digits(&[(0, 9, false, 160), (160, 9, false, 320), (320, 9, true, 480)]), "9");
    }

    #[test]
    fn what_is_no_digit_is_nothing() {
        let mut presses = Presses::default();
        assert_eq!(presses.handle(0, &[1, 2, 3], 8000), None);
        assert_eq!(presses.handle(0, &[16, 0, 0, 0], 8000), None, "flash");
        assert_eq!(presses.handle(0, &[], 8000), None);
    }
}
