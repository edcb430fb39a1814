//! What the environment of a SimCES process says, as settings and components.

use crate::rig::{Rig, error, is_ready};
use gridloop_grid::{Awaited, Kind, NetworkSource, SimcesInformation, SimcesNetwork, Wires};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

fn network() -> SimcesNetwork {
    SimcesNetwork {
        grid_id: "valley".into(),
        root_voltage_pu: 1.02,
        resource_count: 3,
        categories: BTreeSet::from(["Load".to_owned(), "Generator".to_owned()]),
    }
}

/// The platform's sweep has a neutral that is earthed at the root alone.
#[test]
fn a_simces_grid_has_four_wires_and_waits_for_its_resources_and_storages() {
    let settings = network().grid(BTreeSet::from(["battery".to_owned()]));
    let NetworkSource::Messages(unsaid) = &settings.source else { panic!("{:?}", settings.source) };
    assert_eq!((unsaid.root_voltage_pu, unsaid.wires), (1.02, Wires::FourWire));
    let (categories, storages) = (network().categories, BTreeSet::from(["battery".to_owned()]));
    assert_eq!(settings.awaited, Awaited { count: Some(3), categories, storages });
    assert_eq!(settings.input_timeout, Duration::from_secs(600));
    let settings = network().predictor(Some(36));
    assert_eq!((settings.awaited.count, settings.points_max), (Some(3), Some(36)));
    assert!(settings.awaited.storages.is_empty());
}

#[test]
fn nis_and_cis_publish_on_the_topics_that_they_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cis.json");
    std::fs::write(&file, r#"{"ResourceId": ["home1"], "CustomerId": ["c7"], "BusName": ["b1"]}"#).unwrap();
    let cis = SimcesInformation::Cis { file, topic: "Init.Customers".into() };
    let mut rig = Rig::new(Kind::SimcesInformation(cis).make("cis").unwrap());
    let said = rig.next_epoch();
    assert!(is_ready(&said) && said[0].topic == "Init.Customers", "{said:?}");
}

#[test]
fn a_file_of_nis_that_cannot_be_read_is_told_on_the_bus() {
    let file = PathBuf::from("/nowhere/nis.json");
    let nis = SimcesInformation::Nis { file, bus_topic: "a".into(), component_topic: "b".into() };
    let mut rig = Rig::new(Box::new(Kind::SimcesInformation(nis).make("nis")));
    assert!(error(&rig.next_epoch()).starts_with("/nowhere/nis.json cannot be read: "));
}
