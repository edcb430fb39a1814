//! A component that shares no code with gridloop, `hil-tests/peers/simces_failing.py`, fails in a run of gridloop's
//! manager over RabbitMQ: during initialisation or later, and with or without saying why. The run is stopped by word in
//! every case; a manager of the Python platform would not hear an error without a Description.

use crate::run;
use gridloop_bus::{Bus, Connect, Exchange, run_exchange};
use gridloop_clock::{SharedClock, WallClock};
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_realtime_manager::{Outcome, Overrun, Pace, Report, Settings, Speed, StartAt};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn settings(id: &SimulationId) -> Settings {
    Settings {
        name: "manager".into(),
        simulation_id: id.clone(),
        simulation_name: "errors".into(),
        description: String::new(),
        components: vec!["broken".into()],
        initial_start_time: Timestamp::from(chrono::DateTime::UNIX_EPOCH),
        epoch_length: Duration::from_secs(900),
        epochs: 10,
        speed: Speed::Max,
        overrun: Overrun::Stretch,
        start_at: StartAt::Now,
        start_delay: Duration::ZERO,
        resend_interval: Duration::from_secs(120),
        max_resends: 5,
        late_tolerance: None,
        release_lead: Duration::ZERO,
    }
}

/// The report on a run in which the peer fails in `epoch`. The peer has heard the end of the run by word.
async fn failed_run(broker: &RabbitMq, epoch: &str, description: &str) -> anyhow::Result<Report> {
    let clock: SharedClock = Arc::new(WallClock::start()?);
    let id = SimulationId::new(Timestamp::from(clock.utc()));
    let exchange = run_exchange("procem.", &id.compact());
    let arguments = [&broker.url(), &exchange, id.as_str(), "broken", epoch, description];
    let (mut peer, _) = Peer::start("simces_failing.py", &arguments).await?;
    let bus =
        Bus::connect(&Connect::new(broker.url().parse()?, Exchange::run(exchange), "manager"), clock.clone())
            .await?;
    let pace = Pace::Clock(clock.clone());
    let report = gridloop_realtime_manager::run(
        settings(&id),
        bus,
        clock,
        pace.into(),
        CancellationToken::new(),
        |_| {},
    )
    .await?;
    assert_eq!(peer.ask("report", json!({})).await?, json!({ "stopped": true }));
    assert_eq!((report.outcome, report.resends), (Outcome::Failed, 0));
    Ok(report)
}

#[test]
fn an_error_of_a_python_component_stops_the_run_with_and_without_a_description() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let told = failed_run(&broker, "3", "power flow did not converge at bus b2").await?;
        assert_eq!(told.reason, "error in epoch 3: broken: power flow did not converge at bus b2");
        assert_eq!(told.epochs.completed, 2);
        let untold = failed_run(&broker, "3", "").await?;
        assert_eq!(untold.reason, "error in epoch 3: broken: no description given");
        let early = failed_run(&broker, "0", "").await?;
        assert_eq!(early.reason, "error in epoch 0: broken: no description given");
        assert_eq!(early.epochs.completed, 0);
        Ok(())
    })
}
