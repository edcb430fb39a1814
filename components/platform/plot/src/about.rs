//! What a page says of its run: [`About`].

/// The run that is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Its id.
    pub simulation_id: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// Whether it came to its end, so that the picture has all of it.
    pub ended: bool,
}

impl About {
    /// The title of its pictures.
    pub(crate) fn title(&self) -> &str {
        if self.name.trim().is_empty() { "A run without a name" } else { self.name.trim() }
    }
}
