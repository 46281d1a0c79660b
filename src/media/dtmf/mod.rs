//! DTMF: telephone-events, tones and SIP INFO.

pub(crate) mod event;
pub(crate) mod inband;
pub mod info;

/// The digits in the order of their event codes (RFC 4733 section 3.2).
const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// The event code of a digit; letters in either case.
pub fn code(digit: char) -> Option<u8> {
    DIGITS.iter().position(|d| d.eq_ignore_ascii_case(&digit)).map(|i| i as u8)
}

/// The digit of an event code.
pub fn digit(code: u8) -> Option<char> {
    DIGITS.get(usize::from(code)).copied()
}

/// The keys of a telephone, row by row.
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The key of a row and a column.
fn digit_at(row: usize, column: usize) -> Option<char> {
    KEYS.get(row)?.get(column).copied()
}

/// The two frequencies of a digit in Hz (ITU-T Q.23).
pub fn frequencies(digit: char) -> Option<(f32, f32)> {
    const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
    const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let at = KEYS.iter().flatten().position(|d| d.eq_ignore_ascii_case(&digit))?;
    Some((ROWS[at / 4], COLUMNS[at % 4]))
}

/// The tone of a digit, with a peak of `amplitude` for each of its two frequencies.
pub fn tone(digit: char, rate: u32, amplitude: f32) -> Option<crate::tone::Tone> {
    let (low, high) = frequencies(digit)?;
    Some(crate::tone::Tone::pair(low, high, rate, amplitude))
}
