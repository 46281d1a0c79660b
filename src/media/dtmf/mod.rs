//! DTMF: telephone-events, tones and SIP INFO.

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

/// The two frequencies of a digit in Hz (ITU-T Q.23).
pub fn frequencies(digit: char) -> Option<(f32, f32)> {
    const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
    const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    const PAD: &str = "123A456B789C*0#D";
    let at = PAD.chars().position(|d| d.eq_ignore_ascii_case(&digit))?;
    Some((ROWS[at / 4], COLUMNS[at % 4]))
}

/// The tone of a digit, with a peak of `amplitude` for each of its two frequencies.
pub fn tone(digit: char, rate: u32, amplitude: f32) -> Option<crate::tone::Tone> {
    let (low, high) = frequencies(digit)?;
    Some(crate::tone::Tone::pair(low, high, rate, amplitude))
}
