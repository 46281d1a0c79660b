//! A real mail server, and mails as another program reads them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{Program, eventually, lines, root, rows::PYTHON};

/// An SMTP server (Debian's aiosmtpd) that takes everything.
pub struct MailServer {
    _program: Program,
    pub port: u16,
    pub mails: TempDir,
}

impl MailServer {
    pub fn start() -> Self {
        let mails = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(PYTHON);
        command.arg(root().join("src/store/tests/store/smtp_server.py")).arg(mails.path()).arg("250 taken");
        let mut program = Program::start(command.stdout(Stdio::piped()));
        let said = lines(program.0.stdout.take().expect("standard output"));
        let port =
            said.recv_timeout(Duration::from_secs(30)).expect("python3-aiosmtpd is installed and starts");
        Self { _program: program, port: port.trim().parse().expect("a port"), mails }
    }

    /// Waits for this mail, counted from 1.
    pub fn mail(&self, number: usize) -> PathBuf {
        let path = self.mails.path().join(format!("{number}.eml"));
        eventually("a mail", Duration::from_secs(30), || path.is_file().then_some(()));
        path
    }
}

/// A mail, read by Python's `email`.
#[derive(Debug)]
pub struct Letter {
    /// Headers, text and the attachment's name and type.
    pub text: String,
    /// The attachment.
    pub sound: PathBuf,
}

/// Reads a mail and saves its attachment beside it.
pub fn read(mail: &Path) -> Letter {
    let sound = mail.with_extension("wav");
    let script = root().join("src/store/tests/store/read_mail.py");
    let output = Command::new(PYTHON).arg(script).arg(mail).arg(&sound).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Letter { text: String::from_utf8(output.stdout).expect("text"), sound }
}

/// What `soxi` says of a sound: one of its options.
pub fn soxi(option: &str, sound: &Path) -> String {
    let output = Command::new("soxi").arg(option).arg(sound).output().expect("sox is installed");
    assert!(output.status.success(), "{}: {}", sound.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The mails that lie in a folder.
pub fn letters(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|end| end == "eml")).collect()
}
