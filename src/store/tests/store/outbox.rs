//! Mail, given to a real server.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sems_app::{MailboxBackend as _, Mode};
use sems_store::{JobState, MailboxStore, OutboxEntry, Store};
use tokio::sync::watch;

use crate::{House, alice_box};

/// The interpreter that has Debian's aiosmtpd.
const PYTHON: &str = "/usr/bin/python3";

struct MailServer {
    process: Child,
    port: u16,
    mails: tempfile::TempDir,
}

impl MailServer {
    fn start(answers: &[&str]) -> Self {
        let mails = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/smtp_server.py");
        let mut process = Command::new(PYTHON)
            .arg(script)
            .arg(mails.path())
            .args(answers)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server (python3-aiosmtpd) prints its port");
        Self { process, port, mails }
    }

    fn mail(&self, number: usize) -> PathBuf {
        self.mails.path().join(format!("{number}.eml"))
    }

    fn count(&self) -> usize {
        fs::read_dir(self.mails.path()).unwrap().count()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(program: &str, arguments: &[&Path]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a mail program reads in a mail, and the length in seconds of its attachment as sox hears it.
fn read_mail(house: &House, mail: &Path) -> (String, f64) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/read_mail.py");
    let sound = house.folder.path().join("attachment.wav");
    let text = run(PYTHON, &[&script, mail, &sound]);
    let seconds = run("soxi", &[Path::new("-D"), &sound]).trim().parse().unwrap();
    (text, seconds)
}

async fn entry(store: &Store) -> OutboxEntry {
    let mut entries = store.outbox().await.unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn assert_is_the_voicemail(text: &str, seconds: f64) {
    for line in [
        "From: Voicemail <voicemail@localhost>",
        "To: alice@example.org",
        "Subject: Voicemail from Zoë Å 1001 (0:03) – alice@localhost",
        "Charset: utf-8",
        "Received: 2025-11-20 16:01 UTC",
        "Attachment: voicemail-20251120-1601-1001.wav audio/wav",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
    }
    assert!((seconds - 3.0).abs() < 0.001, "{seconds} s");
}

// SEMS-VM-1: the WAV is mailed to the owner as an attachment.
#[tokio::test]
async fn a_message_is_mailed_with_its_sound() {
    let server = MailServer::start(&["250 2.0.0 taken"]);
    let house = House::with_mail_to(server.port);
    let store = house.open().await;
    house.leave_message(&store, Mode::Both, 3).await;
    assert_eq!(store.deliver_due().await.unwrap(), 1);
    assert_eq!(store.deliver_due().await.unwrap(), 0);
    let entry = entry(&store).await;
    assert_eq!((entry.state, entry.last_answer.as_deref()), (JobState::Sent, Some("250 2.0.0 taken")));
    let (text, seconds) = read_mail(&house, &server.mail(1));
    assert_is_the_voicemail(&text, seconds);
    assert!(text.contains(&entry.message_id_header));
    assert_eq!(house.listed(&store).await.len(), 1);
}

#[tokio::test]
async fn without_a_server_the_mail_is_a_file() {
    let house = House::new();
    let store = house.open().await;
    house.leave_message(&store, Mode::Both, 3).await;
    assert_eq!(store.deliver_due().await.unwrap(), 1);
    let entry = entry(&store).await;
    assert_eq!(entry.state, JobState::Sent);
    assert_eq!(house.files("mail"), [format!("{}.eml", entry.id)]);
    let (text, seconds) = read_mail(&house, &house.path(&format!("mail/{}.eml", entry.id)));
    assert_is_the_voicemail(&text, seconds);
}

#[tokio::test]
async fn refused_mail_is_tried_again_across_restarts_with_one_message_id() {
    let server = MailServer::start(&["451 4.7.1 later", "550 5.7.1 no relaying", "250 taken"]);
    let house = House::with_mail_to(server.port);
    let store = house.open().await;
    house.leave_message(&store, Mode::Both, 3).await;
    assert_eq!(store.deliver_due().await.unwrap(), 1);
    let first = entry(&store).await;
    assert_eq!((first.state, first.attempts), (JobState::Pending, 1));
    assert_eq!(first.next_attempt, Some(house.now() + Duration::from_secs(10)));
    drop(store);

    let store = house.open().await;
    house.pass(Duration::from_secs(9));
    assert_eq!(store.deliver_due().await.unwrap(), 0);
    house.pass(Duration::from_secs(1));
    assert_eq!(store.deliver_due().await.unwrap(), 1);
    assert_eq!(entry(&store).await.next_attempt, Some(house.now() + Duration::from_secs(30)));
    drop(store);

    let store = house.open().await;
    store.retry(&first.id).await.unwrap();
    assert_eq!(store.deliver_due().await.unwrap(), 1);
    let last = entry(&store).await;
    assert_eq!((last.state, last.attempts, last.next_attempt), (JobState::Sent, 3, None));
    assert_eq!(last.message_id_header, first.message_id_header);
    assert!(fs::read_to_string(server.mail(3)).unwrap().contains(&first.message_id_header));
    let attempts = store.attempts(&first.id).await.unwrap();
    let answers: Vec<_> =
        attempts.iter().map(|attempt| (attempt.accepted, attempt.answer.as_str())).collect();
    assert_eq!(answers.len(), 3);
    assert!(answers[0].1.contains("451") && answers[0].1.contains("later"), "{answers:?}");
    assert!(answers[1].1.contains("550") && answers[1].1.contains("no relaying"), "{answers:?}");
    assert_eq!(answers[2], (true, "250 taken"));
    assert!(store.retry(&first.id).await.is_err(), "a mail is not sent twice");
}

#[tokio::test]
async fn a_dead_server_loses_nothing_and_after_five_days_the_message_is_in_the_box() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let house = House::with_mail_to(port);
    let store = house.open().await;
    house.leave_message(&store, Mode::Mail, 3).await;
    let mut attempts = 0;
    while entry(&store).await.state == JobState::Pending {
        assert!(house.listed(&store).await.is_empty(), "it waits to be mailed");
        let next = entry(&store).await.next_attempt.unwrap();
        house.pass(next.duration_since(house.now()).unwrap_or_default());
        attempts += store.deliver_due().await.unwrap();
    }
    let entry = entry(&store).await;
    // Six in the first half hour, then one an hour.
    assert_eq!((entry.state, attempts), (JobState::Failed, 127));
    assert!(entry.last_answer.unwrap().to_lowercase().contains("refused"));
    let listed = house.listed(&store).await;
    assert_eq!(listed.len(), 1);
    assert!(MailboxStore::new(store).audio(&alice_box(), &listed[0]).await.unwrap().is_file());
}

// SEMS-X3: mode `mail` keeps nothing, once the server has it.
#[tokio::test]
async fn a_message_only_mailed_leaves_the_box_with_the_servers_word() {
    let server = MailServer::start(&["451 later", "250 taken"]);
    let house = House::with_mail_to(server.port);
    let store = house.open().await;
    let message = house.leave_message(&store, Mode::Mail, 3).await;
    let sound = house.path(&format!("recordings/{}.wav", message.0));
    store.deliver_due().await.unwrap();
    store.purge(house.now() + Duration::from_secs(30 * 24 * 3600)).await.unwrap();
    assert!(sound.exists(), "not deleted before the 250");
    house.pass(Duration::from_secs(10));
    store.deliver_due().await.unwrap();
    assert_eq!(entry(&store).await.state, JobState::Sent);
    assert!(house.listed(&store).await.is_empty());
    store.purge(house.now() + Duration::from_secs(8 * 24 * 3600)).await.unwrap();
    assert!(!sound.exists());
}

#[tokio::test]
async fn without_an_address_a_message_to_be_mailed_is_kept_in_the_box() {
    let house = House::new();
    let store = house.open().await;
    store.set_email("alice", "localhost", None).await.unwrap();
    house.leave_message(&store, Mode::Mail, 3).await;
    assert_eq!(house.listed(&store).await.len(), 1);
    assert!(store.outbox().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_holds_up_no_other_mail() {
    let server = MailServer::start(&["hang", "250 taken"]);
    let mut house = House::with_mail_to(server.port);
    house.config.mail.timeout = Duration::from_secs(2);
    let store = house.open().await;
    house.leave_message(&store, Mode::Both, 3).await;
    house.leave_message(&store, Mode::Both, 3).await;
    assert_eq!(store.deliver_due().await.unwrap(), 2);
    let states: Vec<_> = store.outbox().await.unwrap().iter().map(|entry| entry.state).collect();
    assert!(states.contains(&JobState::Sent) && states.contains(&JobState::Pending), "{states:?}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn the_outbox_wakes_for_a_new_message_and_stops_when_told() {
    let server = MailServer::start(&["250 taken"]);
    let house = House::with_mail_to(server.port);
    let store = house.open().await;
    let (stop, shutdown) = watch::channel(false);
    let outbox = tokio::spawn({
        let store = store.clone();
        async move { store.run_outbox(shutdown).await }
    });
    for _ in 0..6 {
        house.leave_message(&store, Mode::Both, 2).await;
    }
    let all_sent = async {
        while store.outbox().await.unwrap().iter().any(|entry| entry.state != JobState::Sent) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_sent).await.expect("all mails are sent");
    assert_eq!(server.count(), 6);
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), outbox).await.expect("it stops").unwrap();
}
