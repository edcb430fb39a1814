//! A device that takes power by a profile: [`PowerDrive`] plans the register writes of a command, writes them in
//! their order and reads back until every register holds exactly what was asked.
//!
//! A watchdog starts again by being written, so with one everything is written each time; so it is after a write of
//! unknown outcome, which may still come, and for a release. Otherwise what stands already is left alone.

use super::device::{absent, unsupported};
use super::plan::{Image, Span, send, spans};
use super::profile::{Bound, PointSpec, PowerCommand, Profile, RegisterWrite, Watchdog};
use crate::link::Link;
use crate::registers::Unencodable;
use gridloop_device::{Applied, Command, DeviceError, FailSafe, PowerRange, Unit};

/// The power command of a profile and what is known of it, which outlives the connection.
pub(super) struct PowerDrive {
    command: PowerCommand,
    /// The requests that read every point of the command.
    spans: Vec<Span>,
    /// A command was sent whose outcome is not known yet.
    unsure: bool,
    /// The last command that was confirmed here, and its read-back.
    confirmed: Option<(Command, Command)>,
}

/// Registers to be written to one point.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Write {
    /// The place of the point in the profile.
    index: usize,
    registers: Vec<u16>,
}

impl PowerDrive {
    pub(super) fn new(command: PowerCommand, profile: &Profile) -> Self {
        let bounds =
            [command.rated.as_ref(), Some(&command.min_w), Some(&command.max_w), command.max_var.as_ref()];
        let mut names: Vec<&str> = vec![&command.real_power];
        names.extend(command.reactive_power.as_deref());
        names.extend(bounds.into_iter().flatten().filter_map(|bound| match bound {
            Bound::Point(name) => Some(&**name),
            Bound::Fixed(_) => None,
        }));
        let lists = [&command.before, &command.after, &command.release];
        names.extend(lists.into_iter().flatten().map(|write| &*write.point));
        if let Some(Watchdog { time, fallback, .. }) = &command.watchdog {
            names.push(time);
            names.extend(fallback.as_ref().map(|write| &*write.point));
        }
        let spans = spans(profile, |point| names.contains(&&*point.name));
        Self { command, spans, unsure: false, confirmed: None }
    }

    /// What the device does by itself when commands cease.
    pub(super) fn fail_safe(&self, profile: &Profile) -> FailSafe {
        match &self.command.watchdog {
            None => FailSafe::None,
            Some(Watchdog { after, fallback: Some(fallback), .. }) => {
                let in_watts = |point: &PointSpec| point.unit == Unit::Watt;
                let to_w = profile.point(&fallback.point).is_some_and(in_watts).then_some(fallback.value);
                FailSafe::RevertsToValue { after: *after, to_w }
            }
            Some(Watchdog { after, fallback: None, .. }) => FailSafe::RevertsToFree { after: *after },
        }
    }

    /// The power that the device takes, none as long as it does not state its limits, and the command that it holds;
    /// nothing is changed.
    pub(super) async fn look(
        &self,
        link: &Link,
        profile: &Profile,
    ) -> Result<(Option<PowerRange>, Option<Command>), DeviceError> {
        let image = Image::read(link, profile, &self.spans).await?;
        Ok((self.range(profile, &image).ok(), self.standing(profile, &image)))
    }

    /// Puts a power in force; `is_last` when the device is to be left with it.
    pub(super) async fn apply(
        &mut self,
        link: &Link,
        profile: &Profile,
        command: Command,
        is_last: bool,
    ) -> Result<Applied, DeviceError> {
        let last = self.confirmed.take().filter(|_| !is_last);
        let before = Image::read(link, profile, &self.spans).await?;
        let writes = self.plan(profile, &before, command, is_last)?;
        let all = is_last || self.unsure || self.command.watchdog.is_some();
        self.pursue(link, profile, &before, &writes, all).await?;
        let after = self.read_back(link, profile, &writes).await?;
        let readback = self.held(profile, &after)?;
        let lost = last
            .is_some_and(|(asked, held)| asked == command && self.held(profile, &before).ok() != Some(held));
        self.confirmed = (!is_last).then_some((command, readback));
        Ok(if lost { Applied::Restored { readback } } else { Applied::Confirmed { readback } })
    }

    /// Gives control back, by writing even what stands already: a late write must not be the last. The read-back is
    /// what the set points hold then, whether or not the device obeys them; one whose value cannot be told counts as no
    /// power, because every register holds what gives control back.
    pub(super) async fn free(&mut self, link: &Link, profile: &Profile) -> Result<Applied, DeviceError> {
        self.confirmed = None;
        let writes =
            self.planned(profile, self.command.release.iter().map(|write| (&*write.point, write.value)))?;
        self.pursue(link, profile, &Image::default(), &writes, true).await?;
        let after = self.read_back(link, profile, &writes).await?;
        let none = Command::Power { real_power_w: 0.0, reactive_power_var: 0.0 };
        Ok(Applied::Confirmed { readback: self.held(profile, &after).unwrap_or(none) })
    }

    /// Tells what the set points hold, and changes nothing.
    pub(super) async fn adopt(&mut self, link: &Link, profile: &Profile) -> Result<Applied, DeviceError> {
        self.confirmed = None;
        let after = self.read_back(link, profile, &[]).await?;
        let readback = self.held(profile, &after)?;
        Ok(Applied::Confirmed { readback })
    }

    /// Writes those of `writes` that are due. If it breaks off, what the device holds is unknown until something is
    /// confirmed.
    async fn pursue(
        &mut self,
        link: &Link,
        profile: &Profile,
        before: &Image,
        writes: &[Write],
        all: bool,
    ) -> Result<(), DeviceError> {
        let stands =
            |write: &&Write| before.registers(write.index).map(|(held, _)| held) == Some(&write.registers);
        let readable = |write: &&Write| profile.points[write.index].access.reads();
        if !all && writes.iter().filter(readable).all(|write| stands(&write)) {
            return Ok(());
        }
        let due = writes.iter().filter(|write| all || !readable(write) || !stands(write));
        let was_unsure = std::mem::replace(&mut self.unsure, true);
        let mut sent = false;
        for write in due {
            let point = &profile.points[write.index];
            let written = send(link, profile.write_function, point.address, &write.registers).await;
            if let Err(error) = written {
                // What was written before this one may wait for it: then the next command is written as a whole.
                self.unsure = was_unsure || sent || !error.nothing_done();
                return Err(error.writing(&point.name));
            }
            sent = true;
        }
        Ok(())
    }

    /// Reads the command's points and finds that they hold what was written.
    async fn read_back(
        &mut self,
        link: &Link,
        profile: &Profile,
        writes: &[Write],
    ) -> Result<Image, DeviceError> {
        let after = Image::read(link, profile, &self.spans).await?;
        for write in writes {
            let point = &profile.points[write.index];
            let held = after.registers(write.index).map(|(held, _)| held);
            if point.access.reads() && held != Some(&write.registers) {
                let wanted = &write.registers;
                let held = held.unwrap_or_default();
                return Err(DeviceError::Refused {
                    operation: format!("write {}", point.name),
                    reason: format!("asked for {wanted:?}, the device holds {held:?}"),
                });
            }
        }
        if !writes.is_empty() {
            self.unsure = false;
        }
        Ok(after)
    }

    /// The writes that put a power in force, in their order; for good when `is_last`.
    fn plan(
        &self,
        profile: &Profile,
        image: &Image,
        command: Command,
        is_last: bool,
    ) -> Result<Vec<Write>, DeviceError> {
        let Command::Power { real_power_w, reactive_power_var } = command else {
            return Err(unsupported("apply anything but power"));
        };
        let PowerRange { min_w, max_w, max_var } = self.range(profile, image)?;
        let mut steps: Vec<(&str, f64)> = Vec::new();
        let listed = |writes: &'_ [RegisterWrite]| {
            writes.iter().map(|write| (write.point.clone(), write.value)).collect::<Vec<_>>()
        };
        let (before, after) = (listed(&self.command.before), listed(&self.command.after));
        steps.extend(before.iter().map(|(name, value)| (&**name, *value)));
        if let Some(watchdog @ Watchdog { time, fallback, .. }) = &self.command.watchdog {
            steps.extend(fallback.as_ref().map(|write| (&*write.point, write.value)));
            let time_s = if is_last { self.for_good(profile, image, watchdog, command)? } else { None };
            steps.push((time, time_s.unwrap_or(watchdog.after.as_secs_f64())));
        }
        let real = within("real power", "W", real_power_w, min_w, max_w)?;
        steps
            .push((&self.command.real_power, self.on_scale(profile, image, &self.command.real_power, real)?));
        let reactive = within("reactive power", "var", reactive_power_var, -max_var, max_var)?;
        match &self.command.reactive_power {
            Some(name) => steps.push((name, self.on_scale(profile, image, name, reactive)?)),
            None if reactive_power_var == 0.0 => {}
            None => return Err(unsupported("apply a reactive power")),
        }
        steps.extend(after.iter().map(|(name, value)| (&**name, *value)));
        self.planned(profile, steps.into_iter())
    }

    /// The time of the watchdog with which a command that is left behind stays: the one that means never, or `None`
    /// when the device goes to that power by itself.
    fn for_good(
        &self,
        profile: &Profile,
        image: &Image,
        watchdog: &Watchdog,
        command: Command,
    ) -> Result<Option<f64>, DeviceError> {
        if watchdog.never.is_some() {
            return Ok(watchdog.never);
        }
        let in_watts = |point: &PointSpec| matches!(point.unit, Unit::Watt | Unit::Percent);
        if let Some(fallback) = &watchdog.fallback
            && profile.point(&fallback.point).is_some_and(in_watts)
        {
            let whole = self.whole(profile, image, &fallback.point)?;
            let goes_to_w = whole.map_or(fallback.value, |whole| fallback.value / 100.0 * whole);
            let goes_to = Command::Power { real_power_w: goes_to_w, reactive_power_var: 0.0 };
            if goes_to == command {
                return Ok(None);
            }
        }
        let after = watchdog.after;
        Err(DeviceError::Refused {
            operation: "leave the device with a power".to_owned(),
            reason: format!(
                "its watchdog ends it after {after:?}: only the power of `fallback` stays, or any where the profile \
                 says by `never` which time means never"
            ),
        })
    }

    fn planned<'p>(
        &self,
        profile: &Profile,
        steps: impl Iterator<Item = (&'p str, f64)>,
    ) -> Result<Vec<Write>, DeviceError> {
        steps
            .map(|(name, value)| {
                let refused =
                    |reason: String| DeviceError::Refused { operation: format!("write {name}"), reason };
                let index = profile.points.iter().position(|point| &*point.name == name);
                let index = index.ok_or_else(|| unsupported(&format!("write {name}")))?;
                let point = &profile.points[index];
                if let Some((low, high)) =
                    point.writable_range().filter(|(low, high)| !(*low..=*high).contains(&value))
                {
                    return Err(refused(format!("{value} is outside {low} to {high} {}", point.unit.ucum())));
                }
                let registers =
                    point.encode(value).map_err(|error: Unencodable| refused(error.to_string()))?;
                Ok(Write { index, registers })
            })
            .collect()
    }

    /// The power that the device takes now.
    fn range(&self, profile: &Profile, image: &Image) -> Result<PowerRange, DeviceError> {
        let bound = |bound: &Bound| match bound {
            Bound::Fixed(number) => Ok(*number),
            Bound::Point(name) => image.value(profile, name).ok_or_else(|| absent(name)),
        };
        let (min_w, max_w) = (bound(&self.command.min_w)?, bound(&self.command.max_w)?);
        let max_var = self.command.max_var.as_ref().map_or(Ok(0.0), bound)?;
        if min_w > max_w || max_var < 0.0 {
            return Err(DeviceError::Malformed {
                operation: "read the limits of power".to_owned(),
                reason: format!("{min_w} to {max_w} W and {max_var} var are no limits"),
            });
        }
        Ok(PowerRange { min_w, max_w, max_var })
    }

    /// The command that the device holds; `None` when it is not in the state in which it obeys one, or when no
    /// register tells that.
    fn standing(&self, profile: &Profile, image: &Image) -> Option<Command> {
        let enabling = self.command.before.iter().chain(&self.command.after);
        let mut told =
            enabling.filter(|write| profile.point(&write.point).is_some_and(|p| p.access.reads())).peekable();
        told.peek()?;
        let holds = |write: &RegisterWrite| image.value(profile, &write.point) == Some(write.value);
        told.all(holds).then(|| self.held(profile, image).ok()).flatten()
    }

    /// What the set points hold.
    fn held(&self, profile: &Profile, image: &Image) -> Result<Command, DeviceError> {
        let read = |name: &str| {
            let value = image.value(profile, name).ok_or_else(|| absent(name))?;
            Ok::<f64, DeviceError>(match self.whole(profile, image, name)? {
                Some(whole) => value / 100.0 * whole,
                None => value,
            })
        };
        Ok(Command::Power {
            real_power_w: read(&self.command.real_power)?,
            reactive_power_var: self.command.reactive_power.as_deref().map_or(Ok(0.0), read)?,
        })
    }

    /// A power in the unit of its set point.
    fn on_scale(&self, profile: &Profile, image: &Image, name: &str, power: f64) -> Result<f64, DeviceError> {
        Ok(self.whole(profile, image, name)?.map_or(power, |whole| power / whole * 100.0))
    }

    /// What 100 % of a set point are; `None` when it is not in %.
    fn whole(&self, profile: &Profile, image: &Image, name: &str) -> Result<Option<f64>, DeviceError> {
        let is_percent = |point: &PointSpec| point.unit == Unit::Percent;
        let (true, Some(rated)) = (profile.point(name).is_some_and(is_percent), &self.command.rated) else {
            return Ok(None);
        };
        let whole = match rated {
            Bound::Fixed(rated) => Some(*rated),
            Bound::Point(point) => image.value(profile, point),
        };
        whole.filter(|whole| *whole > 0.0).map(Some).ok_or_else(|| absent("rated power"))
    }
}

/// A power within its limits; a rounding error beyond them is cut off.
fn within(what: &str, unit: &str, asked: f64, low: f64, high: f64) -> Result<f64, DeviceError> {
    let slack = (high - low).abs() * 1e-9;
    if (low - slack..=high + slack).contains(&asked) {
        return Ok(asked.clamp(low, high));
    }
    Err(DeviceError::Refused {
        operation: "apply power".to_owned(),
        reason: format!("{what} of {asked} is outside {low} to {high} {unit}"),
    })
}
