//! Sans-IO media: SDP and its negotiation, RTP, RTCP, jitter, codecs, DTMF, resampling, mixing and WAV.
//!
//! No socket, no thread, no clock: the time (`now`), addresses and seeds are arguments, so that each rule can
//! be tested on virtual time. One [`Session`] is the RTP association of a leg: a worker feeds it what its
//! socket received ([`Session::handle_rtp`]) and asks it once per 20 ms for what was heard
//! ([`Session::pull`]) and for what is to be sent ([`Session::push`]). After its creation it allocates nothing.
//!
//! Nothing a peer sends may panic, block, or grow memory without bound.

pub mod analysis;
pub mod codec;
pub mod dtmf;
mod frame;
mod jitter;
pub mod load;
mod mixer;
mod negotiate;
mod plc;
mod resample;
mod rtcp;
mod rtp;
mod sdp;
mod session;
pub mod tone;
mod vad;
pub mod wav;

pub use codec::{CodecKind, Decoder, EncodedPrompt, Encoder, encode_prompt};
pub use frame::Frame;
pub use mixer::Mixer;
pub use negotiate::{
    Capabilities, Direction, LocalMedia, Negotiated, NegotiationError, OpusParameters, accept, answer, offer,
};
pub use resample::{Resampler, resample};
pub use rtp::{Payload, PayloadKind};
pub use session::{Pulled, RtpVerdict, Session, SessionEvent, SessionStats};
pub use vad::Vad;
