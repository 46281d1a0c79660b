//! Ties the tests of this crate to the interpreter it is built against, and notes that interpreter's version.

use std::process::Command;

fn main() {
    let config = pyo3_build_config::get();
    pyo3_build_config::add_libpython_rpath_link_args();
    let version = config
        .executable()
        .and_then(|python| {
            let ask = "import platform; print(platform.python_version())";
            Command::new(python).args(["-I", "-c", ask]).output().ok()
        })
        .filter(|answer| answer.status.success())
        .and_then(|answer| String::from_utf8(answer.stdout).ok())
        .map_or_else(|| config.version().to_string(), |text| text.trim().to_owned());
    println!("cargo:rustc-env=IVR_PYTHON_VERSION={version}");
    println!("cargo:rerun-if-changed=build.rs");
}
