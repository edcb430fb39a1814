//! Containers of a Docker engine as the processes of a run: [`DockerRunner`].
//!
//! [`DockerSettings`] says which engine, networks and volumes (wire contract 1.7); `engine` is the only code that talks
//! to the engine and turns its answers into errors that an operator can act on; `body` says what a container is made
//! of (contract 4.4), `names` how it is called; `ends` hears of containers that end, `output` keeps what they write.
//!
//! Containers remove themselves when they end, so that nothing is left behind even if this process is killed. That is
//! why output is followed from before the start, and why exit codes come from the engine's events.

mod body;
mod ends;
mod engine;
mod names;
mod output;
mod settings;

pub use settings::{DockerSettings, Networks, Volume};

use super::plan::Launch;
use super::runner::{Ended, Exit, Runner};
use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use ends::Ends;
use engine::{Created, Engine};
use gridloop_clock::{SharedClock, sleep, until};
use gridloop_messages::SimulationId;
use output::Output;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How long the removal of all containers may take.
const REMOVED_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at containers that are being removed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long the last output of a container that has ended may take to arrive.
const OUTPUT_WITHIN: Duration = Duration::from_secs(5);

/// Runs every process of a run in a container of its own.
pub struct DockerRunner {
    engine: Engine,
    settings: DockerSettings,
    /// Marks the containers of this runner and nobody else's.
    mark: String,
    simulation_id: SimulationId,
    logs: PathBuf,
    clock: SharedClock,
    /// Files to be put into every container: path and content.
    files: Vec<(String, String)>,
    containers: Vec<Container>,
    running: BTreeSet<usize>,
    ends: Option<Ends>,
}

/// One container, created or started.
struct Container {
    id: String,
    /// `SimNN_<component>`
    name: String,
    component: String,
    output: Option<Output>,
}

impl DockerRunner {
    /// Connects to the engine. What containers write goes into `logs`, one file `<component>.log` each.
    ///
    /// # Errors
    /// When no engine answers there.
    pub async fn connect(
        settings: DockerSettings,
        simulation_id: SimulationId,
        logs: PathBuf,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        let engine = Engine::connect(&settings.socket).await?;
        let mark = format!("{simulation_id} {} {}", std::process::id(), clock.utc().timestamp_micros());
        Ok(Self {
            engine,
            settings,
            mark,
            simulation_id,
            logs,
            clock,
            files: Vec::new(),
            containers: Vec::new(),
            running: BTreeSet::new(),
            ends: None,
        })
    }

    /// Puts a file into every container before it starts: the Start message, which some components read. Where `path`
    /// lies in a volume, the file outlives the containers.
    #[must_use]
    pub fn with_file(mut self, path: String, content: String) -> Self {
        self.files.push((path, content));
        self
    }

    /// Looks for everything that containers need and that must be there already.
    async fn look(&self, launches: &[Launch]) -> anyhow::Result<()> {
        let (mut names, mut images) = (BTreeSet::new(), BTreeSet::new());
        for launch in launches {
            names::check(&launch.name)?;
            ensure!(names.insert(&launch.name), "two processes of this run are called {}", launch.name);
            let image = launch.image.as_ref().with_context(|| {
                format!(
                    "{} cannot run in a container: the manifest of {} has no DockerImage",
                    launch.name, launch.component_type
                )
            })?;
            images.insert(image.reference());
        }
        self.engine.need_images(images, self.settings.pull).await?;
        self.engine.need_networks(self.settings.networks.all()).await?;
        self.engine.need_volumes(self.settings.volumes.iter()).await
    }

    /// Creates all containers under the smallest index that nobody uses. Another platform manager may take it at the
    /// same moment; then the next one is tried.
    async fn create(&mut self, launches: &[Launch]) -> anyhow::Result<()> {
        let mut taken = names::taken(&self.engine.names().await?);
        while let Some(index) = names::smallest_free(&taken) {
            if self.create_as(index, launches).await? {
                return Ok(());
            }
            self.remove_all().await?;
            taken.insert(index);
        }
        bail!(
            "all container names from Sim00_ to Sim99_ are in use: wait for a run to end, or remove its containers"
        )
    }

    /// Creates all containers under one index; `false` when one of the names is taken.
    async fn create_as(&mut self, index: u8, launches: &[Launch]) -> anyhow::Result<bool> {
        for launch in launches {
            let name = names::container(index, &launch.name);
            let body = body::of(launch, &self.settings, &self.mark, &self.simulation_id);
            let Created::Container(id) = self.engine.create(&name, body).await? else { return Ok(false) };
            self.containers.push(Container {
                id: id.clone(),
                name: name.clone(),
                component: launch.name.clone(),
                output: None,
            });
            // The first network came with the container: engines before API 1.44 take no more at once.
            for network in self.settings.networks.of(launch.role).skip(1) {
                self.engine.join(&name, &id, network).await?;
            }
            for (path, content) in &self.files {
                self.engine.put(&name, &id, path, content).await?;
            }
        }
        Ok(true)
    }

    async fn prepare_all(&mut self, launches: &[Launch]) -> anyhow::Result<()> {
        self.look(launches).await?;
        std::fs::create_dir_all(&self.logs)
            .with_context(|| format!("cannot make the folder {}", self.logs.display()))?;
        self.create(launches).await?;
        let ids = self.containers.iter().map(|container| container.id.clone()).collect();
        self.ends = Some(Ends::watch(self.engine.clone(), self.mark.clone(), ids, self.clock.clone()));
        Ok(())
    }

    /// Removes every container of this runner, known or not: a request that was cut off may have made one.
    async fn remove_all(&mut self) -> anyhow::Result<()> {
        let deadline = self.clock.now() + REMOVED_WITHIN;
        loop {
            let present = self.engine.marked(&self.mark).await?;
            if present.is_empty() {
                self.containers.clear();
                self.running.clear();
                return Ok(());
            }
            ensure!(
                self.clock.now() < deadline,
                "containers of this run are still there after {} s: {}; remove them with `docker rm -f`",
                REMOVED_WITHIN.as_secs(),
                present.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
            );
            for (id, name) in present {
                self.engine.remove(&name, &id).await?;
            }
            sleep(&*self.clock, LOOK_AGAIN_AFTER).await;
        }
    }

    fn container(&self, index: usize) -> anyhow::Result<&Container> {
        self.containers.get(index).with_context(|| format!("there is no container number {index}"))
    }

    /// Waits, bounded, until everything that a container has written before its end is in its file.
    async fn settle(&mut self, index: usize) -> anyhow::Result<()> {
        if self.running.contains(&index) {
            return Ok(());
        }
        let Some(container) = self.containers.get_mut(index) else { return Ok(()) };
        let Some(output) = &mut container.output else { return Ok(()) };
        let deadline = self.clock.now() + OUTPUT_WITHIN;
        until(&*self.clock, deadline, output.finished())
            .await
            .with_context(|| format!("the last output of container {} does not arrive", container.name))?
    }
}

#[async_trait]
impl Runner for DockerRunner {
    async fn prepare(&mut self, launches: &[Launch]) -> anyhow::Result<()> {
        let Err(error) = self.prepare_all(launches).await else { return Ok(()) };
        match self.remove_all().await {
            Ok(()) => Err(error),
            Err(also) => Err(error.context(format!("and what was made could not be removed: {also:#}"))),
        }
    }

    async fn start(&mut self, index: usize) -> anyhow::Result<String> {
        let container = self.container(index)?;
        let (id, name) = (container.id.clone(), container.name.clone());
        let path = self.logs.join(format!("{}.log", container.component));
        // Before the start, so that not even the first line of a container that dies at once is lost.
        let output = Output::follow(self.engine.attach(&name, &id).await?, path)?;
        if let Some(container) = self.containers.get_mut(index) {
            container.output = Some(output);
        }
        self.engine.start(&name, &id).await?;
        self.running.insert(index);
        Ok(format!("container {name}"))
    }

    async fn next_exit(&mut self) -> Option<Exit> {
        loop {
            let first = *self.running.first()?;
            let heard = match &mut self.ends {
                Some(ends) => ends.next().await,
                None => None,
            };
            // Nobody tells any more: the engine is gone for good.
            let exit = heard.unwrap_or(Exit { index: first, ended: Ended::Gone });
            if self.running.remove(&exit.index) {
                return Some(exit);
            }
        }
    }

    async fn terminate(&mut self, index: usize) -> anyhow::Result<()> {
        let container = self.container(index)?;
        self.engine.signal(&container.name, &container.id, "SIGTERM").await
    }

    async fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        let container = self.container(index)?;
        self.engine.signal(&container.name, &container.id, "SIGKILL").await
    }

    async fn last_lines(&mut self, index: usize, count: usize) -> Vec<String> {
        if let Err(error) = self.settle(index).await {
            tracing::warn!("{error:#}");
        }
        let output = self.containers.get(index).and_then(|container| container.output.as_ref());
        output.map_or_else(Vec::new, |output| output.last_lines(count))
    }

    async fn collect_logs(&mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        for index in 0..self.containers.len() {
            // The others are worth collecting whatever is wrong with one.
            result = result.and(self.settle(index).await);
        }
        result
    }

    async fn clean_up(&mut self) -> anyhow::Result<()> {
        self.ends = None;
        self.remove_all().await
    }

    async fn detach(&mut self) -> anyhow::Result<()> {
        self.ends = None;
        self.containers.clear();
        self.running.clear();
        Ok(())
    }
}
