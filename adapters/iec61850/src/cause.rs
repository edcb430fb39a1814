//! Why a control was refused, in words: [`AddCause`] (IEC 61850-7-2, additional cause diagnosis).

/// An additional cause, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddCause(pub(crate) i32);

impl AddCause {
    /// The command waits for one that is still being carried out.
    pub(crate) const COMMAND_ALREADY_IN_EXECUTION: Self = Self(12);

    /// Whether it is only given before anything happens (IEC 61850-7-2, table of additional causes). The others may
    /// also end a command that was accepted, with a negative termination.
    pub(crate) fn precedes_action(self) -> bool {
        matches!(self.0, 1 | 2 | 4 | 5 | 7 | 8 | 10..=14 | 18..=20 | 26 | 27)
    }

    /// What it means, for people.
    pub(crate) fn in_words(self) -> String {
        let words = match self.0 {
            0 => "no cause given",
            1 => "not supported",
            2 => "blocked by the switching hierarchy (local control, or another station has it)",
            3 => "the select failed",
            4 => "invalid position",
            5 => "the position is reached already",
            6 => "a parameter changes during the command",
            7 => "step limit: the end position is reached",
            8 => "blocked by the mode",
            9 => "blocked by the process",
            10 => "blocked by an interlock",
            11 => "blocked by the synchrocheck",
            12 => "a command is being carried out already",
            13 => "blocked by the health of the device",
            14 => "one of n: another control of this group is active",
            15 => "aborted by a cancel",
            16 => "time limit over",
            17 => "aborted by a trip",
            18 => "the object is not selected",
            19 => "the object is selected by somebody else already",
            20 => "no access authority",
            21 => "ended with an overshoot",
            22 => "aborted because of a deviation",
            23 => "aborted by a loss of communication",
            24 => "blocked by a command",
            25 => "none",
            26 => "inconsistent parameters, such as a value out of range",
            27 => "locked by another client",
            _ => "a cause that the standard does not know",
        };
        format!("AddCause {} ({words})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_words_of_its_own() {
        let words: std::collections::BTreeSet<String> =
            (0..=27).map(|cause| AddCause(cause).in_words()).collect();
        assert_eq!(words.len(), 28);
        assert_eq!(AddCause(18).in_words(), "AddCause 18 (the object is not selected)");
        assert!(AddCause(-1).in_words().contains("does not know"));
    }
}
