//! The simulated battery, and the kinds of simulated inverter, as pysunspec2 sees them.

use crate::rig::{clock, eventually, inverter, sunspec_battery};
use gridloop_clock::SharedClock;
use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::simulated::SimulatedServer;
use serde_json::{Value, json};

const STORAGE_MODELS: [u16; 9] = [1, 701, 702, 704, 713, 714, 715, 802, 124];

/// pysunspec2, connected to a simulated device, which it has scanned.
struct Scanned {
    clock: SharedClock,
    pysunspec2: Peer,
    found: Value,
    _server: SimulatedServer,
}

impl Scanned {
    async fn battery() -> anyhow::Result<Self> {
        let clock = clock()?;
        let (server, _plant) = sunspec_battery(&STORAGE_MODELS, &clock).await?;
        Self::of(clock, server).await
    }

    async fn inverter(models: &[u16]) -> anyhow::Result<Self> {
        let clock = clock()?;
        let (server, _plant) = inverter(models, &clock).await?;
        Self::of(clock, server).await
    }

    async fn of(clock: SharedClock, server: SimulatedServer) -> anyhow::Result<Self> {
        let port = server.local_addr().port().to_string();
        let (mut pysunspec2, _) = Peer::start("sunspec_client.py", &[&port]).await?;
        let found = pysunspec2.ask("scan", json!({})).await?;
        Ok(Self { clock, pysunspec2, found, _server: server })
    }

    async fn read(&mut self, model: u16, points: &[&str]) -> anyhow::Result<Value> {
        self.pysunspec2.ask("read", json!({ "number": model, "points": points })).await
    }

    async fn write(&mut self, model: u16, points: &[(&str, f64)]) -> anyhow::Result<()> {
        self.pysunspec2.ask("write", json!({ "number": model, "points": points })).await.map(|_| ())
    }

    async fn repeated(&mut self, model: u16, group: &str, points: &[&str]) -> anyhow::Result<Value> {
        let details = json!({ "number": model, "group": group, "points": points });
        self.pysunspec2.ask("repeated", details).await
    }

    /// Waits until a point shows this.
    async fn shows(&mut self, model: u16, point: &str, value: f64) -> anyhow::Result<()> {
        let clock = SharedClock::clone(&self.clock);
        let what = format!("model {model} shows {point} {value}");
        let near = |shown: &Value| shown[point].as_f64().is_some_and(|shown| (shown - value).abs() < 0.01);
        eventually(&clock, &what, async || Ok(near(&self.read(model, &[point]).await?))).await
    }
}

#[tokio::test]
async fn pysunspec2_finds_every_model_of_the_battery_with_its_length() -> anyhow::Result<()> {
    let battery = Scanned::battery().await?;
    let models =
        [[1, 66], [701, 153], [702, 50], [704, 65], [713, 7], [714, 43], [715, 7], [802, 62], [124, 24]];
    assert_eq!(battery.found, json!({ "base": 40_000, "models": models }));
    Ok(())
}

#[tokio::test]
async fn pysunspec2_reads_the_battery_that_the_plant_is() -> anyhow::Result<()> {
    let mut battery = Scanned::battery().await?;
    let close = |values: &Value, point: &str, expected: f64| {
        let value = values[point].as_f64();
        assert!(value.is_some_and(|value| (value - expected).abs() < 0.01), "{point} {values}");
    };
    let measured = battery.read(701, &["W", "Var", "Hz", "LNV", "ConnSt", "InvSt", "TotWhAbs"]).await?;
    let expected = [
        ("W", 0.0),
        ("Var", 0.0),
        ("Hz", 50.0),
        ("LNV", 230.0),
        ("ConnSt", 1.0),
        ("InvSt", 7.0),
        ("TotWhAbs", 0.0),
    ];
    expected.iter().for_each(|(point, value)| close(&measured, point, *value));
    let ratings = battery.read(702, &["WMax", "WChaRteMax", "WDisChaRteMaxRtg"]).await?;
    ["WMax", "WChaRteMax", "WDisChaRteMaxRtg"].iter().for_each(|point| close(&ratings, point, 8000.0));
    for (model, point) in [(713, "SoC"), (802, "SoC"), (124, "ChaState")] {
        let values = battery.read(model, &[point]).await?;
        close(&values, point, 50.0);
    }
    let ports = battery.repeated(714, "Prt", &["ID", "DCW", "DCV"]).await?;
    assert_eq!(ports, json!([{ "ID": 1, "DCW": 0, "DCV": null }]));
    Ok(())
}

#[tokio::test]
async fn charging_that_pysunspec2_commands_by_704_acts_and_gives_way() -> anyhow::Result<()> {
    let mut battery = Scanned::battery().await?;
    let command = [
        ("WSetMod", 1.0),
        ("WSet", -4000.0),
        ("WSetRvrt", 500.0),
        ("WSetEnaRvrt", 1.0),
        ("WSetRvrtTms", 3.0),
        ("WSetEna", 1.0),
    ];
    battery.write(704, &command).await?;
    battery.shows(701, "W", -4000.0).await?;
    battery.shows(701, "W", 500.0).await?;
    assert_eq!(battery.read(704, &["WSet", "WSetEna"]).await?, json!({ "WSet": 500, "WSetEna": 1 }));
    Ok(())
}

#[tokio::test]
async fn a_window_that_pysunspec2_writes_to_124_acts_and_opens() -> anyhow::Result<()> {
    let mut battery = Scanned::battery().await?;
    let command = [("InOutWRte_RvrtTms", 3.0), ("InWRte", 50.0), ("OutWRte", -50.0), ("StorCtl_Mod", 3.0)];
    battery.write(124, &command).await?;
    battery.shows(701, "W", -4000.0).await?;
    battery.shows(124, "StorCtl_Mod", 0.0).await?;
    battery.shows(701, "W", 0.0).await
}

#[tokio::test]
async fn the_heartbeat_that_pysunspec2_sees_counts_up() -> anyhow::Result<()> {
    let mut battery = Scanned::battery().await?;
    let clock = SharedClock::clone(&battery.clock);
    eventually(&clock, "DERHb counts", async || {
        Ok(battery.read(715, &["DERHb"]).await?["DERHb"].as_f64().is_some_and(|beat| beat >= 1.0))
    })
    .await?;
    battery.write(715, &[("ControllerHb", 17.0)]).await?;
    let control = battery.read(715, &["ControllerHb", "LocRemCtl", "OpCtl"]).await?;
    assert_eq!(control, json!({ "ControllerHb": 17, "LocRemCtl": 0, "OpCtl": null }));
    Ok(())
}

#[tokio::test]
async fn pysunspec2_reads_inverters_of_one_two_and_three_phases_in_integers_and_floats() -> anyhow::Result<()>
{
    for (model, phases) in [(101, 1), (102, 2), (103, 3), (111, 1), (112, 2), (113, 3)] {
        let mut inverter = Scanned::inverter(&[1, model, 160]).await?;
        let values = inverter.read(model, &["W", "Hz", "PhVphA", "PhVphB", "PhVphC", "St"]).await?;
        let number = |point: &str| values[point].as_f64().map(|value| (value * 100.0).round() / 100.0);
        assert_eq!(
            (number("W"), number("Hz"), number("St")),
            (Some(8000.0), Some(50.0), Some(4.0)),
            "{model}"
        );
        let volts = ["PhVphA", "PhVphB", "PhVphC"].map(number);
        let expected: Vec<Option<f64>> = (0..3).map(|phase| (phase < phases).then_some(230.0)).collect();
        assert_eq!(volts.to_vec(), expected, "{model}");
        let modules = inverter.repeated(160, "module", &["ID", "DCA"]).await?;
        assert_eq!(modules, json!([{ "ID": 1, "DCA": null }]));
    }
    Ok(())
}
