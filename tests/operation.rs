//! The server as its operator meets it: start, stop, reload, API.

mod field;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use field::{Program, Server, eventually, line::Line, phone::Caller, root, rows::PYTHON};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// `sems` with a configuration that shall be refused, to its end.
fn refused(folder: &Path, command: &str, text: &str) -> Output {
    let path = folder.join("sems.toml");
    fs::write(&path, text).expect("written");
    let mut sems = Command::new(env!("CARGO_BIN_EXE_sems"));
    sems.args([command, "--config"]).arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = Program::start(&mut sems);
    let status = program.wait(PATIENCE).expect("it ends by itself");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    program.0.stdout.take().expect("standard output").read_to_end(&mut stdout).expect("read");
    program.0.stderr.take().expect("standard error").read_to_end(&mut stderr).expect("read");
    Output { status, stdout, stderr }
}

/// `GET path`, with this Authorization: status and body.
fn get(http: SocketAddr, path: &str, authorization: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(http).expect("HTTP answers");
    let line =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{line}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn json(server: &Server, path: &str) -> serde_json::Value {
    let (status, body) = server.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

fn calls(server: &Server, count: usize) -> serde_json::Value {
    eventually(&format!("{count} calls"), PATIENCE, || {
        let calls = json(server, "/api/v1/calls");
        (calls.as_array().map(Vec::len) == Some(count)).then_some(calls)
    })
}

/// When `ready` is printed, everything that it names is bound.
#[test]
fn ready_means_ready() {
    let server = Server::start("");
    for address in [server.udp, server.tcp, server.http] {
        assert_ne!(address.port(), 0);
    }
    assert!(UdpSocket::bind(server.udp).is_err(), "the UDP port is taken");
    TcpStream::connect(server.tcp).expect("SIP over TCP");
    assert_eq!(get(server.http, "/healthz", ""), (200, "ok\n".to_owned()));
}

/// A configuration that cannot be is told with file, line, key and reason, all faults at once, before any port is
/// opened and any file is made.
#[test]
fn bad_configurations_end_before_anything_begins() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    // A taken port, too, would end the server: but it is not tried.
    let text = format!(
        "[server]\ndata_dir = \"var\"\n\n[sip]\nlisten = [\"udp:{address}\"]\nlissten = 1\n\n[calls]\n\
         ring_timeout = \"soon\"\n\n[plugins.voicemail]\nmode = \"loud\"\n\n[[route]]\nuser = \"x\"\n\
         app = \"announcement\"\n"
    );
    for command in ["check", "serve"] {
        let folder = TempDir::new().expect("a folder");
        let output = refused(folder.path(), command, &text);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{command}: {stderr}");
        assert!(output.stdout.is_empty(), "{command}: no `ready`");
        let file = folder.path().join("sems.toml").display().to_string();
        for place in
            ["6: sip.lissten: ", "9: calls.ring_timeout: ", "12: plugins.voicemail.mode: ", "14: route"]
        {
            assert!(
                stderr.contains(&format!("{file}:{place}")),
                "{command}: {place} is missing in\n{stderr}"
            );
        }
        assert!(!folder.path().join("var").exists(), "{command} made its data folder");
    }
}

/// A port that is taken is told by its name.
#[test]
fn a_taken_port_is_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let folder = TempDir::new().expect("a folder");
    let text = format!("[sip]\nlisten = [\"udp:{address}\"]\n[http]\nlisten = \"127.0.0.1:0\"\n");
    let output = refused(folder.path(), "serve", &text);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address.to_string()), "{stderr}");
    assert!(output.stdout.is_empty());
}

/// SIGTERM without calls: over within 3 s, with success.
#[test]
fn sigterm_ends_an_idle_server_at_once() {
    let server = Server::start("");
    let begun = Instant::now();
    let (_, status) = server.stop();
    assert_eq!(status.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// SIGTERM with a call: the call goes on to its end, new ones get 503 with Retry-After, health says so.
#[test]
fn sigterm_lets_calls_end_and_takes_no_new_ones() {
    let server = Server::start("");
    let caller = Caller::to(&server, "echo", 9.0, "ear");
    let program = caller.start();
    calls(&server, 1);
    server.signal("TERM");
    eventually("draining", PATIENCE, || (server.get("/healthz").0 == 503).then_some(()));
    let mut late = Line::new(&server, "echo");
    assert_eq!(late.invite().last(), Some(&503));
    let retry = field::line::header(&late.last, "Retry-After").and_then(|value| value.parse::<u32>().ok());
    assert!(retry.is_some_and(|seconds| seconds > 0), "{}", late.last);
    let heard = caller.end(program);
    assert!(heard.call.success, "{:?}", heard.call);
    assert_eq!(heard.call.summary["ended_by"], "us", "the call was not cut: {:?}", heard.call);
    let echoed: f64 = heard.tone(440.0).iter().map(|(start, end)| end - start).sum();
    assert!(echoed > 7.5, "heard until its end: {:?}", heard.tone(440.0));
    let (_, status) = server.stop();
    assert_eq!(status.code(), Some(0));
}

/// A second SIGTERM ends the calls too, with a BYE to each.
#[test]
fn a_second_sigterm_ends_the_calls() {
    let server = Server::start("");
    let caller = Caller::to(&server, "echo", 60.0, "ear");
    let program = caller.start();
    calls(&server, 1);
    server.signal("TERM");
    eventually("draining", PATIENCE, || (server.get("/healthz").0 == 503).then_some(()));
    let (_, status) = server.stop();
    assert_eq!(status.code(), Some(0));
    let heard = caller.end(program);
    assert_eq!(heard.call.summary["ended_by"], "peer", "{:?}", heard.call);
}

/// SIGHUP takes new routes and accounts over; a broken file changes nothing and is told.
#[test]
fn sighup_reads_routes_and_accounts_anew() {
    let server = Server::start("[[route]]\nuser = \"echo\"\napp = \"echo\"\n");
    let path = server.dir.path().join("sems.toml");
    let text = fs::read_to_string(&path).expect("the configuration");
    let status = |user: &str| Caller::to(&server, user, 0.3, user).call().call.status();
    assert_eq!((status("echo"), status("mirror")), (200, 404));
    let changed = text.replace("user = \"echo\"", "user = \"mirror\"");
    let with_dave = format!("{changed}\n[[account]]\nuser = \"dave\"\npassword = \"dave-secret\"\n");
    fs::write(&path, &with_dave).expect("written");
    server.signal("HUP");
    server.logged("were read anew", PATIENCE);
    assert_eq!((status("echo"), status("mirror")), (404, 200));
    let dave = Caller::to(&server, "mirror", 0.3, "dave").login("dave").call();
    assert_eq!(dave.call.status(), 200, "{:?}", dave.call);

    fs::write(&path, with_dave.replace("app = \"echo\"", "app = \"echo\"\nvolume = 11")).expect("written");
    server.signal("HUP");
    let said = server.logged("stays as it was", PATIENCE);
    assert!(said.contains("route.volume"), "{said}");
    assert_eq!((status("echo"), status("mirror")), (404, 200));
    fs::write(&path, &text).expect("written");
    server.signal("HUP");
    server.logged("were read anew", PATIENCE);
    assert_eq!((status("echo"), status("mirror")), (200, 404));
}

/// SER-10: the state is shown. All but `/healthz` wants the token, which only the operator can read; calls and counters are true.
#[test]
fn the_api_is_open_to_its_token_only() {
    let server = Server::start("");
    let file = server.data().join("api.token");
    assert_eq!(fs::metadata(&file).expect("a token").permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&file).expect("a token").trim().to_owned();
    assert!(token.len() >= 32, "{} characters", token.len());
    let paths = ["/metrics", "/api/v1/calls", "/api/v1/rooms", "/api/v1/registrations", "/api/openapi.json"];
    for path in paths {
        for wrong in ["", "Bearer wrong", "Basic YWxpY2U6YWxpY2Utc2VjcmV0", &format!("Bearer {token}x")] {
            assert_eq!(get(server.http, path, wrong).0, 401, "{path} with {wrong:?}");
        }
        assert_eq!(get(server.http, path, &format!("Bearer {token}")).0, 200, "{path}");
    }
    assert_eq!(get(server.http, "/api/v1/nothing", "").0, 401, "strangers learn nothing of what there is");
    let (status, body) = server.get("/api/v1/nothing");
    assert_eq!(status, 404);
    serde_json::from_str::<serde_json::Value>(&body).expect("errors are JSON");

    let caller = Caller::to(&server, "echo", 4.0, "ear").codec("pcma").from("sip:5551234@phones.example");
    let program = caller.start();
    let call = eventually("an answered call", PATIENCE, || {
        let calls = json(&server, "/api/v1/calls");
        (calls[0]["state"] == "talking").then(|| calls[0].clone())
    });
    assert_eq!((&call["application"], &call["codec"]), (&"echo".into(), &"PCMA".into()), "{call}");
    assert_eq!(
        (&call["from"], &call["to"]),
        (&"sip:5551234@phones.example".into(), &server.uri("echo").into())
    );
    let metrics = server.get("/metrics").1;
    assert!(metrics.lines().any(|line| line == "sems_calls 1"), "{metrics}");
    assert!(caller.end(program).call.success);
    calls(&server, 0);
    let metrics = server.get("/metrics").1;
    for line in ["sems_calls 0", "sems_calls_total 1", "sems_calls_answered_total 1"] {
        assert!(metrics.lines().any(|other| other == line), "{line} is missing in\n{metrics}");
    }
}

/// SER-M2, SER-M7: a registration is shown, survives a restart, and goes when its owner takes it back.
#[test]
fn registrations_are_shown_and_survive_a_restart() {
    let register = |server: &Server, password: &str, expires: &str| {
        let output = Command::new(PYTHON)
            .arg(root().join("tests/field/register.py"))
            .args([&server.udp.port().to_string(), "alice", password, "sip:alice@127.0.0.1:5999", expires])
            .output()
            .expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout)
            .expect("text")
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let server = Server::start("");
    assert_eq!(register(&server, "wrong", "600"), ["401", "403"]);
    assert_eq!(json(&server, "/api/v1/registrations"), serde_json::json!([]));
    assert_eq!(register(&server, "alice-secret", "600"), ["401", "200"]);
    let all = json(&server, "/api/v1/registrations");
    let one = &all[0];
    assert!(one["aor"].as_str().is_some_and(|aor| aor.ends_with("alice@localhost")), "{all}");
    assert!(one["contact"].as_str().is_some_and(|contact| contact.contains("alice@127.0.0.1:5999")), "{all}");
    assert!((500..=600).contains(&one["expires_in"].as_u64().expect("seconds")), "{all}");
    assert_eq!(one["user_agent"], "register.py");
    assert!(one["source"].as_str().is_some_and(|source| source.starts_with("udp:127.0.0.1:")), "{all}");
    let (dir, _) = server.stop();
    let server = Server::start_in(dir, "");
    assert_eq!(json(&server, "/api/v1/registrations")[0]["contact"], one["contact"]);
    assert_eq!(register(&server, "alice-secret", "0"), ["401", "200"]);
    assert_eq!(json(&server, "/api/v1/registrations"), serde_json::json!([]));
}

/// One data folder, one server: the second one is refused and says why, the first one does not notice.
#[test]
fn two_servers_do_not_share_a_data_folder() {
    let server = Server::start("");
    let folder = TempDir::new().expect("a folder");
    let text = format!(
        "[server]\ndata_dir = {:?}\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n",
        server.data()
    );
    let output = refused(folder.path(), "serve", &text);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&server.data().display().to_string()), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(Caller::to(&server, "echo", 0.3, "ear").call().call.status(), 200);
}

/// The environment overrides the file.
#[test]
fn the_environment_overrides_the_file() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("sems.toml"), "[server]\ndata_dir = \"var\"\n").expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sems"));
    command.arg("serve").current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("SEMS_SIP_LISTEN", "udp:127.0.0.1:0,tcp:127.0.0.1:0").env("SEMS_HTTP_LISTEN", "127.0.0.1:0");
    command.env("SEMS_MEDIA_SOUNDS", root().join("sounds"));
    command.env("SEMS_SERVER_DATA_DIR", folder.path().join("elsewhere"));
    let mut program = Program::start(&mut command);
    let ready = field::lines(program.0.stdout.take().expect("standard output"));
    let line = ready.recv_timeout(Duration::from_secs(60)).expect("it starts");
    assert!(line.starts_with("ready sip=udp:127.0.0.1:") && line.contains(" sip=tcp:127.0.0.1:"), "{line}");
    // A first start without accounts makes some, and tells them to nobody but the operator.
    let told = folder.path().join("elsewhere/demo-accounts.txt");
    assert_eq!(fs::metadata(&told).expect("demo accounts").permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("var").exists());
    program.signal("TERM");
    assert_eq!(program.wait(PATIENCE).and_then(|status| status.code()), Some(0));
}
