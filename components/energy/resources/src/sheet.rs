//! CSV files with a header row, read whole and judged cell by cell.
//!
//! A [`Sheet`] finds columns by name and hands out each [`Row`]; whatever is wrong becomes a [`Flaw`] with its file,
//! line and column, and reading goes on, so that one look at the file finds everything.

use csv::{ReaderBuilder, StringRecord, Trim};
use gridloop_component::Fault;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read: 64 MiB.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The most columns that a file has; one of prices for a year by the hour has 17,524.
const MAX_COLUMNS: usize = 20_000;

/// The largest number in a cell: more than any power in kW, price or voltage, and so little that sums stay numbers.
const LARGEST: f64 = 1e15;

/// Flaws that are told one by one; the rest are counted.
const MAX_LISTED: usize = 100;

/// Why a series cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The operating system does not give the file.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no series, or one for another program.
    #[error("{}: expected at most {MAX_FILE_BYTES} bytes, found more", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The configured delimiter cannot stand between cells.
    #[error("{}: expected one ASCII character other than `\"` and line ends as the delimiter, found {found:?}", path.display())]
    Delimiter {
        /// The file.
        path: PathBuf,
        /// The configured character.
        found: char,
    },
    /// The content of the file is not as it must be.
    #[error("{0}")]
    Content(Flaws),
}

impl From<SeriesError> for Fault {
    fn from(error: SeriesError) -> Self {
        Self::caused_by(&error)
    }
}

/// What is wrong in a file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flaws {
    listed: Vec<Flaw>,
    unlisted: usize,
}

impl Flaws {
    /// The first hundred.
    #[must_use]
    pub fn listed(&self) -> &[Flaw] {
        &self.listed
    }

    /// How many there are besides those.
    #[must_use]
    pub const fn unlisted(&self) -> usize {
        self.unlisted
    }

    /// Whether there are so many that further ones are told no more, and need no place.
    fn are_counted(&self) -> bool {
        self.listed.len() >= MAX_LISTED
    }

    pub(crate) fn push(&mut self, flaw: Flaw) {
        if !self.are_counted() {
            self.listed.push(flaw);
        } else {
            self.unlisted += 1;
        }
    }

    pub(crate) fn none_or_error(self) -> Result<(), SeriesError> {
        if self.listed.is_empty() { Ok(()) } else { Err(SeriesError::Content(self)) }
    }
}

impl From<Flaw> for Flaws {
    fn from(flaw: Flaw) -> Self {
        Self { listed: vec![flaw], unlisted: 0 }
    }
}

/// One flaw a line.
impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, flaw) in self.listed.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{flaw}")?;
        }
        if self.unlisted > 0 { write!(f, "\nand {} more", self.unlisted) } else { Ok(()) }
    }
}

/// Something wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The file, as configured.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
    /// What belongs there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, expected, found } = self;
        write!(f, "{file}:{line}:{column}: expected {expected}, found {found}")
    }
}

/// A file with its header row read.
pub(crate) struct Sheet {
    file: Arc<str>,
    text: String,
    delimiter: u8,
    header: StringRecord,
    flaws: Flaws,
}

/// A column that a sheet has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    index: usize,
}

/// A line of a sheet.
pub(crate) struct Row<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    delimiter: u8,
    record: &'a StringRecord,
    header: &'a StringRecord,
    flaws: &'a mut Flaws,
}

impl Sheet {
    pub(crate) fn open(path: &Path, delimiter: char) -> Result<Self, SeriesError> {
        let separates = delimiter.is_ascii() && !matches!(delimiter, '"' | '\r' | '\n' | '\0');
        let delimiter = match u8::try_from(delimiter) {
            Ok(byte) if separates => byte,
            _ => return Err(SeriesError::Delimiter { path: path.to_owned(), found: delimiter }),
        };
        let file: Arc<str> = path.display().to_string().into();
        let text = text_of(path, &file)?;
        let mut header = StringRecord::new();
        // The text is UTF-8 and in memory; what the reader could complain about has been ruled out.
        let found = reader(&text, delimiter).read_record(&mut header).unwrap_or(false);
        let mut flaws = Flaws::default();
        if !found {
            flaws.push(flaw(&file, (1, 1), "a header row", "an empty file"));
        }
        if header.len() > MAX_COLUMNS {
            let found = header.len().to_string();
            return Err(SeriesError::Content(
                flaw(&file, (1, 1), format!("at most {MAX_COLUMNS} columns"), found).into(),
            ));
        }
        Ok(Self { file, text, delimiter, header, flaws })
    }

    /// The file's name, for messages.
    pub(crate) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// The column of this name, if there is one. Two are a flaw.
    pub(crate) fn optional(&mut self, name: &str) -> Option<Column> {
        let mut indices =
            self.header.iter().enumerate().filter(|(_, it)| *it == name).map(|(index, _)| index);
        let index = indices.next()?;
        if let Some(second) = indices.next() {
            let place = place_of(&self.text, self.delimiter, &self.header, second);
            let expected = format!("one column {name}");
            self.flaws.push(flaw(&self.file, place, expected, "a second one"));
        }
        Some(Column { index })
    }

    /// The column of this name. None is a flaw.
    pub(crate) fn required(&mut self, name: &str) -> Option<Column> {
        let column = self.optional(name);
        if column.is_none() && !self.header.is_empty() {
            let place = place_of(&self.text, self.delimiter, &self.header, 0);
            let cells: Vec<&str> = self.header.iter().collect();
            let mut found = shortened(&cells.join(", "));
            if let [cell] = cells[..]
                && let Some(other) = [';', '\t', ',', '|'].into_iter().find(|it| cell.contains(*it))
            {
                found.push_str(&format!("; is {other:?} the delimiter?"));
            }
            self.flaws.push(flaw(&self.file, place, format!("a column {name} in the header row"), found));
        }
        column
    }

    /// Hands out every row below the header. `read` is not called for rows that have another number of cells than
    /// the header.
    ///
    /// # Errors
    /// When there was any flaw in the header or the rows.
    pub(crate) fn read_rows(self, mut read: impl FnMut(&mut Row<'_>)) -> Result<(), SeriesError> {
        let Self { file, text, delimiter, header, mut flaws } = self;
        let mut reader = reader(&text, delimiter);
        let mut record = StringRecord::new();
        let _ = reader.read_record(&mut record);
        while reader.read_record(&mut record).unwrap_or(false) {
            if record.len() == header.len() {
                let (record, header) = (&record, &header);
                read(&mut Row { file: &file, text: &text, delimiter, record, header, flaws: &mut flaws });
            } else {
                let place = place_of(&text, delimiter, &record, 0);
                let expected = format!("{} cells as in the header row", header.len());
                flaws.push(flaw(&file, place, expected, record.len().to_string()));
            }
        }
        flaws.none_or_error()
    }

    /// Notes that the header row is not as expected.
    pub(crate) fn reject_header(&mut self, expected: &str, found: &str) {
        if !self.header.is_empty() {
            let place = place_of(&self.text, self.delimiter, &self.header, 0);
            self.flaws.push(flaw(&self.file, place, expected, found));
        }
    }

    /// The names of the columns, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.header.iter().map(ToOwned::to_owned).collect()
    }

    /// Ends the reading of a sheet whose header row lacks something.
    ///
    /// # Errors
    /// The flaws of the header.
    pub(crate) fn check_header(&self) -> Result<(), SeriesError> {
        self.flaws.clone().none_or_error()
    }
}

impl Row<'_> {
    /// The text in `column`; empty if the sheet has no such column.
    pub(crate) fn text(&self, column: Option<Column>) -> &str {
        column.and_then(|column| self.record.get(column.index)).unwrap_or_default()
    }

    /// A finite number up to [`LARGEST`]; anything else, and nothing, is a flaw. `meaning` is what the number tells, such
    /// as `kW`.
    pub(crate) fn number(&mut self, column: Option<Column>, meaning: &str) -> Option<f64> {
        let number: Option<f64> = self.text(column).parse().ok();
        let number = number.filter(|number| number.is_finite());
        if number.is_some_and(|number| number.abs() > LARGEST) {
            self.reject(column, &format!("a number from -{LARGEST:e} to {LARGEST:e} ({meaning})"));
            return None;
        }
        if number.is_none() {
            self.reject(column, &format!("a finite number with a decimal point ({meaning})"));
        }
        number
    }

    /// Notes that the cell of `column` is not as expected.
    pub(crate) fn reject(&mut self, column: Option<Column>, expected: &str) {
        let Some(Column { index }) = column else { return };
        let name = self.header.get(index).unwrap_or_default();
        let found = match self.text(column) {
            "" => "an empty cell".to_owned(),
            text => format!("`{}`", shortened(text)),
        };
        self.flaw(index, format!("{expected} in column {name}"), found);
    }

    /// Notes that the row as a whole is not as expected.
    pub(crate) fn reject_row(&mut self, expected: &str, found: &str) {
        self.flaw(0, expected.to_owned(), found.to_owned());
    }

    /// The line on which the row begins.
    pub(crate) fn line(&self) -> u64 {
        place_of(self.text, self.delimiter, self.record, 0).0
    }

    fn flaw(&mut self, index: usize, expected: String, found: String) {
        if self.flaws.are_counted() {
            self.flaws.unlisted += 1;
            return;
        }
        let place = place_of(self.text, self.delimiter, self.record, index);
        self.flaws.push(flaw(self.file, place, expected, found));
    }
}

pub(crate) fn flaw(
    file: &Arc<str>,
    (line, column): (u64, u64),
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Flaw {
    Flaw { file: Arc::clone(file), line, column, expected: expected.into(), found: found.into() }
}

fn text_of(path: &Path, file: &Arc<str>) -> Result<String, SeriesError> {
    let unreadable = |source| SeriesError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let mut input = File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES + 1);
    let length = input.read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(SeriesError::TooLarge { path: path.to_owned() });
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let place = String::from_utf8_lossy(valid).chars().fold((1, 1), advance);
        let mut flaws = Flaws::default();
        flaws.push(flaw(file, place, "UTF-8 text", "other bytes"));
        SeriesError::Content(flaws)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes())
}

/// Line and column, both from 1, at which the cell `index` of `record` begins. The reader knows only where it began to
/// look for the record, and that may be blank lines earlier.
fn place_of(text: &str, delimiter: u8, record: &StringRecord, index: usize) -> (u64, u64) {
    let Some(position) = record.position() else { return (1, 1) };
    let begin = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.get(begin..).unwrap_or_default();
    let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    let mut place = rest[..blank].chars().fold((position.line(), 1), advance);
    let (mut cell, mut quoted) = (0, false);
    for c in rest[blank..].chars() {
        if cell == index {
            break;
        }
        quoted ^= c == '"';
        cell += usize::from(c == char::from(delimiter) && !quoted);
        place = advance(place, c);
    }
    place
}

fn advance((line, column): (u64, u64), c: char) -> (u64, u64) {
    if c == '\n' { (line + 1, 1) } else { (line, column + 1) }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
