//! The simulated inverter as pysunspec2 sees it: scan, scale factors, sentinels, controls, revert timers.

use crate::rig::{clock, eventually, inverter};
use gridloop_clock::SharedClock;
use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::simulated::SimulatedServer;
use gridloop_plant::{LivePlant, PvInverter};
use serde_json::{Value, json};

const ALL_MODELS: [u16; 8] = [1, 103, 120, 121, 122, 123, 702, 704];

/// A simulated inverter with pysunspec2 connected to it, which has scanned it.
struct Scanned {
    clock: SharedClock,
    plant: LivePlant<PvInverter>,
    pysunspec2: Peer,
    found: Value,
    _server: SimulatedServer,
}

impl Scanned {
    async fn new(models: &[u16]) -> anyhow::Result<Self> {
        let clock = clock()?;
        let (server, plant) = inverter(models, &clock).await?;
        let port = server.local_addr().port().to_string();
        let (mut pysunspec2, _) = Peer::start("sunspec_client.py", &[&port]).await?;
        let found = pysunspec2.ask("scan", json!({})).await?;
        Ok(Self { clock, plant, pysunspec2, found, _server: server })
    }

    async fn read(&mut self, model: u16, points: &[&str]) -> anyhow::Result<Value> {
        self.pysunspec2.ask("read", json!({ "number": model, "points": points })).await
    }

    async fn write(&mut self, model: u16, points: &[(&str, f64)]) -> anyhow::Result<()> {
        self.pysunspec2.ask("write", json!({ "number": model, "points": points })).await.map(|_| ())
    }

    async fn implemented(&mut self, model: u16) -> anyhow::Result<Value> {
        self.pysunspec2.ask("implemented", json!({ "number": model })).await
    }

    /// Waits until model 103 shows this at a point.
    async fn shows(&mut self, point: &str, value: f64) -> anyhow::Result<()> {
        let clock = SharedClock::clone(&self.clock);
        let what = format!("model 103 shows {point} {value}");
        eventually(&clock, &what, async || Ok(self.read(103, &[point]).await?[point].as_f64() == Some(value)))
            .await
    }
}

#[tokio::test]
async fn pysunspec2_finds_every_model_with_its_published_length() -> anyhow::Result<()> {
    let inverter = Scanned::new(&ALL_MODELS).await?;
    let models = [[1, 66], [103, 50], [120, 26], [121, 30], [122, 44], [123, 24], [702, 50], [704, 65]];
    assert_eq!(inverter.found, json!({ "base": 40_000, "models": models }));
    Ok(())
}

#[tokio::test]
async fn pysunspec2_reads_the_values_that_the_plant_has() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&ALL_MODELS).await?;
    let identity = inverter.read(1, &["Mn", "Md", "SN"]).await?;
    assert_eq!(identity, json!({ "Mn": "gridloop", "Md": "simulated PV inverter", "SN": "SIM-1" }));
    let measured =
        inverter.read(103, &["W", "VAr", "Hz", "PhVphA", "PhVphC", "PPVphAB", "St", "Evt1"]).await?;
    let expected = json!({
        "W": 8000.0, "VAr": 0.0, "Hz": 50.0, "PhVphA": 230.0, "PhVphC": 230.0, "PPVphAB": 398.4, "St": 4, "Evt1": 0,
    });
    assert_eq!(rounded(&measured), rounded(&expected));
    let nameplate = inverter.read(120, &["DERTyp", "WRtg", "VARtg", "VArRtgQ1", "VArRtgQ4", "ARtg"]).await?;
    let expected = json!({
        "DERTyp": 4, "WRtg": 8000, "VARtg": 8000, "VArRtgQ1": 8000, "VArRtgQ4": -8000, "ARtg": 34.78,
    });
    assert_eq!(rounded(&nameplate), rounded(&expected));
    let settings = inverter.read(121, &["WMax", "VRef", "ECPNomHz"]).await?;
    assert_eq!(rounded(&settings), rounded(&json!({ "WMax": 8000, "VRef": 230, "ECPNomHz": 50 })));
    let capacity = inverter.read(702, &["WMaxRtg", "WMax", "VarMaxInj", "VNomRtg"]).await?;
    let expected = json!({ "WMaxRtg": 8000, "WMax": 8000, "VarMaxInj": 8000, "VNomRtg": 230 });
    assert_eq!(rounded(&capacity), rounded(&expected));
    Ok(())
}

#[tokio::test]
async fn pysunspec2_sees_what_the_inverter_lacks_as_not_implemented() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&ALL_MODELS).await?;
    let absent = inverter.read(103, &["TmpCab", "DCV", "PF", "StVnd"]).await?;
    assert_eq!(absent, json!({ "TmpCab": null, "DCV": null, "PF": null, "StVnd": null }));
    let controls = inverter.implemented(123).await?;
    let expected = json!([
        "ID",
        "L",
        "Conn",
        "WMaxLimPct",
        "WMaxLimPct_RvrtTms",
        "WMaxLim_Ena",
        "VArWMaxPct",
        "VArMaxPct",
        "VArPct_RvrtTms",
        "VArPct_Mod",
        "VArPct_Ena",
        "WMaxLimPct_SF",
        "VArPct_SF"
    ]);
    assert_eq!(controls, expected);
    let controls = inverter.implemented(704).await?;
    let expected = json!([
        "ID",
        "L",
        "WMaxLimPctEna",
        "WMaxLimPct",
        "WMaxLimPctRvrt",
        "WMaxLimPctEnaRvrt",
        "WMaxLimPctRvrtTms",
        "WMaxLimPctRvrtRem",
        "VarSetEna",
        "VarSetMod",
        "VarSet",
        "VarSetRvrt",
        "VarSetPct",
        "VarSetPctRvrt",
        "VarSetEnaRvrt",
        "VarSetRvrtTms",
        "VarSetRvrtRem",
        "WMaxLimPct_SF",
        "VarSet_SF",
        "VarSetPct_SF"
    ]);
    assert_eq!(controls, expected);
    Ok(())
}

#[tokio::test]
async fn floating_point_models_are_read_by_pysunspec2_too() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&[1, 113, 120, 123]).await?;
    let measured = inverter.read(113, &["W", "Hz", "PhVphB", "TmpCab", "St"]).await?;
    let expected = json!({ "W": 8000.0, "Hz": 50.0, "PhVphB": 230.0, "TmpCab": null, "St": 4 });
    assert_eq!(rounded(&measured), rounded(&expected));
    Ok(())
}

#[tokio::test]
async fn a_limit_that_pysunspec2_writes_to_model_123_acts_and_gives_way_by_itself() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&[1, 103, 120, 121, 122, 123]).await?;
    inverter.write(123, &[("WMaxLimPct", 55.5), ("WMaxLimPct_RvrtTms", 3.0), ("WMaxLim_Ena", 1.0)]).await?;
    inverter.shows("W", 4440.0).await?;
    assert_eq!(inverter.read(103, &["St"]).await?, json!({ "St": 5 }));
    inverter.shows("W", 8000.0).await?;
    let after = inverter.read(123, &["WMaxLimPct", "WMaxLim_Ena"]).await?;
    assert_eq!(after, json!({ "WMaxLimPct": 55.5, "WMaxLim_Ena": 0 }));
    Ok(())
}

#[tokio::test]
async fn a_limit_that_pysunspec2_writes_to_model_704_gives_way_to_the_reversion_value() -> anyhow::Result<()>
{
    let mut inverter = Scanned::new(&ALL_MODELS).await?;
    let limit = [
        ("WMaxLimPct", 75.0),
        ("WMaxLimPctRvrt", 12.5),
        ("WMaxLimPctEnaRvrt", 1.0),
        ("WMaxLimPctRvrtTms", 3.0),
        ("WMaxLimPctEna", 1.0),
    ];
    inverter.write(704, &limit).await?;
    inverter.shows("W", 6000.0).await?;
    inverter.shows("W", 1000.0).await?;
    let after = inverter.read(704, &["WMaxLimPct", "WMaxLimPctEna", "WMaxLimPctRvrtRem"]).await?;
    assert_eq!(after, json!({ "WMaxLimPct": 12.5, "WMaxLimPctEna": 1, "WMaxLimPctRvrtRem": 0 }));
    Ok(())
}

#[tokio::test]
async fn the_time_that_is_left_runs_down_and_renewing_starts_it_again() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&ALL_MODELS).await?;
    inverter.write(704, &[("WMaxLimPct", 50.0), ("WMaxLimPctRvrtTms", 60.0), ("WMaxLimPctEna", 1.0)]).await?;
    let clock = SharedClock::clone(&inverter.clock);
    eventually(&clock, "the time runs down", async || {
        let left = inverter.read(704, &["WMaxLimPctRvrtRem"]).await?;
        Ok(left["WMaxLimPctRvrtRem"].as_f64().is_some_and(|left| left < 60.0))
    })
    .await?;
    inverter.write(704, &[("WMaxLimPctRvrtTms", 1000.0)]).await?;
    let left = inverter.read(704, &["WMaxLimPctRvrtRem"]).await?;
    assert!(left["WMaxLimPctRvrtRem"].as_f64().is_some_and(|left| left > 900.0), "{left}");
    Ok(())
}

#[tokio::test]
async fn reactive_power_that_pysunspec2_commands_shows_with_its_sign() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&ALL_MODELS).await?;
    inverter.write(123, &[("WMaxLimPct", 50.0), ("WMaxLim_Ena", 1.0)]).await?;
    inverter.write(704, &[("VarSetMod", 4.0), ("VarSet", -2000.0), ("VarSetEna", 1.0)]).await?;
    inverter.shows("VAr", -2000.0).await
}

#[tokio::test]
async fn a_limit_above_the_rating_is_refused_and_the_old_one_stays() -> anyhow::Result<()> {
    let mut inverter = Scanned::new(&ALL_MODELS).await?;
    inverter.write(704, &[("WMaxLimPct", 25.0), ("WMaxLimPctEna", 1.0)]).await?;
    inverter.shows("W", 2000.0).await?;
    let refused = inverter.write(704, &[("WMaxLimPct", 100.5)]).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("exception: 3")));
    assert_eq!(inverter.read(704, &["WMaxLimPct"]).await?, json!({ "WMaxLimPct": 25.0 }));
    assert_eq!(inverter.plant.with(|plant| plant.outputs().real_power_w), 2000.0);
    Ok(())
}

/// Numbers to two decimals: pysunspec2 multiplies by the power of ten.
fn rounded(values: &Value) -> Value {
    let Some(values) = values.as_object() else { return values.clone() };
    let round = |value: &Value| {
        value.as_f64().map_or(value.clone(), |number| json!((number * 100.0).round() / 100.0))
    };
    values.iter().map(|(name, value)| (name.clone(), round(value))).collect()
}
