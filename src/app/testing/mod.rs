//! A scripted core for tests of plugins (feature `testing`): no sockets, no sound card, no waiting.
//!
//! A [`TestHost`] stands for the server, a [`Caller`] for the person on the phone, told beforehand what to do;
//! the [`Outcome`] says what happened.
//!
//! ```
//! use std::time::Duration;
//! use sems_app::{CallError, IncomingCall, Prompt, testing::{Caller, TestHost}};
//!
//! async fn serve(call: IncomingCall) -> Result<(), CallError> {
//!     let mut call = call.answer().await?;
//!     call.play(Prompt::named("welcome")).stop_on("#").await?;
//!     call.echo().await?;
//!     Ok(())
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let caller = Caller::calling("sip:echo@example.org")
//!     .hears("welcome").presses("#")
//!     .speaks(Duration::from_secs(5)).hangs_up();
//! let outcome = TestHost::new().instant().call(&serve, caller).await;
//! assert_eq!(outcome.heard(), ["welcome"]);
//! assert_eq!(outcome.status, 200);
//! # });
//! ```
//!
//! Time is virtual and passes only within verbs: what an application does between two of them takes none. By
//! default a verb also waits on tokio's clock, so that `#[tokio::test(start_paused = true)]` and timeouts of
//! tokio fit together; [`TestHost::instant`] does not wait at all, for applications that run on threads of their
//! own. A caller whose script is over, or who waits for a sound that does not come, hangs up after
//! [`PATIENCE`].

mod caller;
mod core;
mod host;
mod mailboxes;
mod outcome;
mod script;
mod sound;
mod talk;

pub use caller::Caller;
pub use host::{Loaded, TestHost};
pub use mailboxes::{MemoryMailboxes, StoredMessage};
pub use outcome::{Event, Heard, Outcome, Side};
pub use script::{PATIENCE, Step};
pub use sound::{SPEECH_HZ, write_wav};
