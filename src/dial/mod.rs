//! `sems dial`: a softphone without a screen, on the project's own SIP and media. It proves a server from a
//! second terminal, and is the scripted caller of our own tests.

mod phone;
mod sound;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use sems_sip::Uri;

use self::phone::Phone;

/// What to dial, and what to do there.
#[derive(Debug, clap::Args)]
pub(crate) struct Dial {
    /// Whom to call: `sip:user@host:port`
    pub(crate) uri: String,
    /// Who calls: sip:user@host
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// The user of the account to log in as
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Its password
    #[arg(long, requires = "user")]
    pub(crate) password: Option<String>,
    /// Say this sound file, once (a tone of 440 Hz when none is given)
    #[arg(long)]
    pub(crate) play: Option<PathBuf>,
    /// Write what is heard to this WAV file
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
    /// Press these digits after the answer; a comma waits for half a second
    #[arg(long, default_value = "")]
    pub(crate) digits: String,
    /// Hang up this long after the answer
    #[arg(long = "for", default_value = "10s", value_parser = duration)]
    pub(crate) length: Duration,
    /// Offer only these codecs: opus,g722,pcmu,pcma
    #[arg(long, value_delimiter = ',')]
    pub(crate) codecs: Vec<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    sems_app::duration::parse(text).map_err(|error| error.to_string())
}

/// Dials; success when the call was answered. The last line on standard output is a JSON summary.
pub(crate) async fn run(dial: Dial) -> ExitCode {
    match call(&dial).await {
        Ok(summary) => {
            println!("{}", summary.to_json());
            if summary.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(reason) => {
            eprintln!("sems dial: {reason}");
            ExitCode::from(64)
        }
    }
}

async fn call(dial: &Dial) -> Result<Summary, String> {
    let uri: Uri = dial.uri.parse().map_err(|_| format!("{}: not a SIP URI", dial.uri))?;
    let Uri::Sip(sip) = &uri else { return Err(format!("{}: only sip: URIs can be dialled", dial.uri)) };
    if sip.transport().is_some_and(|transport| !transport.eq_ignore_ascii_case("udp")) {
        return Err("only UDP can be dialled".to_owned());
    }
    let host = sip.host.to_string();
    let server = resolve(host.trim_matches(['[', ']']), sip.port.unwrap_or(5060)).await?;
    let mut phone = Phone::open(dial, uri.clone(), server).await?;
    Ok(phone.run(dial.length).await)
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
    // A name such as localhost may have both; a server on IPv4 only is the commoner one.
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| format!("{host}: no address"))
}

/// How the call went.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The final status of the INVITE; 408 when there was no answer at all.
    pub(crate) status: u16,
    codec: Option<&'static str>,
    sent: u64,
    received: u64,
    lost: u64,
    jitter_ms: f64,
    rtt_ms: Option<f64>,
    /// How late the latest of its packets was sent: what a busy machine did to the caller, not the server.
    late_ms: f64,
    heard_dbfs: Option<f64>,
    ended_by: &'static str,
}

impl Summary {
    fn to_json(&self) -> serde_json::Value {
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        serde_json::json!({
            "status": self.status,
            "codec": self.codec,
            "sent": self.sent,
            "received": self.received,
            "lost": self.lost,
            "jitter_ms": rounded(self.jitter_ms),
            "rtt_ms": self.rtt_ms.map(rounded),
            "late_ms": rounded(self.late_ms),
            "heard_dbfs": self.heard_dbfs.map(rounded),
            "ended_by": self.ended_by,
        })
    }
}
