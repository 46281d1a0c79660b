//! `sems check`

use std::path::PathBuf;

use sems_app::Plugin;

use super::{Failure, configuration};

/// Checks all of the configuration and opens nothing.
pub(crate) fn run(file: Option<PathBuf>, plugins: &[Plugin]) -> Result<(), Failure> {
    let config = configuration(file.as_ref(), plugins)?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    println!("ok");
    Ok(())
}
