//! The Docker engine: [`Engine`], the only code that talks to it.
//!
//! Its answers become errors that say which container, image, network or volume, and what the operator can do. Asking a
//! container that has gone to end or to be removed is no error: it may have removed itself a moment ago.

use super::body::MARK;
use super::settings::Volume;
use anyhow::{Context, anyhow, bail};
use bollard::Docker;
use bollard::container::AttachContainerResults;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerSummary, EndpointSettings, EventMessage, NetworkConnectRequest,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptionsBuilder,
    EventsOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;

/// Seconds until an engine that does not answer is given up.
const ANSWER_WITHIN_S: u64 = 60;
/// HTTP: there is no such thing.
const NOT_FOUND: u16 = 404;
/// HTTP: not in its present state, or the name is taken.
const CONFLICT: u16 = 409;
/// All events that the engine still remembers.
const FROM_THE_BEGINNING: &str = "0";

/// A connection to the engine.
#[derive(Clone)]
pub(super) struct Engine {
    docker: Docker,
}

/// What became of a container that was to be created.
pub(super) enum Created {
    /// It has this id.
    Container(String),
    /// Another container has the name.
    NameTaken,
}

impl Engine {
    /// Connects and agrees on a version of the protocol.
    pub(super) async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let path = socket.to_str().with_context(|| format!("{} is not UTF-8", socket.display()))?;
        let docker = match Docker::connect_with_unix(path, ANSWER_WITHIN_S, bollard::API_DEFAULT_VERSION) {
            Ok(docker) => docker.negotiate_version().await,
            Err(error) => Err(error),
        };
        let docker = docker.map_err(|error| unreachable_engine(error, path))?;
        Ok(Self { docker })
    }

    /// Sees to it that the images are there; `pull`s those that are not, or names them all.
    pub(super) async fn need_images(&self, images: BTreeSet<String>, pull: bool) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        for image in images {
            match self.docker.inspect_image(&image).await {
                Ok(_) => {}
                Err(error) if is(&error, NOT_FOUND) && pull => self.pull(&image).await?,
                Err(error) if is(&error, NOT_FOUND) => missing.push(image),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot look for the image {image}"));
                }
            }
        }
        match missing.as_slice() {
            [] => Ok(()),
            [one] => bail!("the image {one} is not there: build it, `docker pull` it, or use --pull"),
            many => bail!(
                "the images {} are not there: build them, `docker pull` them, or use --pull",
                many.join(", ")
            ),
        }
    }

    async fn pull(&self, image: &str) -> anyhow::Result<()> {
        tracing::info!("pulling {image}");
        let options = CreateImageOptionsBuilder::new().from_image(image).build();
        let mut told = Box::pin(self.docker.create_image(Some(options), None, None));
        while let Some(step) = told.next().await {
            step.with_context(|| {
                format!("cannot pull {image}; if its registry wants a password, `docker login` and `docker pull` it")
            })?;
        }
        Ok(())
    }

    /// Whether the networks are there.
    pub(super) async fn need_networks(&self, names: impl Iterator<Item = &str>) -> anyhow::Result<()> {
        for name in names {
            match self.docker.inspect_network(name, None).await {
                Ok(_) => {}
                Err(error) if is(&error, NOT_FOUND) => bail!(
                    "there is no Docker network {name}: start the services that make it, or `docker network create {name}`"
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot look for the network {name}"));
                }
            }
        }
        Ok(())
    }

    /// Whether the volumes are there. Folders are left to the engine, which may run on another host.
    pub(super) async fn need_volumes(&self, volumes: impl Iterator<Item = &Volume>) -> anyhow::Result<()> {
        for Volume { name, .. } in volumes.filter(|volume| volume.folder().is_none()) {
            match self.docker.inspect_volume(name).await {
                Ok(_) => {}
                Err(error) if is(&error, NOT_FOUND) => bail!(
                    "there is no Docker volume {name}: start the services that make it, or `docker volume create {name}`"
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot look for the volume {name}"));
                }
            }
        }
        Ok(())
    }

    /// The names of all containers, running or not.
    pub(super) async fn names(&self) -> anyhow::Result<Vec<String>> {
        let containers = self.list(true, None).await?;
        Ok(containers.into_iter().flat_map(|container| container.names.unwrap_or_default()).collect())
    }

    /// Ids and names of the containers with this mark, running or not.
    pub(super) async fn marked(&self, mark: &str) -> anyhow::Result<Vec<(String, String)>> {
        let containers = self.list(true, Some(mark)).await?;
        let named = |container: ContainerSummary| {
            let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
            Some((container.id?, name.trim_start_matches('/').to_owned()))
        };
        Ok(containers.into_iter().filter_map(named).collect())
    }

    /// Ids of the running containers with this mark.
    pub(super) async fn running(&self, mark: &str) -> anyhow::Result<BTreeSet<String>> {
        Ok(self.list(false, Some(mark)).await?.into_iter().filter_map(|container| container.id).collect())
    }

    async fn list(&self, all: bool, mark: Option<&str>) -> anyhow::Result<Vec<ContainerSummary>> {
        let filters = mark.map(labelled).unwrap_or_default();
        let options = ListContainersOptionsBuilder::new().all(all).filters(&filters).build();
        self.docker
            .list_containers(Some(options))
            .await
            .context("cannot list the containers of the Docker engine")
    }

    /// Creates a container.
    pub(super) async fn create(&self, name: &str, body: ContainerCreateBody) -> anyhow::Result<Created> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        match self.docker.create_container(Some(options), body).await {
            Ok(created) => Ok(Created::Container(created.id)),
            Err(error) if is(&error, CONFLICT) => Ok(Created::NameTaken),
            Err(error) => Err(error).with_context(|| format!("cannot create the container {name}")),
        }
    }

    /// Connects a container to one more network.
    pub(super) async fn join(&self, name: &str, id: &str, network: &str) -> anyhow::Result<()> {
        let request = NetworkConnectRequest {
            container: id.to_owned(),
            endpoint_config: Some(EndpointSettings::default()),
        };
        let joined = self.docker.connect_network(network, request).await;
        joined.with_context(|| format!("cannot connect the container {name} to the network {network}"))
    }

    /// Puts a file into a container that has not been started, with the folders that it needs.
    pub(super) async fn put(&self, name: &str, id: &str, path: &str, content: &str) -> anyhow::Result<()> {
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let put = async {
            let archive = bollard::body_full(archive(path, content)?.into());
            anyhow::Ok(self.docker.upload_to_container(id, Some(options), archive).await?)
        };
        put.await.with_context(|| format!("cannot put {path} into the container {name}"))
    }

    /// What a container is going to write.
    pub(super) async fn attach(&self, name: &str, id: &str) -> anyhow::Result<AttachContainerResults> {
        let options =
            AttachContainerOptionsBuilder::new().logs(true).stream(true).stdout(true).stderr(true).build();
        let attached = self.docker.attach_container(id, Some(options)).await;
        attached.with_context(|| format!("cannot follow the output of the container {name}"))
    }

    /// Starts a container.
    pub(super) async fn start(&self, name: &str, id: &str) -> anyhow::Result<()> {
        let started = self.docker.start_container(id, None).await;
        started.with_context(|| format!("cannot start the container {name}"))
    }

    /// Sends a signal to a container, if it runs.
    pub(super) async fn signal(&self, name: &str, id: &str, signal: &str) -> anyhow::Result<()> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let sent = self.docker.kill_container(id, Some(options)).await;
        unless_gone(sent).with_context(|| format!("cannot send {signal} to the container {name}"))
    }

    /// Removes a container, running or not, with its nameless volumes.
    pub(super) async fn remove(&self, name: &str, id: &str) -> anyhow::Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let removed = self.docker.remove_container(id, Some(options)).await;
        unless_gone(removed).with_context(|| format!("cannot remove the container {name}"))
    }

    /// Ends of containers with this mark, those that the engine remembers first.
    pub(super) fn ends(&self, mark: &str) -> impl Stream<Item = Result<EventMessage, Error>> + use<> {
        let mut filters = labelled(mark);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        filters.insert("event".to_owned(), vec!["die".to_owned(), "oom".to_owned()]);
        let options = EventsOptionsBuilder::new().since(FROM_THE_BEGINNING).filters(&filters).build();
        self.docker.events(Some(options))
    }
}

/// A tar archive of one file that everybody may read.
fn archive(path: &str, content: &str) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(content.len()).map_err(io::Error::other)?);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, path.trim_start_matches('/'), content.as_bytes())?;
    archive.into_inner()
}

fn labelled(mark: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{MARK}={mark}")])])
}

fn is(error: &Error, status: u16) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// There is none, it does not run, or it is being removed: what was asked for has come to pass.
fn unless_gone(answer: Result<(), Error>) -> Result<(), Error> {
    answer.or_else(|error| if is(&error, NOT_FOUND) || is(&error, CONFLICT) { Ok(()) } else { Err(error) })
}

/// Why no engine answers, and what to do about it.
fn unreachable_engine(error: Error, path: &str) -> anyhow::Error {
    let kind = {
        let mut cause = Some(&error as &dyn std::error::Error);
        let mut kind = None;
        while let Some(present) = cause {
            kind = present.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
            cause = present.source();
        }
        kind
    };
    let advice = match (&error, kind) {
        (Error::SocketNotFoundError(_), _) | (_, Some(io::ErrorKind::NotFound)) => {
            format!(
                "there is no socket {path}: is Docker installed and running? DOCKER_HOST names another socket"
            )
        }
        (_, Some(io::ErrorKind::PermissionDenied)) => {
            format!(
                "this user may not use {path}: let root do it, or join the group of the socket (often `docker`)"
            )
        }
        (_, Some(io::ErrorKind::ConnectionRefused)) => {
            format!("nobody listens at {path}: start the Docker engine")
        }
        (Error::RequestTimeoutError, _) => format!("{path} does not answer within {ANSWER_WITHIN_S} s"),
        _ => format!("{path} does not answer as a Docker engine"),
    };
    anyhow!(error).context(format!("cannot reach the Docker engine: {advice}"))
}
