//! What an application has asked for and a call is doing.

use std::{future::pending, time::Duration};

use sems_app::{
    Call,
    command::{DigitsOptions, EndedBy, Played, Recorded, Reply},
};
use tokio::time::Instant;

use crate::media::PlayId;

/// The verb under way. One at a time: an application awaits each.
#[derive(Debug)]
pub(crate) enum Verb {
    /// Nothing.
    Idle,
    /// 200 is out, the ACK awaited.
    Answer { reply: Reply<()> },
    /// A sound is being played.
    Play { id: PlayId, stop_on: String, reply: Reply<Played> },
    /// What the other side says is being recorded.
    Record { stop_on: String, hold_bye: bool, ended_by: Option<EndedBy>, reply: Reply<Recorded> },
    /// Digits are being collected.
    Digits { options: DigitsOptions, got: String, deadline: Instant, reply: Reply<String> },
    /// What the other side says goes back to it.
    Echo { stop_on: String, reply: Reply<Option<char>> },
    /// The call is in a room.
    Join { stop_on: String, reply: Reply<Option<char>> },
    /// The call is connected with another.
    Bridge { other: Box<Call>, reply: Reply<()> },
    /// Digits are being sent.
    SendDigits { reply: Reply<()> },
}

impl Verb {
    /// Resolves when the application has dropped the verb.
    pub(crate) async fn dropped(&mut self) {
        match self {
            Self::Idle => pending().await,
            Self::Answer { reply } | Self::SendDigits { reply } => reply.closed().await,
            Self::Play { reply, .. } => reply.closed().await,
            Self::Record { reply, .. } => reply.closed().await,
            Self::Digits { reply, .. } => reply.closed().await,
            Self::Echo { reply, .. } | Self::Join { reply, .. } => reply.closed().await,
            // Two ways for it to be over: the application, or the other side.
            Self::Bridge { other, reply } => tokio::select! {
                () = reply.closed() => {}
                () = other.hung_up() => {}
            },
        }
    }

    /// When it is over by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Digits { deadline, .. } => Some(*deadline),
            _ => None,
        }
    }

    /// Takes a digit; gives it back where this verb has no use for it.
    pub(crate) fn take_digit(&mut self, digit: char) -> Taken {
        match self {
            Self::Play { stop_on, .. } | Self::Echo { stop_on, .. } | Self::Join { stop_on, .. }
                if stop_on.contains(digit) =>
            {
                Taken::Ends
            }
            Self::Record { stop_on, ended_by, .. } if stop_on.contains(digit) => {
                ended_by.get_or_insert(EndedBy::Digit(digit));
                Taken::Ends
            }
            Self::Digits { options, got, deadline, .. } => {
                if options.finish_on.contains(digit) {
                    return Taken::Ends;
                }
                got.push(digit);
                *deadline = Instant::now() + options.between;
                if got.len() >= options.max { Taken::Ends } else { Taken::Kept }
            }
            // A digit pressed while recording or in a room belongs to that, not to the next menu.
            Self::Record { .. } | Self::Echo { .. } | Self::Join { .. } | Self::Bridge { .. } => Taken::Kept,
            _ => Taken::Unwanted,
        }
    }
}

/// What a verb did with a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It ended the verb.
    Ends,
    /// It is used up.
    Kept,
    /// It is for a later verb.
    Unwanted,
}

/// How long a caller's BYE may wait for a commit (SEMS-VM-2).
pub(crate) const BYE_HOLD: Duration = Duration::from_secs(5);
