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

/// `file:<path>`, `smtp://[user@]host[:port]`, `smtps://[user@]host[:port]`. The reason never repeats the text:
/// somebody may have put a password into it.
pub(super) fn check_transport(text: &str) -> Result<(), String> {
    let form =
        || Err("is not of the form \"file:mail\", \"smtp://host:25\" or \"smtps://user@host\"".to_owned());
    let rest = match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => return Ok(()),
        Some(("smtp" | "smtps", rest)) => rest,
        _ => return form(),
    };
    let Some(authority) = rest.strip_prefix("//") else { return form() };
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| user.contains(':')) {
        return Err("the password goes into mail.password, not into the address".to_owned());
    }
    let bracket = host.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match host.get(bracket..).and_then(|rest| rest.rsplit_once(':')) {
        Some((_, port)) => (host.strip_suffix(port).and_then(|h| h.strip_suffix(':')), Some(port)),
        None => (Some(host), None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    match name {
        Some(name) if !name.is_empty() && name.chars().all(legal) && port_fits => Ok(()),
        _ => form(),
    }
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
