//! Gives the binary, and the tests beside it, the way to the libpython that the scripts' plugin was built against.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "ivr")]
    pyo3_build_config::add_libpython_rpath_link_args();
}
