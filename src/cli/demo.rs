//! Accounts for a first start, so that there is somebody to register and to call.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use sems_store::AccountSeed;

/// Who is made.
const NAMES: [(&str, &str); 3] = [("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")];
/// Letters and digits that nobody mistakes for others.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The accounts, with random secrets.
pub(super) fn accounts(domain: &str) -> Vec<AccountSeed> {
    let account = |(user, name): (&str, &str)| AccountSeed {
        user: user.to_owned(),
        domain: domain.to_owned(),
        password: Some(password()),
        email: Some(format!("{user}@{domain}")),
        pin: Some(pin()),
        display_name: Some(name.to_owned()),
        ..AccountSeed::default()
    };
    NAMES.into_iter().map(account).collect()
}

/// 80 random bits.
fn password() -> String {
    let bytes: [u8; 16] = rand::random();
    bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).copied().map(char::from).collect()
}

/// Six random digits that are neither one digit six times nor a row such as 345678.
fn pin() -> String {
    loop {
        let digits: [u8; 6] = rand::random::<[u32; 6]>().map(|number| (number % 10) as u8);
        let steps: Vec<i8> = digits.windows(2).filter_map(step).collect();
        let row = [-1, 0, 1].into_iter().any(|by| steps.iter().all(|step| *step == by));
        if !row {
            return digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        }
    }
}

fn step(pair: &[u8]) -> Option<i8> {
    match pair {
        [one, other] => Some(*other as i8 - *one as i8),
        _ => None,
    }
}

/// What to tell: whom to register, and what to dial.
pub(super) fn text(accounts: &[AccountSeed], listeners: &str) -> String {
    let mut text = String::from("Demo accounts. Register a phone with one of them:\n\n");
    for account in accounts {
        let password = account.password.as_deref().unwrap_or_default();
        let pin = account.pin.as_deref().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  user {:<6} password {password}  mailbox PIN {pin}", account.user);
    }
    let domain = accounts.first().map_or("localhost", |account| &account.domain);
    let (user, password) = accounts
        .first()
        .map_or(("", ""), |account| (account.user.as_str(), account.password.as_deref().unwrap_or_default()));
    let _ = write!(
        text,
        "\nServer (domain, registrar): 127.0.0.1 on this machine, from another one this machine's address; the\n\
         realm is {domain}. It listens on {listeners}. In baresip's accounts, for example:\n\n\
         \x20 <sip:{user}@127.0.0.1>;auth_pass={password}\n\n\
         Then dial\n\n\
         \x20 echo         to hear yourself\n\
         \x20 conference   to meet whoever dials the same (conference1, conference2, ... are other rooms)\n\
         \x20 bob          to ring him, or to leave a message when he is not registered\n\
         \x20 message      for your own messages (from a foreign phone: the number and the PIN)\n"
    );
    text
}

/// Writes the text to a new file for its owner alone.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_differ_and_are_no_rows() {
        let accounts = accounts("localhost");
        let [alice, bob, _] = &accounts[..] else { panic!("three accounts: {accounts:?}") };
        assert_ne!(alice.password, bob.password);
        for account in &accounts {
            assert_eq!(account.password.as_deref().map(str::len), Some(16));
            let pin = account.pin.as_deref().expect("a PIN");
            assert!(pin.len() == 6 && pin.bytes().all(|b| b.is_ascii_digit()), "{pin}");
        }
    }

    #[test]
    fn the_file_is_for_its_owner_and_says_it_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("demo-accounts.txt");
        let accounts = accounts("example.org");
        write(&path, &text(&accounts, "udp:127.0.0.1:5060")).expect("written");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).expect("read");
        for account in &accounts {
            for part in [&account.user, &account.domain] {
                assert!(text.contains(part.as_str()), "{part}");
            }
            assert!(text.contains(account.password.as_deref().expect("given")));
            assert!(text.contains(account.pin.as_deref().expect("given")));
        }
        assert!(text.contains("echo") && text.contains("udp:127.0.0.1:5060"));
    }
}
