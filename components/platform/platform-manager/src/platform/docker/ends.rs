//! Which container has ended, and how: [`Ends`], from the engine's events.
//!
//! Events that came before the question are asked for too, so that a container which ends at once is not missed. When
//! the engine is restarted, containers that it no longer runs are told as gone.

use super::engine::Engine;
use crate::platform::runner::{Ended, Exit};
use bollard::models::EventMessage;
use futures_util::StreamExt;
use gridloop_clock::{SharedClock, sleep};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Between two attempts to hear from an engine that has gone silent.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Attempts before it is given up.
const ATTEMPTS_MAX: u32 = 30;
/// Docker tells the end by a signal as this and its number.
const SIGNALLED: i32 = 128;
/// The largest number of a signal.
const SIGNAL_MAX: i32 = 64;

/// Listens until it is dropped.
pub(super) struct Ends {
    heard: mpsc::UnboundedReceiver<Exit>,
    listening: JoinHandle<()>,
}

impl Ends {
    /// Listens to the ends of the containers with these ids. Each has one end, so that the queue needs no bound.
    pub(super) fn watch(engine: Engine, mark: String, ids: Vec<String>, clock: SharedClock) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let listening = tokio::spawn(listen(engine, mark, ids, clock, sender));
        Self { heard, listening }
    }

    /// The next end; after a silence the same one may come again. `None` when the engine was given up.
    pub(super) async fn next(&mut self) -> Option<Exit> {
        self.heard.recv().await
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    engine: Engine,
    mark: String,
    ids: Vec<String>,
    clock: SharedClock,
    sender: mpsc::UnboundedSender<Exit>,
) {
    let mut attempts = 0;
    while attempts < ATTEMPTS_MAX {
        let mut events = Box::pin(engine.ends(&mark));
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!("the Docker engine no longer tells what happens: {error}");
                    break;
                }
            };
            attempts = 0;
            if let Some(exit) = exit(&event, &ids)
                && sender.send(exit).is_err()
            {
                return;
            }
        }
        attempts += 1;
        sleep(&*clock, TRY_AGAIN_AFTER).await;
        let Ok(running) = engine.running(&mark).await else { continue };
        for index in (0..ids.len()).filter(|&index| !running.contains(&ids[index])) {
            let _ = sender.send(Exit { index, ended: Ended::Gone });
        }
    }
}

/// What an event says about one of our containers.
fn exit(event: &EventMessage, ids: &[String]) -> Option<Exit> {
    let actor = event.actor.as_ref()?;
    let index = ids.iter().position(|id| Some(id) == actor.id.as_ref())?;
    let attribute = |name| actor.attributes.as_ref().and_then(|attributes| attributes.get(name));
    if event.action.as_deref() == Some("oom") {
        let name = attribute("name").map_or("a container", String::as_str);
        tracing::warn!("{name} needs more memory than it may have and is being killed");
        return None;
    }
    let code = attribute("exitCode").and_then(|code| code.parse().ok());
    Some(Exit { index, ended: code.map_or(Ended::Gone, ended) })
}

fn ended(code: i32) -> Ended {
    match code - SIGNALLED {
        signal @ 1..=SIGNAL_MAX => Ended::Signal(signal),
        _ => Ended::Code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    fn event(action: &str, id: &str, code: Option<&str>) -> EventMessage {
        let attributes = code.map(|code| [("exitCode".to_owned(), code.to_owned())].into());
        let actor = EventActor { id: Some(id.to_owned()), attributes };
        EventMessage { action: Some(action.to_owned()), actor: Some(actor), ..EventMessage::default() }
    }

    fn ids() -> Vec<String> {
        vec!["first".to_owned(), "second".to_owned()]
    }

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        for (code, wanted) in [
            ("0", Ended::Code(0)),
            ("3", Ended::Code(3)),
            ("128", Ended::Code(128)),
            ("137", Ended::Signal(9)),
            ("143", Ended::Signal(15)),
            ("255", Ended::Code(255)),
        ] {
            let exit = exit(&event("die", "second", Some(code)), &ids());
            assert_eq!(exit, Some(Exit { index: 1, ended: wanted }), "{code}");
        }
    }

    #[test]
    fn an_end_without_a_code_is_a_container_gone() {
        let exit = exit(&event("die", "first", None), &ids());
        assert_eq!(exit, Some(Exit { index: 0, ended: Ended::Gone }));
    }

    #[test]
    fn running_out_of_memory_and_strangers_are_no_end() {
        assert_eq!(exit(&event("oom", "first", None), &ids()), None);
        assert_eq!(exit(&event("die", "stranger", Some("0")), &ids()), None);
    }
}
