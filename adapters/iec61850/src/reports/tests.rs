use super::*;
use crate::data::{Kind, Layout};
use crate::port::{Control, Outcome, Report};
use async_trait::async_trait;
use gridloop_clock::{SharedClock, WallClock};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A server with one buffered control block, as a script.
#[derive(Default)]
struct Script {
    written: Vec<(String, Data)>,
    waiting: VecDeque<Report>,
    /// Given to whoever asks for everything.
    everything: Vec<Report>,
    enabled: bool,
    knows_entry: bool,
    /// The attributes that it keeps as they are.
    fixed: Vec<(&'static str, Data)>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn with<T>(&self, work: impl FnOnce(&mut Script) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    fn written(&self, name: &str) -> Vec<Data> {
        let of = |(written, data): &(String, Data)| (written == name).then(|| data.clone());
        self.with(|script| script.written.iter().filter_map(of).collect())
    }
}

#[async_trait]
impl MmsPort for Scripted {
    async fn browse(&mut self) -> Result<Vec<(String, Vec<String>)>, PortError> {
        Ok(Vec::new())
    }

    async fn layout(&mut self, _variable: &Variable) -> Result<Layout, PortError> {
        Ok(Layout::Leaf(Kind::Float32))
    }

    async fn read(&mut self, variables: &[Variable]) -> Result<Vec<Result<Data, String>>, PortError> {
        let enabled = self.with(|script| script.enabled);
        let held = |name: &str| {
            let fixed = self.with(|script| script.fixed.iter().find(|fixed| fixed.0 == name).cloned());
            fixed.map_or_else(
                || self.written(name).pop().unwrap_or(Data::Bits(Bits::new(&[]))),
                |fixed| fixed.1,
            )
        };
        let answer = |variable: &Variable| match variable.path.rsplit('.').next() {
            Some("DatSet") => Ok(Data::Text("IEDINV/LLN0$dsMeas".into())),
            Some("RptID") => Ok(Data::Text("meas".into())),
            Some("RptEna") => Ok(Data::Bool(enabled)),
            Some(name @ ("TrgOps" | "OptFlds")) => Ok(held(name)),
            _ => Err("ObjectNonExistent".to_owned()),
        };
        Ok(variables.iter().map(answer).collect())
    }

    async fn write(&mut self, variable: &Variable, value: Data) -> Result<(), PortError> {
        let name = variable.path.rsplit('.').next().unwrap_or_default().to_owned();
        self.with(|script| {
            if script.fixed.iter().any(|fixed| fixed.0 == name) {
                return Err(PortError::Refused("data access error: ObjectAccessDenied".into()));
            }
            match name.as_str() {
                "EntryID" if !script.knows_entry => {
                    return Err(PortError::Refused("data access error: ObjectValueInvalid".into()));
                }
                "RptEna" => script.enabled = true,
                "GI" => {
                    let everything = script.everything.clone();
                    script.waiting.extend(everything);
                }
                _ => {}
            }
            script.written.push((name, value));
            Ok(())
        })
    }

    async fn members(&mut self, _reference: &str) -> Result<Vec<Variable>, PortError> {
        Ok(vec![total()])
    }

    async fn control(&mut self, _control: &Control, _value: Data) -> Result<Outcome, PortError> {
        Ok(Outcome::Done)
    }

    async fn listen(&mut self, _report_id: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn reports(&mut self) -> Result<Vec<Report>, PortError> {
        Ok(self.with(|script| script.waiting.drain(..).collect()))
    }
}

fn total() -> Variable {
    Variable::from_item("IEDINV", "MMXU1$MX$TotW").unwrap()
}

fn report(sequence: u16, entry: u8, value: f32, complete: bool) -> Report {
    Report {
        id: "meas".into(),
        sequence: Some(sequence),
        entry_id: Some(vec![entry]),
        size: 1,
        members: vec![(0, Data::Float32(value))],
        interrogated: complete,
        complete,
        ..Report::default()
    }
}

fn directory() -> Directory {
    let items = ["LLN0$BR$brcbMeas01", "LLN0$BR$brcbMeas01$RptEna", "MMXU1$MX$TotW"].map(ToOwned::to_owned);
    Directory::new(vec![("IEDINV".to_owned(), items.to_vec())])
}

fn plan() -> Plan {
    Plan { variables: vec![total()], layouts: vec![Layout::Leaf(Kind::Float32)], ..Plan::default() }
}

fn clock() -> SharedClock {
    Arc::new(WallClock::start().unwrap())
}

async fn open(server: &Scripted, resume: &mut Resume) -> Result<ReportLink, DeviceError> {
    open_named(server, resume, &[]).await.map(|link| link.expect("a control block reports"))
}

async fn open_named(
    server: &Scripted,
    resume: &mut Resume,
    names: &[&str],
) -> Result<Option<ReportLink>, DeviceError> {
    let control_blocks = names.iter().map(|name| (*name).to_owned()).collect();
    let settings = ReportSettings { integrity_period: Duration::from_secs(1), control_blocks };
    let port = Box::new(server.clone());
    let clock = clock();
    let within = (&*clock, Duration::from_millis(300));
    ReportLink::open(port, &settings, &directory(), &plan(), resume, within).await
}

fn held(link: &ReportLink) -> Option<f64> {
    let value = link.blocks[0].image.value(&total(), &Layout::Leaf(Kind::Float32)).unwrap();
    value.and_then(|data| data.number())
}

#[tokio::test]
async fn a_buffered_block_is_resumed_after_the_last_entry_that_was_heard() {
    let (server, mut resume) = (Scripted::default(), Resume::default());
    server.with(|script| script.everything = vec![report(0, 1, 10.0, true)]);
    let mut link = open(&server, &mut resume).await.unwrap();
    assert_eq!(server.written("PurgeBuf"), [Data::Bool(true)], "what was before is not ours");
    assert_eq!((server.written("EntryID"), held(&link)), (vec![], Some(10.0)));
    server.with(|script| script.waiting.push_back(report(1, 2, 20.0, false)));
    link.catch_up(&mut resume, &*clock()).await.unwrap();
    assert_eq!(held(&link), Some(20.0));
    drop(link);

    server.with(|script| {
        *script = Script { knows_entry: true, ..Script::default() };
        // The entry that was heard comes again, then what happened meanwhile, then everything.
        script.waiting.extend([report(0, 2, 20.0, false), report(1, 3, 30.0, false)]);
        script.everything = vec![report(2, 4, 40.0, true)];
    });
    let link = open(&server, &mut resume).await.unwrap();
    assert_eq!(server.written("EntryID"), [Data::Octets(vec![2])]);
    assert_eq!((server.written("PurgeBuf"), held(&link)), (vec![], Some(40.0)));
}

#[tokio::test]
async fn a_buffer_that_has_lost_the_last_entry_begins_anew() {
    let (server, mut resume) = (Scripted::default(), Resume::default());
    server.with(|script| script.everything = vec![report(0, 1, 10.0, true)]);
    drop(open(&server, &mut resume).await.unwrap());
    server.with(|script| {
        *script = Script { everything: vec![report(0, 9, 90.0, true)], ..Script::default() };
    });
    let link = open(&server, &mut resume).await.unwrap();
    assert_eq!((server.written("PurgeBuf"), held(&link)), (vec![Data::Bool(true)], Some(90.0)));
}

#[tokio::test]
async fn after_a_gap_nothing_is_told_until_everything_was_asked_for_and_came() {
    let (server, mut resume) = (Scripted::default(), Resume::default());
    server.with(|script| script.everything = vec![report(0, 1, 10.0, true)]);
    let mut link = open(&server, &mut resume).await.unwrap();
    server.with(|script| {
        script.waiting.push_back(report(5, 6, 60.0, false));
        script.everything = vec![report(6, 7, 70.0, true)];
    });
    link.catch_up(&mut resume, &*clock()).await.unwrap();
    assert_eq!((server.written("GI").len(), held(&link)), (2, Some(70.0)));
}

#[tokio::test]
async fn reports_that_the_server_has_disabled_are_a_lost_link() {
    let (server, mut resume) = (Scripted::default(), Resume::default());
    server.with(|script| script.everything = vec![report(0, 1, 10.0, true)]);
    let mut link = open(&server, &mut resume).await.unwrap();
    server.with(|script| script.enabled = false);
    let lost = link.catch_up(&mut resume, &*clock()).await;
    assert!(matches!(lost, Err(DeviceError::Disconnected { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_general_interrogation_that_never_comes_is_a_timeout() {
    let (server, mut resume) = (Scripted::default(), Resume::default());
    let never = open(&server, &mut resume).await.err();
    assert!(matches!(never, Some(DeviceError::Timeout { .. })), "{never:?}");
}

#[tokio::test]
async fn a_control_block_that_would_leave_changes_out_or_hide_a_gap_is_not_used() {
    let bits = |set: &[usize]| Data::Bits(Bits::new(&[0, 1, 2, 3, 4, 5].map(|bit| set.contains(&bit))));
    let cases = [("TrgOps", bits(&[4, 5])), ("TrgOps", bits(&[1, 5])), ("OptFlds", bits(&[2, 3, 4]))];
    for (name, kept) in cases {
        let (server, mut resume) = (Scripted::default(), Resume::default());
        server.with(|script| {
            script.everything = vec![report(0, 1, 10.0, true)];
            script.fixed = vec![(name, kept)];
        });
        let polled = open_named(&server, &mut resume, &[]).await.unwrap();
        assert!(polled.is_none() && server.written("RptEna").is_empty(), "{name}");
        assert_eq!(server.written("ResvTms").pop(), Some(Data::Int(0)), "it is free for others");
        let named = open_named(&server, &mut resume, &["INV/LLN0.brcbMeas01"]).await.err();
        let told = named.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("TrgOps") && told.contains("sequence number"), "{told}");
    }
    let (server, mut resume) = (Scripted::default(), Resume::default());
    server.with(|script| {
        script.everything = vec![report(0, 1, 10.0, true)];
        script.fixed = vec![("TrgOps", bits(&[1, 2, 5])), ("OptFlds", bits(&[1]))];
    });
    assert_eq!(held(&open(&server, &mut resume).await.unwrap()), Some(10.0));
}
