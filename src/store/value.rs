//! Values as they stand in rows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; a time before that is 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    length(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The time of so many milliseconds since 1970.
pub(crate) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + duration(millis)
}

/// A length in milliseconds.
pub(crate) fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The length of so many milliseconds.
pub(crate) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A count from a column.
pub(crate) fn count(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(if value < 0 { 0 } else { u32::MAX })
}

/// A new key: the time, so that keys sort as they were made, and 80 random bits, so that none is guessed.
pub(crate) fn new_id(now: SystemTime) -> String {
    let random: u128 = rand::random::<u128>() >> 48;
    format!("{:012x}{random:020x}", millis(now))
}

/// Whether text is such a key (and thus harmless as a file name).
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Text of a peer's, cut to `most` characters; control characters become spaces.
pub(crate) fn clean(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The key of the mailbox of an account.
pub(crate) fn mailbox_key(user: &str, domain: &str) -> String {
    format!("{user}@{}", domain.to_ascii_lowercase())
}

/// The account of a mailbox. A user may contain an `@`, a domain may not.
pub(crate) fn split_mailbox(mailbox: &str) -> (&str, &str) {
    mailbox.rsplit_once('@').unwrap_or((mailbox, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_they_were_made_and_are_told_from_paths() {
        let (first, second) = (new_id(time(1_000)), new_id(time(2_000)));
        assert!(first < second);
        assert!(is_id(&first));
        assert!(!is_id("../../../../etc/passwd0123456789ab"));
        assert!(!is_id(""));
    }

    #[test]
    fn an_at_sign_in_a_user_does_not_move_the_domain() {
        assert_eq!(split_mailbox(&mailbox_key("a@b", "Example.org")), ("a@b", "example.org"));
    }
}
