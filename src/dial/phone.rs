//! One outgoing call: the endpoint, a media session, two sockets and a clock.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sems_media::{Capabilities, CodecKind, Direction, Frame, LocalMedia, Pulled, Session};
use sems_sip::{
    Endpoint, Flow, Transport, Uri,
    endpoint::{Config, Credentials, Event, Invite, LegEvent, LegId, Output, Reply},
    header::NameAddr,
};
use tokio::{
    net::UdpSocket,
    time::{MissedTickBehavior, interval},
};

use super::{
    Dial, Summary,
    sound::{Ear, Mouth},
};

/// How long to wait for the answer to our BYE.
const GOODBYE: Duration = Duration::from_secs(1);
/// Pressed this long.
const DIGIT: Duration = Duration::from_millis(120);
/// A comma among the digits.
const PAUSE: u32 = 25;
/// Between two digits, in ticks.
const GAP: u32 = 10;

/// Where the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Talking { until: Instant },
    Ending { until: Instant },
    Over,
}

/// The answered call's sound.
struct Talk {
    session: Session,
    mouth: Mouth,
    ear: Ear,
    rate: u32,
    /// Ticks until the next digit is pressed.
    wait: u32,
}

pub(super) struct Phone {
    endpoint: Endpoint,
    sip: UdpSocket,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    local: LocalMedia,
    leg: LegId,
    state: State,
    talk: Option<Talk>,
    digits: Vec<char>,
    play: Option<PathBuf>,
    record: Option<PathBuf>,
    length: Duration,
    summary: Summary,
}

impl Phone {
    pub(super) async fn open(dial: &Dial, target: Uri, server: SocketAddr) -> Result<Self, String> {
        let io = |error: std::io::Error| error.to_string();
        let sip = UdpSocket::bind((towards(server).map_err(io)?, 0)).await.map_err(io)?;
        let address = sip.local_addr().map_err(io)?;
        let (rtp, rtcp) = pair(address.ip()).await.map_err(io)?;
        let local = LocalMedia {
            address: address.ip(),
            port: rtp.local_addr().map_err(io)?.port(),
            rtcp_mux: false,
            session_id: u64::from(rand::random::<u32>() >> 1),
            version: 1,
            capabilities: Capabilities { codecs: codecs(&dial.codecs)?, dtmf: true, ptime: 20 },
        };
        let flow = Flow::to_listener(Transport::Udp, address, server);
        let mut endpoint = Endpoint::new(Config::default(), rand::random());
        let mut invite = Invite::new(flow, target.clone(), from(dial, address)?, NameAddr::new(target));
        invite.body = Some(sems_media::offer(&local, None, Direction::SendRecv));
        invite.credentials = dial.user.as_ref().map(|user| Credentials {
            user: user.clone(),
            password: dial.password.clone().unwrap_or_default(),
        });
        let leg = endpoint.invite(Instant::now(), invite);
        Ok(Self {
            endpoint,
            sip,
            rtp,
            rtcp,
            local,
            leg,
            state: State::Calling,
            talk: None,
            digits: dial.digits.chars().rev().collect(),
            play: dial.play.clone(),
            record: dial.record.clone(),
            length: dial.length,
            summary: Summary { status: 408, ended_by: "nobody", ..Summary::default() },
        })
    }

    pub(super) async fn run(&mut self, length: Duration) -> Summary {
        self.length = length;
        let mut tick = interval(Duration::from_millis(20));
        // As a sound card does: who was late catches up, so that nothing is said slower than it should be.
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut datagram = vec![0; 65_535];
        self.drain().await;
        while self.state != State::Over {
            let timer =
                self.endpoint.poll_timeout().unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::select! {
                received = self.sip.recv_from(&mut datagram) => if let Ok((length, remote)) = received {
                    self.take_sip(remote, Bytes::copy_from_slice(&datagram[..length]));
                },
                due = tick.tick() => {
                    if matches!(self.state, State::Talking { .. }) {
                        let late = due.elapsed().as_secs_f64() * 1000.0;
                        self.summary.late_ms = self.summary.late_ms.max(late);
                    }
                    self.tick().await;
                }
                () = tokio::time::sleep_until(timer.into()) => self.endpoint.handle_timeout(Instant::now()),
                _ = tokio::signal::ctrl_c() => {
                    if self.state == State::Calling {
                        self.summary.status = 487;
                    }
                    self.end("ctrl-c");
                }
            }
            self.drain().await;
        }
        if let Some(talk) = &mut self.talk {
            let stats = talk.session.stats();
            self.summary.sent = stats.sent;
            self.summary.received = stats.received;
            self.summary.lost = stats.lost;
            self.summary.jitter_ms = stats.jitter_ms;
            self.summary.rtt_ms = stats.rtt_ms;
            self.summary.heard_dbfs = talk.ear.level();
            talk.ear.close();
        }
        std::mem::take(&mut self.summary)
    }

    fn take_sip(&mut self, remote: SocketAddr, bytes: Bytes) {
        if let Ok(local) = self.sip.local_addr() {
            let flow = Flow::udp(local, remote);
            self.endpoint.handle_message(Instant::now(), &flow, bytes);
        }
    }

    async fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => {
                    if let Err(error) = self.sip.send_to(&bytes, flow.remote).await {
                        eprintln!("sems dial: {}: {error}", flow.remote);
                        self.state = State::Over;
                    }
                }
                Output::Event(Event::Request { id, .. }) => {
                    self.endpoint.respond(Instant::now(), id, Reply::new(405));
                }
                Output::Event(Event::Incoming { leg, .. }) => {
                    self.endpoint.reject(Instant::now(), leg, Reply::new(486));
                }
                Output::Event(Event::Leg { leg, event }) if leg == self.leg => self.take_event(event),
                Output::Event(_) => {}
            }
        }
    }

    fn take_event(&mut self, event: LegEvent) {
        let now = Instant::now();
        match event {
            LegEvent::Provisional { response } => eprintln!("{} {}", response.status.0, response.reason),
            LegEvent::Answered { response } => {
                self.summary.status = response.status.0;
                if let Err(reason) = self.answered(&response.body) {
                    eprintln!("sems dial: {reason}");
                    self.summary.status = 488;
                    self.end("us");
                }
            }
            LegEvent::Failed { response } => {
                match &response {
                    Some(response) => eprintln!("{} {}", response.status.0, response.reason),
                    None => eprintln!("no answer: is a server there?"),
                }
                self.summary.status = response.map_or(408, |response| response.status.0);
                self.state = State::Over;
            }
            LegEvent::Offer { body, .. } => match body.map(|body| self.reoffered(&body)) {
                Some(Ok(answer)) => self.endpoint.accept(now, self.leg, Some(answer)),
                _ => self.endpoint.reject(now, self.leg, Reply::new(488)),
            },
            LegEvent::Request { id, .. } => self.endpoint.respond(now, id, Reply::new(200)),
            LegEvent::Bye { id, .. } => {
                self.endpoint.respond(now, id, Reply::new(200));
                self.summary.ended_by = "peer";
                self.state = State::Over;
            }
            LegEvent::Ended { .. } if !matches!(self.state, State::Ending { .. }) => {
                self.summary.ended_by = "network";
                self.state = State::Over;
            }
            _ => {}
        }
    }

    fn answered(&mut self, body: &Bytes) -> Result<(), String> {
        let negotiated = sems_media::accept(body, &self.local).map_err(|error| error.to_string())?;
        let rate = negotiated.codec.sample_rate();
        self.summary.codec = Some(negotiated.codec.name());
        self.summary.ended_by = "us";
        eprintln!("200 answered, {}", negotiated.codec.name());
        self.talk = Some(Talk {
            session: Session::new(rand::random(), &negotiated),
            mouth: Mouth::open(self.play.as_ref(), rate)?,
            ear: Ear::open(self.record.as_deref(), rate)?,
            rate,
            wait: PAUSE,
        });
        self.state = State::Talking { until: Instant::now() + self.length };
        Ok(())
    }

    fn reoffered(&mut self, offer: &Bytes) -> Result<Bytes, String> {
        self.local.version += 1;
        let (negotiated, body) = sems_media::answer(offer, &self.local, Direction::SendRecv, None)
            .map_err(|error| error.to_string())?;
        if let Some(talk) = &mut self.talk {
            talk.session.reconfigure(&negotiated);
        }
        Ok(body)
    }

    fn end(&mut self, by: &'static str) {
        let now = Instant::now();
        if !matches!(self.state, State::Ending { .. } | State::Over) {
            self.summary.ended_by = by;
            self.endpoint.end(now, self.leg, None);
            self.state = State::Ending { until: now + GOODBYE };
        }
    }

    /// Every 20 ms.
    async fn tick(&mut self) {
        let now = Instant::now();
        match self.state {
            State::Talking { until } if now >= until => self.end("us"),
            // Retransmissions of our BYE are all that is left.
            State::Ending { until } if now >= until || self.endpoint.counts().legs == 0 => {
                self.state = State::Over;
            }
            _ => {}
        }
        let mut packet = [0; 1500];
        let Some(talk) = &mut self.talk else { return };
        while let Ok((length, source)) = self.rtp.try_recv_from(&mut packet) {
            talk.session.handle_rtp(now, source, &packet[..length]);
        }
        while let Ok((length, source)) = self.rtcp.try_recv_from(&mut packet) {
            talk.session.handle_rtcp(now, source, &packet[..length]);
        }
        if !matches!(self.state, State::Talking { .. }) {
            return;
        }
        let mut frame = Frame::silence(talk.rate);
        if talk.session.pull(now, &mut frame) == Pulled::Silence {
            frame.reset(talk.rate);
        }
        if let Err(reason) = talk.ear.hear(&frame) {
            eprintln!("sems dial: {reason}");
        }
        press(&mut self.digits, talk);
        let said = talk.mouth.next(talk.rate);
        let length = match talk.session.sending_digits() {
            true => talk.session.push_digit(now, &mut packet),
            false => talk.session.push(now, &said, &mut packet),
        };
        if let (Some(length), Some(to)) = (length, talk.session.destination()) {
            // Lost packets are what RTP lives with.
            let _ = self.rtp.send_to(&packet[..length], to).await;
        }
        if let (Some(length), Some(to)) =
            (talk.session.rtcp(now, &mut packet), talk.session.rtcp_destination())
        {
            let _ = self.rtcp.send_to(&packet[..length], to).await;
        }
    }
}

/// Presses the next digit when its time has come.
fn press(digits: &mut Vec<char>, talk: &mut Talk) {
    if talk.session.sending_digits() {
        return;
    }
    talk.wait = talk.wait.saturating_sub(1);
    if talk.wait > 0 {
        return;
    }
    match digits.pop() {
        Some(',') => talk.wait = PAUSE,
        Some(digit) => {
            talk.session.send_digit(digit, DIGIT);
            talk.wait = GAP;
        }
        None => {}
    }
}

fn from(dial: &Dial, address: SocketAddr) -> Result<NameAddr, String> {
    let text = match (&dial.from, &dial.user) {
        (Some(from), _) => from.clone(),
        // The account is one of the domain that is called.
        (None, Some(user)) => {
            let domain = dial.uri.rsplit('@').next().unwrap_or_default();
            let domain = domain.split([';', '?']).next().unwrap_or_default();
            format!("sip:{user}@{domain}")
        }
        (None, None) => format!("sip:dial@{address}"),
    };
    text.parse().map(NameAddr::new).map_err(|_| format!("{text}: not a SIP URI"))
}

fn codecs(names: &[String]) -> Result<Vec<CodecKind>, String> {
    if names.is_empty() {
        return Ok(vec![CodecKind::Opus, CodecKind::G722, CodecKind::Pcmu, CodecKind::Pcma]);
    }
    let one = |name: &String| match name.to_ascii_lowercase().as_str() {
        "opus" => Ok(CodecKind::Opus),
        "g722" => Ok(CodecKind::G722),
        "pcmu" => Ok(CodecKind::Pcmu),
        "pcma" => Ok(CodecKind::Pcma),
        _ => Err(format!("{name}: not one of opus, g722, pcmu, pcma")),
    };
    names.iter().map(one).collect()
}

/// The local address that leads to the server.
fn towards(server: SocketAddr) -> std::io::Result<IpAddr> {
    let any = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

/// An even port for RTP and the odd one above it for RTCP.
async fn pair(address: IpAddr) -> std::io::Result<(UdpSocket, UdpSocket)> {
    let mut last = None;
    for _ in 0..100 {
        let rtp = UdpSocket::bind((address, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port % 2 != 0 || port == u16::MAX {
            continue;
        }
        match UdpSocket::bind((address, port + 1)).await {
            Ok(rtcp) => return Ok((rtp, rtcp)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
}
