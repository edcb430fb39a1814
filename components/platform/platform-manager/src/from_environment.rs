//! `--from-environment`: a service that is told everything by the SimCES environment variables, so that it can be put
//! into a manifest and started by any platform manager.
//!
//! A process with wrong variables ends at once with all errors and touches no broker. A wrong file is told on the bus
//! instead, where the manager learns of it: the component answers SimState `running` with Status `error`.

use crate::check::refuse;
use crate::cli::KindArg;
use crate::context::{BAD_CONFIGURATION, Context, runtime};
use crate::services::{manage, serve_components, serve_devices};
use gridloop_bus::{Bus, BusError, Connect};
use gridloop_clock::{sleep, until};
use gridloop_platform_manager::environment::{
    Common, EnvironmentErrors, GatewayVariables, Kind, LogVariables, ManagerVariables, Reader, Variables,
};
use gridloop_platform_manager::{ComponentSettings, Configuration, Membership};
use gridloop_realtime_manager::PacerSettings;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// A broker may be started together with the processes of a run, so they wait for it this long.
const BROKER_WITHIN: Duration = Duration::from_secs(60);
/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_secs(1);

/// `gridloop manager --from-environment`
pub(crate) fn manager() -> anyhow::Result<ExitCode> {
    let told = match read(|reader, _| ManagerVariables::read(reader)) {
        Ok(told) => told,
        Err(code) => return Ok(code),
    };
    serve(told, async |manager, common, bus, context| {
        let settings = manager.into_settings(common.simulation_id.clone());
        manage(settings, PacerSettings::default(), None, bus, context).await
    })
}

/// `gridloop component --from-environment --kind KIND`
pub(crate) fn component(kind: Option<KindArg>) -> anyhow::Result<ExitCode> {
    let Some(kind) = kind.map(Kind::from) else {
        eprintln!("--from-environment needs a --kind of component");
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    };
    let told = match read(|reader, name| kind.read(name, reader)) {
        Ok(told) => told,
        Err(code) => return Ok(code),
    };
    serve(told, async |kind, common, bus, context| {
        let component = ComponentSettings { name: common.name.clone(), kind };
        let membership = Membership::new(&common.simulation_id, &bus, &context.clock);
        serve_components(vec![component], membership, context).await
    })
}

/// `gridloop gateway --from-environment`: the one device that has the component's name.
pub(crate) fn gateway(runs: &Path) -> anyhow::Result<ExitCode> {
    let (common, variables) = match read(|reader, _| GatewayVariables::read(reader)) {
        Ok(told) => told,
        Err(code) => return Ok(code),
    };
    let mut configuration = match Configuration::load(&variables.configuration, &variables.overrides) {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(refuse(&diagnostics, false)),
    };
    let names: Vec<String> = configuration.devices.iter().map(|device| device.name.clone()).collect();
    configuration.devices.retain(|device| device.name == common.name);
    if configuration.devices.is_empty() {
        let file = variables.configuration.display();
        eprintln!(
            "SIMULATION_COMPONENT_NAME: expected the name of a device in {file}, which has {}, found {:?}",
            names.join(", "),
            common.name
        );
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    serve((common, configuration), async |configuration, common, bus, context| {
        serve_devices(configuration, None, &common.simulation_id, &bus, runs, context).await
    })
}

/// What this process's environment tells, or how the process ends for what is wrong with it. `part` is given the name
/// of the component.
fn read<T>(part: impl FnOnce(&Reader<'_>, &str) -> T) -> Result<(Common, T), ExitCode> {
    let variables: Variables = std::env::vars_os().collect();
    let reader = Reader::new(&variables);
    let common = Common::read(&reader);
    let part = part(&reader, &common.name);
    match reader.finish() {
        Ok(()) => Ok((common, part)),
        Err(errors) => Err(refused(&errors)),
    }
}

pub(crate) fn refused(errors: &EnvironmentErrors) -> ExitCode {
    eprintln!("{errors}");
    ExitCode::from(BAD_CONFIGURATION)
}

/// Runs `work` over the broker that the environment names.
pub(crate) fn serve<T>(
    (common, told): (Common, T),
    work: impl AsyncFnOnce(T, &Common, Bus, &Context) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let file = match log_file(&common.log) {
        Ok(file) => file,
        Err(code) => return Ok(code),
    };
    let context = Context::logging(common.log.level.unwrap_or("warn"), file)?;
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        context.watch_signals("stopping")?;
        let connecting = connect(common.bus.connect(&common.name), &context);
        let Some(bus) = context.cancel.run_until_cancelled(connecting).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let bus = bus?;
        let code = work(told, &common, bus.clone(), &context).await;
        // An unconfirmed last message is told by the session itself.
        let _ = bus.flush().await;
        bus.close().await;
        code
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

/// `SIMULATION_LOG_FILE`, to be written on from its end.
fn log_file(log: &LogVariables) -> Result<Option<File>, ExitCode> {
    let Some(path) = &log.file else { return Ok(None) };
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) => {
            let path = path.display();
            eprintln!("SIMULATION_LOG_FILE: expected a file that can be written, found {path}: {error}");
            Err(ExitCode::from(BAD_CONFIGURATION))
        }
    }
}

/// A broker that is not there yet is waited for; one that refuses is not.
async fn connect(connect: Connect, context: &Context) -> Result<Bus, BusError> {
    let clock = &context.clock;
    let give_up = clock.now() + BROKER_WITHIN;
    loop {
        match Bus::connect(&connect, clock.clone()).await {
            Err(error @ (BusError::Unreachable { .. } | BusError::NoAnswer { .. }))
                if clock.now() < give_up =>
            {
                tracing::warn!("{error}; trying again");
                until(clock.as_ref(), give_up, sleep(clock.as_ref(), PAUSE)).await;
            }
            outcome => return outcome,
        }
    }
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::StaticTimeSeries => Self::StaticTimeSeries,
            KindArg::SetpointSeries => Self::SetpointSeries,
            KindArg::Dummy => Self::Dummy,
            KindArg::Simple => Self::Simple,
            KindArg::Storage => Self::Storage,
            KindArg::ResourceForecaster => Self::ResourceForecaster,
            KindArg::PriceForecaster => Self::PriceForecaster,
            KindArg::Controller => Self::Controller,
            KindArg::EconomicDispatch => Self::EconomicDispatch,
            KindArg::Nis => Self::Nis,
            KindArg::Cis => Self::Cis,
            KindArg::Grid => Self::Grid,
            KindArg::NetworkStatePredictor => Self::NetworkStatePredictor,
            KindArg::StateMonitoring => Self::StateMonitoring,
            KindArg::LocalFlexibilityMarket => Self::LocalFlexibilityMarket,
            KindArg::DroopGenerator => Self::DroopGenerator,
            KindArg::VoltageDependentLoad => Self::VoltageDependentLoad,
        }
    }
}
