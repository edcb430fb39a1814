//! What an inverter does about the voltage at its terminals: [`GridSupport`] says what it is to do, [`Terminals`] does
//! it.
//!
//! The voltage changes only when somebody says so, and stays in between. So the reactive power that volt-var asks for
//! nears its end as `e^(-t/tau)`, the ceiling of volt-watt moves in straight lines, and the instants at which protection
//! trips or lets go are known: all of it is exact, however time is sliced.
//!
//! The figures are those of IEEE 1547-2018, which counts voltage in parts of the nominal one.

use crate::Series;
use crate::commanded::approach;
use crate::error::{SettingsError, check};
use std::time::Duration;

/// Between which voltages an inverter may enter service (IEEE 1547-2018, 4.10.2, table 4).
const ENTER_SERVICE_PU: (f64, f64) = (0.917, 1.05);

/// What may lie between two of the limits of table 11: the voltage beyond which it trips, whether above or below, and
/// the clearing time in s (IEEE 1547-2018, 6.4.1, table 11: shall trip, category I).
const TRIPS: [(bool, f64, f64); 4] =
    [(true, 1.20, 0.16), (true, 1.10, 2.0), (false, 0.70, 2.0), (false, 0.45, 0.16)];

/// The open loop response time is what it takes to do 90 % of the way.
const WHEN_DONE: f64 = 0.9;

/// A share of the rating over the voltage, both in parts of one: straight lines between points, level outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve(Series);

impl Curve {
    /// A curve through `(voltage, share)` points, with the voltages rising.
    ///
    /// # Errors
    /// In words, which point cannot be.
    pub fn new(points: &[(f64, f64)]) -> Result<Self, String> {
        for (number, (voltage_pu, share)) in points.iter().enumerate() {
            if !(0.5..=1.5).contains(voltage_pu) || !(-1.0..=1.0).contains(share) {
                let number = number + 1;
                return Err(format!(
                    "point {number}, {voltage_pu}:{share}, is not from 0.5 to 1.5 and from -1 to 1"
                ));
            }
        }
        Series::new("curve", points.to_vec()).map(Self).map_err(|error| error.reason)
    }

    /// A curve from text: `0.92:0.44, 0.98:0, 1.02:0, 1.08:-0.44`.
    ///
    /// # Errors
    /// In words, what was expected and is not there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let point = |part: &str| {
            let (voltage, share) = part.split_once(':')?;
            Some((voltage.trim().parse::<f64>().ok()?, share.trim().parse::<f64>().ok()?))
        };
        let points: Option<Vec<_>> = text.split(',').map(point).collect();
        let points = points.ok_or_else(|| {
            "points `voltage:share` with commas between them, such as 0.98:0, 1.08:-0.44".to_owned()
        })?;
        Self::new(&points)
    }

    /// Volt-var with the defaults of category B: 44 % of the rating at 0.92 and at 1.08, nothing from 0.98 to 1.02
    /// (IEEE 1547-2018, 5.3.3, table 8).
    #[must_use]
    pub fn ieee_1547_volt_var_b() -> Self {
        Self(Series::of([(0.92, 0.44), (0.98, 0.0), (1.02, 0.0), (1.08, -0.44)]))
    }

    /// Volt-watt with the defaults of both categories: all of the rating up to 1.06, a fifth of it from 1.10 on
    /// (IEEE 1547-2018, 5.4.2, table 10).
    #[must_use]
    pub fn ieee_1547_volt_watt() -> Self {
        Self(Series::of([(1.06, 1.0), (1.10, 0.2)]))
    }

    /// The share at a voltage.
    #[must_use]
    pub fn at(&self, voltage_pu: f64) -> f64 {
        self.0.at(voltage_pu)
    }
}

/// A function of the voltage, and how fast it acts.
#[derive(Debug, Clone, PartialEq)]
pub struct VoltageFunction {
    /// What it asks for.
    pub curve: Curve,
    /// Its open loop response time in s: what it takes to do 90 % of the way.
    pub response_s: f64,
}

impl VoltageFunction {
    /// Open loop response time of volt-var by default, in s (table 8, category B).
    pub const VOLT_VAR_RESPONSE_S: f64 = 5.0;
    /// Open loop response time of volt-watt by default, in s (table 10).
    pub const VOLT_WATT_RESPONSE_S: f64 = 10.0;
}

/// What an inverter does by itself about the voltage at its terminals. By default nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridSupport {
    /// Reactive power by voltage, as a share of the rated apparent power, positive towards the grid (volt-var).
    pub volt_var: Option<VoltageFunction>,
    /// The most real power by voltage, as a share of the rating (volt-watt).
    pub volt_watt: Option<VoltageFunction>,
    /// It disconnects where the voltage is beyond the limits of table 11 for the time there, and comes back when the
    /// voltage has been from 0.917 to 1.05 for so long, in s.
    pub trip_and_return_after_s: Option<f64>,
}

impl GridSupport {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if let Some(volt_var) = &self.volt_var {
            check("volt_var_response_s", volt_var.response_s, 0.01, 1000.0)?;
        }
        if let Some(volt_watt) = &self.volt_watt {
            check("volt_watt_response_s", volt_watt.response_s, 0.01, 1000.0)?;
            for share in volt_watt.curve.0.values() {
                check("volt_watt", share, 0.0, 1.0)?;
            }
        }
        self.trip_and_return_after_s.map_or(Ok(()), |after| check("return_after_s", after, 0.0, 86_400.0))
    }
}

/// The terminals of an inverter on a grid whose voltage somebody else knows.
#[derive(Debug, Clone)]
pub(crate) struct Terminals {
    support: GridSupport,
    nominal_v: f64,
    voltage_v: f64,
    /// The rated apparent power, and the most reactive power either way.
    rated_va: f64,
    most_var: f64,
    /// The ceiling that volt-watt has come to.
    volt_watt_w: f64,
    protection: Option<Protection>,
}

impl Terminals {
    pub(crate) fn new(support: &GridSupport, nominal_v: f64, rated_va: f64, most_var: f64) -> Self {
        let protection = support.trip_and_return_after_s.map(Protection::new);
        let support = support.clone();
        Self {
            support,
            nominal_v,
            voltage_v: nominal_v,
            rated_va,
            most_var,
            volt_watt_w: rated_va,
            protection,
        }
    }

    /// What is not a voltage changes nothing.
    pub(crate) fn set_voltage_v(&mut self, voltage_v: f64, now: Duration) {
        if !voltage_v.is_finite() || voltage_v < 0.0 {
            return;
        }
        self.voltage_v = voltage_v;
        let voltage_pu = self.voltage_pu();
        if let Some(protection) = &mut self.protection {
            protection.sees(voltage_pu, now);
        }
    }

    pub(crate) fn voltage_v(&self) -> f64 {
        self.voltage_v
    }

    fn voltage_pu(&self) -> f64 {
        self.voltage_v / self.nominal_v
    }

    /// The current in each of three phases. On a dead grid there is none.
    pub(crate) fn current_a(&self, real_w: f64, reactive_var: f64) -> f64 {
        if self.voltage_v > 0.0 { real_w.hypot(reactive_var) / (3.0 * self.voltage_v) } else { 0.0 }
    }

    pub(crate) fn tripped(&self) -> bool {
        self.protection.as_ref().is_some_and(|it| it.tripped)
    }

    /// What volt-var asks for beside this command. A command of no reactive power is none: SimCES has a reactive power
    /// in every setpoint, and IEEE 1547-2018, 5.3.1, has one mode of several in force at a time.
    pub(crate) fn asked_var(&self, commanded: Option<f64>) -> Option<f64> {
        let volt_var = self.support.volt_var.as_ref().filter(|_| commanded.is_none_or(|it| it == 0.0))?;
        let var = self.rated_va * volt_var.curve.at(self.voltage_pu());
        Some(var.clamp(-self.most_var, self.most_var))
    }

    /// Where the reactive power is after a while, from `var` on: volt-var nears what it asks for, a command is ramped.
    pub(crate) fn reactive_var(
        &self,
        var: f64,
        commanded: Option<f64>,
        ramp_var_per_s: f64,
        seconds: f64,
    ) -> f64 {
        match (self.asked_var(commanded), &self.support.volt_var) {
            (Some(asked), Some(volt_var)) => {
                let time_constant_s = -volt_var.response_s / (1.0 - WHEN_DONE).ln();
                asked + (var - asked) * (-seconds / time_constant_s).exp()
            }
            _ => approach(var, commanded.unwrap_or(0.0), ramp_var_per_s * seconds),
        }
    }

    /// What is left of the rating beside the reactive power that volt-var asks for, which goes first
    /// (IEEE 1547-2018, 5.2).
    pub(crate) fn room_w(&self, commanded_var: Option<f64>) -> f64 {
        let asked = self.asked_var(commanded_var).unwrap_or(0.0);
        (self.rated_va * self.rated_va - asked * asked).max(0.0).sqrt()
    }

    /// The ceiling of volt-watt so many seconds from now. From all to nothing it does 90 % in the response time.
    pub(crate) fn volt_watt_w(&self, seconds: f64) -> f64 {
        match self.volt_watt_line() {
            Some((target_w, w_per_s)) => approach(self.volt_watt_w, target_w, w_per_s * seconds),
            None => self.volt_watt_w,
        }
    }

    /// When that ceiling is where it goes to, in seconds from now.
    pub(crate) fn volt_watt_arrival_s(&self) -> f64 {
        self.volt_watt_line().map_or(0.0, |(target_w, w_per_s)| (target_w - self.volt_watt_w).abs() / w_per_s)
    }

    fn volt_watt_line(&self) -> Option<(f64, f64)> {
        let volt_watt = self.support.volt_watt.as_ref()?;
        let target_w = self.rated_va * volt_watt.curve.at(self.voltage_pu());
        Some((target_w, WHEN_DONE * self.rated_va / volt_watt.response_s))
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.volt_watt_w = self.volt_watt_w(seconds);
    }

    pub(crate) fn due(&self) -> Option<Duration> {
        self.protection.as_ref()?.due()
    }

    /// Whether it has just tripped.
    pub(crate) fn act(&mut self, now: Duration) -> bool {
        self.protection.as_mut().is_some_and(|protection| protection.act(now))
    }
}

/// Trips by voltage and time, and returns.
#[derive(Debug, Clone)]
struct Protection {
    return_after: Duration,
    tripped: bool,
    /// Since when the voltage has been beyond each of [`TRIPS`].
    beyond_since: [Option<Duration>; TRIPS.len()],
    /// Since when it has been one at which an inverter may enter service.
    good_since: Option<Duration>,
}

impl Protection {
    fn new(return_after_s: f64) -> Self {
        Self {
            return_after: Duration::from_secs_f64(return_after_s),
            tripped: false,
            beyond_since: [None; TRIPS.len()],
            good_since: None,
        }
    }

    fn sees(&mut self, voltage_pu: f64, now: Duration) {
        for (since, (above, limit_pu, _)) in self.beyond_since.iter_mut().zip(TRIPS) {
            let beyond = if above { voltage_pu > limit_pu } else { voltage_pu < limit_pu };
            *since = beyond.then(|| since.unwrap_or(now));
        }
        let (lowest, highest) = ENTER_SERVICE_PU;
        let good = (lowest..=highest).contains(&voltage_pu);
        self.good_since = good.then(|| self.good_since.unwrap_or(now));
    }

    fn due(&self) -> Option<Duration> {
        if self.tripped {
            return self.good_since.map(|since| since.saturating_add(self.return_after));
        }
        let clears = |(since, (_, _, clearing_s)): (&Option<Duration>, (bool, f64, f64))| {
            since.map(|since| since.saturating_add(Duration::from_secs_f64(clearing_s)))
        };
        self.beyond_since.iter().zip(TRIPS).filter_map(clears).min()
    }

    fn act(&mut self, now: Duration) -> bool {
        if self.due().is_none_or(|due| due > now) {
            return false;
        }
        self.tripped = !self.tripped;
        self.tripped
    }
}

/// The area under the least of straight lines over `width`, each given by its height at both ends.
pub(crate) fn area_under_least<const N: usize>(width: f64, lines: [(f64, f64); N]) -> f64 {
    let mut bends = vec![0.0, 1.0];
    for (index, a) in lines.iter().enumerate() {
        for b in lines.iter().skip(index + 1) {
            let (left_gap, right_gap) = (a.0 - b.0, a.1 - b.1);
            if left_gap * right_gap < 0.0 {
                bends.push(left_gap / (left_gap - right_gap));
            }
        }
    }
    bends.sort_by(f64::total_cmp);
    let least =
        |at: f64| lines.iter().map(|(left, right)| left + (right - left) * at).fold(f64::INFINITY, f64::min);
    let area = |pair: &[f64]| match pair {
        [from, to] => (to - from) * (least(*from) + least(*to)) / 2.0,
        _ => 0.0,
    };
    width * bends.windows(2).map(area).sum::<f64>()
}

#[cfg(test)]
mod tests;
