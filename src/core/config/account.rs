//! `[[account]]`.

use super::{
    Secret,
    mail::check_recipient,
    read::{Given, Node, Section, Source, Tree},
};

/// An account that the store is seeded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user part of its address.
    pub user: String,
    /// One of `server.domains`; the digest realm.
    pub domain: String,
    /// Its digest password; none cannot register.
    pub password: Option<Secret>,
    /// Where its voicemail goes.
    pub email: Option<String>,
    /// Its PIN, for the mailbox from a foreign phone: digits.
    pub pin: Option<Secret>,
    /// How it is shown to people.
    pub display_name: Option<String>,
    /// Whether it has a mailbox.
    pub mailbox: bool,
}

/// Reads every `[[account]]`; one with a fault is left out.
pub(super) fn read(node: Option<Node>, domains: &[String], source: &mut Source) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    let Some(node) = node else { return accounts };
    let Tree::Tables(items) = node.value else {
        source.fault(node.line, "account", "accounts are written [[account]]");
        return accounts;
    };
    for item in items {
        let Tree::Table(keys) = item.value else { continue };
        let section = Section::item("account", item.line, keys, source);
        let Some(account) = read_one(section, domains) else { continue };
        if accounts.iter().any(|other| other.user == account.user && other.domain == account.domain) {
            let reason = format!("{}@{} stands here twice", account.user, account.domain);
            source.fault(item.line, "account.user", reason);
        }
        accounts.push(account);
    }
    accounts
}

fn read_one(mut section: Section<'_>, domains: &[String]) -> Option<Account> {
    let user = match section.take::<String>("user") {
        Some(Given { value, place }) => {
            if value.contains(|c: char| c.is_whitespace() || "@:<>\"".contains(c)) {
                section.fault_at(place, "user", format!("\"{value}\" is no user name"));
            }
            Some(value)
        }
        None => {
            section.fault("user", "an account needs a user name");
            None
        }
    };
    let domain = section.take::<String>("domain").map_or_else(
        || domains.first().cloned(),
        |Given { value, place }| {
            let domain = value.to_ascii_lowercase();
            if domains.contains(&domain) {
                return Some(domain);
            }
            let reason = format!("\"{value}\" is none of server.domains: {}", domains.join(", "));
            section.fault_at(place, "domain", reason);
            None
        },
    );
    let password = section.secret("password").map(|given| given.value);
    let email = section.take::<String>("email").map(|Given { value, place }| {
        if let Err(reason) = check_recipient(&value) {
            section.fault_at(place, "email", reason);
        }
        value
    });
    let pin = section.secret("pin").map(|Given { value, place }| {
        if !(4..=16).contains(&value.expose().len()) || !value.expose().bytes().all(|b| b.is_ascii_digit()) {
            section.fault_at(place, "pin", "a PIN is 4 to 16 digits");
        }
        value
    });
    let display_name = section.take::<String>("display_name").map(|given| given.value);
    let mailbox = section.take::<bool>("mailbox").is_none_or(|given| given.value);
    section.finish();
    Some(Account { user: user?, domain: domain?, password, email, pin, display_name, mailbox })
}
