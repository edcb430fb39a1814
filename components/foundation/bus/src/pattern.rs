//! The matching rules of an AMQP topic exchange.

/// Whether a binding with `pattern` receives a message with the routing key `topic`.
///
/// Both are words separated by dots. In a pattern `*` stands for exactly one word and `#` for any number of words,
/// none included; the empty string has no words.
#[must_use]
pub fn matches(pattern: &str, topic: &str) -> bool {
    let pattern = words(pattern);
    let topic = words(topic);
    let (mut at, mut word) = (0, 0);
    // Where to go on when a word does not fit: behind the last `#`, which then takes one word more.
    let mut resume: Option<(usize, usize)> = None;
    while word < topic.len() {
        match pattern.get(at) {
            Some(&"#") => {
                resume = Some((at + 1, word));
                at += 1;
            }
            Some(&expected) if expected == "*" || expected == topic[word] => {
                at += 1;
                word += 1;
            }
            _ => {
                let Some((behind, taken)) = resume else { return false };
                resume = Some((behind, taken + 1));
                (at, word) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&rest| rest == "#")
}

fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word by word.
    fn by_definition(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern.split_first(), topic.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), None) => by_definition(rest, topic),
            (Some((&"#", rest)), Some((_, fewer))) => {
                by_definition(rest, topic) || by_definition(pattern, fewer)
            }
            (Some((&word, rest)), Some((&first, fewer))) => {
                (word == "*" || word == first) && by_definition(rest, fewer)
            }
            _ => false,
        }
    }

    #[test]
    fn a_star_is_one_word_and_a_hash_any_number() {
        assert!(matches("Status.*", "Status.Ready"));
        assert!(!matches("Status.*", "Status"));
        assert!(!matches("Status.*", "Status.Ready.Late"));
        assert!(matches("ResourceState.#", "ResourceState"));
        assert!(matches("ResourceState.#", "ResourceState.Load.house1"));
        assert!(matches("#.Voltage.#", "NetworkState.Grid.Voltage.Bus1"));
        assert!(matches("#", ""));
        assert!(!matches("*", ""));
        assert!(matches("*", "a"));
        assert!(matches("a.*", "a."));
        assert!(!matches("Epoch", "Epochs"));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(
            pattern in proptest::collection::vec(prop_oneof!["[ab]", Just("*".to_owned()), Just("#".to_owned())], 0..7),
            topic in proptest::collection::vec("[ab]", 0..7),
        ) {
            let p: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let t: Vec<&str> = topic.iter().map(String::as_str).collect();
            prop_assert_eq!(matches(&pattern.join("."), &topic.join(".")), by_definition(&p, &t));
        }
    }
}
