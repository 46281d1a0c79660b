//! How a value of `sems.toml`, or the text of an environment variable, becomes a setting.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use sems_app::Unavailable;
use sems_sip::auth::Algorithm;
use toml::Value;

use super::{Cidr, Codec, Listen, PublicAddress, Workers};
use crate::{media::MediaIo, routing::Glob};

/// A type that a key may have. The error is a reason for people, without the key.
pub(super) trait Setting: Sized {
    /// From the file. A type that is written as text need not say more than [`from_text`](Self::from_text).
    fn from_toml(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) => Self::from_text(text),
            None => Err(format!("text is expected, not {}", kind(value))),
        }
    }

    /// From the environment.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

impl Setting for String {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("holds a control character".to_owned());
        }
        if text.trim().is_empty() {
            return Err("is empty".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Setting for Algorithm {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("\"{text}\" is neither SHA-256 nor MD5"))
    }
}

impl Setting for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::from)
    }
}

impl Setting for Duration {
    fn from_text(text: &str) -> Result<Self, String> {
        sems_app::duration::parse(text).map_err(|error| error.to_string())
    }
}

impl Setting for bool {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("true or false is expected, not {}", kind(value)))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("true or false is expected, not \"{text}\""))
    }
}

impl Setting for u32 {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let number =
            value.as_integer().ok_or_else(|| format!("a whole number is expected, not {}", kind(value)))?;
        Self::try_from(number).map_err(|_| format!("{number} is not between 0 and {}", Self::MAX))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("a whole number is expected, not \"{text}\""))
    }
}

impl Setting for usize {
    fn from_toml(value: &Value) -> Result<Self, String> {
        u32::from_toml(value).map(|number| number as Self)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        u32::from_text(text).map(|number| number as Self)
    }
}

impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("\"{text}\" is not of the form \"127.0.0.1:8080\" or \"[::1]:8080\""))
    }
}

impl Setting for IpAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("\"{text}\" is no IP address"))
    }
}

impl Setting for Listen {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Setting for Cidr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Setting for PublicAddress {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Setting for Codec {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Setting for Glob {
    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(|text| Self::new(&text))
    }
}

impl Setting for Unavailable {
    fn from_text(text: &str) -> Result<Self, String> {
        [Self::Offline, Self::Busy, Self::NoAnswer, Self::Declined]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is none of offline, busy, no-answer, declined"))
    }
}

/// The most media threads that can be asked for.
const MAX_WORKERS: usize = 256;

impl Setting for Workers {
    fn from_toml(value: &Value) -> Result<Self, String> {
        match value {
            Value::Integer(number) => Self::from_text(&number.to_string()),
            Value::String(text) if text == "auto" => Ok(Self::Auto),
            _ => Err(format!("\"auto\" or a number from 1 to {MAX_WORKERS} is expected")),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count @ 1..=MAX_WORKERS) => Ok(Self::Count(count)),
            _ if text == "auto" => Ok(Self::Auto),
            _ => Err(format!("\"auto\" or a number from 1 to {MAX_WORKERS} is expected, not \"{text}\"")),
        }
    }
}

impl Setting for MediaIo {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "plain" => Ok(Self::Plain),
            _ => Err(format!("\"auto\", \"uring\" or \"plain\" is expected, not \"{text}\"")),
        }
    }
}

impl Setting for RangeInclusive<u16> {
    fn from_text(text: &str) -> Result<Self, String> {
        let form = || format!("\"{text}\" is not of the form \"10000-29999\"");
        let (first, last) = text.split_once('-').ok_or_else(form)?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| form());
        let (first, last) = (port(first)?, port(last)?);
        match (first, last) {
            (0, _) => Err("port 0 is no RTP port".to_owned()),
            _ if first % 2 != 0 || last % 2 == 0 => {
                Err(format!("{first}-{last} must begin with an even port and end with an odd one"))
            }
            _ if first > last => Err(format!("{first} is beyond {last}")),
            _ => Ok(first..=last),
        }
    }
}

/// A list; a lone value stands for a list of one, and in the environment commas part the values.
impl<T: Setting> Setting for Vec<T> {
    fn from_toml(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(values) => values.iter().map(T::from_toml).collect(),
            lone => T::from_toml(lone).map(|value| vec![value]),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(T::from_text).collect()
    }
}
