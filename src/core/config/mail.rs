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
pub(super) fn check_address(text: &str) -> Result<(), String> {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    match address.rsplit_once('@') {
        Some((user, host))
            if !user.is_empty() && !host.is_empty() && !address.contains(char::is_whitespace) =>
        {
            Ok(())
        }
        _ => Err(format!("\"{text}\" is no mail address")),
    }
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

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let reason = check_transport("smtp://user:hunter2@host").expect_err("refused");
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}
