//! `gridloop check` and `gridloop schema`.

use crate::cli::ConfigurationArgs;
use crate::context::BAD_CONFIGURATION;
use gridloop_service::Diagnostics;
use std::process::ExitCode;

pub(crate) fn check(args: &ConfigurationArgs) -> anyhow::Result<ExitCode> {
    match args.load() {
        Err(diagnostics) => Ok(refuse(&diagnostics, args.json)),
        Ok(configuration) if args.json => {
            let components = configuration.component_names();
            println!("{}", serde_json::json!({ "errors": [], "components": components }));
            Ok(ExitCode::SUCCESS)
        }
        Ok(configuration) => {
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

pub(crate) fn schema() -> anyhow::Result<ExitCode> {
    let schema = gridloop_service::schema("gridloop configuration", |root| {
        let _ = gridloop_platform_manager::read(root);
    });
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
