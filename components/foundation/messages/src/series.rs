//! Values with units: a single [`Quantity`], and the [`TimeSeries`] of forecasts, plans and offers (wire contract 2.1).

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::Timestamp;

/// A number with a unit of the sender's choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// The number; finite.
    pub value: f64,
    /// The unit; not empty.
    pub unit: String,
}

/// Values over time, one or several series of them by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimeSeries {
    /// The points in time; ascending in what gridloop sends.
    pub time_index: Vec<Timestamp>,
    /// The series; at least one, each with one value for each point in time.
    pub series: BTreeMap<String, ValueArray>,
}

impl TimeSeries {
    /// One series of numbers.
    #[must_use]
    pub fn single(time_index: Vec<Timestamp>, name: &str, unit: &str, numbers: Vec<f64>) -> Self {
        Self { time_index, series: BTreeMap::from([(name.to_owned(), ValueArray::numbers(unit, numbers))]) }
    }

    /// The numbers of a series, also of one that spells them in strings; `None` if it is missing or says others.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Option<Cow<'_, [f64]>> {
        self.series.get(name)?.as_numbers()
    }
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueArray {
    /// The unit of every value.
    pub unit: String,
    /// The values.
    pub values: Values,
}

/// Values of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers, all finite. An empty array is one of numbers.
    Numbers(Vec<f64>),
    /// Strings.
    Texts(Vec<String>),
    /// Booleans.
    Flags(Vec<bool>),
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
            Self::Flags(flags) => flags.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ValueArray {
    /// Numbers in this unit.
    #[must_use]
    pub fn numbers(unit: &str, numbers: Vec<f64>) -> Self {
        Self { unit: unit.to_owned(), values: Values::Numbers(numbers) }
    }

    /// The numbers, also where strings spell them, as in the prices of the Python platform; `None` for any other
    /// strings and for booleans.
    #[must_use]
    pub fn as_numbers(&self) -> Option<Cow<'_, [f64]>> {
        match &self.values {
            Values::Numbers(numbers) => Some(Cow::Borrowed(numbers)),
            Values::Texts(texts) => {
                let number =
                    |text: &String| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
                texts.iter().map(number).collect::<Option<Vec<_>>>().map(Cow::Owned)
            }
            Values::Flags(_) => None,
        }
    }
}
