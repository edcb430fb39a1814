//! Links against devices that answer late, short, cut, in another's name or with noise, in simulated time and on
//! streams in memory.
//!
//! The oracle: the registers of a read are those that the device had for this very request, and a write that succeeds
//! is one that the device has carried out. A seed decides everything, and is in the message of what fails.

use super::ask::Ask;
use super::bus::{Bus, Dial, Job, Work};
use super::dial::Wire;
use super::error::LinkError;
use super::line::Pace;
use super::statistics::Tally;
use super::{LinkSettings, Patience, rtu};
use crate::address::SerialLine;
use crate::register_map::Table;
use async_trait::async_trait;
use fastrand::Rng;
use gridloop_clock::{MonoTime, SharedClock, SimulatedClock, Utc, sleep};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;

const TIMEOUT: Duration = Duration::from_millis(100);
/// No device here answers later than this after the timeout.
const QUIET: Duration = Duration::from_millis(80);
const PATIENCE: Patience = Patience { timeout: TIMEOUT, quiet: QUIET };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Tcp,
    Rtu,
}

/// What the device has done.
#[derive(Default)]
struct Truth {
    requests: u64,
    wrong_answers: u64,
    /// The request that came last, and the registers that are the right answer to it.
    last: (Vec<u8>, Vec<u16>),
    answered: BTreeSet<u8>,
    /// Units that never answer.
    dead: BTreeSet<u8>,
    /// Whether the line breaks with the next request.
    breaks: bool,
    /// Whether the answer to the next request is spoilt on its way.
    spoils: bool,
}

/// A device, or a line of them, and the wires to it.
#[derive(Clone)]
struct World {
    framing: Framing,
    clock: SharedClock,
    truth: Arc<Mutex<Truth>>,
    rng: Arc<Mutex<Rng>>,
    /// Whether answers may be wrong.
    hostile: bool,
}

#[async_trait]
impl Dial for World {
    async fn dial(&mut self, patience: Patience) -> Result<Wire, LinkError> {
        let (ours, theirs) = duplex(1024);
        tokio::spawn(self.clone().serve(theirs));
        let line = SerialLine::default();
        let pace = Pace { character: line.character(), silence: line.silence() };
        Ok(match self.framing {
            Framing::Tcp => Wire::tcp(Box::new(ours)),
            Framing::Rtu => {
                let clock = SharedClock::clone(&self.clock);
                Wire::rtu(Box::new(ours), pace, patience.quiet, clock, Tally::default())
            }
        })
    }
}

/// Bytes to be sent, each after a wait.
type Play = Vec<(Duration, Vec<u8>)>;

impl World {
    async fn serve(self, mut stream: DuplexStream) {
        // Reads and writes of one register alike have eight bytes on RTU and twelve on TCP.
        let mut request = vec![0; if self.framing == Framing::Tcp { 12 } else { 8 }];
        while stream.read_exact(&mut request).await.is_ok() {
            for (wait, bytes) in self.answer(&request) {
                if !wait.is_zero() {
                    sleep(&*self.clock, wait).await;
                }
                if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, request: &[u8]) -> Play {
        let mut truth = self.truth.lock().unwrap();
        let rng = &mut *self.rng.lock().unwrap();
        truth.requests += 1;
        let (unit, pdu) = match self.framing {
            Framing::Tcp => (request[6], request[7..12].to_vec()),
            Framing::Rtu => (request[0], request[1..6].to_vec()),
        };
        let count = if pdu[0] == 6 { 0 } else { usize::from(pdu[4]) };
        let registers: Vec<u16> = (0..count).map(|_| rng.u16(..)).collect();
        truth.last = (pdu.clone(), registers.clone());
        if std::mem::take(&mut truth.breaks) {
            return vec![(Duration::ZERO, Vec::new())];
        }
        if truth.dead.contains(&unit) {
            return Vec::new();
        }
        truth.answered.insert(unit);
        let right = if pdu[0] == 6 { pdu } else { read_answer(pdu[0], &registers) };
        if std::mem::take(&mut truth.spoils) {
            let mut frame = self.frame(request, unit, &right);
            frame[2] ^= 0x40;
            return vec![(Duration::ZERO, frame)];
        }
        if !self.hostile || rng.u8(..) < 70 {
            return vec![(Duration::ZERO, self.frame(request, unit, &right))];
        }
        truth.wrong_answers += 1;
        self.wrong(request, unit, &right, rng)
    }

    fn frame(&self, request: &[u8], unit: u8, pdu: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Tcp => {
                let length = u8::try_from(pdu.len() + 1).unwrap();
                [&request[..2], &[0, 0, 0, length, unit], pdu].concat()
            }
            Framing::Rtu => rtu::frame(unit, pdu),
        }
    }

    /// A wrong answer, or a right one that comes in a wrong way.
    fn wrong(&self, request: &[u8], unit: u8, right: &[u8], rng: &mut Rng) -> Play {
        let at_once = Duration::ZERO;
        let frame = self.frame(request, unit, right);
        let late = || TIMEOUT + QUIET.mul_f64(0.95);
        match rng.u8(..14) {
            // Late: after the caller has given up, up to the last moment that the quarantine covers.
            0 | 1 => vec![(rng_between(rng, TIMEOUT, late()), frame)],
            // Late and in pieces.
            2 => {
                let cut = rng.usize(1..frame.len());
                let first = rng_between(rng, TIMEOUT / 2, late());
                vec![
                    (first, frame[..cut].to_vec()),
                    (rng_between(rng, at_once, QUIET / 2), frame[cut..].to_vec()),
                ]
            }
            // In pieces, in time.
            3 => {
                let cut = rng.usize(1..frame.len());
                vec![(at_once, frame[..cut].to_vec()), (Duration::from_millis(5), frame[cut..].to_vec())]
            }
            // Short, but well-formed.
            4 => {
                let pdu = match right {
                    [function @ (3 | 4), bytes, rest @ ..] if *bytes > 2 => {
                        [&[*function, bytes - 2], &rest[..rest.len() - 2]].concat()
                    }
                    other => other[..other.len() - 1].to_vec(),
                };
                vec![(at_once, self.frame(request, unit, &pdu))]
            }
            // Somebody else's.
            5 => vec![(at_once, self.frame(request, unit.wrapping_add(rng.u8(1..)), right))],
            6 => {
                let mut pdu = right.to_vec();
                pdu[0] ^= rng.u8(1..);
                vec![(at_once, self.frame(request, unit, &pdu))]
            }
            7 => {
                let mut frame = frame;
                // The transaction on TCP. On RTU, which has none, any byte: the check does not fit then.
                let at = if self.framing == Framing::Tcp { rng.usize(..2) } else { rng.usize(..frame.len()) };
                frame[at] ^= rng.u8(1..);
                vec![(at_once, frame)]
            }
            // Noise, alone and before the answer.
            8 => vec![(at_once, noise(rng))],
            9 => vec![(at_once, [noise(rng), frame].concat())],
            // More than one answer.
            10 => vec![(at_once, [frame.clone(), frame].concat())],
            // Nothing, and not all of it.
            11 => Vec::new(),
            12 => vec![(at_once, frame[..rng.usize(1..frame.len())].to_vec())],
            // An exception, or on TCP the end of the connection.
            _ if self.framing == Framing::Tcp && rng.bool() => vec![(at_once, Vec::new())],
            _ => {
                let code = [1, 2, 3, 4, 6, 0x0A, 0x0B][rng.usize(..7)];
                vec![(at_once, self.frame(request, unit, &[right[0] | 0x80, code]))]
            }
        }
    }
}

fn read_answer(function: u8, registers: &[u16]) -> Vec<u8> {
    let mut pdu = vec![function, u8::try_from(registers.len() * 2).unwrap()];
    pdu.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
    pdu
}

fn rng_between(rng: &mut Rng, low: Duration, high: Duration) -> Duration {
    low + (high.saturating_sub(low)).mul_f64(rng.f64())
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(1..40)).map(|_| rng.u8(..)).collect()
}

/// Time, and the link to a world.
struct Rig {
    clock: SimulatedClock,
    bus: Bus,
    world: World,
}

impl Rig {
    fn new(framing: Framing, seed: u64, hostile: bool) -> Self {
        let clock = SimulatedClock::new(Utc::default());
        let world = World {
            framing,
            clock: Arc::new(clock.clone()),
            truth: Arc::default(),
            rng: Arc::new(Mutex::new(Rng::with_seed(seed))),
            hostile,
        };
        let settings = LinkSettings::new("tcp://in-memory".parse().unwrap(), 1, TIMEOUT);
        let shared = SharedClock::clone(&world.clock);
        let bus = Bus::with(settings, world.clone(), shared, Tally::default());
        Self { clock, bus, world }
    }

    async fn ask(&self, unit: u8, ask: Ask) -> Result<Vec<u16>, LinkError> {
        self.ask_with(unit, ask, PATIENCE).await
    }

    async fn ask_with(&self, unit: u8, ask: Ask, patience: Patience) -> Result<Vec<u16>, LinkError> {
        let (answer, answered) = oneshot::channel();
        assert!(self.bus.send(Job { unit, work: Work::Ask(ask), patience, answer }).await);
        answered.await.expect("the link's task lives")
    }

    /// Runs `work` while time passes whenever nothing else happens; `None` when that lasts longer than `within`.
    async fn run<T>(&self, within: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let end = gridloop_clock::Clock::now(&self.clock) + within;
        loop {
            // As many turns as it takes from the question over the link's task and the device to the answer.
            for _ in 0..4 {
                let polled = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
                if let Poll::Ready(result) = polled {
                    return Some(result);
                }
                tokio::task::yield_now().await;
            }
            if gridloop_clock::Clock::now(&self.clock) >= end {
                return None;
            }
            let _ = self.clock.advance();
        }
    }
}

fn any_ask(rng: &mut Rng) -> Ask {
    let address = rng.u16(..);
    match rng.u8(..4) {
        0 => Ask::WriteOne { address, value: rng.u16(..) },
        1 => Ask::Read { table: Table::Input, address, count: rng.u16(1..5) },
        _ => Ask::Read { table: Table::Holding, address, count: rng.u16(1..5) },
    }
}

/// Asks until the device has given so many wrong answers; how many right ones arrived.
async fn story(framing: Framing, seed: u64, wrong_answers: u64) -> u64 {
    let rig = Rig::new(framing, seed, true);
    let mut rng = Rng::with_seed(!seed);
    let mut good = 0;
    while rig.world.truth.lock().unwrap().wrong_answers < wrong_answers {
        let ask = any_ask(&mut rng);
        // Now and then the caller loses patience.
        let within = if rng.u8(..) < 20 { TIMEOUT.mul_f64(rng.f64()) } else { Duration::from_secs(60) };
        let Some(Ok(registers)) = rig.run(within, rig.ask(1, ask.clone())).await else { continue };
        let truth = rig.world.truth.lock().unwrap();
        let (asked, right) = &truth.last;
        let case = truth.requests;
        assert_eq!(
            asked,
            &ask.pdu(),
            "{framing:?}, seed {seed}, request {case}: the answer to another request"
        );
        assert_eq!(
            &registers, right,
            "{framing:?}, seed {seed}, request {case}: a wrong value shown as good"
        );
        good += 1;
    }
    good
}

/// Twenty stories, with 50,000 wrong answers together.
async fn stories(framing: Framing) {
    for seed in 0..20 {
        let good = story(framing, seed, 2_500).await;
        assert!(good > 500, "{framing:?}, seed {seed}: only {good} right answers arrived");
    }
}

#[tokio::test]
async fn fifty_thousand_wrong_answers_on_tcp_never_become_a_wrong_value() {
    stories(Framing::Tcp).await;
}

#[tokio::test]
async fn fifty_thousand_wrong_answers_on_rtu_never_become_a_wrong_value() {
    stories(Framing::Rtu).await;
}

/// Eight units on a link, of which two are dead: how long the others wait for their answers.
async fn siblings_go_on(framing: Framing) {
    const SECONDS: u64 = 20;
    let rig = Rig::new(framing, 1, false);
    rig.world.truth.lock().unwrap().dead = [3, 6].into();
    let end = MonoTime::from_nanos(SECONDS * 1_000_000_000);
    // Before, nobody can know which units are dead, and both may be before a sibling in the queue.
    let known = MonoTime::from_nanos(1_000_000_000);
    let poll = |unit: u8| {
        let rig = &rig;
        async move {
            let (mut good, mut bad, mut longest) = (0_u32, 0_u32, Duration::ZERO);
            while rig.world.clock.now() < end {
                let asked_at = rig.world.clock.now();
                let result = rig.ask(unit, Ask::Read { table: Table::Holding, address: 1, count: 2 }).await;
                if asked_at >= known {
                    longest = longest.max(rig.world.clock.now().since(asked_at));
                }
                if result.is_ok() {
                    good += 1
                } else {
                    bad += 1
                }
                sleep(&*rig.world.clock, Duration::from_millis(100)).await;
            }
            (unit, good, bad, longest)
        }
    };
    let all = async {
        let first = async { tokio::join!(poll(1), poll(2), poll(3), poll(4)) };
        let second = async { tokio::join!(poll(5), poll(6), poll(7), poll(8)) };
        let ((a, b, c, d), (e, f, g, h)) = tokio::join!(first, second);
        [a, b, c, d, e, f, g, h]
    };
    let results = rig.run(Duration::from_secs(SECONDS + 5), all).await.expect("everybody comes to an end");
    for (unit, good, bad, longest) in results {
        if [3, 6].contains(&unit) {
            assert_eq!(good, 0);
            continue;
        }
        assert_eq!(bad, 0, "{framing:?}: unit {unit} suffered from its dead siblings");
        assert!(good > 100, "{framing:?}: unit {unit} was read {good} times only in {SECONDS} s");
        // One probe may be before it in the queue, not both, and five siblings.
        assert!(
            longest <= TIMEOUT + QUIET + Duration::from_millis(120),
            "{framing:?}: unit {unit}: {longest:?}"
        );
    }
}

#[tokio::test]
async fn six_units_go_on_while_two_on_their_link_are_dead() {
    siblings_go_on(Framing::Tcp).await;
    siblings_go_on(Framing::Rtu).await;
}

#[tokio::test]
async fn a_unit_that_comes_back_is_found_again() {
    for framing in [Framing::Tcp, Framing::Rtu] {
        let rig = Rig::new(framing, 1, false);
        let read = || Ask::Read { table: Table::Holding, address: 1, count: 1 };
        let minute = Duration::from_secs(60);
        rig.world.truth.lock().unwrap().dead = [2].into();
        rig.run(minute, rig.ask(1, read())).await.unwrap().unwrap();
        assert_eq!(rig.run(minute, rig.ask(2, read())).await, Some(Err(LinkError::Timeout(TIMEOUT))));
        let resting = rig.run(minute, rig.ask(2, read())).await.unwrap().unwrap_err();
        assert!(matches!(&resting, LinkError::Lost(why) if why.contains("asked again in")), "{resting:?}");
        rig.world.truth.lock().unwrap().dead.clear();
        let found = async {
            while rig.ask(2, read()).await.is_err() {
                sleep(&*rig.world.clock, Duration::from_millis(50)).await;
            }
        };
        assert!(rig.run(TIMEOUT + QUIET * 2, found).await.is_some(), "{framing:?}");
    }
}

#[tokio::test]
async fn a_line_that_is_opened_again_waits_for_the_slowest_of_its_units() {
    let rig = Rig::new(Framing::Rtu, 1, false);
    let read = || Ask::Read { table: Table::Holding, address: 1, count: 1 };
    let slow = Patience { timeout: TIMEOUT, quiet: QUIET * 10 };
    let minute = Duration::from_secs(60);
    rig.run(minute, rig.ask_with(1, read(), slow)).await.unwrap().unwrap();
    rig.world.truth.lock().unwrap().breaks = true;
    let broken = rig.run(minute, rig.ask_with(1, read(), slow)).await.unwrap();
    assert!(matches!(broken, Err(LinkError::Lost(_))), "{broken:?}");
    let asked_at = rig.world.clock.now();
    rig.run(minute, rig.ask(2, read())).await.unwrap().unwrap();
    assert!(rig.world.clock.now().since(asked_at) >= slow.quiet);
}

#[tokio::test]
async fn a_unit_whose_answer_was_spoilt_does_not_rest() {
    for framing in [Framing::Tcp, Framing::Rtu] {
        let rig = Rig::new(framing, 1, false);
        let read = || Ask::Read { table: Table::Holding, address: 1, count: 1 };
        let minute = Duration::from_secs(60);
        rig.run(minute, rig.ask(1, read())).await.unwrap().unwrap();
        rig.world.truth.lock().unwrap().spoils = true;
        let spoilt = rig.run(minute, rig.ask(2, read())).await.unwrap();
        assert!(matches!(spoilt, Err(LinkError::Malformed(_))), "{framing:?}: {spoilt:?}");
        rig.run(minute, rig.ask(2, read())).await.unwrap().unwrap();
    }
}
