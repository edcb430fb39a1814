//! Values as MMS carries them ([`Data`]), how they are built up ([`Layout`]), and where they are ([`Variable`]).
//!
//! A [`Layout`] is what a server says of one variable's type; it turns a path such as `mag.f` into positions, by which
//! a value is taken out of a [`Data`] that the server sent. A value that does not have the shape of its layout is an
//! error of the server, never a number.

use std::fmt;

/// A value of MMS (ISO 9506-2), as far as IEC 61850-8-1 uses them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float32(f32),
    Float64(f64),
    Bits(Bits),
    Octets(Vec<u8>),
    Text(String),
    /// `UtcTime`: seconds, fraction of a second, quality of the clock.
    Time([u8; 8]),
    /// `BinaryTime`, four or six octets.
    EntryTime(Vec<u8>),
    /// A structure or an array.
    Parts(Vec<Data>),
}

/// A bit string; bit 0 is the first on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    pub(crate) len: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Bits {
    /// A bit string with these bits, in the order of the wire.
    pub(crate) fn new(bits: &[bool]) -> Self {
        let mut bytes = vec![0; bits.len().div_ceil(8)];
        for (index, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
            bytes[index / 8] |= 0x80 >> (index % 8);
        }
        Self { len: bits.len(), bytes }
    }

    /// Whether the bit is there and set.
    pub(crate) fn is_set(&self, index: usize) -> bool {
        index < self.len && self.bytes.get(index / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }
}

impl Data {
    /// The part at these positions.
    pub(crate) fn at(&self, positions: &[usize]) -> Option<&Self> {
        positions.iter().try_fold(self, |data, position| match data {
            Self::Parts(parts) => parts.get(*position),
            _ => None,
        })
    }

    /// The value as a number: a truth value is 0 or 1, a bit string of at most 32 bits counts its first bit highest.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Int(value) => Some(*value as f64),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Float32(value) => Some(f64::from(*value)),
            Self::Float64(value) => Some(*value),
            Self::Bits(bits) if bits.len <= 32 => Some(
                (0..bits.len).fold(0.0, |sum, index| sum * 2.0 + f64::from(u8::from(bits.is_set(index)))),
            ),
            _ => None,
        }
    }

    /// The value as text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// How a variable is built up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    Leaf(Kind),
    Structure(Vec<(String, Layout)>),
}

/// The type of a value without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Unsigned,
    Float32,
    Float64,
    Bits,
    Text,
    /// Anything that this adapter neither reads nor writes as a number.
    Other,
}

impl Layout {
    /// The positions that a path such as `mag.f` leads along, and what is there.
    pub(crate) fn find(&self, path: &str) -> Option<(Vec<usize>, &Self)> {
        let mut positions = Vec::new();
        let mut here = self;
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let Self::Structure(parts) = here else { return None };
            let position = parts.iter().position(|(part, _)| part == name)?;
            positions.push(position);
            here = &parts[position].1;
        }
        Some((positions, here))
    }

    /// The kind of the value at the end of a path, if it has no parts.
    pub(crate) fn kind(&self, path: &str) -> Option<Kind> {
        match self.find(path)?.1 {
            Self::Leaf(kind) => Some(*kind),
            Self::Structure(_) => None,
        }
    }

    /// Whether a value has this shape, as deep as the layout goes.
    pub(crate) fn fits(&self, data: &Data) -> bool {
        match (self, data) {
            (Self::Structure(parts), Data::Parts(values)) => {
                parts.len() == values.len()
                    && parts.iter().zip(values).all(|((_, part), value)| part.fits(value))
            }
            (Self::Structure(_), _) => false,
            (Self::Leaf(kind), data) => matches!(
                (kind, data),
                (Kind::Bool, Data::Bool(_))
                    | (Kind::Int | Kind::Unsigned, Data::Int(_) | Data::Unsigned(_))
                    | (Kind::Float32 | Kind::Float64, Data::Float32(_) | Data::Float64(_))
                    | (Kind::Bits, Data::Bits(_))
                    | (Kind::Text, Data::Text(_))
                    | (Kind::Other, _)
            ),
        }
    }
}

/// Functional constraints (IEC 61850-7-2), as far as they are read or written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fc {
    /// Status.
    St,
    /// Measurands.
    Mx,
    /// Setpoints.
    Sp,
    /// Settings of the active setting group.
    Sg,
    /// Configuration.
    Cf,
    /// Description.
    Dc,
    /// Control.
    Co,
    /// Unbuffered reports.
    Rp,
    /// Buffered reports.
    Br,
}

impl Fc {
    const ALL: [Self; 9] =
        [Self::St, Self::Mx, Self::Sp, Self::Sg, Self::Cf, Self::Dc, Self::Co, Self::Rp, Self::Br];

    /// The two letters of the standard.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::St => "ST",
            Self::Mx => "MX",
            Self::Sp => "SP",
            Self::Sg => "SG",
            Self::Cf => "CF",
            Self::Dc => "DC",
            Self::Co => "CO",
            Self::Rp => "RP",
            Self::Br => "BR",
        }
    }

    /// The functional constraint with these letters.
    #[must_use]
    pub fn from_letters(letters: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fc| fc.letters() == letters)
    }
}

/// One MMS variable: a data object, or a part of one, under a functional constraint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variable {
    /// The MMS domain: the name of the logical device with the IED's name before it.
    pub(crate) domain: String,
    /// The logical node, such as `MMXU1`.
    pub(crate) node: String,
    pub(crate) fc: Fc,
    /// The data object and what follows it, with points in between: `PhV.phsA`.
    pub(crate) path: String,
}

impl Variable {
    /// This variable's part of that name.
    pub(crate) fn part(&self, name: &str) -> Self {
        Self { path: format!("{}.{name}", self.path), ..self.clone() }
    }

    /// The same object under another functional constraint.
    pub(crate) fn under(&self, fc: Fc) -> Self {
        Self { fc, ..self.clone() }
    }

    /// The name of the MMS variable within its domain (IEC 61850-8-1): `MMXU1$MX$TotW`.
    pub(crate) fn item(&self) -> String {
        format!("{}${}${}", self.node, self.fc.letters(), self.path.replace('.', "$"))
    }

    /// The reference without its functional constraint: `LD/MMXU1.TotW`.
    pub(crate) fn object(&self) -> String {
        format!("{}/{}.{}", self.domain, self.node, self.path)
    }

    /// The variable that an item of a domain names.
    pub(crate) fn from_item(domain: &str, item: &str) -> Option<Self> {
        let mut names = item.splitn(3, '$');
        let (node, fc, path) = (names.next()?, Fc::from_letters(names.next()?)?, names.next()?);
        let (domain, node) = (domain.to_owned(), node.to_owned());
        Some(Self { domain, node, fc, path: path.replace('$', ".") })
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{} [{}]", self.domain, self.node, self.path, self.fc.letters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured() -> Layout {
        let mag = Layout::Structure(vec![("f".into(), Layout::Leaf(Kind::Float32))]);
        Layout::Structure(vec![("mag".into(), mag), ("q".into(), Layout::Leaf(Kind::Bits))])
    }

    #[test]
    fn a_path_leads_to_the_value_by_position() {
        let layout = measured();
        let quality = Data::Bits(Bits::new(&[false; 13]));
        let data = Data::Parts(vec![Data::Parts(vec![Data::Float32(7.5)]), quality]);
        assert!(layout.fits(&data));
        let (positions, _) = layout.find("mag.f").unwrap();
        assert_eq!(data.at(&positions).and_then(Data::number), Some(7.5));
        assert_eq!(layout.find("mag.i"), None);
        assert_eq!(layout.kind("q"), Some(Kind::Bits));
    }

    #[test]
    fn a_value_of_another_shape_does_not_fit() {
        let layout = measured();
        let short = Data::Parts(vec![Data::Parts(vec![Data::Float32(7.5)])]);
        let other = Data::Parts(vec![Data::Parts(vec![Data::Bool(true)]), Data::Bits(Bits::new(&[]))]);
        assert!(!layout.fits(&short) && !layout.fits(&other) && !layout.fits(&Data::Float32(7.5)));
    }

    #[test]
    fn an_item_names_its_variable_and_back() {
        let variable = Variable::from_item("IEDINV", "MMXU1$MX$PhV$phsA").unwrap();
        assert_eq!(variable.object(), "IEDINV/MMXU1.PhV.phsA");
        assert_eq!(variable.item(), "MMXU1$MX$PhV$phsA");
        assert_eq!(Variable::from_item("IEDINV", "MMXU1$MX"), None);
        assert_eq!(Variable::from_item("IEDINV", "MMXU1$XX$TotW"), None);
    }

    proptest! {
        #[test]
        fn bits_are_found_where_they_were_put(bits in prop::collection::vec(any::<bool>(), 0..40)) {
            let string = Bits::new(&bits);
            for (index, bit) in bits.iter().enumerate() {
                prop_assert_eq!(string.is_set(index), *bit);
            }
            prop_assert!(!string.is_set(bits.len()));
        }
    }
}
