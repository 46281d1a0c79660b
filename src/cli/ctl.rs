//! `sems ctl`: asks the HTTP API of the running server.

mod ladder;
mod table;

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use sems_app::Plugin;
use serde_json::Value;

use super::{Failure, configuration};

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than the lists of a full server take.
const LONGEST_ANSWER: u64 = 64 << 20;

/// What is asked, of whom, and how it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Question {
    /// Where the server's API listens [default: http.listen of the configuration].
    #[arg(long, value_name = "ADDRESS:PORT", global = true)]
    http: Option<SocketAddr>,
    /// Print the API's JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    wish: Wish,
}

#[derive(Debug, clap::Subcommand)]
enum Wish {
    /// The calls in progress, or the SIP messages of one.
    Calls {
        #[command(subcommand)]
        one: Option<OfCall>,
    },
    /// The conference rooms.
    Rooms,
    /// The registrations.
    Registrations,
    /// The sources that are not listened to.
    Bans,
    /// Listen to a source again.
    Unban {
        /// An address, as bans shows it.
        source: String,
    },
}

#[derive(Debug, clap::Subcommand)]
enum OfCall {
    /// The SIP messages of a call, also of one that ended lately.
    Trace {
        /// The call as calls or the log names it, or a Call-ID.
        id: String,
        /// Print the messages whole.
        #[arg(long)]
        full: bool,
        /// Write them to a file for Wireshark.
        #[arg(long, value_name = "FILE")]
        pcap: Option<PathBuf>,
    },
}

/// Asks, and prints the answer.
pub(crate) fn run(file: Option<PathBuf>, question: &Question, plugins: &[Plugin]) -> Result<(), Failure> {
    let config = configuration(file.as_ref(), plugins)?;
    let path = config.below_data_dir("api.token");
    let token = sems_web::Token::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Api(format!(
            "{} is not there: no server ran with this configuration (--config names another)",
            path.display()
        )),
        _ => Failure::Io { what: path.display().to_string(), error },
    })?;
    let api = Api {
        address: question.http.unwrap_or(config.http.listen),
        token: token.expose().to_owned(),
        json: question.json,
    };
    match &question.wish {
        Wish::Calls { one: None } => {
            api.list("calls", &["id", "state", "application", "from", "to", "codec", "since"])
        }
        Wish::Calls { one: Some(OfCall::Trace { id, full, pcap }) } => api.trace(id, *full, pcap.as_ref()),
        Wish::Rooms => api.list("rooms", &["name", "members", "rate"]),
        Wish::Registrations => {
            api.list("registrations", &["aor", "contact", "expires_in", "source", "user_agent"])
        }
        Wish::Bans => api.list("bans", &["source", "reason", "since", "expires_in", "ignored"]),
        Wish::Unban { source } => api.unban(source),
    }
}

/// The running server.
struct Api {
    address: SocketAddr,
    token: String,
    json: bool,
}

impl Api {
    fn list(&self, name: &str, columns: &[&str]) -> Result<(), Failure> {
        let answer = self.get(&format!("/api/v1/{name}"))?;
        if self.json {
            println!("{}", String::from_utf8_lossy(&answer));
            return Ok(());
        }
        let rows = self.read(&answer)?;
        if rows.is_empty() {
            println!("no {name}");
        } else {
            print!("{}", table::text(columns, &rows, SystemTime::now()));
        }
        Ok(())
    }

    fn trace(&self, id: &str, full: bool, pcap: Option<&PathBuf>) -> Result<(), Failure> {
        let path = format!("/api/v1/calls/{}/trace", escaped(id));
        let unknown = |failure| match failure {
            Failure::Status { status: 404, .. } => {
                Failure::Api(format!("nothing is kept of a call {id} (sip.trace_mib)"))
            }
            other => other,
        };
        if let Some(file) = pcap {
            let capture = self.get(&format!("{path}?format=pcap")).map_err(unknown)?;
            return std::fs::write(file, capture).map_err(Failure::io(file.display().to_string()));
        }
        let answer = self.get(&path).map_err(unknown)?;
        if self.json {
            println!("{}", String::from_utf8_lossy(&answer));
            return Ok(());
        }
        let messages = self.read(&answer)?;
        print!("{}", ladder::text(&messages));
        for message in messages.iter().filter(|_| full) {
            let text = |key| message.get(key).and_then(Value::as_str).unwrap_or_default();
            let arrow = if message.get("sent") == Some(&Value::Bool(true)) { "->" } else { "<-" };
            // What a peer wrote shall not move the cursor of whoever reads it.
            let shown: String =
                text("text").chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
            println!("\n{} {arrow} {}:{}\n{shown}", text("local"), text("transport"), text("remote"));
        }
        Ok(())
    }

    fn unban(&self, source: &str) -> Result<(), Failure> {
        let path = format!("/api/v1/bans/{}", escaped(source));
        self.request("DELETE", &path).map(drop).map_err(|failure| match failure {
            Failure::Status { status: 404, .. } => Failure::Api(format!("{source} is not banned")),
            other => other,
        })
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.request("GET", path)
    }

    fn read(&self, answer: &[u8]) -> Result<Vec<Value>, Failure> {
        serde_json::from_slice(answer)
            .map_err(|error| Failure::Api(format!("http://{}: {error}", self.address)))
    }

    fn request(&self, method: &str, path: &str) -> Result<Vec<u8>, Failure> {
        let (address, token) = (self.address, &self.token);
        let url = format!("http://{address}{path}");
        let failed = || Failure::io(url.clone());
        let mut stream =
            TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
                ErrorKind::ConnectionRefused => Failure::Api(format!(
                    "no server answers at http://{address} (http.listen of its configuration, or --http)"
                )),
                _ => failed()(error),
            })?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
        // HTTP/1.0 is never answered in chunks.
        let text =
            format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(text.as_bytes()).map_err(failed())?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).map_err(failed())?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let none = || Failure::Api(format!("{url}: no HTTP server"));
        let body = answer.split_off(end.ok_or_else(none)? + 4);
        let head = String::from_utf8_lossy(&answer);
        match head.split(' ').nth(1).and_then(|status| status.parse().ok()) {
            Some(200..=299) => Ok(body),
            Some(status) => {
                Err(Failure::Status { url, status, body: String::from_utf8_lossy(&body).into_owned() })
            }
            None => Err(none()),
        }
    }
}

/// A part of a path (RFC 3986 section 2.1).
fn escaped(part: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    part.bytes().map(escape).collect()
}
