//! "Did you mean": the candidate nearest to a mistyped word, if one is near enough to be meant.

/// Words longer than this are not compared: nobody mistypes a word of this length, and the cost is quadratic.
const COMPARED_MAX_CHARS: usize = 64;

/// The nearest of `candidates`, unless it is so far off that naming it would mislead.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = word.chars().take(COMPARED_MAX_CHARS + 1).count();
    if length == 0 || length > COMPARED_MAX_CHARS {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count() <= COMPARED_MAX_CHARS)
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= tolerated(length, candidate.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A third of the shorter word may differ, and a single slip is forgiven from three characters on.
fn tolerated(word: usize, candidate: usize) -> usize {
    word.min(candidate) / 3
}

/// Edit distance in which inserting, dropping, replacing a character or swapping two neighbours costs one.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let replaced = last[column - 1] + usize::from(left[row - 1] != right[column - 1]);
            let mut best = replaced.min(last[column] + 1).min(current[column - 1] + 1);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(before_last[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_of_each_kind_costs_one() {
        for mistyped in ["adress", "addresss", "addrass", "adderss"] {
            assert_eq!(distance("address", mistyped), 1, "{mistyped}");
        }
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }

    #[test]
    fn the_nearest_candidate_is_named_whatever_the_case() {
        assert_eq!(nearest("Overun", ["speed", "overrun"]), Some("overrun"));
        assert_eq!(nearest("read_only", ["read-only", "armed"]), Some("read-only"));
    }

    #[test]
    fn a_word_unlike_every_candidate_gets_no_suggestion() {
        assert_eq!(nearest("colour", ["speed", "overrun"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["y"]), None);
        let long = "a".repeat(1000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
    }
}
