//! The contract's test suite finds devices that break their promises, and nothing in one that keeps them.

use async_trait::async_trait;
use gridloop_clock::{SharedClock, WallClock};
use gridloop_device::{
    Applied, Capabilities, Command, Description, Device, DeviceError, PowerRange, SafeState, Setpoint,
    Snapshot, Unit, conformance, point,
};
use std::sync::Arc;

const MOST_W: f64 = 1000.0;

/// What is wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    WorksUnconnected,
    ForgetsItsName,
    InventsTheDate,
    ReadsNothing,
    HoldsAnotherValue,
    Wraps,
    TakesNaN,
    TakesAnyKind,
    ReleasesOnce,
    DropsTheLinkOnRefusal,
    StaysBroken,
}

/// An inverter that holds a command.
struct Rogue {
    flaw: Flaw,
    clock: SharedClock,
    connects: u32,
    connected: bool,
    busy: bool,
    releases: u32,
    held_w: f64,
}

impl Rogue {
    fn ready(&mut self) -> Result<(), DeviceError> {
        if self.flaw == Flaw::WorksUnconnected || self.connected {
            return Ok(());
        }
        Err(DeviceError::Disconnected { operation: "call".into(), reason: "not connected".into() })
    }

    fn refuse(&mut self) -> Result<Applied, DeviceError> {
        self.connected = self.flaw != Flaw::DropsTheLinkOnRefusal;
        Err(DeviceError::Refused { operation: "apply".into(), reason: "out of range".into() })
    }

    fn held(&self) -> Applied {
        let off = if self.flaw == Flaw::HoldsAnotherValue { 100.0 } else { 0.0 };
        let readback = Command::Power { real_power_w: self.held_w + off, reactive_power_var: 0.0 };
        Applied::Confirmed { readback }
    }

    /// Waits once, as a driver with a wire does; one that is abandoned there has a flaw if it never recovers.
    async fn talk(&mut self) -> Result<(), DeviceError> {
        if self.busy && self.flaw == Flaw::StaysBroken {
            return Err(DeviceError::Malformed { operation: "read".into(), reason: "out of step".into() });
        }
        self.busy = true;
        tokio::task::yield_now().await;
        self.busy = false;
        Ok(())
    }
}

#[async_trait]
impl Device for Rogue {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        self.connects += 1;
        self.connected = true;
        let identity =
            if self.flaw == Flaw::ForgetsItsName { self.connects.to_string() } else { "it".into() };
        let power = Some(PowerRange { min_w: 0.0, max_w: MOST_W, max_var: 0.0 });
        let capabilities = Capabilities { power, ..Capabilities::default() };
        Ok(Description { identity, capabilities, ..Description::default() })
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        self.ready()?;
        self.talk().await?;
        let mut snapshot = Snapshot::default();
        let dated = if self.flaw == Flaw::InventsTheDate { Default::default() } else { self.clock.now() };
        if self.flaw != Flaw::ReadsNothing {
            snapshot.put(point::REAL_POWER, self.held_w, Unit::Watt, dated);
        }
        Ok(snapshot)
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        self.ready()?;
        self.talk().await?;
        let Command::Power { real_power_w, reactive_power_var } = setpoint.command else {
            return if self.flaw == Flaw::TakesAnyKind { Ok(self.held()) } else { self.refuse() };
        };
        self.held_w = match self.flaw {
            Flaw::Wraps if real_power_w.is_finite() => real_power_w.rem_euclid(MOST_W),
            Flaw::TakesNaN if real_power_w.is_nan() => self.held_w,
            _ if (0.0..=MOST_W).contains(&real_power_w) && reactive_power_var == 0.0 => real_power_w,
            _ => return self.refuse(),
        };
        Ok(self.held())
    }

    async fn release(&mut self, _: &SafeState) -> Result<Applied, DeviceError> {
        self.ready()?;
        self.releases += 1;
        if self.flaw == Flaw::ReleasesOnce && self.releases > 1 {
            Ok(Applied::InProgress)
        } else {
            Ok(self.held())
        }
    }
}

async fn promises_broken_by(flaw: Flaw) -> Vec<&'static str> {
    let clock: SharedClock = Arc::new(WallClock::start().unwrap());
    let rogue = || {
        let (connects, releases, held_w) = (0, 0, MOST_W);
        let clock = Arc::clone(&clock);
        let device = Rogue { flaw, clock, connects, connected: false, busy: false, releases, held_w };
        let device: Box<dyn Device> = Box::new(device);
        std::future::ready(device)
    };
    let outcome = conformance::check(Arc::clone(&clock), rogue).await;
    outcome.err().unwrap_or_default().into_iter().map(|violation| violation.promise).collect()
}

#[tokio::test]
async fn a_device_that_keeps_its_promises_is_found_to_do_so() {
    assert_eq!(promises_broken_by(Flaw::None).await, [""; 0]);
}

#[tokio::test]
async fn every_flaw_breaks_the_promise_that_it_should() {
    let cases = [
        (Flaw::WorksUnconnected, "before connecting, every call is Disconnected"),
        (Flaw::ForgetsItsName, "connecting describes the device, and again the same way"),
        (Flaw::InventsTheDate, "a reading has finite values, dated between request and answer"),
        (Flaw::ReadsNothing, "a reading has finite values, dated between request and answer"),
        (Flaw::HoldsAnotherValue, "a command is confirmed by what the device then holds"),
        (Flaw::Wraps, "a command out of range is refused, and the link stays"),
        (Flaw::TakesNaN, "a command out of range is refused, and the link stays"),
        (Flaw::DropsTheLinkOnRefusal, "a command out of range is refused, and the link stays"),
        (
            Flaw::TakesAnyKind,
            "a command that the device has no capability for is refused, and the link stays",
        ),
        (Flaw::ReleasesOnce, "releasing twice is the same as releasing once"),
        (Flaw::StaysBroken, "after an abandoned call the device works, connected anew at most"),
    ];
    for (flaw, promise) in cases {
        let broken = promises_broken_by(flaw).await;
        assert!(broken.contains(&promise), "{flaw:?} broke only {broken:?}");
    }
}
