//! `sems ctl`: asks the HTTP API of the running server.

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

/// What can be shown.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Listing {
    /// The calls in progress
    Calls,
    /// The conference rooms
    Rooms,
    /// The registrations
    Registrations,
    /// The sources that are not listened to
    Bans,
    /// End the ban of SOURCE
    Unban,
}

impl Listing {
    /// Its name in the API, and what a person is shown of it.
    fn parts(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Calls => ("calls", &["id", "state", "application", "from", "to", "codec", "since"]),
            Self::Rooms => ("rooms", &["name", "members", "rate"]),
            Self::Registrations => {
                ("registrations", &["aor", "contact", "expires_in", "source", "user_agent"])
            }
            Self::Bans | Self::Unban => ("bans", &["source", "reason", "since", "expires_in", "ignored"]),
        }
    }
}

/// What is asked, of whom, and how it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Question {
    /// Where the server's API listens [default: http.listen of the configuration].
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Print the API's JSON.
    #[arg(long)]
    json: bool,
    /// What to show or do.
    what: Listing,
    /// Of unban: an address, as bans shows it.
    #[arg(required_if_eq("what", "unban"))]
    source: Option<String>,
}

/// Prints a list.
pub(crate) fn run(file: Option<PathBuf>, question: &Question, plugins: &[Plugin]) -> Result<(), Failure> {
    let config = configuration(file.as_ref(), plugins)?;
    let path = config.below_data_dir("api.token");
    let token = sems_web::Token::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let path = path.display();
            Failure::Api(format!(
                "{path} is not there: no server ran with this configuration (--config names another)"
            ))
        }
        _ => Failure::Io { what: path.display().to_string(), error },
    })?;
    let (name, columns) = question.what.parts();
    let address = question.http.unwrap_or(config.http.listen);
    let path = format!("/api/v1/{name}");
    if let (Listing::Unban, Some(source)) = (question.what, &question.source) {
        let source = source.split('/').next().unwrap_or_default();
        ask("DELETE", address, &format!("{path}/{source}"), token.expose()).map_err(
            |failure| match failure {
                Failure::Api(text) if text.contains(": 404 ") => {
                    Failure::Api(format!("{source} is not banned"))
                }
                other => other,
            },
        )?;
        return Ok(());
    }
    let answer = ask("GET", address, &path, token.expose())?;
    if question.json {
        println!("{answer}");
        return Ok(());
    }
    let rows: Vec<Value> =
        serde_json::from_str(&answer).map_err(|error| Failure::Api(format!("http://{address}: {error}")))?;
    if rows.is_empty() {
        println!("no {name}");
    } else {
        print!("{}", table::text(columns, &rows, SystemTime::now()));
    }
    Ok(())
}

fn ask(method: &str, address: SocketAddr, path: &str, token: &str) -> Result<String, Failure> {
    let failed = || Failure::io(format!("http://{address}{path}"));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Api(format!(
            "no server answers at http://{address} (http.listen of its configuration, or --http)"
        )),
        _ => failed()(error),
    })?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
    // HTTP/1.0 is never answered in chunks.
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed())?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).map_err(failed())?;
    let answered =
        answer.split_once("\r\n\r\n").and_then(|(head, body)| Some((head.split(' ').nth(1)?, body)));
    match answered {
        Some(("200" | "204", body)) => Ok(body.to_owned()),
        Some((status, body)) => Err(Failure::Api(format!("http://{address}{path}: {status} {body}"))),
        None => Err(Failure::Api(format!("http://{address}{path}: no HTTP server"))),
    }
}
