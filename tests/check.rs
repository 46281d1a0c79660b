//! `sems check` as an operator runs it: what it prints, and how it exits.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn sems(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sems"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(env.iter().copied())
        .output()
        .expect("sems runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_shipped_configuration_has_no_fault_and_no_warning() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("sems.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let output = sems(folder.path(), &["check", "--config", &shipped.to_string_lossy()], &[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "ok\n".to_owned()));
    if cfg!(all(feature = "ivr", feature = "voicemail", feature = "echo", feature = "conference")) {
        assert_eq!(text(&output.stderr), "");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0, "check makes nothing");
}

#[test]
fn without_a_file_the_defaults_are_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(sems(folder.path(), &["check"], &[]).status.code(), Some(0));
    fs::write(folder.path().join("sems.toml"), "[sip]\nlisten = 5060\n").expect("written");
    assert_eq!(sems(folder.path(), &["check"], &[]).status.code(), Some(64), "sems.toml here is found");
}

#[test]
fn faults_are_told_with_file_line_key_and_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.toml");
    let bad = "[calls]\nmax = 0\n\n[[route]]\nuser = \"echo\"\napp = \"echo\"\nvolume = 11\n";
    fs::write(&path, bad).expect("written");
    let output = sems(folder.path(), &["check", "--config", "bad.toml"], &[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(64), String::new()));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("bad.toml:2: calls.max: 0 would refuse every call\n"), "{stderr}");
    if cfg!(feature = "echo") {
        assert!(stderr.contains("bad.toml:7: route.volume: unknown field `volume`"), "{stderr}");
    }
}

#[test]
fn a_bad_override_is_told_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["check", "serve"] {
        let output = sems(folder.path(), &[command], &[("SEMS_SIP_LISTEN", "udp:nowhere")]);
        assert_eq!(output.status.code(), Some(64));
        let stderr = text(&output.stderr);
        assert!(
            stderr.starts_with("SEMS_SIP_LISTEN: sip.listen: \"udp:nowhere\" is not of the form"),
            "{stderr}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = sems(folder.path(), &["check", "--config", "absent.toml"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).starts_with("absent.toml: "), "{}", text(&output.stderr));
}

#[test]
fn ctl_without_a_server_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = sems(folder.path(), &["ctl", "calls"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.starts_with("var/api.token is not there: no server ran with this configuration"),
        "{stderr}"
    );
}

#[test]
fn files_that_routes_name_are_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let routes = "[[route]]\nuser = \"a\"\napp = \"ivr\"\nscript = \"mesage.py\"\n\n\
        [[route]]\nuser = \"b\"\napp = \"announcement\"\nfile = \"closed.wav\"\n\n\
        [[route]]\nuser = \"c\"\napp = \"announcement\"\nfile = \"open.wav\"\n";
    fs::write(folder.path().join("sems.toml"), routes).expect("written");
    fs::write(folder.path().join("open.wav"), "").expect("written");
    let output = sems(folder.path(), &["check"], &[]);
    assert_eq!(output.status.code(), Some(0), "it may come later");
    let mut expected = String::new();
    if cfg!(feature = "ivr") {
        expected += "warning: sems.toml:4: route.script: ivr_scripts/mesage.py is not there\n";
    }
    assert_eq!(
        text(&output.stderr),
        expected + "warning: sems.toml:9: route.file: closed.wav is not there\n"
    );
    fs::write(folder.path().join("sems.toml"), format!("{routes}colour = 1\n")).expect("written");
    let output = sems(folder.path(), &["check"], &[]);
    assert_eq!(output.status.code(), Some(64));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains(": unknown field `colour`") && stderr.contains("or one of the conditions `user`"),
        "{stderr}"
    );
    assert!(stderr.contains("sems.toml:9: route.file: warning: closed.wav is not there"), "{stderr}");
}
