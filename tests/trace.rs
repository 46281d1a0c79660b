//! What an operator sees of a call: its line in the log, its SIP messages as a ladder and as a capture, the counters.

mod field;

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use field::{Server, dial, sipp::Sipp, wire::register_elsewhere};

fn ctl(server: &Server, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sems"))
        .args(["ctl", "--http", &server.http.to_string()])
        .args(arguments)
        .current_dir(server.dir.path())
        .output()
        .expect("sems ctl runs")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The name of the last call in the log, and its line.
fn call(server: &Server) -> (String, String) {
    let line = server.logged("call ended", Duration::from_secs(20));
    let name = line.split("call=\"").nth(1).and_then(|rest| rest.split('"').next());
    (name.unwrap_or_else(|| panic!("no name in {line}")).to_owned(), line)
}

/// Source and destination ports with the first line of each message, as tshark reads the capture.
fn captured(file: &Path) -> Vec<String> {
    let output = Command::new("tshark")
        .args([
            "-r",
            file.to_str().expect("text"),
            "-d",
            "udp.port==1-65535,sip",
            "-o",
            "ip.check_checksum:TRUE",
        ])
        .args([
            "-T",
            "fields",
            "-e",
            "udp.srcport",
            "-e",
            "udp.dstport",
            "-e",
            "sip.Method",
            "-e",
            "sip.Status-Code",
        ])
        .args(["-e", "ip.checksum.status"])
        .output()
        .expect("tshark runs");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.replace('\t', " ")).collect()
}

#[test]
fn a_call_through_the_server_is_shown_with_both_legs() {
    let server = Server::start("");
    let port = register_elsewhere(server.udp, "bob");
    let callee = Sipp::callee("callee_answers", &[], port);
    let dialled = dial(&[&server.uri("bob"), "--for", "1s"]);
    assert_eq!(dialled.status(), 200, "{dialled:?}");
    callee.succeeds();
    let (id, line) = call(&server);
    for part in ["to=\"sip:bob@", "status=200", "ended_by=\"peer\"", "codec=\""] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let ladder = said(&ctl(&server, &["calls", "trace", &id]));
    let heading = ladder.lines().next().expect("a heading");
    assert!(heading.contains("sems") && heading.contains(&format!("udp:127.0.0.1:{port}")), "{ladder}");
    let arrows: Vec<&str> = ladder.lines().skip(1).collect();
    for part in ["INVITE SDP", "180 Ringing (INVITE)", "200 OK (INVITE) SDP", "ACK", "BYE", "200 OK (BYE)"] {
        let count = arrows.iter().filter(|line| line.contains(part)).count();
        assert!(count >= 2, "{part} on both legs:\n{ladder}");
    }
    let file = server.dir.path().join("call.pcap");
    said(&ctl(&server, &["calls", "trace", &id, "--pcap", file.to_str().expect("text")]));
    let packets = captured(&file);
    assert_eq!(packets.len(), arrows.len(), "{packets:?}\n{ladder}");
    let sip = server.udp.port();
    assert!(packets.contains(&format!("{sip} {port} INVITE  1")), "{packets:?}");
    assert!(packets.contains(&format!("{port} {sip}  200 1")), "{packets:?}");
    let unknown = ctl(&server, &["calls", "trace", "nonsense"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nothing is kept of a call nonsense"));
    let (_, metrics) = server.get("/metrics");
    for sample in [
        "sems_sip_requests_total{direction=\"received\",transport=\"udp\",method=\"INVITE\"} 1",
        "sems_sip_requests_total{direction=\"sent\",transport=\"udp\",method=\"INVITE\"} 1",
        "sems_sip_responses_total{direction=\"sent\",transport=\"udp\",status=\"401\"} 1",
    ] {
        assert!(metrics.contains(sample), "{sample} is not in {metrics}");
    }
}

#[test]
fn a_password_is_not_in_a_trace() {
    let server = Server::start("");
    let user = ["--user", "alice", "--password", "alice-secret", "--from", "sip:alice@localhost"];
    let dialled = dial(&[&[server.uri("echo").as_str(), "--for", "1s"], &user[..]].concat());
    assert_eq!(dialled.status(), 200, "{dialled:?}");
    let (id, line) = call(&server);
    let full = said(&ctl(&server, &["calls", "trace", &id, "--full"]));
    assert!(
        full.contains("response=\"(hidden)\"") && line.contains("application=\"echo\""),
        "{line}\n{full}"
    );
    let shown = full.split("response=\"").skip(1).all(|rest| rest.starts_with("(hidden)\""));
    assert!(shown, "{full}");
}
