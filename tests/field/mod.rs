//! The field that black-box tests stand on: the real binary, real sockets, real foreign programs. Everything is
//! on 127.0.0.1 and free ports, and is ended by pid.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the field")]

pub mod baresip;
pub mod kamailio;
pub mod linphone;

use std::{
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub mod browser;
pub mod certificates;
pub mod dns;
pub mod line;
pub mod mail;
pub mod phone;
pub mod rows;
pub mod sipp;
pub mod speech;
pub mod wire;

/// How long a server may take to bind everything, on a machine that also compiles.
const START: Duration = Duration::from_secs(60);

/// A program that is ended when the test is done with it.
pub struct Program(pub Child);

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        Self(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{shown}: {error} (make test installs what is needed)")),
        )
    }

    /// Waits for its end, and ends it when it takes too long.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running `sems serve` with its own data.
pub struct Server {
    program: Program,
    pub dir: TempDir,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub http: SocketAddr,
    /// Its line of listeners.
    ready: String,
    /// What it said on standard error so far.
    log: mpsc::Receiver<String>,
}

/// How long anything may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Tones are said at -10 dB; codecs and resampling take a little of that.
pub const LOUD: f64 = -18.0;

/// Who a foreign phone is.
pub struct Account {
    pub user: &'static str,
    pub password: &'static str,
    pub domain: &'static str,
}

pub const ALICE: Account = Account { user: "alice", password: "alice-secret", domain: "localhost" };
pub const BOB: Account = Account { user: "bob", password: "bob-secret", domain: "localhost" };
pub const CAROL: Account = Account { user: "carol", password: "carol-secret", domain: "localhost" };

/// Accounts alice, bob and carol of `localhost`: password `<name>-secret`, PINs 739155, 284617, 905238.
pub const ACCOUNTS: &str = r#"
[[account]]
user = "alice"
password = "alice-secret"
email = "alice@example.org"
pin = "739155"

[[account]]
user = "bob"
password = "bob-secret"
email = "bob@example.org"
pin = "284617"

[[account]]
user = "carol"
password = "carol-secret"
email = "carol@example.org"
pin = "905238"
"#;

impl Server {
    /// Starts a server with the default routes and the three accounts; `extra` is more of `sems.toml`: whole
    /// tables that the basic configuration does not have (`[calls]`, `[mail]`, `[[route]]`, `[plugins.x]`, ...).
    pub fn start(extra: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        Self::start_in(dir, extra)
    }

    /// Starts one on the data of an earlier one.
    pub fn start_in(dir: TempDir, extra: &str) -> Self {
        Self::start_with(dir, "", extra)
    }

    /// With further keys of `[sip]`, such as `trusted`.
    pub fn start_with(dir: TempDir, sip: &str, extra: &str) -> Self {
        Self::start_configured(dir, r#""localhost""#, "127.0.0.1", sip, extra)
    }

    /// With these domains, as TOML strings.
    pub fn start_serving(dir: TempDir, domains: &str, extra: &str) -> Self {
        Self::start_configured(dir, domains, "127.0.0.1", "", extra)
    }

    /// On another address of this machine, such as `[::1]`.
    pub fn start_at(address: &str, extra: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        Self::start_configured(dir, r#""localhost""#, address, "", extra)
    }

    /// With further listeners, such as `"tls:127.0.0.1:0"`.
    pub fn start_listening(dir: TempDir, listeners: &[&str], sip: &str, extra: &str) -> Self {
        let more: String = listeners.iter().map(|listener| format!(", \"{listener}\"")).collect();
        Self::start_whole(dir, r#""localhost""#, "127.0.0.1", &more, sip, extra)
    }

    fn start_configured(dir: TempDir, domains: &str, address: &str, sip: &str, extra: &str) -> Self {
        Self::start_whole(dir, domains, address, "", sip, extra)
    }

    fn start_whole(
        dir: TempDir,
        domains: &str,
        address: &str,
        listeners: &str,
        sip: &str,
        extra: &str,
    ) -> Self {
        let config = dir.path().join("sems.toml");
        let text = format!(
            r#"
[server]
data_dir = "var"
domains = [{domains}]

[sip]
listen = ["udp:{address}:0", "tcp:{address}:0"{listeners}]
{sip}

[media]
sounds = "{sounds}"

[http]
listen = "127.0.0.1:0"
{ACCOUNTS}
{extra}
"#,
            sounds = root().join("sounds").display()
        );
        std::fs::write(&config, text).expect("the configuration is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sems"));
        command.args(["serve", "--config"]).arg(&config).current_dir(root());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Program::start(&mut command);
        let log = lines(program.0.stderr.take().expect("standard error"));
        let ready = lines(program.0.stdout.take().expect("standard output"));
        let line = match ready.recv_timeout(START) {
            Ok(line) => line,
            Err(_) => panic!("the server did not start:\n{}", log.try_iter().collect::<Vec<_>>().join("\n")),
        };
        let find = |key: &str| {
            let value = line.split(' ').find_map(|pair| pair.strip_prefix(key));
            value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("no {key} in {line:?}"))
        };
        assert!(line.starts_with("ready "), "{line}");
        let (udp, tcp, http) = (find("sip=udp:"), find("sip=tcp:"), find("http="));
        Self { program, dir, udp, tcp, http, ready: line, log }
    }

    /// The address of its listener of another transport: `tls`, `ws` or `wss`.
    pub fn address(&self, transport: &str) -> SocketAddr {
        self.address_of(transport, false)
    }

    /// The same of one family.
    pub fn address_of(&self, transport: &str, ipv6: bool) -> SocketAddr {
        let key = format!("sip={transport}:");
        let mut all = self.ready.split(' ').filter_map(|pair| pair.strip_prefix(key.as_str())?.parse().ok());
        let found = all.find(|address: &SocketAddr| address.is_ipv6() == ipv6);
        found.unwrap_or_else(|| panic!("no {key} in {}", self.ready))
    }

    /// `sip:user@127.0.0.1:port`
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.udp)
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("var")
    }

    /// The lines of its log since the last look.
    pub fn log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Waits for a line of the log that contains `text`.
    pub fn logged(&self, text: &str, patience: Duration) -> String {
        let until = Instant::now() + patience;
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("{text:?} was not logged:\n{}", seen.join("\n"));
    }

    /// Its CPU and memory belong to this process.
    pub fn pid(&self) -> u32 {
        self.program.0.id()
    }

    pub fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// Ends it with SIGTERM and gives its folder back.
    pub fn stop(mut self) -> (TempDir, ExitStatus) {
        self.program.signal("TERM");
        let status = self.program.wait(Duration::from_secs(45)).expect("the server ends after SIGTERM");
        (self.take_dir(), status)
    }

    /// Ends it with `kill -9`.
    pub fn kill(mut self) -> TempDir {
        self.program.signal("KILL");
        self.program.wait(Duration::from_secs(5)).expect("nothing survives SIGKILL");
        self.take_dir()
    }

    fn take_dir(&mut self) -> TempDir {
        std::mem::replace(&mut self.dir, TempDir::new().expect("a temporary folder"))
    }

    /// `GET path` with the token of its data folder: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let token = std::fs::read_to_string(self.data().join("api.token")).unwrap_or_default();
        let mut stream = std::net::TcpStream::connect(self.http).expect("HTTP answers");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            token.trim()
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("a request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }
}

/// What `sems dial` reported.
#[derive(Debug)]
pub struct Dialled {
    pub success: bool,
    pub summary: serde_json::Value,
    pub stderr: String,
}

impl Dialled {
    pub fn status(&self) -> u64 {
        self.summary["status"].as_u64().unwrap_or(0)
    }
}

/// Starts `sems dial` with these arguments.
pub fn dialling(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sems"));
    command.arg("dial").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program::start(&mut command)
}

/// Waits for a `sems dial`.
pub fn hung_up(mut program: Program) -> Dialled {
    let status = program.wait(Duration::from_secs(120)).expect("the softphone ends");
    let (mut stdout, mut stderr) = (String::new(), String::new());
    program.0.stdout.take().expect("standard output").read_to_string(&mut stdout).expect("text");
    program.0.stderr.take().expect("standard error").read_to_string(&mut stderr).expect("text");
    let summary = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    Dialled { success: status.success(), summary, stderr }
}

/// `sems dial` to its end.
pub fn dial(arguments: &[&str]) -> Dialled {
    hung_up(dialling(arguments))
}

/// The folder of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A UDP port that was free a moment ago, for programs that cannot bind port 0.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

/// Writes a WAV file of a tone: 8 kHz, -10 dB below full scale.
pub fn tone_file(path: &Path, hz: f32, length: Duration) {
    let rate = 8000;
    let mut tone = sems_media::tone::Tone::new(hz, rate, sems_media::tone::amplitude(10.0));
    let samples = tone.take((length.as_secs_f64() * f64::from(rate)) as usize);
    let file = std::fs::File::create(path).expect("a file");
    let mut wav = sems_media::wav::WavWriter::new(file, rate).expect("a header");
    wav.write(&samples).expect("samples");
    wav.finish().expect("a file");
}

/// The `.eml` files of a folder.
pub fn mails(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "eml")).collect()
}

/// A mail's headers, and what Python's `email` reads in it; its attachment goes to `sound`.
pub fn letter(mail: &Path, sound: &Path) -> String {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(root().join("src/store/tests/store/read_mail.py")).arg(mail).arg(sound);
    let output = command.output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let raw = std::fs::read_to_string(mail).expect("a mail");
    let headers = raw.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    headers + "\n" + &String::from_utf8_lossy(&output.stdout)
}

/// A tone of a call is unbroken from its first to its last moment, but for what a phone's own jitter buffer does.
pub fn unbroken(who: &str, (samples, rate): &(Vec<i16>, u32), hz: f64, at_least: f64) {
    let stretches = heard(samples, *rate, hz, LOUD);
    let all = total(&stretches);
    assert!(all >= at_least, "{who}: {hz} Hz is heard for {all:.2} s: {stretches:?}");
    let span = stretches.last().map_or(0.0, |last| last.1) - stretches.first().map_or(0.0, |first| first.0);
    assert!(all > 0.9 * span, "{who}: {hz} Hz is broken: {stretches:?}");
}

/// Two minutes of a tone at -10 dB, for phones that say something as long as they are in a call.
pub fn long_tone(path: &Path, hz: f32, rate: u32) {
    let mut tone = sems_media::tone::Tone::new(hz, rate, sems_media::tone::amplitude(10.0));
    let samples = tone.take(120 * rate as usize);
    let file = std::fs::File::create(path).expect("a file");
    let mut wav = sems_media::wav::WavWriter::new(std::io::BufWriter::new(file), rate).expect("a header");
    wav.write(&samples).expect("samples");
    wav.finish().expect("a file");
}

/// A WAV file's samples and rate.
pub fn wav(path: &Path) -> (Vec<i16>, u32) {
    let sound =
        sems_media::load::load(path, None).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (sound.samples, sound.rate)
}

/// The level of a tone in dB below full scale, within samples.
pub fn level(samples: &[i16], rate: u32, hz: f64) -> f64 {
    sems_media::analysis::goertzel(samples, rate, hz)
}

/// The stretches of a recording in which a tone is heard, as (start, end) in seconds, judged in windows of 40 ms.
pub fn heard(samples: &[i16], rate: u32, hz: f64, above_dbfs: f64) -> Vec<(f64, f64)> {
    let window = (rate / 25) as usize;
    let mut stretches: Vec<(f64, f64)> = Vec::new();
    for (at, part) in samples.chunks_exact(window).enumerate() {
        let (start, end) = (at as f64 * 0.04, (at + 1) as f64 * 0.04);
        if level(part, rate, hz) < above_dbfs {
            continue;
        }
        match stretches.last_mut() {
            Some(last) if start - last.1 < 0.001 => last.1 = end,
            _ => stretches.push((start, end)),
        }
    }
    stretches
}

/// How many seconds of these stretches there are.
pub fn total(stretches: &[(f64, f64)]) -> f64 {
    stretches.iter().map(|(start, end)| end - start).sum()
}

/// Waits until `probe` gives something.
pub fn eventually<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until `probe` gives something; failing that, shows what a program said.
pub fn awaited<T>(what: &str, log: impl Fn() -> String, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen within {PATIENCE:?}:\n{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program's lines as they come.
pub fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    // A program that says more than this between two looks of the test waits for it.
    let (sender, receiver) = mpsc::sync_channel(100_000);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
