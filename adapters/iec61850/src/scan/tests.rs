use super::*;
use crate::simulated::{ICD, Plants, SimulatedSettings, serve, serve_tap_changer};
use gridloop_clock::WallClock;
use gridloop_plant::{LivePlant, PvInverter, PvInverterSettings, Series, TapChanger, TapChangerSettings};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

fn clock() -> SharedClock {
    Arc::new(WallClock::start().unwrap())
}

fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[tokio::test]
async fn a_scan_tells_what_an_ied_offers_and_how_to_configure_it() {
    let clock = clock();
    let inverter = PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(1000.0))).unwrap();
    let taps = TapChanger::new(TapChangerSettings::default()).unwrap();
    let plants = Plants {
        inverter: Some(LivePlant::new(inverter, Arc::clone(&clock))),
        tap_changer: Some(LivePlant::new(taps, Arc::clone(&clock))),
    };
    let served = serve(free_port(), plants, SimulatedSettings::default(), Arc::clone(&clock)).await.unwrap();
    let scl = Scl::parse(ICD).unwrap();
    let settings = IedSettings::at(served.local_addr().into());
    let report = scan(&settings, Some(&scl), clock).await.unwrap();
    let text = report.to_string();
    for part in [
        "YLTC1.TapChg  direct-with-normal-security",
        "LLN0.brcbMeas01  buffered, GRIDLOOPOLTC/LLN0$dsMeas, free",
        "tap_position",
        "real power: GRIDLOOPINV/ZINV1.OutWSet",
        "as the description says of GRIDLOOP",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let block = report.config_block();
    assert!(
        block.contains("[device.gridloopoltc]\ndriver = \"iec61850\"\naddress = \"mms://127.0.0.1:"),
        "{block}"
    );
    assert!(block.contains("logical_device = \"GRIDLOOPINV\"\n"), "{block}");
    toml::from_str::<toml::Table>(&block).unwrap();
    assert!(report.logical_devices.iter().all(|device| device.reports.iter().all(|report| !report.enabled)));
}

#[tokio::test]
async fn a_scan_tells_how_an_ied_differs_from_its_description() {
    let clock = clock();
    let taps = LivePlant::new(TapChanger::new(TapChangerSettings::default()).unwrap(), Arc::clone(&clock));
    let settings =
        SimulatedSettings { control_model: ControlModel::SboEnhanced, ..SimulatedSettings::default() };
    let served = serve_tap_changer(free_port(), taps, settings, Arc::clone(&clock)).await.unwrap();
    let description =
        ICD.replace("<DO name=\"LTCBlk\" type=\"SPS\"/>", "<DO name=\"TapBlkR\" type=\"SPS\"/>");
    let scl = Scl::parse(&description).unwrap();
    let report = scan(&IedSettings::at(served.local_addr().into()), Some(&scl), clock).await.unwrap();
    let comparison = report.comparison.clone().unwrap();
    assert!(comparison.lacking.contains(&"GRIDLOOPINV/MMXU1.TotW [MX]".to_owned()), "{comparison:?}");
    assert!(comparison.lacking.contains(&"GRIDLOOPOLTC/ATCC1.TapBlkR [ST]".to_owned()));
    assert_eq!(comparison.undescribed, ["GRIDLOOPOLTC/ATCC1.LTCBlk [ST]"]);
    let differs = ("GRIDLOOPOLTC/YLTC1.TapChg", "direct-with-normal-security", "sbo-with-enhanced-security");
    let (object, said, is) = &comparison.control_models[0];
    assert_eq!((object.as_str(), said.as_str(), is.as_str()), differs);
    assert!(report.to_string().contains("the IED lacks"), "{report}");
    assert!(!report.config_block().contains("logical_device"));
}
