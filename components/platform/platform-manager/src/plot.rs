//! `gridloop plot`: draws pictures of a stored run.

use crate::context::{BAD_CONFIGURATION, Context, FAILED, runtime};
use crate::stored::{Found, find};
use anyhow::Context as _;
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use gridloop_logging::StoreUrl;
use gridloop_logging::archive::{Archive, Epochs, Order, Select};
use gridloop_plot::{About, Limits, Options, Picture, Recording, draw};
use gridloop_service::{Document, Section};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where pictures go in the folder of a run.
const PLOTS: &str = "plots";

#[derive(Debug, Args)]
pub(crate) struct PlotArgs {
    /// The run: its folder, its SimulationId, or `latest`.
    run: String,
    /// Write the pictures to this folder. Default: `plots` in the folder of the run.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw these only, with commas between them. Default: everything that the run has messages for.
    #[arg(long, value_name = "PICTURES", value_delimiter = ',', value_parser = picture_parser())]
    only: Vec<Picture>,
    /// Write PNG as well, for what shows no SVG.
    #[arg(long)]
    png: bool,
    /// The nominal voltage of buses that no NIS message of the run names, as their voltages are measured.
    #[arg(long, value_name = "KV", value_parser = positive)]
    nominal_kv: Option<f64>,
    /// Where runs are kept.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

fn picture_parser() -> impl clap::builder::TypedValueParser<Value = Picture> {
    PossibleValuesParser::new(Picture::ALL.map(Picture::name))
        .map(|name| Picture::parse(&name).unwrap_or(Picture::Overview))
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number of kV above 0, such as 0.23".to_owned())
}

/// `gridloop plot RUN`
pub(crate) fn plot(args: &PlotArgs) -> anyhow::Result<ExitCode> {
    // For its log.
    let _context = Context::new()?;
    if args.png && !cfg!(feature = "png") {
        eprintln!(
            "--png: this gridloop was built without PNG; build it with `--features png`, or convert the SVG"
        );
        return Ok(ExitCode::from(BAD_CONFIGURATION));
    }
    let found = match find(&args.runs, &args.run) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
    };
    let (about, recording) = runtime()?.block_on(read(&found))?;
    if recording.unreadable() > 0 {
        eprintln!("{} messages are not what their Type says and were left out", recording.unreadable());
    }
    let options = Options { nominal_kv: args.nominal_kv, limits: limits(&found.folder) };
    let out = args.out.clone().unwrap_or_else(|| found.folder.join(PLOTS));
    let wanted = if args.only.is_empty() { &Picture::ALL[..] } else { &args.only };
    let (mut drawn, mut missing) = (0, 0);
    for picture in wanted {
        match draw(&recording, &about, *picture, &options) {
            Ok(svg) => {
                write(&out, *picture, &svg, args.png)?;
                drawn += 1;
            }
            Err(reason) => {
                eprintln!("{} not drawn: {reason}", picture.name());
                missing += 1;
            }
        }
    }
    // What was asked for by name has to be there; of everything, something.
    let failed = drawn == 0 || (missing > 0 && !args.only.is_empty());
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

async fn read(found: &Found) -> anyhow::Result<(About, Recording)> {
    let archive = Archive::open(&StoreUrl::Sqlite(found.runs.clone())).await?;
    let id = found.id.as_str();
    let run = archive.run(id).await?.unwrap_or_default();
    let name = run.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
    // The end is there only once SimState `stopped` was heard.
    let about = About { simulation_id: id.to_owned(), name, ended: run.contains_key("EndTime") };
    let mut recording = Recording::default();
    for epoch in archive.epochs(id, Epochs::default()).await? {
        if let (Ok(number), Some(start), Some(end)) = (u64::try_from(epoch.number), epoch.start, epoch.end) {
            recording.epoch(number, start, end);
        }
    }
    let select = Select { order: Order::Epoch, ..Select::default() };
    let mut documents = archive.messages(id, select).await?;
    while let Some(batch) = documents.next().await? {
        batch.into_iter().for_each(|document| recording.take(document));
    }
    Ok((about, recording))
}

/// The limits that a state monitoring of the run tells in its report; before there is one, those of the configuration.
fn limits(folder: &Path) -> Limits {
    let report = fs::read(folder.join("report.json")).ok();
    let report: Option<Value> = report.and_then(|text| serde_json::from_slice(&text).ok());
    let components = report.as_ref().and_then(|report| report.get("components")?.as_object());
    let mut findings = components.into_iter().flat_map(|components| components.values());
    findings.find_map(Limits::of_findings).or_else(|| configured_limits(folder)).unwrap_or_default()
}

/// The limits of the first `state-monitoring` in the run's copy of its configuration, with the defaults of that kind.
fn configured_limits(folder: &Path) -> Option<Limits> {
    let document = Document::load(&folder.join("configuration.toml")).ok()?;
    let components = document.root().named_sections("component", "");
    let is_it =
        |section: &Section<'_>| section.text("kind", "").optional().as_deref() == Some("state-monitoring");
    let section = components.into_iter().find(is_it)?;
    let number = |key: &str, usual: f64| section.number(key, "").optional().unwrap_or(usual);
    let (min_pu, max_pu) = (number("min_voltage_pu", 0.9), number("max_voltage_pu", 1.1));
    Some(Limits {
        min_pu: Some(min_pu),
        max_pu: Some(max_pu),
        amber_min_pu: Some(min_pu + number("lower_amber_band_pu", 0.0)),
        amber_max_pu: Some(max_pu - number("upper_amber_band_pu", 0.0)),
        loading: Some(number("overloading_baseline", 1.0)),
        amber_loading: Some(number("amber_loading_baseline", 0.9)),
    })
}

fn write(out: &Path, picture: Picture, svg: &str, png: bool) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let path = out.join(picture.name()).with_extension("svg");
    write_whole(&path, svg.as_bytes())?;
    println!("{}", path.display());
    if png {
        let path = path.with_extension("png");
        write_whole(&path, &rendered(svg)?)?;
        println!("{}", path.display());
    }
    Ok(())
}

#[cfg(feature = "png")]
fn rendered(svg: &str) -> anyhow::Result<Vec<u8>> {
    Ok(gridloop_plot::png(svg)?)
}

#[cfg(not(feature = "png"))]
fn rendered(_svg: &str) -> anyhow::Result<Vec<u8>> {
    anyhow::bail!("this gridloop was built without PNG")
}

/// Writes a file beside the one that is asked for, which it replaces only when it is whole.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_report_the_configuration_tells_the_limits() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(limits(folder.path()), Limits::default());
        let text = "[component.a]\nkind = \"dummy\"\n[component.m]\nkind = \"state-monitoring\"\n\
                    max_voltage_pu = 1.05\nlower_amber_band_pu = 0.02\n";
        fs::write(folder.path().join("configuration.toml"), text).unwrap();
        let found = limits(folder.path());
        assert_eq!((found.min_pu, found.max_pu, found.amber_min_pu), (Some(0.9), Some(1.05), Some(0.92)));
        let report =
            r#"{"components": {"m": {"kind": "state-monitoring", "limits": {"max_voltage_pu": 1.2}}}}"#;
        fs::write(folder.path().join("report.json"), report).unwrap();
        assert_eq!(limits(folder.path()), Limits { max_pu: Some(1.2), ..Limits::default() });
    }
}
