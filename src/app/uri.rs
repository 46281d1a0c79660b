//! The URI that applications see: parsed, decoded, owned.

use std::{fmt, str::FromStr};

/// The scheme of a [`Uri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (the number is the user, the host is empty).
    Tel,
}

/// A SIP or tel URI. The user is percent-decoded; `Display` encodes it again.
///
/// ```
/// let uri: sems_app::Uri = "sip:alice%20b@example.org:5070;transport=tcp".parse().unwrap();
/// assert_eq!(uri.user(), Some("alice b"));
/// assert_eq!((uri.host(), uri.port()), ("example.org", Some(5070)));
/// assert_eq!(uri.param("transport"), Some("tcp"));
/// assert_eq!(uri.to_string(), "sip:alice%20b@example.org:5070;transport=tcp");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    params: Vec<(String, String)>,
}

/// Why text is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Not `sip:`, `sips:` or `tel:`.
    #[error("unknown scheme")]
    Scheme,
    /// An empty or malformed host.
    #[error("malformed host")]
    Host,
    /// A port that is not 1..=65535.
    #[error("malformed port")]
    Port,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("malformed escape")]
    Escape,
}

impl Uri {
    /// `sip:user@host`.
    pub fn sip(user: &str, host: &str) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: Some(user.to_owned()),
            host: host.to_ascii_lowercase(),
            port: None,
            params: Vec::new(),
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The decoded user part; for `tel:`, the number.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host in lower case, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where one is given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// A parameter's decoded value (empty when it has none).
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// All parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The same URI with another user.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.trim().split_once(':').ok_or(UriError::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            "tel" => Scheme::Tel,
            _ => return Err(UriError::Scheme),
        };
        // `;` and `?` may stand in the user part (RFC 3261 section 25.1), so the `@` is looked for first.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((user, rest)) if scheme != Scheme::Tel => (Some(user), rest),
            _ => (None, rest),
        };
        let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
        let (hostport, params) = rest.split_once(';').unwrap_or((rest, ""));
        let params = parse_params(params)?;
        if scheme == Scheme::Tel {
            return Ok(Self {
                scheme,
                user: Some(decode(hostport)?),
                host: String::new(),
                port: None,
                params,
            });
        }
        let user = userinfo.map(|u| decode(u.split_once(':').map_or(u, |(user, _)| user))).transpose()?;
        let (host, port) = split_port(hostport)?;
        Ok(Self { scheme, user, host: host.to_ascii_lowercase(), port, params })
    }
}

fn split_port(hostport: &str) -> Result<(&str, Option<u16>), UriError> {
    let after_bracket = hostport.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match hostport[after_bracket..].find(':') {
        Some(at) => (&hostport[..after_bracket + at], Some(&hostport[after_bracket + at + 1..])),
        None => (hostport, None),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    if host.is_empty() || !host.chars().all(legal) {
        return Err(UriError::Host);
    }
    let port = match port {
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(UriError::Port),
            Ok(port) => Some(port),
        },
        None => None,
    };
    Ok((host, port))
}

fn parse_params(text: &str) -> Result<Vec<(String, String)>, UriError> {
    text.split(';')
        .filter(|p| !p.is_empty())
        .map(|p| {
            let (name, value) = p.split_once('=').unwrap_or((p, ""));
            Ok((name.trim().to_ascii_lowercase(), decode(value.trim())?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, UriError> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(UriError::Escape);
            decoded.push((digit()? * 16 + digit()?) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| UriError::Escape)
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str, extra: &str) -> fmt::Result {
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c) || (c.is_ascii() && extra.contains(c)) {
            write!(f, "{c}")?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Sip => "sip:",
            Scheme::Sips => "sips:",
            Scheme::Tel => "tel:",
        };
        f.write_str(scheme)?;
        if let Some(user) = &self.user {
            if self.scheme == Scheme::Tel {
                // The digits of RFC 3966 section 3.
                encode(f, user, "+#")?;
            } else {
                encode(f, user, "&=+$,;?/")?;
                f.write_str("@")?;
            }
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            write!(f, ";{name}")?;
            if !value.is_empty() {
                f.write_str("=")?;
                encode(f, value, "[]/:&+$")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_hosts_keep_their_brackets() {
        let uri: Uri = "sip:bob@[2001:DB8::1]:5062".parse().expect("valid");
        assert_eq!((uri.host(), uri.port()), ("[2001:db8::1]", Some(5062)));
        assert_eq!(uri.to_string(), "sip:bob@[2001:db8::1]:5062");
    }

    #[test]
    fn a_tel_number_is_the_user() {
        let uri: Uri = "tel:+1-201-555-0123;phone-context=example.com".parse().expect("valid");
        assert_eq!(uri.user(), Some("+1-201-555-0123"));
        assert_eq!(uri.to_string(), "tel:+1-201-555-0123;phone-context=example.com");
    }

    #[test]
    fn what_the_grammar_allows_in_a_user_survives() {
        for (text, user) in [
            ("sip:a?b;c=d&e@host;lr?Subject=x", "a?b;c=d&e"),
            ("sip:%23100%3A%40@host", "#100:@"),
            ("sip:+1-201@host?a=b", "+1-201"),
        ] {
            let uri: Uri = text.parse().expect(text);
            assert_eq!((uri.user(), uri.host()), (Some(user), "host"), "{text}");
            assert_eq!(uri.to_string().parse::<Uri>().as_ref(), Ok(&uri), "{text}");
        }
        let uri: Uri = "sip:%23100@host".parse().expect("valid");
        assert_eq!(uri.to_string(), "sip:%23100@host");
    }

    #[test]
    fn garbage_is_refused_with_its_reason() {
        for (text, error) in [
            ("mailto:x@y", UriError::Scheme),
            ("sip:", UriError::Host),
            ("sip:a@b c", UriError::Host),
            ("sip:a@b@c", UriError::Host),
            ("sip:a@b:99999", UriError::Port),
            ("sip:%zz@b", UriError::Escape),
        ] {
            assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_part_of_the_user() {
        let uri: Uri = "sip:alice:secret@host".parse().expect("valid");
        assert_eq!(uri.user(), Some("alice"));
    }
}
