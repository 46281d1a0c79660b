//! The tests of the media engine once more, without io_uring.

#[path = "media.rs"]
mod media;
