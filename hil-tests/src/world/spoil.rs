//! Putting a [`FaultyDevice`] in the place of a configured device.
//!
//! A device of a configuration is opened through an `Opener`; [`spoil`] exchanges it for one that makes the plant of the
//! device's `[twin]` table, without a wire, and puts a faulty device before it. The gateway sees no difference.

use super::faulty::{FaultyDevice, Ledger, Plan};
use async_trait::async_trait;
use gridloop_clock::SharedClock;
use gridloop_gateway::drivers::{OpenError, Opened, Opener};
use gridloop_gateway::{Address, TwinSettings};
use gridloop_plant::LivePlant;
use gridloop_platform_manager::Configuration;
use gridloop_simulated::SimulatedDevice;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Lets things go wrong with a device of the configuration as `plan` says.
///
/// # Panics
/// When there is no such device.
pub fn spoil(configuration: &mut Configuration, device: &str, plan: Plan) -> Ledger {
    let settings = configuration.devices.iter_mut().find(|it| it.name == device);
    let settings = settings.unwrap_or_else(|| panic!("the configuration has no device {device}"));
    let ledger = Ledger::default();
    settings.opener = Box::new(Spoilt { plan: Mutex::new(Some(plan)), ledger: ledger.clone() });
    ledger
}

struct Spoilt {
    /// Taken when the device is opened, which happens once a run.
    plan: Mutex<Option<Plan>>,
    ledger: Ledger,
}

impl std::fmt::Debug for Spoilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spoilt")
    }
}

#[async_trait]
impl Opener for Spoilt {
    fn plants(&self) -> &'static [&'static str] {
        &["pv-inverter", "battery", "tap-changer", "grid-emulator"]
    }

    async fn open(
        &self,
        _address: &Address,
        twin: Option<&TwinSettings>,
        _request_timeout: Duration,
        clock: &SharedClock,
    ) -> Result<Opened, OpenError> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner).take();
        let plan = plan.ok_or(OpenError::NoTwin)?;
        let plant = twin.ok_or(OpenError::NoTwin)?.plant()?;
        let plant = LivePlant::new(plant, clock.clone());
        let terminals = Some(plant.terminals());
        let sound = SimulatedDevice::new(plant, clock.clone());
        let device = FaultyDevice::with_ledger(Box::new(sound), clock.clone(), plan, self.ledger.clone());
        let address = "behind a bad wire".into();
        Ok(Opened { device: Box::new(device), address, simulator: None, terminals })
    }
}
