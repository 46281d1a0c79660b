//! The mail itself, and its way out.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use lettre::{
    Address, Message,
    error::Error as ComposeError,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
        response::Response,
    },
};
use sems_app::Uri;

use crate::{
    MailConfig, StoreError, Tls, Transport,
    date::{stamp, words},
    spool::write_whole,
    store::{blocking, make_folder},
    value::clean,
};

/// Characters kept of a caller's name or number in a mail.
const NAME: usize = 80;
/// Characters kept of what a mail server says.
const ANSWER: usize = 500;
/// A server that took the mail has this long to say goodbye; it matters to nobody.
const GOODBYE: Duration = Duration::from_secs(2);

/// Whether voicemail can be mailed to this: `user@host`.
pub fn is_mail_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

/// Whether mail can come from this: `user@host` or `Name <user@host>`.
pub fn is_mail_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// What a mail tells.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) recipient: String,
    pub(crate) message_id_header: String,
    pub(crate) mailbox: String,
    pub(crate) caller: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) received: SystemTime,
    pub(crate) duration: Duration,
}

/// Writes mails and sends them.
#[derive(Debug)]
pub(crate) struct Mailer {
    from: Mailbox,
    subject: String,
    body: String,
    transport: Transport,
    pub(crate) timeout: Duration,
}

impl Mailer {
    pub(crate) fn new(data_dir: &Path, config: &MailConfig) -> Result<Self, StoreError> {
        let from = config.from.parse().map_err(|_| StoreError::Config {
            key: "mail.from",
            reason: format!("`{}` is no address like Name <user@host>", config.from).into(),
        })?;
        let transport = match &config.transport {
            Transport::File(folder) => {
                let folder = data_dir.join(folder);
                make_folder(&folder)?;
                Transport::File(folder)
            }
            smtp @ Transport::Smtp { .. } => smtp.clone(),
        };
        let MailConfig { subject, body, timeout, .. } = config.clone();
        Ok(Self { from, subject, body, transport, timeout })
    }

    /// The domain of the sender, for Message-IDs.
    pub(crate) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Writes the mail: a text and the recording. The same letter gives the same mail, the MIME boundary aside.
    pub(crate) fn compose(&self, letter: &Letter, sound: Vec<u8>) -> Result<Message, ComposeError> {
        let words = Words::new(letter);
        let recipient: Address = letter.recipient.parse().map_err(|_| ComposeError::MissingTo)?;
        let subject = words.fill(&self.subject).split_whitespace().collect::<Vec<_>>().join(" ");
        let wav = ContentType::parse("audio/wav").unwrap_or(ContentType::TEXT_PLAIN);
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient))
            .subject(subject)
            .date(letter.received)
            .message_id(Some(letter.message_id_header.clone()))
            .multipart(
                MultiPart::mixed()
                    .singlepart(SinglePart::plain(words.fill(&self.body)))
                    .singlepart(Attachment::new(words.file_name(letter)).body(sound, wav)),
            )?;
        // RFC 3834: no vacation notice shall answer this.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        Ok(message)
    }

    /// Sends a mail; the answer of the server, or why there was none.
    pub(crate) async fn send(&self, id: &str, message: &Message) -> Result<String, String> {
        let sent = match &self.transport {
            Transport::File(folder) => write_eml(folder.join(format!("{id}.eml")), message).await,
            Transport::Smtp { host, port, tls, credentials } => {
                let login = credentials
                    .as_ref()
                    .map(|login| Credentials::new(login.user.clone(), login.password.clone()));
                let delivery = deliver(host, *port, *tls, login.as_ref(), message);
                match tokio::time::timeout(self.timeout, delivery).await {
                    Ok(Ok(mut delivered)) => {
                        // The mail is theirs now, whatever becomes of the connection.
                        let _ = tokio::time::timeout(GOODBYE, delivered.connection.abort()).await;
                        Ok(answer(&delivered.response))
                    }
                    Ok(Err(error)) => Err(chain(&error)),
                    Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs_f32())),
                }
            }
        };
        sent.map(|text| clean(&text, ANSWER)).map_err(|text| clean(&text, ANSWER))
    }
}

struct Delivered {
    connection: AsyncSmtpConnection,
    response: Response,
}

async fn deliver(
    host: &str,
    port: u16,
    tls: Tls,
    credentials: Option<&Credentials>,
    message: &Message,
) -> Result<Delivered, lettre::transport::smtp::Error> {
    let us = ClientId::default();
    let parameters = || TlsParameters::new(host.to_owned());
    let implicit = if tls == Tls::Implicit { Some(parameters()?) } else { None };
    let mut connection = AsyncSmtpConnection::connect_tokio1((host, port), None, &us, implicit, None).await?;
    // Where STARTTLS is required and not offered, this fails, as it should.
    if tls == Tls::Required || (tls == Tls::Opportunistic && connection.can_starttls()) {
        connection.starttls(parameters()?, &us).await?;
    }
    if let Some(credentials) = credentials {
        connection.auth(DEFAULT_MECHANISMS, credentials).await?;
    }
    let response = connection.send(message.envelope(), &message.formatted()).await?;
    Ok(Delivered { connection, response })
}

async fn write_eml(path: PathBuf, message: &Message) -> Result<String, String> {
    let bytes = message.formatted();
    let name = path.display().to_string();
    blocking(move || write_whole(&path, &bytes)).await.map_err(|error| error.to_string())?;
    Ok(format!("written to {name}"))
}

fn answer(response: &Response) -> String {
    let text: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), text.join(" "))
}

/// An error with its causes, each told once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The words that templates may use, cleaned of what could be more than words.
struct Words([(&'static str, String); 5]);

impl Words {
    fn new(letter: &Letter) -> Self {
        let number = match letter.caller.parse::<Uri>() {
            Ok(uri) => uri.user().unwrap_or(uri.host()).to_owned(),
            Err(_) => letter.caller.clone(),
        };
        let name = letter.caller_name.as_deref().map_or(String::new(), |name| clean(name, NAME));
        let seconds = letter.duration.as_secs();
        Self([
            ("{caller_name}", name.trim().to_owned()),
            ("{caller_number}", clean(&number, NAME).trim().to_owned()),
            ("{duration}", format!("{}:{:02}", seconds / 60, seconds % 60)),
            ("{mailbox}", clean(&letter.mailbox, NAME)),
            ("{date}", words(letter.received)),
        ])
    }

    /// Replaces each word once: what a caller put between braces stays as it is.
    fn fill(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            match self.0.iter().find(|(word, _)| from.starts_with(word)) {
                Some((word, value)) => {
                    text.push_str(value);
                    rest = from.get(word.len()..).unwrap_or_default();
                }
                None => {
                    text.push('{');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        text + rest
    }

    /// `voicemail-20261120-1601-1001.wav`: nothing in it that any file system dislikes.
    fn file_name(&self, letter: &Letter) -> String {
        let caller: String = self.0[1]
            .1
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "+-_".contains(*c))
            .take(32)
            .collect();
        let caller = if caller.is_empty() { "unknown".to_owned() } else { caller };
        format!("voicemail-{}-{caller}.wav", stamp(letter.received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time;

    fn letter(caller: &str, name: Option<&str>) -> Letter {
        Letter {
            id: "1".to_owned(),
            recipient: "alice@example.org".to_owned(),
            message_id_header: "<1@localhost>".to_owned(),
            mailbox: "alice@localhost".to_owned(),
            caller: caller.to_owned(),
            caller_name: name.map(str::to_owned),
            received: time(1_763_654_460_000),
            duration: Duration::from_millis(12_900),
        }
    }

    fn mail(letter: &Letter) -> String {
        let mailer = Mailer::new(Path::new("/nowhere"), &smtp()).unwrap();
        String::from_utf8(mailer.compose(letter, vec![1, 2, 3]).unwrap().formatted()).unwrap()
    }

    fn smtp() -> MailConfig {
        MailConfig { transport: "smtp://localhost".parse().unwrap(), ..MailConfig::default() }
    }

    #[test]
    fn words_are_filled_once() {
        let words = Words::new(&letter("sip:1001@x", Some("{date} {mailbox}")));
        assert_eq!(words.fill("{caller_name}/{duration}/{none}{"), "{date} {mailbox}/0:12/{none}{");
    }

    #[test]
    fn a_caller_writes_no_header_and_no_path() {
        let evil = letter("sip:%0d%0aBcc:x@y/../..@z", Some("A\r\nBcc: victim@example.org\r\n\r\nhi"));
        let mail = mail(&evil);
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        let name = Words::new(&evil).file_name(&evil);
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "+-_.".contains(c)), "{name}");
        assert_eq!(name.matches('.').count(), 1);
    }

    #[test]
    fn the_same_letter_keeps_its_message_id_and_date() {
        let mail = mail(&letter("sip:1001@x", None));
        assert!(mail.contains("Message-ID: <1@localhost>\r\n"), "{mail}");
        assert!(mail.contains("Auto-Submitted: auto-generated\r\n"));
        assert!(mail.contains("Date: Thu, 20 Nov 2025 16:01:00 +0000\r\n"), "{mail}");
    }
}
