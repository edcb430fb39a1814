//! Randomness that can be had again: [`Dice`].

use fastrand::Rng;
use std::time::Duration;

/// Random numbers of one component in one epoch. They depend on nothing but the seed, the component's name, the epoch
/// and the purpose, so that neither a restart nor an epoch passed over changes those of another epoch.
#[derive(Debug)]
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) fn new(seed: u64, name: &str, epoch: u64, purpose: &str) -> Self {
        let parts =
            [&seed.to_le_bytes()[..], name.as_bytes(), &[0], &epoch.to_le_bytes(), purpose.as_bytes()];
        Self(Rng::with_seed(fnv_1a(parts.into_iter().flatten())))
    }

    /// Whether something of this probability happens.
    pub(crate) fn falls(&mut self, chance: f64) -> bool {
        self.0.f64() < chance
    }

    /// Evenly from `low` to below `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.f64()
    }

    /// Evenly from `shortest` to below `longest`.
    pub(crate) fn time_between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        shortest + longest.saturating_sub(shortest).mul_f64(self.0.f64())
    }
}

/// The 64-bit FNV-1a hash: the same on every machine and with every compiler, unlike the standard library's.
fn fnv_1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}
