//! The thread that writes recordings, so that no worker ever waits for a disk.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use sems_media::wav::WavWriter;
use tokio::sync::mpsc;

use super::{MediaEvent, RecordEnd};

/// Samples in a block: 16 KiB, a second at 8 kHz, half a second at 16 kHz.
pub(crate) const BLOCK: usize = 8192;

/// Blocks under way to the disk: 128 MiB, two seconds of 4,000 calls recording at once. A disk that is further
/// behind has failed.
const QUEUE: usize = 8192;

/// Blocks that wait to be used again, for each worker: those of a second of 500 recordings. More are freed.
const RECYCLED: usize = 1024;

/// Files that wait to be synced. When there are more, the writer syncs itself, and so slows down who sends to it.
const SYNCING: usize = 1024;

/// Threads that sync: the journal of a file system commits the files of several at once.
const SYNCERS: usize = 4;

/// A file's header is made true, and its samples handed to the system, at least this often.
const FLUSH: Duration = Duration::from_millis(500);

/// How often an event whose receiver was full is offered again.
const AGAIN: Duration = Duration::from_millis(200);

/// Ends that wait for a receiver that is full. More are lost: nobody reads them.
const UNSENT: usize = 4096;

/// A recording's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RecordingId(pub(crate) u64);

/// What a worker tells the recorder of one recording: `Begin`, any number of `Block`s, `End`.
#[derive(Debug)]
pub(crate) enum Job {
    Begin {
        id: RecordingId,
        path: PathBuf,
        rate: u32,
        failed: Arc<AtomicBool>,
        events: mpsc::Sender<MediaEvent>,
    },
    Block {
        id: RecordingId,
        samples: Vec<i16>,
        recycle: SyncSender<Vec<i16>>,
    },
    /// Only the first `keep` samples stay in the file.
    End {
        id: RecordingId,
        keep: u64,
        ended: RecordEnd,
    },
}

/// Where jobs go. When all are dropped, the recorder finishes what is open, and ends.
pub(crate) type Jobs = SyncSender<Job>;

/// Starts the threads. The handle is that of the writer, which ends last.
pub(crate) fn start() -> io::Result<(Jobs, thread::JoinHandle<()>)> {
    let (jobs, received) = sync_channel(QUEUE);
    let (finished, to_sync) = sync_channel(SYNCING);
    let to_sync = Arc::new(Mutex::new(to_sync));
    let mut syncers = Vec::with_capacity(SYNCERS);
    for index in 0..SYNCERS {
        let to_sync = Arc::clone(&to_sync);
        syncers.push(
            thread::Builder::new().name(format!("sems-sync-{index}")).spawn(move || sync_files(&to_sync))?,
        );
    }
    let writer = thread::Builder::new().name("sems-recorder".to_owned()).spawn(move || {
        Recorder { open: HashMap::new(), finished }.run(&received);
        for syncer in syncers {
            let _ = syncer.join();
        }
    })?;
    Ok((jobs, writer))
}

/// The two ends of a worker's store of used blocks.
pub(crate) fn recycling() -> (SyncSender<Vec<i16>>, Receiver<Vec<i16>>) {
    sync_channel(RECYCLED)
}

/// A file being written.
#[derive(Debug)]
struct Open {
    writer: WavWriter<File>,
    path: PathBuf,
    flushed: Instant,
    failed: Arc<AtomicBool>,
    events: mpsc::Sender<MediaEvent>,
}

/// A file that only needs to be synced, and who waits for it.
#[derive(Debug)]
struct Finished {
    file: Option<File>,
    path: PathBuf,
    duration: Duration,
    ended: RecordEnd,
    events: mpsc::Sender<MediaEvent>,
}

#[derive(Debug)]
struct Recorder {
    open: HashMap<RecordingId, Open>,
    finished: SyncSender<Finished>,
}

impl Recorder {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Begin { id, path, rate, failed, events } => self.begin(id, path, rate, failed, events),
                Job::Block { id, samples, recycle } => {
                    self.write(id, &samples);
                    // Where the worker has enough of them, this one is freed.
                    let _ = recycle.try_send(samples);
                }
                Job::End { id, keep, ended } => {
                    if let Some(open) = self.open.remove(&id) {
                        self.finish(open, keep, ended);
                    }
                }
            }
        }
        let open: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        for open in open {
            self.finish(open, u64::MAX, RecordEnd::Stopped);
        }
    }

    fn begin(
        &mut self,
        id: RecordingId,
        path: PathBuf,
        rate: u32,
        failed: Arc<AtomicBool>,
        events: mpsc::Sender<MediaEvent>,
    ) {
        match File::create(&path).and_then(|file| WavWriter::new(file, rate)) {
            Ok(writer) => {
                self.open.insert(id, Open { writer, path, flushed: Instant::now(), failed, events });
            }
            Err(error) => {
                failed.store(true, Ordering::Release);
                let ended = RecordEnd::Disk(error.to_string());
                self.hand_over(Finished { file: None, path, duration: Duration::ZERO, ended, events });
            }
        }
    }

    fn write(&mut self, id: RecordingId, samples: &[i16]) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let mut written = open.writer.write(samples);
        if written.is_ok() && open.flushed.elapsed() >= FLUSH {
            written = open.writer.flush();
            open.flushed = Instant::now();
        }
        if let Err(error) = written
            && let Some(open) = self.open.remove(&id)
        {
            open.failed.store(true, Ordering::Release);
            self.finish(open, u64::MAX, RecordEnd::Disk(error.to_string()));
        }
    }

    fn finish(&self, mut open: Open, keep: u64, ended: RecordEnd) {
        let result = open.writer.truncate(keep);
        let duration = open.writer.duration();
        let ended = match (result, ended) {
            (Err(error), RecordEnd::Silence | RecordEnd::Limit | RecordEnd::Stopped) => {
                RecordEnd::Disk(error.to_string())
            }
            (_, ended) => ended,
        };
        let file = open.writer.finish().ok();
        self.hand_over(Finished { file, path: open.path, duration, ended, events: open.events });
    }

    fn hand_over(&self, finished: Finished) {
        match self.finished.try_send(finished) {
            Ok(()) => {}
            Err(TrySendError::Full(finished) | TrySendError::Disconnected(finished)) => {
                let (events, event) = sync(finished);
                let _ = events.try_send(event);
            }
        }
    }
}

/// Syncs a file and the folder that names it.
fn sync(finished: Finished) -> (mpsc::Sender<MediaEvent>, MediaEvent) {
    let Finished { file, path, duration, ended, events } = finished;
    let synced = match &file {
        Some(file) => file.sync_all().and_then(|()| sync_folder(&path)),
        None => Ok(()),
    };
    let ended = match (synced, ended) {
        (Err(error), RecordEnd::Silence | RecordEnd::Limit | RecordEnd::Stopped) => {
            RecordEnd::Disk(error.to_string())
        }
        (_, ended) => ended,
    };
    (events, MediaEvent::RecordEnded { duration, ended })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Syncs until there is no recorder. The end of a recording is worth being offered more than once.
fn sync_files(finished: &Mutex<Receiver<Finished>>) {
    let mut unsent: Vec<(mpsc::Sender<MediaEvent>, MediaEvent)> = Vec::new();
    loop {
        let next = {
            let receiver = finished.lock().unwrap_or_else(PoisonError::into_inner);
            // Never for longer: who has something to offer again waits for the lock as well.
            receiver.recv_timeout(AGAIN)
        };
        match next {
            Ok(next) => unsent.push(sync(next)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        unsent.retain(|(events, event)| {
            matches!(events.try_send(event.clone()), Err(mpsc::error::TrySendError::Full(_)))
        });
        unsent.truncate(UNSENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn end_of(events: &mut mpsc::Receiver<MediaEvent>) -> (Duration, RecordEnd) {
        match events.recv().await {
            Some(MediaEvent::RecordEnded { duration, ended }) => (duration, ended),
            other => panic!("{other:?}"),
        }
    }

    fn begin(jobs: &Jobs, id: u64, path: &Path) -> (Arc<AtomicBool>, mpsc::Receiver<MediaEvent>) {
        let failed = Arc::new(AtomicBool::new(false));
        let (events, received) = mpsc::channel(4);
        let (path, flag) = (path.to_owned(), Arc::clone(&failed));
        jobs.send(Job::Begin { id: RecordingId(id), path, rate: 8000, failed: flag, events })
            .expect("recorder");
        (failed, received)
    }

    fn block(jobs: &Jobs, id: u64, samples: Vec<i16>) {
        let (recycle, _) = recycling();
        jobs.send(Job::Block { id: RecordingId(id), samples, recycle }).expect("recorder");
    }

    #[tokio::test]
    async fn what_is_beyond_the_end_is_cut_off() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("take.wav");
        let (jobs, _thread) = start().expect("threads");
        let (_, mut events) = begin(&jobs, 1, &path);
        block(&jobs, 1, vec![5; 4000]);
        block(&jobs, 1, vec![6; 4000]);
        jobs.send(Job::End { id: RecordingId(1), keep: 6000, ended: RecordEnd::Stopped }).expect("recorder");
        assert_eq!(end_of(&mut events).await, (Duration::from_millis(750), RecordEnd::Stopped));
        assert_eq!(std::fs::metadata(&path).expect("file").len(), 44 + 12_000);
    }

    // A full disk ends the recording, never the call.
    #[tokio::test]
    async fn a_full_disk_is_reported_once() {
        let (jobs, _thread) = start().expect("threads");
        let (failed, mut events) = begin(&jobs, 1, Path::new("/dev/full"));
        block(&jobs, 1, vec![5; 4000]);
        jobs.send(Job::End { id: RecordingId(1), keep: 6000, ended: RecordEnd::Stopped }).expect("recorder");
        let (_, ended) = end_of(&mut events).await;
        assert!(matches!(ended, RecordEnd::Disk(_)), "{ended:?}");
        assert!(failed.load(Ordering::Acquire));
        assert_eq!(events.recv().await, None);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_fails_the_recording_with_the_words_of_the_system() {
        let (jobs, _thread) = start().expect("threads");
        let (_, mut events) = begin(&jobs, 1, Path::new("/nowhere/at/all.wav"));
        assert!(
            matches!(end_of(&mut events).await, (Duration::ZERO, RecordEnd::Disk(text)) if text.contains("No such"))
        );
    }

    #[tokio::test]
    async fn when_all_workers_are_gone_open_files_are_finished() {
        let folder = tempfile::tempdir().expect("folder");
        let (jobs, thread) = start().expect("threads");
        let (_, mut events) = begin(&jobs, 1, &folder.path().join("take.wav"));
        block(&jobs, 1, vec![5; 800]);
        drop(jobs);
        thread.join().expect("no panic");
        assert_eq!(end_of(&mut events).await, (Duration::from_millis(100), RecordEnd::Stopped));
    }
}
