//! The outbox: mail is tried until the server takes it, and every attempt is written down.

use std::{
    collections::HashMap,
    fs,
    io::ErrorKind,
    time::{Duration, SystemTime},
};

use sems_app::MessageId;
use sqlx::{Row as _, sqlite::SqliteRow};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};

use crate::{
    Store, StoreError,
    mail::Letter,
    store::blocking,
    value::{count, duration, millis, time},
};

/// How far a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its next attempt.
    Pending,
    /// The server took it.
    Sent,
    /// Given up; the message is in the box.
    Failed,
}

/// A mail of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its key.
    pub id: String,
    /// The message that it carries.
    pub message: MessageId,
    /// To whom.
    pub recipient: String,
    /// How far it is.
    pub state: JobState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; none when it is not.
    pub next_attempt: Option<SystemTime>,
    /// What the server said last.
    pub last_answer: Option<String>,
    /// The Message-ID, the same in every attempt.
    pub message_id_header: String,
    /// When it was put here.
    pub created: SystemTime,
}

/// One attempt to send a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: SystemTime,
    /// Whether the server took it.
    pub accepted: bool,
    /// The answer of the SMTP server, or why there was none.
    pub answer: String,
}

/// Mails on their way at a time: a server that hangs holds up this many, and no flood of mails opens more
/// connections.
const PARALLEL: usize = 4;
/// Looked for at least this often, should the clock be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// After the database failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for mails on their way. One that is cut off may be sent twice, never lost.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often what is old is purged, and what was left in the spool is delivered.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// Less sound than this is a missed call.
const LEAST: Duration = Duration::from_secs(2);
/// Tried for this long.
const PATIENCE: Duration = Duration::from_secs(5 * 24 * 3600);
/// Waits after the first, second, ... failure, in seconds; then hourly.
const WAITS: [u64; 6] = [10, 30, 60, 120, 300, 900];
/// Mails listed.
const LISTED: i64 = 1_000;

fn wait_after(failures: u32) -> Duration {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    Duration::from_secs(WAITS.get(index).copied().unwrap_or(3600))
}

/// How an attempt went.
enum Outcome {
    Accepted(String),
    /// Any refusal, a permanent one (5xx) too: relays say it for faults of ours that the operator mends.
    Refused(String),
    /// It can never be sent.
    Hopeless(String),
}

struct Job {
    letter: Letter,
    message: String,
    attempts: u32,
    created: SystemTime,
}

impl Store {
    /// Sends what is due until `shutdown` becomes true (or its sender is gone), and purges every hour.
    pub async fn run_outbox(&self, mut shutdown: watch::Receiver<bool>) {
        let _turn = self.shared.sending.lock().await;
        let mut round = Round::default();
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        loop {
            let sleep = self.begin_due(&mut round).await.unwrap_or_else(|error| {
                tracing::error!(%error, "the outbox cannot be read");
                DATABASE_PAUSE
            });
            tokio::select! {
                () = stopped(&mut shutdown) => break,
                Some(done) = round.tasks.join_next_with_id() => round.end(&done),
                () = self.shared.mail_waits.notified() => {}
                _ = housekeeping.tick() => self.keep_house().await,
                () = tokio::time::sleep(sleep) => {}
            }
        }
        let _ = tokio::time::timeout(LAST_WORDS, async { while round.tasks.join_next().await.is_some() {} })
            .await;
    }

    /// Tries every mail that is due now, once, and returns how many that were.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let _turn = self.shared.sending.lock().await;
        let mut round = Round::default();
        let due = self.now();
        let mut begun = 0;
        loop {
            let jobs = self.due(due, &round).await?;
            begun += jobs.len();
            jobs.into_iter().for_each(|job| round.begin(self, job));
            match round.tasks.join_next_with_id().await {
                Some(done) => round.end(&done),
                None => return Ok(begun),
            }
        }
    }

    async fn keep_house(&self) {
        if let Err(error) = self.purge(self.now()).await {
            tracing::error!(%error, "the store cannot be purged");
        }
        if let Err(error) = self.recover(LEAST).await {
            tracing::error!(%error, "the spool cannot be read");
        }
    }

    /// Begins what is due while there is room, and tells when to look again.
    async fn begin_due(&self, round: &mut Round) -> Result<Duration, StoreError> {
        let now = self.now();
        for job in self.due(now, round).await? {
            round.begin(self, job);
        }
        if round.is_full() {
            return Ok(LONGEST_SLEEP);
        }
        let row = sqlx::query(
            "SELECT MIN(next_attempt) AS next FROM mail_job WHERE state = 'pending' AND next_attempt > $1",
        )
        .bind(millis(now))
        .fetch_one(self.reader())
        .await?;
        let next: Option<i64> = row.try_get("next")?;
        let sleep = next.map_or(LONGEST_SLEEP, |next| time(next).duration_since(now).unwrap_or_default());
        Ok(sleep.min(LONGEST_SLEEP))
    }

    /// The mails that are due and for which there is room.
    async fn due(&self, now: SystemTime, round: &Round) -> Result<Vec<Job>, StoreError> {
        if round.is_full() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT mail_job.*, message.mailbox, message.caller, message.caller_name, message.received, \
             message.duration FROM mail_job JOIN message ON message.id = mail_job.message_id \
             WHERE state = 'pending' AND next_attempt <= $1 ORDER BY next_attempt, mail_job.id LIMIT $2",
        )
        .bind(millis(now))
        .bind(i64::try_from(2 * PARALLEL).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await?;
        let jobs = rows.iter().map(read_job).collect::<Result<Vec<_>, _>>()?;
        let free = jobs.into_iter().filter(|job| !round.has(&job.letter.id));
        Ok(free.take(PARALLEL.saturating_sub(round.tasks.len())).collect())
    }

    async fn attempt(&self, job: Job) {
        let outcome = self.send(&job).await;
        let mail = &job.letter.id;
        match &outcome {
            Outcome::Accepted(answer) => tracing::info!(mail, answer, "mail sent"),
            Outcome::Refused(answer) => tracing::warn!(mail, answer, "mail refused"),
            Outcome::Hopeless(answer) => tracing::error!(mail, answer, "mail given up"),
        }
        if let Err(error) = self.settle(&job, outcome).await {
            tracing::error!(mail = job.letter.id, %error, "an attempt could not be written down");
            // It is still due, and must not be sent again and again meanwhile.
            tokio::time::sleep(DATABASE_PAUSE).await;
        }
    }

    async fn send(&self, job: &Job) -> Outcome {
        let path = self.shared.folders.recording(&job.message);
        let sound = match blocking(move || fs::read(&path).map_err(StoreError::file(path))).await {
            Ok(sound) => sound,
            Err(StoreError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Outcome::Hopeless("the recording is gone".to_owned());
            }
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let mail = match self.shared.mailer.compose(&job.letter, sound) {
            Ok(mail) => mail,
            Err(error) => return Outcome::Hopeless(error.to_string()),
        };
        match self.shared.mailer.send(&job.letter.id, &mail).await {
            Ok(answer) => Outcome::Accepted(answer),
            Err(answer) => Outcome::Refused(answer),
        }
    }

    /// Writes down how an attempt went, and what follows for the message, in one transaction.
    async fn settle(&self, job: &Job, outcome: Outcome) -> Result<(), StoreError> {
        let now = self.now();
        let tries = job.attempts + 1;
        let next = now + wait_after(tries);
        let old = now.duration_since(job.created).is_ok_and(|age| age >= PATIENCE);
        let (state, answer) = match outcome {
            Outcome::Accepted(answer) => (JobState::Sent, answer),
            Outcome::Refused(answer) if !old => (JobState::Pending, answer),
            Outcome::Refused(answer) | Outcome::Hopeless(answer) => (JobState::Failed, answer),
        };
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO mail_attempt (job_id, number, at, accepted, answer) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&job.letter.id)
        .bind(i64::from(tries))
        .bind(millis(now))
        .bind(state == JobState::Sent)
        .bind(&answer)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE mail_job SET state = $2, attempts = $3, next_attempt = $4, last_answer = $5 WHERE id = $1",
        )
        .bind(&job.letter.id)
        .bind(state.as_str())
        .bind(i64::from(tries))
        .bind(millis(next))
        .bind(&answer)
        .execute(&mut *transaction)
        .await?;
        let follow = match state {
            JobState::Pending => None,
            // Mode `mail` keeps nothing in the box once mailed.
            JobState::Sent => Some("UPDATE message SET deleted_at = $2 WHERE id = $1 AND hidden"),
            // Nothing is lost because mail failed: the owner finds it in the box.
            JobState::Failed => Some("UPDATE message SET hidden = FALSE WHERE id = $1 AND hidden AND $2 > 0"),
        };
        let mut changed = 0;
        if let Some(follow) = follow {
            let update = sqlx::query(follow).bind(&job.message).bind(millis(now));
            changed = update.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        if changed > 0 {
            self.changed(&job.letter.mailbox);
        }
        Ok(())
    }

    /// The latest 1,000 mails, latest first.
    pub async fn outbox(&self) -> Result<Vec<OutboxEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM mail_job ORDER BY created DESC, id DESC LIMIT $1")
            .bind(LISTED)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(read_entry).collect()
    }

    /// The attempts of a mail, oldest first.
    pub async fn attempts(&self, id: &str) -> Result<Vec<Attempt>, StoreError> {
        let rows = sqlx::query("SELECT * FROM mail_attempt WHERE job_id = $1 ORDER BY number")
            .bind(id)
            .fetch_all(self.reader())
            .await?;
        let attempt = |row: &SqliteRow| {
            Ok(Attempt {
                at: time(row.try_get("at")?),
                accepted: row.try_get("accepted")?,
                answer: row.try_get("answer")?,
            })
        };
        rows.iter().map(attempt).collect()
    }

    /// Tries a mail again at once, a failed one too. A mail that was sent is [`StoreError::NoSuchMail`].
    pub async fn retry(&self, id: &str) -> Result<(), StoreError> {
        let now = millis(self.now());
        let mut transaction = self.write().await?;
        let result = sqlx::query(
            "UPDATE mail_job SET state = 'pending', next_attempt = $2, \
             created = CASE WHEN state = 'failed' THEN $2 ELSE created END \
             WHERE id = $1 AND state <> 'sent'",
        )
        .bind(id)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        if result.rows_affected() == 0 {
            return Err(StoreError::NoSuchMail);
        }
        self.shared.mail_waits.notify_one();
        Ok(())
    }
}

/// Resolves when `shutdown` is true, or nobody is left to say so.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// The mails on their way.
#[derive(Default)]
struct Round {
    tasks: JoinSet<()>,
    mails: HashMap<Id, String>,
}

impl Round {
    fn begin(&mut self, store: &Store, job: Job) {
        let (store, mail) = (store.clone(), job.letter.id.clone());
        let task = self.tasks.spawn(async move { store.attempt(job).await });
        self.mails.insert(task.id(), mail);
    }

    fn end(&mut self, done: &Result<(Id, ()), JoinError>) {
        let id = match done {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.mails.remove(&id);
    }

    fn is_full(&self) -> bool {
        self.tasks.len() >= PARALLEL
    }

    fn has(&self, mail: &str) -> bool {
        self.mails.values().any(|other| other == mail)
    }
}

impl JobState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

fn read_job(row: &SqliteRow) -> Result<Job, StoreError> {
    Ok(Job {
        message: row.try_get("message_id")?,
        attempts: count(row.try_get("attempts")?),
        created: time(row.try_get("created")?),
        letter: Letter {
            id: row.try_get("id")?,
            recipient: row.try_get("recipient")?,
            message_id_header: row.try_get("message_id_header")?,
            mailbox: row.try_get("mailbox")?,
            caller: row.try_get("caller")?,
            caller_name: row.try_get("caller_name")?,
            received: time(row.try_get("received")?),
            duration: duration(row.try_get("duration")?),
        },
    })
}

fn read_entry(row: &SqliteRow) -> Result<OutboxEntry, StoreError> {
    let state = match row.try_get("state")? {
        "pending" => JobState::Pending,
        "sent" => JobState::Sent,
        _ => JobState::Failed,
    };
    let next = time(row.try_get("next_attempt")?);
    Ok(OutboxEntry {
        id: row.try_get("id")?,
        message: MessageId(row.try_get::<String, _>("message_id")?.into()),
        recipient: row.try_get("recipient")?,
        state,
        attempts: count(row.try_get("attempts")?),
        next_attempt: (state == JobState::Pending).then_some(next),
        last_answer: row.try_get("last_answer")?,
        message_id_header: row.try_get("message_id_header")?,
        created: time(row.try_get("created")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_those_of_the_contract() {
        let waits: Vec<u64> = (1..=8).map(|failures| wait_after(failures).as_secs()).collect();
        assert_eq!(waits, [10, 30, 60, 120, 300, 900, 3600, 3600]);
    }
}
