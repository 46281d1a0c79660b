//! `[[route]]`.

use std::collections::BTreeMap;

use sems_app::{Params, Plugin, Scheme, Uri};
use toml::Table;

use super::{
    fault, path,
    read::{Given, Node, Section, Source, Tree},
    setting::Setting,
};
use crate::routing::{Conditions, Route, Target, default_routes};

/// The keys of a route beside those of its application.
const CONDITIONS: &str = "`user`, `domain`, `from`, `method`, `source`, `registered`, `on`";

/// Reads every `[[route]]`; one with a fault is left out.
pub(super) fn read(
    node: Option<Node>,
    plugins: &[Plugin],
    tables: &BTreeMap<String, Params>,
    source: &mut Source,
) -> Vec<Route> {
    let Some(node) = node else { return default_routes() };
    let Tree::Tables(items) = node.value else {
        source.fault(node.line, "route", "routes are written [[route]]");
        return Vec::new();
    };
    let mut routes = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let Tree::Table(keys) = item.value else { continue };
        let (when, name, params) = {
            let mut section = Section::item("route", item.line, keys, source);
            let when = conditions(&mut section);
            match (section.take::<String>("app"), section.take::<String>("relay")) {
                (Some(name), None) => (when, name, section.rest()),
                (None, Some(to)) => {
                    if let Some(to) = relay(&mut section, to) {
                        routes.push(Route { index, when, target: Target::Relay { to } });
                    }
                    continue;
                }
                _ => {
                    section.fault("app", "a route needs either an application (app) or a server (relay)");
                    continue;
                }
            }
        };
        let lines: Vec<(String, usize)> = params.iter().map(|(key, node)| (key.clone(), node.line)).collect();
        let table: Table = params.iter().map(|(key, node)| (key.clone(), node.plain())).collect();
        let params = Params(table);
        let told = check(&name, &params, plugins, &lines, item.line, source);
        if let Some(plugin) = told {
            find_files(plugin, &params, tables, &lines, item.line, source);
        }
        routes.push(Route { index, when, target: Target::App { name: name.value, params } });
    }
    routes
}

/// `relay = "sip:host:port;transport=tcp"`: the server that calls are passed on to.
fn relay(section: &mut Section<'_>, given: Given<String>) -> Option<Uri> {
    let uri: Option<Uri> = given.value.parse().ok();
    let uri = uri.filter(|uri| uri.scheme() == Scheme::Sip && uri.user().is_none());
    if uri.is_none() {
        section.fault_at(given.place, "relay", "expected a server as in \"sip:host:5060;transport=udp\"");
    }
    uri
}

fn conditions(section: &mut Section<'_>) -> Conditions {
    fn list<T: Setting>(section: &mut Section<'_>, key: &str) -> Vec<T> {
        let Some(given) = section.take::<Vec<T>>(key) else { return Vec::new() };
        if given.value.is_empty() {
            // An empty list would silently be no condition at all.
            section.fault_at(given.place, key, "an empty list never matches; leave the key out to match all");
        }
        given.value
    }
    Conditions {
        user: list(section, "user"),
        domain: list(section, "domain"),
        from: list(section, "from"),
        method: list(section, "method"),
        source: list(section, "source"),
        registered: section.take("registered").map(|given| given.value),
        on: list(section, "on"),
    }
    .normalized()
}

/// The plugin, if its parameters are right.
fn check<'a>(
    name: &Given<String>,
    params: &Params,
    plugins: &'a [Plugin],
    lines: &[(String, usize)],
    line: usize,
    source: &mut Source,
) -> Option<&'a Plugin> {
    let Some(plugin) = plugins.iter().find(|plugin| plugin.name == name.value) else {
        let reason = format!("the application \"{}\" is not built in: calls to it get 404", name.value);
        let line = match &name.place {
            super::Place::Line(_, line) => *line,
            _ => line,
        };
        source.warn(line, "route.app", reason);
        return None;
    };
    let Err(error) = (plugin.check)(params) else { return Some(plugin) };
    let culprit = lines.iter().find(|(key, _)| fault::is_about(&error, key));
    let (key, line) = match culprit {
        Some((key, line)) => (format!("route.{key}"), *line),
        None if error.key.is_empty() => ("route".to_owned(), line),
        None => (format!("route.{}", error.key), line),
    };
    let mut reason = error.reason.trim().to_owned();
    if reason.starts_with("unknown field") {
        reason.push_str("; or one of the conditions ");
        reason.push_str(CONDITIONS);
    }
    source.fault(line, key, reason);
    None
}

/// Warns of files that are not there.
fn find_files(
    plugin: &Plugin,
    params: &Params,
    tables: &BTreeMap<String, Params>,
    lines: &[(String, usize)],
    line: usize,
    source: &mut Source,
) {
    let table = tables.get(plugin.name).cloned().unwrap_or_default();
    for (key, path) in (plugin.files)(params, &table) {
        if path::find(source.file.as_deref(), &path).is_none() {
            let line = lines.iter().find(|(name, _)| name == key).map_or(line, |(_, line)| *line);
            source.warn(line, format!("route.{key}"), format!("{path} is not there"));
        }
    }
}
