//! Where the engine is and what containers are connected to: [`DockerSettings`], from the variables of wire contract 1.7.

use crate::environment::Reader;
use crate::platform::plan::Role;
use std::path::{Path, PathBuf};

/// Where Docker listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// What the Docker runner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    /// `DOCKER_HOST`, `unix://` and a path: the socket of the engine. Default `/var/run/docker.sock`.
    pub socket: PathBuf,
    /// What containers join.
    pub networks: Networks,
    /// What is mounted into every container.
    pub volumes: Vec<Volume>,
    /// Whether images that are missing are pulled from their registry.
    pub pull: bool,
}

/// Names of Docker networks; a name that is not given or empty is a network that is not joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// `DOCKER_NETWORK_PLATFORM`: every container.
    pub platform: Option<String>,
    /// `DOCKER_NETWORK_RABBITMQ`: every container.
    pub rabbitmq: Option<String>,
    /// `DOCKER_NETWORK_MONGODB`: the Log Writer.
    pub mongodb: Option<String>,
}

/// A volume and where it is found in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `DOCKER_VOLUME_NAME_...`: the name of a Docker volume, or the absolute path of a folder of the engine's host.
    pub name: String,
    /// `DOCKER_VOLUME_TARGET_...`: an absolute path.
    pub target: String,
}

impl DockerSettings {
    /// Reads them; what is wrong is told by `reader`. Images are pulled only if `pull`.
    #[must_use]
    pub fn read(reader: &Reader<'_>, pull: bool) -> Self {
        let socket = reader.parsed("DOCKER_HOST", "unix:// and the path of the engine's socket", |host| {
            host.strip_prefix("unix://").filter(|path| path.starts_with('/')).map(PathBuf::from)
        });
        let networks = Networks {
            platform: reader.text("DOCKER_NETWORK_PLATFORM"),
            rabbitmq: reader.text("DOCKER_NETWORK_RABBITMQ"),
            mongodb: reader.text("DOCKER_NETWORK_MONGODB"),
        };
        let logs = Volume::read(reader, "DOCKER_VOLUME_NAME_LOGS", "DOCKER_VOLUME_TARGET_LOGS", "/logs");
        let resources = Volume::read(
            reader,
            "DOCKER_VOLUME_NAME_RESOURCES",
            "DOCKER_VOLUME_TARGET_RESOURCES",
            "/resources",
        );
        let volumes = logs.into_iter().chain(resources).collect();
        Self { socket: socket.unwrap_or_else(|| SOCKET.into()), networks, volumes, pull }
    }
}

impl Networks {
    /// Those that a container of this role joins, in the order of wire contract 4.4, each once.
    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &str> {
        let mongodb = if role == Role::LogWriter { &self.mongodb } else { &None };
        distinct([&self.platform, &self.rabbitmq, mongodb])
    }

    /// Those that any container joins.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        distinct([&self.platform, &self.rabbitmq, &self.mongodb])
    }
}

fn distinct(names: [&Option<String>; 3]) -> impl Iterator<Item = &str> {
    let mut given: Vec<&str> = Vec::new();
    for name in names.into_iter().flatten() {
        if !given.contains(&name.as_str()) {
            given.push(name);
        }
    }
    given.into_iter()
}

impl Volume {
    fn read(
        reader: &Reader<'_>,
        name: &'static str,
        target: &'static str,
        usual_target: &str,
    ) -> Option<Self> {
        let path = reader.parsed(target, "an absolute path", |path| {
            (path.starts_with('/') && !path.contains(':')).then(|| path.to_owned())
        });
        let name = reader.parsed(name, "the name of a Docker volume or an absolute path", |name| {
            let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            let is_path = name.starts_with('/') && !name.contains(':');
            (is_name || is_path).then(|| name.to_owned())
        })?;
        Some(Self { name, target: path.unwrap_or_else(|| usual_target.to_owned()) })
    }

    /// The folder of the engine's host, if it is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.name.starts_with('/').then(|| Path::new(&self.name))
    }

    /// As Docker writes it.
    pub(super) fn bind(&self) -> String {
        format!("{}:{}", self.name, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Variables;

    fn read(variables: &[(&str, &str)]) -> Result<DockerSettings, String> {
        let variables: Variables = variables.iter().copied().collect();
        let reader = Reader::new(&variables);
        let settings = DockerSettings::read(&reader, false);
        reader.finish().map(|()| settings).map_err(|errors| errors.to_string())
    }

    #[test]
    fn nothing_given_is_the_usual_socket_and_nothing_joined_or_mounted() {
        let settings = read(&[]).expect("settings");
        assert_eq!(settings.socket, Path::new("/var/run/docker.sock"));
        assert_eq!(settings.networks, Networks::default());
        assert!(settings.volumes.is_empty() && !settings.pull);
    }

    #[test]
    fn volumes_have_usual_targets_and_may_be_folders() {
        let settings = read(&[
            ("DOCKER_VOLUME_NAME_LOGS", "sim_logs"),
            ("DOCKER_VOLUME_NAME_RESOURCES", "/srv/resources"),
            ("DOCKER_VOLUME_TARGET_RESOURCES", "/in"),
        ])
        .expect("settings");
        let binds: Vec<_> = settings.volumes.iter().map(Volume::bind).collect();
        assert_eq!(binds, ["sim_logs:/logs", "/srv/resources:/in"]);
        assert_eq!(settings.volumes[0].folder(), None);
        assert_eq!(settings.volumes[1].folder(), Some(Path::new("/srv/resources")));
    }

    #[test]
    fn only_the_log_writer_joins_the_network_of_mongodb() {
        let settings = read(&[
            ("DOCKER_NETWORK_PLATFORM", "platform"),
            ("DOCKER_NETWORK_RABBITMQ", "rabbit"),
            ("DOCKER_NETWORK_MONGODB", "mongo"),
        ])
        .expect("settings");
        let of = |role| settings.networks.of(role).collect::<Vec<_>>();
        assert_eq!(of(Role::LogWriter), ["platform", "rabbit", "mongo"]);
        assert_eq!(of(Role::Component), ["platform", "rabbit"]);
        assert_eq!(of(Role::Manager), ["platform", "rabbit"]);
    }

    #[test]
    fn a_network_that_is_named_twice_is_joined_once() {
        let settings = read(&[
            ("DOCKER_NETWORK_PLATFORM", "all"),
            ("DOCKER_NETWORK_RABBITMQ", "all"),
            ("DOCKER_NETWORK_MONGODB", "all"),
        ])
        .expect("settings");
        assert_eq!(settings.networks.of(Role::LogWriter).collect::<Vec<_>>(), ["all"]);
    }

    #[test]
    fn what_is_wrong_is_told_all_at_once() {
        let errors = read(&[
            ("DOCKER_HOST", "tcp://10.0.0.1:2375"),
            ("DOCKER_VOLUME_NAME_LOGS", "a:b"),
            ("DOCKER_VOLUME_TARGET_RESOURCES", "resources"),
        ])
        .expect_err("errors");
        for name in ["DOCKER_HOST", "DOCKER_VOLUME_NAME_LOGS", "DOCKER_VOLUME_TARGET_RESOURCES"] {
            assert!(errors.contains(name), "{name} is not in {errors}");
        }
    }
}
