//! F24: somebody floods the exchange of a paced run, and another exchange beside it, with messages of many simulations
//! on all kinds of topics. The run completes, no control message is lost, and what a display sheds is counted.

use crate::contract::{Place, clock, listen, soon};
use crate::run;
use crate::runs::Run;
use bytes::Bytes;
use gridloop_bus::{Bus, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::sleep;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::time::Duration;

const FLOOD: u64 = 50_000;
/// Messages for which a display has room.
const ROOM: u64 = 100;
/// The topic of the flood's last message, after which a listener has heard or shed all of it.
const LAST: &str = "Flood.Last";

/// A message of one of a hundred other simulations: what a run listens to, what only its log hears, and nonsense.
fn message(number: u64) -> (String, String) {
    let header = |kind: &str| {
        format!(
            r#"{{"Type": "{kind}", "SimulationId": "2020-01-01T00:00:{:02}.000Z", "SourceProcessId": "flood", "MessageId": "flood-{number}", "Timestamp": "2020-01-01T00:00:00.000Z""#,
            number % 60
        )
    };
    match number % 5 {
        0 => {
            let epoch = r#""EpochNumber": 1, "TriggeringMessageIds": ["flood-1"]"#;
            let power = r#""RealPower": {"UnitOfMeasure": "kW", "Value": 1.0}, "ReactivePower": {"UnitOfMeasure": "kV.A{r}", "Value": 0.0}"#;
            let body = format!(r#"{}, {epoch}, {power}}}"#, header("ControlState.PowerSetpoint"));
            ("ControlState.PowerSetpoint.pv1".into(), body)
        }
        1 => ("SimState".into(), format!(r#"{}, "SimulationState": "stopped"}}"#, header("SimState"))),
        2 => {
            let epoch = r#""EpochNumber": 1, "TriggeringMessageIds": ["flood-1"], "Value": "ready""#;
            ("Status.Ready".into(), format!("{}, {epoch}}}", header("Status")))
        }
        _ => (format!("Flood.{}.{}", number % 1000, number % 7), format!("{}}}", header("Flood"))),
    }
}

async fn flood(bus: Bus) {
    for number in 0..FLOOD {
        let (topic, body) = message(number);
        bus.publish(&topic, Bytes::from(body)).await.expect("published");
    }
    let (_, body) = message(FLOOD + 3);
    bus.publish(LAST, Bytes::from(body)).await.expect("published");
    bus.flush().await.expect("flushed");
    assert_eq!(bus.statistics().reconnects, 0);
    bus.close().await;
}

/// A display with little room, which looks only when the flood is over.
async fn display(bus: &Bus) -> Subscription {
    let patterns = vec!["#".to_owned()];
    let wanted = Subscribe {
        name: "display".into(),
        patterns,
        capacity: usize::try_from(ROOM).expect("a small number"),
        when_full: WhenFull::Shed,
    };
    bus.subscribe(wanted).await.expect("a subscription")
}

#[test]
fn a_flood_neither_stops_a_paced_run_nor_loses_it_a_control_message() {
    let broker = RabbitMq::start().expect("a broker");
    run(async {
        let mut flooded = Run::start(&broker.url()).await;
        let beside = Run::start(&broker.url()).await;
        flooded.reaches(5).await;

        let here = Place::broker(&broker.url(), &flooded.exchange);
        let elsewhere = Place::broker(&broker.url(), "procem.elsewhere");
        let watching = here.session("display").await;
        let mut shown = display(&watching).await;
        let mut ends = listen(&watching, &[LAST]).await;
        let drain = elsewhere.session("drain").await;
        let mut drained = listen(&drain, &["#"]).await;
        let floods = [
            tokio::spawn(flood(here.session("flood").await)),
            tokio::spawn(flood(elsewhere.session("flood").await)),
        ];
        for _ in 0..=FLOOD {
            assert!(matches!(soon("the flood elsewhere", drained.recv()).await, Some(Event::Message(_))));
        }
        assert!(matches!(soon("the end of the flood", ends.recv()).await, Some(Event::Message(_))));
        for flood in floods {
            flood.await.expect("a flood");
        }

        let report = flooded.completes().await;
        assert_eq!((report.bus.reconnects, report.log.shed), (0, 0));
        assert_eq!(beside.completes().await.bus.reconnects, 0);

        // Everything but what it had room for; the run's own messages come on top.
        let clock = clock();
        soon("shedding", async {
            while shown.shed() < FLOOD + 1 - ROOM {
                sleep(&*clock, Duration::from_millis(10)).await;
            }
        })
        .await;
        watching.close().await;
        let mut seen = 0;
        while soon("what is shown", shown.recv()).await.is_some() {
            seen += 1;
        }
        assert_eq!(seen, ROOM);
        drain.close().await;
    });
}
