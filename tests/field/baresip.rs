//! baresip without a sound card: it says a tone from a file, and writes what it hears to another.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{Account, PATIENCE, Program, awaited, eventually, long_tone};

const MODULES: &str = "/usr/lib/baresip/modules";
/// Bytes of a WAV header as libsndfile writes it.
const HEADER: usize = 44;

/// A registered phone.
pub struct Baresip {
    program: Program,
    dir: PathBuf,
    control: TcpStream,
    said: Arc<Mutex<String>>,
}

impl Baresip {
    /// Starts a phone of `account` at `proxy` that says a tone of `hz` in every call and takes all calls; back when
    /// it is registered. `codec` is in baresip's notation, such as `PCMU/8000/1`.
    pub fn start(dir: &Path, account: &Account, proxy: SocketAddr, codec: &str, hz: f32) -> Self {
        Self::start_as(dir, account, proxy, "udp", &format!("answermode=auto;audio_codecs={codec}"), hz)
    }

    /// Starts one that reaches the proxy over another transport; over TLS it believes the authority in `dir/ca.pem`.
    pub fn start_over(transport: &str, dir: &Path, account: &Account, proxy: SocketAddr, hz: f32) -> Self {
        Self::start_as(dir, account, proxy, transport, "answermode=auto;audio_codecs=PCMU/8000/1", hz)
    }

    /// Starts one that only rings.
    pub fn ringing(dir: &Path, account: &Account, proxy: SocketAddr) -> Self {
        Self::start_as(dir, account, proxy, "udp", "answermode=manual", 700.0)
    }

    fn start_as(
        dir: &Path,
        account: &Account,
        proxy: SocketAddr,
        transport: &str,
        how: &str,
        hz: f32,
    ) -> Self {
        let authority = dir.join("ca.pem");
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = dir.join(format!("baresip-{number}-{}", account.user));
        std::fs::create_dir_all(dir.join("heard")).expect("a folder");
        long_tone(&dir.join("says.wav"), hz, 48_000);
        let port = {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
            socket.local_addr().expect("an address").port()
        };
        let secure = format!("sip_cafile {}\n", authority.display());
        let more = if transport == "tls" { secure.as_str() } else { "" };
        std::fs::write(dir.join("config"), config(&dir, port) + more).expect("a configuration");
        std::fs::write(dir.join("contacts"), "").expect("no contacts");
        let Account { user, password, domain } = account;
        let line = format!(
            "<sip:{user}@{domain};transport={transport}>;auth_user={user};auth_pass={password};\
             outbound=\"sip:{proxy};transport={transport}\";regint=600;{how}\n"
        );
        std::fs::write(dir.join("accounts"), line).expect("an account");
        let output = std::fs::File::create(dir.join("log")).expect("a log");
        let mut command = Command::new("baresip");
        command.arg("-v").arg("-f").arg(&dir).env("HOME", &dir).stdin(Stdio::null());
        command.stderr(output.try_clone().expect("a log")).stdout(output);
        let program = Program::start(&mut command);
        let control = eventually("baresip opens its control port", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let said = Arc::default();
        listen(control.try_clone().expect("a socket"), Arc::clone(&said));
        let mut phone = Self { program, dir, control, said };
        let (dir, said) = (phone.dir.clone(), Arc::clone(&phone.said));
        awaited(
            "baresip is registered",
            || log(&dir, &said),
            || {
                phone.command("reginfo", "");
                phone.said().contains("OK ").then_some(())
            },
        );
        phone
    }

    /// Calls `uri`, and comes back when it is answered.
    pub fn call(&mut self, uri: &str) {
        self.command("dial", uri);
        self.wait_for("CALL_ESTABLISHED");
    }

    /// Waits for an event, such as `CALL_ESTABLISHED`.
    pub fn wait_for(&self, event: &str) {
        awaited(event, || self.log(), || self.said().contains(event).then_some(()));
    }

    /// Refuses the call that comes in, with 486.
    pub fn refuse(&mut self) {
        self.wait_for("CALL_INCOMING");
        self.command("hangup", "");
    }

    /// Ends its call; back when the recording is complete.
    pub fn hang_up(&mut self) {
        self.command("hangup", "");
        self.wait_for("CALL_CLOSED");
    }

    /// What it heard so far in its last call, and the rate of that.
    pub fn heard(&self) -> (Vec<i16>, u32) {
        let mut files: Vec<_> = std::fs::read_dir(self.dir.join("heard"))
            .expect("a folder")
            .map(|entry| entry.expect("a file").path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        let Some(bytes) = files.last().and_then(|path| std::fs::read(path).ok()) else {
            return (Vec::new(), 8000);
        };
        if bytes.len() < HEADER {
            return (Vec::new(), 8000);
        }
        let rate = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
        // Opus is written in stereo.
        let channels = usize::from(bytes[22]).max(1);
        let samples = bytes[HEADER..].chunks_exact(2 * channels);
        (samples.map(|s| i16::from_le_bytes([s[0], s[1]])).collect(), rate)
    }

    pub fn log(&self) -> String {
        log(&self.dir, &self.said)
    }

    fn said(&self) -> String {
        self.said.lock().expect("a log").clone()
    }

    /// A command of its menu, as a netstring of JSON.
    fn command(&mut self, command: &str, params: &str) {
        let text = serde_json::json!({ "command": command, "params": params, "token": "test" }).to_string();
        let text = format!("{}:{text},", text.len());
        self.control.write_all(text.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{}", self.log()));
    }
}

fn log(dir: &Path, said: &Mutex<String>) -> String {
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    format!("{log}\n{}", said.lock().expect("a log"))
}

fn listen(mut control: TcpStream, said: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = control.read(&mut buffer) {
            said.lock().expect("a log").push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
}

fn config(dir: &Path, control: u16) -> String {
    let dir = dir.display();
    let modules = ["g711", "g722", "opus", "sndfile", "aubridge", "aufile"];
    let modules: String = modules.iter().map(|name| format!("module {name}.so\n")).collect();
    // Player "ear" of aubridge only paces what sndfile writes down before.
    format!(
        "net_interface 127.0.0.1\n\
         audio_player aubridge,ear\n\
         audio_source aufile,{dir}/says.wav\n\
         audio_alert aubridge,bell\n\
         ausrc_srate 48000\nauplay_srate 48000\nausrc_channels 1\nauplay_channels 1\n\
         audio_buffer 20-160\njitter_buffer_delay 5-10\n\
         module_path {MODULES}\n{modules}\
         module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
         ctrl_tcp_listen 127.0.0.1:{control}\n\
         snd_path {dir}/heard\nopus_bitrate 28000\n"
    )
}
