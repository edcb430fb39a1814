//! Where messages are stored: [`StoreUrl`], `sqlite:DIR` or `mongodb://[user:password@]host:port/database`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A store, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A folder with a folder for each run, as `gridloop run` writes them: `<DIR>/<compact id>/messages.sqlite`.
    Sqlite(PathBuf),
    /// A database in the layout of wire contract 5.1.
    MongoDb(MongoSettings),
}

/// A text that is no [`StoreUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// It begins with something else.
    #[error("expected sqlite:DIR or mongodb://host:port/database")]
    Scheme,
    /// `sqlite:` and nothing behind it.
    #[error("sqlite: needs a folder behind it, such as sqlite:runs")]
    NoFolder,
    /// The path of a MongoDB URL is the database; a database has a plain name.
    #[error("a MongoDB URL names the database behind the host, such as mongodb://localhost:27017/logs")]
    NoDatabase,
}

/// A MongoDB database and how it is laid out.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoSettings {
    /// The connection string, with everything that the driver understands in it.
    pub url: String,
    /// Name of the database; `logs` in a shipped SimCES.
    pub database: String,
    /// Names of the collections.
    pub collections: Collections,
}

/// Names of collections (wire contract 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collections {
    /// The metadata of all runs.
    pub metadata: String,
    /// Before a simulation id: the messages of that run.
    pub messages_prefix: String,
    /// Before a simulation id: what was kept apart.
    pub invalid_prefix: String,
}

impl Default for Collections {
    /// The names that the Python Log Reader looks for.
    fn default() -> Self {
        Self {
            metadata: "simulations".into(),
            messages_prefix: "simulation_".into(),
            invalid_prefix: "invalid_simulation_".into(),
        }
    }
}

/// What the SimCES environment says about MongoDB (wire contract 1.7), part by part.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoParts {
    /// `MONGODB_HOST`
    pub host: String,
    /// `MONGODB_PORT`
    pub port: u16,
    /// `MONGODB_USERNAME`; empty for none.
    pub username: String,
    /// `MONGODB_PASSWORD`
    pub password: String,
    /// `MONGODB_DATABASE`
    pub database: String,
    /// `MONGODB_APPNAME`
    pub app_name: String,
    /// `MONGODB_ADMIN`: the user is known to the database `admin`, else to the database itself.
    pub admin: bool,
    /// `MONGODB_TLS`
    pub tls: bool,
    /// `MONGODB_TLS_ALLOW_INVALID_CERTIFICATES`
    pub tls_allow_invalid_certificates: bool,
}

impl MongoParts {
    /// The settings that these parts make.
    #[must_use]
    pub fn settings(&self, collections: Collections) -> MongoSettings {
        let login = match (self.username.as_str(), self.password.as_str()) {
            ("", _) => String::new(),
            (user, "") => format!("{}@", escaped(user)),
            (user, password) => format!("{}:{}@", escaped(user), escaped(password)),
        };
        let source = if self.admin { "admin" } else { &self.database };
        let mut options = format!("appName={}", escaped(&self.app_name));
        if !login.is_empty() {
            options += &format!("&authSource={}", escaped(source));
        }
        if self.tls {
            options += "&tls=true";
            if self.tls_allow_invalid_certificates {
                options += "&tlsAllowInvalidCertificates=true";
            }
        }
        let (host, port, database) = (&self.host, self.port, escaped(&self.database));
        MongoSettings {
            url: format!("mongodb://{login}{host}:{port}/{database}?{options}"),
            database: self.database.clone(),
            collections,
        }
    }
}

/// Without the password.
impl fmt::Debug for MongoParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings(Collections::default()).fmt(f)
    }
}

/// Percent-encoded, so that it can be part of a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if let Some(folder) = text.strip_prefix("sqlite:") {
            if folder.is_empty() {
                return Err(StoreUrlError::NoFolder);
            }
            return Ok(Self::Sqlite(folder.into()));
        }
        let rest = text
            .strip_prefix("mongodb://")
            .or_else(|| text.strip_prefix("mongodb+srv://"))
            .ok_or(StoreUrlError::Scheme)?;
        let (_, path) = rest.split_once('/').ok_or(StoreUrlError::NoDatabase)?;
        let database = path.split('?').next().unwrap_or_default();
        // What MongoDB itself refuses in a name, and `%`: a name with an escape in it has such a character.
        if database.is_empty()
            || database.contains(['/', '\\', '.', '"', '$', '%', ' ', '*', '<', '>', ':', '|'])
        {
            return Err(StoreUrlError::NoDatabase);
        }
        Ok(Self::MongoDb(MongoSettings {
            url: text.to_owned(),
            database: database.to_owned(),
            collections: Collections::default(),
        }))
    }
}

/// Without user and password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite:{}", folder.display()),
            Self::MongoDb(settings) => settings.fmt(f),
        }
    }
}

/// Without user, password and options.
impl fmt::Display for MongoSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.url.split('?').next().unwrap_or_default();
        match plain.split_once("://") {
            Some((scheme, rest)) => {
                let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
                write!(f, "{scheme}://{address}")
            }
            None => f.write_str("mongodb"),
        }
    }
}

/// As shown to people.
impl fmt::Debug for MongoSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MongoSettings({self}, {:?})", self.collections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_folder_or_a_database() {
        assert_eq!("sqlite:my runs".parse(), Ok(StoreUrl::Sqlite("my runs".into())));
        let Ok(StoreUrl::MongoDb(settings)) = "mongodb://u:p@h:27017/logs?tls=true".parse() else {
            panic!("it is a database")
        };
        assert_eq!(settings.database, "logs");
        for (text, error) in [
            ("runs", StoreUrlError::Scheme),
            ("sqlite:", StoreUrlError::NoFolder),
            ("mongodb://localhost", StoreUrlError::NoDatabase),
            ("mongodb://localhost/", StoreUrlError::NoDatabase),
            ("mongodb://localhost/a.b", StoreUrlError::NoDatabase),
        ] {
            assert_eq!(text.parse::<StoreUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_environment_makes_a_connection_string_with_the_login_escaped() {
        let parts = MongoParts {
            host: "db".into(),
            port: 27018,
            username: "lab@home".into(),
            password: "a/b:c".into(),
            database: "logs".into(),
            app_name: "log_writer".into(),
            admin: false,
            tls: true,
            tls_allow_invalid_certificates: true,
        };
        let expected = "mongodb://lab%40home:a%2Fb%3Ac@db:27018/logs?appName=log_writer&authSource=logs&tls=true\
                        &tlsAllowInvalidCertificates=true";
        assert_eq!(parts.settings(Collections::default()).url, expected);
        let nobody = MongoParts { username: String::new(), tls: false, ..parts };
        let expected = "mongodb://db:27018/logs?appName=log_writer";
        assert_eq!(nobody.settings(Collections::default()).url, expected);
    }

    #[test]
    fn a_password_is_never_shown() {
        let store: StoreUrl = "mongodb://lab:se%40cret@host:1/logs?password=secret".parse().unwrap();
        assert_eq!(store.to_string(), "mongodb://host:1/logs");
        assert!(!format!("{store:?}").contains("cret"));
    }
}
