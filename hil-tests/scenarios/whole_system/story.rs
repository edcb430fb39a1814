//! What happens in a world, from a seed: a [`Plot`] is drawn, and [`tell`] lives it, life after life, until the run is
//! over or gives up.

use crate::rig::Feeder;
use gridloop_bus::{Bus, Weather};
use gridloop_clock::{Clock, MonoTime, SharedClock, SimulatedClock, sleep};
use gridloop_component::{Component, Fault, Identity, OpenEpoch, Poke, Step, join};
use gridloop_hil_tests::world::{Heard, Ledger, Listener, StallingClock, mischief, simulated_from, spoil};
use gridloop_messages::{Message, SimulationId};
use gridloop_platform_manager::{RunReport, Session};
use gridloop_realtime_manager::{Journal, Pace, Settings};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// Above this a command is outside the limits of `pv1`.
pub(crate) const LIMIT_W: f64 = 5000.0;
/// No story takes longer, whatever happens in it.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// What is going to happen.
#[derive(Debug, Clone)]
struct Plot {
    overrides: Vec<String>,
    delay_max: Duration,
    twice_percent: u8,
    outages: Vec<(MonoTime, MonoTime)>,
    /// Of a hundred waits of the manager's pacer so many are too long, by up to so much.
    stalls: (u8, Duration),
    /// Of a hundred calls to each device so many go wrong.
    mischief_percent: u8,
    /// The slow component takes up to this long as a rule, and longer in so many of a hundred epochs.
    slow: (Duration, u8),
    /// When UTC is set, and by how many seconds.
    steps: Vec<(MonoTime, i64)>,
    /// When the process is killed, and how long it takes until it is started again.
    kills: Vec<(MonoTime, Duration)>,
}

/// One process of the run.
pub(crate) struct Life {
    pub(crate) heard: Vec<Heard>,
    pub(crate) ledgers: Vec<Ledger>,
}

/// What happened.
pub(crate) struct Story {
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) lives: Vec<Life>,
    /// How long a message takes to its subscribers at most, while no session is away.
    pub(crate) delay_max: Duration,
    /// Whether no session ever lost the bus.
    pub(crate) sound_bus: bool,
    /// What UTC may have been set by, in seconds; 0 among them.
    pub(crate) steps_s: Vec<i64>,
    /// What the last process reported; none if the run could not be begun.
    pub(crate) report: Option<RunReport>,
}

impl Story {
    /// Every message of every process.
    pub(crate) fn heard(&self) -> impl Iterator<Item = &Heard> {
        self.lives.iter().flat_map(|life| &life.heard)
    }

    pub(crate) fn was_late(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.manager.epochs.late > 0)
    }

    /// Everything that was said, and the report: equal for equal stories, letter by letter.
    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        for heard in self.heard() {
            let text = String::from_utf8_lossy(&heard.bytes);
            let _ = writeln!(log, "{} {} {text}", heard.at.as_nanos(), heard.topic);
        }
        let _ = writeln!(log, "{:#?}", self.report.as_ref().map(|report| serde_json::to_string(report).ok()));
        log
    }
}

fn ms(random: &mut fastrand::Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

fn plot(seed: u64) -> Plot {
    let mut random = fastrand::Rng::with_seed(seed);
    let random = &mut random;
    let policy = random.u8(..8);
    let policy = match policy {
        0..=2 => "stretch".to_owned(),
        3..=4 => "skip".to_owned(),
        5 => "abort".to_owned(),
        _ => format!("catch-up {}", random.u32(1..6)),
    };
    let quiet = random.u8(..4) == 0;
    let mut overrides = vec![
        format!("simulation.epochs={}", random.u64(8..25)),
        format!("manager.overrun=\"{policy}\""),
        "manager.external_components=[\"slow\"]".to_owned(),
        "manager.resend_interval_s=1.5".to_owned(),
        "manager.max_resends=40".to_owned(),
        "device.pv1.fallback=\"on-loss\"".to_owned(),
        "device.pv2.fallback=\"on-loss\"".to_owned(),
        "device.oltc1.fallback=\"on-loss\"".to_owned(),
        "device.oltc1.mode=\"armed\"".to_owned(),
    ];
    if random.u8(..4) == 0 {
        overrides.push(format!("manager.release_lead_s={}", [0.02, 0.1, 0.3][random.usize(..3)]));
    }
    let begin = |random: &mut fastrand::Rng| MonoTime::default() + ms(random, 1000..20_000);
    let outages = if quiet { 0 } else { random.usize(..4) };
    let outages = (0..outages).map(|_| {
        let from = begin(random);
        (from, from + ms(random, 50..4000))
    });
    let outages = outages.collect();
    let kills = [0, 0, 1, 1, 2][random.usize(..5)];
    let mut kills: Vec<_> = (0..kills).map(|_| (begin(random), ms(random, 1..6000))).collect();
    kills.sort();
    let steps = usize::from(random.u8(..3) == 0);
    // Far enough that a label says whether it is from before or after.
    let sign = if random.bool() { 1 } else { -1 };
    let steps = (0..steps).map(|_| (begin(random), sign * random.i64(600..7200))).collect();
    Plot {
        overrides,
        delay_max: if quiet { Duration::ZERO } else { ms(random, 0..120) },
        twice_percent: random.u8(..10),
        outages,
        stalls: if quiet { (0, Duration::ZERO) } else { (random.u8(..8), ms(random, 1..3000)) },
        mischief_percent: if quiet { 0 } else { random.u8(..25) },
        slow: (ms(random, 1..700), if quiet { 0 } else { random.u8(..15) }),
        steps,
        kills,
    }
}

/// A component that takes its time.
struct Slow {
    random: fastrand::Rng,
    usually: Duration,
    late_percent: u8,
    takes: Duration,
}

impl Component for Slow {
    fn inputs(&self) -> Vec<String> {
        Vec::new()
    }

    fn open(&mut self, _: &OpenEpoch) -> Result<(), Fault> {
        let late = self.random.u8(..100) < self.late_percent;
        let micros = u64::try_from(self.usually.as_micros()).unwrap_or(1);
        self.takes = Duration::from_micros(self.random.u64(..=micros));
        if late {
            self.takes += ms(&mut self.random, 400..3500);
        }
        Ok(())
    }

    fn take(&mut self, _: &str, _: &Message, _: MonoTime) -> Result<(), Fault> {
        Ok(())
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let done_at = epoch.opened_at + self.takes;
        Ok(if now < done_at { Step::WakeAt(done_at) } else { Step::Done(Vec::new()) })
    }
}

/// Lives the story of a seed.
pub(crate) fn tell(seed: u64) -> Story {
    let plot = plot(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    let feeder = Feeder::with(&["2,pv1,3.0,0.0,,", "4,oltc1,,,7,", "5,pv1,9.0,0.0,,", "8,pv1,1.0,0.5,,"]);
    let id = SimulationId::parse("2026-01-01T00:00:00.000Z").expect("a sound id");
    let mut story = Story {
        seed,
        settings: configuration(&feeder, &plot).manager_settings(&id, false),
        lives: Vec::new(),
        delay_max: plot.delay_max,
        sound_bus: plot.outages.is_empty(),
        steps_s: plot.steps.iter().map(|(_, seconds)| *seconds).chain([0]).collect(),
        report: None,
    };
    let mut now = MonoTime::default();
    let mut kills = plot.kills.iter();
    loop {
        let number = u64::try_from(story.lives.len()).unwrap_or(0);
        let kill = kills.find(|(at, _)| *at > now);
        let ends = kill.map_or(now + LONGEST, |(at, _)| *at);
        let lived = simulated_from(now, |clock| {
            live(clock, &feeder, &plot, &journal, seed.wrapping_mul(31).wrapping_add(number), ends, &id)
        });
        let (life, report) = lived;
        story.lives.push(life);
        match (report, kill) {
            (Some(report), _) => {
                story.report = report;
                return story;
            }
            (None, Some((at, down))) => now = *at + *down,
            (None, None) => panic!("the run does not end"),
        }
    }
}

fn configuration(feeder: &Feeder, plot: &Plot) -> gridloop_platform_manager::Configuration {
    let overrides: Vec<&str> = plot.overrides.iter().map(String::as_str).collect();
    feeder.configuration(&overrides)
}

/// One process, until the run is over or it is killed; what it reported, if it came to its end.
async fn live(
    clock: SimulatedClock,
    feeder: &Feeder,
    plot: &Plot,
    journal: &Path,
    seed: u64,
    killed_at: MonoTime,
    id: &SimulationId,
) -> (Life, Option<Option<RunReport>>) {
    let shared: SharedClock = Arc::new(clock.clone());
    let mut configuration = configuration(feeder, plot);
    let begin = clock.now() + Duration::from_millis(1);
    let never = MonoTime::from_nanos(u64::MAX);
    let mut ledgers = Vec::new();
    for (n, device) in (0..).zip(["pv1", "oltc1"]) {
        let plan = mischief(seed.wrapping_add(n), plot.mischief_percent, begin, never);
        ledgers.push(spoil(&mut configuration, device, plan));
    }
    let weather = Weather {
        seed,
        delay_max: plot.delay_max,
        twice_percent: plot.twice_percent,
        outages: plot.outages.iter().copied().filter(|(from, _)| *from > clock.now()).collect(),
    };
    let bus = Bus::in_weather(weather, shared.clone());
    let listener = Listener::start(bus.sheltered(), clock.clone()).await.expect("a listener");
    for (at, seconds) in plot.steps.iter().copied().filter(|(at, _)| *at > clock.now()) {
        let stepped = clock.clone();
        tokio::spawn(async move {
            stepped.sleep_until(at).await;
            stepped.step_utc(seconds * 1_000_000_000);
        });
    }
    let settings = configuration.manager_settings(id, false);
    let journal = Journal::open_in_place(journal, &settings).expect("a journal");
    let processes = journal.past().map_or(0, gridloop_realtime_manager::Past::processes);
    let (percent, longest) = plot.stalls;
    let stalling: SharedClock = Arc::new(StallingClock::new(shared.clone(), seed, percent, longest));
    let slow = Slow {
        random: fastrand::Rng::with_seed(seed),
        usually: plot.slow.0,
        late_percent: plot.slow.1,
        takes: Duration::ZERO,
    };
    let identity = Identity {
        name: "slow".into(),
        simulation_id: id.clone(),
        manager: None,
        numbered_from: processes * gridloop_realtime_manager::NUMBERED_APART,
    };
    let joined = join(slow, identity, bus.session(), shared.clone()).await.expect("a component");
    tokio::spawn(joined.run(Poke::new(), CancellationToken::new()));
    let session = Session {
        journal: Some(journal),
        ..Session::new(id.clone(), bus.session(), shared.clone(), CancellationToken::new())
    };
    let run = session.run(Pace::Clock(stalling), configuration, |_| {});
    let killed = shared.sleep_until(killed_at);
    let report = tokio::select! {
        biased;
        () = killed => None,
        report = run => Some(report.ok()),
    };
    if report.is_some() {
        // What is still on its way is heard.
        sleep(shared.as_ref(), Duration::from_secs(1)).await;
    }
    (Life { heard: listener.heard(), ledgers }, report)
}
