//! What a quality attribute `q` (IEC 61850-7-3) makes of a value: [`quality`].

use crate::data::Bits;
use gridloop_device::Quality;

/// The bits of a quality attribute.
const LEN: usize = 13;
const OUT_OF_RANGE: usize = 3;
const OLD_DATA: usize = 7;
const SUBSTITUTED: usize = 10;

/// The quality of a value with this quality attribute: the worst that any of its bits asks for. Only an attribute
/// with no bit set at all is good. One of another length than the standard's is questionable, since it says nothing
/// that could be relied on.
///
/// | bits | quality |
/// |---|---|
/// | none | good |
/// | `oldData` | stale |
/// | validity questionable, invalid or reserved; `test`, `operatorBlocked`, any other detail | questionable |
/// | `outOfRange` | out of range |
/// | source `substituted` | substituted |
pub(crate) fn quality(q: &Bits) -> Quality {
    if q.len != LEN {
        return Quality::Questionable;
    }
    let meaning = |index: usize| match index {
        OUT_OF_RANGE => Quality::OutOfRange,
        OLD_DATA => Quality::Stale,
        SUBSTITUTED => Quality::Substituted,
        _ => Quality::Questionable,
    };
    (0..LEN).filter(|index| q.is_set(*index)).map(meaning).max().unwrap_or(Quality::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(bits: &[usize]) -> Quality {
        let mut all = [false; LEN];
        for bit in bits {
            all[*bit] = true;
        }
        quality(&Bits::new(&all))
    }

    #[test]
    fn each_bit_means_what_the_table_says() {
        assert_eq!(with(&[]), Quality::Good);
        assert_eq!(with(&[7]), Quality::Stale, "old data");
        assert_eq!(with(&[1]), Quality::Questionable, "invalid");
        assert_eq!(with(&[0]), Quality::Questionable, "reserved validity");
        assert_eq!(with(&[0, 1]), Quality::Questionable, "questionable");
        assert_eq!(with(&[0, 1, 2]), Quality::Questionable, "overflow");
        assert_eq!(with(&[0, 1, 3]), Quality::OutOfRange, "out of range");
        assert_eq!(with(&[1, 6]), Quality::Questionable, "failure");
        assert_eq!(with(&[0, 1, 7]), Quality::Questionable, "questionable old data");
        assert_eq!(with(&[11]), Quality::Questionable, "test");
        assert_eq!(with(&[12]), Quality::Questionable, "operator blocked");
        assert_eq!(with(&[10]), Quality::Substituted, "substituted");
    }

    proptest! {
        #[test]
        fn nothing_but_a_clean_attribute_is_good(bits in prop::collection::vec(any::<bool>(), 0..20)) {
            let clean = bits.len() == LEN && !bits.contains(&true);
            prop_assert_eq!(quality(&Bits::new(&bits)) == Quality::Good, clean);
        }
    }
}
