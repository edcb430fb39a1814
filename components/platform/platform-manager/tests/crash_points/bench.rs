//! One inverter, one tap, and the gridloop that is killed: [`Bench`].

use gridloop_clock::{MonoTime, SharedClock, sleep};
use gridloop_hil_tests::modbus_tap::{ModbusTap, Moment};
use gridloop_hil_tests::peers::{Registers, mbpoll};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// The limit that the run gives in every epoch: 4000 W of 8000 W, in hundredths of a per cent as the inverter has it.
pub(crate) const HELD: u16 = 5000;

/// Model 704 of the simulated inverter: the address of its ID.
const MODEL_704: u16 = 40_002 + 68 + 52 + 28 + 32 + 46 + 26 + 52;
/// WMaxLimPctEna and WMaxLimPct.
const ENABLE: u16 = MODEL_704 + 14;
const LIMIT: u16 = MODEL_704 + 15;

/// Where gridloop is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crash {
    /// Writes that pass before, of whatever registers.
    writes: u32,
    moment: Moment,
    /// How long after the moment.
    delay: Duration,
}

impl Crash {
    /// Before the first write reaches the inverter.
    pub(crate) const FIRST: Self = Self { writes: 0, moment: Moment::Asked, delay: Duration::ZERO };

    pub(crate) fn drawn(random: &mut fastrand::Rng, writes: u32) -> Self {
        let moment = [Moment::Asked, Moment::Answered, Moment::Told][random.usize(..3)];
        // At the boundary itself, or somewhere behind it.
        let delay = if random.bool() { 0 } else { random.u64(..20_000) };
        Self { writes: random.u32(..writes), moment, delay: Duration::from_micros(delay) }
    }
}

/// What the tap has seen.
#[derive(Debug, Default)]
struct Seen {
    /// The gridloop at work, while it is to be killed.
    prey: Option<(Pid, Crash)>,
    writes: u32,
    /// Requests of all kinds that were answered.
    asked: u32,
    /// When the limit was put in force: writes that reached the inverter.
    limited_at: Vec<MonoTime>,
    /// Limits other than the one of the run.
    others: Vec<u16>,
    /// The end of the run is allowed to take the limit away.
    ending: bool,
}

pub(crate) struct Bench {
    folder: TempDir,
    clock: SharedClock,
    device: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _simulator: Process,
    tap: ModbusTap,
}

/// A gridloop, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    output: std::path::PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench {
    pub(crate) async fn start(timer_s: Option<u64>, clock: SharedClock) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut simulator =
            spawn(folder.path(), &["device", "simulate", "pv-inverter"], &seen, Stdio::piped());
        let stdout = simulator.child.stdout.take().expect("its output");
        let line = BufReader::new(stdout).lines().next().expect("a line").expect("UTF-8");
        let address = line.split("tcp://").nth(1).and_then(|rest| rest.split(',').next());
        let device: SocketAddr = address.and_then(|it| it.parse().ok()).expect("where it serves");
        let watched = Arc::clone(&seen);
        let pause = clock.clone();
        let watch = Arc::new(move |moment, pdu: &[u8]| watch(&watched, &pause, moment, pdu));
        let tap = ModbusTap::start(device.port(), watch).await.expect("a port");
        configure(folder.path(), tap.port(), timer_s);
        Self { folder, clock, device, seen, _simulator: simulator, tap }
    }

    /// Starts a gridloop. What it prints is kept under its name.
    pub(crate) fn spawn(&self, name: &str, arguments: &[&str]) -> Process {
        let output = self.folder.path().join(name);
        let file = std::fs::File::create(&output).expect("a file");
        let mut process = spawn(self.folder.path(), arguments, &self.seen, file.into());
        process.output = output;
        process
    }

    /// From now on, this gridloop is killed when its writes get there.
    pub(crate) fn hunt(&self, process: &Process, crash: Crash) {
        let mut seen = self.seen.lock().unwrap();
        seen.prey = Some((Pid::from_child(&process.child), crash));
        seen.writes = 0;
    }

    /// Waits until the run has been killed, and the last that it sent has reached the inverter.
    pub(crate) async fn killed(&self, mut run: Process) {
        eventually(&self.clock, "the run is killed", async || run.child.try_wait().unwrap().is_some()).await;
        let status = run.child.wait().expect("its end");
        assert!(status.code().is_none(), "it ended by itself: {status}: {}", run.output());
        eventually(&self.clock, "the tap is idle", async || self.tap.connections() == 0).await;
    }

    pub(crate) fn folder_of_the_run(&self) -> String {
        let runs = std::fs::read_dir(self.folder.path().join("runs")).expect("runs");
        let mut entries = runs.map(|entry| entry.expect("an entry").path());
        let run = entries.find(|path| path.join("begun.json").exists()).expect("the run");
        run.display().to_string()
    }

    /// The limit in force, as mbpoll reads it from the inverter.
    pub(crate) async fn in_force(&self) -> Option<u16> {
        let read = mbpoll(self.device, Registers::Holding, ENABLE, 2).await.expect("two registers");
        (read[0] == 1).then_some(read[1])
    }

    /// Requests of all kinds that were answered.
    pub(crate) fn asked(&self) -> u32 {
        self.seen.lock().unwrap().asked
    }

    /// Writes that put the limit in force, and reached the inverter.
    pub(crate) fn times_limited(&self) -> usize {
        self.seen.lock().unwrap().limited_at.len()
    }

    /// Of those after the first `before`, how many came within `span` of the first.
    pub(crate) fn limited_again(&self, before: usize, span: Duration) -> usize {
        let seen = self.seen.lock().unwrap();
        let after = seen.limited_at.get(before..).unwrap_or_default();
        after.first().map_or(0, |first| after.iter().filter(|at| at.since(*first) <= span).count())
    }

    /// Other limits that anybody wrote.
    pub(crate) fn others(&self) -> Vec<u16> {
        self.seen.lock().unwrap().others.clone()
    }
}

impl Process {
    /// Does what Ctrl-C does and waits for the end.
    pub(crate) async fn interrupt(&mut self, clock: &SharedClock) {
        self.allow_the_end();
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("a signal");
        self.ended(clock).await;
    }

    /// From now on the limit may be taken away.
    fn allow_the_end(&self) {
        self.seen.lock().unwrap().ending = true;
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, clock: &SharedClock) {
        eventually(clock, "it has ended", async || self.child.try_wait().unwrap().is_some()).await;
        let status = self.child.wait().expect("its end");
        assert_eq!(status.code(), Some(0), "{}", self.output());
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.output).expect("its output")
    }
}

fn spawn(folder: &Path, arguments: &[&str], seen: &Arc<Mutex<Seen>>, stdout: Stdio) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridloop"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).stdout(stdout);
    command.env_remove("RUST_LOG").env_remove("SIMULATION_ID");
    let child = command.spawn().expect("the command");
    Process { child, seen: Arc::clone(seen), output: folder.join("output") }
}

fn configure(folder: &Path, port: u16, timer_s: Option<u64>) {
    let timer = match timer_s {
        Some(timer_s) => format!("revert_after_s = {timer_s}\n"),
        None => "revert_after_s = \"never\"\n".to_owned(),
    };
    let configuration = format!(
        "[simulation]\nname = \"crashes\"\ninitial_start_time = \"2026-06-21T12:00:00.000Z\"\n\
         epoch_length_s = 0.2\nepochs = 10000\n\n[manager]\nstart_delay_s = 0\nresend_interval_s = 0.5\nmax_resends = 100\n\n\
         [component.operator]\nkind = \"setpoint-series\"\nfile = \"setpoints.csv\"\n\n\
         [device.pv1]\ndriver = \"sunspec\"\naddress = \"tcp://127.0.0.1:{port}\"\nmode = \"armed\"\n\
         category = \"Generator\"\n{timer}"
    );
    std::fs::write(folder.join("bench.toml"), configuration).expect("a configuration");
    let rows = "Epoch,Resource,RealPower,ReactivePower\n1,pv1,4.0,0.0\n";
    std::fs::write(folder.join("setpoints.csv"), rows).expect("setpoints");
}

/// Counts writes, and kills.
fn watch(seen: &Arc<Mutex<Seen>>, clock: &SharedClock, moment: Moment, pdu: &[u8]) -> bool {
    let mut now = seen.lock().unwrap();
    now.asked += u32::from(moment == Moment::Told);
    let Some((first, registers)) = written(pdu) else { return true };
    if moment == Moment::Answered {
        now.note(first, &registers, clock.now());
    }
    let Some((prey, crash)) = now.prey else { return true };
    if moment != crash.moment {
        return true;
    }
    now.writes += 1;
    if now.writes <= crash.writes {
        return true;
    }
    now.prey = None;
    if crash.delay.is_zero() {
        kill_process(prey, Signal::KILL).expect("a signal");
        return false;
    }
    let clock = clock.clone();
    tokio::spawn(async move {
        sleep(&*clock, crash.delay).await;
        kill_process(prey, Signal::KILL).expect("a signal");
    });
    true
}

impl Seen {
    /// Takes down what a write that the inverter has answered does to the limit.
    fn note(&mut self, first: u16, registers: &[u16], at: MonoTime) {
        for (address, value) in (first..).zip(registers) {
            match (address, *value) {
                (ENABLE, 1) => self.limited_at.push(at),
                (ENABLE, value) if !self.ending => self.others.push(value),
                (LIMIT, value) if value != HELD => self.others.push(value),
                _ => {}
            }
        }
    }
}

/// The registers that a request writes, and the address of the first.
fn written(pdu: &[u8]) -> Option<(u16, Vec<u16>)> {
    let word = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
    match pdu {
        [6, rest @ ..] if rest.len() == 4 => Some((word(&rest[..2]), vec![word(&rest[2..])])),
        [16, rest @ ..] if rest.len() > 5 => {
            Some((word(&rest[..2]), rest[5..].chunks_exact(2).map(word).collect()))
        }
        _ => None,
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(clock: &SharedClock, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = clock.now() + Duration::from_secs(30);
    while !holds().await {
        assert!(clock.now() < give_up, "not within 30 s: {what}");
        sleep(&**clock, Duration::from_millis(20)).await;
    }
}
