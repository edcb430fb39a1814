//! gridloop's IEC 61850 driver on an IED that open61850 serves.

use crate::rig::{clock, eventually, setpoint};
use anyhow::Context;
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, Quality, SafeState, TapRange, point,
};
use gridloop_hil_tests::peers::Peer;
use gridloop_iec61850::{Check, IedDevice, IedSettings, ReportSettings, Scl, scan};
use serde_json::{Value, json};
use std::time::Duration;

const ICD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/devices/ied-inverter-oltc.icd");

struct Driven {
    clock: SharedClock,
    open61850: Peer,
    settings: IedSettings,
    device: IedDevice,
    description: Description,
}

impl Driven {
    async fn new(logical_device: &str, control_model: u8, reports: bool) -> anyhow::Result<Self> {
        Self::described_by(ICD, logical_device, control_model, reports).await
    }

    async fn described_by(
        icd: &str,
        logical_device: &str,
        control_model: u8,
        reports: bool,
    ) -> anyhow::Result<Self> {
        let clock = clock()?;
        let (open61850, address) = Peer::serve("ied_server.py", &[icd, &control_model.to_string()]).await?;
        let settings = IedSettings {
            logical_device: Some(logical_device.to_owned()),
            timeout: Duration::from_secs(10),
            check: Check { interlock: true, synchro: false },
            reports: reports.then(ReportSettings::default),
            ..IedSettings::at(address.into())
        };
        let mut device = IedDevice::new(settings.clone(), SharedClock::clone(&clock));
        let description = device.connect().await?;
        Ok(Self { clock, open61850, settings, device, description })
    }

    async fn apply(&mut self, command: Command) -> Result<Applied, DeviceError> {
        self.device.apply(&setpoint(command, &self.clock)).await
    }

    async fn put(&mut self, reference: &str, value: Value) -> anyhow::Result<()> {
        let mut values = json!({});
        values[reference] = value;
        self.open61850.ask("put", json!({ "values": values })).await.map(drop)
    }

    async fn doubt(&mut self, reference: &str, bits: &[usize]) -> anyhow::Result<()> {
        self.open61850.ask("doubt", json!({ "reference": reference, "bits": bits })).await.map(drop)
    }

    async fn commands(&mut self) -> anyhow::Result<Vec<Value>> {
        let answer = self.open61850.ask("commands", json!({})).await?;
        Ok(answer["commands"].as_array().cloned().unwrap_or_default())
    }

    async fn read(&mut self, point: &str) -> anyhow::Result<Option<(f64, Quality)>> {
        let snapshot = self.device.read().await?;
        Ok(snapshot.get(point).map(|sample| (sample.value, sample.quality)))
    }
}

fn power(real_power_w: f64, reactive_power_var: f64) -> Command {
    Command::Power { real_power_w, reactive_power_var }
}

#[tokio::test]
async fn a_foreign_ied_is_browsed_and_read_with_its_qualities() -> anyhow::Result<()> {
    let mut driven = Driven::new("INV", 1, false).await?;
    assert_eq!(driven.description.identity, "gridloop simulated PV inverter SIM-1");
    let range = driven.description.capabilities.power.expect("it takes a power");
    assert_eq!((range.min_w, range.max_w, range.max_var), (0.0, 8000.0, 8000.0));
    driven.put("GRIDLOOPINV/MMXU1.TotW.mag.f[MX]", json!(1234.5)).await?;
    for (phase, volts) in [("phsA", 229.0), ("phsB", 230.0), ("phsC", 231.0)] {
        driven.put(&format!("GRIDLOOPINV/MMXU1.PhV.{phase}.cVal.mag.f[MX]"), json!(volts)).await?;
    }
    assert_eq!(driven.read(point::REAL_POWER).await?, Some((1234.5, Quality::Good)));
    assert_eq!(driven.read(point::VOLTAGE).await?, Some((230.0, Quality::Good)));
    let cases: [(&[usize], Quality); 6] = [
        (&[7], Quality::Stale),
        (&[1], Quality::Questionable),
        (&[0, 1], Quality::Questionable),
        (&[0, 1, 3], Quality::OutOfRange),
        (&[11], Quality::Questionable),
        (&[10], Quality::Substituted),
    ];
    for (bits, quality) in cases {
        driven.doubt("GRIDLOOPINV/MMXU1.TotW.q[MX]", bits).await?;
        assert_eq!(driven.read(point::REAL_POWER).await?, Some((1234.5, quality)), "{bits:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_scan_shows_a_foreign_ied_and_how_it_differs_from_its_description() -> anyhow::Result<()> {
    let driven = Driven::new("INV", 4, false).await?;
    let scl = Scl::parse(&std::fs::read_to_string(ICD)?)?;
    let settings = IedSettings { logical_device: None, ..driven.settings.clone() };
    let report = scan(&settings, Some(&scl), SharedClock::clone(&driven.clock)).await?;
    let shown = report.to_string();
    let said = "GRIDLOOPINV/ZINV1.OutWSet is sbo-with-enhanced-security, the description says direct-with-normal-security";
    for part in [
        "control      YLTC1.TapChg  sbo-with-enhanced-security",
        "report       LLN0.urcbMeas01  unbuffered, GRIDLOOPINV/LLN0$dsMeas, free",
        "command      tap, step by step: GRIDLOOPOLTC/YLTC1.TapChg",
        said,
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let comparison = report.comparison.as_ref().context("it was compared")?;
    assert!(comparison.lacking.is_empty() && comparison.undescribed.is_empty(), "{comparison:?}");
    assert!(report.config_block().contains("logical_device = \"GRIDLOOPOLTC\""));
    Ok(())
}

#[tokio::test]
async fn a_power_in_kilowatts_is_read_in_watts() -> anyhow::Result<()> {
    let mut driven = Driven::new("INV", 1, false).await?;
    driven.put("GRIDLOOPINV/MMXU1.TotW.units.multiplier[CF]", json!(3)).await?;
    driven.put("GRIDLOOPINV/MMXU1.TotW.mag.f[MX]", json!(4.5)).await?;
    driven.device.connect().await?;
    assert_eq!(driven.read(point::REAL_POWER).await?, Some((4500.0, Quality::Good)));
    driven.put("GRIDLOOPINV/MMXU1.TotW.units.SIUnit[CF]", json!(63)).await?;
    let other = driven.device.connect().await?.profile;
    assert!(other.contains("has SI unit 63, expected 62 (W)"), "{other}");
    assert_eq!(driven.read(point::REAL_POWER).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_setpoint_without_a_range_is_limited_by_the_rating_and_without_that_not_used() -> anyhow::Result<()>
{
    let mut driven = Driven::new("INV", 1, false).await?;
    for (name, value) in [("OutWSet.maxVal.f[CF]", 0.0), ("WRtg.setMag.f[SP]", 5000.0)] {
        driven.put(&format!("GRIDLOOPINV/ZINV1.{name}"), json!(value)).await?;
    }
    let rated = driven.device.connect().await?.capabilities.power.context("its rating limits it")?;
    assert_eq!((rated.min_w, rated.max_w), (0.0, 5000.0));
    driven.put("GRIDLOOPINV/ZINV1.WRtg.setMag.f[SP]", json!(0.0)).await?;
    let unknown = driven.device.connect().await?;
    assert_eq!(unknown.capabilities.power, None);
    assert!(unknown.profile.contains("not used: GRIDLOOPINV/ZINV1.OutWSet"), "{}", unknown.profile);
    let refused = driven.apply(power(100.0, 0.0)).await;
    assert!(matches!(refused, Err(DeviceError::Unsupported { .. })), "{refused:?}");
    assert_eq!(driven.read(point::FREQUENCY).await?.map(|(_, quality)| quality), Some(Quality::Good));
    Ok(())
}

#[tokio::test]
async fn a_foreign_inverter_follows_in_each_of_the_four_control_models() -> anyhow::Result<()> {
    for (number, name) in [
        (1, "direct-with-normal"),
        (2, "sbo-with-normal"),
        (3, "direct-with-enhanced"),
        (4, "sbo-with-enhanced"),
    ] {
        let mut driven = Driven::new("INV", number, false).await?;
        assert!(driven.description.profile.contains(&format!("OutWSet {name}")), "{:?}", driven.description);
        let command = power(3000.0, -250.0);
        assert_eq!(driven.apply(command).await?, Applied::Confirmed { readback: command }, "{name}");
        let told = driven.commands().await?;
        assert_eq!(told.len(), 2, "{name}: {told:?}");
        for command in &told {
            let said = (&command["category"], &command["originator"], &command["test"]);
            assert_eq!(said, (&json!(3), &json!("gridloop"), &json!(false)), "{name}");
            assert_eq!((&command["interlock"], &command["synchro"]), (&json!(true), &json!(false)), "{name}");
        }
        let again = driven.apply(command).await?;
        assert_eq!(again, Applied::Confirmed { readback: command });
        assert_eq!(driven.commands().await?.len(), 2, "{name}: what is held is not commanded again");
        driven.open61850.ask("block", json!({ "blocked": true })).await?;
        let refused = driven.apply(power(2000.0, -250.0)).await.expect_err("it is blocked");
        assert!(matches!(refused, DeviceError::Refused { .. }), "{name}: {refused}");
        if number != 2 {
            assert!(refused.to_string().contains("AddCause 8 (blocked by the mode)"), "{name}: {refused}");
        }
        driven.open61850.ask("block", json!({ "blocked": false })).await?;
        let released = driven.device.release(&SafeState::Release).await?;
        assert_eq!(released, Applied::Confirmed { readback: power(8000.0, 0.0) }, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_command_beyond_the_rating_is_not_sent() -> anyhow::Result<()> {
    let mut driven = Driven::new("INV", 3, false).await?;
    for command in [power(8001.0, 0.0), power(-1.0, 0.0), power(1000.0, 9000.0), power(f64::NAN, 0.0)] {
        let refused = driven.apply(command).await;
        assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(driven.commands().await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_foreign_tap_changer_is_moved_step_by_step() -> anyhow::Result<()> {
    for number in [1, 4] {
        let mut driven = Driven::new("OLTC", number, false).await?;
        let range = TapRange { lowest: 1, highest: 9 };
        assert_eq!(driven.description.capabilities.tap_position, Some(range));
        let clock = SharedClock::clone(&driven.clock);
        for (target, steps) in [(8, 3), (7, 4)] {
            let arrived = Applied::Confirmed { readback: Command::TapPosition(target) };
            eventually(&clock, "the position is confirmed", async || {
                Ok(driven.apply(Command::TapPosition(target)).await? == arrived)
            })
            .await?;
            assert_eq!(driven.commands().await?.len(), steps);
        }
        for beyond in [0, 10, i32::MAX] {
            let refused = driven.apply(Command::TapPosition(beyond)).await;
            assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{refused:?}");
        }
        driven.put("GRIDLOOPOLTC/YLTC1.Loc.stVal[ST]", json!(true)).await?;
        let local = driven.apply(Command::TapPosition(5)).await.expect_err("it is local");
        assert!(local.to_string().contains("local control"), "{local}");
        driven.put("GRIDLOOPOLTC/YLTC1.Loc.stVal[ST]", json!(false)).await?;
        driven.doubt("GRIDLOOPOLTC/YLTC1.TapPos.q[ST]", &[1]).await?;
        let doubtful = driven.apply(Command::TapPosition(5)).await.expect_err("its position is invalid");
        assert!(doubtful.to_string().contains("Questionable"), "{doubtful}");
        assert_eq!(driven.commands().await?.len(), 4);
    }
    Ok(())
}

const TIME_LIMIT_OVER: u8 = 16;

#[tokio::test]
async fn a_step_that_was_accepted_and_ended_without_success_is_not_made_twice() -> anyhow::Result<()> {
    for number in [3, 4] {
        let mut driven = Driven::new("OLTC", number, false).await?;
        driven.open61850.ask("end", json!({ "cause": TIME_LIMIT_OVER })).await?;
        for _ in 0..3 {
            assert_eq!(driven.apply(Command::TapPosition(6)).await?, Applied::InProgress);
        }
        assert_eq!(driven.commands().await?.len(), 1, "the motor may be running");
        assert_eq!(driven.device.release(&SafeState::Hold).await?, Applied::InProgress);
        driven.open61850.ask("stand", json!({ "position": 6 })).await?;
        let arrived = Applied::Confirmed { readback: Command::TapPosition(6) };
        assert_eq!(driven.apply(Command::TapPosition(6)).await?, arrived);
        assert_eq!(driven.commands().await?.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_power_that_was_accepted_and_ended_without_success_is_what_the_ied_holds() -> anyhow::Result<()> {
    let mut driven = Driven::new("INV", 3, false).await?;
    driven.open61850.ask("end", json!({ "cause": TIME_LIMIT_OVER })).await?;
    let command = power(3000.0, -250.0);
    assert_eq!(driven.apply(command).await?, Applied::Confirmed { readback: command });
    Ok(())
}

#[tokio::test]
async fn among_many_reports_the_last_one_is_the_present_value() -> anyhow::Result<()> {
    const TOTAL: &str = "GRIDLOOPINV/MMXU1.TotW.mag.f[MX]";
    let mut driven = Driven::new("INV", 1, true).await?;
    for count in [400, 401] {
        driven.open61850.ask("sweep", json!({ "reference": TOTAL, "count": count })).await?;
        let last = driven.read(point::REAL_POWER).await?;
        assert_eq!(last, Some((f64::from(count), Quality::Good)));
    }
    Ok(())
}

/// The type of a tap position that can be set (ISC), beside the one that can only be read.
const SETTABLE_POSITION: &str = r#"<DOType id="ISC" cdc="ISC">
      <DA name="Oper" fc="CO" bType="Struct" type="ISCOper"/>
      <DA name="valWTr" fc="ST" bType="Struct" type="ValWithTrans" dchg="true"/>
      <DA name="q" fc="ST" bType="Quality" qchg="true"/>
      <DA name="t" fc="ST" bType="Timestamp"/>
      <DA name="ctlModel" fc="CF" bType="Enum" type="CtlModelKind"><Val>direct-with-enhanced-security</Val></DA>
      <DA name="minVal" fc="CF" bType="INT8"/>
      <DA name="maxVal" fc="CF" bType="INT8"/>
    </DOType>
    <DAType id="ISCOper">
      <BDA name="ctlVal" bType="INT8"/>
      <BDA name="origin" bType="Struct" type="Originator"/>
      <BDA name="ctlNum" bType="INT8U"/>
      <BDA name="T" bType="Timestamp"/>
      <BDA name="Test" bType="BOOLEAN"/>
      <BDA name="Check" bType="Check"/>
    </DAType>
    <DOType id="ISC_status""#;

#[tokio::test]
async fn a_tap_changer_that_takes_a_position_is_told_it_in_one_command() -> anyhow::Result<()> {
    let described = std::fs::read_to_string(ICD)?
        .replacen("<DOType id=\"ISC_status\"", SETTABLE_POSITION, 1)
        .replacen("<DO name=\"TapPos\" type=\"ISC_status\"/>", "<DO name=\"TapPos\" type=\"ISC\"/>", 1);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("settable.icd");
    std::fs::write(&file, described)?;
    let icd = file.to_str().context("a path in UTF-8")?;
    let mut driven = Driven::described_by(icd, "OLTC", 1, false).await?;
    let told = &driven.description.profile;
    assert!(told.contains("YLTC1.TapPos direct-with-enhanced-security"), "{told}");
    let clock = SharedClock::clone(&driven.clock);
    for target in [9, 2] {
        let arrived = Applied::Confirmed { readback: Command::TapPosition(target) };
        eventually(&clock, "the position is confirmed", async || {
            Ok(driven.apply(Command::TapPosition(target)).await? == arrived)
        })
        .await?;
    }
    let commands = driven.commands().await?;
    assert_eq!(commands.len(), 2, "{commands:?}");
    Ok(())
}

#[tokio::test]
async fn a_voltage_setting_is_written_and_read_back() -> anyhow::Result<()> {
    let mut driven = Driven::new("OLTC", 1, false).await?;
    let command = Command::Voltage { voltage_v: 236.0 };
    assert_eq!(driven.apply(command).await?, Applied::Confirmed { readback: command });
    assert_eq!(driven.read("voltage_setpoint").await?, Some((236.0, Quality::Good)));
    Ok(())
}

#[tokio::test]
async fn values_come_by_report_and_what_happened_meanwhile_after_a_lost_association() -> anyhow::Result<()> {
    const TOTAL: &str = "GRIDLOOPINV/MMXU1.TotW.mag.f[MX]";
    let mut driven = Driven::new("INV", 1, true).await?;
    for watts in [100.0, 200.0, 300.0] {
        driven.put(TOTAL, json!(watts)).await?;
        assert_eq!(driven.read(point::REAL_POWER).await?, Some((watts, Quality::Good)));
    }
    driven.doubt("GRIDLOOPINV/MMXU1.TotW.q[MX]", &[7]).await?;
    assert_eq!(driven.read(point::REAL_POWER).await?, Some((300.0, Quality::Stale)));
    driven.doubt("GRIDLOOPINV/MMXU1.TotW.q[MX]", &[]).await?;
    driven.put(TOTAL, json!(400.0)).await?;
    driven.device.connect().await?;
    assert_eq!(driven.read(point::REAL_POWER).await?, Some((400.0, Quality::Good)));
    Ok(())
}

#[tokio::test]
async fn an_unbuffered_control_block_that_is_named_reports_too() -> anyhow::Result<()> {
    let mut driven = Driven::new("INV", 1, false).await?;
    let reports = ReportSettings {
        control_blocks: vec!["INV/LLN0.urcbMeas02".to_owned()],
        integrity_period: Duration::from_secs(1),
    };
    let settings = IedSettings { reports: Some(reports), ..driven.settings.clone() };
    let mut device = IedDevice::new(settings.clone(), SharedClock::clone(&driven.clock));
    device.connect().await?;
    for watts in [100.0, 200.0] {
        driven.put("GRIDLOOPINV/MMXU1.TotW.mag.f[MX]", json!(watts)).await?;
        let snapshot = device.read().await?;
        assert_eq!(snapshot.get(point::REAL_POWER).map(|sample| sample.value), Some(watts));
    }
    let mut second = IedDevice::new(settings, SharedClock::clone(&driven.clock));
    let taken = second.connect().await;
    assert!(matches!(taken, Err(DeviceError::Disconnected { .. })), "{taken:?}");
    Ok(())
}

/// Sends a signal to the peer.
fn signal(peer: &Peer, signal: rustix::process::Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(peer.pid()).ok().and_then(rustix::process::Pid::from_raw);
    Ok(rustix::process::kill_process(pid.context("no process")?, signal)?)
}

/// Freezes the peer, and waits until it stands still.
async fn freeze(clock: &SharedClock, peer: &Peer) -> anyhow::Result<()> {
    signal(peer, rustix::process::Signal::STOP)?;
    let state = format!("/proc/{}/stat", peer.pid());
    eventually(clock, "the peer stands still", async || Ok(std::fs::read_to_string(&state)?.contains(") T ")))
        .await
}

#[tokio::test]
async fn after_a_server_was_killed_and_started_again_its_new_values_are_read() -> anyhow::Result<()> {
    const TOTAL: &str = "GRIDLOOPINV/MMXU1.TotW.mag.f[MX]";
    for reports in [false, true] {
        let mut driven = Driven::new("INV", 1, reports).await?;
        driven.put(TOTAL, json!(111.0)).await?;
        assert_eq!(driven.read(point::REAL_POWER).await?, Some((111.0, Quality::Good)));
        let port = driven.settings.address.port.to_string();
        signal(&driven.open61850, rustix::process::Signal::KILL)?;
        for _ in 0..3 {
            let gone = driven.device.read().await;
            assert!(matches!(gone, Err(DeviceError::Disconnected { .. })), "{gone:?}");
        }
        let down = driven.device.connect().await;
        assert!(matches!(down, Err(DeviceError::Disconnected { .. })), "{down:?}");
        let (open61850, _) = Peer::serve("ied_server.py", &[ICD, "1", &port]).await?;
        driven.open61850 = open61850;
        driven.put(TOTAL, json!(222.0)).await?;
        driven.device.connect().await?;
        assert_eq!(driven.read(point::REAL_POWER).await?, Some((222.0, Quality::Good)));
    }
    Ok(())
}

#[tokio::test]
async fn a_frozen_server_is_a_timeout_and_what_it_was_told_is_looked_at_afterwards() -> anyhow::Result<()> {
    let mut driven = Driven::new("INV", 3, false).await?;
    let settings = IedSettings { timeout: Duration::from_millis(300), ..driven.settings.clone() };
    driven.device = IedDevice::new(settings, SharedClock::clone(&driven.clock));
    driven.device.connect().await?;
    freeze(&driven.clock, &driven.open61850).await?;
    let frozen = driven.device.read().await;
    assert!(matches!(frozen, Err(DeviceError::Timeout { .. })), "{frozen:?}");
    let command = power(1500.0, 0.0);
    let unreachable = driven.device.connect().await;
    assert!(matches!(unreachable, Err(DeviceError::Timeout { .. })), "{unreachable:?}");
    signal(&driven.open61850, rustix::process::Signal::CONT)?;
    driven.device.connect().await?;
    driven.put("GRIDLOOPINV/MMXU1.TotW.mag.f[MX]", json!(42.0)).await?;
    assert_eq!(driven.read(point::REAL_POWER).await?, Some((42.0, Quality::Good)));

    assert_eq!(driven.apply(power(1400.0, 0.0)).await?, Applied::Confirmed { readback: power(1400.0, 0.0) });
    freeze(&driven.clock, &driven.open61850).await?;
    let unknown = driven.apply(command).await;
    assert!(matches!(unknown, Err(DeviceError::Timeout { .. })), "{unknown:?}");
    signal(&driven.open61850, rustix::process::Signal::CONT)?;
    driven.device.connect().await?;
    assert_eq!(driven.apply(command).await?, Applied::Confirmed { readback: command });
    let commands = driven.commands().await?;
    assert!((2..=3).contains(&commands.len()), "{commands:?}");
    Ok(())
}
