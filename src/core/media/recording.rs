//! A recording as the worker sees it: frames in, blocks out, and when it is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError},
    },
    time::{Duration, Instant},
};

use sems_media::{Frame, Resampler, Vad};
use tokio::sync::mpsc;

use super::{
    MediaEvent, RecordEnd, RecordSpec,
    recorder::{BLOCK, Job, Jobs, RecordingId},
};

/// A block is handed over when it holds so many tenths of a second, full or not: what a crash may lose.
const HAND_OVER: u64 = 7;

/// Trailing silence beyond this is cut off.
const TAIL: Duration = Duration::from_secs(1);

/// A worker that stood still for longer than it makes up for (200 ms) leaves a recording this far behind; then
/// silence stands for what was not heard, ...
const BEHIND_BY: Duration = Duration::from_millis(250);
/// ... but not for more than this: a machine that slept does not make a recording of its sleep.
const MADE_UP: Duration = Duration::from_secs(2);

/// A worker's way to the recorder, with its store of used blocks.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) jobs: Jobs,
    pub(crate) recycle: SyncSender<Vec<i16>>,
    pub(crate) recycled: Receiver<Vec<i16>>,
}

impl Outlet {
    fn block(&self) -> Vec<i16> {
        let mut block = self.recycled.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        block.clear();
        block
    }
}

/// What the worker has to do after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    On,
    /// Let the speaker hear that the end is near.
    Warn,
    /// Forget the recording: it has ended, and the recorder reports it.
    Over,
}

/// One recording. All lengths are in samples at `rate`.
#[derive(Debug)]
pub(crate) struct Recording {
    id: RecordingId,
    rate: u32,
    resampler: Option<Resampler>,
    scratch: Frame,
    block: Vec<i16>,
    /// When the first sample was due; later by what was slept through.
    begun: Option<Instant>,
    written: u64,
    last_sound: u64,
    max: u64,
    warn_at: u64,
    silence: u64,
    vad: Vad,
    failed: Arc<AtomicBool>,
    ending: Option<RecordEnd>,
}

impl Recording {
    /// Begins a file at `rate` Hz. Reports a failure itself when the recorder takes no more.
    pub(crate) fn begin(
        id: RecordingId,
        spec: RecordSpec,
        rate: u32,
        events: mpsc::Sender<MediaEvent>,
        outlet: &Outlet,
    ) -> Option<Self> {
        let length = |of: Duration| (of.as_micros() as u64).saturating_mul(u64::from(rate)) / 1_000_000;
        let max = if spec.max.is_zero() { u64::MAX } else { length(spec.max) };
        let warned = !spec.warn.is_zero() && max < u64::MAX && spec.warn < spec.max;
        let failed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&failed);
        let begin = Job::Begin { id, path: spec.path, rate, failed: flag, events };
        if let Err(TrySendError::Full(Job::Begin { events, .. })) = outlet.jobs.try_send(begin) {
            let ended = RecordEnd::Disk(BEHIND.to_owned());
            let _ = events.try_send(MediaEvent::RecordEnded { duration: Duration::ZERO, ended });
            return None;
        }
        Some(Self {
            id,
            rate,
            resampler: None,
            scratch: Frame::silence(rate),
            block: outlet.block(),
            begun: None,
            written: 0,
            last_sound: 0,
            max,
            warn_at: if warned { max - length(spec.warn) } else { u64::MAX },
            silence: if spec.silence.is_zero() { u64::MAX } else { length(spec.silence) },
            vad: Vad::new(),
            failed,
            ending: None,
        })
    }

    /// Takes the next 20 ms.
    pub(crate) fn append(&mut self, now: Instant, frame: &Frame, outlet: &Outlet) -> Step {
        if self.ending.is_some() {
            return self.try_end(outlet);
        }
        if self.failed.load(Ordering::Acquire) {
            return Step::Over;
        }
        let before = self.written;
        self.keep_up(now);
        self.take(frame);
        let due = self.block.len() as u64 * 10 >= u64::from(self.rate) * HAND_OVER
            || self.block.len() + self.scratch.samples().len() > BLOCK;
        if due && !self.hand_over(outlet) {
            return self.end(RecordEnd::Disk(BEHIND.to_owned()), outlet);
        }
        if self.written >= self.max {
            self.end(RecordEnd::Limit, outlet)
        } else if self.written - self.last_sound >= self.silence {
            self.end(RecordEnd::Silence, outlet)
        } else if before < self.warn_at && self.written >= self.warn_at {
            Step::Warn
        } else {
            Step::On
        }
    }

    /// Writes silence where the worker has stood still, so that a recording lasts as long as the call did.
    fn keep_up(&mut self, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let written = Duration::from_micros(self.written.saturating_mul(1_000_000) / u64::from(self.rate));
        let behind = now.saturating_duration_since(begun).saturating_sub(written);
        if behind < BEHIND_BY {
            return;
        }
        self.begun = Some(begun + behind.saturating_sub(MADE_UP));
        let silence = Frame::silence(self.rate);
        for _ in 0..behind.min(MADE_UP).as_millis() / 20 {
            self.take(&silence);
        }
    }

    fn take(&mut self, frame: &Frame) {
        let frame = if frame.rate() == self.rate {
            frame
        } else {
            let fits = self.resampler.as_ref().is_some_and(|r| r.from() == frame.rate());
            if !fits {
                self.resampler = Some(Resampler::new(frame.rate(), self.rate));
            }
            if let Some(resampler) = &mut self.resampler {
                resampler.frame(frame, &mut self.scratch);
            }
            &self.scratch
        };
        let sound = self.vad.is_sound(frame);
        let room = usize::try_from(self.max - self.written).unwrap_or(usize::MAX);
        let samples = frame.samples();
        let samples = samples.get(..room).unwrap_or(samples);
        self.block.extend_from_slice(samples);
        self.written += samples.len() as u64;
        if sound {
            self.last_sound = self.written;
        }
    }

    /// Ends it; what is still in the block goes first. Until the recorder takes it, [`append`](Self::append)
    /// tries again.
    pub(crate) fn end(&mut self, ended: RecordEnd, outlet: &Outlet) -> Step {
        self.ending.get_or_insert(ended);
        self.try_end(outlet)
    }

    fn try_end(&mut self, outlet: &Outlet) -> Step {
        if !self.block.is_empty() && !self.hand_over(outlet) {
            return Step::On;
        }
        let Some(ended) = self.ending.clone() else { return Step::On };
        match outlet.jobs.try_send(self.last_job(ended)) {
            Err(TrySendError::Full(_)) => Step::On,
            Ok(()) | Err(TrySendError::Disconnected(_)) => Step::Over,
        }
    }

    /// Ends it and waits for the recorder: when the engine stops.
    pub(crate) fn end_waiting(mut self, outlet: &Outlet) {
        let samples = std::mem::take(&mut self.block);
        let _ = outlet.jobs.send(Job::Block { id: self.id, samples, recycle: outlet.recycle.clone() });
        let ended = self.ending.take().unwrap_or(RecordEnd::Stopped);
        let _ = outlet.jobs.send(self.last_job(ended));
    }

    fn last_job(&self, ended: RecordEnd) -> Job {
        let tail = u64::from(self.rate) * TAIL.as_secs();
        Job::End { id: self.id, keep: self.last_sound.saturating_add(tail), ended }
    }

    fn hand_over(&mut self, outlet: &Outlet) -> bool {
        let samples = std::mem::take(&mut self.block);
        let job = Job::Block { id: self.id, samples, recycle: outlet.recycle.clone() };
        match outlet.jobs.try_send(job) {
            Ok(()) => {
                self.block = outlet.block();
                true
            }
            Err(TrySendError::Full(Job::Block { samples, .. })) => {
                self.block = samples;
                false
            }
            Err(_) => false,
        }
    }
}

/// Why a recording ends whose recorder takes no more.
pub(crate) const BEHIND: &str = "the disk is too slow";

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use sems_media::tone::Tone;

    use super::*;
    use crate::media::recorder::recycling;

    fn outlet(queue: usize) -> (Outlet, Receiver<Job>) {
        let (jobs, received) = sync_channel(queue);
        let (recycle, recycled) = recycling();
        (Outlet { jobs, recycle, recycled }, received)
    }

    fn begin(outlet: &Outlet, max_ms: u64, warn_ms: u64, silence_ms: u64) -> Recording {
        let ms = Duration::from_millis;
        let spec =
            RecordSpec { path: "x".into(), max: ms(max_ms), warn: ms(warn_ms), silence: ms(silence_ms) };
        let (events, _) = mpsc::channel(1);
        Recording::begin(RecordingId(1), spec, 8000, events, outlet).expect("begins")
    }

    fn sound() -> Frame {
        Frame::from_samples(&Tone::new(440.0, 8000, 8000.0).take(160), 8000)
    }

    fn samples(jobs: &Receiver<Job>) -> (usize, Option<(u64, RecordEnd)>) {
        jobs.try_iter().fold((0, None), |(sum, end), job| match job {
            Job::Block { samples, .. } => (sum + samples.len(), end),
            Job::End { keep, ended, .. } => (sum, Some((keep, ended))),
            Job::Begin { .. } => (sum, end),
        })
    }

    // SEMS-VM-3
    #[test]
    fn it_warns_and_ends_at_the_limit_to_the_sample() {
        let (outlet, jobs) = outlet(100);
        let mut recording = begin(&outlet, 1_010, 500, 0);
        let steps: Vec<Step> = (0..51).map(|_| recording.append(Instant::now(), &sound(), &outlet)).collect();
        assert_eq!(steps.iter().position(|s| *s == Step::Warn), Some(25));
        assert_eq!(steps.iter().position(|s| *s == Step::Over), Some(50));
        assert!(matches!(samples(&jobs), (8080, Some((_, RecordEnd::Limit)))));
    }

    #[test]
    fn silence_ends_it_and_all_but_a_second_of_it_is_cut_off() {
        let (outlet, jobs) = outlet(100);
        let mut recording = begin(&outlet, 0, 0, 3_000);
        (0..50).for_each(|_| assert_eq!(recording.append(Instant::now(), &sound(), &outlet), Step::On));
        let quiet = Frame::silence(8000);
        let frames = (1..).find(|_| recording.append(Instant::now(), &quiet, &outlet) == Step::Over);
        // 200 ms of hangover of the voice detection, then three seconds.
        assert_eq!(frames, Some(160));
        let (written, end) = samples(&jobs);
        assert_eq!((written, end), (210 * 160, Some((60 * 160 + 8000, RecordEnd::Silence))));
    }

    #[test]
    fn a_recorder_that_does_not_keep_up_ends_the_recording_but_nothing_waits() {
        let (outlet, jobs) = outlet(2);
        let mut recording = begin(&outlet, 0, 0, 0);
        let steps: Vec<Step> =
            (0..140).map(|_| recording.append(Instant::now(), &sound(), &outlet)).collect();
        assert!(!steps.contains(&Step::Over));
        let first = samples(&jobs).0;
        assert!(first > 0);
        assert_eq!(recording.append(Instant::now(), &sound(), &outlet), Step::Over);
        assert!(matches!(samples(&jobs), (_, Some((_, RecordEnd::Disk(_))))));
    }

    #[test]
    fn a_worker_that_stood_still_does_not_make_a_recording_shorter() {
        let (outlet, jobs) = outlet(100);
        let mut recording = begin(&outlet, 0, 0, 0);
        let start = Instant::now();
        // Late by 240 ms it serves all that it missed; late by more, it does not; then the machine sleeps.
        let pauses = [(0, 0), (50, 240), (62, 0), (100, 600), (150, 3_600_000)];
        let mut slept = 0;
        for frame in 0..200_u64 {
            slept = pauses.iter().find(|(at, _)| *at == frame).map_or(slept, |(_, ms)| *ms);
            let caught_up = if (50..62).contains(&frame) { 240 - (frame - 50) * 20 } else { slept };
            let now = start + Duration::from_millis(frame * 20 + caught_up);
            assert_eq!(recording.append(now, &sound(), &outlet), Step::On);
        }
        assert_eq!(recording.end(RecordEnd::Stopped, &outlet), Step::Over);
        // 200 frames, 600 ms, and 2 s of the hour.
        assert_eq!(samples(&jobs).0, 200 * 160 + 600 * 8 + 2_000 * 8);
    }

    #[test]
    fn another_rate_is_brought_to_that_of_the_file() {
        let (outlet, jobs) = outlet(100);
        let mut recording = begin(&outlet, 0, 0, 0);
        let wide = Frame::from_samples(&Tone::new(440.0, 16_000, 8000.0).take(320), 16_000);
        (0..50).for_each(|_| assert_eq!(recording.append(Instant::now(), &wide, &outlet), Step::On));
        assert_eq!(recording.end(RecordEnd::Stopped, &outlet), Step::Over);
        assert_eq!(samples(&jobs).0, 8000);
    }
}
