//! How a [`ScanReport`] is shown.

use super::{Comparison, ScanReport, ScannedDevice};
use crate::port::ControlModel;
use std::fmt;

/// How many differences of a kind are shown.
const MOST_SHOWN: usize = 20;

impl ScanReport {
    /// A block for each logical device that something is recognised in, ready to be pasted into a configuration. It
    /// starts read-only, and the safe state is to be chosen by whoever pastes it.
    #[must_use]
    pub fn config_block(&self) -> String {
        let used = self.logical_devices.iter().filter(|device| !device.points.is_empty());
        let blocks: Vec<String> = used.map(|device| self.block(device)).collect();
        if blocks.is_empty() {
            return "# nothing is recognised: name the objects in a mapping (docs/iec61850.md)\n".to_owned();
        }
        blocks.join("\n")
    }

    fn block(&self, device: &ScannedDevice) -> String {
        let name: String =
            device.domain.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let mut block = format!("[device.{name}]\ndriver = \"iec61850\"\naddress = \"{}\"\n", self.address);
        if self.logical_devices.len() > 1 {
            block.push_str(&format!("logical_device = \"{}\"\n", device.domain));
        }
        if let Some(report) = device.reports.iter().find(|report| !report.enabled) {
            let kind = if report.buffered { "buffered" } else { "unbuffered" };
            block.push_str(&format!("# reports = true    # {} is free ({kind})\n", report.name));
        }
        block.push_str("mode = \"read-only\"\n");
        for command in &device.commands {
            block.push_str(&format!("# takes {command}\n"));
        }
        block.push_str("safe_state = \"hold\"    # or \"release\", or a command: what is safe here?\n");
        block
    }
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} logical devices", self.address, self.logical_devices.len())?;
        for device in &self.logical_devices {
            show_device(device, f)?;
        }
        if let Some(comparison) = &self.comparison {
            show_comparison(comparison, f)?;
        }
        Ok(())
    }
}

fn show_device(device: &ScannedDevice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n{}  {}", device.domain, device.identity)?;
    for (node, objects) in &device.nodes {
        writeln!(f, "  {node:<12} {}", objects.join(" "))?;
    }
    for control in &device.controls {
        writeln!(
            f,
            "  control      {}  {}",
            control.object,
            control.model.map_or("status-only", ControlModel::name)
        )?;
    }
    for report in &device.reports {
        let kind = if report.buffered { "buffered" } else { "unbuffered" };
        let state = if report.enabled { "enabled by a client" } else { "free" };
        writeln!(f, "  report       {}  {kind}, {}, {state}", report.name, report.data_set)?;
    }
    for command in &device.commands {
        writeln!(f, "  command      {command}")?;
    }
    for point in &device.points {
        let unit = point.unit.ucum();
        writeln!(f, "  {:<18} {:>12.3} {unit:<7} {:?}", point.name, point.value, point.quality)?;
    }
    if let Some(trouble) = &device.trouble {
        writeln!(f, "  not usable as it is: {trouble}")?;
    }
    Ok(())
}

fn show_comparison(comparison: &Comparison, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(ied) = &comparison.ied else {
        return writeln!(f, "\nno IED of the description has any of these logical devices");
    };
    let same = comparison.lacking.is_empty()
        && comparison.undescribed.is_empty()
        && comparison.control_models.is_empty();
    if same {
        return writeln!(f, "\nas the description says of {ied}");
    }
    writeln!(f, "\ncompared with {ied} of the description")?;
    let kinds = [("the IED lacks", &comparison.lacking), ("the description lacks", &comparison.undescribed)];
    for (what, objects) in kinds {
        for object in objects.iter().take(MOST_SHOWN) {
            writeln!(f, "  {what} {object}")?;
        }
        if objects.len() > MOST_SHOWN {
            writeln!(f, "  {what} {} more", objects.len() - MOST_SHOWN)?;
        }
    }
    for (object, said, is) in &comparison.control_models {
        writeln!(f, "  {object} is {is}, the description says {said}")?;
    }
    Ok(())
}
