//! What the drivers over Modbus TCP have in common.

use gridloop_service::Section;

/// The Modbus unit id. Notes an address that is neither `simulated` nor one of Modbus TCP.
pub(super) fn read_unit(section: &Section<'_>) -> u8 {
    let _ = section
        .text("address", "`tcp://host:port`, or `simulated` for a device that gridloop serves itself.")
        .matching(|text| match text.as_str() {
            "simulated" => Ok(()),
            text => text.parse::<gridloop_modbus::Address>().map(drop).map_err(|error| error.to_string()),
        })
        .such_as("tcp://192.0.2.10:502")
        .or("simulated".into());
    section.integer("unit", "Modbus unit id.").within(0..=255).fits::<u8>().or(1)
}
