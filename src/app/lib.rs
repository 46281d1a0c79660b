//! What an application author sees.
//!
//! An application is an async function of a call. It gets an [`IncomingCall`], answers it, and then
//! has a [`Call`], whose verbs ([`Call::play`], [`Call::record`], [`Call::digits`], [`Call::join`], ...)
//! are builders that are awaited. Leaving the function hangs up. A caller who hangs up first is the error
//! [`CallError::HungUp`], which `?` carries out of the application; the core logs it as a normal end.
//!
//! ```
//! use sems_app::{CallError, IncomingCall, Prompt};
//!
//! async fn serve(call: IncomingCall) -> Result<(), CallError> {
//!     let mut call = call.answer().await?;
//!     call.play(Prompt::named("welcome")).stop_on("#").await?;
//!     call.echo().await?;
//!     Ok(())
//! }
//! ```
//!
//! The law of this crate: it knows neither SIP nor RTP nor the store. Verbs travel to the core as
//! [`command::Command`]s over a bounded channel; mailboxes, prompts and rooms are traits that the core and
//! the store implement. A verb is cancelled by dropping its future: its reply channel closes, and the core
//! stops what it was doing.

mod application;
mod call;
pub mod command;
pub mod duration;
mod error;
mod mailbox;
mod plugin;
mod prompt;
mod room;
#[cfg(feature = "testing")]
pub mod testing;
mod uri;
pub mod verb;

pub use application::{Application, BoxFuture, DynApplication};
pub use call::{Call, CallId, CallInfo, Identity, IncomingCall, Unavailable};
pub use duration::TextDuration;
pub use error::{CallError, MailboxError};
pub use mailbox::{
    Deposit, Mailbox, MailboxBackend, MailboxId, Mailboxes, MessageId, MessageInfo, Mode, Spool, Take,
};
pub use plugin::{ConfigError, Host, HostBackend, LoadError, Params, Plugin};
pub use prompt::Prompt;
pub use room::{Room, RoomName};
pub use uri::{Scheme, Uri, UriError};
