//! A caller that is nothing but messages and packets, to see each of them at its moment.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::Server;

/// Longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// One call over UDP, PCMU.
pub struct Line {
    sip: UdpSocket,
    rtp: UdpSocket,
    server: SocketAddr,
    target: String,
    /// The To header as the server completed it.
    to: String,
    remote: String,
    media: Option<SocketAddr>,
    id: String,
    sequence: u16,
    /// More header lines of the INVITE.
    lines: String,
    /// The final response to the INVITE.
    pub last: String,
    /// The payloads that came.
    pub received: Vec<Vec<u8>>,
}

/// The value of a header.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next()?;
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn status(message: &str) -> u16 {
    message.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

/// A sample of G.711 in the law of America.
fn linear(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i32::from(byte & 0x0f) << 3) + 132) << ((byte >> 4) & 7)) - 132;
    let signed = if byte & 0x80 == 0 { magnitude } else { -magnitude };
    i16::try_from(signed).unwrap_or(i16::MAX)
}

impl Line {
    pub fn new(server: &Server, user: &str) -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (sip, rtp) = (bind(), bind());
        sip.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        rtp.set_nonblocking(true).expect("non-blocking");
        let port = sip.local_addr().expect("an address").port();
        let target = server.uri(user);
        Self {
            to: format!("<{target}>"),
            remote: target.clone(),
            target,
            server: server.udp,
            sip,
            rtp,
            media: None,
            id: format!("line-{port}-{}", std::process::id()),
            sequence: 0,
            lines: String::new(),
            last: String::new(),
            received: Vec::new(),
        }
    }

    /// Calls with this header line.
    pub fn with(mut self, line: &str) -> Self {
        self.lines.push_str(line);
        self.lines.push_str("\r\n");
        self
    }

    fn send(&self, method: &str, number: u32, branch: &str, body: &str) {
        let local = self.sip.local_addr().expect("an address");
        let uri = if method == "INVITE" { &self.target } else { &self.remote };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let lines = if method == "INVITE" { &self.lines } else { "" };
        let message = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{branch}{id};rport\r\n\
             Max-Forwards: 70\r\n\
             From: \"Line\" <sip:line@{local}>;tag=w1\r\n\
             To: {to}\r\n\
             Call-ID: {id}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:line@{local}>\r\n\
             {lines}{kind}Content-Length: {length}\r\n\r\n{body}",
            id = self.id,
            to = self.to,
            length = body.len(),
        );
        self.sip.send_to(message.as_bytes(), self.server).expect("sent");
    }

    fn message(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.sip.recv(&mut bytes).expect("the server answers");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// Calls, and acknowledges the answer: the statuses that came, in their order.
    pub fn invite(&mut self) -> Vec<u16> {
        let port = self.rtp.local_addr().expect("an address").port();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        );
        self.send("INVITE", 1, "a", &sdp);
        let mut seen = Vec::new();
        loop {
            let message = self.message();
            let status = status(&message);
            seen.push(status);
            if status < 200 {
                continue;
            }
            self.to = header(&message, "To").expect("To").to_owned();
            if status == 200 {
                let contact = header(&message, "Contact").expect("Contact");
                self.remote = contact.trim_start_matches('<').split('>').next().expect("a URI").to_owned();
                let port = message.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next());
                let port: u16 = port.and_then(|port| port.parse().ok()).expect("a port");
                self.media = Some(SocketAddr::new(self.server.ip(), port));
                self.send("ACK", 1, "b", "");
            } else {
                self.send("ACK", 1, "a", "");
            }
            self.last = message;
            return seen;
        }
    }

    /// Says a tone of 1000 Hz for so long.
    pub fn say(&mut self, length: Duration) {
        let begin = Instant::now();
        let to = self.media.expect("an answered call");
        for tick in 0..(length.as_millis() / 20) as u32 {
            let mut packet = vec![0x80, 0];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
            packet.extend([1, 2, 3, 4]);
            packet.extend((0..160).map(|at| if at % 8 < 4 { 0x90 } else { 0x10 }));
            self.rtp.send_to(&packet, to).expect("sent");
            self.sequence = self.sequence.wrapping_add(1);
            self.listen();
            let next = begin + Duration::from_millis(20) * (tick + 1);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn listen(&mut self) {
        let mut bytes = [0; 2048];
        while let Ok(length) = self.rtp.recv(&mut bytes) {
            self.received.push(bytes[12.min(length)..length].to_vec());
        }
    }

    /// All that came so far, as samples at 8 kHz.
    pub fn heard(&mut self) -> Vec<i16> {
        self.listen();
        self.received.iter().flatten().map(|byte| linear(*byte)).collect()
    }

    /// Hangs up; the status of the answer.
    pub fn bye(&self) -> u16 {
        self.send("BYE", 2, "c", "");
        loop {
            let message = self.message();
            if header(&message, "CSeq").is_some_and(|value| value.contains("BYE")) {
                return status(&message);
            }
        }
    }
}
