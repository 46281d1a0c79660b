//! What a plugin exports, and what it is given.

use std::{path::PathBuf, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{Application, DynApplication, Mailboxes, Uri};

/// All that a plugin crate exports.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// The name of its table `[plugins.<name>]` and, usually, of its application.
    pub name: &'static str,
    /// Checks the parameters of a route to it. Pure: it opens nothing.
    pub check: fn(&Params) -> Result<(), ConfigError>,
    /// Checks its table `[plugins.<name>]`. Pure as well.
    pub check_table: fn(&Params) -> Result<(), ConfigError>,
    /// The files that a route to it needs, as (key, path as [`Host::find`] takes it), from the route's parameters and
    /// its table, both of which were checked. One that is not there is warned of; it may come later.
    pub files: fn(&Params, &Params) -> Vec<(&'static str, String)>,
    /// Reads its configuration and registers its applications.
    pub load: fn(&mut Host) -> Result<(), LoadError>,
}

/// The keys of a `[[route]]` beside its conditions, and of a `[plugins.<name>]` table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(pub toml::Table);

impl Params {
    /// Reads them as `T`, whose `serde(deny_unknown_fields)` refuses a typo.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.0.clone().try_into().map_err(|error: toml::de::Error| ConfigError {
            key: key_of(&error).unwrap_or_default(),
            reason: error.message().to_owned(),
        })
    }

    /// For [`Plugin::files`] of a plugin that needs none.
    pub fn no_files(&self, _table: &Self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// A text parameter.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(toml::Value::as_str)
    }
}

/// The key whose value does not fit: the crate tells it only in the text it shows.
fn key_of(error: &toml::de::Error) -> Option<String> {
    let text = error.to_string();
    text.lines().find_map(|line| Some(line.strip_prefix("in `")?.strip_suffix('`')?.to_owned()))
}

/// A key that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The key below the table being checked; empty when the reason names it.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// Why a plugin could not be loaded: an error at start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its configuration does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something it needs is not there.
    #[error("{0}")]
    Missing(String),
}

/// What the core gives to plugins; implemented there and in `testing`.
pub trait HostBackend: Send + Sync + 'static {
    /// The mailboxes.
    fn mailboxes(&self) -> Mailboxes;
    /// Finds a file named in the configuration: beside `sems.toml`, in the working directory, in the installed
    /// share directory; in that order.
    fn find(&self, path: &str) -> Option<PathBuf>;
    /// A folder of the plugin's own below `data_dir`, made if absent.
    fn data_dir(&self, plugin: &str) -> std::io::Result<PathBuf>;
    /// Whether an address is of a domain served here.
    fn is_local(&self, uri: &Uri) -> bool;
}

/// What a plugin is given when it is loaded; cloneable for use in calls.
#[derive(Clone)]
pub struct Host {
    backend: Arc<dyn HostBackend>,
    table: Params,
    applications: Vec<(String, Arc<dyn DynApplication>)>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Host {
    /// For a core: a host whose plugin has this configuration table.
    pub fn new(backend: Arc<dyn HostBackend>, table: Params) -> Self {
        Self { backend, table, applications: Vec::new() }
    }

    /// The plugin's `[plugins.<name>]`, unknown keys refused by `T`.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.table.read()
    }

    /// Registers an application under the name that routes use.
    pub fn application(&mut self, name: &str, application: impl Application) {
        self.applications.push((name.to_owned(), Arc::new(application)));
    }

    /// For a core: takes what was registered.
    pub fn into_applications(self) -> Vec<(String, Arc<dyn DynApplication>)> {
        self.applications
    }

    /// The mailboxes.
    pub fn mailboxes(&self) -> Mailboxes {
        self.backend.mailboxes()
    }

    /// See [`HostBackend::find`].
    pub fn find(&self, path: &str) -> Option<PathBuf> {
        self.backend.find(path)
    }

    /// See [`HostBackend::data_dir`].
    pub fn data_dir(&self, plugin: &str) -> std::io::Result<PathBuf> {
        self.backend.data_dir(plugin)
    }

    /// See [`HostBackend::is_local`].
    pub fn is_local(&self, uri: &Uri) -> bool {
        self.backend.is_local(uri)
    }
}
