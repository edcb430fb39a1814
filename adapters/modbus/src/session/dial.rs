//! How a link is opened: [`dial`] gives the [`Wire`] of an address, whatever it runs over.

use super::ask::Ask;
use super::error::LinkError;
use super::guard::Guarded;
use super::line::{Pace, RtuLine};
use super::statistics::Tally;
use super::tls;
use super::{LinkSettings, Patience};
use crate::address::{Address, Host, Parity, SerialLine};
use gridloop_clock::{Clock, SharedClock, until};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_modbus::Slave;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_serial::{DataBits, FlowControl, SerialPortBuilderExt, SerialStream, StopBits};

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin> Stream for S {}

/// An open connection, or serial port, with its framing.
pub(super) enum Wire {
    /// Frames with a header and a transaction number.
    Tcp {
        /// The client.
        context: Context,
        /// What it may mean if the connection is lost before its first answer.
        hint: &'static str,
    },
    /// Frames with a check.
    Rtu(Box<RtuLine<Box<dyn Stream>>>),
}

impl Wire {
    /// A wire over a stream that carries frames of Modbus TCP.
    pub(super) fn tcp(stream: Box<dyn Stream>) -> Self {
        Self::Tcp { context: tcp::attach_slave(Guarded::new(stream), Slave(0)), hint: "" }
    }

    /// The same over TLS, where a device that does not like our certificate may hang up faster than its words arrive.
    fn tls(stream: Box<dyn Stream>) -> Self {
        let context = tcp::attach_slave(Guarded::new(stream), Slave(0));
        Self::Tcp { context, hint: " (the device may not accept our certificate; its log says more)" }
    }

    /// A wire over a stream that carries RTU frames.
    pub(super) fn rtu(
        stream: Box<dyn Stream>,
        pace: Pace,
        quiet: Duration,
        clock: SharedClock,
        tally: Tally,
    ) -> Self {
        Self::Rtu(Box::new(RtuLine::new(stream, pace, quiet, clock, tally)))
    }

    /// Asks a unit. [`Wire::survives`] tells whether the wire may be used after an error.
    pub(super) async fn ask(
        &mut self,
        unit: u8,
        ask: &Ask,
        patience: Patience,
        clock: &dyn Clock,
    ) -> Result<Vec<u16>, LinkError> {
        match self {
            Self::Rtu(line) => line.ask(unit, ask, patience.timeout, patience.quiet).await,
            Self::Tcp { context, hint } => {
                context.set_slave(Slave(unit));
                // The client's typed methods only assert the length of an answer; `call` hands it out to be checked.
                let calling = context.call(ask.request());
                let result = match until(clock, clock.now() + patience.timeout, calling).await {
                    None => Err(LinkError::Timeout(patience.timeout)),
                    Some(Err(error)) => Err(error.into()),
                    Some(Ok(Err(exception))) => Err(LinkError::Exception(exception.into())),
                    Some(Ok(Ok(response))) => ask.check(response),
                };
                let hint = std::mem::take(hint);
                result.map_err(|error| match error {
                    LinkError::Lost(why) => LinkError::Lost(why + hint),
                    other => other,
                })
            }
        }
    }

    /// Whether it may be used after this error. A TCP connection is given up with everything that may yet come by it;
    /// a line cannot be, so it goes into quarantine.
    pub(super) fn survives(&self, error: &LinkError) -> bool {
        match self {
            Self::Tcp { .. } => error.keeps_link(),
            Self::Rtu(_) => !matches!(error, LinkError::Lost(_)),
        }
    }
}

/// Opens the connection, or the serial port, within the timeout.
pub(super) async fn dial(
    settings: &LinkSettings,
    patience: Patience,
    clock: &SharedClock,
    tally: &Tally,
) -> Result<Wire, LinkError> {
    let deadline = clock.now() + patience.timeout;
    let opening = open(settings, patience.quiet, clock, tally);
    until(&**clock, deadline, opening).await.ok_or(LinkError::Timeout(patience.timeout))?
}

async fn open(
    settings: &LinkSettings,
    quiet: Duration,
    clock: &SharedClock,
    tally: &Tally,
) -> Result<Wire, LinkError> {
    match &settings.address {
        Address::Tcp(host) => Ok(Wire::tcp(Box::new(connect(host).await?))),
        Address::Tls(host) => {
            let files = settings.tls.as_ref().ok_or_else(|| {
                LinkError::Lost("tls:// needs ca_file, certificate_file and key_file".to_owned())
            })?;
            let stream = connect(host).await?;
            let stream = tls::wrap(stream, host, files, clock).await.map_err(LinkError::Lost)?;
            Ok(Wire::tls(Box::new(stream)))
        }
        Address::RtuOverTcp(host) => {
            // The line behind the server has a silence between frames that is not known here; this one does for all
            // above 19200 baud, and a device server keeps a longer one by itself.
            let pace = Pace { character: Duration::ZERO, silence: Duration::from_micros(1750) };
            let stream = Box::new(connect(host).await?);
            Ok(Wire::rtu(stream, pace, quiet, SharedClock::clone(clock), tally.clone()))
        }
        Address::Rtu { path, line } => {
            let port = open_port(path, *line).map_err(LinkError::Lost)?;
            let pace = Pace { character: line.character(), silence: line.silence() };
            Ok(Wire::rtu(Box::new(port), pace, quiet, SharedClock::clone(clock), tally.clone()))
        }
    }
}

async fn connect(host: &Host) -> Result<TcpStream, LinkError> {
    let lost = |error: std::io::Error| LinkError::Lost(error.to_string());
    let stream = TcpStream::connect((host.host.as_str(), host.port)).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    Ok(stream)
}

/// Opens a serial port for this process alone.
pub(crate) fn open_port(path: &Path, line: SerialLine) -> Result<SerialStream, String> {
    let parity = match line.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if line.stop_bits == 2 { StopBits::Two } else { StopBits::One };
    let Some(name) = path.to_str() else { return Err("its name is no UTF-8".to_owned()) };
    tokio_serial::new(name, line.baud)
        .data_bits(DataBits::Eight)
        .parity(parity)
        .stop_bits(stop_bits)
        .flow_control(FlowControl::None)
        .open_native_async()
        .map_err(|error| explain_port(path, &error))
}

/// What keeps a serial port from being opened, and what to do.
fn explain_port(path: &Path, error: &tokio_serial::Error) -> String {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    use tokio_serial::ErrorKind;
    let path = path.display();
    match error.kind() {
        ErrorKind::Io(NotFound) => format!("{path} is not there: is the adapter plugged in?"),
        ErrorKind::Io(PermissionDenied) => {
            format!("{path} may not be opened: the user needs the port's group, dialout on most systems")
        }
        ErrorKind::NoDevice => format!("{path}: {error}: gone, or in use by another program"),
        _ => format!("{path}: {error}"),
    }
}
