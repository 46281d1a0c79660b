//! `sems ctl`: asks the HTTP API of the running server.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use sems_app::Plugin;

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
}

/// Prints a list as JSON.
pub(crate) fn run(
    file: Option<PathBuf>,
    http: Option<SocketAddr>,
    what: Listing,
    plugins: &[Plugin],
) -> Result<(), Failure> {
    let config = configuration(file.as_ref(), plugins)?;
    let path = config.below_data_dir("api.token");
    let token = sems_web::Token::read(&path).map_err(Failure::io(path.display().to_string()))?;
    let what = match what {
        Listing::Calls => "calls",
        Listing::Rooms => "rooms",
        Listing::Registrations => "registrations",
    };
    let address = http.unwrap_or(config.http.listen);
    println!("{}", get(address, &format!("/api/v1/{what}"), token.expose())?);
    Ok(())
}

fn get(address: SocketAddr, path: &str, token: &str) -> Result<String, Failure> {
    let failed = || Failure::io(format!("http://{address}{path}"));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
    // HTTP/1.0 is never answered in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed())?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).map_err(failed())?;
    let answered =
        answer.split_once("\r\n\r\n").and_then(|(head, body)| Some((head.split(' ').nth(1)?, body)));
    match answered {
        Some(("200", body)) => Ok(body.to_owned()),
        Some((status, body)) => Err(Failure::Api(format!("http://{address}{path}: {status} {body}"))),
        None => Err(Failure::Api(format!("http://{address}{path}: no HTTP server"))),
    }
}
