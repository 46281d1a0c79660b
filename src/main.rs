//! The `sems` binary: composition only.
fn main() {}
