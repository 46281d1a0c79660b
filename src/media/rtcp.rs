//! RTCP (RFC 3550 section 6): reports written without allocation, reports read by `rtcp-types`.

use std::time::Duration;

use rtcp_types::{Compound, Packet};

/// What a report says about the stream that we receive.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub(crate) fraction: u8,
    pub(crate) lost: u32,
    pub(crate) highest: u32,
    /// In ticks.
    pub(crate) jitter: u32,
    /// The middle of the NTP time of their last sender report.
    pub(crate) last_report: u32,
    /// Since that report, in 1/65536 s.
    pub(crate) delay: u32,
}

/// What a report says about the stream that we send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emission {
    pub(crate) ntp: u64,
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
}

/// A compound packet: SR or RR, SDES, and BYE where it is the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) ssrc: u32,
    pub(crate) sent: Option<Emission>,
    pub(crate) received: Option<Reception>,
    pub(crate) bye: bool,
}

impl Report {
    /// Writes it; returns its length. None when `out` is too short.
    pub(crate) fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut cursor = Cursor { out, at: 0 };
        let blocks = u8::from(self.received.is_some());
        let body = usize::from(blocks) * 24 + if self.sent.is_some() { 24 } else { 4 };
        cursor.header(blocks, if self.sent.is_some() { 200 } else { 201 }, body)?;
        cursor.u32(self.ssrc)?;
        if let Some(sent) = self.sent {
            cursor.u32((sent.ntp >> 32) as u32)?;
            cursor.u32(sent.ntp as u32)?;
            cursor.u32(sent.timestamp)?;
            cursor.u32(sent.packets)?;
            cursor.u32(sent.bytes)?;
        }
        if let Some(received) = self.received {
            cursor.u32(received.ssrc)?;
            cursor.u32((u32::from(received.fraction) << 24) | received.lost.min(0x7F_FFFF))?;
            cursor.u32(received.highest)?;
            cursor.u32(received.jitter)?;
            cursor.u32(received.last_report)?;
            cursor.u32(received.delay)?;
        }
        self.describe(&mut cursor)?;
        if self.bye {
            cursor.header(1, 203, 4)?;
            cursor.u32(self.ssrc)?;
        }
        Some(cursor.at)
    }

    /// SDES with a CNAME for this session only (RFC 7022).
    fn describe(&self, cursor: &mut Cursor<'_>) -> Option<()> {
        // SSRC, item type, length, 8 characters, and two zero bytes up to the next word.
        cursor.header(1, 202, 16)?;
        cursor.u32(self.ssrc)?;
        cursor.bytes(&[1, 8])?;
        for shift in (0..8).rev() {
            let digit = (self.ssrc >> (shift * 4)) & 15;
            cursor.bytes(&[char::from_digit(digit, 16).map_or(b'0', |c| c as u8)])?;
        }
        cursor.bytes(&[0, 0])
    }
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    fn u32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    fn header(&mut self, count: u8, kind: u8, body: usize) -> Option<()> {
        let words = u16::try_from(body / 4).ok()?;
        self.bytes(&[0x80 | count, kind])?;
        self.bytes(&words.to_be_bytes())
    }
}

/// What we learn from a compound packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    /// The middle of the NTP time of a sender report, and who sent it.
    pub(crate) sender_report: Option<(u32, u32)>,
    /// About our stream: the fraction lost, the time of our report, and the delay since.
    pub(crate) ours: Option<(u8, u32, u32)>,
    /// Who said goodbye.
    pub(crate) bye: Option<u32>,
}

/// Reads a compound packet about our stream `ssrc`; none when it is malformed.
pub(crate) fn read(packet: &[u8], ssrc: u32) -> Option<Learnt> {
    let mut learnt = Learnt::default();
    for part in Compound::parse(packet).ok()? {
        match part.ok()? {
            Packet::Sr(report) => {
                learnt.sender_report = Some(((report.ntp_timestamp() >> 16) as u32, report.ssrc()));
                learnt.about(report.report_blocks(), ssrc);
            }
            Packet::Rr(report) => learnt.about(report.report_blocks(), ssrc),
            Packet::Bye(bye) => learnt.bye = bye.ssrcs().next(),
            _ => {}
        }
    }
    Some(learnt)
}

impl Learnt {
    fn about<'a>(&mut self, mut blocks: impl Iterator<Item = rtcp_types::ReportBlock<'a>>, ssrc: u32) {
        if let Some(block) = blocks.find(|block| block.ssrc() == ssrc) {
            let (report, delay) =
                (block.last_sender_report_timestamp(), block.delay_since_last_sender_report_timestamp());
            self.ours = Some((block.fraction_lost(), report, delay));
        }
    }
}

/// A time since some beginning, as NTP counts: seconds in the upper 32 bits, their fraction in the lower. Reports
/// may count from any beginning (RFC 3550 section 6.4.1).
pub(crate) fn ntp(since: Duration) -> u64 {
    (since.as_secs() << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}

/// The middle 32 bits of an NTP time, in 1/65536 s.
pub(crate) const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_by_another_implementation() {
        let sent = Emission { ntp: ntp(Duration::from_millis(1500)), timestamp: 9, packets: 10, bytes: 11 };
        let received =
            Reception { ssrc: 77, fraction: 64, lost: 5, highest: 6, jitter: 7, last_report: 8, delay: 9 };
        let mut out = [0; 200];
        let len = Report { ssrc: 0xABC, sent: Some(sent), received: Some(received), bye: true }
            .write(&mut out)
            .unwrap();
        let learnt = read(&out[..len], 77).unwrap();
        assert_eq!(learnt.sender_report, Some((0x1_8000, 0xABC)));
        assert_eq!(learnt.ours, Some((64, 8, 9)));
        assert_eq!(learnt.bye, Some(0xABC));
        let kinds: Vec<_> = Compound::parse(&out[..len]).unwrap().map(Result::unwrap).collect();
        assert!(
            matches!(&kinds[1], Packet::Sdes(sdes) if sdes.chunks().next().unwrap().items().next().unwrap().value() == b"00000abc")
        );
        let len = Report { ssrc: 1, sent: None, received: None, bye: false }.write(&mut out).unwrap();
        assert_eq!(read(&out[..len], 1), Some(Learnt::default()));
        assert_eq!(Report { ssrc: 1, sent: None, received: None, bye: false }.write(&mut [0; 20]), None);
    }
}
