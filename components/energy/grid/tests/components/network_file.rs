//! Transformers by their rating plates, zero sequence, neutrals and phases in network files.

use super::rig::Rig;
use gridloop_grid::{Information, NetworkDescription, parse_network};
use gridloop_power_flow::{
    BuiltIn, Complex64, Conductor, Element, Engine, Line, Network, Operation, Side, StarPoint, Transformer,
    Winding, Windings,
};

const NETWORK: &str = r#"neutral = "four-wire"
[base]
power_kva = 100
voltage_kv = 0.4
[source]
bus = "mv"
[bus]
mv = { voltage_kv = 20, neutral = "earthed" }
end = { phases = "2-3" }
[branch.T1]
from = "mv"
to = "lv"
taps = { winding = "hv", lowest = 1, highest = 5, neutral = 3, position = 4, step_percent = -2.5 }
[branch.T1.transformer]
vector_group = "Dyn11"
rated_power_kva = 200
short_circuit_voltage_percent = 5
load_loss_kw = 6
no_load_loss_kw = 0.6
no_load_current_percent = 0.5
lv_earthing_resistance_ohm = 2
[branch.L1]
from = "lv"
to = "middle"
length_km = 0.5
resistance_ohm_per_km = 0.2
reactance_ohm_per_km = 0.08
zero_resistance_ohm_per_km = 0.8
zero_reactance_ohm_per_km = 0.2
[branch.L2]
from = "middle"
to = "end"
resistance_ohm = 0.1
reactance_ohm = 0.04
neutral_resistance_ohm = 0.3
neutral_reactance_ohm = 0.05
[resource.load]
bus = "end"
connection = "2-3"
"#;

fn described(text: &str) -> NetworkDescription {
    parse_network("network.toml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn network(text: &str) -> Network {
    described(text).to_network().unwrap()
}

fn told(text: &str) -> String {
    parse_network("network.toml", text).map(|_| ()).expect_err(text).to_string()
}

fn transformer(network: &Network, name: &str) -> Transformer {
    let branch = network.branches.iter().find(|branch| branch.name == name).unwrap();
    let Element::Transformer(transformer) = &branch.element else { panic!("{branch:?}") };
    *transformer
}

fn line<'n>(network: &'n Network, name: &str) -> &'n Line {
    let branch = network.branches.iter().find(|branch| branch.name == name).unwrap();
    let Element::Line(line) = &branch.element else { panic!("{branch:?}") };
    line
}

fn close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
        "found {found}, expected {expected}"
    );
}

#[test]
fn a_rating_plate_makes_a_transformer() {
    let network = network(NETWORK);
    let found = transformer(&network, "T1");
    let windings = Windings::Three { sending: Winding::Delta, receiving: Winding::Wye, clock: 11 };
    assert_eq!(found.windings, windings);
    assert_eq!((found.sending_voltage_v, found.receiving_voltage_v), (20e3, 400.0));
    close(found.rated_power_va, 200e3);
    close(found.resistance_percent, 3.0);
    close(found.reactance_percent, 4.0);
    close(found.no_load_loss_percent, 0.3);
    close(found.magnetising_percent, 0.4);
    assert_eq!((found.tapped, found.tap_position), (Side::Sending, 4));
    close(found.taps.unwrap().step, -0.025);
    assert_eq!(found.receiving_star, StarPoint::Neutral);
    let lv = &network.buses[network.bus("lv").unwrap()];
    assert_eq!(lv.neutral_earthing_ohm, Some(2.0));
    let rated = network.branches[0].rated_current_a.unwrap();
    close(rated, 200e3 / (3f64.sqrt() * 20e3));
}

#[test]
fn a_transformer_that_begins_at_the_low_voltage_has_its_vector_group_the_other_way_round() {
    let turned = NETWORK
        .replace("from = \"mv\"\nto = \"lv\"", "from = \"lv\"\nto = \"mv\"")
        .replace("lv_earthing_resistance_ohm = 2\n", "");
    let network = network(&turned);
    let found = transformer(&network, "T1");
    let windings = Windings::Three { sending: Winding::Wye, receiving: Winding::Delta, clock: 1 };
    assert_eq!((found.windings, found.tapped), (windings, Side::Receiving));
    assert_eq!((found.sending_voltage_v, found.receiving_voltage_v), (400.0, 20e3));
}

#[test]
fn star_points_are_where_the_vector_group_and_the_bus_have_them() {
    let mv = |group: &str, key: &str| {
        let text = NETWORK.replace("\"Dyn11\"", group).replace("lv_earthing_resistance_ohm = 2", key);
        let found = transformer(&network(&text), "T1");
        (found.sending_star, found.receiving_star)
    };
    use StarPoint::{Earthed, Isolated, Neutral};
    assert_eq!(mv("\"Yyn0\"", ""), (Isolated, Neutral));
    assert_eq!(mv("\"YNyn0\"", ""), (Neutral, Neutral));
    assert_eq!(
        mv("\"YNd5\"", "hv_earthing_reactance_ohm = 400"),
        (Earthed(Complex64::new(0.0, 400.0)), Neutral)
    );
    assert_eq!(mv("\"Dy5\"", ""), (Neutral, Isolated));
}

#[test]
fn a_neutral_is_earthed_at_the_source_and_behind_transformers_unless_somebody_says_how() {
    let earthing = |text: &str, bus: &str| {
        let network = network(text);
        network.buses[network.bus(bus).unwrap()].neutral_earthing_ohm
    };
    let silent = NETWORK.replace("lv_earthing_resistance_ohm = 2\n", "");
    assert_eq!(earthing(&silent, "lv"), Some(0.0));
    assert_eq!(earthing(&silent, "middle"), None);
    let by_bus = silent.replace("[branch.T1]", "lv = { neutral_earthing_ohm = 6 }\n[branch.T1]");
    assert_eq!(earthing(&by_bus, "lv"), Some(6.0));
    let by_both = NETWORK.replace("[branch.T1]", "lv = { neutral_earthing_ohm = 6 }\n[branch.T1]");
    assert_eq!(earthing(&by_both, "lv"), Some(1.5));
    let isolated = silent.replace("Dyn11", "Dy11");
    assert_eq!(earthing(&isolated, "lv"), None);
}

#[test]
fn the_zero_sequence_of_four_wires_is_what_returns_in_the_neutral() {
    let network = network(NETWORK);
    let first = line(&network, "L1");
    assert_eq!(first.conductors.len(), 4);
    close(first.series_ohm[0][0].re, 0.1);
    close(first.series_ohm[3][3].re, 0.1);
    close(first.series_ohm[3][3].im, 0.02);
    assert_eq!(first.series_ohm[0][3], Complex64::ZERO);
    let second = line(&network, "L2");
    assert_eq!(second.conductors, [Conductor::Phase2, Conductor::Phase3, Conductor::Neutral]);
    close(second.series_ohm[2][2].re, 0.3);
}

#[test]
fn the_zero_sequence_of_three_wires_lies_between_the_phases() {
    let text = r#"
[base]
power_kva = 100
voltage_kv = 20
[source]
bus = "a"
[branch.L1]
from = "a"
to = "b"
length_km = 2
resistance_ohm_per_km = 0.1
reactance_ohm_per_km = 0.2
zero_resistance_ohm_per_km = 0.4
zero_reactance_ohm_per_km = 0.8
capacitance_nf_per_km = 300
zero_capacitance_nf_per_km = 150
"#;
    let network = network(text);
    let found = line(&network, "L1");
    close(found.series_ohm[0][0].re, 0.4);
    close(found.series_ohm[0][1].re, 0.2);
    close(found.series_ohm[2][1].im, 0.4);
    let siemens = 2.0 * std::f64::consts::PI * 50.0 * 600e-9;
    close(found.shunt_s[1][1].im * 1e6, siemens * 1e6 * (2.0 + 0.5) / 3.0);
    close(found.shunt_s[1][2].im * 1e6, siemens * 1e6 * (0.5 - 1.0) / 3.0);
}

#[test]
fn a_regulator_of_one_phase_moves_that_phase_alone() {
    let text = r#"
[base]
power_kva = 100
voltage_kv = 10
[source]
bus = "a"
[bus]
b = { phases = "1" }
[branch.R1]
from = "a"
to = "b"
taps = { winding = "lv", lowest = -16, highest = 16, neutral = 0, position = 8, step_percent = 0.625 }
transformer = { vector_group = "Ii0", rated_power_kva = 100, hv_connection = "1", lv_connection = "1", short_circuit_voltage_percent = 1, load_loss_kw = 0.5 }
"#;
    let mut engine = BuiltIn::new(&network(text)).unwrap();
    let solution = engine.solve(&Operation::default()).unwrap();
    assert_eq!(solution.voltages_v[1].len(), 1);
    let raised = solution.magnitude_pu(engine.topology(), 1, Conductor::Phase1).unwrap();
    assert!((raised - 1.05).abs() < 1e-6, "{raised}");
}

#[test]
fn nis_tells_the_positive_sequence_and_warns_that_this_is_not_all() {
    let description = described(NETWORK);
    let info = description.component_info();
    // 5 % on 200 kVA are 2.5 % on 100 kVA.
    close(info.resistance_pu[0], 0.015);
    close(info.reactance_pu[0], 0.02);
    close(info.resistance_pu[1], 0.1 / 1.6);
    let said = Rig::new(Box::new(Information::of_network(&description))).next_epoch();
    for told in &said[..2] {
        let warnings = told.warnings();
        assert!(
            warnings.contains("the positive sequence alone") && warnings.contains("L1, L2, T1"),
            "{warnings}"
        );
    }
}

/// Each flaw with what is expected in its place.
#[test]
fn what_cannot_be_is_told_in_words() {
    for (from, to, expected) in [
        ("\"Dyn11\"", "\"Dyn4\"", "the clock number is 1, 3, 5, 7, 9 or 11, and cannot be 4"),
        ("\"Dyn11\"", "\"Dy11\"", "`N` or `n` in the vector group"),
        ("lv_earthing", "hv_earthing", "a winding in star with its star point brought out"),
        (
            "lv_earthing_resistance_ohm = 2",
            "lv_earthing_reactance_ohm = 2",
            "no reactance, where the star point",
        ),
        ("load_loss_kw = 6", "load_loss_kw = 12", "no more than the short-circuit voltage"),
        ("load_loss_kw = 6", "", "the copper losses, or a `short_circuit_resistance_percent`"),
        ("no_load_current_percent = 0.5", "no_load_current_percent = 0.1", "at least 0.3000"),
        (
            "load_loss_kw = 6",
            "load_loss_kw = 6\nhv_rated_voltage_kv = 0.4",
            "about the base voltage of bus mv",
        ),
        ("winding = \"hv\", ", "", "missing key `winding`"),
        ("step_percent = -2.5", "step_percent = 0", "0.001 or more, up or down"),
        ("highest = 5, neutral = 3", "highest = 50, neutral = 3", "an end stop next to nothing"),
        ("length_km = 0.5", "", "a `length_km` beside it"),
        ("length_km = 0.5", "length_km = 1e9", "wrong value for `length_km`"),
        ("zero_reactance_ohm_per_km = 0.2", "", "both a `zero_resistance` and a `zero_reactance`"),
        (
            "neutral_resistance_ohm = 0.3",
            "neutral_resistance_ohm = 0.3\nneutral_resistance_pu = 1",
            "not both",
        ),
        ("phases = \"2-3\"", "phases = \"2\"", "phases that bus end has"),
        (
            "neutral = \"earthed\"",
            "neutral = \"earthed\", neutral_earthing_ohm = 1",
            "`neutral = \"four-wire\"`",
        ),
        (
            "[branch.L1]",
            "[branch.L1]\ntaps = { lowest = 0, highest = 1, neutral = 0, step_percent = 1 }",
            "no zero sequence",
        ),
        (
            "[branch.T1.transformer]",
            "[branch.T1.transformer]\nresistance_pu = 1",
            "unknown key `resistance_pu`",
        ),
        (
            "resistance_ohm = 0.1\n",
            "resistance_matrix_ohm = [1, 0]\n",
            "6 numbers, row by row up to the diagonal",
        ),
        ("bus = \"mv\"", "bus = \"mv\"\nresistance_ohm = -1", "a resistance and reactance of 0 or more"),
    ] {
        assert!(NETWORK.contains(from), "{from}");
        let told = told(&NETWORK.replacen(from, to, 1));
        assert!(told.contains("network.toml:") && told.contains(expected), "{from} -> {to}: {told}");
    }
}

#[test]
fn a_network_has_as_many_branches_as_can_be_solved() {
    let mut text = NETWORK.to_owned();
    for number in 0..10_001 {
        text.push_str(&format!("[branch.x{number}]\nfrom = \"lv\"\nto = \"x{number}\"\nresistance_pu = 1\n"));
    }
    assert!(told(&text).contains("at most 10000 branches, not 10004"));
}
