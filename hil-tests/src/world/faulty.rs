//! Devices that misbehave on purpose.
//!
//! A [`FaultyDevice`] passes calls on to a sound device and spoils those that its [`Plan`] names with a [`Mishap`]. Its
//! [`Ledger`] says what it was called for and what the sound device really did: the truth, for tests.

use async_trait::async_trait;
use gridloop_clock::{Clock, MonoTime, SharedClock, sleep};
use gridloop_device::{
    Applied, Command, Description, Device, DeviceError, Quality, SafeState, Setpoint, Snapshot, point,
};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A call of a driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Call {
    /// [`Device::connect`]
    Connect,
    /// [`Device::read`]
    Read,
    /// [`Device::apply`] of this command.
    Apply(Command),
    /// [`Device::release`]
    Release,
}

/// What goes wrong with a call. `done` tells whether the device had already done as told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mishap {
    /// The request takes this long to reach the device; the answer is right.
    Late(Duration),
    /// No answer; the driver gives up after this time.
    NoAnswer {
        /// How long the driver waits.
        after: Duration,
        /// Whether the device did as told.
        done: bool,
    },
    /// The link breaks.
    LinkLost {
        /// Whether the device did as told.
        done: bool,
    },
    /// The answer makes no sense.
    Garbage {
        /// Whether the device did as told.
        done: bool,
    },
    /// The driver never comes back.
    Hang {
        /// Whether the device did as told.
        done: bool,
    },
    /// The device says no.
    Refused,
    /// The driver panics.
    Panic,
    /// A reading without one of its points.
    Short {
        /// The point's name.
        of: &'static str,
    },
    /// A reading in which every value is a thousandfold, and said to be out of range.
    OutOfRange,
}

impl Mishap {
    /// Whether the driver may go on over the same link.
    #[must_use]
    pub fn keeps_link(self) -> bool {
        matches!(self, Self::Late(_) | Self::Refused | Self::Short { .. } | Self::OutOfRange)
    }
}

/// Decides about each call what goes wrong with it.
pub type Plan = Box<dyn FnMut(Call, MonoTime) -> Option<Mishap> + Send>;

/// Nothing ever goes wrong.
#[must_use]
pub fn honest() -> Plan {
    Box::new(|_, _| None)
}

/// Nothing comes through from `from` until `to`, as with a cut cable.
#[must_use]
pub fn cut(from: MonoTime, to: MonoTime) -> Plan {
    Box::new(move |_, now| {
        let lost = Mishap::NoAnswer { after: Duration::from_millis(100), done: false };
        (from..to).contains(&now).then_some(lost)
    })
}

/// From `from` until `to`, `percent` of the calls go wrong in any way there is.
#[must_use]
pub fn mischief(seed: u64, percent: u8, from: MonoTime, to: MonoTime) -> Plan {
    let mut random = fastrand::Rng::with_seed(seed);
    Box::new(move |call, now| {
        let struck = random.u8(..100) < percent;
        (struck && (from..to).contains(&now)).then(|| any_mishap(&mut random, call))
    })
}

fn any_mishap(random: &mut fastrand::Rng, call: Call) -> Mishap {
    let done = random.bool();
    let wait = Duration::from_millis(random.u64(1..900));
    let kinds = if call == Call::Read { 9 } else { 7 };
    match random.u8(..kinds) {
        0 => Mishap::Late(wait),
        1 => Mishap::NoAnswer { after: wait, done },
        2 => Mishap::LinkLost { done },
        3 => Mishap::Garbage { done },
        4 => Mishap::Hang { done },
        5 => Mishap::Refused,
        6 => Mishap::Panic,
        7 => Mishap::Short { of: if done { point::REAL_POWER } else { point::REACTIVE_POWER } },
        _ => Mishap::OutOfRange,
    }
}

/// Something that happened to a faulty device.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A call began, and this is to go wrong with it.
    Called(Call, Option<Mishap>),
    /// A call was made on a link that had been given up.
    OutOfTurn(Call),
    /// The device was connected.
    Connected,
    /// This is what the device showed.
    Sampled(Snapshot),
    /// The command reached the device, which took it.
    Took(Command),
    /// The device went into its safe state.
    Released,
}

/// What happened to a device, in order. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Vec<(MonoTime, What)>>>);

impl Ledger {
    /// Everything so far.
    #[must_use]
    pub fn entries(&self) -> Vec<(MonoTime, What)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When which command reached the device.
    #[must_use]
    pub fn took(&self) -> Vec<(MonoTime, Command)> {
        let took = |(at, what)| if let What::Took(command) = what { Some((at, command)) } else { None };
        self.entries().into_iter().filter_map(took).collect()
    }

    /// When what was sampled.
    #[must_use]
    pub fn sampled(&self) -> Vec<(MonoTime, Snapshot)> {
        let sampled =
            |(at, what)| if let What::Sampled(snapshot) = what { Some((at, snapshot)) } else { None };
        self.entries().into_iter().filter_map(sampled).collect()
    }

    /// What was sampled last at this very instant.
    #[must_use]
    pub fn last_sampled_at(&self, instant: MonoTime) -> Option<Snapshot> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sampled = |(at, what): &(MonoTime, What)| match what {
            What::Sampled(snapshot) if *at == instant => Some(snapshot.clone()),
            _ => None,
        };
        entries.iter().rev().find_map(sampled)
    }

    /// Whether the last thing that the device did about commands was to go into its safe state.
    #[must_use]
    pub fn is_released(&self) -> bool {
        let last = self.entries().into_iter().rev().map(|(_, what)| what);
        last.into_iter().find(|what| matches!(what, What::Took(_) | What::Released)) == Some(What::Released)
    }

    fn add(&self, at: MonoTime, what: What) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((at, what));
    }
}

/// A sound device behind a bad wire.
pub struct FaultyDevice {
    sound: Box<dyn Device>,
    clock: SharedClock,
    plan: Plan,
    ledger: Ledger,
    in_step: bool,
}

impl FaultyDevice {
    /// A device that behaves as `sound` does, but for what `plan` says.
    #[must_use]
    pub fn new(sound: Box<dyn Device>, clock: SharedClock, plan: Plan) -> Self {
        Self::with_ledger(sound, clock, plan, Ledger::default())
    }

    /// The same, which writes into this ledger.
    #[must_use]
    pub fn with_ledger(sound: Box<dyn Device>, clock: SharedClock, plan: Plan, ledger: Ledger) -> Self {
        Self { sound, clock, plan, ledger, in_step: false }
    }

    /// What happened to it.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    fn note(&self, what: What) {
        self.ledger.add(self.clock.now(), what);
    }

    /// Begins a call: what goes wrong before the device has heard of it goes wrong here.
    async fn begin(&mut self, call: Call) -> Result<Option<Mishap>, DeviceError> {
        if call != Call::Connect && !self.in_step {
            self.note(What::OutOfTurn(call));
            return Err(DeviceError::Disconnected { operation: "call".into(), reason: "out of turn".into() });
        }
        let mishap = (self.plan)(call, self.clock.now());
        self.note(What::Called(call, mishap));
        // A call that is abandoned leaves it so.
        self.in_step = false;
        match mishap {
            Some(Mishap::Late(wait)) => sleep(self.clock.as_ref(), wait).await,
            Some(Mishap::Refused) => {
                self.in_step = call != Call::Connect;
                return Err(DeviceError::Refused { operation: "call".into(), reason: "busy".into() });
            }
            // Without the message on the terminal that `panic!` makes.
            Some(Mishap::Panic) => std::panic::resume_unwind(Box::new("a bug in the driver")),
            Some(
                Mishap::NoAnswer { done: false, .. }
                | Mishap::LinkLost { done: false }
                | Mishap::Garbage { done: false }
                | Mishap::Hang { done: false },
            ) => fail(self.clock.as_ref(), mishap).await?,
            _ => {}
        }
        Ok(mishap)
    }

    /// Ends a call that the device has heard: what goes wrong after that goes wrong here.
    async fn finish<T>(
        &mut self,
        mishap: Option<Mishap>,
        result: Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        fail(self.clock.as_ref(), mishap).await?;
        self.in_step = match &result {
            Ok(_) => true,
            Err(error) => error.keeps_link(),
        };
        result
    }
}

async fn fail(clock: &dyn Clock, mishap: Option<Mishap>) -> Result<(), DeviceError> {
    let operation = "call".to_owned();
    match mishap {
        Some(Mishap::NoAnswer { after, .. }) => {
            sleep(clock, after).await;
            Err(DeviceError::Timeout { operation, waited: after })
        }
        Some(Mishap::LinkLost { .. }) => {
            Err(DeviceError::Disconnected { operation, reason: "connection reset".into() })
        }
        Some(Mishap::Garbage { .. }) => {
            Err(DeviceError::Malformed { operation, reason: "not an answer".into() })
        }
        Some(Mishap::Hang { .. }) => pending().await,
        _ => Ok(()),
    }
}

#[async_trait]
impl Device for FaultyDevice {
    async fn connect(&mut self) -> Result<Description, DeviceError> {
        let mishap = self.begin(Call::Connect).await?;
        let result = self.sound.connect().await;
        if result.is_ok() {
            self.note(What::Connected);
        }
        self.finish(mishap, result).await
    }

    async fn read(&mut self) -> Result<Snapshot, DeviceError> {
        let mishap = self.begin(Call::Read).await?;
        let result = self.sound.read().await;
        if let Ok(snapshot) = &result {
            self.note(What::Sampled(snapshot.clone()));
        }
        self.finish(mishap, result).await.map(|snapshot| spoilt(snapshot, mishap))
    }

    async fn apply(&mut self, setpoint: &Setpoint) -> Result<Applied, DeviceError> {
        let mishap = self.begin(Call::Apply(setpoint.command)).await?;
        let result = self.sound.apply(setpoint).await;
        if result.is_ok() {
            self.note(What::Took(setpoint.command));
        }
        self.finish(mishap, result).await
    }

    async fn release(&mut self, safe: &SafeState) -> Result<Applied, DeviceError> {
        let mishap = self.begin(Call::Release).await?;
        let result = self.sound.release(safe).await;
        if result.is_ok() {
            self.note(What::Released);
        }
        self.finish(mishap, result).await
    }
}

fn spoilt(mut snapshot: Snapshot, mishap: Option<Mishap>) -> Snapshot {
    match mishap {
        Some(Mishap::Short { of }) => {
            snapshot.points.remove(of);
        }
        Some(Mishap::OutOfRange) => {
            for sample in snapshot.points.values_mut() {
                sample.value *= 1000.0;
                sample.quality = Quality::OutOfRange;
            }
        }
        _ => {}
    }
    snapshot
}
