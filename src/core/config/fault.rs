//! What is wrong with a configuration, and where.

use std::{fmt, path::PathBuf};

use sems_app::ConfigError;

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of the file, from 1.
    Line(PathBuf, usize),
    /// The file as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The key, with its section: `sip.listen`; empty where none is meant.
    pub key: String,
    /// What is wrong. Never holds a secret.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(file, line) => write!(f, "{}:{line}: ", file.display())?,
            Place::File(file) => write!(f, "{}: ", file.display())?,
            Place::Variable(name) => write!(f, "{name}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// Every fault of a configuration, in the order of the file; never empty. Printed a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigFaults(pub Vec<Fault>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// Whether a plugin complains of this key. A reader of tables names it only in its message, in the first quotes;
/// later ones are the keys it knows.
pub(super) fn is_about(error: &ConfigError, key: &str) -> bool {
    error.key == key || error.reason.split('`').nth(1) == Some(key)
}
