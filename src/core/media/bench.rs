//! A worker without its thread, for the benchmark: sockets on the loopback, rounds on demand.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use sems_media::{CodecKind, Direction, Negotiated, OpusParameters, Session};
use tokio::sync::{mpsc, oneshot};

use super::{
    EngineConfig, JoinSpec, LegId, MediaEvent, MediaIo,
    command::{Action, LegShared, Order},
    engine,
    recorder::Job,
    rooms::Rooms,
    socket::Udp,
    stream::Stream,
    wheel::SLOTS,
    worker::Worker,
};

/// A worker with legs, and the phones they talk to.
#[derive(Debug)]
pub struct Rig {
    worker: Worker,
    phones: Vec<(UdpSocket, SocketAddr)>,
    sequence: u16,
    now: Instant,
    _jobs: Receiver<Job>,
    _events: Vec<mpsc::Receiver<MediaEvent>>,
}

impl Rig {
    /// This many legs that echo.
    pub fn echo(legs: usize) -> Option<Self> {
        Self::new(legs, |_| Some(Action::Echo(true)))
    }

    /// One room with this many members, all of whom speak.
    pub fn room(members: usize) -> Option<Self> {
        let rooms = Rooms::default();
        Self::new(members, |_| {
            let seat = rooms.seat("bench", 0, 0).ok()?;
            let (reply, _) = oneshot::channel();
            Some(Action::Join { seat, spec: Box::new(JoinSpec::default()), reply })
        })
    }

    fn new(legs: usize, mut action: impl FnMut(usize) -> Option<Action>) -> Option<Self> {
        let config = EngineConfig {
            workers: 1,
            rtp_ports: 20_000..=29_999,
            realtime: false,
            io: MediaIo::Auto,
            rtp_timeout: Duration::from_secs(60),
            quarantine: Duration::from_secs(2),
            sounds: Vec::new(),
            language: "en".to_owned(),
        };
        let (fleet, mut orders) = engine::fleet(&config).ok()?;
        let (jobs, received) = std::sync::mpsc::sync_channel(1);
        let io = engine::io(&config, jobs, &engine::prepared_sounds());
        let mut worker = Worker::new(0, Arc::clone(&fleet), orders.pop()?, io);
        let now = Instant::now();
        let (mut phones, mut all_events) = (Vec::new(), Vec::new());
        for index in 0..legs {
            let sockets = fleet.ports.bind(IpAddr::V4(Ipv4Addr::LOCALHOST)).ok()?;
            let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            phone.set_nonblocking(true).ok()?;
            let shared = Arc::new(LegShared {
                id: LegId(index as u64),
                address: sockets.rtp.local(),
                closed: AtomicBool::new(false),
                home: AtomicUsize::new(0),
            });
            let (events, received) = mpsc::channel(64);
            all_events.push(received);
            let session = Session::new(index as u64, &agreed(phone.local_addr().ok()?));
            phones.push((phone, shared.address));
            let stream = Stream::new(now, Arc::clone(&shared), sockets, events);
            worker.obey(Order::Open(Box::new(stream)));
            worker.obey(Order::Leg(Arc::clone(&shared), Box::new(Action::Start(Box::new(session)))));
            worker.obey(Order::Leg(shared, Box::new(action(index)?)));
        }
        Some(Self { worker, phones, sequence: 0, now, _jobs: received, _events: all_events })
    }

    /// Each phone takes what it was sent and says the next 20 ms.
    pub fn speak(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = [0x55; 172];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        let mut buffer = [0; 1500];
        for (phone, leg) in &self.phones {
            while phone.recv(&mut buffer).is_ok() {}
            // A full queue loses the packet, as it would on the wire.
            let _ = phone.send_to(&packet, leg);
        }
        self.now += Duration::from_millis(20);
    }

    /// One turn of the wheel: each leg is served once.
    pub fn serve(&mut self) {
        for slot in 0..SLOTS {
            self.worker.serve_slot(self.now, slot);
        }
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.worker.packets_out()
    }
}

/// Talks PCMU with `remote`.
pub(crate) fn agreed(remote: SocketAddr) -> Negotiated {
    Negotiated {
        codec: CodecKind::Pcmu,
        payload_type: 0,
        ptime_ms: 20,
        receive: [(0, CodecKind::Pcmu)].into_iter().collect(),
        dtmf: Some((101, 8000)),
        dtmf_receive: [(101, 8000)].into_iter().collect(),
        direction: Direction::SendRecv,
        remote: Some(remote),
        remote_rtcp: None,
        rtcp_mux: false,
        opus: OpusParameters::default(),
    }
}
