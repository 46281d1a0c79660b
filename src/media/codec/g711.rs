//! G.711: mu-law and A-law by tables that are computed at compile time.

/// What each mu-law byte stands for (ITU-T G.711 table 2).
static ULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = ulaw_to_linear(byte as u8);
        byte += 1;
    }
    table
};
/// What each A-law byte stands for (ITU-T G.711 table 1).
static ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = alaw_to_linear(byte as u8);
        byte += 1;
    }
    table
};
/// The mu-law byte of each 14-bit sample (the upper bits of a 16-bit one).
static TO_ULAW: [u8; 16_384] = compress_ulaw();
/// The A-law byte of each 13-bit sample.
static TO_ALAW: [u8; 8192] = compress_alaw();

/// Encodes one byte per sample; 0 when `out` is too short.
pub(super) fn encode_ulaw(samples: &[i16], out: &mut [u8]) -> usize {
    encode(samples, out, |sample| TO_ULAW[usize::from(sample as u16 >> 2) & 0x3FFF])
}

/// Encodes one byte per sample; 0 when `out` is too short.
pub(super) fn encode_alaw(samples: &[i16], out: &mut [u8]) -> usize {
    encode(samples, out, |sample| TO_ALAW[usize::from(sample as u16 >> 3) & 0x1FFF])
}

/// Decodes one sample per byte; 0 when `out` is too short.
pub(super) fn decode_ulaw(payload: &[u8], out: &mut [i16]) -> usize {
    decode(payload, out, &ULAW)
}

/// Decodes one sample per byte; 0 when `out` is too short.
pub(super) fn decode_alaw(payload: &[u8], out: &mut [i16]) -> usize {
    decode(payload, out, &ALAW)
}

#[inline]
fn encode(samples: &[i16], out: &mut [u8], byte: impl Fn(i16) -> u8) -> usize {
    let Some(out) = out.get_mut(..samples.len()) else { return 0 };
    for (to, sample) in out.iter_mut().zip(samples) {
        *to = byte(*sample);
    }
    samples.len()
}

#[inline]
fn decode(payload: &[u8], out: &mut [i16], table: &[i16; 256]) -> usize {
    let Some(out) = out.get_mut(..payload.len()) else { return 0 };
    for (to, byte) in out.iter_mut().zip(payload) {
        *to = table[usize::from(*byte)];
    }
    payload.len()
}

const fn ulaw_to_linear(byte: u8) -> i16 {
    let bits = !byte;
    let exponent = (bits >> 4) & 7;
    let mantissa = (bits & 15) as i16;
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

const fn alaw_to_linear(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let exponent = (bits >> 4) & 7;
    let mantissa = ((bits & 15) as i16) << 4;
    let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if bits & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn compress_ulaw() -> [u8; 16_384] {
    let mut table = [0; 16_384];
    let mut index = 0;
    while index < table.len() {
        table[index] = linear_to_ulaw(((index as u16) << 2) as i16);
        index += 1;
    }
    table
}

const fn compress_alaw() -> [u8; 8192] {
    let mut table = [0; 8192];
    let mut index = 0;
    while index < table.len() {
        table[index] = linear_to_alaw(((index as u16) << 3) as i16);
        index += 1;
    }
    table
}

const fn linear_to_ulaw(sample: i16) -> u8 {
    // On the 14-bit scale of the recommendation: bias 33, clipped at 8159.
    let wide = sample as i32 >> 2;
    let (sign, magnitude) = if wide < 0 { (0x80, -wide) } else { (0, wide) };
    let biased = if magnitude > 8158 { 8191 } else { magnitude + 33 };
    let exponent = 26 - biased.leading_zeros() as i32;
    let mantissa = (biased >> (exponent + 1)) & 15;
    !(sign | (exponent << 4) | mantissa) as u8
}

const fn linear_to_alaw(sample: i16) -> u8 {
    // On the 13-bit scale: negative values are counted from -1 down, so that both signs have 128 steps.
    let wide = sample as i32 >> 3;
    let (sign, magnitude) = if wide < 0 { (0, -wide - 1) } else { (0x80, wide) };
    let bits = if magnitude < 32 {
        magnitude >> 1
    } else {
        let exponent = 27 - magnitude.leading_zeros() as i32;
        (exponent << 4) | ((magnitude >> exponent) & 15)
    };
    (sign | bits) as u8 ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_codec::Decoder as _;

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=255 {
            let (mut linear, mut again) = ([0; 1], [0; 1]);
            decode_alaw(&[byte], &mut linear);
            encode_alaw(&linear, &mut again);
            assert_eq!(again, [byte], "A-law {byte:#x} is {linear:?}");
            decode_ulaw(&[byte], &mut linear);
            encode_ulaw(&linear, &mut again);
            // Mu-law has two zeros; the negative one (0x7F) comes back as the positive one.
            let expected = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(again, [expected], "mu-law {byte:#x} is {linear:?}");
        }
    }

    #[test]
    fn bytes_stand_for_what_another_implementation_says() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (mut ours, mut theirs) = ([0; 256], [0; 256]);
        decode_ulaw(&bytes, &mut ours);
        audio_codec::pcmu::PcmuDecoder::new().decode_into(&bytes, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
        decode_alaw(&bytes, &mut ours);
        audio_codec::pcma::PcmaDecoder::new().decode_into(&bytes, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn every_sample_is_encoded_to_the_nearest_step() {
        let (mut byte, mut linear) = ([0; 1], [0; 1]);
        for sample in i16::MIN..=i16::MAX {
            // Half a step of the segment: the step is 1/16 of the segment's start, and 16 at the least.
            let allowed = (i32::from(sample).abs() + 132) / 32 + 8;
            encode_ulaw(&[sample], &mut byte);
            decode_ulaw(&byte, &mut linear);
            let clipped = i32::from(sample).clamp(-32_124, 32_124);
            assert!((clipped - i32::from(linear[0])).abs() <= allowed, "mu-law {sample} -> {linear:?}");
            encode_alaw(&[sample], &mut byte);
            decode_alaw(&byte, &mut linear);
            let clipped = i32::from(sample).clamp(-32_256, 32_256);
            assert!((clipped - i32::from(linear[0])).abs() <= allowed, "A-law {sample} -> {linear:?}");
        }
    }

    #[test]
    fn a_short_buffer_takes_nothing() {
        assert_eq!(encode_ulaw(&[0; 2], &mut [0; 1]), 0);
        assert_eq!(decode_alaw(&[0; 2], &mut [0; 1]), 0);
    }
}
