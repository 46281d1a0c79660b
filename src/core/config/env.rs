//! `SEMS_<SECTION>_<KEY>`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Fault, Place};

/// The sections whose keys the environment overrides. A variable of another name is somebody else's.
pub(super) const SECTIONS: [&str; 10] =
    ["server", "sip", "media", "calls", "abuse", "registrar", "http", "store", "mail", "log"];

/// The variables that override something, each to be taken once.
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of `env` that begin with `SEMS_`.
    pub(super) fn new(env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(env.into_iter().filter(|(name, _)| name.starts_with("SEMS_")).collect())
    }

    /// The variable of a key, and its text.
    pub(super) fn take(&mut self, section: &str, key: &str) -> Option<(String, String)> {
        self.0.remove_entry(&format!("SEMS_{}_{}", upper(section), upper(key)))
    }

    /// The overrides of `[plugins.<plugin>]`. A text that is a TOML number, truth value or list is that.
    pub(super) fn plugin(&mut self, plugin: &str) -> Table {
        let prefix = format!("SEMS_PLUGINS_{}_", upper(plugin));
        let mut table = Table::new();
        self.0.retain(|name, text| match name.strip_prefix(&prefix) {
            Some(key) if !key.is_empty() => {
                table.insert(key.to_ascii_lowercase(), guess(text));
                false
            }
            _ => true,
        });
        table
    }

    /// What is left and begins like a known section.
    pub(super) fn finish(self) -> Vec<Fault> {
        let ours = |name: &str| {
            let rest = name.strip_prefix("SEMS_").unwrap_or_default();
            SECTIONS
                .into_iter()
                .chain(["plugins"])
                .any(|section| rest.strip_prefix(&upper(section)).is_some_and(|key| key.starts_with('_')))
        };
        let fault = |name: String| Fault {
            place: Place::Variable(name),
            key: String::new(),
            reason: "unknown key".to_owned(),
        };
        self.0.into_keys().filter(|name| ours(name)).map(fault).collect()
    }
}

fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn guess(text: &str) -> Value {
    match format!("value = {text}").parse::<Table>() {
        Ok(mut table) if table.len() == 1 => {
            table.remove("value").unwrap_or_else(|| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}
