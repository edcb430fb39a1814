//! Where a component learns its network from: [`NetworkSource`] in its configuration, [`Known`] while it runs.

use crate::description::{Gathering, NetworkDescription, Place, Unsaid};
use crate::network_file;
use gridloop_component::Fault;
use gridloop_messages::Body;
use gridloop_opendss::{OpenDss, OpenDssSettings};
use gridloop_power_flow::{BuiltIn, Engine, TapRange, Wires};
use gridloop_service::Section;
use std::collections::BTreeMap;

/// A network as a configuration names it.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkSource {
    /// A file of the user's own, read.
    File(Box<NetworkDescription>),
    /// `Init.NIS.*` and `Init.CIS.CustomerInfo` of the run (wire contract 6.7), and what they do not tell.
    Messages(Unsaid),
    /// A model of OpenDSS, which OpenDSS itself solves.
    OpenDss(OpenDssSettings),
}

impl NetworkSource {
    /// Reads the keys of a component's table that say which network it is.
    pub fn read(section: &Section<'_>) -> Self {
        let file = section
            .file(
                "network",
                "The network in TOML. Without it and without `model`, the messages of NIS and CIS tell it.",
            )
            .must_exist()
            .optional();
        let model = section
            .file("model", "A model of OpenDSS (.dss), which OpenDSS itself solves.")
            .must_exist()
            .optional();
        let library = section
            .file(
                "library",
                "OpenDSS: libdss_capi.so, or the folder that has it. Default: what the system finds.",
            )
            .must_exist()
            .optional();
        let controls = section
            .boolean("model_controls", "OpenDSS: whether regulators and other controls of the model act.")
            .optional();
        if model.is_none() {
            for (key, given) in [("library", library.is_some()), ("model_controls", controls.is_some())] {
                if given {
                    section.error(Some(key), "a `model` beside it: it says how OpenDSS is used", None);
                }
            }
        }
        let unsaid = read_unsaid(section, file.is_some() || model.is_some());
        match (file, model) {
            (Some(_), Some(_)) => {
                section.error(Some("model"), "this or `network`, not both", None);
                Self::Messages(unsaid)
            }
            (Some(file), None) => match network_file::load(&file) {
                Ok(description) => {
                    if let Err(error) = description.to_network().and_then(|network| BuiltIn::new(&network)) {
                        section.error(Some("network"), format!("a sound network: {error}"), None);
                    }
                    Self::File(Box::new(description))
                }
                Err(diagnostics) => {
                    section.absorb(diagnostics);
                    Self::Messages(unsaid)
                }
            },
            (None, Some(model)) => {
                Self::OpenDss(OpenDssSettings { library, model, controls: controls.unwrap_or(false) })
            }
            (None, None) => Self::Messages(unsaid),
        }
    }

    /// Gives branches taps that nobody else tells of: their range, and where they stand. Names what has no such
    /// branch; of a network from messages that shows only when they come.
    #[must_use]
    pub fn add_taps(&mut self, taps: BTreeMap<String, (TapRange, i32)>) -> Vec<String> {
        match self {
            Self::File(description) => {
                let mut unknown = Vec::new();
                for (branch, (range, position)) in taps {
                    if !description.set_taps(&branch, range, position) {
                        unknown.push(branch);
                    }
                }
                unknown
            }
            Self::Messages(unsaid) => {
                unsaid.taps.extend(taps);
                Vec::new()
            }
            Self::OpenDss(_) => taps.into_keys().collect(),
        }
    }

    /// The topics of what it still has to be told.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        match self {
            Self::Messages(_) => Gathering::TOPICS.into_iter().map(str::to_owned).collect(),
            Self::File(_) | Self::OpenDss(_) => Vec::new(),
        }
    }
}

/// A network as far as it is known.
pub struct Known {
    gathering: Option<Gathering>,
    network: Option<Solvable>,
}

/// A network that can be solved.
pub struct Solvable {
    /// What solves it.
    pub engine: Box<dyn Engine>,
    /// The resources that it knows, by name.
    pub resources: BTreeMap<String, Place>,
    /// Its description; a model of OpenDSS has none.
    pub description: Option<NetworkDescription>,
}

impl Known {
    /// What `source` tells at once.
    ///
    /// # Errors
    /// When the network cannot be had: the file contradicts itself, or OpenDSS refuses the model.
    pub fn begin(source: &NetworkSource) -> Result<Self, Fault> {
        Ok(match source {
            NetworkSource::File(description) => {
                Self { gathering: None, network: Some(solvable((**description).clone())?) }
            }
            NetworkSource::Messages(unsaid) => {
                Self { gathering: Some(Gathering::new(unsaid.clone())), network: None }
            }
            NetworkSource::OpenDss(settings) => {
                let engine = OpenDss::open(settings).map_err(|error| Fault::caused_by(&error))?;
                let network =
                    Solvable { engine: Box::new(engine), resources: BTreeMap::new(), description: None };
                Self { gathering: None, network: Some(network) }
            }
        })
    }

    /// The same for whom it does not matter who is connected: the message of CIS is not waited for.
    #[must_use]
    pub fn without_customers(self) -> Self {
        Self { gathering: self.gathering.map(Gathering::without_customers), ..self }
    }

    /// Takes a message, if it tells something of the network.
    ///
    /// # Errors
    /// When it contradicts what was told before, or when the network makes no sense.
    pub fn take(&mut self, body: &Body) -> Result<(), Fault> {
        let Some(gathering) = &mut self.gathering else { return Ok(()) };
        gathering.take(body).map_err(|error| Fault::caused_by(&error))?;
        if self.network.is_none()
            && let Some(description) = gathering.description().map_err(|error| Fault::caused_by(&error))?
        {
            let told =
                |fault: Fault| Fault::new(format!("Init.NIS.NetworkComponentInfo: {}", fault.description()));
            self.network = Some(solvable(description).map_err(told)?);
        }
        Ok(())
    }

    /// The network, when it is known.
    #[must_use]
    pub fn get(&self) -> Option<&Solvable> {
        self.network.as_ref()
    }

    /// The same, to solve it.
    pub fn network(&mut self) -> Option<&mut Solvable> {
        self.network.as_mut()
    }

    /// The same, for whoever needs nothing else any more.
    #[must_use]
    pub fn into_network(self) -> Option<Solvable> {
        self.network
    }

    /// What is missing for that.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.gathering.as_ref().map(Gathering::missing).unwrap_or_default()
    }
}

fn read_unsaid(section: &Section<'_>, otherwise_told: bool) -> Unsaid {
    let usual = Unsaid::default();
    let root_voltage_pu = section
        .number(
            "root_voltage_pu",
            "Network of NIS: what the root holds, as a part of its base voltage. Default: 1.",
        )
        .within(0.5..=1.5)
        .optional();
    let wires = section
        .text(
            "neutral",
            "Network of NIS: earthed (everywhere, the default) or four-wire (earthed at the root alone).",
        )
        .choice(&NEUTRALS)
        .optional();
    if otherwise_told {
        for (key, given) in [("root_voltage_pu", root_voltage_pu.is_some()), ("neutral", wires.is_some())] {
            if given {
                section.error(Some(key), "no such key: the network that is named here says it itself", None);
            }
        }
    }
    Unsaid {
        root_voltage_pu: root_voltage_pu.unwrap_or(usual.root_voltage_pu),
        wires: wires.unwrap_or(usual.wires),
        taps: usual.taps,
    }
}

/// Words for what there is of a neutral.
pub(crate) const NEUTRALS: [(&str, Wires); 2] =
    [("earthed", Wires::NeutralEarthedEverywhere), ("four-wire", Wires::FourWire)];

fn solvable(description: NetworkDescription) -> Result<Solvable, Fault> {
    let network = description.to_network().map_err(|error| Fault::caused_by(&error))?;
    let engine = BuiltIn::new(&network).map_err(|error| Fault::caused_by(&error))?;
    let resources = description.resources.clone();
    Ok(Solvable { engine: Box::new(engine), resources, description: Some(description) })
}
