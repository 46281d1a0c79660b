//! What the store is told by the configuration.

use std::time::Duration;

use sems_core::config::{Account, Config, Secret};
use sems_store::{AccountSeed, MailConfig, StoreConfig, Transport};

/// Less sound than this is no message, unless `plugins.voicemail.min_duration` says otherwise.
const LEAST_MESSAGE: Duration = Duration::from_secs(2);

/// How to open the store.
pub(super) fn store(config: &Config) -> StoreConfig {
    // The configuration was checked: it is a transport.
    let transport = config.mail.transport.parse().unwrap_or_else(|_| Transport::File("mail".into()));
    let transport = match &config.mail.password {
        Some(password) => Transport::with_password(transport, password.expose()),
        None => transport,
    };
    StoreConfig {
        database: config.store.database.clone(),
        recordings: config.store.recordings.clone(),
        mail: MailConfig { transport, from: config.mail.from.clone(), ..MailConfig::default() },
        domains: config.server.domains.clone(),
        ..StoreConfig::new(&config.server.data_dir)
    }
}

/// The accounts of the configuration.
pub(super) fn accounts(config: &Config) -> Vec<AccountSeed> {
    config.accounts.iter().map(account).collect()
}

fn account(account: &Account) -> AccountSeed {
    let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    AccountSeed {
        user: account.user.clone(),
        domain: account.domain.clone(),
        password: text(&account.password),
        email: account.email.clone(),
        pin: text(&account.pin),
        display_name: account.display_name.clone(),
        mailbox: account.mailbox,
        ..AccountSeed::default()
    }
}

/// The shortest take that is delivered when it is found after a crash.
pub(super) fn least_message(config: &Config) -> Duration {
    let configured = config.plugins.get("voicemail").and_then(|table| table.text("min_duration"));
    configured.and_then(|text| sems_app::duration::parse(text).ok()).unwrap_or(LEAST_MESSAGE)
}
