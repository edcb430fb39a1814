//! `[log]`: where the Log Writer and the Log Reader have their messages. [`LogSettings`] is the table, read.

use gridloop_logging::StoreUrl;
use gridloop_service::Section;
use std::path::PathBuf;

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The store.
    pub store: StoreUrl,
    /// Where messages wait for a MongoDB that is away.
    pub spool: PathBuf,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { store: StoreUrl::Sqlite("runs".into()), spool: "spool".into() }
    }
}

/// Reads the table.
pub(crate) fn read_log(section: &Section<'_>) -> LogSettings {
    let usual = LogSettings::default();
    LogSettings {
        store: section
            .text("store", "sqlite:DIR or mongodb://user:password@host:port/database")
            .sensitive()
            .parsed(|text| text.parse::<StoreUrl>().map_err(|error| error.to_string()))
            .such_as("sqlite:runs")
            .or(usual.store),
        spool: section
            .text("spool", "The folder in which messages wait for a MongoDB that is away.")
            .parsed(|text| Ok(PathBuf::from(text)))
            .or(usual.spool),
    }
}
