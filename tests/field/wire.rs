//! SIP by hand: datagrams and streams as they are written, with the digest of `sems_sip` where it is asked for.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sems_sip::{Message, auth::ClientAuth};

/// How long an answer may take, on a machine that also compiles.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers for tags and branches.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// An SDP offer of PCMU and PCMA.
pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                         m=audio 30000 RTP/AVP 0 8\r\n";

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Got(pub String);

impl Got {
    pub fn status(&self) -> u16 {
        let code = self.0.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no response: {}", self.0))
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    /// The one value of a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

impl Got {
    /// The response of whoever was asked, its tag `t`, with more header lines and a body.
    pub fn answer(&self, status: &str, more: &[&str], body: &str) -> String {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let mut text = format!("SIP/2.0 {status}\r\n");
        for line in head.lines().skip(1) {
            let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
            match name.as_str() {
                "via" | "from" | "call-id" | "cseq" | "record-route" => text.push_str(line),
                "to" if line.contains(";tag=") || status.starts_with("100") => text.push_str(line),
                "to" => text.push_str(&format!("{line};tag=t")),
                _ => continue,
            }
            text.push_str("\r\n");
        }
        for line in more {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        text
    }

    /// 200 with an answer of PCMU.
    pub fn accept(&self, contact: &str) -> String {
        let contact = format!("Contact: {contact}");
        let body = OFFER.replace(" 0 8\r\n", " 0\r\n");
        self.answer("200 OK", &[&contact, "Content-Type: application/sdp"], &body)
    }
}

/// A request as it will be written.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: String,
    pub uri: String,
    pub from: String,
    pub to: String,
    pub call_id: String,
    pub cseq: u32,
    /// Further header lines.
    pub more: Vec<String>,
    pub body: String,
}

impl Ask {
    /// A request from a stranger.
    pub fn new(method: &str, uri: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            from: format!("<sip:stranger@elsewhere.invalid>;tag=f{number}"),
            to: format!("<{uri}>"),
            call_id: format!("{number}-{}@wire", std::process::id()),
            cseq: 1,
            more: Vec::new(),
            body: String::new(),
        }
    }

    /// An INVITE that offers PCMU and PCMA.
    pub fn invite(uri: &str) -> Self {
        Self::new("INVITE", uri).line("Content-Type: application/sdp").body(OFFER)
    }

    /// With another header line.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.more.push(line.into());
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// As if from an account of `localhost`.
    pub fn claiming(mut self, user: &str) -> Self {
        self.from = format!("<sip:{user}@localhost>;tag=f{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self
    }

    /// As text, with a branch of its own.
    pub fn text(&self, transport: &str, local: SocketAddr) -> String {
        let branch = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK{pid}x{branch};rport\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n",
            method = self.method,
            uri = self.uri,
            pid = std::process::id(),
            from = self.from,
            to = self.to,
            call_id = self.call_id,
            cseq = self.cseq,
        );
        let has = |name: &str| self.more.iter().any(|line| line.starts_with(name));
        if !has("Max-Forwards") {
            text.push_str("Max-Forwards: 70\r\n");
        }
        if self.method == "INVITE" && !has("Contact") {
            text.push_str(&format!("Contact: <sip:wire@{local}>\r\n"));
        }
        for line in &self.more {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        text
    }
}

/// Which of the algorithms a phone knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knows {
    Md5,
    Sha256,
}

/// A UDP socket that speaks to one server.
pub struct Wire {
    socket: UdpSocket,
}

impl Wire {
    pub fn new(server: SocketAddr) -> Self {
        let any = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let socket = UdpSocket::bind(any).expect("a port");
        socket.connect(server).expect("an address");
        Self { socket }
    }

    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send(bytes.as_ref()).expect("a datagram is sent");
    }

    /// The next message within `patience`.
    pub fn try_receive(&self, patience: Duration) -> Option<Got> {
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).expect("a timeout");
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(Got(String::from_utf8_lossy(&buffer[..length]).into_owned()))
    }

    /// The final response to what was asked last; a 2xx or another is left to the caller to acknowledge.
    pub fn final_response(&self) -> Got {
        let until = Instant::now() + PATIENCE;
        while let Some(got) = self.try_receive(until.saturating_duration_since(Instant::now())) {
            if got.0.starts_with("SIP/2.0 ") && got.status() >= 200 {
                return got;
            }
        }
        panic!("no final response");
    }

    /// Sends a request and waits for its final response; the refusal of an INVITE is acknowledged.
    pub fn ask(&self, ask: &Ask) -> Got {
        let text = ask.text("UDP", self.local());
        self.ask_text(&text)
    }

    /// The same with a message as it is.
    pub fn ask_text(&self, text: &str) -> Got {
        self.send(text);
        let got = self.final_response();
        if text.starts_with("INVITE ") && got.status() >= 300 {
            self.send(acknowledgement(text, &got));
        }
        got
    }

    /// Asks, and answers the challenge as `user` with `password`. Gives both responses.
    pub fn ask_as(&self, ask: &mut Ask, user: &str, password: &str, knows: Knows) -> (Got, Got) {
        let text = ask.text("UDP", self.local());
        let challenge = self.ask_text(&text);
        ask.cseq += 1;
        let second = ask.text("UDP", self.local());
        (challenge.clone(), self.ask_text(&authorized(&text, &second, &challenge, user, password, knows)))
    }

    /// Registers an account's contact `sip:user@<local>` for 10 minutes.
    pub fn register(&self, server_uri: &str, user: &str) -> Got {
        let mut ask = Ask::new("REGISTER", server_uri).claiming(user);
        ask.to = format!("<sip:{user}@localhost>");
        ask = ask.line(format!("Contact: <sip:{user}@{}>", self.local())).line("Expires: 600");
        let (challenge, got) = self.ask_as(&mut ask, user, &format!("{user}-secret"), Knows::Md5);
        assert_eq!(challenge.status(), 401, "{}", challenge.0);
        assert_eq!(got.status(), 200, "{}", got.0);
        got
    }
}

/// Registers an account from a port that is left to another program then; the port.
pub fn register_elsewhere(server: SocketAddr, user: &str) -> u16 {
    let wire = Wire::new(server);
    wire.register("sip:localhost", user);
    wire.local().port()
}

/// The request `second` with credentials for the challenge that `first` got.
pub fn authorized(
    first: &str,
    second: &str,
    challenge: &Got,
    user: &str,
    password: &str,
    knows: Knows,
) -> String {
    let read = |text: &str| Message::parse(Bytes::from(text.to_owned()));
    // A phone that knows only MD5 passes over what it does not know.
    let known = |line: &&str| knows == Knows::Sha256 || !line.contains("algorithm=SHA-256");
    let understood = challenge.0.split("\r\n").filter(known).collect::<Vec<_>>().join("\r\n");
    let (Ok(Message::Request(first)), Ok(Message::Request(mut second)), Ok(Message::Response(challenge))) =
        (read(first), read(second), read(&understood))
    else {
        panic!("unreadable: {first}\n{understood}");
    };
    let mut auth = ClientAuth::new(user, password);
    auth.challenged(&first, &challenge).unwrap_or_else(|error| panic!("{error}: {understood}"));
    auth.authorize(&mut second, "c0ffee");
    String::from_utf8(second.to_bytes().to_vec()).expect("text")
}

/// The ACK to a refused INVITE.
fn acknowledgement(invite: &str, refusal: &Got) -> String {
    let line = |name: &str| invite.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let uri = invite.split(' ').nth(1).unwrap_or_default();
    format!(
        "ACK {uri} SIP/2.0\r\n{}\r\n{}\r\nTo: {}\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
        line("Via:"),
        line("From:"),
        refusal.headers("To").first().unwrap_or(&"<sip:nobody>"),
        line("Call-ID:"),
        line("CSeq:").replace("INVITE", "ACK"),
    )
}

/// What a stream is written to and read from.
pub trait Pipe: Read + Write + Send {}

impl<T: Read + Write + Send> Pipe for T {}

/// A connection to or from the server.
pub struct Stream {
    pipe: Box<dyn Pipe>,
    local: SocketAddr,
    /// As it stands in Via.
    transport: &'static str,
    unread: Vec<u8>,
    /// The socket itself, where there is nothing between.
    tcp: Option<TcpStream>,
}

impl Stream {
    /// A TCP connection to the server.
    pub fn new(server: SocketAddr) -> Self {
        Self::from_tcp(TcpStream::connect(server).expect("a connection"))
    }

    fn from_tcp(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let local = stream.local_addr().expect("an address");
        let tcp = stream.try_clone().expect("a socket");
        Self { tcp: Some(tcp), ..Self::over(Box::new(stream), local, "TCP") }
    }

    /// Any other connection.
    pub fn over(pipe: Box<dyn Pipe>, local: SocketAddr, transport: &'static str) -> Self {
        Self { pipe, local, transport, unread: Vec::new(), tcp: None }
    }

    /// The next connection that the server opens to this listener.
    pub fn accept(listener: &TcpListener) -> Self {
        Self::from_tcp(accept(listener))
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.pipe.write_all(bytes.as_ref()).expect("bytes are sent");
        self.pipe.flush().expect("bytes are sent");
    }

    /// The next message, with its body.
    pub fn message(&mut self) -> Got {
        loop {
            let text = String::from_utf8_lossy(&self.unread).into_owned();
            if let Some(end) = text.find("\r\n\r\n") {
                let head = Got(text[..end + 4].to_owned());
                let body: usize = head.header("Content-Length").parse().expect("a length");
                if self.unread.len() >= end + 4 + body {
                    let rest = self.unread.split_off(end + 4 + body);
                    let message = std::mem::replace(&mut self.unread, rest);
                    return Got(String::from_utf8_lossy(&message).into_owned());
                }
            }
            self.fill();
        }
    }

    /// The next request of this method; what comes before it is passed over.
    pub fn request(&mut self, method: &str) -> Got {
        loop {
            let got = self.message();
            if got.0.starts_with(&format!("{method} ")) {
                return got;
            }
        }
    }

    /// The next response of this status; what comes before it is passed over.
    pub fn response(&mut self, status: u16) -> Got {
        loop {
            let got = self.message();
            if got.0.starts_with(&format!("SIP/2.0 {status} ")) {
                return got;
            }
        }
    }

    /// Sends a request and waits for its final response.
    pub fn ask_text(&mut self, text: &str) -> Got {
        self.send(text);
        loop {
            let got = self.message();
            if got.0.starts_with("SIP/2.0 ") && got.status() >= 200 {
                return got;
            }
        }
    }

    pub fn ask(&mut self, ask: &Ask) -> Got {
        let text = ask.text(self.transport, self.local);
        self.ask_text(&text)
    }

    /// Registers an account's contact for 10 minutes; the 200.
    pub fn register(&mut self, user: &str, contact: &str) -> Got {
        self.register_with(user, contact, &[])
    }

    /// The same with more header lines.
    pub fn register_with(&mut self, user: &str, contact: &str, more: &[&str]) -> Got {
        let mut ask = Ask::new("REGISTER", "sip:localhost").claiming(user);
        ask.more.extend(more.iter().map(|line| (*line).to_owned()));
        ask.to = format!("<sip:{user}@localhost>");
        ask = ask.line(format!("Contact: {contact}")).line("Expires: 600");
        let first = ask.text(self.transport, self.local);
        let challenge = self.ask_text(&first);
        assert_eq!(challenge.status(), 401, "{}", challenge.0);
        ask.cseq += 1;
        let second = ask.text(self.transport, self.local);
        let password = format!("{user}-secret");
        let got = self.ask_text(&authorized(&first, &second, &challenge, user, &password, Knows::Md5));
        assert_eq!(got.status(), 200, "{}", got.0);
        got
    }

    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        match self.pipe.read(&mut buffer) {
            Ok(length) if length > 0 => self.unread.extend_from_slice(&buffer[..length]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&self.unread)),
        }
    }

    /// Reads until what came ends with `end`; everything that came.
    pub fn until(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.unread).into_owned();
            if text.ends_with(end) {
                self.unread.clear();
                return text;
            }
            self.fill();
        }
    }

    /// Whether nothing comes for so long. Only for TCP without anything unread.
    pub fn is_quiet(&mut self, patience: Duration) -> bool {
        let Some(tcp) = &self.tcp else { panic!("not a TCP connection of its own") };
        tcp.set_read_timeout(Some(patience)).expect("a timeout");
        let quiet = tcp.peek(&mut [0; 1]).is_err();
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        quiet
    }

    /// Whether the server closes it, after whatever it still sends.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.pipe.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// The next connection to a listener, within [`PATIENCE`].
pub fn accept(listener: &TcpListener) -> TcpStream {
    let until = Instant::now() + PATIENCE;
    listener.set_nonblocking(true).expect("a listener");
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("a stream");
                return stream;
            }
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("nobody connects: {error}"),
        }
    }
}
