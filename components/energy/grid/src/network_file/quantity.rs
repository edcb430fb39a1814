//! Quantities of a branch, in whatever unit a file has them: [`Quantities`] gives them in per unit.

use gridloop_service::Section;

/// The largest number that an impedance, admittance or current may have, in whatever unit.
const LARGEST: f64 = 1e12;

/// The longest line, in km.
const LONGEST_KM: f64 = 10_000.0;

/// Reads the quantities of one table.
pub(super) struct Quantities<'s, 'a> {
    section: &'s Section<'a>,
    base_ohm: f64,
    base_a: f64,
    angular_frequency: f64,
    length_km: Option<f64>,
}

impl<'s, 'a> Quantities<'s, 'a> {
    pub(super) fn of(section: &'s Section<'a>, base_ohm: f64, base_a: f64, frequency_hz: f64) -> Self {
        let angular_frequency = 2.0 * std::f64::consts::PI * frequency_hz;
        Self { section, base_ohm, base_a, angular_frequency, length_km: None }
    }

    /// The same for a line, which has a length where something is given per km.
    pub(super) fn with_length(self) -> Self {
        let about = "Its length in km, for what is given per km.";
        let length = self.section.number("length_km", about).positive().at_most(LONGEST_KM).optional();
        Self { length_km: length, ..self }
    }

    /// `NAME_pu` or `NAME_ohm`.
    pub(super) fn lumped_impedance(&self, name: &str, about: &str) -> Option<f64> {
        let ohm = self.base_ohm.recip();
        self.pick(name, about, &[("pu", "in per unit", 1.0), ("ohm", "in ohm", ohm)])
    }

    /// `NAME_pu`, `NAME_ohm` or `NAME_ohm_per_km`.
    pub(super) fn impedance(&self, name: &str, about: &str) -> Option<f64> {
        let whole = self.lumped_impedance(name, about);
        let key = format!("{name}_ohm_per_km");
        let Some(per_km) = self.number(&key, &format!("{about}, in ohm for each km.")) else { return whole };
        if whole.is_some() {
            self.section.error(Some(&key), format!("this or `{name}_ohm`, not both"), None);
        }
        Some(per_km * self.length_for(&key)? / self.base_ohm)
    }

    /// `NAME_pu` or `NAME_s`.
    pub(super) fn admittance(&self, name: &str, about: &str) -> Option<f64> {
        self.pick(name, about, &[("pu", "in per unit", 1.0), ("s", "in S", self.base_ohm)])
    }

    /// `NAME_nf_per_km`, as a susceptance.
    pub(super) fn capacitance(&self, name: &str, about: &str) -> Option<f64> {
        let key = format!("{name}_nf_per_km");
        let scale = self.angular_frequency * 1e-9 * self.base_ohm;
        let value = self.number(&key, &format!("{about}, in nF for each km."))?;
        Some(value * scale * self.length_for(&key)?)
    }

    /// `NAME_pu` or `NAME_a`.
    pub(super) fn current(&self, name: &str, about: &str) -> Option<f64> {
        self.pick(name, about, &[("pu", "in per unit", 1.0), ("a", "in A", self.base_a.recip())])
    }

    /// As [`impedance`](Self::impedance), by rows the lower triangle of a matrix over so many conductors: no `_pu`.
    pub(super) fn matrix(&self, name: &str, about: &str, size: usize) -> Option<Vec<Vec<f64>>> {
        let read = |key: &str, about: String| self.section.numbers(key, &about).optional();
        let (whole, per_km) = (format!("{name}_ohm"), format!("{name}_ohm_per_km"));
        let of_whole = read(&whole, format!("{about}, in ohm."));
        let of_km = read(&per_km, format!("{about}, in ohm for each km."));
        if of_whole.is_some() && of_km.is_some() {
            self.section.error(Some(&per_km), format!("this or `{whole}`, not both"), None);
        }
        let (key, scale, entries) = match (of_whole, of_km) {
            (Some(entries), _) => (whole, 1.0, entries),
            (None, Some(entries)) => {
                let length_km = self.length_for(&per_km)?;
                (per_km, length_km, entries)
            }
            (None, None) => return None,
        };
        let expected = size * (size + 1) / 2;
        if entries.len() != expected || entries.iter().any(|entry| entry.abs() > LARGEST) {
            let expected =
                format!("{expected} numbers, row by row up to the diagonal, for its {size} conductors");
            self.section.error(Some(&key), expected, None);
            return None;
        }
        let scale = scale / self.base_ohm;
        let at = |row: usize, column: usize| {
            let (low, high) = (row.min(column), row.max(column));
            entries.get(high * (high + 1) / 2 + low).copied().unwrap_or_default() * scale
        };
        Some((0..size).map(|row| (0..size).map(|column| at(row, column)).collect()).collect())
    }

    /// The one that is given; two are an error.
    fn pick(&self, name: &str, about: &str, units: &[(&str, &str, f64)]) -> Option<f64> {
        let mut found: Option<(String, f64)> = None;
        for (unit, words, scale) in units {
            let key = format!("{name}_{unit}");
            let Some(value) = self.number(&key, &format!("{about}, {words}.")) else { continue };
            match &found {
                Some((before, _)) => {
                    self.section.error(Some(&key), format!("this or `{before}`, not both"), None);
                }
                None => found = Some((key, value * scale)),
            }
        }
        found.map(|(_, value)| value)
    }

    fn number(&self, key: &str, about: &str) -> Option<f64> {
        self.section.number(key, about).within(-LARGEST..=LARGEST).optional()
    }

    fn length_for(&self, key: &str) -> Option<f64> {
        if self.length_km.is_none() {
            self.section.error(Some(key), "a `length_km` beside it", None);
        }
        self.length_km
    }
}
