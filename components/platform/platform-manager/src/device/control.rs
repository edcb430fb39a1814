//! `gridloop device list|source|arm|disarm`: words by hand to a gateway that is running, in this folder of runs.

use crate::context::FAILED;
use clap::{Args, ValueEnum};
use gridloop_gateway::{Request, ask};
use gridloop_platform_manager::CONTROL_SOCKET;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which gateway is meant.
#[derive(Debug, Args)]
pub(crate) struct GatewayChoice {
    /// The folder of runs of the gateway that is meant.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Name of the device in the configuration.
    device: String,
    /// Who is to speak for its resource.
    source: SourceWord,
    #[command(flatten)]
    gateway: GatewayChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourceWord {
    /// The device, as soon as it has been good for `back_after_s`.
    Field,
    /// Its simulated twin. The device is put into its safe state.
    Simulated,
}

#[derive(Debug, Args)]
pub(crate) struct ArmArgs {
    /// Name of the device in the configuration.
    device: String,
    /// For how long, in s.
    #[arg(long = "for", value_name = "S", default_value_t = 28_800.0)]
    for_s: f64,
    #[command(flatten)]
    gateway: GatewayChoice,
}

#[derive(Debug, Args)]
pub(crate) struct DisarmArgs {
    /// Name of the device in the configuration.
    device: String,
    #[command(flatten)]
    gateway: GatewayChoice,
}

pub(super) fn list(gateway: &GatewayChoice) -> ExitCode {
    tell(gateway, &Request::List)
}

pub(super) fn source(args: SourceArgs) -> ExitCode {
    let simulated = args.source == SourceWord::Simulated;
    tell(&args.gateway, &Request::Source { device: args.device, simulated })
}

pub(super) fn arm(args: ArmArgs) -> ExitCode {
    tell(&args.gateway, &Request::Arm { device: args.device, for_s: args.for_s })
}

pub(super) fn disarm(args: DisarmArgs) -> ExitCode {
    tell(&args.gateway, &Request::Disarm { device: args.device })
}

fn tell(gateway: &GatewayChoice, request: &Request) -> ExitCode {
    match ask(&gateway.runs.join(CONTROL_SOCKET), request) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED)
        }
    }
}
