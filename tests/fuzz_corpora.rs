//! Every input that fuzzing has kept, and every one that once broke something, through its target. `make fuzz` finds
//! new ones. SEMS-SIP.

use std::path::Path;

#[path = "fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "the libFuzzer programs call these from another crate")]
mod fuzz;

/// Runs the target with every file of its folders, and says which file it is that breaks it.
fn replay(target: &str, run: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let mut count = 0;
    for folder in ["corpus", "regressions"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder).join(target)) else { continue };
        for entry in entries {
            let path = entry.expect("a folder that can be read").path();
            let data = std::fs::read(&path).expect("a file that can be read");
            let outcome = std::panic::catch_unwind(|| run(&data));
            assert!(outcome.is_ok(), "{} breaks {target}", path.display());
            count += 1;
        }
    }
    assert!(count > 1, "no inputs for {target}");
}

#[test]
fn messages() {
    replay("message", fuzz::message);
}

#[test]
fn streams() {
    replay("framing", fuzz::framing);
}

#[test]
fn uris_and_values() {
    replay("uri", fuzz::uri);
}

#[test]
fn descriptions() {
    replay("sdp", fuzz::sdp);
}

#[test]
fn sequences_of_datagrams() {
    replay("datagrams", fuzz::datagrams);
}
