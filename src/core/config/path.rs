//! Where files named in the configuration are looked for.

use std::path::{Path, PathBuf};

use super::Config;

/// Where packages put what is shared between machines.
const SHARE: [&str; 2] = ["/usr/local/share/sems", "/usr/share/sems"];

impl Config {
    /// The file of a start without `--config`: `sems.toml` in the working directory, else `/etc/sems/sems.toml`.
    pub fn usual_file() -> Option<PathBuf> {
        ["sems.toml", "/etc/sems/sems.toml"].into_iter().map(PathBuf::from).find(|path| path.is_file())
    }

    /// Finds a file or folder named in the configuration: beside `sems.toml`, in the working directory, in the
    /// installed share directory; in that order.
    pub fn find(&self, path: &str) -> Option<PathBuf> {
        find(self.file.as_deref(), path)
    }

    /// All the places where `path` may be, in the order of [`find`](Self::find), there or not.
    pub fn places(&self, path: &str) -> Vec<PathBuf> {
        places(self.file.as_deref(), path)
    }

    /// A path below `data_dir`; an absolute one stays.
    pub fn below_data_dir(&self, path: &str) -> PathBuf {
        self.server.data_dir.join(path)
    }
}

pub(super) fn find(file: Option<&Path>, path: &str) -> Option<PathBuf> {
    places(file, path).into_iter().find(|place| place.exists())
}

pub(super) fn beside(file: Option<&Path>) -> PathBuf {
    file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
}

fn places(file: Option<&Path>, path: &str) -> Vec<PathBuf> {
    if Path::new(path).is_absolute() {
        return vec![PathBuf::from(path)];
    }
    // A prefix such as ~/sems of `cargo install --root` has its share directory beside its bin directory.
    let prefix = std::env::current_exe().ok();
    let prefix =
        prefix.as_deref().and_then(Path::parent).and_then(Path::parent).map(|p| p.join("share/sems"));
    let mut places = vec![beside(file).join(path), PathBuf::from(path)];
    places.extend(prefix.into_iter().chain(SHARE.map(PathBuf::from)).map(|share| share.join(path)));
    places.dedup();
    places
}
