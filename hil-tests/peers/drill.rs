//! Drills with an inverter whose registers pysunspec2 laid out and pymodbus serves. What an inverter does behind its
//! registers is the test's part: its power follows the limit, and its timer ends it, or does not.

use crate::rig::{clock, link_to};
use crate::sunspec_driver::{ac_controls, image};
use gridloop_clock::{MonoTime, SharedClock, sleep};
use gridloop_gateway::Limits;
use gridloop_gateway::drill::{DrillSettings, DrillTimes, Drilled, Verdict, Wish, run_drill};
use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::{RevertAfter, SunSpecDevice, SunSpecSettings};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;

const TIMER: Duration = Duration::from_secs(1);
const REVERTS_TO_W: f64 = 1000.0;

/// A drill with an inverter of 10 kW, and the inverter after it.
async fn drill(timer_works: bool) -> anyhow::Result<(Drilled, Inverter)> {
    let clock = clock()?;
    let (pymodbus, address) =
        Peer::serve("sunspec_server.py", &[&image(40_000, ac_controls()).to_string()]).await?;
    let settings = SunSpecSettings {
        link: link_to(address),
        revert_after: RevertAfter::After(TIMER),
        revert_to_w: REVERTS_TO_W,
        storage: None,
        reenable: false,
    };
    let mut device = SunSpecDevice::new(settings, clock.clone());
    let mut inverter = Inverter { pymodbus, limited_since: None, reverted: false, time_told: Value::Null };
    let settings = DrillSettings {
        limits: Limits::default(),
        wish: Wish { reverts_to_w: Some(REVERTS_TO_W), ..Wish::default() },
        reading_interval: Duration::from_millis(100),
        armed: true,
    };
    let seconds = Duration::from_secs(5);
    let times = DrillTimes { job: seconds, connect: seconds, release: seconds };
    let mut silent = |_: &_| {};
    let over = Cell::new(false);
    let drilling = async {
        let never = std::future::pending();
        let drilled = run_drill(&mut device, settings, times, &clock, never, &mut silent).await;
        over.set(true);
        drilled
    };
    // To its end: a question that is broken off would leave its answer to the next one.
    let living = async {
        while !over.get() {
            inverter.live(timer_works, &clock).await?;
            sleep(&*clock, Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let (drilled, lived) = tokio::join!(drilling, living);
    lived?;
    Ok((drilled, inverter))
}

struct Inverter {
    pymodbus: Peer,
    limited_since: Option<MonoTime>,
    reverted: bool,
    /// The time that it was told, as it stood while there was a limit.
    time_told: Value,
}

impl Inverter {
    async fn held(&mut self, point: &str) -> anyhow::Result<Value> {
        let answer = self.pymodbus.ask("held", json!({ "number": 704, "point": point })).await?;
        Ok(answer["value"].clone())
    }

    async fn change(&mut self, model: u16, point: &str, value: &Value) -> anyhow::Result<()> {
        self.pymodbus
            .ask("change", json!({ "number": model, "point": point, "value": value }))
            .await
            .map(drop)
    }

    /// What an inverter does all the time.
    async fn live(&mut self, timer_works: bool, clock: &SharedClock) -> anyhow::Result<()> {
        if self.held("WMaxLimPctEna").await? != 1 {
            return Ok(());
        }
        self.time_told = self.held("WMaxLimPctRvrtTms").await?;
        let since = *self.limited_since.get_or_insert_with(|| clock.now());
        if timer_works && !self.reverted && clock.now().since(since) > TIMER * 3 / 2 {
            self.reverted = true;
            let value = self.held("WMaxLimPctRvrt").await?;
            self.change(704, "WMaxLimPct", &value).await?;
        }
        let percent = self.held("WMaxLimPct").await?.as_i64().unwrap_or(100);
        self.change(103, "W", &json!(percent * 100)).await
    }
}

#[tokio::test]
async fn a_foreign_inverter_whose_timer_works_passes() -> anyhow::Result<()> {
    let (drilled, mut inverter) = drill(true).await?;
    assert_eq!(drilled.verdict, Verdict::Passed, "{drilled:#?}");
    assert_eq!(drilled.measured.held_w, Some(REVERTS_TO_W));
    assert_eq!(inverter.held("WMaxLimPctEna").await?, 0, "released");
    Ok(())
}

#[tokio::test]
async fn a_foreign_inverter_that_ignores_its_timer_fails_and_is_released() -> anyhow::Result<()> {
    let (drilled, mut inverter) = drill(false).await?;
    assert_eq!(drilled.verdict, Verdict::Failed, "{drilled:#?}");
    assert!(drilled.reason.contains("it did not fall back within 3 s"), "{}", drilled.reason);
    assert_eq!(inverter.time_told, 1, "it was told the time");
    assert_eq!(inverter.held("WMaxLimPctEna").await?, 0, "released");
    assert_eq!(inverter.held("WMaxLimPctRvrtTms").await?, 0, "and its timer with it");
    Ok(())
}
