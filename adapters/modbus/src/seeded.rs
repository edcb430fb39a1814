//! Numbers that depend on nothing but a seed, for tests: [`Seeded`] (splitmix64).

/// The generator.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of these.
    pub(crate) fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        let index = usize::try_from(self.below(u64::try_from(choices.len()).unwrap())).unwrap();
        &choices[index]
    }

    /// A register: as often as not one of those at the edges of the types.
    pub(crate) fn register(&mut self) -> u16 {
        const EDGES: [u16; 9] = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF, 0x7FC0, 0x7F80];
        if self.below(2) == 0 { *self.pick(&EDGES) } else { u16::try_from(self.below(0x1_0000)).unwrap() }
    }
}
