//! How a tap changer is moved, where it stands, and what keeps commands out.

use super::{Planner, measured, unfit};
use crate::data::{Fc, Kind, Layout, Variable};
use crate::directory::class;
use crate::mapping::TapMapping;
use crate::plan::{Cell, Shape, TapDrive, TapPlan, whole};
use gridloop_device::DeviceError;
use std::time::Duration;

/// How long a tap command may take until the position shows it, unless the mapping says otherwise.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

impl Planner<'_> {
    pub(super) async fn tap(&mut self, tap: &TapMapping) -> Result<Option<TapPlan>, DeviceError> {
        let Some(name) = &tap.position else { return Ok(None) };
        let object = self.locate(name)?;
        let paths = ["valWTr.posVal", "stVal", "mxVal.i", "mxVal.f"];
        let (cell, path) = self.cell(&object, &[Fc::St, Fc::Mx], &paths).await?;
        let layout = &self.plan.layouts[cell.variable];
        let position = measured(cell.variable, layout, &path).ok_or_else(|| unfit("no tap position"))?;
        let transient =
            layout.find("valWTr.transInd").map(|(positions, _)| Cell { variable: cell.variable, positions });
        let drive = self.drive(tap).await?;
        let mut ends = (tap.lowest, tap.highest);
        let mut tells = vec![object.clone()];
        if let Some(TapDrive::Steps { object, .. } | TapDrive::Position { object, .. }) = &drive {
            tells.push(object.clone());
        }
        for object in &tells {
            let told = self.told_range(object).await?;
            ends.0 = ends.0.or(told.and_then(|(lowest, _)| whole(lowest)));
            ends.1 = ends.1.or(told.and_then(|(_, highest)| whole(highest)));
        }
        let (Some(lowest), Some(highest)) = ends else {
            let reason =
                "the server does not tell the end positions; give `lowest` and `highest` under [tap]";
            return Err(unfit(reason));
        };
        if lowest >= highest {
            return Err(unfit(format!("the end positions {lowest} and {highest} are none")));
        }
        let blocks = self.blocks(&tells).await?;
        let at_highest = self.status(&object, "EndPosR").await?;
        let at_lowest = self.status(&object, "EndPosL").await?;
        let confirm_within = tap.confirm_within.unwrap_or(CONFIRM_WITHIN);
        Ok(Some(TapPlan {
            position,
            transient,
            lowest,
            highest,
            confirm_within,
            drive,
            blocks,
            at_highest,
            at_lowest,
        }))
    }

    async fn drive(&mut self, tap: &TapMapping) -> Result<Option<TapDrive>, DeviceError> {
        let Some(name) = tap.setpoint.as_ref().or(tap.command.as_ref()) else { return Ok(None) };
        let object = self.locate(name)?;
        if !self.directory.has(&object.under(Fc::Co).part("Oper")) {
            return Err(unfit(format!("{} cannot be controlled", object.object())));
        }
        let Some(model) = self.control_model(&object).await? else { return Ok(None) };
        Ok(Some(if tap.setpoint.is_some() {
            let shape = self.command_shape(&object).await?;
            TapDrive::Position { object, model, shape }
        } else {
            match self.command_shape(&object).await? {
                Shape::Plain(Kind::Bits) => TapDrive::Steps { object, model },
                _ => return Err(unfit(format!("{} takes no \"raise\" and \"lower\"", object.object()))),
            }
        }))
    }

    /// What keeps tap commands out: local control, the automatic mode, a block.
    async fn blocks(&mut self, objects: &[Variable]) -> Result<Vec<(Cell, String)>, DeviceError> {
        const STATES: [(&str, &str); 4] = [
            ("Loc", "is under local control"),
            ("LocKey", "is switched to local control"),
            ("LTCBlk", "is blocked"),
            ("Auto", "is in automatic mode"),
        ];
        let Some(first) = objects.first() else { return Ok(Vec::new()) };
        let mut nodes: Vec<String> = objects.iter().map(|object| object.node.clone()).collect();
        let others = self.directory.nodes(&first.domain);
        let concerned = others.into_iter().filter(|node| *node == "LLN0" || class(node) == Some("ATCC"));
        nodes.extend(concerned.map(ToOwned::to_owned));
        nodes.sort_unstable();
        nodes.dedup();
        let mut blocks = Vec::new();
        for node in nodes {
            for (name, words) in STATES {
                let beside = Variable { node: node.clone(), ..first.clone() };
                if let Some(cell) = self.status(&beside, name).await? {
                    blocks.push((cell, format!("{node} {words}")));
                }
            }
        }
        Ok(blocks)
    }

    /// The truth value of the status object of this name in the same logical node, where there is one.
    async fn status(&mut self, beside: &Variable, name: &str) -> Result<Option<Cell>, DeviceError> {
        let variable = Variable { fc: Fc::St, path: name.to_owned(), ..beside.clone() };
        if !self.directory.has(&variable) {
            return Ok(None);
        }
        let variable_index = self.add(variable).await?;
        let layout = &self.plan.layouts[variable_index];
        let found = layout.find("stVal").filter(|(_, at)| **at == Layout::Leaf(Kind::Bool));
        Ok(found.map(|(positions, _)| Cell { variable: variable_index, positions }))
    }
}
