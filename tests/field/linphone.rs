//! linphonec with files instead of a sound card.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
};

use super::{Account, PATIENCE, Program, awaited, eventually, free_port, long_tone, wav};

/// A registered phone.
pub struct Linphone {
    program: Program,
    dir: PathBuf,
    keys: ChildStdin,
}

impl Linphone {
    /// Starts a phone of `account` at `proxy` that says a tone of `hz` in its calls and takes all calls; back when it
    /// is registered.
    pub fn start(dir: &Path, account: &Account, proxy: SocketAddr, hz: f32) -> Self {
        Self::start_as(dir, account, proxy, &["-a"], hz)
    }

    /// Starts one that only rings.
    pub fn ringing(dir: &Path, account: &Account, proxy: SocketAddr) -> Self {
        Self::start_as(dir, account, proxy, &[], 900.0)
    }

    fn start_as(dir: &Path, account: &Account, proxy: SocketAddr, how: &[&str], hz: f32) -> Self {
        let dir = dir.join(format!("linphone-{}", account.user));
        // Without the folder of its database it opens no socket.
        std::fs::create_dir_all(dir.join(".local/share/linphone")).expect("a folder");
        long_tone(&dir.join("says.wav"), hz, 16_000);
        let config = format!(
            "[sip]\nsip_port={}\nsip_tcp_port=0\nsip_tls_port=0\nuse_ipv6=0\nipv6_migration_done=1\n\
             [rtp]\naudio_rtp_port={}\n",
            free_port(),
            free_port()
        );
        std::fs::write(dir.join("rc"), config).expect("a configuration");
        let output = std::fs::File::create(dir.join("log")).expect("a log");
        let mut command = Command::new("linphonec");
        command.args(how).arg("-c").arg(dir.join("rc")).env("HOME", &dir).current_dir(&dir);
        command.stdin(Stdio::piped()).stderr(output.try_clone().expect("a log")).stdout(output);
        let mut program = Program::start(&mut command);
        let keys = program.0.stdin.take().expect("standard input");
        let mut phone = Self { program, dir, keys };
        phone.command("soundcard use files");
        let (says, heard) = (phone.dir.join("says.wav"), phone.dir.join("heard.wav"));
        phone.command(&format!("play {}", says.display()));
        phone.command(&format!("record {}", heard.display()));
        let Account { user, password, domain } = account;
        phone.command(&format!("register sip:{user}@{domain} sip:{proxy} {password}"));
        let dir = phone.dir.clone();
        awaited(
            "linphone is registered",
            || log(&dir),
            || {
                phone.command("status register");
                phone.log().contains("registered, identity=").then_some(())
            },
        );
        phone
    }

    /// Calls `uri`, and comes back when it is answered.
    pub fn call(&mut self, uri: &str) {
        self.command(&format!("call {uri}"));
        self.wait_for(" connected.");
    }

    /// Waits until it says something.
    pub fn wait_for(&self, text: &str) {
        awaited(text, || self.log(), || self.log().contains(text).then_some(()));
    }

    /// Ends its call; back when the recording is complete.
    pub fn hang_up(&mut self) {
        self.command("terminate");
        self.wait_for(" ended");
    }

    /// Declines the call that comes in, with 603.
    pub fn decline(&mut self) {
        self.wait_for("Receiving new incoming call");
        self.command("terminate");
    }

    /// What it heard in its call, which is over, and the rate of that.
    pub fn heard(&self) -> (Vec<i16>, u32) {
        let path = self.dir.join("heard.wav");
        // The length in the header comes when the file is closed, a moment after the call.
        eventually("linphone closes its recording", PATIENCE, || {
            std::fs::metadata(&path).is_ok_and(|file| file.len() > 44).then_some(())
        });
        wav(&path)
    }

    pub fn log(&self) -> String {
        log(&self.dir)
    }

    fn command(&mut self, text: &str) {
        writeln!(self.keys, "{text}").unwrap_or_else(|error| panic!("{error}:\n{}", self.log()));
    }
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}
