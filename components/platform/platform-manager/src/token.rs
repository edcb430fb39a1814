//! `gridloop token`: says who may ask the Log Reader.

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use gridloop_clock::{Clock as _, WallClock};
use gridloop_log_reader::{Role, TokenFile};
use gridloop_messages::Timestamp;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, this once. The file keeps only a hash of it.
    Add(AddArgs),
    /// List who has a token.
    List(FileArgs),
    /// Make a token useless. A running Log Reader refuses it from then on.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file of tokens.
    #[arg(long, value_name = "FILE", default_value = "tokens.toml", env = "LOGREADER_TOKENS")]
    tokens: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Whose it is; accesses are recorded under this name.
    name: String,
    /// What it opens.
    #[arg(long, value_enum, default_value = "viewer")]
    role: RoleArg,
    /// When it ends to be of use, such as 2027-01-01. Default: never.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Whose token.
    name: String,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// Runs, their messages and time series.
    Viewer,
    /// Also the messages that broke the wire contract.
    Operator,
}

/// `gridloop token`
pub(crate) fn run(command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Add(args) => {
            let expires = args.expires.as_deref().map(Timestamp::parse).transpose().context("--expires")?;
            let role = match args.role {
                RoleArg::Viewer => Role::Viewer,
                RoleArg::Operator => Role::Operator,
            };
            let issued = TokenFile::new(args.file.tokens).add(&args.name, role, expires)?;
            println!("{}", issued.token);
            eprintln!("this is shown only now; send it as `Authorization: Bearer ...`");
        }
        TokenCommand::List(args) => {
            let now = Timestamp::from(WallClock::start()?.utc());
            for token in TokenFile::new(args.tokens).list()? {
                let expires = match token.expires {
                    None => String::new(),
                    Some(time) if time <= now => format!("expired {time}"),
                    Some(time) => format!("until {time}"),
                };
                println!("{}", format!("{:<24} {:<9} {expires}", token.name, token.role).trim_end());
            }
        }
        TokenCommand::Revoke(args) => {
            TokenFile::new(args.file.tokens).revoke(&args.name)?;
            println!("{} has no token any more", args.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}
