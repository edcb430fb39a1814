//! `nis` and `cis`: what they publish, and what they say of files that are of no use.

use crate::rig::{Rig, description, is_ready};
use gridloop_grid::{Gathering, Information, Unsaid};
use gridloop_messages::Body;
use std::io::Write;
use tempfile::NamedTempFile;

/// The files of wire contract 6.7, with whole numbers where people write them.
const NIS: &str = r#"{"PowerBase": 50, "DeviceId": ["L1"], "SendingEndBus": ["src"], "ReceivingEndBus": ["b1"],
 "Resistance": [0.05], "Reactance": {"UnitOfMeasure": "{pu}", "Values": [0.02]}, "ShuntAdmittance": [0],
 "ShuntConductance": [0.0], "RatedCurrent": [1.2], "BusName": ["src", "b1"], "BusType": ["root", "usage-point"],
 "BusVoltageBase": [0.4, 0.4]}"#;
const CIS: &str = r#"{"ResourceId": ["home1"], "CustomerId": ["c7"], "BusName": ["b1"]}"#;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn nis_and_cis_publish_in_epoch_1_only_and_are_ready_in_every_epoch() {
    let mut gathering = Gathering::new(Unsaid::default());
    for (information, topics) in [
        (
            Information::nis_file(file(NIS).path()).unwrap(),
            vec!["Init.NIS.NetworkBusInfo", "Init.NIS.NetworkComponentInfo", "Status.Ready"],
        ),
        (Information::cis_file(file(CIS).path()).unwrap(), vec!["Init.CIS.CustomerInfo", "Status.Ready"]),
    ] {
        let mut rig = Rig::new(Box::new(information));
        let said = rig.next_epoch();
        assert_eq!(said.iter().map(|said| said.topic.as_str()).collect::<Vec<_>>(), topics);
        said.iter().for_each(|said| gathering.take(&said.message.body).unwrap());
        let said = rig.next_epoch();
        assert!(is_ready(&said) && said.len() == 1);
    }
    assert!(gathering.missing().is_empty());
    let description = gathering.description().unwrap().unwrap();
    assert_eq!(description.resources["home1"].bus, "b1");
    assert_eq!(description.network.branches[0].reactance_pu, 0.02);
    assert_eq!(description.network.base_power_va, 50e3);
}

#[test]
fn a_described_network_comes_through_the_messages_as_it_was() {
    let mut gathering = Gathering::new(Unsaid { root_voltage_pu: 1.02, ..Unsaid::default() });
    for information in [Information::of_customers(&description()), Information::of_network(&description())] {
        for said in Rig::new(Box::new(information)).next_epoch() {
            if !matches!(said.message.body, Body::Status(_)) {
                gathering.take(&said.message.body).unwrap();
            }
        }
    }
    assert_eq!(gathering.description().unwrap(), Some(description()));
}

#[test]
fn a_file_that_is_of_no_use_is_told_why() {
    for (text, expected) in [
        ("", "is no JSON object"),
        ("[1, 2]", "is no JSON object"),
        (r#"{"BusName": ["#, "line 1 column"),
        (&NIS.replace("BusVoltageBase", "Base"), "BusVoltageBase"),
        (&NIS.replace("[0.4, 0.4]", "[0.4]"), "BusVoltageBase"),
        (&NIS.replace("usage-point", "root"), "exactly one `root`"),
        (&NIS.replace("[1.2]", "[null]"), "RatedCurrent"),
    ] {
        let file = file(text);
        let error = Information::nis_file(file.path()).unwrap_err();
        let told = gridloop_component::Fault::caused_by(&error).to_string();
        assert!(told.contains(expected), "{told} does not say {expected}");
        assert!(told.contains(&file.path().display().to_string()), "{told}");
    }
}
