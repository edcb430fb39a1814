//! gridloop's SunSpec driver on an inverter whose registers pysunspec2 laid out and pymodbus serves.

use crate::rig::{clock, link_to, setpoint};
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, FailSafe, PowerRange, Quality, SafeState, point,
};
use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::{RevertAfter, SunSpecDevice, SunSpecSettings};
use serde_json::{Value, json};
use std::time::Duration;

/// What the registers of an inverter of 10 kW hold, before scaling.
pub(crate) fn image(base: u16, controls: Value) -> Value {
    json!({ "base": base, "models": [
        { "id": 1, "points": { "Mn": "Foreign", "Md": "PV 10", "SN": "42" } },
        { "id": 103, "points": {
            "W": 4321, "W_SF": 0, "VAr": -321, "VAr_SF": 1, "Hz": 4998, "Hz_SF": -2, "A": 190, "A_SF": -1,
            "PhVphA": 2295, "PhVphB": 2305, "PhVphC": 2315, "V_SF": -1, "WH": 123_456, "WH_SF": 1, "St": 4,
        } },
        { "id": 120, "points": { "DERTyp": 4, "WRtg": 1000, "WRtg_SF": 1 } },
        { "id": 121, "points": {
            "WMax": 100, "WMax_SF": 2, "VArMaxQ1": 44, "VArMaxQ4": -44, "VArMax_SF": 2,
        } },
        controls,
    ] })
}

fn immediate_controls() -> Value {
    json!({ "id": 123, "points": {
        "Conn": 1, "WMaxLimPct": 1000, "WMaxLimPct_SF": -1, "WMaxLimPct_RvrtTms": 0, "WMaxLim_Ena": 0,
        "OutPFSet_Ena": 0, "VArWMaxPct": 0, "VArPct_SF": -1, "VArPct_Mod": 1, "VArPct_RvrtTms": 0, "VArPct_Ena": 0,
    } })
}

pub(crate) fn ac_controls() -> Value {
    json!({ "id": 704, "points": {
        "WMaxLimPctEna": 0, "WMaxLimPct": 100, "WMaxLimPctRvrt": 100, "WMaxLimPctEnaRvrt": 0,
        "WMaxLimPctRvrtTms": 0, "WMaxLimPctRvrtRem": 0, "WMaxLimPct_SF": 0, "WSetEna": 0,
        "VarSetEna": 0, "VarSetMod": 0, "VarSetPct": 0, "VarSetPctRvrt": 0, "VarSetEnaRvrt": 0,
        "VarSetRvrtTms": 0, "VarSetPct_SF": 0,
    } })
}

/// What the registers of a battery of 10 kW hold, which charges with 8 kW at most.
fn battery(controls: Value) -> Value {
    json!({ "base": 40_000, "models": [
        { "id": 1, "points": { "Mn": "Foreign", "Md": "Battery 10" } },
        { "id": 701, "points": {
            "ACType": 2, "W": -250, "W_SF": 1, "Hz": 49_970, "Hz_SF": -3, "LNV": 2298, "V_SF": -1,
            "TotWhInj": 5_000_000_000_i64, "TotWhAbs": 7, "TotWh_SF": 0,
        } },
        { "id": 702, "points": { "WMax": 100, "WChaRteMax": 80, "WDisChaRteMax": 100, "W_SF": 2 } },
        { "id": 713, "points": { "WHRtg": 200, "WH_SF": 2, "SoC": 645, "Pct_SF": -1 } },
        controls,
        { "id": 715, "points": { "LocRemCtl": 0, "DERHb": 5, "ControllerHb": 9 } },
    ] })
}

fn set_points() -> Value {
    json!({ "id": 704, "points": {
        "WMaxLimPctEna": 0, "WSetEna": 0, "WSetMod": 0, "WSet": 0, "WSetRvrt": 0, "WSetEnaRvrt": 0,
        "WSetRvrtTms": 0, "WSet_SF": 1,
    } })
}

fn storage_controls() -> Value {
    json!({ "id": 124, "points": {
        "WChaMax": 8000, "WChaMax_SF": 0, "StorCtl_Mod": 0, "OutWRte": 100, "InWRte": 100,
        "InOutWRte_RvrtTms": 0, "InOutWRte_SF": 0,
    } })
}

/// gridloop's driver, connected to such an inverter.
struct Driven {
    clock: SharedClock,
    pymodbus: Peer,
    device: SunSpecDevice,
    description: Description,
}

impl Driven {
    async fn new(image: &Value, revert_after: Option<Duration>) -> anyhow::Result<Self> {
        let clock = clock()?;
        let (pymodbus, address) = Peer::serve("sunspec_server.py", &[&image.to_string()]).await?;
        let revert_after = revert_after.map_or(RevertAfter::Never, RevertAfter::After);
        let settings =
            SunSpecSettings { revert_after, revert_to_w: 1000.0, ..SunSpecSettings::new(link_to(address)) };
        let mut device = SunSpecDevice::new(settings, SharedClock::clone(&clock));
        let description = device.connect().await?;
        Ok(Self { clock, pymodbus, device, description })
    }

    async fn apply(&mut self, real_power_w: f64, reactive_power_var: f64) -> Result<Applied, DeviceError> {
        let command = Command::Power { real_power_w, reactive_power_var };
        self.device.apply(&setpoint(command, &self.clock)).await
    }

    async fn held(&mut self, model: u16, point: &str) -> anyhow::Result<Value> {
        let answer = self.pymodbus.ask("held", json!({ "number": model, "point": point })).await?;
        Ok(answer["value"].clone())
    }

    async fn change(&mut self, model: u16, point: &str, value: i32) -> anyhow::Result<()> {
        let details = json!({ "number": model, "point": point, "value": value });
        self.pymodbus.ask("change", details).await.map(|_| ())
    }

    async fn read(&mut self, name: &str) -> anyhow::Result<Option<f64>> {
        let snapshot = self.device.read().await?;
        assert!(snapshot.points.values().all(|sample| sample.quality == Quality::Good), "{snapshot:?}");
        Ok(snapshot.get(name).map(|sample| sample.value))
    }
}

fn confirmed(real_power_w: f64, reactive_power_var: f64) -> Applied {
    Applied::Confirmed { readback: Command::Power { real_power_w, reactive_power_var } }
}

#[tokio::test]
async fn a_foreign_inverter_is_identified_by_its_own_words() -> anyhow::Result<()> {
    for base in [40_000, 0, 50_000] {
        let driven = Driven::new(&image(base, immediate_controls()), None).await?;
        assert_eq!(driven.description.identity, "Foreign PV 10 42");
        assert_eq!(driven.description.profile, "SunSpec 1 103 120 121 123");
        let power = PowerRange { min_w: 0.0, max_w: 10_000.0, max_var: 4400.0 };
        assert_eq!(driven.description.capabilities.power, Some(power));
        assert_eq!(driven.description.fail_safe, FailSafe::None);
    }
    Ok(())
}

#[tokio::test]
async fn the_values_of_a_foreign_inverter_are_read_with_their_scale_factors() -> anyhow::Result<()> {
    let mut driven = Driven::new(&image(40_000, immediate_controls()), None).await?;
    let expected = [
        (point::REAL_POWER, Some(4321.0)),
        (point::REACTIVE_POWER, Some(-3210.0)),
        (point::FREQUENCY, Some(49.98)),
        (point::VOLTAGE, Some(230.5)),
        ("current", Some(19.0)),
        ("energy", Some(1_234_560.0)),
        ("cabinet_temperature", None),
    ];
    for (name, value) in expected {
        assert_eq!(driven.read(name).await?, value, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_scale_factor_that_changes_changes_the_value() -> anyhow::Result<()> {
    let mut driven = Driven::new(&image(40_000, immediate_controls()), None).await?;
    driven.change(103, "W_SF", 1).await?;
    driven.change(103, "W", -432).await?;
    assert_eq!(driven.read(point::REAL_POWER).await?, Some(-4320.0));
    driven.change(103, "W", -32_768).await?;
    assert_eq!(driven.read(point::REAL_POWER).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_limit_in_model_123_arrives_is_read_back_and_is_released() -> anyhow::Result<()> {
    let revert_after = Some(Duration::from_secs(30));
    let mut driven = Driven::new(&image(40_000, immediate_controls()), revert_after).await?;
    let after = Duration::from_secs(30);
    assert_eq!(driven.description.fail_safe, FailSafe::RevertsToFree { after });
    assert_eq!(driven.apply(5550.0, -1000.0).await?, confirmed(5550.0, -1000.0));
    let expected = [
        ("WMaxLimPct", 555),
        ("WMaxLimPct_RvrtTms", 30),
        ("WMaxLim_Ena", 1),
        ("VArWMaxPct", -100),
        ("VArPct_Mod", 1),
        ("VArPct_Ena", 1),
    ];
    for (point, value) in expected {
        assert_eq!(driven.held(123, point).await?, json!(value), "{point}");
    }
    assert_eq!(driven.device.release(&SafeState::Release).await?, confirmed(10_000.0, 0.0));
    assert_eq!(driven.held(123, "WMaxLim_Ena").await?, json!(0));
    assert_eq!(driven.held(123, "VArPct_Ena").await?, json!(0));
    Ok(())
}

#[tokio::test]
async fn a_limit_in_model_704_arrives_with_its_reversion_value() -> anyhow::Result<()> {
    let revert_after = Some(Duration::from_secs(20));
    let mut driven = Driven::new(&image(40_000, ac_controls()), revert_after).await?;
    let after = Duration::from_secs(20);
    assert_eq!(driven.description.fail_safe, FailSafe::RevertsToValue { after, to_w: Some(1000.0) });
    assert_eq!(driven.apply(6000.0, 0.0).await?, confirmed(6000.0, 0.0));
    let expected = [
        ("WMaxLimPct", 60),
        ("WMaxLimPctRvrt", 10),
        ("WMaxLimPctEnaRvrt", 1),
        ("WMaxLimPctRvrtTms", 20),
        ("WMaxLimPctEna", 1),
    ];
    for (point, value) in expected {
        assert_eq!(driven.held(704, point).await?, json!(value), "{point}");
    }
    assert_eq!(driven.device.release(&SafeState::Release).await?, confirmed(10_000.0, 0.0));
    assert_eq!(driven.held(704, "WMaxLimPctEna").await?, json!(0));
    Ok(())
}

#[tokio::test]
async fn a_command_beyond_the_nameplate_reaches_no_register() -> anyhow::Result<()> {
    let mut driven = Driven::new(&image(40_000, immediate_controls()), None).await?;
    for (real_power_w, reactive_power_var) in [(10_001.0, 0.0), (-1.0, 0.0), (f64::NAN, 0.0), (0.0, 4_500.0)]
    {
        let refused = driven.apply(real_power_w, reactive_power_var).await;
        assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(driven.held(123, "WMaxLimPct").await?, json!(1000));
    assert_eq!(driven.held(123, "WMaxLim_Ena").await?, json!(0));
    Ok(())
}

#[tokio::test]
async fn a_foreign_battery_is_told_to_charge_by_wset_and_hears_our_heartbeat() -> anyhow::Result<()> {
    let mut driven = Driven::new(&battery(set_points()), Some(Duration::from_secs(2))).await?;
    let power = PowerRange { min_w: -8000.0, max_w: 10_000.0, max_var: 0.0 };
    assert_eq!(driven.description.capabilities.power, Some(power));
    assert_eq!(
        driven.description.fail_safe,
        FailSafe::RevertsToValue { after: Duration::from_secs(2), to_w: Some(1000.0) }
    );
    for (name, value) in [
        (point::REAL_POWER, -2500.0),
        (point::VOLTAGE, 229.8),
        (point::STATE_OF_CHARGE, 64.5),
        ("energy", 5e9),
    ] {
        assert_eq!(driven.read(name).await?, Some(value), "{name}");
    }
    assert_eq!(driven.apply(-4000.0, 0.0).await?, confirmed(-4000.0, 0.0));
    for (point, value) in
        [("WSet", -400), ("WSetRvrt", 100), ("WSetRvrtTms", 2), ("WSetMod", 1), ("WSetEna", 1)]
    {
        assert_eq!(driven.held(704, point).await?, json!(value), "{point}");
    }
    assert_eq!(driven.held(704, "WMaxLimPctEna").await?, json!(0));
    assert_eq!(driven.held(715, "ControllerHb").await?, json!(10));
    driven.change(715, "LocRemCtl", 1).await?;
    let refused = driven.apply(0.0, 0.0).await.map_err(|error| error.to_string());
    assert!(refused.is_err_and(|error| error.contains("under local control")));
    assert_eq!(driven.held(704, "WSet").await?, json!(-400));
    Ok(())
}

#[tokio::test]
async fn a_foreign_battery_is_told_to_charge_by_the_window_of_model_124() -> anyhow::Result<()> {
    let mut driven = Driven::new(&battery(storage_controls()), Some(Duration::from_secs(2))).await?;
    assert_eq!(driven.description.fail_safe, FailSafe::RevertsToFree { after: Duration::from_secs(2) });
    assert_eq!(driven.apply(-4000.0, 0.0).await?, confirmed(-4000.0, 0.0));
    for (point, value) in [("OutWRte", -40), ("InWRte", 50), ("InOutWRte_RvrtTms", 2), ("StorCtl_Mod", 3)] {
        assert_eq!(driven.held(124, point).await?, json!(value), "{point}");
    }
    assert_eq!(driven.device.release(&SafeState::Release).await?, confirmed(0.0, 0.0));
    assert_eq!(driven.held(124, "StorCtl_Mod").await?, json!(0));
    Ok(())
}
