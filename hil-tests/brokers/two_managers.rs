//! Fault F32 over RabbitMQ: two managers for one run. A second one of gridloop's is refused by the run's lease; one of
//! the Python platform, which takes no lease, is noticed by what it says. Who came second changes nothing.

use crate::run;
use anyhow::Context;
use gridloop_bus::{
    Bus, BusError, Connect, Event, Exchange, Subscribe, Subscription, WhenFull, run_exchange,
};
use gridloop_clock::{SharedClock, WallClock, until};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Poke, Step, join};
use gridloop_hil_tests::peers::Peer;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use gridloop_messages::{Message, SimulationId, Timestamp};
use gridloop_realtime_manager::{
    Outcome, Overrun, Pace, Progress, Report, RunError, Settings, Speed, StartAt, run as manage,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(60);

/// A run on a broker, with a component that is always ready.
struct World {
    clock: SharedClock,
    url: String,
    id: SimulationId,
    exchange: String,
    cancel: CancellationToken,
}

struct Willing;

impl Component for Willing {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn take(&mut self, _: &str, _: &Message, _: gridloop_clock::MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, _: &OpenEpoch, _: gridloop_clock::MonoTime) -> Result<Step, Fault> {
        Ok(Step::Done(Vec::new()))
    }
}

impl World {
    /// A run that the component has joined.
    async fn new(broker: &RabbitMq) -> anyhow::Result<Self> {
        let clock: SharedClock = Arc::new(WallClock::start()?);
        let id = SimulationId::new(Timestamp::from(clock.utc()));
        let exchange = run_exchange("procem.", &id.compact());
        let world = Self { clock, url: broker.url(), id, exchange, cancel: CancellationToken::new() };
        let identity = Identity {
            name: "willing".into(),
            simulation_id: world.id.clone(),
            manager: None,
            numbered_from: 0,
        };
        let joined = join(Willing, identity, world.bus("willing").await?, world.clock.clone()).await?;
        tokio::spawn(joined.run(Poke::new(), world.cancel.clone()));
        Ok(world)
    }

    async fn bus(&self, name: &str) -> anyhow::Result<Bus> {
        let connect = Connect::new(self.url.parse()?, Exchange::run(self.exchange.clone()), name);
        Ok(Bus::connect(&connect, self.clock.clone()).await?)
    }

    /// An epoch every 50 ms.
    fn settings(&self, name: &str, start_delay: Duration) -> Settings {
        Settings {
            name: name.into(),
            simulation_id: self.id.clone(),
            simulation_name: "two managers".into(),
            description: String::new(),
            components: vec!["willing".into()],
            initial_start_time: Timestamp::from(chrono::DateTime::UNIX_EPOCH),
            epoch_length: Duration::from_secs(1),
            epochs: 40,
            speed: Speed::Times(20.0),
            overrun: Overrun::Stretch,
            start_at: StartAt::Now,
            start_delay,
            resend_interval: Duration::from_secs(120),
            max_resends: 5,
            late_tolerance: None,
            release_lead: Duration::ZERO,
        }
    }

    async fn manage(
        &self,
        settings: Settings,
        progress: impl FnMut(Progress) + Send,
    ) -> anyhow::Result<Result<Report, RunError>> {
        let bus = self.bus(&settings.name).await?;
        let pace = Pace::Clock(self.clock.clone());
        let report =
            manage(settings, bus.clone(), self.clock.clone(), pace.into(), self.cancel.clone(), progress)
                .await;
        bus.close().await;
        Ok(report)
    }

    async fn python_manager(&self, epochs: u64) -> anyhow::Result<Peer> {
        let plan = json!({
            "name": "PyClock", "components": ["willing"], "start_delay_s": 0.1, "lose": [],
            "initial_start_time": "2026-06-21T12:00:00.000Z", "epoch_length_s": 900, "max_epochs": epochs,
            "timer_interval_s": 30.0, "max_resends": 5,
        });
        let arguments = [&self.url, &self.exchange, self.id.as_str(), &plan.to_string()];
        Ok(Peer::start("simces_manager.py", &arguments).await?.0)
    }
}

#[test]
fn a_second_manager_of_gridloop_s_is_refused_and_the_run_of_the_first_completes() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let world = World::new(&broker).await?;
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let first = world.manage(world.settings("first", Duration::ZERO), move |step| {
            let _ = begun.send(step);
        });
        let second = async {
            until(&*world.clock, world.clock.now() + BOUND, has_begun.recv())
                .await
                .expect("the first begins");
            world.manage(world.settings("second", Duration::ZERO), |step| panic!("{step:?}")).await
        };
        let (first, second) = tokio::join!(first, second);
        let error = second?.expect_err("it is refused");
        assert!(matches!(&error, RunError::Lease(BusError::LeaseTaken { .. })), "{error:?}");
        let report = first??;
        assert_eq!((report.outcome, report.epochs.completed), (Outcome::Completed, 40), "{}", report.reason);
        assert!(report.other_managers.is_empty(), "{:?}", report.other_managers);
        Ok(())
    })
}

#[test]
fn a_run_that_a_python_manager_has_is_left_to_it() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let world = World::new(&broker).await?;
        let settings = world.settings("second", BOUND);
        let (second, peer) =
            tokio::join!(world.manage(settings, |step| panic!("{step:?}")), world.python_manager(20));
        let error = second?.expect_err("it gives way");
        assert!(error.to_string().starts_with("another manager, `PyClock`, is at work in run "), "{error}");
        let said = peer?.ask("report", json!({})).await?;
        assert_eq!((&said["reason"], &said["violations"]), (&json!("completed"), &json!([])));
        let heard = said["heard"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(heard.iter().all(|message| message[1]["SourceProcessId"] != "second"), "it has said nothing");
        Ok(())
    })
}

/// Completes with the first word of the Python manager.
async fn another_speaks(heard: &mut Subscription) {
    while let Some(event) = heard.recv().await {
        let Event::Message(delivery) = event else { continue };
        if String::from_utf8_lossy(&delivery.body).contains("PyClock") {
            return;
        }
    }
}

#[test]
fn a_python_manager_that_comes_second_is_in_the_report() -> anyhow::Result<()> {
    let broker = RabbitMq::start()?;
    run(async {
        let world = World::new(&broker).await?;
        let bus = world.bus("listener").await?;
        let patterns = vec!["SimState".to_owned()];
        let subscribe =
            Subscribe { name: "listener".into(), patterns, capacity: 64, when_full: WhenFull::Wait };
        let mut heard = bus.subscribe(subscribe).await?;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let settings = Settings { epochs: 100_000, ..world.settings("first", Duration::ZERO) };
        let managing = world.manage(settings, move |step| {
            let _ = tell.send(step);
        });
        let meddling = async {
            let _peer = world.python_manager(3).await?;
            let bound = world.clock.now() + BOUND;
            until(&*world.clock, bound, another_speaks(&mut heard)).await.context("it says nothing")?;
            // It has been routed to the first manager too, which hears it between two of its epochs.
            while told.try_recv().is_ok() {}
            for _ in 0..20 {
                until(&*world.clock, bound, told.recv()).await.context("the run goes on")?;
            }
            world.cancel.cancel();
            anyhow::Ok(())
        };
        let (report, meddled) = tokio::join!(managing, meddling);
        meddled?;
        let report = report??;
        assert_eq!(report.outcome, Outcome::Stopped, "{}", report.reason);
        assert!(report.other_managers["PyClock"] >= 1, "{:?}", report.other_managers);
        Ok(())
    })
}
