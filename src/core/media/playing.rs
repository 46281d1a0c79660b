//! A sound on its way to a leg.

use std::sync::Arc;

use sems_media::{CodecKind, EncodedPrompt, Frame};

use super::{Audio, PlayId};

/// A sound, how far it is, and the encoding that suits the leg.
#[derive(Debug)]
pub(crate) struct Playing {
    id: Option<PlayId>,
    audio: Arc<Audio>,
    encoding: Option<Arc<EncodedPrompt>>,
    repeat: bool,
    position: usize,
}

impl Playing {
    pub(crate) fn new(id: PlayId, audio: Arc<Audio>, repeat: bool) -> Self {
        Self { id: Some(id), repeat, ..Self::unnamed(audio) }
    }

    /// A sound of the engine's own, of whose end nobody is told.
    pub(crate) fn unnamed(audio: Arc<Audio>) -> Self {
        Self { id: None, audio, encoding: None, repeat: false, position: 0 }
    }

    pub(crate) fn id(&self) -> Option<PlayId> {
        self.id
    }

    /// Takes the encoding for this codec, where one was made; else the samples are encoded as they go.
    pub(crate) fn encode_for(&mut self, codec: CodecKind) {
        self.encoding = self.audio.encoding(codec).map(Arc::clone);
    }

    fn frame_length(&self) -> usize {
        (self.audio.rate() / 50) as usize
    }

    /// Whether there is a next frame; one that repeats begins again.
    pub(crate) fn has_more(&mut self) -> bool {
        let frames = self.audio.samples().len().div_ceil(self.frame_length());
        if self.position >= frames && self.repeat {
            self.position = 0;
        }
        self.position < frames
    }

    pub(crate) fn is_at_start(&self) -> bool {
        self.position == 0
    }

    /// The next 20 ms as a payload and its RTP ticks.
    pub(crate) fn payload(&self) -> Option<(&[u8], u32)> {
        let encoding = self.encoding.as_ref()?;
        Some((encoding.payload(self.position)?, encoding.ticks()))
    }

    /// The next 20 ms as samples, the last ones filled up with silence.
    pub(crate) fn fill(&self, frame: &mut Frame) {
        frame.reset(self.audio.rate());
        let rest = self.audio.samples().get(self.position * self.frame_length()..).unwrap_or_default();
        for (to, from) in frame.samples_mut().iter_mut().zip(rest) {
            *to = *from;
        }
    }

    pub(crate) fn advance(&mut self) {
        self.position += 1;
    }
}
