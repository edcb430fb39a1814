//! How often a tap changer may move in a day: [`Budget`], a state machine without I/O.
//!
//! Contacts wear out with every step, so it counts the steps that the position shows, whoever asked for them, and
//! refuses a command that would take more than are left. Days are those of UTC.

/// The budget of one tap changer.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    per_day: Option<u32>,
    /// The day that is counted, as `2026-06-21`.
    day: String,
    used: u32,
    position: Option<i32>,
}

/// Steps that a position showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from: i32,
    pub(crate) to: i32,
}

impl Moved {
    pub(crate) fn steps(self) -> u32 {
        self.from.abs_diff(self.to)
    }
}

impl Budget {
    /// `used` steps have been made on `day` already.
    pub(crate) fn new(per_day: Option<u32>, day: &str, used: u32) -> Self {
        Self { per_day, day: day.to_owned(), used, position: None }
    }

    /// Takes a position that is good; the steps since the one before.
    pub(crate) fn observe(&mut self, position: i32, day: &str) -> Option<Moved> {
        self.begin(day);
        let from = self.position.replace(position)?;
        let moved = Moved { from, to: position };
        self.used = self.used.saturating_add(moved.steps());
        (moved.steps() > 0).then_some(moved)
    }

    /// Whether a command to this position may pass.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn allows(&mut self, target: i32, day: &str) -> Result<(), String> {
        self.begin(day);
        let Some(per_day) = self.per_day else { return Ok(()) };
        let Some(position) = self.position else {
            return Err("its position is not known, and its steps are counted".to_owned());
        };
        let steps = position.abs_diff(target);
        let left = per_day.saturating_sub(self.used);
        if steps <= left {
            return Ok(());
        }
        Err(format!("{steps} steps to position {target}, and {left} of {per_day} are left today (UTC)"))
    }

    fn begin(&mut self, day: &str) {
        if self.day != day {
            day.clone_into(&mut self.day);
            self.used = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: &str = "2026-06-22";
    const TUESDAY: &str = "2026-06-23";

    #[test]
    fn steps_count_whoever_made_them_and_the_day_begins_anew() {
        let mut budget = Budget::new(Some(5), MONDAY, 1);
        assert_eq!(budget.observe(5, MONDAY), None, "where it stands costs nothing");
        assert_eq!(budget.observe(8, MONDAY), Some(Moved { from: 5, to: 8 }));
        assert_eq!(budget.allows(9, MONDAY), Ok(()));
        let refusal = budget.allows(10, MONDAY).unwrap_err();
        assert_eq!(refusal, "2 steps to position 10, and 1 of 5 are left today (UTC)");
        assert_eq!(budget.allows(8, MONDAY), Ok(()), "staying is free");
        assert_eq!(budget.allows(10, TUESDAY), Ok(()));
    }

    #[test]
    fn without_a_position_nothing_can_be_counted() {
        assert!(Budget::new(Some(5), MONDAY, 0).allows(5, MONDAY).is_err());
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let mut budget = Budget::new(None, MONDAY, 1000);
        budget.observe(5, MONDAY);
        assert_eq!(budget.allows(-30, MONDAY), Ok(()));
    }
}
