//! The registers of a device that says to be a SunSpec inverter: scanned, connected to, read, commanded. Nothing that
//! is not finite comes out, and a command that is confirmed is the one that was given.
#![no_main]

use gridloop_device::{Applied, Command, Device, SafeState, Setpoint};
use gridloop_fuzz::{Image, at_hand, clock, registers};
use gridloop_modbus::{RevertAfter, SunSpecDevice, SunSpecSettings, scan};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    let mut image = vec![0x5375, 0x6e53];
    image.extend(registers(input));
    at_hand(Image { base: 40_000, registers: image }, async |link| {
        let _ = scan(link.clone(), clock()).await.map(|report| report.map(|report| report.to_string()));
        let settings =
            SunSpecSettings { revert_after: RevertAfter::After(Duration::from_secs(10)), ..SunSpecSettings::new(link) };
        let mut device = SunSpecDevice::new(settings, clock());
        let Ok(description) = device.connect().await else { return };
        if let Ok(snapshot) = device.read().await {
            assert!(snapshot.points.values().all(|sample| sample.value.is_finite()), "{snapshot:?}");
        }
        let Some(range) = description.capabilities.power else { return };
        assert!(range.max_w.is_finite() && range.min_w <= range.max_w && range.max_var >= 0.0, "{range:?}");
        let asked_w = range.max_w / 2.0;
        let command = Command::Power { real_power_w: asked_w, reactive_power_var: 0.0 };
        let now = clock().now();
        let expires_at = now + Duration::from_secs(60);
        let setpoint = Setpoint { command, epoch: 1, received_at: now, expires_at, order: 0 };
        if let Ok(Applied::Confirmed { readback: Command::Power { real_power_w, .. } }) =
            device.apply(&setpoint).await
        {
            // Half a step of the coarsest per cents that still can tell half from nothing.
            assert!(
                (real_power_w - asked_w).abs() <= range.max_w / 2.0,
                "asked {asked_w}, holds {real_power_w}"
            );
        }
        let _ = device.release(&SafeState::Release).await;
    });
});
