//! The `gridloop` command: physical inverters, batteries and tap changers in the loop of a SimCES simulation.
//!
//! [`cli`] is what people type; every subcommand is a thin call into the crate that does the work. Exit codes: 0 completed or stopped on request, 1 failed, 2 bad configuration or arguments, 3 deadlines missed under
//! `--strict`.

mod check;
mod cli;
mod context;
mod device;
mod display;
mod doctor;
mod drill;
mod export;
mod findings;
mod folder;
mod from_environment;
mod log_reader;
mod log_writer;
mod metrics_page;
mod platform_command;
mod plot;
mod probe;
mod run;
mod services;
mod stored;
mod summary;
mod token;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gridloop: {error:#}");
            ExitCode::from(context::FAILED)
        }
    }
}
