//! Conference rooms.

use std::sync::Arc;

use crate::Prompt;

/// A room's name: the user part of the request URI that led into it.
pub type RoomName = Arc<str>;

/// A room to [`join`](crate::Call::join). It exists while somebody is in it.
#[derive(Debug, Clone)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// Played to all when somebody comes; none for silence.
    pub join_tone: Option<Prompt>,
    /// Played to those who stay when somebody leaves.
    pub leave_tone: Option<Prompt>,
    /// Played to the one who comes first.
    pub alone: Option<Prompt>,
    /// Who would be one more gets [`CallError::NoCapacity`](crate::CallError::NoCapacity); 0 for no limit.
    pub max_members: usize,
}

impl Room {
    /// A room without tones or limit.
    pub fn named(name: impl Into<RoomName>) -> Self {
        Self { name: name.into(), join_tone: None, leave_tone: None, alone: None, max_members: 0 }
    }
}
