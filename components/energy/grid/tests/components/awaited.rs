//! Who is waited for where not simply everybody in the network is: a number of resources, categories, storages.

use crate::rig::{
    Rig, Sent, branches, bus_info, buses, component_info, customer_info, error, from_messages, is_ready,
    settings, state, voltage_kv,
};
use gridloop_component::Component;
use gridloop_grid::{Awaited, Grid, GridSettings};
use gridloop_messages::{Body, CustomerInfo};
use gridloop_power_flow::Wires;
use serde_json::json;

/// CIS with resource, customer and bus in each row.
fn customers(rows: &[[&str; 3]]) -> Sent {
    let column = |at: usize| rows.iter().map(|row| row[at].to_owned()).collect();
    customer_info(CustomerInfo { resource_id: column(0), customer_id: column(1), bus_name: column(2) })
}

fn waiting_for(awaited: Awaited) -> GridSettings {
    GridSettings { awaited, ..settings(from_messages(Wires::FourWire)) }
}

fn count(count: usize) -> Awaited {
    Awaited { count: Some(count), ..Awaited::default() }
}

fn storages(names: &[&str]) -> Awaited {
    Awaited { storages: names.iter().map(|name| (*name).to_owned()).collect(), ..Awaited::default() }
}

/// In epoch 1, with the network and these customers known.
fn rig(awaited: Awaited, rows: &[[&str; 3]]) -> Rig {
    let mut rig = Rig::grid(waiting_for(awaited));
    rig.next_epoch();
    rig.hear_all(&[bus_info(buses()), component_info(branches()), customers(rows)]);
    rig
}

/// A state whose CustomerId is this.
fn of_customer(customer: &str, mut sent: Sent) -> Sent {
    let Body::ResourceState(state) = &mut sent.body else { panic!("no state") };
    customer.clone_into(&mut state.customer_id);
    sent
}

const HOMES: [[&str; 3]; 3] = [["home1", "c1", "b1"], ["home2", "c2", "b2"], ["home3", "c3", "b2"]];

#[test]
fn a_grid_that_is_told_a_number_solves_as_soon_as_so_many_resources_have_told_their_state() {
    let mut rig = rig(count(2), &HOMES);
    assert!(!is_ready(&rig.hear(&state("home1", -2.0, 0.0, None))));
    // Somebody that CIS does not know is none of them.
    assert!(!is_ready(&rig.hear(&state("stranger", -2.0, 0.0, None))));
    let said = rig.hear(&state("home3", -3.0, 0.0, None));
    assert!(is_ready(&said));
    let mut all = self::rig(Awaited::default(), &HOMES[..1]);
    let alone = all.hear(&state("home1", -2.0, 0.0, None));
    assert!(voltage_kv(&said, "b2", 1) < voltage_kv(&alone, "b2", 1), "home3 counts");
    assert_eq!(rig.findings()["resources_outside"], json!(["stranger"]));
}

/// Else the result would depend on who is faster.
#[test]
fn more_resources_than_were_told_are_an_error_that_names_them_also_when_the_epoch_is_solved() {
    let mut rig = rig(count(2), &HOMES);
    rig.hear(&state("home1", -2.0, 0.0, None));
    assert!(is_ready(&rig.hear(&state("home2", -2.0, 0.0, None))));
    let said = rig.hear(&state("home3", -3.0, 0.0, None));
    let expected = "2 resources are to be waited for, but 3 tell their states: home1, home2, home3";
    let said = if said.is_empty() { rig.next_epoch() } else { said };
    assert_eq!(error(&said), expected);
}

#[test]
fn more_resources_that_told_before_the_network_was_known_are_an_error_too() {
    let mut rig = Rig::grid(waiting_for(count(1)));
    rig.next_epoch();
    rig.hear_all(&[state("home1", -2.0, 0.0, None), state("home2", -2.0, 0.0, None)]);
    let said = rig.hear_all(&[bus_info(buses()), component_info(branches()), customers(&HOMES)]);
    assert!(error(&said).ends_with("but 2 tell their states: home1, home2"), "{}", error(&said));
}

#[test]
fn a_number_that_the_network_cannot_have_is_an_error_at_once() {
    let mut rig = Rig::grid(waiting_for(Awaited { count: Some(3), ..storages(&["home3"]) }));
    rig.next_epoch();
    let said = rig.hear_all(&[bus_info(buses()), component_info(branches()), customers(&HOMES)]);
    let expected =
        "3 resources are to be waited for, and the network has 2 besides the storages: home1, home2";
    assert_eq!(error(&said), expected);
}

#[test]
fn whoever_is_silent_is_named_after_the_timeout_with_how_many_are_missing() {
    let mut rig = rig(Awaited { count: Some(2), ..storages(&["battery"]) }, &HOMES);
    rig.hear(&state("home2", -2.0, 0.0, None));
    let expected = "epoch 1: after 60 s there is still no ResourceState of 1 more of 2 resources (silent: home1, \
                    home3), no ResourceState of battery";
    assert_eq!(error(&rig.wake()), expected);
}

/// On the platform a storage need not be in CIS: it has the customer of somebody who is.
#[test]
fn a_storage_that_cis_does_not_name_is_at_the_bus_of_its_customer() {
    let battery = of_customer("c2", state("battery", -5.0, 0.0, None));
    let homes = [state("home1", -1.0, 0.0, None), state("home2", -1.0, 0.0, None)];
    let solved = |rows: &[[&str; 3]], awaited: Awaited| {
        let mut rig = rig(awaited, rows);
        assert!(!is_ready(&rig.hear_all(&homes)), "the battery is waited for");
        let said = rig.hear(&battery);
        assert!(is_ready(&said));
        ["b1", "b2"].map(|bus| voltage_kv(&said, bus, 1))
    };
    let by_customer = solved(&HOMES[..2], storages(&["battery"]));
    let named = [HOMES[0], HOMES[1], ["battery", "c2", "b2"]];
    assert_eq!(by_customer, solved(&named, Awaited::default()));
    assert_eq!(by_customer, solved(&named, Awaited { count: Some(2), ..storages(&["battery"]) }));
}

#[test]
fn a_storage_whose_customer_has_no_bus_or_several_is_an_error_that_names_both() {
    for (customer, rows, expected) in [
        ("c9", &HOMES[..1], "its customer \"c9\" has no bus there"),
        ("c1", &[HOMES[0], ["shop", "c1", "b2"]][..], "its customer \"c1\" has several buses there"),
    ] {
        let mut rig = rig(storages(&["battery"]), rows);
        for row in rows {
            rig.hear(&state(row[0], -1.0, 0.0, None));
        }
        let said = rig.hear(&of_customer(customer, state("battery", -5.0, 0.0, None)));
        let told = error(&said);
        assert!(told.starts_with("battery is not among the resources of the network"), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn only_the_categories_that_were_told_are_listened_to_and_the_storages() {
    let states = |awaited: Awaited| {
        let grid = Grid::new(waiting_for(awaited)).expect("a grid");
        let inputs = grid.inputs();
        inputs.into_iter().filter(|topic| topic.starts_with("ResourceState")).collect::<Vec<_>>()
    };
    assert_eq!(states(storages(&["battery"])), ["ResourceState.#"]);
    let categories = ["Load", "Generator"].map(str::to_owned).into();
    let awaited = Awaited { categories, ..storages(&["battery"]) };
    let expected = ["ResourceState.Generator.#", "ResourceState.Load.#", "ResourceState.*.battery"];
    assert_eq!(states(awaited), expected);
}
