//! What `[store]` and `[mail]` may say.

/// `sqlite:<path>`.
pub(super) fn check_database(text: &str) -> Result<(), String> {
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(()),
        Some(("postgres" | "postgresql", _)) => Err("PostgreSQL is not supported yet".to_owned()),
        _ => Err(format!("\"{text}\" is not of the form \"sqlite:sems.db\"")),
    }
}

/// `file:<path>`.
pub(super) fn check_recordings(text: &str) -> Result<(), String> {
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(()),
        Some(("s3", _)) => Err("S3 is not supported yet".to_owned()),
        _ => Err(format!("\"{text}\" is not of the form \"file:recordings\"")),
    }
}

/// What the outbox can deliver to. The reason never repeats the text: somebody may have put a password into it.
pub(super) fn check_transport(text: &str) -> Result<(), String> {
    text.parse::<sems_store::Transport>().map(drop).map_err(|error| error.to_string())
}

/// `user@host` or `Name <user@host>`.
pub(super) fn check_sender(text: &str) -> Result<(), String> {
    let known = sems_store::is_mail_sender(text);
    known.then_some(()).ok_or_else(|| format!("\"{text}\" is no mail address such as Name <user@host>"))
}

/// `user@host`.
pub(super) fn check_recipient(text: &str) -> Result<(), String> {
    let known = sems_store::is_mail_address(text);
    known.then_some(()).ok_or_else(|| format!("\"{text}\" is no mail address such as user@host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_told_from_what_is_none() {
        for good in
            ["file:mail", "smtp://host:25", "smtp://[::1]:2525", "smtps://user@host", "smtp://me@x.org@h"]
        {
            assert_eq!(check_transport(good), Ok(()), "{good}");
        }
        for bad in
            ["", "mail", "file:", "smtp:host", "smtp://", "smtp://host:0", "smtp://host:x", "imap://host"]
        {
            assert!(check_transport(bad).is_err(), "{bad}");
        }
    }

    // What the store would refuse at start is refused here, with its line.
    #[test]
    fn a_recipient_is_an_address_alone_and_a_sender_may_have_a_name() {
        for (text, sender, recipient) in [
            ("alice@example.org", true, true),
            ("Alice <alice@example.org>", true, false),
            ("alice", false, false),
            ("alice@", false, false),
            ("a b@example.org", false, false),
            ("Alice <alice@example.org", false, false),
        ] {
            assert_eq!(check_sender(text).is_ok(), sender, "{text}");
            assert_eq!(check_recipient(text).is_ok(), recipient, "{text}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let reason = check_transport("smtp://user:hunter2@host").expect_err("refused");
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}
