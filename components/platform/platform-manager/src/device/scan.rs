//! `gridloop device scan`: everything a device, or a broker, says of itself, and a block for the configuration.

use super::access::AccessArgs;
use crate::context::FAILED;
use clap::Args;
use gridloop_clock::SharedClock;
use gridloop_gateway::Address;
use gridloop_gateway::drivers::ScanWish;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// IEC 61850: a description (SCD, CID or ICD) to compare the device with.
    #[arg(long, value_name = "FILE")]
    scl: Option<PathBuf>,
    /// MQTT: how long to listen, in s.
    #[arg(long = "for", value_name = "S", default_value_t = 5.0)]
    listen_s: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn scan(args: &ScanArgs, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let settings = match args.access.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    let Address::At(address) = &settings.address else {
        anyhow::bail!("there is nothing to scan at {}: give the address of a device", args.access.address);
    };
    let wish = ScanWish { scl: args.scl.clone(), listen: super::seconds("--for", args.listen_s)? };
    let found = settings.opener.scan(address, &wish, settings.request_timeout, clock).await?;
    if found.json.is_null() {
        eprint!("{}", found.text);
    } else if args.json {
        println!("{}", serde_json::to_string_pretty(&found.json)?);
    } else {
        print!("{}", found.text);
        if let Some(block) = &found.config_block {
            println!("\nfor the configuration; it starts read-only:\n\n{}", block.trim_end());
        }
    }
    Ok(if found.config_block.is_some() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
