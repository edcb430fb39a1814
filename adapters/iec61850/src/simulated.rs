//! Simulated IEDs: servers on a real socket with a live plant behind them.
//!
//! [`serve_inverter`] and [`serve_tap_changer`] serve one logical device each of the IED that
//! `configs/devices/ied-inverter-oltc.icd` describes, [`serve`] both. A [`SimulatedIed`] brings its objects up to date
//! with its plants a few times a second and after every command; commands act on the plant, and what the plant refuses
//! is refused with an AddCause. Its knobs are few: the control model, and the quality of an object.

mod inverter;
mod model;
mod tap_changer;

use crate::port::ControlModel;
use gridloop_clock::{SharedClock, sleep};
use gridloop_plant::{LivePlant, PvInverter, TapChanger};
use iec61850_model::FC;
use iec61850_server::{IedServer, IedServerConfig};
use model::Live;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The description of the simulated IED.
pub const ICD: &str = include_str!("../../../configs/devices/ied-inverter-oltc.icd");
/// Its name, which its logical devices' names begin with.
pub const IED_NAME: &str = "GRIDLOOP";

/// Associations at a time.
const MOST_ASSOCIATIONS: usize = 32;

/// How many milliseconds stopping waits for the associations to end.
const MOST_WAITS: u32 = 1000;

/// What a simulated IED may be told.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedSettings {
    /// The control model of all its controllable objects.
    pub control_model: ControlModel,
    /// How often its objects are brought up to date.
    pub refresh: Duration,
}

impl Default for SimulatedSettings {
    /// Direct control with normal security, 50 times a second.
    fn default() -> Self {
        Self { control_model: ControlModel::DirectNormal, refresh: Duration::from_millis(20) }
    }
}

/// The plants behind a simulated IED. A logical device without a plant is not there.
#[derive(Clone, Default)]
pub struct Plants {
    /// Behind the logical device INV.
    pub inverter: Option<LivePlant<PvInverter>>,
    /// Behind the logical device OLTC.
    pub tap_changer: Option<LivePlant<TapChanger>>,
}

/// A simulated IED on a socket. It ends when this is dropped.
pub struct SimulatedIed {
    local_addr: SocketAddr,
    live: Arc<Live>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl SimulatedIed {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Sets bits of the quality attribute of an object such as `MMXU1.TotW`, by their place in the standard (0 and 1
    /// validity, 7 old data, 10 substituted, 11 test); none makes it good again.
    pub fn set_quality(&self, object: &str, bits: &[usize]) {
        self.live.set_quality(object, bits);
        self.live.refresh();
    }

    /// Closes the socket and every association, and waits until that is done.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // The task fails only when the runtime ends before it.
        let _ = self.task.await;
    }
}

/// Serves an inverter; port 0 takes a free one.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_inverter(
    bind: SocketAddr,
    plant: LivePlant<PvInverter>,
    settings: SimulatedSettings,
    clock: SharedClock,
) -> io::Result<SimulatedIed> {
    serve(bind, Plants { inverter: Some(plant), tap_changer: None }, settings, clock).await
}

/// Serves a tap changer; port 0 takes a free one.
///
/// # Errors
/// When the address cannot be bound, or the positions do not fit into -64 to 63 (IEC 61850-7-3, ISC).
pub async fn serve_tap_changer(
    bind: SocketAddr,
    plant: LivePlant<TapChanger>,
    settings: SimulatedSettings,
    clock: SharedClock,
) -> io::Result<SimulatedIed> {
    serve(bind, Plants { inverter: None, tap_changer: Some(plant) }, settings, clock).await
}

/// Serves both logical devices of one IED.
///
/// # Errors
/// As [`serve_tap_changer`].
pub async fn serve(
    bind: SocketAddr,
    plants: Plants,
    settings: SimulatedSettings,
    clock: SharedClock,
) -> io::Result<SimulatedIed> {
    let model = model::model(&plants, settings.control_model).map_err(io::Error::other)?;
    let mut config = IedServerConfig::default();
    config.max_mms_connections = MOST_ASSOCIATIONS;
    config.vendor_name = Some("gridloop".to_owned());
    config.model_name = Some("simulated IED".to_owned());
    config.write_access_policies.set(FC::Sp, true);
    let built = IedServer::builder().model(Arc::new(model)).bind(bind).config(config).build();
    let server = built.map_err(io::Error::other)?;
    server.register_from_model().map_err(io::Error::other)?;
    let live = Live::new(server.clone(), plants, Arc::clone(&clock)).map_err(io::Error::other)?;
    live.refresh();
    let handle = server.start().await.map_err(io::Error::other)?;
    let local_addr = handle.bound_addr;
    let (stop, mut stopped) = watch::channel(false);
    let task = tokio::spawn({
        let live = Arc::clone(&live);
        async move {
            loop {
                // Stopping comes first: a socket must not outlive its owner.
                tokio::select! {
                    biased;
                    _ = stopped.changed() => break,
                    () = sleep(&*clock, settings.refresh) => live.refresh(),
                }
            }
            handle.stop().await;
            for _ in 0..MOST_WAITS {
                if server.connection_count() == 0 {
                    break;
                }
                sleep(&*clock, Duration::from_millis(1)).await;
            }
        }
    });
    Ok(SimulatedIed { local_addr, live, stop, task })
}

#[cfg(test)]
mod tests;
