//! The token that opens the API.

use std::{
    fmt::{self, Write as _},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use subtle::ConstantTimeEq;

/// Fewer characters than this could be guessed.
const SHORTEST: usize = 16;

/// A secret text; `Debug` hides it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads the token from a file, which is made with a random one (256 bits, mode 0600) where it is absent.
    ///
    /// # Errors
    /// Of the file system; `InvalidData` for a token of less than 16 characters.
    pub fn open(path: &Path) -> io::Result<Self> {
        match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let token = rand::random::<[u8; 32]>().iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        // Written whole under another name first: a reader never sees half a token.
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = Path::new(&unfinished);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(unfinished)?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        fs::rename(unfinished, path)?;
        Ok(Self(token.into()))
    }

    /// Reads the token from a file that is there.
    ///
    /// # Errors
    /// Of the file system; `InvalidData` for a token of less than 16 characters.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let token = text.trim();
        if token.len() < SHORTEST {
            let reason = format!("{} holds no token of at least {SHORTEST} characters", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Self(token.into()))
    }

    /// The text that a client sends.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether an Authorization header carries this token. Takes as long for a near miss as for a far one.
    pub(crate) fn opens(&self, authorization: &str) -> bool {
        let Some((scheme, given)) = authorization.split_once(' ') else { return false };
        scheme.eq_ignore_ascii_case("bearer") && bool::from(given.trim().as_bytes().ct_eq(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("api.token");
        let made = Token::open(&path).expect("made");
        assert_eq!(made.expose().len(), 64);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Token::open(&path).expect("read").expose(), made.expose());
        assert!(!format!("{made:?}").contains(made.expose()));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1, "nothing else is left");
    }

    #[test]
    fn a_short_token_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("api.token");
        fs::write(&path, "secret\n").expect("written");
        assert_eq!(Token::open(&path).expect_err("refused").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token("0123456789abcdef".into());
        for (header, opens) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdef0", false),
            ("Bearer", false),
            ("Bearer ", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
        ] {
            assert_eq!(token.opens(header), opens, "{header}");
        }
    }
}
