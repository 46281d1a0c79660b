//! SIPp as caller and as callee: a scenario of `tests/sipp`, one call, its messages kept for the day it fails.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{Program, free_port, root};

/// How long one scenario may take, on a machine that also compiles.
const PATIENCE: Duration = Duration::from_secs(90);

/// One run of a scenario.
pub struct Sipp {
    program: Program,
    name: String,
    dir: TempDir,
}

impl Sipp {
    /// A caller that dials `user` at `server`. Each `@KEY@` of the scenario is replaced.
    pub fn caller(scenario: &str, keys: &[(&str, &str)], server: SocketAddr, user: &str) -> Self {
        Self::caller_over("u1", scenario, keys, server, user)
    }

    /// A caller over another transport: `u1` is UDP, `t1` one TCP connection.
    pub fn caller_over(
        transport: &str,
        scenario: &str,
        keys: &[(&str, &str)],
        server: SocketAddr,
        user: &str,
    ) -> Self {
        let arguments = [server.to_string(), "-s".to_owned(), user.to_owned()];
        Self::start(scenario, keys, server, free_port(), transport, &arguments)
    }

    /// A callee on `port`.
    pub fn callee(scenario: &str, keys: &[(&str, &str)], port: u16) -> Self {
        Self::callee_at(SocketAddr::from(([127, 0, 0, 1], port)), scenario, keys)
    }

    /// A callee on an address of this machine.
    pub fn callee_at(local: SocketAddr, scenario: &str, keys: &[(&str, &str)]) -> Self {
        let callee = Self::start(scenario, keys, local, local.port(), "u1", &[]);
        let table = if local.is_ipv6() { "/proc/net/udp6" } else { "/proc/net/udp" };
        let port = format!(":{:04X} ", local.port());
        super::eventually("SIPp's listening", PATIENCE, || {
            std::fs::read_to_string(table).ok()?.contains(&port).then_some(())
        });
        callee
    }

    fn start(
        scenario: &str,
        keys: &[(&str, &str)],
        host: SocketAddr,
        port: u16,
        transport: &str,
        more: &[String],
    ) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let file = root().join("tests/sipp").join(scenario).with_extension("xml");
        let mut text =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (key, value) in keys {
            let key = format!("@{key}@");
            assert!(text.contains(&key), "{scenario} has no {key}");
            text = text.replace(&key, value);
        }
        // The URI of digest, without its scheme: SIPp does not take it from the request.
        let digest_uri = text.split("digest-uri=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let digest_uri = digest_uri.map(str::to_owned);
        std::fs::write(dir.path().join("scenario.xml"), text).expect("a scenario is written");
        let mut command = Command::new("sipp");
        command.args(["-sf", "scenario.xml", "-t", transport, "-m", "1", "-nostdin", "-max_retrans", "10"]);
        if let Some(uri) = digest_uri {
            command.args(["-auth_uri", &uri]);
        }
        command.args(["-i", &host.ip().to_string(), "-p", &port.to_string()]);
        command.args(["-mp", &(free_port() & !1).to_string()]);
        command.args(["-recv_timeout", "45000", "-timeout", "80", "-timeout_error"]);
        command.args(["-trace_err", "-error_file", "errors", "-trace_msg", "-message_file", "messages"]);
        command.args(more).current_dir(dir.path()).env("TERM", "dumb");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { program: Program::start(&mut command), name: scenario.to_owned(), dir }
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    /// What it sent and received.
    pub fn messages(&self) -> String {
        self.read("messages")
    }

    /// Waits until the whole scenario went as written; all its messages.
    pub fn succeeds(mut self) -> String {
        let status = self.program.wait(PATIENCE);
        assert!(
            status.is_some_and(|status| status.success()),
            "{} failed ({status:?}):\n{}\n{}",
            self.name,
            self.read("errors"),
            self.messages()
        );
        self.messages()
    }

    /// Waits until it has received something.
    pub fn hears(&self, text: &str) {
        super::eventually(&format!("{} hears {text}", self.name), PATIENCE, || {
            self.messages().contains(text).then_some(())
        });
    }
}
