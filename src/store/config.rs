//! What the store is told at start.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder of everything that is kept; made if absent.
    pub data_dir: PathBuf,
    /// `sqlite:FILE`, relative to `data_dir`.
    pub database: String,
    /// `file:FOLDER`, relative to `data_dir`.
    pub recordings: String,
    /// How mail leaves.
    pub mail: MailConfig,
    /// The domains served here.
    pub domains: Vec<String>,
    /// How many messages a mailbox holds; one more is refused with 486.
    pub max_messages: u32,
}

impl StoreConfig {
    /// The defaults, below this folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database: "sqlite:sems.db".to_owned(),
            recordings: "file:recordings".to_owned(),
            mail: MailConfig::default(),
            domains: vec!["localhost".to_owned()],
            max_messages: 200,
        }
    }
}

/// How mail leaves, and how it reads.
///
/// `subject` and `body` may contain `{caller_name}`, `{caller_number}`, `{duration}`, `{mailbox}` and `{date}`.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Where it goes.
    pub transport: Transport,
    /// The sender, as in `Voicemail <voicemail@example.org>`. Never the caller.
    pub from: String,
    /// The subject line.
    pub subject: String,
    /// The text above the attachment.
    pub body: String,
    /// A server that takes longer than this for one mail is given up until the next attempt.
    pub timeout: Duration,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            transport: Transport::File(PathBuf::from("mail")),
            from: "Voicemail <voicemail@localhost>".to_owned(),
            subject: "Voicemail from {caller_name} {caller_number} ({duration}) – {mailbox}".to_owned(),
            body: "You have a new voicemail.\n\n\
                   From:     {caller_name} {caller_number}\n\
                   Received: {date}\n\
                   Length:   {duration}\n\
                   Mailbox:  {mailbox}\n\n\
                   The recording is attached.\n"
                .to_owned(),
            timeout: Duration::from_secs(60),
        }
    }
}

/// Where mail goes. Parsed from `file:FOLDER`, `smtp://[user@]host[:25]` and `smtps://[user@]host[:465]`.
///
/// `smtp:` uses STARTTLS where the server offers it; with a user, it insists on it; to this very machine, it
/// does without. `?tls=none`, `?tls=opportunistic` and `?tls=required` say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A folder of `.eml` files, relative to `data_dir`.
    File(PathBuf),
    /// A mail server.
    Smtp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is protected.
        tls: Tls,
        /// Whom to log in as.
        credentials: Option<Credentials>,
    },
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    None,
    /// STARTTLS where offered.
    Opportunistic,
    /// STARTTLS, or no mail.
    Required,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

/// A login at a mail server. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why text names no transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Not `file:`, `smtp://` or `smtps://`.
    #[error("expected file:FOLDER, smtp://host:25 or smtps://user@host")]
    Scheme,
    /// An empty folder or host.
    #[error("the host or folder is missing")]
    Target,
    /// A port that is not 1 to 65535.
    #[error("malformed port")]
    Port,
    /// `tls` is none of its values, or an unknown parameter.
    #[error("after `?` only tls=none, tls=opportunistic or tls=required may stand")]
    Parameter,
    /// A password in a URL ends up in logs and process lists.
    #[error("the password does not belong into the URL; give it beside")]
    Password,
}

impl Transport {
    /// Sets the password of a login; does nothing where no user is named.
    #[must_use]
    pub fn with_password(mut self, secret: &str) -> Self {
        if let Self::Smtp { credentials: Some(credentials), .. } = &mut self {
            secret.clone_into(&mut credentials.password);
        }
        self
    }
}

impl FromStr for Transport {
    type Err = TransportError;

    fn from_str(text: &str) -> Result<Self, TransportError> {
        if let Some(folder) = text.strip_prefix("file:") {
            return if folder.is_empty() {
                Err(TransportError::Target)
            } else {
                Ok(Self::File(PathBuf::from(folder)))
            };
        }
        let (implicit, rest) = if let Some(rest) = text.strip_prefix("smtps://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("smtp://") {
            (false, rest)
        } else {
            return Err(TransportError::Scheme);
        };
        let (authority, query) = rest.split_once('?').map_or((rest, None), |(a, q)| (a, Some(q)));
        let (user, target) = authority.rsplit_once('@').map_or((None, authority), |(u, t)| (Some(u), t));
        if user.is_some_and(|user| user.contains(':')) {
            return Err(TransportError::Password);
        }
        let (host, port) = split_port(target.trim_end_matches('/'))?;
        let tls = match query {
            None if implicit => Tls::Implicit,
            None if is_loopback(&host) => Tls::None,
            None if user.is_some() => Tls::Required,
            None => Tls::Opportunistic,
            Some("tls=none") if !implicit => Tls::None,
            Some("tls=opportunistic") if !implicit => Tls::Opportunistic,
            Some("tls=required") if !implicit => Tls::Required,
            Some(_) => return Err(TransportError::Parameter),
        };
        let port = port.unwrap_or(if implicit { 465 } else { 25 });
        let credentials = user.map(|user| Credentials { user: user.to_owned(), password: String::new() });
        Ok(Self::Smtp { host, port, tls, credentials })
    }
}

fn split_port(target: &str) -> Result<(String, Option<u16>), TransportError> {
    let after_bracket = target.rfind(']').map_or(0, |at| at + 1);
    let (before, port) = match target.get(after_bracket..).and_then(|rest| rest.split_once(':')) {
        Some((before, port)) => {
            let port = port.parse().ok().filter(|port| *port != 0).ok_or(TransportError::Port)?;
            (target.get(..after_bracket + before.len()).unwrap_or_default(), Some(port))
        }
        None => (target, None),
    };
    let host = before.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(TransportError::Target) } else { Ok((host.to_owned(), port)) }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(host: &str, port: u16, tls: Tls, user: Option<&str>) -> Transport {
        let credentials = user.map(|user| Credentials { user: user.to_owned(), password: String::new() });
        Transport::Smtp { host: host.to_owned(), port, tls, credentials }
    }

    #[test]
    fn transports_are_read() {
        for (text, expected) in [
            ("file:mail", Transport::File("mail".into())),
            ("smtp://mx.example.org", smtp("mx.example.org", 25, Tls::Opportunistic, None)),
            ("smtp://127.0.0.1:2525", smtp("127.0.0.1", 2525, Tls::None, None)),
            ("smtp://[::1]:2525/", smtp("::1", 2525, Tls::None, None)),
            ("smtp://joe@mx:587", smtp("mx", 587, Tls::Required, Some("joe"))),
            ("smtps://joe@example.org@mx", smtp("mx", 465, Tls::Implicit, Some("joe@example.org"))),
            ("smtp://mx?tls=none", smtp("mx", 25, Tls::None, None)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_transport_is_refused_with_its_reason() {
        for (text, error) in [
            ("mail", TransportError::Scheme),
            ("file:", TransportError::Target),
            ("smtp://", TransportError::Target),
            ("smtp://mx:0", TransportError::Port),
            ("smtp://mx:x", TransportError::Port),
            ("smtps://mx?tls=none", TransportError::Parameter),
            ("smtp://joe:secret@mx", TransportError::Password),
        ] {
            assert_eq!(text.parse::<Transport>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let transport = "smtps://joe@mx".parse::<Transport>().unwrap().with_password("hunter2");
        assert!(!format!("{transport:?}").contains("hunter2"));
    }
}
