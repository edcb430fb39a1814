//! gridloop's simulated IED, judged by open61850's client.

use crate::rig::clock;
use gridloop_clock::SharedClock;
use gridloop_hil_tests::peers::Peer;
use gridloop_iec61850::ControlModel;
use gridloop_iec61850::simulated::{Plants, SimulatedIed, SimulatedSettings, serve};
use gridloop_plant::{
    LivePlant, PvInverter, PvInverterSettings, Series, TapChanger, TapChangerSettings, TapMode,
};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};

const OUT_W_SET: &str = "GRIDLOOPINV/ZINV1.OutWSet";
const TAP_CHG: &str = "GRIDLOOPOLTC/YLTC1.TapChg";

struct Served {
    taps: LivePlant<TapChanger>,
    ied: SimulatedIed,
    client: Peer,
}

impl Served {
    async fn new(control_model: ControlModel) -> anyhow::Result<Self> {
        let clock = clock()?;
        let inverter = PvInverterSettings {
            ramp_w_per_s: 1e6,
            ..PvInverterSettings::typical(8000.0, Series::constant(1000.0))
        };
        let taps =
            TapChangerSettings { travel_time_s: 0.01, motor_pause_s: 0.0, ..TapChangerSettings::default() };
        let taps = LivePlant::new(TapChanger::new(taps)?, SharedClock::clone(&clock));
        let plants = Plants {
            inverter: Some(LivePlant::new(PvInverter::new(inverter)?, SharedClock::clone(&clock))),
            tap_changer: Some(taps.clone()),
        };
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = SimulatedSettings { control_model, ..SimulatedSettings::default() };
        let ied = serve(bind, plants, settings, clock).await?;
        let client = Self::client(&ied).await?;
        Ok(Self { taps, ied, client })
    }

    async fn client(ied: &SimulatedIed) -> anyhow::Result<Peer> {
        let (client, _) = Peer::start("ied_client.py", &[&ied.local_addr().port().to_string()]).await?;
        Ok(client)
    }

    async fn operate(&mut self, reference: &str, value: Value) -> anyhow::Result<Value> {
        self.client.ask("operate", json!({ "reference": reference, "value": value })).await
    }

    async fn read(&mut self, reference: &str) -> anyhow::Result<Value> {
        Ok(self.client.ask("read", json!({ "reference": reference })).await?["value"].clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_foreign_client_browses_the_simulated_ied_and_reads_quality_and_time() -> anyhow::Result<()> {
    let mut served = Served::new(ControlModel::DirectNormal).await?;
    let browsed = served.client.ask("browse", json!({})).await?;
    assert_eq!(browsed["untyped"], json!([]));
    let nodes = &browsed["devices"]["GRIDLOOPINV"];
    assert_eq!(nodes["MMXU1"], json!(["A", "Beh", "Hz", "PhV", "TotVA", "TotVAr", "TotW"]));
    assert_eq!(
        browsed["devices"]["GRIDLOOPOLTC"]["ATCC1"],
        json!(["Auto", "Beh", "BndCtr", "CtlV", "LTCBlk"])
    );
    assert_eq!(served.read("GRIDLOOPINV/MMXU1.Hz.mag.f[MX]").await?, json!(50.0));
    assert_eq!(served.read("GRIDLOOPOLTC/YLTC1.TapPos.valWTr[ST]").await?, json!([5, false]));
    let quality = json!({ "reference": "GRIDLOOPINV/MMXU1.TotW.q[MX]" });
    assert_eq!(served.client.ask("quality", quality.clone()).await?["quality"], json!("good"));
    served.ied.set_quality("MMXU1.TotW", &[1, 7, 11]);
    let told = served.client.ask("quality", quality).await?["quality"].to_string();
    assert!(["invalid", "old-data", "test"].iter().all(|word| told.contains(word)), "{told}");
    let time = served.read("GRIDLOOPINV/MMXU1.TotW.t[MX]").await?.to_string();
    assert!(time.contains("20"), "{time}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_foreign_client_operates_in_each_of_the_four_control_models() -> anyhow::Result<()> {
    let models = [
        ControlModel::DirectNormal,
        ControlModel::SboNormal,
        ControlModel::DirectEnhanced,
        ControlModel::SboEnhanced,
    ];
    for model in models {
        let mut served = Served::new(model).await?;
        let enhanced = matches!(model, ControlModel::DirectEnhanced | ControlModel::SboEnhanced);
        let done = json!({ "model": model.number(), "terminated": enhanced });
        assert_eq!(served.operate(OUT_W_SET, json!(2500.0)).await?, done, "{model:?}");
        assert_eq!(served.read("GRIDLOOPINV/ZINV1.OutWSet.mxVal.f[MX]").await?, json!(2500.0));
        let beyond = served.operate(OUT_W_SET, json!(9000.0)).await?;
        assert_eq!(beyond["cause"], json!(26), "{model:?}: {beyond}");
        assert_eq!(served.operate(TAP_CHG, json!("raise")).await?, done, "{model:?}");
        if matches!(model, ControlModel::SboNormal | ControlModel::SboEnhanced) {
            let details = json!({ "reference": OUT_W_SET, "value": 1000.0 });
            let unselected = served.client.ask("operate_unselected", details).await?;
            assert_eq!(unselected["cause"], json!(18), "{model:?}: {unselected}");
        }
        let test = json!({ "reference": OUT_W_SET, "value": 1000.0, "test": true });
        assert_eq!(served.client.ask("operate", test).await?["cause"], json!(8), "{model:?}");
        assert_eq!(served.read("GRIDLOOPINV/ZINV1.OutWSet.mxVal.f[MX]").await?, json!(2500.0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_plant_refuses_with_a_cause() -> anyhow::Result<()> {
    let mut served = Served::new(ControlModel::DirectEnhanced).await?;
    served.taps.with(|taps| taps.set_mode(TapMode::Manual));
    assert_eq!(served.operate(TAP_CHG, json!("raise")).await?["cause"], json!(2));
    served.taps.with(|taps| taps.set_mode(TapMode::Automatic));
    assert_eq!(served.operate(TAP_CHG, json!("raise")).await?["cause"], json!(8));
    served.taps.with(|taps| taps.set_mode(TapMode::External));
    let mut answers = Vec::new();
    while answers.last() != Some(&json!(7)) {
        answers.push(served.operate(TAP_CHG, json!("lower")).await?["cause"].clone());
        assert!(answers.len() < 1000, "{answers:?}");
    }
    assert_eq!(served.taps.with(|taps| taps.outputs().position), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_setting_is_taken_within_its_range() -> anyhow::Result<()> {
    let mut served = Served::new(ControlModel::DirectNormal).await?;
    let setting = "GRIDLOOPOLTC/ATCC1.BndCtr.setMag.f[SP]";
    let write = |value: f64| json!({ "reference": setting, "value": value });
    assert_eq!(served.client.ask("write", write(235.0)).await?, json!({}));
    assert_eq!(served.read(setting).await?, json!(235.0));
    assert_eq!(served.client.ask("write", write(400.0)).await?["refused"], json!(11));
    assert_eq!(served.read(setting).await?, json!(235.0));
    assert_eq!(served.taps.with(|taps| taps.outputs().voltage_setpoint_v), 235.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_foreign_client_hears_reports_and_resumes_a_buffered_one() -> anyhow::Result<()> {
    let mut served = Served::new(ControlModel::DirectNormal).await?;
    let urcb = json!({ "domain": "GRIDLOOPOLTC", "item": "LLN0$RP$urcbMeas01" });
    served.client.ask("enable", urcb).await?;
    let whole = served.client.ask("report", json!({})).await?;
    assert_eq!(whole["values"].as_object().map(serde_json::Map::len), Some(8), "{whole}");
    served.operate(TAP_CHG, json!("raise")).await?;
    served.client.ask("report_with", json!({ "index": 0, "value": 6 })).await?;

    let block = |entry: Option<&str>| json!({ "domain": "GRIDLOOPINV", "item": "LLN0$BR$brcbMeas01", "entry": entry });
    served.client.ask("enable", block(None)).await?;
    served.operate(OUT_W_SET, json!(1000.0)).await?;
    let heard = served.client.ask("report_with", json!({ "index": 6, "value": 1000.0 })).await?;
    let last = heard["entries"].as_array().and_then(|entries| entries.last()).cloned();
    let last = last.as_ref().and_then(Value::as_str).map(ToOwned::to_owned);
    served.client.ask("close", json!({})).await?;
    let mut other = Served::client(&served.ied).await?;
    other.ask("operate", json!({ "reference": OUT_W_SET, "value": 2000.0 })).await?;
    other.ask("operate", json!({ "reference": OUT_W_SET, "value": 3000.0 })).await?;
    other.ask("enable", block(last.as_deref())).await?;
    let first = other.ask("report_with", json!({ "index": 6, "value": 2000.0 })).await?;
    let second = other.ask("report_with", json!({ "index": 6, "value": 3000.0 })).await?;
    for entry in [first, second].iter().filter_map(|heard| heard["entries"].as_array()).flatten() {
        assert_ne!(entry.as_str(), last.as_deref(), "an entry came twice");
    }
    Ok(())
}
