//! What can go wrong with OpenDSS: [`DssError`].

use std::path::PathBuf;

/// Why OpenDSS cannot be used, or what it refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DssError {
    /// The library cannot be loaded.
    #[error(
        "the OpenDSS library {} cannot be loaded: {source}. It ships in the Python wheel dss-python-backend; name the file, \
         or the folder dss_python_backend.libs of the unpacked wheel, with `library`",
        path.display()
    )]
    Load {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: libloading::Error,
    },
    /// The library lacks a function.
    #[error("{} is no dss_capi of version 0.14: it has no {symbol}", path.display())]
    Symbol {
        /// Which file.
        path: PathBuf,
        /// The function.
        symbol: &'static str,
        /// What the system says.
        source: libloading::Error,
    },
    /// The folder that should have the library cannot be read.
    #[error("the folder {} cannot be read", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder has no such library.
    #[error("the folder {} has no libdss_capi", path.display())]
    NotInFolder {
        /// Which folder.
        path: PathBuf,
    },
    /// OpenDSS did not start.
    #[error("OpenDSS gave no context")]
    Context,
    /// OpenDSS refused something.
    #[error("OpenDSS, at `{doing}`: {said} (#{number})")]
    Said {
        /// The command or call.
        doing: String,
        /// Its number of the error.
        number: i32,
        /// Its words.
        said: String,
    },
    /// A name or path with a zero byte.
    #[error("`{line}` has a zero byte")]
    ZeroByte {
        /// The text.
        line: String,
    },
    /// Something that is no number where one is needed.
    #[error("OpenDSS has `{told}` for {what}, which is no number")]
    Number {
        /// Of what.
        what: &'static str,
        /// What it says.
        told: String,
    },
    /// An array of a size that cannot be.
    #[error("OpenDSS answered with an array of {count} values")]
    Size {
        /// As it was told.
        count: i32,
    },
    /// Arrays that belong together and do not fit.
    #[error("OpenDSS tells {what} of {of} in arrays that do not fit each other")]
    Shape {
        /// What was asked.
        what: &'static str,
        /// Of which element or bus.
        of: String,
    },
    /// The model has no circuit.
    #[error("{} defines no circuit", path.display())]
    NoCircuit {
        /// The model.
        path: PathBuf,
    },
    /// Buses without a nominal voltage.
    #[error(
        "the model gives no base voltage to {}; add `set voltagebases=[...]` and `calcvoltagebases` at its end",
        buses.join(", ")
    )]
    NoBaseVoltage {
        /// The buses.
        buses: Vec<String>,
    },
}
