//! Reading a configuration: file, environment, checks.

use std::path::Path;

use sems_app::Plugin;

use super::{Config, ConfigFaults};

impl Config {
    /// Reads `path` (none: the defaults), overridden by the variables of `env`, and checks all of it. `plugins`
    /// are those built in: their `check` sees the parameters of the routes to them.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        plugins: &[Plugin],
    ) -> Result<Self, ConfigFaults> {
        todo!()
    }
}
