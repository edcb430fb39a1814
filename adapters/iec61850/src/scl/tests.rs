use super::*;
use crate::simulated::ICD;
use proptest::prelude::*;

#[test]
fn the_description_of_the_simulated_ied_is_read() {
    let scl = Scl::parse(ICD).unwrap();
    let [ied] = scl.ieds.as_slice() else { panic!("{scl:?}") };
    assert_eq!((ied.name.as_str(), ied.logical_devices.len()), ("GRIDLOOP", 2));
    let inverter = &ied.logical_devices[0];
    assert_eq!(inverter.domain, "GRIDLOOPINV");
    let node = |name: &str| inverter.nodes.iter().find(|node| node.name == name).unwrap();
    let set = node("ZINV1").objects.iter().find(|object| object.name == "OutWSet").unwrap();
    assert_eq!(
        (set.cdc.as_str(), set.control_model.as_deref()),
        ("APC", Some("direct-with-normal-security"))
    );
    assert_eq!(node("LLN0").data_sets, [("dsMeas".to_owned(), 8)]);
    let buffered: Vec<bool> = node("LLN0").reports.iter().map(|report| report.buffered).collect();
    assert_eq!(buffered, [false, true]);
}

#[test]
fn points_and_commands_are_recognised_in_a_description() {
    let scl = Scl::parse(ICD).unwrap();
    let mapping = scl.ieds[0].mapping(Some("GRIDLOOPOLTC"));
    assert_eq!(mapping.tap.command.unwrap().to_string(), "GRIDLOOPOLTC/YLTC1.TapChg");
    assert_eq!(mapping.tap.position.unwrap().to_string(), "GRIDLOOPOLTC/YLTC1.TapPos");
    assert_eq!(mapping.voltage_setpoint.unwrap().object.path, "BndCtr");
    assert_eq!(mapping.power_setpoint, None);
    let all = scl.ieds[0].mapping(None);
    let names: Vec<&str> = all.points.iter().map(|point| &*point.name).collect();
    assert!(names.contains(&"current_a") && names.contains(&"voltage"), "{names:?}");
    assert_eq!(all.power_setpoint.unwrap().object.to_string(), "GRIDLOOPINV/ZINV1.OutWSet");
}

#[test]
fn the_address_of_an_access_point_and_the_name_of_a_logical_device_are_told() {
    let text = format!(
        r#"<SCL xmlns="{NAMESPACE}"><Communication><SubNetwork name="N"><ConnectedAP iedName="A" apName="P">
        <Address><P type="IP"> 192.0.2.7 </P></Address></ConnectedAP></SubNetwork></Communication>
        <IED name="A"><AccessPoint name="P"><Server><LDevice inst="LD" ldName="OWN"/></Server></AccessPoint></IED>
        <IED name="B"/></SCL>"#
    );
    let scl = Scl::parse(&text).unwrap();
    assert_eq!(scl.ieds[0].access_points[0].address.as_deref(), Some("192.0.2.7"));
    assert_eq!(scl.ieds[0].logical_devices[0].domain, "OWN");
    let like = scl.most_like(&BTreeSet::from(["OWN"])).map(|ied| ied.name.as_str());
    assert_eq!(like, Some("A"));
    assert_eq!(scl.most_like(&BTreeSet::from(["OTHER"])), None);
}

#[test]
fn what_is_no_description_is_told_so() {
    assert!(matches!(Scl::parse("<html/>"), Err(SclError::NoScl(_))));
    assert!(matches!(Scl::parse("<SCL"), Err(SclError::Xml(_))));
    assert!(matches!(Scl::parse("<SCL/>"), Err(SclError::NoScl(_))), "the namespace counts");
    let entities = format!(r#"<!DOCTYPE SCL [<!ENTITY a "b">]><SCL xmlns="{NAMESPACE}">&a;</SCL>"#);
    assert!(matches!(Scl::parse(&entities), Err(SclError::Xml(_))));
    let deep = "<a>".repeat(100_000);
    assert_eq!(Scl::parse(&deep), Err(SclError::TooDeep));
    let unnamed = format!("<SCL xmlns=\"{NAMESPACE}\">\n<IED/></SCL>");
    let error = Scl::parse(&unnamed).unwrap_err().to_string();
    assert_eq!(error, "line 2: <IED> has no `name`");
    let untyped = ICD.replace("<LNodeType id=\"ZINV_T\"", "<LNodeType id=\"OTHER\"");
    assert!(Scl::parse(&untyped).unwrap_err().to_string().contains("there is no LNodeType `ZINV_T`"));
}

#[test]
fn a_type_inside_itself_does_not_go_on_for_ever() {
    let text = format!(
        r#"<SCL xmlns="{NAMESPACE}"><IED name="A"><AccessPoint name="P"><Server><LDevice inst="LD">
        <LN0 lnClass="LLN0" lnType="L"/></LDevice></Server></AccessPoint></IED><DataTypeTemplates>
        <LNodeType id="L" lnClass="LLN0"><DO name="X" type="T"/></LNodeType>
        <DOType id="T" cdc="X"><SDO name="a" type="T"/><SDO name="b" type="T"/><SDO name="c" type="T"/>
        <DA name="v" fc="MX"/></DOType></DataTypeTemplates></SCL>"#
    );
    let scl = Scl::parse(&text).unwrap();
    assert!(scl.ieds[0].logical_devices[0].items.len() <= 2 * 4096 + 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_to_a_description_makes_the_parser_panic(at in 0..ICD.len(), with in "\\PC{0,3}") {
        let mut text = ICD.to_owned();
        text.replace_range(at..=at, &with);
        let _ = Scl::parse(&text);
    }
}
