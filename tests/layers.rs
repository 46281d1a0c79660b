//! Who may depend on whom, and nothing else: the house of `docs/architecture.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// What each crate may use of the others. Plugins are the crates below `plugins/`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("sems-sip", &[]),
    ("sems-media", &[]),
    ("sems-app", &[]),
    ("sems-store", &["sems-app"]),
    ("sems-core", &["sems-sip", "sems-media", "sems-app", "sems-store"]),
    ("sems-web", &["sems-app", "sems-store", "sems-core"]),
];
const PLUGIN: &[&str] = &["sems-app"];
/// The sans-IO crates use none of these: no runtime, no socket, no thread.
const SANS_IO: [&str; 2] = ["sems-sip", "sems-media"];
const RUNTIMES: [&str; 6] = ["tokio", "async-std", "smol", "socket2", "mio", "rustix"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

/// Each package, whether it is a plugin, and its dependencies in the product (not those of its tests).
fn packages(metadata: &Value) -> BTreeMap<String, (bool, BTreeSet<String>)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let package = |package: &Value| {
        let plugin = text(&package["manifest_path"]).contains("/plugins/");
        let dependencies = package["dependencies"].as_array().expect("a list");
        let used = dependencies.iter().filter(|d| d["kind"].as_str() != Some("dev"));
        (text(&package["name"]), (plugin, used.map(|d| text(&d["name"])).collect()))
    };
    metadata["packages"].as_array().expect("a list").iter().map(package).collect()
}

/// Every edge that the house does not have.
fn forbidden(packages: &BTreeMap<String, (bool, BTreeSet<String>)>) -> Vec<String> {
    let mut faults = Vec::new();
    // The root package composes: it may use all.
    for (name, (plugin, dependencies)) in packages.iter().filter(|(name, _)| *name != "sems") {
        let allowed = match ALLOWED.iter().find(|(crate_name, _)| crate_name == name) {
            Some((_, allowed)) => *allowed,
            None if *plugin => PLUGIN,
            None => {
                faults.push(format!("{name} has no place in the house"));
                continue;
            }
        };
        for used in dependencies {
            let ours = packages.contains_key(used);
            if ours && !allowed.contains(&used.as_str()) {
                faults.push(format!("{name} uses {used}"));
            }
            if SANS_IO.contains(&name.as_str()) && RUNTIMES.contains(&used.as_str()) {
                faults.push(format!("{name} is sans-IO and uses {used}"));
            }
        }
    }
    faults
}

#[test]
fn nobody_uses_whom_he_may_not() {
    let packages = packages(&metadata());
    for (name, _) in ALLOWED {
        assert!(packages.contains_key(*name), "{name} is gone: the list is out of date");
    }
    assert_eq!(forbidden(&packages), Vec::<String>::new());
}

#[test]
fn a_wrong_edge_is_found() {
    for (from, to) in [
        ("sems-app", "sems-core"),
        ("sems-sip", "sems-media"),
        ("sems-store", "sems-core"),
        ("sems-core", "sems-web"),
        ("echo", "sems-core"),
        ("echo", "voicemail"),
        ("sems-media", "tokio"),
        ("sems-app", "sems"),
    ] {
        let mut packages = packages(&metadata());
        let (_, dependencies) = packages.get_mut(from).expect("a crate");
        dependencies.insert(to.to_owned());
        let faults = forbidden(&packages);
        assert!(
            faults.len() == 1 && faults[0].ends_with(&format!("uses {to}")),
            "{from} -> {to}: {faults:?}"
        );
    }
}
