//! The engine: starts the workers, opens legs on them, knows the rooms.

use std::{
    io,
    net::IpAddr,
    ops::RangeInclusive,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use sems_media::{CodecKind, EncodedPrompt, Frame, tone};
use tokio::sync::mpsc;

use super::{
    Audio, LegId, Library, MediaEvent, MediaLeg,
    command::{LegShared, ORDERS, Order},
    io::{DATAGRAM, Io, MediaIo, Wire},
    ports::PortPool,
    recorder::{self, Jobs},
    recording::Outlet,
    rooms::Rooms,
    socket::{Udp, make_realtime, sharpen_sleep},
    stream::Stream,
    watch::Watch,
    worker::{self, Counts, Fleet, Worker},
};

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Worker threads, at least 1; usually one a core.
    pub workers: usize,
    /// The ports for media: an even one for RTP and the next for RTCP each.
    pub rtp_ports: RangeInclusive<u16>,
    /// Pin the workers and run them under SCHED_FIFO, where the system permits it.
    pub realtime: bool,
    /// How datagrams are received and sent.
    pub io: MediaIo,
    /// Nothing received for this long is reported as [`MediaEvent::Silent`]; zero never is.
    pub rtp_timeout: Duration,
    /// A freed port is given out again when nothing arrived at it for this long (2 s).
    pub quarantine: Duration,
    /// Folders with sounds, looked up in order.
    pub sounds: Vec<PathBuf>,
    /// The language of prompts: the name of a folder below those of `sounds`.
    pub language: String,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No pair of ports in the range.
    #[error("the range of RTP ports holds no even/odd pair")]
    NoPorts,
    /// The system gave no thread.
    #[error("cannot start a media thread: {0}")]
    Thread(#[source] io::Error),
}

/// Why no leg could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// All ports are taken or rest.
    #[error("all media ports are taken")]
    Exhausted,
    /// The system refused the socket for another reason than a taken port.
    #[error("cannot open a media socket: {0}")]
    Socket(#[source] io::Error),
    /// The engine is shut down.
    #[error("the media engine is stopped")]
    Stopped,
}

/// A room, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomInfo {
    /// Its name.
    pub name: String,
    /// Who is in it, in number.
    pub members: usize,
    /// The rate it is mixed at, in Hz.
    pub rate: u32,
}

/// What the engine counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// RTP and RTCP packets received.
    pub packets_in: u64,
    /// RTP and RTCP packets sent.
    pub packets_out: u64,
    /// Packets the kernel would not take.
    pub send_errors: u64,
    /// Ticks served more than 5 ms late.
    pub late_ticks: u64,
    /// Events lost because their receiver did not keep up.
    pub dropped_events: u64,
    /// Legs open now.
    pub legs: u64,
}

/// The media engine; cheap to clone. When the last clone is gone, it stops.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fleet: Arc<Fleet>,
    rooms: Arc<Rooms>,
    library: Library,
    next_leg: AtomicU64,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Engine {
    /// Starts the workers and the recorder.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let (fleet, receivers) = fleet(&config)?;
        let (jobs, recorder) = recorder::start().map_err(EngineError::Thread)?;
        let sounds = prepared_sounds();
        let mut threads = Vec::with_capacity(receivers.len() + 1);
        for (index, orders) in receivers.into_iter().enumerate() {
            let io = io(&config, jobs.clone(), &sounds);
            let (fleet, realtime) = (Arc::clone(&fleet), config.realtime);
            let run = move || run_worker(index, realtime, Worker::new(index, fleet, orders, io));
            let thread = thread::Builder::new().name(format!("sems-media-{index}")).spawn(run);
            threads.push(thread.map_err(EngineError::Thread)?);
        }
        threads.push(recorder);
        let library = Library::new(config.sounds, config.language);
        let (rooms, threads) = (Arc::new(Rooms::default()), Mutex::new(threads));
        Ok(Self { shared: Arc::new(Shared { fleet, rooms, library, next_leg: AtomicU64::new(1), threads }) })
    }

    /// Stops everything: recordings are finished, legs closed, threads joined. Blocks for as long as the disk needs.
    pub fn shutdown(&self) {
        self.shared.stop();
        let threads =
            std::mem::take(&mut *self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a media thread panicked");
            }
        }
    }

    /// Opens a leg with an RTP and an RTCP port at `address`, on the worker with the fewest legs.
    pub fn open(&self, address: IpAddr, events: mpsc::Sender<MediaEvent>) -> Result<MediaLeg, PortError> {
        let fleet = &self.shared.fleet;
        let sockets = fleet.ports.bind(address)?;
        let load =
            |worker: &usize| fleet.loads.get(*worker).map_or(usize::MAX, |l| l.load(Ordering::Relaxed));
        let home = (0..fleet.workers.len()).min_by_key(load).unwrap_or(0);
        let shared = Arc::new(LegShared {
            id: LegId(self.shared.next_leg.fetch_add(1, Ordering::Relaxed)),
            address: sockets.rtp.local(),
            closed: AtomicBool::new(false),
            home: AtomicUsize::new(home),
        });
        let stream = Box::new(Stream::new(Instant::now(), Arc::clone(&shared), sockets, events));
        worker::count(&fleet.loads, home, true);
        match fleet.workers.get(home).map(|worker| worker.send(Order::Open(stream))) {
            Some(Ok(())) => Ok(MediaLeg::new(shared, Arc::clone(fleet), Arc::clone(&self.shared.rooms))),
            Some(Err(_)) | None => Err(PortError::Stopped),
        }
    }

    /// The sounds.
    pub fn library(&self) -> &Library {
        &self.shared.library
    }

    /// The rooms that have members.
    pub fn rooms(&self) -> Vec<RoomInfo> {
        self.shared.rooms.list()
    }

    /// The counts since the start.
    pub fn counters(&self) -> Counters {
        let fleet = &self.shared.fleet;
        let sum = |field: fn(&Counts) -> &AtomicU64| {
            fleet.counts.iter().map(|counts| field(counts).load(Ordering::Relaxed)).sum()
        };
        Counters {
            packets_in: sum(|c| &c.packets_in),
            packets_out: sum(|c| &c.packets_out),
            send_errors: sum(|c| &c.send_errors),
            late_ticks: sum(|c| &c.late_ticks),
            dropped_events: sum(|c| &c.dropped_events),
            legs: fleet.loads.iter().map(|load| load.load(Ordering::Relaxed) as u64).sum(),
        }
    }
}

impl Shared {
    fn stop(&self) {
        for worker in &self.fleet.workers {
            // A worker that is gone needs no order.
            let _ = worker.send(Order::Stop);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the workers share, and where each of them gets its orders.
pub(crate) fn fleet(config: &EngineConfig) -> Result<(Arc<Fleet>, Vec<Receiver<Order>>), EngineError> {
    let ports = PortPool::new(&config.rtp_ports).ok_or(EngineError::NoPorts)?;
    let count = config.workers.max(1);
    let (workers, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| sync_channel(ORDERS)).unzip();
    let fleet = Fleet {
        workers,
        loads: (0..count).map(|_| AtomicUsize::new(0)).collect(),
        counts: (0..count).map(|_| Counts::default()).collect(),
        ports,
        quarantine: config.quarantine,
        io: config.io,
        recordings: AtomicU64::new(0),
    };
    Ok((Arc::new(fleet), receivers))
}

/// What one worker lends to its legs.
pub(crate) fn io(config: &EngineConfig, jobs: Jobs, (silence, beep): &PreparedSounds) -> Io {
    let (recycle, recycled) = recorder::recycling();
    Io {
        inbound: [0; DATAGRAM],
        frame: Frame::silence(8000),
        pressed: Vec::with_capacity(PRESSED),
        wire: Wire::new(),
        watch: Watch::new(),
        outlet: Outlet { jobs, recycle, recycled },
        rtp_timeout: config.rtp_timeout,
        silence: Arc::clone(silence),
        beep: Arc::clone(beep),
    }
}

/// Digits of one service: more than a session keeps.
const PRESSED: usize = 64;

fn run_worker(index: usize, realtime: bool, worker: Worker) {
    sharpen_sleep();
    if realtime && let Err(error) = make_realtime(index) {
        // Once is enough: it is the same for all of them.
        if index == 0 {
            tracing::warn!(%error, "media threads run without SCHED_FIFO: packets may leave some ms late on a busy machine");
        }
    }
    worker.run();
}

/// Silence for each codec, and the beep that warns of the end of a recording.
pub(crate) type PreparedSounds = (Arc<[Arc<EncodedPrompt>]>, Arc<Audio>);

pub(crate) fn prepared_sounds() -> PreparedSounds {
    let silence = Audio::new(vec![0; 160], 8000);
    let beep = Audio::new(tone::beep(WARNING_HZ, WARNING_MS, 8000, tone::amplitude(WARNING_BELOW)), 8000);
    for codec in CodecKind::ALL {
        silence.encode(codec);
        beep.encode(codec);
    }
    let silence =
        CodecKind::ALL.iter().filter_map(|codec| silence.encoding(*codec).map(Arc::clone)).collect();
    (silence, Arc::new(beep))
}

/// The warning beep: a pitch that no call progress tone has.
const WARNING_HZ: f32 = 1400.0;
const WARNING_MS: u32 = 200;
/// In dB below full scale.
const WARNING_BELOW: f32 = 15.0;
