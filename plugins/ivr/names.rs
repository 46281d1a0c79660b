//! Names that classic scripts make paths of: nothing but a plain file name gets through.

use sems_app::CallInfo;

/// Longer names are refused; file systems take 255 bytes, and scripts append a time and `.wav`.
const LONGEST: usize = 128;

/// What `caller` is for a caller of no usable name. No callee can have it, as it holds an `@`.
const NOBODY: &str = "anonymous@anonymous.invalid";

/// The global `callee`: the user of the request URI, where it is a plain name.
pub(crate) fn callee(info: &CallInfo) -> Option<String> {
    info.request_uri.user().filter(|user| is_plain(user)).map(str::to_owned)
}

/// The global `caller`: the user of a proved account. Anybody else is `user@host`, so that a From header is
/// never the name of a mailbox.
pub(crate) fn caller(info: &CallInfo) -> String {
    let nobody = || NOBODY.to_owned();
    if let Some(account) = info.identity.account() {
        return account.user().filter(|user| is_plain(user)).map_or_else(nobody, str::to_owned);
    }
    match info.from.user() {
        Some(user) if is_plain(user) && is_plain(info.from.host()) => format!("{user}@{}", info.from.host()),
        _ => nobody(),
    }
}

/// Whether this is a file name and nothing else: letters, digits, `_`, `-`, `+` and single dots inside.
fn is_plain(name: &str) -> bool {
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with('.')
        && !name.contains("..")
        && name.chars().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    // IVR-A5
    #[test]
    fn only_plain_file_names_are_names() {
        for good in ["alice", "+1-201-555", "a.b", "王", "1000", "x_y"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in
            ["", "..", ".", ".hidden", "a/b", "../alice", "a..b", "a\\b", "a\0b", "a b", "a@b", "a\nb", "~"]
        {
            assert!(!is_plain(bad), "{bad:?}");
        }
        assert!(!is_plain(&"a".repeat(300)));
    }
}
