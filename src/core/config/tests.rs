//! The shipped file, the faults and their places, the environment.

use std::path::Path;

use sems_app::{ConfigError, Params, Plugin};

use super::{env::Variables, read::Source, *};
use crate::routing::Target;

const SHIPPED: &str = include_str!("../../../sems.toml");

fn check(params: &Params) -> Result<(), ConfigError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[serde(default)]
        #[allow(dead_code, reason = "only its type is asked for")]
        mailbox: String,
    }
    params.read::<Known>().map(|_| ())
}

fn check_table(table: &Params) -> Result<(), ConfigError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[serde(default)]
        #[allow(dead_code, reason = "only its type is asked for")]
        max_duration: String,
        #[serde(default)]
        #[allow(dead_code, reason = "only its type is asked for")]
        copies: u32,
    }
    table.read::<Known>().map(|_| ())
}

const PLUGINS: &[Plugin] =
    &[Plugin { name: "voicemail", check, check_table, files: Params::no_files, load: |_| Ok(()) }];

fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let env = env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Config::parse(Some(Path::new("sems.toml")), text, env, PLUGINS)
        .map_err(|ConfigFaults(faults)| faults.iter().map(Fault::to_string).collect())
}

fn faults(text: &str) -> Vec<String> {
    parse(text, &[]).expect_err("has faults")
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let mut shipped = Config::parse(None, SHIPPED, [], &[]).expect("no fault");
    let voicemail = shipped.plugins.remove("voicemail").expect("shown, as everybody looks for its 30s");
    assert_eq!(voicemail.text("max_duration"), Some("30s"));
    // The tables of the other plugins are compared with their defaults where those are known: in the plugins.
    shipped.plugins.clear();
    shipped.warnings.clear();
    assert_eq!(shipped, Config::default());
}

#[test]
fn the_shipped_file_shows_every_key() {
    // What is commented out is shown as well: the marks are taken off first.
    let bare = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned();
    let settings = SHIPPED.lines().filter(|line| line.contains(" = ") || line.contains('[')).map(bare);
    let mut section = String::new();
    let mut shown = Vec::new();
    for line in settings {
        if line.starts_with('[') {
            section = line.split(']').next().unwrap_or_default().trim_start_matches('[').to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            shown.push(format!("{section}.{key}"));
        }
    }
    let mut source = Source::new(None);
    let mut config = Config::default();
    let mut root = source.parse("[[account]]\nuser = \"x\"\n[[route]]\napp = \"x\"\n[[advertise]]\nport = 1");
    config.read_sections(&mut root, &mut source, &mut Variables::new([]));
    advertise::read(root.remove("advertise"), &[], &mut source);
    account::read(root.remove("account"), &["localhost".to_owned()], &mut source);
    route::read(root.remove("route"), &[], &BTreeMap::new(), &mut source);
    assert!(source.asked.len() > 40, "{:?}", source.asked);
    for key in &source.asked {
        assert!(shown.contains(key), "sems.toml does not show {key}");
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    assert_eq!(Config::load(None, [], &[]), Ok(Config::default()));
}

#[test]
fn every_fault_is_told_with_its_line_and_key() {
    let text = "\
[server]
domain = [\"example.org\"]
[sip]
listen = [\"udp:0.0.0.0:5060\", \"sctp:0.0.0.0:5060\"]
trusted = \"10.0.0.0/40\"
[media]
rtp_ports = \"10001-20000\"
workers = 0
rtp_timeout = 60
[calls]
ring_timeout = \"25\"
max = 0
[store]
database = \"postgres://db\"
[[account]]
user = \"alice\"
domain = \"example.com\"
[[account]]
domain = \"localhost\"
[[route]]
user = \"echo\"
[[route]]
on = [\"away\"]
app = \"voicemail\"
[[route]]
user = \"record\"
app = \"voicemail\"
mailbax = \"alice\"
[nonsense]
";
    let found = faults(text);
    for expected in [
        "sems.toml:2: server.domain: unknown key",
        "sems.toml:4: sip.listen: \"sctp:0.0.0.0:5060\" is not of the form",
        "sems.toml:5: sip.trusted: \"10.0.0.0/40\" is no address or block",
        "sems.toml:7: media.rtp_ports: 10001-20000 must begin with an even port",
        "sems.toml:8: media.workers: \"auto\" or a number",
        "sems.toml:9: media.rtp_timeout: text is expected, not a whole number",
        "sems.toml:11: calls.ring_timeout: the unit of a duration",
        "sems.toml:12: calls.max: 0 would refuse every call",
        "sems.toml:14: store.database: PostgreSQL is not supported yet",
        "sems.toml:17: account.domain: \"example.com\" is none of server.domains: localhost",
        "sems.toml:18: account.user: an account needs a user name",
        "sems.toml:20: route.app: a route needs either an application",
        "sems.toml:23: route.on: \"away\" is none of",
        "sems.toml:28: route.mailbax: unknown field `mailbax`",
        "sems.toml:29: nonsense: unknown section",
    ] {
        assert!(
            found.iter().any(|fault| fault.starts_with(expected)),
            "{expected}\nnot in\n{}",
            found.join("\n")
        );
    }
    assert_eq!(found.len(), 15, "{}", found.join("\n"));
}

#[test]
fn a_file_that_is_no_toml_is_told_where() {
    let found = faults("[server]\ndata_dir = \"var\"\n[sip\nlisten = 1\n");
    assert!(found.iter().any(|fault| fault.starts_with("sems.toml:3: ")), "{found:?}");
    let found = faults("[calls]\nmax = 1\nmax = 2\n");
    assert!(found.iter().any(|fault| fault.starts_with("sems.toml:3: ")), "{found:?}");
}

#[test]
fn a_secure_listener_needs_a_certificate_and_its_key() {
    for scheme in ["tls", "wss"] {
        // Any file that is there: what is in it is looked at by whoever starts.
        let there = std::env::current_exe().expect("a file").display().to_string();
        let text = format!("[sip]\nlisten = [\"{scheme}:0.0.0.0:5061\"]\n[tls]\ncertificate = \"{there}\"");
        let reason = format!("is missing, and \"{scheme}:0.0.0.0:5061\" of sip.listen needs it");
        assert_eq!(faults(&text), [format!("sems.toml:3: tls.key: {reason}")]);
        parse(&format!("{text}\nkey = \"{there}\""), &[]).expect("no fault");
        let missing = "sems.toml:5: tls.key: there is no file /nowhere/k.pem";
        assert_eq!(faults(&format!("{text}\nkey = \"/nowhere/k.pem\"")), [missing]);
    }
    parse("[sip]\nlisten = [\"ws:0.0.0.0:80\"]", &[]).expect("no fault");
}

#[test]
fn limits_that_contradict_each_other_are_faults() {
    for (text, key) in [
        ("[registrar]\nmin_expires = \"2h\"", "registrar.max_expires"),
        ("[registrar]\nmin_expires = \"60s\"\nmax_expires = \"30s\"", "registrar.max_expires"),
        ("[sip]\nsession_expires = \"60s\"", "sip.session_expires"),
        ("[sip]\nmin_session_expires = \"30s\"", "sip.min_session_expires"),
        ("[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]", "sip.listen"),
        ("[sip]\nlisten = []", "sip.listen"),
        ("[media]\ncodecs = []", "media.codecs"),
        ("[server]\ndomains = []", "server.domains"),
    ] {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].contains(&format!(" {key}: ")), "{text}: {found:?}");
    }
    assert!(parse("[sip]\nsession_expires = \"0s\"", &[]).is_ok(), "zero asks for no session timer");
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "[sip]\nlisten = [\"udp:0.0.0.0:5060\"]\n[calls]\nmax = 7\n";
    let env = [
        ("SEMS_SIP_LISTEN", "udp:127.0.0.1:0, tcp:127.0.0.1:0"),
        ("SEMS_CALLS_MAX", "9"),
        ("SEMS_SERVER_DOMAINS", "Example.org,example.com"),
        ("SEMS_MEDIA_RTP_TIMEOUT", "5s"),
        ("SEMS_MEDIA_WORKERS", "2"),
        ("SEMS_MAIL_PASSWORD", "hunter2"),
        ("SEMS_PLUGINS_VOICEMAIL_MAX_DURATION", "5s"),
        ("SEMS_PLUGINS_VOICEMAIL_COPIES", "3"),
        ("SEMS_UNRELATED", "x"),
        ("PATH", "/bin"),
    ];
    let config = parse(text, &env).expect("no fault");
    let listens: Vec<String> = config.sip.listen.iter().map(Listen::to_string).collect();
    assert_eq!(listens, ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]);
    assert_eq!(config.calls.max, 9);
    assert_eq!(config.server.domains, ["example.org", "example.com"]);
    assert_eq!(config.media.rtp_timeout, Duration::from_secs(5));
    assert_eq!(config.media.workers, Workers::Count(2));
    assert_eq!(config.mail.password.expect("given").expose(), "hunter2");
    let voicemail = &config.plugins["voicemail"];
    assert_eq!(voicemail.text("max_duration"), Some("5s"));
    assert_eq!(voicemail.0["copies"].as_integer(), Some(3));
}

#[test]
fn a_bad_override_names_its_variable() {
    let found = parse("", &[("SEMS_CALLS_MAX", "many")]).expect_err("refused");
    assert_eq!(found, ["SEMS_CALLS_MAX: calls.max: a whole number is expected, not \"many\""]);
    let found = parse("", &[("SEMS_CALLS_MAXIMUM", "1")]).expect_err("refused");
    assert_eq!(found, ["SEMS_CALLS_MAXIMUM: unknown key"]);
    let found = parse("[calls]\nmax = \"x\"", &[("SEMS_CALLS_MAX", "1")]);
    assert!(found.is_ok(), "what is overridden does not count: {found:?}");
}

#[test]
fn a_table_of_a_plugin_is_checked_with_its_overrides() {
    let found = faults("[plugins.voicemail]\ncopies = 2\nmax_durations = \"30s\"");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("sems.toml:3: plugins.voicemail.max_durations: unknown field"), "{found:?}");
    let found = parse("", &[("SEMS_PLUGINS_VOICEMAIL_COPIES", "many")]).expect_err("refused");
    assert!(found[0].starts_with("SEMS_PLUGINS_VOICEMAIL_*: plugins.voicemail: "), "{found:?}");
    assert!(parse("[plugins.unknown]\nx = 1", &[]).is_ok_and(|config| config.warnings.len() == 1));
}

#[test]
fn secrets_come_from_files_and_stay_out_of_sight() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("alice.secret"), "hunter2\n").expect("written");
    let text = "[[account]]\nuser = \"alice\"\npassword = { file = \"alice.secret\" }\npin = \"4711\"\n";
    let path = folder.path().join("sems.toml");
    let config = Config::parse(Some(&path), text, [], &[]).expect("no fault");
    let [alice] = &config.accounts[..] else { panic!("one account: {:?}", config.accounts) };
    assert_eq!(alice.password.as_ref().map(Secret::expose), Some("hunter2"));
    assert_eq!(alice.domain, "localhost");
    assert!(alice.mailbox);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("4711"), "{shown}");
    assert_eq!(config.server.data_dir, folder.path().join("var"), "below the folder of the file");
    let found = faults("[[account]]\nuser = \"a\"\npassword = { file = \"absent\" }\npin = \"12a4\"");
    assert_eq!(
        found,
        [
            "sems.toml:3: account.password: there is no file absent",
            "sems.toml:4: account.pin: a PIN is 4 to 16 digits"
        ]
    );
}

#[test]
fn an_account_stands_once() {
    let found = faults("[[account]]\nuser = \"a\"\n[[account]]\nuser = \"a\"\ndomain = \"LOCALHOST\"");
    assert_eq!(found, ["sems.toml:3: account.user: a@localhost stands here twice"]);
}

#[test]
fn a_route_keeps_its_parameters_and_warns_of_what_is_not_built_in() {
    let text = "[[route]]\nuser = [\"a*\", \"b\"]\napp = \"sing\"\nsong = \"x\"\nloop = true\n";
    let config = parse(text, &[]).expect("a warning only");
    let warning = config.warnings.first().expect("a warning").to_string();
    assert!(
        warning.starts_with("sems.toml:3: route.app: the application \"sing\" is not built in"),
        "{warning}"
    );
    let [route] = &config.routes[..] else { panic!("one route: {:?}", config.routes) };
    assert_eq!(route.when.user.len(), 2);
    let Target::App { name, params } = &route.target else { panic!("{route:?}") };
    assert_eq!((name.as_str(), params.text("song")), ("sing", Some("x")));
    assert_eq!(params.0["loop"].as_bool(), Some(true));
}

#[test]
fn no_routes_are_the_default_ones_unless_none_are_wanted() {
    assert_eq!(parse("", &[]).expect("no fault").routes, Config::default().routes);
    assert_eq!(parse("route = []", &[]).expect("no fault").routes, []);
    let found = faults("[[route]]\nuser = []\napp = \"voicemail\"");
    assert!(found[0].contains("route.user: an empty list"), "{found:?}");
}

#[test]
fn a_file_is_found_beside_the_configuration_first() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("Cargo.toml"), "").expect("written");
    let config = Config { file: Some(folder.path().join("sems.toml")), ..Config::default() };
    assert_eq!(config.find("Cargo.toml"), Some(folder.path().join("Cargo.toml")));
    let places = config.places("sounds");
    assert_eq!(places[..2], [folder.path().join("sounds"), PathBuf::from("sounds")]);
    assert_eq!(places.last(), Some(&PathBuf::from("/usr/share/sems/sounds")));
    assert_eq!(config.find("no such file"), None);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let faults = Config::load(Some(Path::new("/nonexistent/sems.toml")), [], &[]).expect_err("no file");
    assert!(faults.to_string().starts_with("/nonexistent/sems.toml: "), "{faults}");
}
