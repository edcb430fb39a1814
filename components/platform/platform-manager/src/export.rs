//! `gridloop export`: writes a whole run as CSV or JSON lines.

use crate::context::{Context, runtime};
use crate::stored::find;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use gridloop_log_reader::export::{csv, jsonl};
use gridloop_logging::StoreUrl;
use gridloop_logging::archive::Archive;
use gridloop_platform_manager::{behind_links, is_special, open_special};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The run: its SimulationId or, in a store of SQLite, its folder or `latest`.
    run: String,
    /// Where the run is: `sqlite:DIR` or `mongodb://user:password@host:port/database`.
    #[arg(long, value_name = "URL", default_value = "sqlite:runs")]
    store: StoreUrl,
    /// What to write.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// The parts of the messages that become columns, such as `RealPower,Current.L1`. Default: everything.
    #[arg(long, value_name = "PATHS")]
    attrs: Option<String>,
    /// A field that tells the messages of one process apart, such as `Node`.
    #[arg(long, value_name = "FIELD")]
    by: Option<String>,
    /// Write to this file instead of printing.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Time series: a row for each point in time, a column for each value.
    Csv,
    /// Messages: one JSON object a line, by Timestamp.
    Jsonl,
}

/// `gridloop export RUN`
pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    // For its log.
    let _context = Context::new()?;
    let wanted = wanted(args)?;
    let done = runtime()?.block_on(async {
        let archive = Archive::open(&wanted.store).await?;
        match &args.output {
            None => write(args, &wanted.id, &archive, &mut BufWriter::new(io::stdout().lock())).await,
            Some(path) => write_file(args, &wanted.id, &archive, path).await,
        }
    });
    match done {
        // Whoever reads what is printed may have had enough.
        Err(error) if error.chain().any(is_broken_pipe) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

/// A run and where it is.
struct Wanted {
    store: StoreUrl,
    id: String,
}

/// What is called in one of the words for it. Whatever is no such word may be an id, which the store knows.
fn wanted(args: &ExportArgs) -> anyhow::Result<Wanted> {
    let (store, id) = (args.store.clone(), args.run.clone());
    let StoreUrl::Sqlite(runs) = &args.store else { return Ok(Wanted { store, id }) };
    match find(runs, &args.run) {
        Ok(found) => Ok(Wanted { store: StoreUrl::Sqlite(found.runs), id: found.id.to_string() }),
        Err(error) if args.run == "latest" => Err(error),
        Err(_) => Ok(Wanted { store, id }),
    }
}

/// Writes a file beside the one that is asked for, which it replaces only when it is whole.
async fn write_file(args: &ExportArgs, run: &str, archive: &Archive, path: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    if is_special(path) {
        let mut out = BufWriter::new(open_special(path).with_context(failed)?);
        write(args, run, archive, &mut out).await?;
        return out.flush().with_context(failed);
    }
    let path = &behind_links(path);
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut file = BufWriter::new(File::create(&beside).with_context(failed)?);
    let written = match write(args, run, archive, &mut file).await {
        Ok(()) => file.flush().and_then(|()| std::fs::rename(&beside, path)).with_context(failed),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // It may be that it cannot be removed either; the error that counts is told.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

async fn write(args: &ExportArgs, run: &str, archive: &Archive, out: &mut impl Write) -> anyhow::Result<()> {
    match args.format {
        Format::Jsonl => {
            let messages = jsonl(archive, run, out).await?;
            eprintln!("{messages} messages");
        }
        Format::Csv => {
            let (rows, replaced) = csv(archive, run, args.attrs.as_deref(), args.by.as_deref(), out).await?;
            if let (0, Some(attributes)) = (rows, &args.attrs) {
                bail!("no message of the run has {attributes}: name parts of messages, such as RealPower");
            }
            eprintln!("{rows} points in time");
            if replaced > 0 {
                eprintln!(
                    "{replaced} values are missing: a later message of the same topic, process and epoch took their \
                     place; --by FIELD keeps messages apart that differ in that field"
                );
            }
        }
    }
    Ok(())
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
