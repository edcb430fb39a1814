//! Where messages are stored: `LOG_STORE`, which is gridloop's own, or else the MongoDB of the `MONGODB_` variables.

use super::Reader;
use gridloop_logging::{Collections, MongoParts, StoreUrl};

/// What the process of the Python platform in whose place this one is has unless it is told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct UsualMongo {
    /// `MONGODB_DATABASE`
    pub database: &'static str,
    /// `MONGODB_APPNAME`
    pub app_name: &'static str,
}

/// Reads the store. `collections` is asked only if it is a MongoDB.
pub fn read_store(
    reader: &Reader<'_>,
    usual: UsualMongo,
    collections: impl FnOnce(&Reader<'_>) -> Collections,
) -> StoreUrl {
    let expected = "sqlite:DIR or mongodb://host:port/database";
    let store = reader.parsed("LOG_STORE", expected, |text| text.parse().ok());
    store.unwrap_or_else(|| {
        let collections = collections(reader);
        StoreUrl::MongoDb(mongo(reader, usual).settings(collections))
    })
}

fn mongo(reader: &Reader<'_>, usual: UsualMongo) -> MongoParts {
    let text = |name, default: &str| reader.text(name).unwrap_or_else(|| default.to_owned());
    let flag = |name, default| reader.flag(name).unwrap_or(default);
    MongoParts {
        host: text("MONGODB_HOST", "localhost"),
        port: reader.whole("MONGODB_PORT", 1..=u16::MAX).unwrap_or(27017),
        username: reader.verbatim("MONGODB_USERNAME").unwrap_or_default(),
        password: reader.verbatim("MONGODB_PASSWORD").unwrap_or_default(),
        database: text("MONGODB_DATABASE", usual.database),
        app_name: text("MONGODB_APPNAME", usual.app_name),
        admin: flag("MONGODB_ADMIN", true),
        tls: flag("MONGODB_TLS", false),
        tls_allow_invalid_certificates: flag("MONGODB_TLS_ALLOW_INVALID_CERTIFICATES", false),
    }
}
