//! A phone without sound: an endpoint and a socket.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sems_sip::{
    Endpoint, Flow, HeaderName, Method, Uri,
    endpoint::{Config, Credentials, Event, Invite, LegEvent, LegId, OutOfDialog, Output, Reply},
    header::NameAddr,
};
use tokio::{net::UdpSocket, time::timeout};

/// The password of every account.
pub(crate) const SECRET: &str = "open sesame";

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Phone {
    pub(crate) endpoint: Endpoint,
    socket: UdpSocket,
    flow: Flow,
    user: String,
    events: VecDeque<Event>,
}

fn address(text: &str) -> NameAddr {
    NameAddr::new(uri(text))
}

fn uri(text: &str) -> Uri {
    text.parse().expect("a URI")
}

impl Phone {
    pub(crate) async fn new(user: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let local = socket.local_addr().expect("an address");
        let flow = Flow::udp(local, server);
        let [high, low] = local.port().to_be_bytes();
        let mut seed = [low; 32];
        seed[0] = high;
        let endpoint = Endpoint::new(Config::default(), seed);
        Self { endpoint, socket, flow, user: user.to_owned(), events: VecDeque::new() }
    }

    fn credentials(&self) -> Option<Credentials> {
        Some(Credentials { user: self.user.clone(), password: SECRET.to_owned() })
    }

    pub(crate) async fn register(&mut self) {
        let own = format!("sip:{}@localhost", self.user);
        let contact = format!("<sip:{}@{}>", self.user, self.flow.local);
        let mut spec = OutOfDialog::new(
            Method::Register,
            self.flow.clone(),
            uri("sip:localhost"),
            address(&own),
            address(&own),
        );
        spec.headers.push((HeaderName::Contact, contact));
        spec.credentials = self.credentials();
        self.endpoint.request(Instant::now(), spec);
        match self.event().await {
            Event::Response { response: Some(response), .. } => assert_eq!(response.status.code(), 200),
            other => panic!("not registered: {other:?}"),
        }
    }

    /// Calls as nobody of the server's domains.
    pub(crate) fn call(&mut self, to: &str) -> LegId {
        self.call_as("sip:stranger@far.example", to, None)
    }

    pub(crate) fn call_as(&mut self, from: &str, to: &str, credentials: Option<Credentials>) -> LegId {
        let mut invite = Invite::new(self.flow.clone(), uri(to), address(from), address(to));
        invite.body = Some(Bytes::from_static(SDP));
        invite.credentials = credentials;
        self.endpoint.invite(Instant::now(), invite)
    }

    /// Calls, and returns the status of the refusal.
    pub(crate) async fn refusal(&mut self, to: &str) -> u16 {
        self.call(to);
        self.failure().await
    }

    pub(crate) async fn failure(&mut self) -> u16 {
        loop {
            match self.leg_event().await {
                LegEvent::Failed { response } => return response.map_or(0, |r| r.status.code()),
                LegEvent::Provisional { .. } => {}
                other => panic!("no refusal: {other:?}"),
            }
        }
    }

    pub(crate) async fn answered(&mut self) {
        loop {
            match self.leg_event().await {
                LegEvent::Answered { .. } => return,
                LegEvent::Provisional { .. } => {}
                other => panic!("no answer: {other:?}"),
            }
        }
    }

    /// The next INVITE, ringing.
    pub(crate) async fn rung(&mut self) -> LegId {
        match self.event().await {
            Event::Incoming { leg, .. } => {
                self.endpoint.provisional(Instant::now(), leg, 180, None);
                leg
            }
            other => panic!("no INVITE: {other:?}"),
        }
    }

    /// A description for a 200.
    pub(crate) fn answer(&self) -> Bytes {
        Bytes::from_static(SDP)
    }

    /// A description that holds the call.
    pub(crate) fn held(&self) -> Bytes {
        let mut body = SDP.to_vec();
        body.extend_from_slice(b"a=sendonly\r\n");
        Bytes::from(body)
    }

    /// Presses a digit by INFO, and waits until it is taken.
    pub(crate) async fn press(&mut self, leg: LegId, digit: char) {
        let body = Some(("application/dtmf-relay".to_owned(), Bytes::from(format!("Signal={digit}\r\n"))));
        self.endpoint.request_in(Instant::now(), leg, Method::Info, Vec::new(), body);
        match self.event().await {
            Event::Response { response: Some(response), .. } => assert_eq!(response.status.code(), 200),
            other => panic!("no answer to the INFO: {other:?}"),
        }
    }

    /// Hangs up, and returns how long the answer to the BYE took.
    pub(crate) async fn hang_up(&mut self, leg: LegId) -> Duration {
        let started = Instant::now();
        self.endpoint.end(started, leg, None);
        while self.endpoint.counts().legs > 0 {
            assert!(started.elapsed() < PATIENCE, "the BYE is not answered");
            self.step(Duration::from_millis(10)).await;
        }
        started.elapsed()
    }

    /// The next event of a leg; 100 is none.
    pub(crate) async fn leg_event(&mut self) -> LegEvent {
        loop {
            match self.event().await {
                Event::Leg { event: LegEvent::Trying, .. } => {}
                Event::Leg { event, .. } => return event,
                other => panic!("no event of a leg: {other:?}"),
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        let started = Instant::now();
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            assert!(started.elapsed() < PATIENCE, "nothing happens");
            self.step(Duration::from_millis(10)).await;
        }
    }

    /// Sends what there is to be sent, and listens for at most so long.
    pub(crate) async fn step(&mut self, most: Duration) {
        self.drain().await;
        let mut datagram = vec![0; 65_535];
        if let Ok(Ok((length, remote))) = timeout(most, self.socket.recv_from(&mut datagram)).await {
            let flow = Flow { remote, ..self.flow.clone() };
            let bytes = Bytes::copy_from_slice(&datagram[..length]);
            self.endpoint.handle_message(Instant::now(), &flow, bytes);
        }
        self.endpoint.handle_timeout(Instant::now());
        self.drain().await;
    }

    async fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => {
                    self.socket.send_to(&bytes, flow.remote).await.expect("sent");
                }
                Output::Event(event) => self.events.push_back(event),
            }
        }
    }

    pub(crate) fn respond(&mut self, id: sems_sip::endpoint::RequestId, status: u16) {
        self.endpoint.respond(Instant::now(), id, Reply::new(status));
    }
}
