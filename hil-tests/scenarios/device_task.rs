//! Ten thousand devices of which each misbehaves in its own way, each behind a device task: late, short, garbled,
//! refused, broken, hung and panicked calls, in every order that the seeds give.

use gridloop_clock::{Clock, MonoTime, SharedClock, SimulatedClock, sleep};
use gridloop_device::{
    Ageing, Command, DeviceHandle, DeviceTask, Left, Mode, Quality, SafeState, Setpoint, TaskSettings,
};
use gridloop_hil_tests::world::{Call, FaultyDevice, Ledger, Mishap, What, mischief, simulated};
use gridloop_plant::{LivePlant, Plant, PvInverter, PvInverterSettings, Series};
use gridloop_simulated::SimulatedDevice;
use std::sync::Arc;
use std::time::Duration;

const SETTINGS: TaskSettings = TaskSettings {
    mode: Mode::Armed,
    armed_for: None,
    write_interval: Duration::ZERO,
    poll_interval: Duration::from_millis(200),
    job_timeout: Duration::from_millis(500),
    write_timeout: Duration::from_millis(500),
    connect_timeout: Duration::from_millis(500),
    backoff_min: Duration::from_millis(50),
    backoff_max: Duration::from_millis(800),
    safe_state: SafeState::Release,
    release_within: Duration::from_secs(2),
};
const AGEING: Ageing =
    Ageing { stale_after: Duration::from_millis(600), lost_after: Duration::from_millis(1800) };
const RATING_W: f64 = 8000.0;
const DEAD_MAN: Duration = Duration::from_millis(900);
/// Setpoints come in this time, and for the rest of the case none.
const DRIVEN: Duration = Duration::from_secs(3);

/// What the gateway did, to compare with what the device saw.
struct Story {
    ledger: Ledger,
    plant: LivePlant<Plant>,
    given: Vec<Setpoint>,
    ended_at: MonoTime,
    end_took: Duration,
    left: Left,
}

fn plant(clock: &SimulatedClock) -> LivePlant<Plant> {
    let sun = Series::from_csv_text("sun", "Seconds,Value\n0,300\n20,900\n").expect("a series");
    let inverter = PvInverter::new(PvInverterSettings::typical(RATING_W, sun)).expect("an inverter");
    LivePlant::new(Plant::from(inverter), Arc::new(clock.clone()))
}

/// One case. `quiet_at` is when the device becomes well-behaved; `length` is when the end is asked for.
async fn live(clock: SimulatedClock, seed: u64, quiet_at: MonoTime, length: Duration) -> Story {
    let mut random = fastrand::Rng::with_seed(seed);
    let shared: SharedClock = Arc::new(clock.clone());
    let plant = plant(&clock);
    let sound = SimulatedDevice::new(plant.clone(), Arc::clone(&shared));
    let plan = mischief(seed, random.u8(5..70), MonoTime::default(), quiet_at);
    let device = FaultyDevice::new(Box::new(sound), Arc::clone(&shared), plan);
    let ledger = device.ledger();
    let task = DeviceTask::start(Box::new(device), SETTINGS, shared, Box::new(|_| {}));
    let handle = task.handle();
    let mut given = Vec::new();
    let end = MonoTime::default() + length;
    while clock.now() < end {
        sleep(&clock, Duration::from_millis(random.u64(20..300))).await;
        look(&handle, &ledger, clock.now(), seed);
        if clock.now() < MonoTime::default() + DRIVEN && random.u8(..3) > 0 {
            let setpoint = setpoint(&mut random, &given, clock.now());
            handle.command(setpoint);
            given.push(setpoint);
        }
        if random.u8(..4) == 0 {
            handle.refresh();
        }
    }
    let ended_at = clock.now();
    let left = task.end().await;
    Story { ledger, plant, end_took: clock.now().since(ended_at), ended_at, left, given }
}

/// A new power, or the one before once more.
fn setpoint(random: &mut fastrand::Rng, given: &[Setpoint], now: MonoTime) -> Setpoint {
    let fresh = Command::Power { real_power_w: f64::from(random.u16(..8000)), reactive_power_var: 0.0 };
    let repeated = given.last().filter(|_| random.bool()).map(|before| before.command);
    let epoch = u64::try_from(given.len()).unwrap_or(0);
    Setpoint {
        command: repeated.unwrap_or(fresh),
        epoch,
        received_at: now,
        expires_at: now + DEAD_MAN,
        order: 0,
    }
}

/// What is called good was shown by the plant, at the instant that it says, and not long ago.
fn look(handle: &DeviceHandle, ledger: &Ledger, now: MonoTime, seed: u64) {
    let image = handle.image();
    for (name, sample, age) in image.points_at(AGEING, now) {
        if sample.quality != Quality::Good {
            continue;
        }
        assert!(age <= AGEING.stale_after, "seed {seed}: {name} is good and {age:?} old");
        let shown =
            ledger.last_sampled_at(sample.sampled_at).and_then(|snapshot| snapshot.get(name).copied());
        assert_eq!(shown, Some(sample), "seed {seed}: {name} is called good");
    }
}

fn check(story: &Story, seed: u64) {
    let mut outcome_known = true;
    for (at, what) in story.ledger.entries() {
        match what {
            What::OutOfTurn(call) => panic!("seed {seed}: {call:?} over a link that was given up"),
            What::Sampled(_) => outcome_known = true,
            What::Called(Call::Apply(command), mishap) => {
                assert!(
                    outcome_known,
                    "seed {seed}: a write of unknown outcome was repeated unread at {at:?}"
                );
                outcome_known = mishap.is_none_or(Mishap::keeps_link);
                let in_force = story.given.iter().rev().find(|it| it.received_at <= at);
                let in_force =
                    in_force.unwrap_or_else(|| panic!("seed {seed}: a write of nobody's at {at:?}"));
                assert!(at < in_force.expires_at, "seed {seed}: an expired setpoint was written at {at:?}");
                assert!(at <= story.ended_at, "seed {seed}: a write after the end");
                // A setpoint may come while a call is under way; the one before it is then still written.
                let newest =
                    story.given.iter().filter(|it| it.received_at < at).any(|it| it.command == command);
                assert!(newest || in_force.command == command, "seed {seed}: an invented command at {at:?}");
            }
            What::Took(Command::Power { real_power_w, .. }) => {
                assert!((0.0..=RATING_W).contains(&real_power_w), "seed {seed}");
            }
            _ => {}
        }
    }
    assert!(story.end_took <= SETTINGS.release_within, "seed {seed}: the end took {:?}", story.end_took);
    match &story.left {
        Left::Released => assert_eq!(limit(story), None, "seed {seed}: released, and yet it holds a command"),
        Left::Untouched => assert!(story.ledger.took().is_empty(), "seed {seed}: it was touched"),
        Left::Unknown(why) => assert!(!why.is_empty(), "seed {seed}"),
    }
}

/// The command that the plant really holds.
fn limit(story: &Story) -> Option<f64> {
    story.plant.with(|plant| match plant {
        Plant::PvInverter(inverter) => inverter.power_limit().value(),
        Plant::Battery(_) | Plant::TapChanger(_) | Plant::GridEmulator(_) => None,
    })
}

#[test]
fn in_six_thousand_devices_that_misbehave_to_the_end_no_wrong_value_is_good_and_no_wrong_command_is_written()
{
    let (mut released, mut unknown) = (0, 0);
    for seed in 0..6000 {
        let never = MonoTime::from_nanos(u64::MAX);
        let story = simulated(|clock| live(clock, seed, never, DRIVEN + Duration::from_millis(500)));
        check(&story, seed);
        released += u32::from(story.left == Left::Released);
        unknown += u32::from(matches!(story.left, Left::Unknown(_)));
    }
    assert!(released > 1000 && unknown > 100, "{released} released, {unknown} unknown");
}

#[test]
fn four_thousand_devices_that_come_to_their_senses_are_released_by_the_dead_man_timer() {
    let mut touched = 0;
    for seed in 10_000..14_000 {
        let quiet_at = MonoTime::default() + DRIVEN;
        // Whatever call is under way when the last setpoint expires, then a back-off, then the release.
        let slack = DEAD_MAN + SETTINGS.job_timeout * 2 + SETTINGS.backoff_max;
        let story = simulated(|clock| live(clock, seed, quiet_at, DRIVEN + slack));
        check(&story, seed);
        let took = story.ledger.took();
        assert_eq!(limit(&story), None, "seed {seed}: it still holds a command when setpoints have ceased");
        if took.is_empty() {
            continue;
        }
        touched += 1;
        assert_eq!(story.left, Left::Released, "seed {seed}");
        let dead_man =
            story.ledger.entries().iter().any(|(at, what)| *what == What::Released && *at < story.ended_at);
        assert!(dead_man, "seed {seed}: the release came with the end only");
    }
    assert!(touched > 3000, "{touched}");
}
