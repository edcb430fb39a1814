//! Where a controller learns its network from: [`NetworkSource`].

use gridloop_service::Section;
use std::path::PathBuf;

/// A file, or the messages of NIS and CIS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkSource {
    /// A network in TOML.
    File(PathBuf),
    /// `Init.NIS.*` and `Init.CIS.CustomerInfo` of the run.
    Messages,
}

impl NetworkSource {
    /// Reads the key from a component's table.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let file = section.file("network", "The network in TOML; else NIS and CIS messages are waited for.");
        file.must_exist().optional().map_or(Self::Messages, Self::File)
    }
}
