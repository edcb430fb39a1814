//! Access tokens: [`TokenFile`] holds the hashes, [`Issued`] the one moment at which a token is known.
//!
//! A token is 256 random bits, so that one round of SHA-256 keeps it safe: there is nothing to guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gridloop_messages::Timestamp;
use gridloop_service::{Diagnostics, Document};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;

/// What a token begins with, so that it is known for one wherever it turns up.
pub(super) const PREFIX: &str = "gridloop_";

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs, their messages and time series.
    Viewer,
    /// Everything: also the messages that broke the wire contract, which may hold anything that anybody published.
    Operator,
}

impl Role {
    /// Every role, by its name.
    pub const ALL: [(&'static str, Self); 2] = [("viewer", Self::Viewer), ("operator", Self::Operator)];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        })
    }
}

/// A token as the file knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// What it opens.
    pub role: Role,
    /// Until when; for ever without it.
    pub expires: Option<Timestamp>,
    hash: [u8; 32],
}

/// A token just made. Nobody can find it out again.
pub struct Issued {
    /// What the client shows.
    pub token: String,
}

/// A file of tokens.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

/// The file of tokens could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It has something else in it.
    #[error("{0}")]
    Wrong(Diagnostics),
    /// It could not be written.
    #[error("write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The name has characters that make trouble in logs and files.
    #[error("`{0}` is no name for a token; use letters, digits, `_` and `-`, 64 of them at most")]
    Name(String),
    /// The name is taken.
    #[error("there is a token `{0}` already; revoke it or choose another name")]
    Taken(String),
    /// There is no such token.
    #[error("there is no token `{0}`")]
    Unknown(String),
    /// The operating system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    Expired,
}

/// All tokens of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tokens(Vec<Token>);

impl Tokens {
    /// Whose token this is. Takes the same time whichever it is, or none.
    pub(crate) fn whose(&self, shown: &str, now: Timestamp) -> Result<&Token, Refused> {
        let hash = hash_of(shown);
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.hash.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        let token = found.ok_or(Refused::Unknown)?;
        if token.expires.is_some_and(|expires| expires <= now) {
            return Err(Refused::Expired);
        }
        Ok(token)
    }
}

impl TokenFile {
    /// The file at this path, which need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its tokens, by their names.
    ///
    /// # Errors
    /// When it cannot be read or has something else in it.
    pub fn list(&self) -> Result<Vec<Token>, TokenError> {
        self.read().map(|tokens| tokens.0)
    }

    pub(crate) fn read(&self) -> Result<Tokens, TokenError> {
        let document = Document::load(&self.path).map_err(TokenError::Wrong)?;
        let sections =
            document.root().named_sections("token", "Access tokens, by the names of who has them.");
        let mut tokens = Vec::new();
        for section in sections {
            let role = section.text("role", "What it opens.").choice(&Role::ALL).required_option();
            let hash = section
                .text("sha256", "The SHA-256 of the token, in hexadecimal digits.")
                .parsed(|text| from_hex(text).ok_or_else(|| "it is not 64 hexadecimal digits".into()))
                .required_option();
            let expires = section
                .text("expires", "When it ends to be of use.")
                .parsed(|text| Timestamp::parse(text).map_err(|error| error.to_string()))
                .such_as("2027-01-01T00:00:00.000Z")
                .optional();
            if let (Some(role), Some(hash)) = (role, hash) {
                tokens.push(Token { name: section.name().to_owned(), role, expires, hash });
            }
        }
        document.finish().map_err(TokenError::Wrong)?;
        Ok(Tokens(tokens))
    }

    /// Makes a token and puts its hash into the file, which is made if it is not there.
    ///
    /// # Errors
    /// When the name is taken or the file cannot be read or written.
    pub fn add(&self, name: &str, role: Role, expires: Option<Timestamp>) -> Result<Issued, TokenError> {
        let sound = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(sound) {
            return Err(TokenError::Name(name.chars().take(64).collect()));
        }
        let _alone = self.lock()?;
        let mut tokens = if self.path.exists() { self.read()?.0 } else { Vec::new() };
        if tokens.iter().any(|token| token.name == name) {
            return Err(TokenError::Taken(name.to_owned()));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(TokenError::Random)?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        tokens.push(Token { name: name.to_owned(), role, expires, hash: hash_of(&token) });
        self.write(&tokens)?;
        Ok(Issued { token })
    }

    /// Takes a token out of the file. A running server refuses it from then on.
    ///
    /// # Errors
    /// When there is no such token or the file cannot be read or written.
    pub fn revoke(&self, name: &str) -> Result<(), TokenError> {
        let _alone = self.lock()?;
        let mut tokens = self.read()?.0;
        let before = tokens.len();
        tokens.retain(|token| token.name != name);
        if tokens.len() == before {
            return Err(TokenError::Unknown(name.to_owned()));
        }
        self.write(&tokens)
    }

    /// Writes a new file beside the old one and puts it in its place, so that nobody reads half of it.
    fn write(&self, tokens: &[Token]) -> Result<(), TokenError> {
        let mut text = String::from(
            "# Who may ask the Log Reader. Written by `gridloop token`; the tokens themselves are nowhere.\n",
        );
        for token in tokens {
            text += &format!(
                "\n[token.{}]\nrole = \"{}\"\nsha256 = \"{}\"\n",
                token.name,
                token.role,
                hex(&token.hash)
            );
            if let Some(expires) = token.expires {
                text += &format!("expires = \"{expires}\"\n");
            }
        }
        let path = self.real_path();
        let failed = |source| self.failed(source);
        let beside = with_suffix(&path, ".new");
        let mut file = private_file(&beside).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        // Whoever could read the old file, such as a server with a user of its own, can read the new one.
        if let Ok(old) = std::fs::metadata(&path) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid())).map_err(failed)?;
            file.set_permissions(old.permissions()).map_err(failed)?;
        }
        std::fs::rename(&beside, &path).map_err(failed)
    }

    /// Keeps other processes from changing the file until it is dropped: a lock on a file beside it.
    fn lock(&self) -> Result<std::fs::File, TokenError> {
        let file =
            private_file(&with_suffix(&self.real_path(), ".lock")).map_err(|error| self.failed(error))?;
        file.lock().map_err(|error| self.failed(error))?;
        Ok(file)
    }

    /// Where a link leads, so that the file itself is changed.
    fn real_path(&self) -> PathBuf {
        std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn failed(&self, source: std::io::Error) -> TokenError {
        TokenError::Write { path: self.path.display().to_string(), source }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A new, empty file that only its owner can read.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        (folder, TokenFile::new(path))
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_token_is_known_by_its_hash_until_it_expires_or_is_revoked() {
        let (_folder, file) = file();
        let viewer = file.add("alice", Role::Viewer, Some(at("2027-01-01"))).unwrap().token;
        let operator = file.add("bob", Role::Operator, None).unwrap().token;
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&viewer) && !text.contains(&viewer[PREFIX.len()..]));
        let tokens = file.read().unwrap();
        let whose =
            |token: &str, now: &str| tokens.whose(token, at(now)).map(|it| (it.name.clone(), it.role));
        assert_eq!(whose(&viewer, "2026-12-31"), Ok(("alice".into(), Role::Viewer)));
        assert_eq!(whose(&viewer, "2027-01-01"), Err(Refused::Expired));
        assert_eq!(whose(&operator, "2099-01-01"), Ok(("bob".into(), Role::Operator)));
        for wrong in ["", "gridloop_", &viewer[..viewer.len() - 1], &format!("{viewer}x")] {
            assert_eq!(whose(wrong, "2026-01-01"), Err(Refused::Unknown));
        }
        file.revoke("alice").unwrap();
        assert_eq!(file.read().unwrap().whose(&viewer, at("2026-01-01")), Err(Refused::Unknown));
        assert!(matches!(file.revoke("alice"), Err(TokenError::Unknown(_))));
    }

    #[test]
    fn a_link_leads_to_the_file_that_is_changed_and_the_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, file) = file();
        file.add("eve", Role::Viewer, None).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        TokenFile::new(link.clone()).revoke("eve").unwrap();
        assert!(file.list().unwrap().is_empty());
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn tokens_that_are_added_at_once_are_all_there() {
        let (_folder, file) = file();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = TokenFile::new(file.path().to_owned());
                scope.spawn(move || file.add(&format!("user{n}"), Role::Viewer, None).unwrap());
            }
        });
        assert_eq!(file.list().unwrap().len(), 8);
    }

    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, file) = file();
        file.add("alice", Role::Viewer, None).unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn no_two_tokens_are_alike_and_no_two_have_one_name() {
        let (_folder, file) = file();
        let [a, b] = ["a", "b"].map(|name| file.add(name, Role::Viewer, None).unwrap().token);
        assert_ne!(a, b);
        assert_eq!(a.len(), PREFIX.len() + 43);
        assert!(matches!(file.add("a", Role::Viewer, None), Err(TokenError::Taken(_))));
        for name in ["", "a b", "a.b", "ä", &"x".repeat(65)] {
            assert!(matches!(file.add(name, Role::Viewer, None), Err(TokenError::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_file_with_something_else_in_it_is_refused_line_by_line() {
        let (_folder, file) = file();
        std::fs::write(file.path(), "[token.a]\nrole = \"king\"\nsha256 = \"12\"\nexpire = 1\n").unwrap();
        let error = file.list().unwrap_err().to_string();
        for part in ["role", "sha256", "expire"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        std::fs::remove_file(file.path()).unwrap();
        assert!(matches!(file.list(), Err(TokenError::Wrong(_))));
    }
}
