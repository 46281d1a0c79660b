//! The database as another program reads it.

use std::{path::Path, process::Command};

/// Debian's Python, which brings SQLite.
pub const PYTHON: &str = "/usr/bin/python3";

const SCRIPT: &str = r#"
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1], timeout=20).execute(sys.argv[2]).fetchall()
print(json.dumps(rows))
"#;

/// The rows of a query on the database in this data folder.
pub fn rows(data: &Path, query: &str) -> Vec<Vec<serde_json::Value>> {
    let database = data.join("sems.db");
    let output =
        Command::new(PYTHON).args(["-c", SCRIPT]).arg(&database).arg(query).output().expect("python3 runs");
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The one number that a query gives.
pub fn count(data: &Path, query: &str) -> u64 {
    rows(data, query)[0][0].as_u64().expect("a number")
}
