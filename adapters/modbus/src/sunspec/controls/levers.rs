//! The points by which models 123, 124 and 704 are driven, as data: [`Means`] is one way to command an inverter,
//! made of a [`Lever`] for real power and, where the model has one, one for reactive power.

use super::Impossible;
use crate::sunspec::block::Block;

/// A way to command real power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sunspec) enum Means {
    /// WMaxLimPct of model 704: a ceiling.
    Limit704,
    /// WMaxLimPct of model 123: a ceiling.
    Limit123,
    /// WSet of model 704: a set point, below zero for charging.
    WSet704,
    /// InWRte and OutWRte of model 124: a window that leaves one power only.
    Storage124,
}

/// What one hundred per cent of a point are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// WMax.
    Max,
    /// The most that the storage may be charged with, counted in the opposite direction.
    Charge,
    /// The most that the storage may be discharged with.
    Discharge,
    /// The point is in W or var.
    None,
}

/// A point that takes the value of a command.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) point: &'static str,
    pub(super) whole: Whole,
}

/// The points by which one quantity is commanded.
#[derive(Debug)]
pub(super) struct Lever {
    /// The value; where there are two, both say the same.
    pub(super) values: &'static [Value],
    /// The point that puts it in force, and its value for that; 0 takes it out of force.
    pub(super) enable: (&'static str, f64),
    /// Seconds until it reverts; 0 is never.
    pub(super) revert_s: &'static str,
    /// The value to revert to, and 1 for doing so.
    pub(super) revert_to: Option<(&'static str, &'static str)>,
    /// The point that selects the meaning of the value, and its value for that.
    pub(super) mode: Option<(&'static str, f64)>,
}

/// The levers of one means.
#[derive(Debug)]
pub(super) struct Levers {
    pub(super) real: Lever,
    pub(super) reactive: Option<Lever>,
    /// The models and enabling points of commands that contradict ours.
    pub(super) rivals: &'static [(u16, &'static str)],
}

impl Means {
    /// The model that it belongs to.
    pub(in crate::sunspec) const fn model(self) -> u16 {
        match self {
            Self::Limit704 | Self::WSet704 => 704,
            Self::Limit123 => 123,
            Self::Storage124 => 124,
        }
    }

    /// Whether it commands a power, charging included, and not a ceiling.
    pub(in crate::sunspec) const fn is_set_point(self) -> bool {
        matches!(self, Self::WSet704 | Self::Storage124)
    }

    /// The other models in which a command may stand that contradicts ours.
    pub(in crate::sunspec) fn rival_models(self) -> impl Iterator<Item = u16> {
        let others = [123, 124, 704].into_iter().filter(move |model| *model != self.model());
        others.filter(move |model| self.levers().rivals.iter().any(|(rival, _)| rival == model))
    }

    /// Finds that nothing in this block contradicts ours.
    pub(in crate::sunspec) fn yields_to(self, block: &Block) -> Result<(), Impossible> {
        for (model, point) in self.levers().rivals.iter().filter(|(model, _)| *model == block.model.id) {
            if block.named(point)?.is_some_and(|enabled| enabled != 0.0) {
                return Err(Impossible::Rival { model: *model, point });
            }
        }
        Ok(())
    }

    pub(super) const fn levers(self) -> &'static Levers {
        match self {
            Self::Limit704 => &LIMIT_704,
            Self::Limit123 => &LIMIT_123,
            Self::WSet704 => &WSET_704,
            Self::Storage124 => &STORAGE_124,
        }
    }
}

const VAR_704: Lever = Lever {
    values: &[Value { point: "VarSetPct", whole: Whole::Max }],
    enable: ("VarSetEna", 1.0),
    revert_s: "VarSetRvrtTms",
    revert_to: Some(("VarSetPctRvrt", "VarSetEnaRvrt")),
    mode: Some(("VarSetMod", 0.0)),
};

static LIMIT_704: Levers = Levers {
    real: Lever {
        values: &[Value { point: "WMaxLimPct", whole: Whole::Max }],
        enable: ("WMaxLimPctEna", 1.0),
        revert_s: "WMaxLimPctRvrtTms",
        revert_to: Some(("WMaxLimPctRvrt", "WMaxLimPctEnaRvrt")),
        mode: None,
    },
    reactive: Some(VAR_704),
    rivals: &[(704, "WSetEna")],
};

static WSET_704: Levers = Levers {
    real: Lever {
        values: &[Value { point: "WSet", whole: Whole::None }],
        enable: ("WSetEna", 1.0),
        revert_s: "WSetRvrtTms",
        revert_to: Some(("WSetRvrt", "WSetEnaRvrt")),
        mode: Some(("WSetMod", 1.0)),
    },
    reactive: Some(VAR_704),
    rivals: &[(704, "WMaxLimPctEna"), (123, "WMaxLim_Ena"), (124, "StorCtl_Mod")],
};

static LIMIT_123: Levers = Levers {
    real: Lever {
        values: &[Value { point: "WMaxLimPct", whole: Whole::Max }],
        enable: ("WMaxLim_Ena", 1.0),
        revert_s: "WMaxLimPct_RvrtTms",
        revert_to: None,
        mode: None,
    },
    reactive: Some(Lever {
        values: &[Value { point: "VArWMaxPct", whole: Whole::Max }],
        enable: ("VArPct_Ena", 1.0),
        revert_s: "VArPct_RvrtTms",
        revert_to: None,
        mode: Some(("VArPct_Mod", 1.0)),
    }),
    rivals: &[(704, "WMaxLimPctEna"), (704, "WSetEna"), (704, "VarSetEna")],
};

/// Bits 0 and 1 of StorCtl_Mod put both ends of the window in force. The discharge rate of minus a third and the
/// charge rate of a third leave charging at a third as the only power.
static STORAGE_124: Levers = Levers {
    real: Lever {
        values: &[
            Value { point: "OutWRte", whole: Whole::Discharge },
            Value { point: "InWRte", whole: Whole::Charge },
        ],
        enable: ("StorCtl_Mod", 3.0),
        revert_s: "InOutWRte_RvrtTms",
        revert_to: None,
        mode: None,
    },
    reactive: None,
    rivals: &[(704, "WMaxLimPctEna"), (704, "WSetEna"), (123, "WMaxLim_Ena")],
};
