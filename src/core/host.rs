//! What plugins are given.

use std::{io, path::PathBuf, sync::Arc};

use sems_app::{HostBackend, Mailboxes, Uri};

use crate::config::Config;

/// The core's side of [`sems_app::Host`].
#[derive(Debug)]
pub(crate) struct CoreHost {
    pub(crate) config: Arc<Config>,
    pub(crate) mailboxes: Mailboxes,
}

impl HostBackend for CoreHost {
    fn mailboxes(&self) -> Mailboxes {
        self.mailboxes.clone()
    }

    fn find(&self, path: &str) -> Option<PathBuf> {
        self.config.find(path)
    }

    fn data_dir(&self, plugin: &str) -> io::Result<PathBuf> {
        let folder = self.config.below_data_dir(plugin);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn is_local(&self, uri: &Uri) -> bool {
        self.config.server.domains.iter().any(|domain| domain == uri.host())
    }
}
