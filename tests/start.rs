//! The first start of `sems serve`, and what it leaves when it fails.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

const ACCOUNTS: &str = "var/demo-accounts.txt";

fn serve(folder: &Path, http: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sems"))
        .arg("serve")
        .current_dir(folder)
        .env("SEMS_SIP_LISTEN", "udp:127.0.0.1:0")
        .env("SEMS_HTTP_LISTEN", http)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sems starts")
}

// The store keeps hashes only: a first start that fails at a port must not take the secrets with it.
#[test]
fn demo_accounts_are_told_even_where_the_first_start_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let http = taken.local_addr().expect("bound").to_string();
    let failed = serve(folder.path(), &http).wait().expect("it ends");
    assert_eq!(failed.code(), Some(1));
    let told = fs::read_to_string(folder.path().join(ACCOUNTS)).expect("told");
    assert!(told.contains("alice") && told.contains("password"), "{told}");

    let mut second = serve(folder.path(), "127.0.0.1:0");
    let mut line = String::new();
    let stdout = second.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    second.kill().expect("killed");
    second.wait().expect("ended");
    assert!(line.starts_with("ready "), "{line}");
    assert_eq!(fs::read_to_string(folder.path().join(ACCOUNTS)).expect("there"), told, "the same accounts");
}
