//! `gridloop device write`: one command, or plain registers, by hand. Nothing is sent without `--arm`.

use super::access::{AccessArgs, open};
use super::read::pause;
use super::registers::{print_registers, write_range};
use crate::context::FAILED;
use anyhow::bail;
use clap::Args;
use gridloop_clock::SharedClock;
use gridloop_device::{
    Applied, Capabilities, Command, FailSafe, PowerRange, SafeState, Setpoint, TapRange, VoltageRange,
};
use gridloop_gateway::{DeviceSettings, lock_device};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Real power in W, positive towards the grid.
    #[arg(long, value_name = "W", allow_hyphen_values = true)]
    power_w: Option<f64>,
    /// Reactive power in var, with --power-w.
    #[arg(long, value_name = "VAR", requires = "power_w", allow_hyphen_values = true)]
    reactive_power_var: Option<f64>,
    /// Tap position.
    #[arg(long, value_name = "N", conflicts_with = "power_w", allow_hyphen_values = true)]
    tap_position: Option<i32>,
    /// Voltage to regulate to, line to neutral, in V.
    #[arg(long, value_name = "V", conflicts_with_all = ["power_w", "tap_position"])]
    voltage_v: Option<f64>,
    /// Give control back: no limits, its own automatic.
    #[arg(long, conflicts_with_all = ["power_w", "tap_position", "voltage_v"])]
    release: bool,
    /// Plain Modbus registers instead: the first holding register, counted from 0, and raw values, 0 to 65535, for it and
    /// those after it.
    #[arg(value_name = "REGISTER VALUE", num_args = 2.., conflicts_with_all = ["power_w", "tap_position", "voltage_v", "release"])]
    registers: Vec<u16>,
    /// Really write. Without it nothing is sent.
    #[arg(long)]
    arm: bool,
}

/// How long a hand may wait for a tap changer to arrive.
const ARRIVAL: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
enum Wish {
    Command(Command),
    Release,
}

pub(super) async fn write(args: &WriteArgs, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let settings = match args.access.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    let address = &args.access.address;
    if let [first, values @ ..] = &*args.registers {
        if !args.arm {
            bail!(
                "nothing written: would write {values:?} from holding register {first} on at {address}; add --arm to do it"
            );
        }
        let _lock = lock_device(&settings)?;
        let held = write_range(&settings, *first, values, clock).await?;
        print_registers(*first, &held);
        if held == values {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("the device holds something else than what was written");
        return Ok(ExitCode::from(FAILED));
    }
    let Some(wish) = args.wish() else {
        bail!(
            "nothing to write: say --power-w, --tap-position, --voltage-v, --release, or a register and its values"
        );
    };
    if !args.arm {
        bail!("nothing written: would write {} at {address}; add --arm to do it", words(wish));
    }
    carry_out(wish, &settings, clock).await
}

impl WriteArgs {
    fn wish(&self) -> Option<Wish> {
        let power = self.power_w.map(|real_power_w| Command::Power {
            real_power_w,
            reactive_power_var: self.reactive_power_var.unwrap_or(0.0),
        });
        let tap = self.tap_position.map(Command::TapPosition);
        let voltage = self.voltage_v.map(|voltage_v| Command::Voltage { voltage_v });
        let command = power.or(tap).or(voltage).map(Wish::Command);
        command.or(self.release.then_some(Wish::Release))
    }
}

async fn carry_out(wish: Wish, settings: &DeviceSettings, clock: &SharedClock) -> anyhow::Result<ExitCode> {
    let _lock = lock_device(settings)?;
    let mut device = open(settings, clock).await?;
    let description = device.connect().await?;
    if let Wish::Command(command) = wish {
        check(command, &description.capabilities)?;
    }
    device.read().await?;
    let received_at = clock.now();
    loop {
        let expires_at = clock.now() + ARRIVAL;
        let applied = match wish {
            Wish::Command(command) => {
                device.apply(&Setpoint { command, epoch: 0, received_at, expires_at, order: 0 }).await?
            }
            Wish::Release => device.release(&SafeState::Release).await?,
        };
        match applied {
            Applied::Confirmed { readback } | Applied::Restored { readback } => {
                let left = match (wish, description.fail_safe) {
                    (Wish::Release, _) => String::new(),
                    (_, FailSafe::None) => ", until it is told something else".to_owned(),
                    (_, FailSafe::RevertsToFree { after } | FailSafe::RevertsToValue { after, .. }) => {
                        format!(", for {} s: then its own timer ends it", after.as_secs_f64())
                    }
                };
                println!("it holds {}{left}", words(Wish::Command(readback)));
                return Ok(ExitCode::SUCCESS);
            }
            Applied::InProgress if clock.now().since(received_at) < ARRIVAL => {
                pause(clock).await;
                device.read().await?;
            }
            Applied::InProgress => bail!("it has not arrived after {} s", ARRIVAL.as_secs()),
        }
    }
}

/// What the device says of itself is the limit of a hand too.
fn check(command: Command, can: &Capabilities) -> anyhow::Result<()> {
    match (command, can) {
        (
            Command::Power { real_power_w, reactive_power_var },
            Capabilities { power: Some(PowerRange { min_w, max_w, max_var }), .. },
        ) => {
            if !(-*max_var..=*max_var).contains(&reactive_power_var) {
                bail!("{reactive_power_var} var is outside what the device can do: {max_var} var either way");
            }
            if !(*min_w..=*max_w).contains(&real_power_w) {
                bail!("{real_power_w} W is outside what the device can do: {min_w} to {max_w} W");
            }
        }
        (
            Command::TapPosition(position),
            Capabilities { tap_position: Some(TapRange { lowest, highest }), .. },
        ) => {
            if !(*lowest..=*highest).contains(&position) {
                bail!("position {position} is outside the end stops: {lowest} to {highest}");
            }
        }
        (
            Command::Voltage { voltage_v },
            Capabilities { voltage: Some(VoltageRange { min_v, max_v }), .. },
        ) => {
            if !(*min_v..=*max_v).contains(&voltage_v) {
                bail!("{voltage_v} V is outside what the device takes: {min_v} to {max_v} V");
            }
        }
        _ => bail!("the device takes no such command"),
    }
    Ok(())
}

fn words(wish: Wish) -> String {
    match wish {
        Wish::Release => "its release".to_owned(),
        Wish::Command(Command::Power { real_power_w, reactive_power_var }) => {
            format!("{real_power_w:.1} W and {reactive_power_var:.1} var")
        }
        Wish::Command(Command::TapPosition(position)) => format!("tap position {position}"),
        Wish::Command(Command::Voltage { voltage_v }) => format!("{voltage_v:.1} V"),
    }
}
