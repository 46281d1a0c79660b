//! Reading a configuration: file, environment, checks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use sems_app::{ConfigError, Params, Plugin};
use toml::Value;

use super::{
    Config, ConfigFaults, Fault, Place, account, advertise,
    env::Variables,
    fault, mail, path,
    read::{Node, Section, Source, Tree},
    route,
};

impl Config {
    /// Reads `path` (none: the defaults), overridden by the variables of `env`, and checks all of it. `plugins`
    /// are those built in: their `check` sees the parameters of the routes to them.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        plugins: &[Plugin],
    ) -> Result<Self, ConfigFaults> {
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                let place = Place::File(path.to_owned());
                ConfigFaults(vec![Fault { place, key: String::new(), reason: error.to_string() }])
            })?,
        };
        Self::parse(path, &text, env, plugins)
    }

    /// The same for a text that was read already; `path` is its name, and relative paths start beside it.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn parse(
        path: Option<&Path>,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        plugins: &[Plugin],
    ) -> Result<Self, ConfigFaults> {
        let mut source = Source::new(path);
        let mut root = source.parse(text);
        let mut variables = Variables::new(env);
        let mut config = Self { file: path.map(Path::to_owned), ..Self::default() };
        config.read_sections(&mut root, &mut source, &mut variables);
        config.advertise = advertise::read(root.remove("advertise"), &config.sip.listen, &mut source);
        config.accounts = account::read(root.remove("account"), &config.server.domains, &mut source);
        config.plugins = read_plugins(root.remove("plugins"), plugins, &mut source, &mut variables);
        config.routes = route::read(root.remove("route"), plugins, &config.plugins, &mut source);
        for (key, node) in root {
            source.fault(node.line, key, "unknown section");
        }
        source.faults.extend(variables.finish());
        let Source { mut faults, warnings, .. } = source;
        if faults.is_empty() {
            config.warnings = warnings;
            return Ok(config);
        }
        let warning = |fault: Fault| Fault { reason: format!("warning: {}", fault.reason), ..fault };
        faults.extend(warnings.into_iter().map(warning));
        faults.sort_by_key(|fault| match &fault.place {
            Place::File(_) => 0,
            Place::Line(_, line) => *line,
            Place::Variable(_) => usize::MAX,
        });
        Err(ConfigFaults(faults))
    }

    pub(super) fn read_sections(
        &mut self,
        root: &mut BTreeMap<String, Node>,
        source: &mut Source,
        variables: &mut Variables,
    ) {
        self.read_server(Section::open("server", root, source, variables));
        self.read_sip(Section::open("sip", root, source, variables));
        self.read_streams(Section::open("streams", root, source, variables));
        self.read_tls(Section::open("tls", root, source, variables));
        self.read_dns(Section::open("dns", root, source, variables));
        self.read_media(Section::open("media", root, source, variables));
        self.read_calls(Section::open("calls", root, source, variables));
        self.read_abuse(Section::open("abuse", root, source, variables));
        self.read_registrar(Section::open("registrar", root, source, variables));
        let mut http = Section::open("http", root, source, variables);
        http.set("listen", &mut self.http.listen, |_| Ok(()));
        http.finish();
        let mut store = Section::open("store", root, source, variables);
        store.set("database", &mut self.store.database, |text| mail::check_database(text));
        store.set("recordings", &mut self.store.recordings, |text| mail::check_recordings(text));
        store.finish();
        let mut section = Section::open("mail", root, source, variables);
        section.set("transport", &mut self.mail.transport, |text| mail::check_transport(text));
        section.set("from", &mut self.mail.from, |text| mail::check_sender(text));
        self.mail.password = section.secret("password").map(|given| given.value);
        section.finish();
        let mut log = Section::open("log", root, source, variables);
        log.set("level", &mut self.log.level, |text| check_level(text));
        log.finish();
    }

    fn read_server(&mut self, mut section: Section<'_>) {
        section.set("data_dir", &mut self.server.data_dir, |_| Ok(()));
        self.server.data_dir = path::beside(self.file.as_deref()).join(&self.server.data_dir);
        section.set("domains", &mut self.server.domains, |domains| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
            match domains.iter().find(|domain| !domain.chars().all(legal)) {
                Some(domain) => Err(format!("\"{domain}\" is no domain")),
                None => not_empty(domains),
            }
        });
        self.server.domains.iter_mut().for_each(|domain| domain.make_ascii_lowercase());
        section.finish();
    }

    fn read_sip(&mut self, mut section: Section<'_>) {
        let sip = &mut self.sip;
        section.set("listen", &mut sip.listen, |listens| {
            let twice = listens
                .iter()
                .enumerate()
                .find(|(at, listen)| listen.address.port() != 0 && listens[..*at].contains(listen));
            match twice {
                Some((_, listen)) => Err(format!("\"{listen}\" stands here twice")),
                None => not_empty(listens),
            }
        });
        section.set("public_address", &mut sip.public_address, |_| Ok(()));
        section.set("trusted", &mut sip.trusted, |_| Ok(()));
        section.set("digest", &mut sip.digest, |algorithms| not_empty(algorithms));
        section.set("trace_mib", &mut sip.trace_mib, |mib| {
            if *mib <= 256 { Ok(()) } else { Err("is more than 256".to_owned()) }
        });
        section.set("user_agent", &mut sip.user_agent, |_| Ok(()));
        section.set("min_session_expires", &mut sip.min_session_expires, |value| {
            at_least(*value, 90, "RFC 4028 allows nothing below 90s")
        });
        section.set("failover_after", &mut sip.failover_after, |value| {
            at_least(*value, 1, "a server may need 1s to answer")
        });
        let place = section.set("session_expires", &mut sip.session_expires, |_| Ok(()));
        if !sip.session_expires.is_zero() && sip.session_expires < sip.min_session_expires {
            section.fault_at(place, "session_expires", "is shorter than sip.min_session_expires");
        }
        section.finish();
    }

    fn read_streams(&mut self, mut section: Section<'_>) {
        let streams = &mut self.streams;
        let some = |max: &usize| {
            if *max == 0 { Err("0 would refuse every connection".to_owned()) } else { Ok(()) }
        };
        section.set("max", &mut streams.max, some);
        section.set("max_per_peer", &mut streams.max_per_peer, some);
        section.set("max_half_open", &mut streams.max_half_open, some);
        section.set("half_open_timeout", &mut streams.half_open_timeout, |value| {
            at_least(*value, 1, "no peer sends anything in less than 1s")
        });
        section.set("idle_timeout", &mut streams.idle_timeout, |value| {
            at_least(*value, 1, "no connection would last")
        });
        section.set("ping", &mut streams.ping, |value| at_least(*value, 1, "would be nothing but pings"));
        section.set("max_message", &mut streams.max_message, |bytes| match bytes {
            4096..=1_048_576 => Ok(()),
            _ => Err(format!("{bytes} is not between 4096 and 1048576")),
        });
        section.finish();
    }

    fn read_tls(&mut self, mut section: Section<'_>) {
        let tls = &mut self.tls;
        let file = self.file.as_deref();
        for (key, setting) in [
            ("certificate", &mut tls.certificate),
            ("key", &mut tls.key),
            ("authorities", &mut tls.authorities),
        ] {
            let Some(given) = section.take::<PathBuf>(key) else { continue };
            let found = given.value.to_str().and_then(|text| path::find(file, text));
            if found.is_none() {
                section.fault_at(given.place, key, format!("there is no file {}", given.value.display()));
            }
            // One that is not there is not missing from the table as well.
            *setting = Some(found.unwrap_or(given.value));
        }
        let secure = self.sip.listen.iter().find(|listen| listen.transport.is_secure());
        for (key, setting) in [("certificate", &tls.certificate), ("key", &tls.key)] {
            if let Some(listen) = secure.filter(|_| setting.is_none()) {
                section.fault(key, format!("is missing, and \"{listen}\" of sip.listen needs it"));
            }
        }
        section.finish();
    }

    fn read_dns(&mut self, mut section: Section<'_>) {
        let dns = &mut self.dns;
        section.set("servers", &mut dns.servers, |_| Ok(()));
        section.set("timeout", &mut dns.timeout, |value| {
            if *value < Duration::from_millis(100) {
                Err("no server answers so fast".to_owned())
            } else {
                Ok(())
            }
        });
        section.set("avoid", &mut dns.avoid, |_| Ok(()));
        section.finish();
    }

    fn read_media(&mut self, mut section: Section<'_>) {
        let media = &mut self.media;
        section.set("rtp_ports", &mut media.rtp_ports, |_| Ok(()));
        section.set("workers", &mut media.workers, |_| Ok(()));
        section.set("io", &mut media.io, |_| Ok(()));
        section.set("rtp_timeout", &mut media.rtp_timeout, |_| Ok(()));
        section.set("codecs", &mut media.codecs, |codecs| not_empty(codecs));
        section.set("language", &mut media.language, |name| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            name.chars().all(legal).then_some(()).ok_or_else(|| format!("\"{name}\" is no language"))
        });
        section.set("sounds", &mut media.sounds, |_| Ok(()));
        section.finish();
    }

    fn read_calls(&mut self, mut section: Section<'_>) {
        section.set("ring_timeout", &mut self.calls.ring_timeout, |value| {
            at_least(*value, 1, "nobody answers in less than 1s")
        });
        section.set("max", &mut self.calls.max, |max| {
            if *max == 0 { Err("0 would refuse every call".to_owned()) } else { Ok(()) }
        });
        section.set("per_second", &mut self.calls.per_second, |_| Ok(()));
        section.set("max_per_source", &mut self.calls.max_per_source, |_| Ok(()));
        section.finish();
    }

    fn read_abuse(&mut self, mut section: Section<'_>) {
        section.set("exempt", &mut self.abuse.exempt, |_| Ok(()));
        section.set("failures", &mut self.abuse.failures, |_| Ok(()));
        let short = |value: &Duration| at_least(*value, 1, "is shorter than a second");
        section.set("within", &mut self.abuse.within, short);
        section.set("ban", &mut self.abuse.ban, short);
        section.set("requests_per_second", &mut self.abuse.requests_per_second, |_| Ok(()));
        section.finish();
    }

    fn read_registrar(&mut self, mut section: Section<'_>) {
        let registrar = &mut self.registrar;
        section.set("min_expires", &mut registrar.min_expires, |value| {
            at_least(*value, 1, "a registration lasts at least 1s")
        });
        let place = section.set("max_expires", &mut registrar.max_expires, |value| {
            if value.as_secs() <= u64::from(u32::MAX) { Ok(()) } else { Err("is too long".to_owned()) }
        });
        if registrar.max_expires < registrar.min_expires {
            section.fault_at(place, "max_expires", "is shorter than registrar.min_expires");
        }
        section.set("max_contacts", &mut registrar.max_contacts, |max| {
            if *max == 0 { Err("0 would refuse every registration".to_owned()) } else { Ok(()) }
        });
        section.finish();
    }
}

fn not_empty<T>(list: &[T]) -> Result<(), String> {
    if list.is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
}

fn at_least(value: Duration, seconds: u64, reason: &str) -> Result<(), String> {
    if value < Duration::from_secs(seconds) { Err(reason.to_owned()) } else { Ok(()) }
}

fn check_level(text: &str) -> Result<(), String> {
    let level = |text: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].iter().any(|l| l.eq_ignore_ascii_case(text))
    };
    let fits = |part: &str| match part.split_once('=') {
        Some((target, name)) => !target.trim().is_empty() && level(name.trim()),
        None => level(part.trim()),
    };
    if text.split(',').all(fits) {
        return Ok(());
    }
    Err(format!(
        "\"{text}\" is none of error, warn, info, debug, trace, nor directives such as \"info,sems_core=debug\""
    ))
}

fn read_plugins(
    node: Option<Node>,
    plugins: &[Plugin],
    source: &mut Source,
    variables: &mut Variables,
) -> BTreeMap<String, Params> {
    let mut found = match node {
        None => BTreeMap::new(),
        Some(Node { value: Tree::Table(found), .. }) => found,
        Some(Node { line, .. }) => {
            source.fault(line, "plugins", "plugins are written [plugins.<name>]");
            BTreeMap::new()
        }
    };
    let mut tables = BTreeMap::new();
    for plugin in plugins {
        let node = found.remove(plugin.name);
        let overrides = variables.plugin(plugin.name);
        if node.is_none() && overrides.is_empty() {
            continue;
        }
        let mut table = node.as_ref().and_then(|node| node.plain().as_table().cloned()).unwrap_or_default();
        let overridden = !overrides.is_empty();
        table.extend(overrides);
        let params = Params(table);
        if let Err(error) = (plugin.check_table)(&params) {
            let fault = table_fault(plugin.name, node.as_ref(), overridden, &error, source);
            source.faults.push(fault);
        }
        tables.insert(plugin.name.to_owned(), params);
    }
    for (name, node) in found {
        source.warn(node.line, format!("plugins.{name}"), "this plugin is not built in");
        if let Value::Table(table) = node.plain() {
            tables.insert(name, Params(table));
        }
    }
    tables
}

/// Where a plugin's complaint belongs: to the key it names, else to the table, else to the environment.
fn table_fault(
    plugin: &str,
    node: Option<&Node>,
    overridden: bool,
    error: &ConfigError,
    source: &Source,
) -> Fault {
    let reason = error.reason.trim().to_owned();
    let culprit = match node {
        Some(Node { value: Tree::Table(keys), .. }) => {
            keys.iter().find(|(key, _)| fault::is_about(error, key))
        }
        _ => None,
    };
    match (culprit, node) {
        (Some((key, at)), _) => {
            Fault { place: source.place(at.line), key: format!("plugins.{plugin}.{key}"), reason }
        }
        (None, Some(node)) if !overridden => {
            Fault { place: source.place(node.line), key: format!("plugins.{plugin}"), reason }
        }
        _ => {
            let variables = format!("SEMS_PLUGINS_{}_*", plugin.to_ascii_uppercase());
            Fault { place: Place::Variable(variables), key: format!("plugins.{plugin}"), reason }
        }
    }
}
