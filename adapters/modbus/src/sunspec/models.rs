//! SunSpec information models as data: which points a [`Model`] has, in which order, of which type.
//!
//! A [`Point`]'s offset follows from the sizes of the points before it, so the tables state no offsets. The facts
//! (names, types, order, units, access) are those of the public SunSpec model definitions. Where the end of a model
//! repeats, its [`Group`] describes one repetition. The client decodes with these tables and the simulated devices
//! lay out their registers by them.

mod dc;
mod der;
mod inverter;
mod settings;
mod storage;
mod supervision;

/// How many registers precede a model's first point: its ID and its length L.
pub const HEADER_REGISTERS: u16 = 2;

/// A SunSpec information model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// The model's number, as it stands in its first register.
    pub id: u16,
    /// What it describes, for people.
    pub title: &'static str,
    /// Its points in register order, without ID and L.
    pub points: &'static [Point],
    /// What follows them, any number of times.
    pub group: Option<Group>,
}

/// The part of a model that repeats, such as the modules of model 160.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Its name, as SunSpec spells it.
    pub name: &'static str,
    /// The point that says how often it is there; absent, the model's length says so.
    pub count: Option<&'static str>,
    /// The points of one repetition. Their offsets count from its first register; their scale factors are points of
    /// the model.
    pub points: &'static [Point],
}

impl Group {
    /// How many registers one repetition has.
    #[must_use]
    pub fn registers(&self) -> u16 {
        self.points.last().map_or(0, |last| last.offset + last.kind.registers())
    }
}

impl Model {
    /// The value of L that goes with this table without repetitions: registers without ID and L. A device may state
    /// another one.
    #[must_use]
    pub fn length(&self) -> u16 {
        self.points.last().map_or(0, |last| last.offset + last.kind.registers() - HEADER_REGISTERS)
    }

    /// The point of this name.
    #[must_use]
    pub fn point(&self, name: &str) -> Option<&'static Point> {
        self.points.iter().find(|point| point.name == name)
    }
}

/// One point of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Its name, as SunSpec spells it. Points of a group carry the group's name: `PFWInj.PF`.
    pub name: &'static str,
    /// Its type, which also says how many registers it has and how "not implemented" looks.
    pub kind: Kind,
    /// Registers from the model's ID register, or from the first register of its repetition, to its first register.
    pub offset: u16,
    /// The point that holds its scale factor.
    pub scale: Option<&'static str>,
    /// Its unit after scaling, as SunSpec spells it; empty for pure numbers, states and texts.
    pub unit: &'static str,
    /// Whether it may be written.
    pub writable: bool,
}

/// The point types of the models that are listed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signed 16 bit; 0x8000 is "not implemented".
    Int16,
    /// Unsigned 16 bit; 0xFFFF is "not implemented".
    Uint16,
    /// Signed 32 bit; 0x80000000 is "not implemented".
    Int32,
    /// Unsigned 32 bit; 0xFFFFFFFF is "not implemented".
    Uint32,
    /// Unsigned 64 bit; 0xFFFFFFFFFFFFFFFF is "not implemented".
    Uint64,
    /// How often a group repeats; 0xFFFF is "not implemented".
    Count,
    /// Counter of 32 bit; 0 is "not accumulated".
    Acc32,
    /// Counter of 64 bit; 0 is "not accumulated".
    Acc64,
    /// One of a list of states; 0xFFFF is "not implemented".
    Enum16,
    /// 16 flags; 0xFFFF is "not implemented".
    Bitfield16,
    /// 32 flags; 0xFFFFFFFF is "not implemented".
    Bitfield32,
    /// IEEE 754 binary32; any NaN is "not implemented".
    Float32,
    /// Exponent of ten from -10 to 10; 0x8000 is "not implemented".
    ScaleFactor,
    /// Text of this many registers, two bytes each, padded with NUL; all NUL is "not implemented".
    Text(u16),
    /// A register without meaning.
    Pad,
}

impl Kind {
    /// How many registers a value has.
    #[must_use]
    pub const fn registers(self) -> u16 {
        match self {
            Self::Int16 | Self::Uint16 | Self::Count => 1,
            Self::Enum16 | Self::Bitfield16 | Self::ScaleFactor | Self::Pad => 1,
            Self::Int32 | Self::Uint32 | Self::Acc32 | Self::Bitfield32 | Self::Float32 => 2,
            Self::Uint64 | Self::Acc64 => 4,
            Self::Text(registers) => registers,
        }
    }
}

/// Every model this crate knows, by rising number.
#[must_use]
pub const fn models() -> &'static [Model] {
    MODELS
}

/// The model of this number.
#[must_use]
pub fn model(id: u16) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.id == id)
}

const MODELS: &[Model] = &[
    fixed(1, "Common", inverter::COMMON),
    fixed(101, "Inverter, single phase", inverter::INTEGER),
    fixed(102, "Inverter, split phase", inverter::INTEGER),
    fixed(103, "Inverter, three phase", inverter::INTEGER),
    fixed(111, "Inverter, single phase, floating point", inverter::FLOAT),
    fixed(112, "Inverter, split phase, floating point", inverter::FLOAT),
    fixed(113, "Inverter, three phase, floating point", inverter::FLOAT),
    fixed(120, "Nameplate ratings", settings::NAMEPLATE),
    fixed(121, "Basic settings", settings::BASIC),
    fixed(122, "Measurements and status", settings::STATUS),
    fixed(123, "Immediate controls", settings::CONTROLS),
    fixed(124, "Basic storage controls", storage::BASIC),
    repeating(160, "MPPT modules", dc::MPPT, Group { name: "module", count: Some("N"), points: dc::MODULE }),
    fixed(701, "DER AC measurements", der::MEASUREMENTS),
    fixed(702, "DER capacity", der::CAPACITY),
    fixed(703, "DER entering service", der::ENTER_SERVICE),
    fixed(704, "DER AC controls", der::AC_CONTROLS),
    fixed(713, "DER storage capacity", storage::CAPACITY),
    repeating(
        714,
        "DER DC measurements",
        dc::PORTS,
        Group { name: "Prt", count: Some("NPrt"), points: dc::PORT },
    ),
    fixed(715, "DER control", supervision::CONTROL),
    fixed(802, "Battery", storage::BATTERY),
];

const fn fixed(id: u16, title: &'static str, points: &'static [Point]) -> Model {
    Model { id, title, points, group: None }
}

const fn repeating(id: u16, title: &'static str, points: &'static [Point], group: Group) -> Model {
    Model { id, title, points, group: Some(group) }
}

/// A read-only point without unit and scale factor; its offset is set by [`laid_out`].
const fn point(name: &'static str, kind: Kind) -> Point {
    Point { name, kind, offset: 0, scale: None, unit: "", writable: false }
}

impl Point {
    const fn scaled(mut self, by: &'static str) -> Self {
        self.scale = Some(by);
        self
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn writable(mut self) -> Self {
        self.writable = true;
        self
    }
}

/// Gives each point of a model the offset that its place in the order demands.
const fn laid_out<const N: usize>(points: [Point; N]) -> [Point; N] {
    laid_out_from(HEADER_REGISTERS, points)
}

/// Gives each point of a repetition the offset that its place in the order demands.
const fn grouped<const N: usize>(points: [Point; N]) -> [Point; N] {
    laid_out_from(0, points)
}

const fn laid_out_from<const N: usize>(mut offset: u16, mut points: [Point; N]) -> [Point; N] {
    let mut index = 0;
    while index < N {
        points[index].offset = offset;
        offset += points[index].kind.registers();
        index += 1;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets and lengths as the SunSpec documents print them, counted from the model's ID register.
    #[test]
    fn offsets_agree_with_the_published_models() {
        type Published<'p> = (u16, u16, &'p [(&'p str, u16)]);
        let published: &[Published] = &[
            (1, 66, &[("Mn", 2), ("Md", 18), ("Opt", 34), ("Vr", 42), ("SN", 50), ("DA", 66)]),
            (103, 50, &[("A", 2), ("PhVphA", 10), ("W", 14), ("W_SF", 15), ("Hz", 16), ("VAr", 20)]),
            (103, 50, &[("WH", 24), ("TmpCab", 33), ("St", 38), ("Evt1", 40)]),
            (113, 60, &[("A", 2), ("PhVphA", 16), ("W", 22), ("Hz", 24), ("VAr", 28), ("St", 48)]),
            (120, 26, &[("DERTyp", 2), ("WRtg", 3), ("VArRtgQ1", 7), ("MaxDisChaRte", 25)]),
            (121, 30, &[("WMax", 2), ("VArMaxQ1", 8), ("ECPNomHz", 20), ("WMax_SF", 22)]),
            (122, 44, &[("PVConn", 2), ("ActWh", 5), ("WAval", 31), ("StActCtl", 35), ("Ris_SF", 45)]),
            (123, 24, &[("Conn", 4), ("WMaxLimPct", 5), ("WMaxLimPct_RvrtTms", 7), ("WMaxLim_Ena", 9)]),
            (123, 24, &[("OutPFSet", 10), ("VArWMaxPct", 15), ("VArPct_Ena", 22), ("WMaxLimPct_SF", 23)]),
            (
                124,
                24,
                &[("WChaMax", 2), ("StorCtl_Mod", 5), ("ChaState", 8), ("OutWRte", 12), ("InWRte", 13)],
            ),
            (124, 24, &[("InOutWRte_RvrtTms", 15), ("InOutWRte_SF", 25)]),
            (160, 8, &[("DCA_SF", 2), ("Evt", 6), ("N", 8)]),
            (701, 153, &[("ACType", 2), ("W", 10), ("Hz", 17), ("A_SF", 113), ("MnAlrmInfo", 123)]),
            (702, 50, &[("WMaxRtg", 2), ("CtrlModes", 23), ("WMax", 26), ("VarMaxInj", 32), ("W_SF", 45)]),
            (704, 65, &[("WMaxLimPctEna", 14), ("WMaxLimPct", 15), ("WMaxLimPctRvrt", 16)]),
            (704, 65, &[("WMaxLimPctEnaRvrt", 17), ("WMaxLimPctRvrtTms", 18), ("WMaxLimPctRvrtRem", 20)]),
            (713, 7, &[("WHRtg", 2), ("SoC", 4), ("Pct_SF", 8)]),
            (714, 18, &[("NPrt", 4), ("DCW", 6), ("Tmp_SF", 19)]),
            (715, 7, &[("LocRemCtl", 2), ("DERHb", 3), ("ControllerHb", 5), ("OpCtl", 8)]),
            (802, 62, &[("AHRtg", 2), ("SoC", 11), ("W", 47), ("W_SF", 63)]),
            (
                704,
                65,
                &[("WSetEna", 22), ("WSet", 24), ("VarSetEna", 35), ("VarSetRvrtRem", 47), ("WRmp", 49)],
            ),
        ];
        for (id, length, points) in published {
            let model = model(*id).unwrap();
            assert_eq!(model.length(), *length, "length of model {id}");
            for (name, offset) in *points {
                assert_eq!(model.point(name).unwrap().offset, *offset, "{name} of model {id}");
            }
        }
    }

    #[test]
    fn every_scale_factor_named_is_a_scale_factor_of_the_same_model() {
        for model in models() {
            let repeated = model.group.iter().flat_map(|group| group.points);
            for scale in model.points.iter().chain(repeated).filter_map(|point| point.scale) {
                let kind = model.point(scale).map(|point| point.kind);
                assert_eq!(kind, Some(Kind::ScaleFactor), "{scale} of model {}", model.id);
            }
        }
    }

    #[test]
    fn no_model_has_two_points_of_one_name() {
        for model in models() {
            let mut names: Vec<_> = model.points.iter().map(|point| point.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), model.points.len(), "model {}", model.id);
        }
    }
}
