//! Quantities that change over time: [`Series`], straight lines between points.

/// Ten years: later points are a mistake in the unit.
const LATEST_SECOND: f64 = 315_576_000.0;

/// A quantity over time: linear between its points, the first value before them and the last value held after them.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    points: Vec<(f64, f64)>,
}

/// What is wrong with a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}, line {line}: {reason}")]
pub struct SeriesError {
    /// The file, or whatever name the caller gave.
    pub name: String,
    /// The line, counted from 1; for points that come from no file, the number of the point.
    pub line: usize,
    /// What was expected and what was found.
    pub reason: String,
}

impl Series {
    /// The same value for ever.
    #[must_use]
    pub fn constant(value: f64) -> Self {
        Self { points: vec![(0.0, value)] }
    }

    /// A series through points that are known to be sound.
    pub(crate) fn of<const N: usize>(points: [(f64, f64); N]) -> Self {
        Self { points: points.to_vec() }
    }

    /// A series through `(seconds, value)` points.
    ///
    /// # Errors
    /// When there is no point, when a number is not finite, or when the seconds do not rise from point to point or
    /// exceed ten years.
    pub fn new(name: &str, points: Vec<(f64, f64)>) -> Result<Self, SeriesError> {
        let mut series = Self { points: Vec::with_capacity(points.len()) };
        for (index, (seconds, value)) in points.into_iter().enumerate() {
            series.push(seconds, value).map_err(|reason| error(name, index + 1, reason))?;
        }
        series.checked_not_empty(name)
    }

    /// Reads a series from the text of a CSV file with the header `Seconds,Value`. Empty lines are passed over.
    ///
    /// # Errors
    /// The first line that is not as described, by its number.
    pub fn from_csv_text(name: &str, text: &str) -> Result<Self, SeriesError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let header = lines.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}'));
        if header != "Seconds,Value" {
            return Err(error(name, 1, format!("the header is to be `Seconds,Value`, not `{header}`")));
        }
        let mut series = Self { points: Vec::new() };
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let point = parse(line).and_then(|(seconds, value)| series.push(seconds, value));
            point.map_err(|reason| error(name, number, reason))?;
        }
        series.checked_not_empty(name)
    }

    /// The value at an instant.
    #[must_use]
    pub fn at(&self, seconds: f64) -> f64 {
        let next = self.points.partition_point(|(t, _)| *t <= seconds);
        let Some(&(t0, v0)) = next.checked_sub(1).and_then(|last| self.points.get(last)) else {
            return self.points.first().map_or(0.0, |(_, value)| *value);
        };
        let Some(&(t1, v1)) = self.points.get(next) else { return v0 };
        v0 + (v1 - v0) * ((seconds - t0) / (t1 - t0))
    }

    /// The instants strictly between two others at which the line may bend.
    pub(crate) fn bends(&self, after: f64, before: f64) -> impl Iterator<Item = f64> + '_ {
        let first = self.points.partition_point(|(t, _)| *t <= after);
        self.points[first..].iter().map(|(t, _)| *t).take_while(move |t| *t < before)
    }

    /// Whether the value stays the same from this instant on.
    pub(crate) fn is_constant_from(&self, seconds: f64) -> bool {
        self.points.last().is_none_or(|(last, _)| seconds >= *last)
    }

    /// The values of the points.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|(_, value)| *value)
    }

    fn push(&mut self, seconds: f64, value: f64) -> Result<(), String> {
        if !(0.0..=LATEST_SECOND).contains(&seconds) {
            return Err(format!("seconds are to be from 0 to {LATEST_SECOND}, not {seconds}"));
        }
        if !value.is_finite() {
            return Err(format!("the value {value} is not a finite number"));
        }
        if let Some((last, _)) = self.points.last().filter(|(last, _)| *last >= seconds) {
            return Err(format!("second {seconds} does not come after second {last}"));
        }
        self.points.push((seconds, value));
        Ok(())
    }

    fn checked_not_empty(self, name: &str) -> Result<Self, SeriesError> {
        if self.points.is_empty() {
            return Err(error(name, 1, "there is no point".into()));
        }
        Ok(self)
    }
}

fn parse(line: &str) -> Result<(f64, f64), String> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    let [seconds, value] = columns[..] else {
        return Err(format!("expected two columns, found {}: `{line}`", columns.len()));
    };
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
    Ok((number(seconds)?, number(value)?))
}

fn error(name: &str, line: usize, reason: String) -> SeriesError {
    SeriesError { name: name.to_owned(), line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Series {
        Series::new("ramp", vec![(10.0, 100.0), (20.0, 200.0)]).unwrap()
    }

    #[test]
    fn values_lie_on_straight_lines_and_are_held_at_both_ends() {
        let values = [0.0, 10.0, 15.0, 20.0, 1e6].map(|t| ramp().at(t));
        assert_eq!(values, [100.0, 100.0, 150.0, 200.0, 200.0]);
    }

    #[test]
    fn bends_lie_strictly_between() {
        assert_eq!(ramp().bends(10.0, 21.0).collect::<Vec<_>>(), [20.0]);
        assert_eq!(ramp().bends(0.0, 20.0).collect::<Vec<_>>(), [10.0]);
    }

    #[test]
    fn a_csv_text_becomes_a_series() {
        let series =
            Series::from_csv_text("sun.csv", "\u{feff}Seconds,Value\r\n10,100\r\n\r\n20, 200\r\n").unwrap();
        assert_eq!(series, ramp());
    }

    #[test]
    fn a_bad_csv_text_is_refused_by_its_line() {
        let cases = [
            ("", "sun.csv, line 1: the header is to be `Seconds,Value`, not ``"),
            ("Time,Value\n", "sun.csv, line 1: the header is to be `Seconds,Value`, not `Time,Value`"),
            ("Seconds,Value\n", "sun.csv, line 1: there is no point"),
            ("Seconds,Value\n\n0,1,2", "sun.csv, line 3: expected two columns, found 3: `0,1,2`"),
            ("Seconds,Value\n0,bright", "sun.csv, line 2: `bright` is not a number"),
            ("Seconds,Value\n0,NaN", "sun.csv, line 2: the value NaN is not a finite number"),
            ("Seconds,Value\n-1,0", "sun.csv, line 2: seconds are to be from 0 to 315576000, not -1"),
            ("Seconds,Value\n5,1\n5,2", "sun.csv, line 3: second 5 does not come after second 5"),
        ];
        for (text, message) in cases {
            assert_eq!(Series::from_csv_text("sun.csv", text).unwrap_err().to_string(), message);
        }
    }
}
