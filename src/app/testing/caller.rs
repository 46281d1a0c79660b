//! The person on the phone.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use super::script::Step;
use crate::{CallId, CallInfo, Identity, Params, Prompt, Unavailable, Uri};

static CALLS: AtomicU64 = AtomicU64::new(1);

/// A caller: whom he calls, and what he does then, in order. Methods panic on text that is no URI or TOML.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(super) info: CallInfo,
    pub(super) steps: Vec<Step>,
    pub(super) dialled: Vec<(Uri, Result<Vec<Step>, u16>)>,
    pub(super) refer_status: u16,
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text:?} is no URI: {error}"))
}

impl Caller {
    /// A stranger, `"Bob" <sip:bob@example.com>`, who calls this URI.
    pub fn calling(to: &str) -> Self {
        let to = uri(to);
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let info = CallInfo {
            id: CallId(format!("test-{number}").into()),
            request_uri: to.clone(),
            to,
            from: Uri::sip("bob", "example.com"),
            from_name: Some("Bob".to_owned()),
            identity: Identity::Stranger,
            mailbox: None,
            unavailable: None,
            params: Params::default(),
            headers: Vec::new(),
            received: SystemTime::now(),
        };
        Self { info, steps: Vec::new(), dialled: Vec::new(), refer_status: 200 }
    }

    /// Another From URI.
    #[must_use]
    pub fn from(mut self, from: &str) -> Self {
        self.info.from = uri(from);
        self
    }

    /// An account of ours, proved, with the same From URI.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.info.from = uri(account);
        self.info.identity = Identity::Account(uri(account));
        self
    }

    /// The parameters of the route, as TOML.
    #[must_use]
    pub fn params(mut self, table: &str) -> Self {
        self.info.params = Params(table.parse().unwrap_or_else(|error| panic!("{table:?}: {error}")));
        self
    }

    /// Why the callee did not answer.
    #[must_use]
    pub fn after(mut self, reason: Unavailable) -> Self {
        self.info.unavailable = Some(reason);
        self
    }

    /// Changes what else is known of the call.
    #[must_use]
    pub fn info(mut self, change: impl FnOnce(&mut CallInfo)) -> Self {
        change(&mut self.info);
        self
    }

    /// What applications get to know of his call.
    pub fn into_info(self) -> CallInfo {
        self.info
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Waits until this sound begins: a prompt's name, a file's path, or `tone 440 Hz`.
    #[must_use]
    pub fn hears(self, sound: &str) -> Self {
        self.step(Step::Hear(sound.to_owned()))
    }

    /// Waits until this sound was played to its end.
    #[must_use]
    pub fn hears_out(self, sound: &str) -> Self {
        self.step(Step::HearOut(sound.to_owned()))
    }

    /// Waits until the [beep](Prompt::beep) is over.
    #[must_use]
    pub fn hears_beep(self) -> Self {
        let beep = super::sound::name(&Prompt::beep()).unwrap_or_default();
        self.step(Step::HearOut(beep))
    }

    /// Presses digits, 200 ms apart.
    #[must_use]
    pub fn presses(mut self, digits: &str) -> Self {
        self.steps.extend(digits.chars().map(Step::Press));
        self
    }

    /// Speaks, and goes on with the script when done.
    #[must_use]
    pub fn speaks(self, time: Duration) -> Self {
        self.step(Step::Speak(time))
    }

    /// Lets time pass in silence.
    #[must_use]
    pub fn waits(self, time: Duration) -> Self {
        self.step(Step::Wait(time))
    }

    /// Hangs up.
    #[must_use]
    pub fn hangs_up(self) -> Self {
        self.step(Step::HangUp)
    }

    /// Somebody else who answers when the application dials this URI, and then does as `callee`'s script says.
    #[must_use]
    pub fn reaches(mut self, to: &str, callee: Self) -> Self {
        self.dialled.push((uri(to), Ok(callee.steps)));
        self
    }

    /// A refusal of what the application dials. Unlisted addresses refuse with 480.
    #[must_use]
    pub fn is_refused(mut self, to: &str, status: u16) -> Self {
        self.dialled.push((uri(to), Err(status)));
        self
    }

    /// The final status of a REFER (default 200).
    #[must_use]
    pub fn refer_ends(mut self, status: u16) -> Self {
        self.refer_status = status;
        self
    }
}
