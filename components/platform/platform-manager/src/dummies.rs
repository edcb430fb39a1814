//! Dummies and simple components as a configuration describes them.

use gridloop_dummies::{Dummy, DummySettings, SIMPLE_TOPIC, SimpleComponent, SimpleSettings};
use gridloop_service::Section;
use std::time::Duration;

/// `kind = "dummy"`
pub(crate) fn read_dummy(section: &Section<'_>) -> DummySettings {
    let usual = DummySettings::default();
    let chance = |key, about| section.number(key, about).within(0.0..=1.0).or(0.0);
    let settings = DummySettings {
        topic: section.text("topic", "Topic of its results.").or(usual.topic),
        min_sleep: section
            .duration_s("min_sleep_s", "It works at least this long in each epoch, in s.")
            .at_most(86_400.0)
            .or(usual.min_sleep),
        max_sleep: section
            .duration_s("max_sleep_s", "It works at most this long in each epoch, in s.")
            .at_most(86_400.0)
            .or(usual.max_sleep),
        error_chance: chance("error_chance", "Probability that an epoch ends in an error."),
        send_miss_chance: chance("send_miss_chance", "Probability that nothing is sent until asked again."),
        receive_miss_chance: chance("receive_miss_chance", "Probability that an Epoch is not heard."),
        warning_chance: chance("warning_chance", "Probability that a result carries a warning."),
        seed: section.integer("seed", "What all randomness comes from.").at_least(0).fits().or(usual.seed),
    };
    if let Err(error) = Dummy::new(section.name(), settings.clone()) {
        section.error(Some("min_sleep_s"), format!("another, for {error}"), None);
    }
    settings
}

/// `kind = "simple"`
pub(crate) fn read_simple(section: &Section<'_>) -> SimpleSettings {
    let settings = SimpleSettings {
        value: section.number("value", "Its own number, which it adds to those of its inputs.").required(),
        inputs: section.texts("inputs", "Simple components whose numbers it adds.").or(Vec::new()),
        output_delay: section
            .duration_s("output_delay_s", "From the last input to its own message, in s.")
            .at_most(86_400.0)
            .or(Duration::ZERO),
        topic: section
            .text("topic", "Topics of all of them are this, a dot and the name.")
            .or(SIMPLE_TOPIC.into()),
    };
    if let Err(error) = SimpleComponent::new(section.name(), settings.clone()) {
        section.error(Some("inputs"), format!("other names, for {error}"), None);
    }
    settings
}
