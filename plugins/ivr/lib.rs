//! Applications in Python: the scripts of `ivr_scripts/`.

use sems_app::{ConfigError, Host, LoadError, Params, Plugin};

/// The plugin `ivr`.
pub const PLUGIN: Plugin = Plugin { name: "ivr", check, load };

fn check(_: &Params) -> Result<(), ConfigError> {
    Ok(())
}

fn load(_: &mut Host) -> Result<(), LoadError> {
    Ok(())
}
