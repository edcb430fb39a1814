//! `gridloop check` and `gridloop schema`.

use crate::cli::ConfigurationArgs;
use crate::context::BAD_CONFIGURATION;
use clap::{Args, Subcommand};
use gridloop_service::Diagnostics;
use std::process::ExitCode;

pub(crate) fn check(args: &ConfigurationArgs) -> anyhow::Result<ExitCode> {
    match args.load() {
        Err(diagnostics) => Ok(refuse(&diagnostics, args.json)),
        Ok(configuration) if args.json => {
            let components = configuration.component_names();
            let remarks = configuration.remarks();
            println!("{}", serde_json::json!({ "errors": [], "remarks": remarks, "components": components }));
            Ok(ExitCode::SUCCESS)
        }
        Ok(configuration) => {
            for remark in configuration.remarks() {
                eprintln!("{}: warning: {remark}", args.config.display());
            }
            println!(
                "{}: sound; {} epochs, {} components, {} devices, bus {}",
                args.config.display(),
                configuration.simulation.epochs,
                configuration.components.len(),
                configuration.devices.len(),
                configuration.bus.url
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    of: Option<SchemaOf>,
}

/// What else than the configuration has a schema.
#[derive(Debug, Subcommand)]
enum SchemaOf {
    /// Print the JSON Schema of a message type, or the list of the types.
    Message {
        /// Such as `Epoch`; without it the types are listed.
        #[arg(value_name = "TYPE")]
        type_name: Option<String>,
    },
}

pub(crate) fn schema(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let schema = match &args.of {
        None => gridloop_service::schema("gridloop configuration", |root| {
            let _ = gridloop_platform_manager::read(root);
        }),
        Some(SchemaOf::Message { type_name: None }) => {
            gridloop_messages::types().for_each(|type_name| println!("{type_name}"));
            return Ok(ExitCode::SUCCESS);
        }
        Some(SchemaOf::Message { type_name: Some(type_name) }) => {
            match gridloop_messages::schema(type_name) {
                Some(schema) => schema,
                None => {
                    eprintln!(
                        "no message has the type `{type_name}`; `gridloop schema message` lists the types"
                    );
                    return Ok(ExitCode::from(BAD_CONFIGURATION));
                }
            }
        }
    };
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}

/// Prints what is wrong with a configuration.
pub(crate) fn refuse(diagnostics: &Diagnostics, json: bool) -> ExitCode {
    if json {
        println!("{}", diagnostics.to_json());
    } else {
        eprintln!("{}", diagnostics.to_string().trim_end());
    }
    ExitCode::from(BAD_CONFIGURATION)
}
