//! `gridloop log-reader`: serves stored runs over HTTP.

use crate::check::refuse;
use crate::context::{Context, runtime};
use crate::from_environment::refused;
use anyhow::Context as _;
use clap::Args;
use clap::builder::FalseyValueParser;
use gridloop_log_reader::{AccessLog, Server, ServerError, Settings, TlsFiles};
use gridloop_logging::{Collections, StoreUrl};
use gridloop_platform_manager::Configuration;
use gridloop_platform_manager::environment::{EnvironmentErrors, Reader, UsualMongo, Variables, read_store};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct LogReaderArgs {
    /// A configuration with a section `[log_reader]`.
    config: Option<PathBuf>,
    /// Where the runs are: `sqlite:DIR` or `mongodb://user:password@host:port/database`. Default: sqlite:runs.
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Where to listen, host:port; port 0 takes a free one. Default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Who may ask: a file that `gridloop token` writes. Everybody may without it.
    #[arg(long, value_name = "FILE", env = "LOGREADER_TOKENS")]
    tokens: Option<PathBuf>,
    /// Encrypt with this certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "key", env = "LOGREADER_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate", env = "LOGREADER_KEY")]
    key: Option<PathBuf>,
    /// Serve other machines without tokens or without TLS.
    #[arg(long, env = "LOGREADER_INSECURE", value_parser = FalseyValueParser::new())]
    insecure: bool,
    /// Record accesses in this file, one JSON object a line, instead of printing them.
    #[arg(long, value_name = "FILE", env = "LOGREADER_ACCESS_LOG")]
    access_log: Option<PathBuf>,
    /// Take store and address from the SimCES environment variables, and nothing from a configuration.
    #[arg(long, conflicts_with_all = ["config", "store", "listen"])]
    from_environment: bool,
}

/// `gridloop log-reader`
pub(crate) fn log_reader(args: &LogReaderArgs) -> anyhow::Result<ExitCode> {
    let settings = match (&args.config, args.from_environment) {
        (_, true) => match from_environment(&std::env::vars_os().collect()) {
            Ok(settings) => settings,
            Err(errors) => return Ok(refused(&errors)),
        },
        (Some(path), false) => match Configuration::load(path, &[]) {
            Ok(configuration) => configuration.log_reader,
            Err(diagnostics) => return Ok(refuse(&diagnostics, false)),
        },
        (None, false) => Settings::default(),
    };
    let settings = args.over(settings);
    let context = Context::new()?;
    let runtime = runtime()?;
    let served = runtime.block_on(serve(settings, &context));
    runtime.shutdown_timeout(Duration::from_millis(200));
    served
}

impl LogReaderArgs {
    /// The settings with what the command line changes in them.
    fn over(&self, mut settings: Settings) -> Settings {
        if let Some(store) = &self.store {
            settings.store = store.clone();
        }
        if let Some(listen) = &self.listen {
            settings.listen.clone_from(listen);
        }
        if self.tokens.is_some() {
            settings.tokens.clone_from(&self.tokens);
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            settings.tls = Some(TlsFiles { certificate: certificate.clone(), key: key.clone() });
        }
        if let Some(path) = &self.access_log {
            settings.access_log = AccessLog::File(path.clone());
        }
        settings.insecure |= self.insecure;
        settings
    }
}

async fn serve(settings: Settings, context: &Context) -> anyhow::Result<ExitCode> {
    let store = settings.store.to_string();
    let server = match Server::bind(settings, context.clock.clone()).await {
        Ok(server) => server,
        Err(error @ ServerError::Exposed { .. }) => {
            eprintln!("gridloop: {error}");
            return Ok(ExitCode::from(crate::context::BAD_CONFIGURATION));
        }
        Err(error) => return Err(error).context("the Log Reader cannot start"),
    };
    context.watch_signals("stopping: answers under way may take a little longer")?;
    eprintln!("serving {store} on {}", server.url());
    server.serve(context.cancel.clone()).await;
    Ok(ExitCode::SUCCESS)
}

/// What the SimCES variables of a Log Reader say (wire contract 1.7), and `LOG_STORE`, which is gridloop's own.
fn from_environment(variables: &Variables) -> Result<Settings, EnvironmentErrors> {
    let reader = Reader::new(variables);
    let usual = UsualMongo { database: "messages", app_name: "log_reader" };
    let store = read_store(&reader, usual, |_| Collections::default());
    let host =
        reader.text("LOGREADER_HOST").filter(|host| host != "*").unwrap_or_else(|| "0.0.0.0".to_owned());
    let port = reader.whole("LOGREADER_PORT", 0..=u16::MAX).unwrap_or(8080);
    let recorded = reader.flag("LOGREADER_ACCESS_LOGGING").unwrap_or(true);
    reader.finish()?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let access_log = if recorded { AccessLog::Stdout } else { AccessLog::Off };
    Ok(Settings { store, listen: format!("{host}:{port}"), access_log, ..Settings::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simces_variables_say_where_to_listen_and_where_the_runs_are() {
        let told = |variables: &[(&str, &str)]| from_environment(&variables.iter().copied().collect());
        let usual = told(&[]).unwrap();
        assert_eq!(usual.listen, "0.0.0.0:8080");
        assert_eq!(usual.store.to_string(), "mongodb://localhost:27017/messages");
        let chosen = told(&[
            ("LOGREADER_HOST", "::1"),
            ("LOGREADER_PORT", "0"),
            ("LOGREADER_ACCESS_LOGGING", "False"),
            ("MONGODB_HOST", "db"),
            ("MONGODB_DATABASE", "logs"),
        ]);
        let chosen = chosen.unwrap();
        assert_eq!((chosen.listen.as_str(), &chosen.access_log), ("[::1]:0", &AccessLog::Off));
        assert_eq!(chosen.store.to_string(), "mongodb://db:27017/logs");
        assert_eq!(
            told(&[("LOGREADER_HOST", "*"), ("LOG_STORE", "sqlite:x")]).unwrap().listen,
            "0.0.0.0:8080"
        );
        assert_eq!(told(&[("LOGREADER_PORT", "http"), ("LOG_STORE", "x")]).unwrap_err().0.len(), 2);
    }
}
