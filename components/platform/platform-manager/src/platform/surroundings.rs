//! What a platform is told once, whatever runs on it: [`Surroundings`], from environment variables and the command
//! line (wire contract 1.7).

use super::python_flag;
use crate::environment::{BusVariables, EnvironmentErrors, Reader, Variables};
use gridloop_bus::{AmqpUrl, BusUrl, Connect};
use std::fmt;
use std::path::PathBuf;

/// Broker, database, topics and folders of a platform.
#[derive(Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// `RABBITMQ_*` for every process, without the exchange and its flags.
    pub rabbitmq: Vec<(String, String)>,
    /// `MONGODB_*`, or gridloop's own `LOG_STORE`, for the Log Writer.
    pub store: Vec<(String, String)>,
    /// What the Log Writer is called, `MONGODB_APPNAME`.
    pub log_writer: String,
    /// Log level, format and the four topics, for every process.
    pub common: Vec<(String, String)>,
    /// The topics that a run is followed on.
    pub topics: Topics,
    /// The beginning of the names of runs' exchanges.
    pub exchange_prefix: String,
    /// Where runs are announced.
    pub management_exchange: String,
    /// On which topic.
    pub start_topic: String,
}

/// The topics by which a run is managed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// SimState
    pub sim_state: String,
    /// Epoch
    pub epoch: String,
    /// Status.Ready
    pub ready: String,
    /// Status.Error
    pub error: String,
}

/// Where the Log Writer stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// Where the `MONGODB_*` variables say.
    Environment,
    /// In a folder of runs; only gridloop's Log Writer can.
    Sqlite(PathBuf),
    /// In the database of this URL.
    MongoDb(MongoLogin),
}

/// A MongoDB database by its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoLogin {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Login name; empty for none.
    pub user: String,
    /// The password to it.
    pub password: String,
    /// The database.
    pub database: String,
}

impl Store {
    /// `sqlite:DIR` or `mongodb://user:password@host:port/database`. Options behind a `?` cannot be passed on to
    /// SimCES processes.
    ///
    /// # Errors
    /// What the text should have been.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(folder) = text.strip_prefix("sqlite:").filter(|folder| !folder.is_empty()) {
            let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
            return Ok(Self::Sqlite(folder));
        }
        let login = text.strip_prefix("mongodb://").and_then(MongoLogin::parse);
        login
            .map(Self::MongoDb)
            .ok_or_else(|| "expected sqlite:DIR or mongodb://user:password@host:port/database".to_owned())
    }
}

impl MongoLogin {
    fn parse(rest: &str) -> Option<Self> {
        let (authority, database) = rest.split_once('/')?;
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "27017"));
        let plain = !host.is_empty() && !database.is_empty() && !database.contains(['/', '?', '.', ' ', '$']);
        let port = port.parse().ok().filter(|port| plain && *port > 0)?;
        Some(Self {
            host: unescaped(host)?,
            port,
            user: unescaped(user)?,
            password: unescaped(password)?,
            database: unescaped(database)?,
        })
    }
}

/// Without `%40` and the like.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Debug for MongoLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mongodb://{}:{}/{}", self.host, self.port, self.database)
    }
}

impl Surroundings {
    /// Reads the environment; `broker` and `store` are what the command line says instead of it.
    ///
    /// # Errors
    /// Every variable that is not as it must be.
    pub fn read(
        variables: &Variables,
        broker: Option<&AmqpUrl>,
        store: &Store,
    ) -> Result<Self, EnvironmentErrors> {
        let reader = Reader::new(variables);
        let text = |name, default: &str| reader.text(name).unwrap_or_else(|| default.to_owned());
        let topics = Topics {
            sim_state: text("SIMULATION_STATE_MESSAGE_TOPIC", "SimState"),
            epoch: text("SIMULATION_EPOCH_MESSAGE_TOPIC", "Epoch"),
            ready: text("SIMULATION_STATUS_MESSAGE_TOPIC", "Status.Ready"),
            error: text("SIMULATION_ERROR_MESSAGE_TOPIC", "Status.Error"),
        };
        let log_writer = text("MONGODB_APPNAME", "log_writer");
        if super::run_file::flaw(&log_writer).is_some() {
            reader.reject(
                "MONGODB_APPNAME",
                "a name of letters, digits, `_` and `-`: the Log Writer is called so",
            );
        }
        let surroundings = Self {
            rabbitmq: broker.map_or_else(|| rabbitmq(&reader), of_url),
            store: stored(&reader, store, &log_writer),
            log_writer,
            common: common(&reader, &topics),
            topics,
            exchange_prefix: text("RABBITMQ_EXCHANGE_PREFIX", "procem."),
            management_exchange: text("RABBITMQ_EXCHANGE", "procem-management"),
            start_topic: text("SIMULATION_START_MESSAGE_TOPIC", "Start"),
        };
        reader.finish()?;
        // What is handed on must be good for ourselves too.
        surroundings.connect("procem-management", true, "check")?;
        Ok(surroundings)
    }

    /// A session on an exchange of this broker, with the flags of wire contract 1.1.
    ///
    /// # Errors
    /// When the variables do not make a login.
    pub fn connect(
        &self,
        exchange: &str,
        management: bool,
        name: &str,
    ) -> Result<Connect, EnvironmentErrors> {
        let flags = [
            ("RABBITMQ_EXCHANGE".to_owned(), exchange.to_owned()),
            ("RABBITMQ_EXCHANGE_DURABLE".to_owned(), python_flag(management)),
            ("RABBITMQ_EXCHANGE_AUTODELETE".to_owned(), python_flag(!management)),
        ];
        let variables: Variables = self.rabbitmq.iter().cloned().chain(flags).collect();
        let reader = Reader::new(&variables);
        let bus = BusVariables::read(&reader);
        reader.finish()?;
        Ok(bus.connect(name))
    }

    /// Where the broker is, without the password.
    #[must_use]
    pub fn broker(&self) -> String {
        match self.connect("procem-management", true, "shown").map(|connect| connect.url) {
            Ok(BusUrl::Amqp(url)) => url.address(),
            _ => "?".to_owned(),
        }
    }
}

/// Names what is there, shows no value that may be a secret.
impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("broker", &self.broker())
            .field("log_writer", &self.log_writer)
            .finish_non_exhaustive()
    }
}

fn rabbitmq(reader: &Reader<'_>) -> Vec<(String, String)> {
    let verbatim = |name, default: &str| reader.verbatim(name).unwrap_or_else(|| default.to_owned());
    let port = reader.whole("RABBITMQ_PORT", 1..=u16::MAX).unwrap_or(5672);
    let mut variables = vec![
        ("RABBITMQ_HOST", reader.text("RABBITMQ_HOST").unwrap_or_else(|| "localhost".to_owned())),
        ("RABBITMQ_PORT", port.to_string()),
        ("RABBITMQ_LOGIN", verbatim("RABBITMQ_LOGIN", "")),
        ("RABBITMQ_PASSWORD", verbatim("RABBITMQ_PASSWORD", "")),
        ("RABBITMQ_SSL", python_flag(reader.flag("RABBITMQ_SSL").unwrap_or(false))),
        ("RABBITMQ_SSL_VERSION", verbatim("RABBITMQ_SSL_VERSION", "PROTOCOL_TLS")),
    ];
    // Files that only gridloop's own processes know.
    let files =
        ["RABBITMQ_PASSWORD_FILE", "RABBITMQ_CA_FILE", "RABBITMQ_CERTIFICATE_FILE", "RABBITMQ_KEY_FILE"];
    variables.extend(files.into_iter().filter_map(|name| Some((name, reader.text(name)?))));
    owned(variables)
}

fn of_url(url: &AmqpUrl) -> Vec<(String, String)> {
    owned(vec![
        ("RABBITMQ_HOST", url.host.clone()),
        ("RABBITMQ_PORT", url.port.to_string()),
        ("RABBITMQ_LOGIN", url.user.clone()),
        ("RABBITMQ_PASSWORD", url.password().to_owned()),
        ("RABBITMQ_SSL", python_flag(url.tls)),
        ("RABBITMQ_SSL_VERSION", "PROTOCOL_TLS".to_owned()),
    ])
}

fn owned(variables: Vec<(&str, String)>) -> Vec<(String, String)> {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn stored(reader: &Reader<'_>, store: &Store, log_writer: &str) -> Vec<(String, String)> {
    let verbatim = |name, default: &str| reader.verbatim(name).unwrap_or_else(|| default.to_owned());
    if let Store::Sqlite(folder) = store {
        let url = format!("sqlite:{}", folder.display());
        return owned(vec![("LOG_STORE", url), ("MONGODB_APPNAME", log_writer.to_owned())]);
    }
    let login = match store {
        Store::MongoDb(login) => login.clone(),
        _ => MongoLogin {
            host: verbatim("MONGODB_HOST", "localhost"),
            port: reader.whole("MONGODB_PORT", 1..=u16::MAX).unwrap_or(27017),
            user: verbatim("MONGODB_USERNAME", ""),
            password: verbatim("MONGODB_PASSWORD", ""),
            database: verbatim("MONGODB_DATABASE", "db"),
        },
    };
    let flag = |name, default| python_flag(reader.flag(name).unwrap_or(default));
    let mut variables = vec![
        ("MONGODB_HOST", login.host),
        ("MONGODB_PORT", login.port.to_string()),
        ("MONGODB_USERNAME", login.user),
        ("MONGODB_PASSWORD", login.password),
        ("MONGODB_DATABASE", login.database),
        ("MONGODB_APPNAME", log_writer.to_owned()),
        ("MONGODB_TZ_AWARE", flag("MONGODB_TZ_AWARE", true)),
        ("MONGODB_METADATA_COLLECTION", verbatim("MONGODB_METADATA_COLLECTION", "simulations")),
        ("MONGODB_MESSAGES_COLLECTION_PREFIX", verbatim("MONGODB_MESSAGES_COLLECTION_PREFIX", "simulation_")),
        (
            "MONGODB_INVALID_MESSAGES_COLLECTION_PREFIX",
            verbatim("MONGODB_INVALID_MESSAGES_COLLECTION_PREFIX", "invalid_simulation_"),
        ),
        ("MONGODB_COLLECTION_IDENTIFIER", verbatim("MONGODB_COLLECTION_IDENTIFIER", "SimulationId")),
        ("MONGODB_ADMIN", flag("MONGODB_ADMIN", true)),
        ("MONGODB_TLS", flag("MONGODB_TLS", false)),
        ("MONGODB_TLS_ALLOW_INVALID_CERTIFICATES", flag("MONGODB_TLS_ALLOW_INVALID_CERTIFICATES", false)),
    ];
    // Where gridloop's Log Writer stores instead, if the environment says so and the command line does not.
    let own = reader.text("LOG_STORE").filter(|_| *store == Store::Environment);
    variables.extend(own.map(|url| ("LOG_STORE", url)));
    owned(variables)
}

fn common(reader: &Reader<'_>, topics: &Topics) -> Vec<(String, String)> {
    let level = reader.whole("SIMULATION_LOG_LEVEL", 0..=50_u8).unwrap_or(10);
    let format = reader.verbatim("SIMULATION_LOG_FORMAT");
    owned(vec![
        ("SIMULATION_LOG_LEVEL", level.to_string()),
        (
            "SIMULATION_LOG_FORMAT",
            format.unwrap_or_else(|| "%(asctime)s --- %(levelname)8s --- %(message)s".into()),
        ),
        ("SIMULATION_STATE_MESSAGE_TOPIC", topics.sim_state.clone()),
        ("SIMULATION_EPOCH_MESSAGE_TOPIC", topics.epoch.clone()),
        ("SIMULATION_STATUS_MESSAGE_TOPIC", topics.ready.clone()),
        ("SIMULATION_ERROR_MESSAGE_TOPIC", topics.error.clone()),
    ])
}
