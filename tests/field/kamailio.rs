//! Kamailio with the configuration of `docs/kamailio`, word for word; only its definitions are set.

use std::{
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{Account, PATIENCE, Program, awaited, free_port, root};

/// A running proxy.
pub struct Kamailio {
    program: Program,
    dir: PathBuf,
    pub udp: SocketAddr,
}

impl Kamailio {
    /// Starts a proxy of these users in front of `sems`, with further definitions of its configuration.
    pub fn start(dir: &Path, sems: SocketAddr, users: &[Account], defines: &[&str]) -> Self {
        let port = free_port();
        let dir = dir.join(format!("kamailio-{port}"));
        let table = dir.join("dbtext");
        std::fs::create_dir_all(&table).expect("a folder");
        let docs = root().join("docs/kamailio");
        std::fs::copy(docs.join("dbtext/version"), table.join("version")).expect("a table");
        let example = std::fs::read_to_string(docs.join("dbtext/subscriber")).expect("a table");
        let mut rows = example.lines().next().expect("its columns").to_owned() + "\n";
        for Account { user, password, domain } in users {
            rows += &format!("{user}:{domain}:{password}\n");
        }
        std::fs::write(table.join("subscriber"), rows).expect("a table");
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let mut command = Command::new("/usr/sbin/kamailio");
        command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f"]).arg(docs.join("kamailio.cfg"));
        command.arg("-w").arg(&dir).arg("-Y").arg(&dir);
        let listen = format!("SIP_LISTEN=udp:127.0.0.1:{port}");
        let (sems, users) = (format!("SEMS=\"sip:{sems}\""), format!("USERS=\"text://{}\"", table.display()));
        for define in [listen.as_str(), &sems, &users].iter().chain(defines) {
            command.args(["-A", define]);
        }
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a log")).stdout(log);
        let program = Program::start(&mut command);
        let proxy = Self { program, dir, udp: SocketAddr::from(([127, 0, 0, 1], port)) };
        let probe = UdpSocket::bind("127.0.0.1:0").expect("a port");
        probe.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        awaited("kamailio answers", || proxy.log(), || proxy.answers(&probe).then_some(()));
        proxy
    }

    fn answers(&self, probe: &UdpSocket) -> bool {
        let local = probe.local_addr().expect("an address");
        let request = format!(
            "OPTIONS sip:nobody@elsewhere.invalid SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKprobe;rport\r\n\
             From: <sip:probe@elsewhere.invalid>;tag=1\r\nTo: <sip:nobody@elsewhere.invalid>\r\n\
             Call-ID: probe-{local}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        // Refused until its socket is there.
        let _ = probe.send_to(request.as_bytes(), self.udp);
        probe.recv_from(&mut [0; 2000]).is_ok()
    }

    /// `sip:user@127.0.0.1:port`
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.udp)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its processes end with the first of them only when that is asked.
        self.program.signal("TERM");
        if self.program.wait(PATIENCE).is_none() {
            eprintln!("kamailio does not end:\n{}", self.log());
        }
    }
}
