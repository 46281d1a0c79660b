//! The server around a plugin under test.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Caller, MemoryMailboxes, Outcome, Side,
    core::{Core, Surroundings},
    outcome::Event,
};
use crate::{
    CallError, ConfigError, DynApplication, Host, HostBackend, IncomingCall, LoadError, Mailboxes, Params,
    Plugin, Uri, command::COMMANDS,
};

/// A server of nothing but memory and a temporary folder. Clones share both.
#[derive(Debug, Clone)]
pub struct TestHost {
    surroundings: Surroundings,
    backend: Arc<Backend>,
}

#[derive(Debug)]
struct Backend {
    mailboxes: Arc<MemoryMailboxes>,
    folder: Arc<tempfile::TempDir>,
    search: Vec<PathBuf>,
    domains: Vec<String>,
}

impl HostBackend for Backend {
    fn mailboxes(&self) -> Mailboxes {
        Mailboxes::new(self.mailboxes.clone())
    }

    fn find(&self, path: &str) -> Option<PathBuf> {
        let own = [self.folder.path().to_owned()];
        self.search.iter().chain(&own).map(|folder| folder.join(path)).find(|path| path.exists())
    }

    fn data_dir(&self, plugin: &str) -> std::io::Result<PathBuf> {
        let folder = self.folder.path().join(plugin);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn is_local(&self, uri: &Uri) -> bool {
        self.domains.iter().any(|domain| domain == uri.host())
    }
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// A host of the domains `example.org` and `localhost`, without mailboxes; named prompts last 2 s each.
    ///
    /// # Panics
    /// Where no temporary folder can be made.
    pub fn new() -> Self {
        let folder = match tempfile::tempdir() {
            Ok(folder) => Arc::new(folder),
            Err(error) => panic!("no temporary folder: {error}"),
        };
        let backend = Backend {
            mailboxes: Arc::new(MemoryMailboxes::new(folder.clone())),
            folder,
            search: Vec::new(),
            domains: vec!["example.org".to_owned(), "localhost".to_owned()],
        };
        Self { surroundings: Surroundings::default(), backend: Arc::new(backend) }
    }

    /// Named prompts are the WAV files of this folder: an absent one is an error, as in the real core.
    #[must_use]
    pub fn sounds(mut self, folder: impl Into<PathBuf>) -> Self {
        self.surroundings.sounds = Some(folder.into());
        self
    }

    /// A folder in which [`Host::find`] looks before the host's own. Only before the host is cloned or used.
    #[must_use]
    pub fn search(mut self, folder: impl Into<PathBuf>) -> Self {
        if let Some(backend) = Arc::get_mut(&mut self.backend) {
            backend.search.push(folder.into());
        }
        self
    }

    /// Verbs do not wait on tokio's clock: for applications on threads of their own.
    #[must_use]
    pub fn instant(mut self) -> Self {
        self.surroundings.instant = true;
        self
    }

    /// The host's own folder, where [`Host::find`] looks last and [`Host::data_dir`] makes folders.
    pub fn folder(&self) -> &Path {
        self.backend.folder.path()
    }

    /// The mailboxes, to fill and to inspect.
    pub fn mailboxes(&self) -> &MemoryMailboxes {
        &self.backend.mailboxes
    }

    /// Loads a plugin with its `[plugins.<name>]` table as TOML.
    ///
    /// # Panics
    /// On a table that is no TOML.
    pub fn load(&self, plugin: Plugin, table: &str) -> Result<Loaded, LoadError> {
        let table = Params(table.parse().unwrap_or_else(|error| panic!("{table:?}: {error}")));
        let mut host = Host::new(self.backend.clone(), table);
        (plugin.load)(&mut host)?;
        Ok(Loaded { host: self.clone(), plugin, applications: host.into_applications() })
    }

    /// Lets a caller call an application, to the end of the call.
    ///
    /// # Panics
    /// Where the application does.
    pub async fn call(&self, application: &dyn DynApplication, caller: Caller) -> Outcome {
        let core = Core::new(self.surroundings.clone(), caller);
        let (info, log) = (core.info.clone(), core.log.clone());
        let (sender, commands) = mpsc::channel(COMMANDS);
        let (finish, done) = oneshot::channel();
        let call = IncomingCall::new(info, sender);
        let serve = async {
            let result = application.serve_boxed(call).await;
            let _ = finish.send(());
            result
        };
        let (result, ended) = tokio::join!(serve, core.run(commands, done));
        let log = log.entries().clone();
        let ended_by = log.iter().find_map(|entry| match entry.event {
            Event::HungUp(side) => Some(side),
            _ => None,
        });
        let status = status(log.iter().map(|entry| &entry.event), ended_by, &result);
        Outcome { result, status, ended_by, unfinished: ended.rest, lasted: ended.lasted, log }
    }
}

fn status<'a>(
    mut events: impl Iterator<Item = &'a Event>,
    ended_by: Option<Side>,
    result: &Result<(), CallError>,
) -> u16 {
    let by_verb = events.find_map(|event| match event {
        Event::Answered => Some(200),
        Event::Rejected(status) => Some(*status),
        Event::Redirected(_) => Some(302),
        _ => None,
    });
    match (by_verb, ended_by, result) {
        (Some(status), _, _) => status,
        (None, Some(Side::Caller), _) => 487,
        (None, _, Err(error)) => error.status(),
        (None, _, Ok(())) => 480,
    }
}

/// A plugin that is loaded.
pub struct Loaded {
    host: TestHost,
    plugin: Plugin,
    applications: Vec<(String, Arc<dyn DynApplication>)>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Loaded {
    /// An application that the plugin registered.
    ///
    /// # Panics
    /// If it registered none of that name.
    pub fn application(&self, name: &str) -> Arc<dyn DynApplication> {
        match self.applications.iter().find(|(known, _)| known == name) {
            Some((_, application)) => application.clone(),
            None => panic!("the plugin {} registered no {name:?}", self.plugin.name),
        }
    }

    /// What the plugin says of a route's parameters, as TOML.
    ///
    /// # Panics
    /// On text that is no TOML.
    pub fn check(&self, params: &str) -> Result<(), ConfigError> {
        let table = params.parse().unwrap_or_else(|error| panic!("{params:?}: {error}"));
        (self.plugin.check)(&Params(table))
    }

    /// Lets a caller call the application that bears the plugin's name.
    ///
    /// # Panics
    /// Where the application does, or the plugin refuses the route's parameters.
    pub async fn call(&self, caller: Caller) -> Outcome {
        if let Err(error) = (self.plugin.check)(&caller.info.params) {
            panic!("the plugin {} refuses the route: {error}", self.plugin.name);
        }
        let application = self.application(self.plugin.name);
        self.host.call(&*application, caller).await
    }
}
