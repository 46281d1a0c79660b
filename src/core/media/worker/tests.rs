//! A worker without its thread: orders and turns of the wheel by hand, on virtual time.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::AtomicBool,
};

use sems_media::Session;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::media::{
    EngineConfig, MediaEvent, RecordEnd, RecordSpec,
    bench::agreed,
    command::ORDERS,
    engine,
    recorder::{Job, Jobs},
    socket::Udp,
};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The same with and without io_uring.
const BOTH: [MediaIo; 2] = [MediaIo::Plain, MediaIo::Auto];

/// Workers whose ports begin at `first_port`, and whose recordings go to `jobs`.
fn workers(count: usize, first_port: u16, jobs: &Jobs) -> (Arc<Fleet>, Vec<Worker>) {
    workers_by(MediaIo::Auto, count, first_port, jobs)
}

fn workers_by(io: MediaIo, count: usize, first_port: u16, jobs: &Jobs) -> (Arc<Fleet>, Vec<Worker>) {
    let config = EngineConfig {
        workers: count,
        rtp_ports: first_port..=first_port + 9,
        realtime: false,
        io,
        rtp_timeout: Duration::from_secs(60),
        quarantine: Duration::from_millis(100),
        sounds: Vec::new(),
        language: "en".to_owned(),
    };
    let (fleet, orders) = engine::fleet(&config).expect("a fleet");
    let sounds = engine::prepared_sounds();
    let worker = |(index, orders)| {
        let io = engine::io(&config, jobs.clone(), &sounds);
        let mut worker = Worker::new(index, Arc::clone(&fleet), orders, io);
        worker.open_io();
        worker
    };
    let workers = orders.into_iter().enumerate().map(worker).collect();
    (fleet, workers)
}

fn jobs(room: usize) -> (Jobs, Receiver<Job>) {
    std::sync::mpsc::sync_channel(room)
}

/// A leg in a call with a phone.
struct Call {
    shared: Arc<LegShared>,
    events: mpsc::Receiver<MediaEvent>,
    phone: UdpSocket,
    sequence: u16,
}

impl Call {
    fn open(worker: &mut Worker, id: u64) -> Self {
        let sockets = worker.fleet.ports.bind(HOME).expect("a pair");
        let phone = UdpSocket::bind((HOME, 0)).expect("a port");
        phone.set_nonblocking(true).expect("a socket");
        let shared = Arc::new(LegShared {
            id: LegId(id),
            address: sockets.rtp.local(),
            closed: AtomicBool::new(false),
            home: AtomicUsize::new(worker.index),
        });
        let (sender, events) = mpsc::channel(64);
        let stream = Stream::new(worker.wheel.due(), Arc::clone(&shared), sockets, sender);
        count(&worker.fleet.loads, worker.index, true);
        worker.obey(Order::Open(Box::new(stream)));
        let call = Self { shared, events, phone, sequence: 0 };
        let address = call.phone.local_addr().expect("bound");
        worker.obey(call.order(Action::Start(Box::new(Session::new(id, &agreed(address))))));
        call
    }

    fn order(&self, action: Action) -> Order {
        Order::Leg(Arc::clone(&self.shared), Box::new(action))
    }

    /// Says 20 ms.
    fn say(&mut self) {
        self.sequence += 1;
        let mut packet = [0x55; 172];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
        self.phone.send_to(&packet, self.shared.address).expect("sent");
    }

    /// How many packets of sound came.
    fn hears(&self) -> usize {
        let mut buffer = [0; 1500];
        std::iter::from_fn(|| self.phone.recv(&mut buffer).ok()).filter(|length| *length == 172).count()
    }

    fn reports(&mut self) -> Vec<MediaEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .filter(|event| !matches!(event, MediaEvent::Latched(_)))
            .collect()
    }
}

/// Turns of the wheel in which each phone says 20 ms a turn; returns how many packets each heard.
fn turn(worker: &mut Worker, start: Instant, turns: u32, calls: &mut [&mut Call]) -> Vec<usize> {
    for turn in 0..turns {
        calls.iter_mut().for_each(|call| call.say());
        for slot in 0..SLOTS {
            worker.serve_slot(start + Duration::from_millis(20) * turn, slot);
        }
    }
    calls.iter().map(|call| call.hears()).collect()
}

// SEMS-EC-1: an echo comes back as evenly as it was sent, whenever in the 20 ms the phone sends.
#[test]
fn a_phone_that_sends_just_when_its_leg_is_served_hears_itself_evenly_all_the_same() {
    BOTH.into_iter().for_each(hears_itself_evenly);
}

fn hears_itself_evenly(io: MediaIo) {
    let (jobs, _received) = jobs(1);
    let (_fleet, mut workers) = workers_by(io, 1, 38_400, &jobs);
    let worker = &mut workers[0];
    let mut call = Call::open(worker, 1);
    worker.obey(call.order(Action::Echo(true)));
    let slot = worker.legs[0].as_ref().map_or(0, |stream| stream.slot);
    let start = Instant::now();
    let mut heard = Vec::new();
    for tick in 0..4_000_usize {
        let turn = tick / SLOTS;
        // Half a millisecond before it is served, or after, in no order.
        let early = (turn * 7919) % 13 < 6;
        if tick % SLOTS == slot && early {
            call.say();
        }
        worker.serve_slot(start + Duration::from_millis(tick as u64), tick % SLOTS);
        if tick % SLOTS == slot && !early {
            call.say();
        }
        heard.extend(std::iter::repeat_n(tick, call.hears()));
    }
    let gaps = |from, to| {
        let heard: Vec<usize> = heard.iter().copied().filter(|tick| (from..to).contains(tick)).collect();
        heard.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>()
    };
    assert!(gaps(0, 900).iter().any(|gap| *gap != 20), "the test does what it says");
    assert!(gaps(1_500, 4_000).iter().all(|gap| *gap == 20), "{:?}", gaps(1_500, 4_000));
    assert!(heard.len() >= 197, "{}", heard.len());
    assert_eq!(worker.slots.iter().map(Vec::len).sum::<usize>(), 1);
}

#[test]
fn a_panic_is_the_end_of_one_leg_and_it_is_told() {
    for (at_once, io) in [true, false].into_iter().zip(BOTH) {
        let (jobs, _received) = jobs(1);
        let (fleet, mut workers) = workers_by(io, 1, 38_420, &jobs);
        let worker = &mut workers[0];
        let (mut broken, mut whole) = (Call::open(worker, 1), Call::open(worker, 2));
        for call in [&broken, &whole] {
            worker.obey(call.order(Action::Echo(true)));
        }
        let start = Instant::now();
        assert_eq!(turn(worker, start, 10, &mut [&mut broken, &mut whole]), [10, 10]);
        worker.obey(broken.order(Action::Panic { at_once }));
        let heard = turn(worker, start + Duration::from_millis(200), 10, &mut [&mut broken, &mut whole]);
        assert_eq!(heard[1], 10, "the other one goes on");
        assert_eq!(heard[0], 0);
        assert_eq!(broken.reports(), [MediaEvent::Failed]);
        assert_eq!(whole.reports(), []);
        assert_eq!(fleet.loads[0].load(Ordering::Relaxed), 1);
        assert!(!worker.resting.is_empty(), "its ports rest");
    }
}

#[test]
fn a_panic_in_the_tables_ends_all_legs_and_the_worker_serves_new_ones() {
    let (jobs, _received) = jobs(1);
    let (fleet, mut workers) = workers(1, 38_440, &jobs);
    let worker = &mut workers[0];
    let mut call = Call::open(worker, 1);
    worker.begin_anew();
    assert_eq!(call.reports(), [MediaEvent::Failed]);
    assert_eq!(fleet.loads[0].load(Ordering::Relaxed), 0);
    let mut next = Call::open(worker, 2);
    worker.obey(next.order(Action::Echo(true)));
    assert_eq!(turn(worker, Instant::now(), 10, &mut [&mut next]), [10]);
}

#[test]
fn orders_follow_a_leg_that_waits_for_a_busy_worker() {
    let (jobs, _received) = jobs(1);
    let (fleet, workers) = workers(2, 38_460, &jobs);
    let Ok([mut first, mut second]) = <[Worker; 2]>::try_from(workers) else { panic!("two workers") };
    let (call, other) = (Call::open(&mut first, 1), Call::open(&mut second, 2));
    let nobody = Arc::new(LegShared {
        id: LegId(99),
        address: SocketAddr::from((HOME, 9)),
        closed: AtomicBool::new(true),
        home: AtomicUsize::new(1),
    });
    for _ in 0..ORDERS {
        let order = Order::Leg(Arc::clone(&nobody), Box::new(Action::StopRecord));
        fleet.workers[1].try_send(order).expect("room");
    }
    let (reply, mut bridged) = oneshot::channel();
    let other_leg = Arc::clone(&other.shared);
    first.obey(call.order(Action::Bridge { other: other_leg, hops: 0, reply }));
    assert!(first.places.is_empty());
    let (reply, mut stats) = oneshot::channel();
    first.obey(call.order(Action::Stats(reply)));
    // Somebody who wants to be bridged with it is sent after it, too.
    let third = Call::open(&mut first, 3);
    let (reply, mut followed) = oneshot::channel();
    first.obey(third.order(Action::Bridge { other: Arc::clone(&call.shared), hops: 0, reply }));
    while let Ok(order) = second.orders.try_recv() {
        second.obey(order);
    }
    first.tick();
    while let Ok(order) = second.orders.try_recv() {
        second.obey(order);
    }
    assert!(bridged.try_recv().is_ok());
    assert!(stats.try_recv().is_ok_and(|stats| stats.is_some()));
    assert!(followed.try_recv().is_ok());
    assert_eq!(call.shared.home.load(Ordering::Relaxed), 1);
    assert_eq!((first.places.len(), second.places.len()), (0, 3));
    // Once it has arrived, what still comes here goes straight there.
    assert_eq!(first.whereabouts(&call.shared), Some(1));
}

#[test]
fn a_recording_that_cannot_be_ended_yet_is_not_forgotten_for_the_next() {
    let (jobs, received) = jobs(1);
    let (_fleet, mut workers) = workers(1, 38_480, &jobs);
    let worker = &mut workers[0];
    let mut call = Call::open(worker, 1);
    let spec = || {
        let path = "take.wav".into();
        RecordSpec { path, max: Duration::ZERO, warn: Duration::ZERO, silence: Duration::ZERO }
    };
    worker.obey(call.order(Action::Record(spec())));
    worker.obey(call.order(Action::Record(spec())));
    assert!(matches!(
        call.reports()[..],
        [MediaEvent::RecordEnded { ended: RecordEnd::Disk(_), duration: Duration::ZERO }]
    ));
    assert!(matches!(received.try_recv(), Ok(Job::Begin { .. })));
    turn(worker, Instant::now(), 2, &mut [&mut call]);
    assert!(matches!(received.try_recv(), Ok(Job::End { ended: RecordEnd::Stopped, .. })));
}
