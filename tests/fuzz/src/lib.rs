//! What is fuzzed: each target takes any bytes, and panics when something does not hold.
//!
//! The libFuzzer programs in `bin` call these; `tests/fuzz_corpora.rs` calls them with every input that is kept.

mod datagrams;
mod texts;

pub use datagrams::datagrams;
pub use texts::{framing, message, sdp, uri};
