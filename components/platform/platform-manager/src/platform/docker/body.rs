//! What a container is made of (wire contract 4.4): pure, so that it can be looked at in a test.

use super::settings::{DockerSettings, Volume};
use crate::platform::manifest::Image;
use crate::platform::plan::Launch;
use bollard::models::{ContainerCreateBody, EndpointSettings, HostConfig, NetworkingConfig};
use gridloop_messages::SimulationId;
use std::collections::HashMap;

/// Says which runner made a container.
pub(super) const MARK: &str = "gridloop.runner";
const SIMULATION_ID: &str = "gridloop.simulation-id";
const COMPONENT: &str = "gridloop.component";

/// The container of `launch`. Networks after the first are joined later.
pub(super) fn of(
    launch: &Launch,
    settings: &DockerSettings,
    mark: &str,
    simulation_id: &SimulationId,
) -> ContainerCreateBody {
    let network = settings.networks.of(launch.role).next();
    let labels = [(MARK, mark), (SIMULATION_ID, simulation_id.as_str()), (COMPONENT, &launch.name)];
    let host = HostConfig {
        auto_remove: Some(true),
        binds: Some(settings.volumes.iter().map(Volume::bind).collect()),
        // A program that is the first process of its container does not hear TERM unless it was written to; a small
        // init in front of it passes the signal on.
        init: Some(true),
        network_mode: network.map(str::to_owned),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: launch.image.as_ref().map(Image::reference),
        env: Some(launch.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        host_config: Some(host),
        networking_config: network.map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.to_owned(), EndpointSettings::default())])),
        }),
        ..ContainerCreateBody::default()
    }
}
