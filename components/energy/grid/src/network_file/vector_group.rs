//! [`VectorGroup`]: how the windings of a transformer are connected, as IEC 60076-1 writes it: `Dyn11`.

use gridloop_power_flow::Winding;

/// A vector group of two windings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VectorGroup {
    /// Three phases.
    Three {
        /// High voltage, in capitals.
        hv: Connected,
        /// Low voltage, in small letters.
        lv: Connected,
        /// Low voltage lags by 30 degrees times it.
        clock: u8,
    },
    /// `Ii0`: one coil on either side.
    Single,
}

/// How one winding is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connected {
    /// In star, delta or zigzag.
    pub(crate) winding: Winding,
    /// Whether its star point is brought out.
    pub(crate) star_out: bool,
}

impl VectorGroup {
    /// Reads a vector group.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &text[letters.len()..];
        if letters == "Ii" {
            return match number {
                "0" => Ok(Self::Single),
                _ => {
                    let turn = "write Ii0, and the phases of one side the other way round, such as \"2-1\"";
                    Err(format!("{text:?}: of transformers of one phase there is Ii0; {turn}"))
                }
            };
        }
        let small = letters.find(|c: char| c.is_ascii_lowercase()).unwrap_or(letters.len());
        let (high, low) = letters.split_at(small);
        let hv = connected(high, ["D", "Y", "YN", "Z", "ZN"])
            .ok_or_else(|| form(text, "begins with the high voltage: D, Y, YN, Z or ZN"))?;
        let lv = connected(low, ["d", "y", "yn", "z", "zn"])
            .ok_or_else(|| form(text, "goes on with the low voltage: d, y, yn, z or zn"))?;
        let clock = number
            .parse::<u8>()
            .ok()
            .filter(|clock| *clock < 12 && (number.len() == 1 || !number.starts_with('0')))
            .ok_or_else(|| form(text, "ends with the clock number, from 0 to 11"))?;
        fits(text, hv.winding, lv.winding, clock)?;
        Ok(Self::Three { hv, lv, clock })
    }
}

fn form(text: &str, part: &str) -> String {
    format!("{text:?}: a vector group, such as \"Dyn11\", {part}")
}

/// By the words for a delta, a star without and with its star point brought out, and zigzags likewise.
fn connected(word: &str, [delta, star, star_out, zigzag, zigzag_out]: [&str; 5]) -> Option<Connected> {
    let (winding, star_out) = match word {
        _ if word == delta => (Winding::Delta, false),
        _ if word == star => (Winding::Wye, false),
        _ if word == star_out => (Winding::Wye, true),
        _ if word == zigzag => (Winding::Zigzag, false),
        _ if word == zigzag_out => (Winding::Zigzag, true),
        _ => return None,
    };
    Some(Connected { winding, star_out })
}

/// Whether there is such a transformer, and whether it can be solved.
fn fits(text: &str, hv: Winding, lv: Winding, clock: u8) -> Result<(), String> {
    let zigzags = [hv, lv].into_iter().filter(|winding| *winding == Winding::Zigzag).count();
    if zigzags > 0 && ![hv, lv].contains(&Winding::Wye) {
        return Err(format!("{text:?}: a zigzag can be solved opposite a star alone, as in \"Yzn5\""));
    }
    let odd = hv != lv;
    if (clock % 2 == 1) == odd {
        return Ok(());
    }
    let numbers = if odd { "1, 3, 5, 7, 9 or 11" } else { "0, 2, 4, 6, 8 or 10" };
    let word = |winding| match winding {
        Winding::Delta => "a delta",
        Winding::Wye => "a star",
        Winding::Zigzag => "a zigzag",
    };
    let (hv, lv) = (word(hv), word(lv));
    Err(format!("{text:?}: between {hv} and {lv} the clock number is {numbers}, and cannot be {clock}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(text: &str) -> (Winding, bool, Winding, bool, u8) {
        match VectorGroup::parse(text) {
            Ok(VectorGroup::Three { hv, lv, clock }) => {
                (hv.winding, hv.star_out, lv.winding, lv.star_out, clock)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_vector_group_is_read_as_the_rating_plate_has_it() {
        use Winding::{Delta, Wye, Zigzag};
        assert_eq!(three("Dyn11"), (Delta, false, Wye, true, 11));
        assert_eq!(three("Dyn5"), (Delta, false, Wye, true, 5));
        assert_eq!(three("Yyn0"), (Wye, false, Wye, true, 0));
        assert_eq!(three("YNyn6"), (Wye, true, Wye, true, 6));
        assert_eq!(three("YNd11"), (Wye, true, Delta, false, 11));
        assert_eq!(three("Dd10"), (Delta, false, Delta, false, 10));
        assert_eq!(three("Yzn5"), (Wye, false, Zigzag, true, 5));
        assert_eq!(VectorGroup::parse("Ii0"), Ok(VectorGroup::Single));
    }

    #[test]
    fn a_vector_group_that_cannot_be_is_refused_in_words() {
        for (text, expected) in [
            ("Dyn4", "between a delta and a star the clock number is 1, 3, 5, 7, 9 or 11, and cannot be 4"),
            ("Yyn11", "between a star and a star the clock number is 0, 2, 4, 6, 8 or 10, and cannot be 11"),
            ("Yzn0", "between a star and a zigzag the clock number is 1, 3, 5, 7, 9 or 11, and cannot be 0"),
            ("Dyn12", "ends with the clock number, from 0 to 11"),
            ("Dyn011", "ends with the clock number, from 0 to 11"),
            ("Dyn", "ends with the clock number"),
            ("dyn11", "begins with the high voltage: D, Y, YN, Z or ZN"),
            ("DYN11", "begins with the high voltage"),
            ("DNyn11", "begins with the high voltage"),
            ("Ddn0", "goes on with the low voltage: d, y, yn, z or zn"),
            ("YNyn0d5", "goes on with the low voltage"),
            ("YNa0", "goes on with the low voltage"),
            ("Dzn0", "a zigzag can be solved opposite a star alone"),
            ("Ii6", "there is Ii0"),
            ("", "begins with the high voltage"),
            ("ä11", "begins with the high voltage"),
        ] {
            let told = VectorGroup::parse(text).expect_err(text);
            assert!(told.contains(expected), "{text}: {told}");
        }
    }
}
