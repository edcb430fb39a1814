//! Topic patterns as the Log Reader understands them (wire contract 5.2): [`TopicPattern`].
//!
//! They look like RabbitMQ's and differ in one thing: `#` stands for one segment or more, never for none, so that `A.#`
//! does not match `A`. Every other character stands for itself.

/// The longest topic that AMQP knows, in bytes.
const LONGEST: usize = 255;

/// A pattern of topics: `*` is one segment, `#` one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    /// `*`: characters without a dot, at least one.
    Segment,
    /// `#`: segments with dots between them, and perhaps one behind.
    Segments,
}

/// How far the matching of one part has come.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    before: bool,
    in_segment: bool,
    behind_dot: bool,
}

impl TopicPattern {
    /// Takes any text of which a topic could consist.
    ///
    /// # Errors
    /// The text is longer than any topic, or has control characters.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes, the longest topic there is"));
        }
        if text.chars().any(char::is_control) {
            return Err("it has control characters".to_owned());
        }
        let part = |character| match character {
            '*' => Part::Segment,
            '#' => Part::Segments,
            other => Part::Literal(other),
        };
        Ok(Self { parts: text.chars().map(part).collect() })
    }

    /// Whether the whole topic is of this pattern. Takes time in proportion to both lengths, whatever the pattern.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let mut reached = vec![Reached::default(); self.parts.len() + 1];
        reached[0].before = true;
        for character in topic.chars() {
            reached = self.step(&reached, character);
            self.settle(&mut reached);
        }
        reached[self.parts.len()].before
    }

    fn step(&self, from: &[Reached], character: char) -> Vec<Reached> {
        let mut to = vec![Reached::default(); from.len()];
        let dot = character == '.';
        for (index, (part, here)) in self.parts.iter().zip(from).enumerate() {
            match part {
                Part::Literal(literal) => to[index + 1].before |= here.before && character == *literal,
                Part::Segment => to[index].in_segment |= (here.before || here.in_segment) && !dot,
                Part::Segments => {
                    to[index].in_segment |= (here.before || here.in_segment || here.behind_dot) && !dot;
                    to[index].behind_dot |= here.in_segment && dot;
                }
            }
        }
        to
    }

    /// A wildcard that has something may be left.
    fn settle(&self, reached: &mut [Reached]) {
        for index in 0..self.parts.len() {
            let here = reached[index];
            reached[index + 1].before |= here.in_segment || here.behind_dot;
        }
    }

    /// The same as a regular expression of MongoDB, every literal character escaped.
    #[cfg(feature = "mongodb")]
    pub(crate) fn to_regex(&self) -> String {
        let mut regex = String::from("^");
        for part in &self.parts {
            match part {
                Part::Literal(character) => {
                    if character.is_ascii_punctuation() {
                        regex.push('\\');
                    }
                    regex.push(*character);
                }
                Part::Segment => regex.push_str("[^.]+"),
                Part::Segments => regex.push_str(r"([^.]+\.)*[^.]+\.?"),
            }
        }
        regex.push('$');
        regex
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::parse(pattern).unwrap().matches(topic)
    }

    #[test]
    fn a_star_is_one_segment_and_a_hash_one_or_more() {
        for (pattern, topic, expected) in [
            ("Epoch", "Epoch", true),
            ("Epoch", "Epochs", false),
            ("*", "Epoch", true),
            ("*", "Status.Ready", false),
            ("#", "Epoch", true),
            ("#", "ResourceState.Load.home1", true),
            ("A.#", "A", false),
            ("A.#", "A.b", true),
            ("A.#", "A.b.c", true),
            ("#.c", "a.b.c", true),
            ("#.c", "c", false),
            ("A.*.c", "A.b.c", true),
            ("A.*.c", "A.b.b.c", false),
            ("A.#.c", "A.b.b.c", true),
            ("A.#.c", "A.c", false),
            ("Resource*.#", "ResourceState.Load.home1", true),
            ("*State.*.home?", "ResourceState.Load.home1", false),
            ("", "", true),
            ("", "A", false),
        ] {
            assert_eq!(matches(pattern, topic), expected, "{pattern} {topic}");
        }
    }

    #[test]
    fn every_other_character_stands_for_itself() {
        assert!(!matches("A.b", "A/b"));
        assert!(matches("a+(b)[c]$", "a+(b)[c]$"));
        assert!(!matches("a+", "aa"));
    }

    #[test]
    fn what_no_topic_can_be_is_refused() {
        assert!(TopicPattern::parse(&"x".repeat(256)).is_err());
        assert!(TopicPattern::parse("a\0b").is_err());
    }

    #[test]
    fn a_hostile_pattern_takes_no_time_to_speak_of() {
        assert!(!matches(&"#".repeat(255), &format!("{}.", "a.".repeat(120))));
    }

    proptest! {
        #[test]
        fn a_topic_matches_itself_and_its_generalisations(segments in prop::collection::vec("[a-zA-Z_]{1,4}", 1..5)) {
            let topic = segments.join(".");
            prop_assert!(matches(&topic, &topic));
            prop_assert!(matches("#", &topic));
            prop_assert!(matches(&vec!["*"; segments.len()].join("."), &topic));
            prop_assert!(!matches(&vec!["*"; segments.len() + 1].join("."), &topic));
            prop_assert_eq!(matches(&format!("{}.#", segments[0]), &topic), segments.len() > 1);
        }

        #[test]
        fn no_pattern_and_no_topic_panic(pattern in ".{0,30}", topic in ".{0,30}") {
            if let Ok(pattern) = TopicPattern::parse(&pattern) {
                let _ = pattern.matches(&topic);
            }
        }
    }
}
