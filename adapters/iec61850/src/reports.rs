//! Values by report: [`ReportLink`] has an association of its own on which a server reports what changes.
//!
//! Nothing waits for reports. A reading asks the server a small question on the same association, whose answer comes
//! after every report that the server sent before, and takes what has come by then: so the image is as of the
//! question. What reports say is folded into [`image::Image`], which has no I/O. A gap in the sequence makes the image
//! doubtful, and a general interrogation makes it whole again before anything is told. A buffered control block is
//! resumed after the last entry that was heard, so that what happened meanwhile comes once and in its order.

mod image;

use crate::data::{Bits, Data, Fc, Variable};
use crate::directory::Directory;
use crate::plan::{Answers, Plan};
use crate::port::{MmsPort, PortError};
use gridloop_clock::{Clock, MonoTime, sleep};
use gridloop_device::{DeviceError, Quality, Snapshot};
use image::Image;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two questions while a general interrogation is awaited.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long a buffered control block stays ours after a lost association, in s, where the server can do that.
const RESERVED_S: i64 = 60;
/// A value is stale when no integrity report has come for so many periods.
const OVERDUE_PERIODS: u32 = 3;

/// Bits of `TrgOps`, and one of `OptFlds` (IEC 61850-8-1).
const DATA_CHANGE: usize = 1;
const QUALITY_CHANGE: usize = 2;
const SEQUENCE: usize = 1;
/// Why a control block is of no use that would leave out what happens.
const SILENT: &str =
    "it keeps TrgOps without data change and quality change, or OptFlds without the sequence number";

/// What became of a control block.
enum Enabled {
    Yes,
    /// Why it is of no use to us.
    No(&'static str),
}

/// By which reports values come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportSettings {
    /// The control blocks, such as `INV/LLN0.brcbMeas01`. Empty: those that report objects of the mapping, buffered
    /// ones before unbuffered ones.
    pub control_blocks: Vec<String>,
    /// How often the server reports everything, changed or not. Zero: never.
    pub integrity_period: Duration,
}

/// The last entry heard of each buffered control block. It outlives the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resume {
    entries: BTreeMap<String, Vec<u8>>,
}

pub(crate) struct ReportLink {
    port: Box<dyn MmsPort>,
    blocks: Vec<Block>,
    /// As of when the image holds.
    as_of: MonoTime,
    integrity_period: Duration,
    /// How long a general interrogation may take.
    timeout: Duration,
}

/// A control block that reports to us.
struct Block {
    /// Under `RP` or `BR`; the path is its name.
    at: Variable,
    report_id: String,
    image: Image,
}

impl ReportLink {
    /// Enables the reports on an association of their own, and asks for everything. `None` when no control block that
    /// is free reports as it must: then everything is to be polled.
    pub(crate) async fn open(
        port: Box<dyn MmsPort>,
        settings: &ReportSettings,
        directory: &Directory,
        plan: &Plan,
        resume: &mut Resume,
        (clock, timeout): (&dyn Clock, Duration),
    ) -> Result<Option<Self>, DeviceError> {
        let integrity_period = settings.integrity_period;
        let mut link = Self { port, blocks: Vec::new(), as_of: clock.now(), integrity_period, timeout };
        let named = !settings.control_blocks.is_empty();
        let mut unfit = false;
        let candidates = if named { find(directory, settings)? } else { all(directory, plan) };
        for at in candidates {
            let Some((data_set, report_id, taken)) = link.look(&at).await? else { continue };
            if taken && !named {
                continue;
            }
            if taken {
                return Err(refused(&at, "another client has it enabled"));
            }
            let named_members = link.port.members(&data_set).await;
            let members = named_members.map_err(|error| error.of(format!("read the data set {data_set}")))?;
            let new = plan.variables.iter().any(|variable| {
                covers(&members, variable) && !link.blocks.iter().any(|block| block.image.covers(variable))
            });
            if !new && !named {
                continue;
            }
            match link.enable(&at, &report_id, resume).await? {
                Enabled::Yes => {}
                Enabled::No(reason) if named => return Err(refused(&at, reason)),
                Enabled::No(reason) => {
                    unfit |= reason == SILENT;
                    continue;
                }
            }
            link.blocks.push(Block { at, report_id, image: Image::new(members) });
        }
        if link.blocks.is_empty() && unfit {
            return Ok(None);
        }
        if link.blocks.is_empty() {
            return Err(DeviceError::Malformed {
                operation: "enable reports".to_owned(),
                reason: "no free report control block reports an object of the mapping".to_owned(),
            });
        }
        link.catch_up(resume, clock).await?;
        Ok(Some(link))
    }

    /// The data set and the identifier of a control block, and whether somebody has enabled it already.
    async fn look(&mut self, at: &Variable) -> Result<Option<(String, String, bool)>, DeviceError> {
        let attributes = ["DatSet", "RptID", "RptEna"].map(|name| at.part(name));
        let read = self.port.read(&attributes).await.map_err(|error| error.of(format!("read {at}")))?;
        let [Ok(Data::Text(data_set)), report_id, Ok(Data::Bool(enabled))] = read.as_slice() else {
            return Ok(None);
        };
        if data_set.is_empty() {
            return Ok(None);
        }
        let default = format!("{}/{}", at.domain, at.item());
        let report_id = report_id.as_ref().ok().and_then(Data::text).filter(|id| !id.is_empty());
        Ok(Some((data_set.clone(), report_id.map_or(default, ToOwned::to_owned), *enabled)))
    }

    /// Configures and enables a control block.
    async fn enable(&mut self, at: &Variable, id: &str, resume: &mut Resume) -> Result<Enabled, DeviceError> {
        let buffered = at.fc == Fc::Br;
        let key = at.to_string();
        // reserved, sequence, time, reason, data set, references, overflow, entry, revision, segmentation
        let options = [false, true, true, true, true, false, buffered, buffered, true, false];
        // reserved, data change, quality change, data update, integrity, general interrogation
        let triggers = [false, true, true, false, true, true];
        let period = u32::try_from(self.integrity_period.as_millis()).unwrap_or(u32::MAX);
        // Some servers take no configuration from a client that has not reserved the block.
        if buffered {
            self.write(at, "ResvTms", Data::Int(RESERVED_S)).await?;
        } else {
            self.prefer(at, "Resv", Data::Bool(true)).await?;
        }
        self.prefer(at, "OptFlds", Data::Bits(Bits::new(&options))).await?;
        self.prefer(at, "TrgOps", Data::Bits(Bits::new(&triggers))).await?;
        if !self.tells_all(at).await? {
            let (reservation, none) =
                if buffered { ("ResvTms", Data::Int(0)) } else { ("Resv", Data::Bool(false)) };
            self.write(at, reservation, none).await?;
            return Ok(Enabled::No(SILENT));
        }
        self.prefer(at, "BufTm", Data::Unsigned(0)).await?;
        self.prefer(at, "IntgPd", Data::Unsigned(period.into())).await?;
        if buffered {
            let resumed = match resume.entries.get(&key) {
                None => false,
                Some(entry) => self.write(at, "EntryID", Data::Octets(entry.clone())).await?,
            };
            if !resumed {
                // What was buffered before the first connection, or is no longer there to go on from, is not ours.
                resume.entries.remove(&key);
                self.write(at, "PurgeBuf", Data::Bool(true)).await?;
            }
        }
        self.port.listen(id).await.map_err(|error| error.of(format!("listen to {at}")))?;
        if !self.write(at, "RptEna", Data::Bool(true)).await? {
            return Ok(Enabled::No("it cannot be enabled: another client may have reserved it"));
        }
        if !self.write(at, "GI", Data::Bool(true)).await? {
            return Err(refused(at, "it takes no general interrogation"));
        }
        Ok(Enabled::Yes)
    }

    /// Whether a control block, as the server holds it now, reports every change of a value and of a quality, and numbers
    /// its reports. Without that an old value could stand for the present one, and a gap would not show.
    async fn tells_all(&mut self, at: &Variable) -> Result<bool, DeviceError> {
        let attributes = ["TrgOps", "OptFlds"].map(|name| at.part(name));
        let read = self.port.read(&attributes).await.map_err(|error| error.of(format!("read {at} back")))?;
        let [Ok(Data::Bits(triggers)), Ok(Data::Bits(options))] = read.as_slice() else { return Ok(false) };
        Ok(triggers.is_set(DATA_CHANGE) && triggers.is_set(QUALITY_CHANGE) && options.is_set(SEQUENCE))
    }

    /// Writes an attribute if it is another one: writing it anew would purge the buffer. A server that keeps it fixed
    /// may.
    async fn prefer(&mut self, at: &Variable, name: &str, value: Data) -> Result<(), DeviceError> {
        let attribute = at.part(name);
        let read = self.port.read(std::slice::from_ref(&attribute)).await;
        let held = read.map_err(|error| error.of(format!("read {attribute}")))?.pop();
        let same = match (&held, &value) {
            (Some(Ok(held)), wanted) if held == wanted => true,
            (Some(Ok(held)), Data::Unsigned(_)) => held.number() == value.number(),
            (Some(Ok(_)), _) => false,
            _ => return Ok(()),
        };
        if !same {
            self.write(at, name, value).await?;
        }
        Ok(())
    }

    /// Writes an attribute; whether the server took it.
    async fn write(&mut self, at: &Variable, name: &str, value: Data) -> Result<bool, DeviceError> {
        let attribute = at.part(name);
        match self.port.write(&attribute, value).await {
            Ok(()) => Ok(true),
            Err(PortError::Refused(_)) => Ok(false),
            Err(error) => Err(error.of(format!("write {attribute}"))),
        }
    }

    /// Takes every report that the server has sent until now. When one is missing it asks for everything, and waits
    /// for that.
    pub(crate) async fn catch_up(
        &mut self,
        resume: &mut Resume,
        clock: &dyn Clock,
    ) -> Result<(), DeviceError> {
        let deadline = clock.now() + self.timeout;
        while clock.now() < deadline {
            let asked_at = clock.now();
            let questions: Vec<Variable> = self.blocks.iter().map(|block| block.at.part("RptEna")).collect();
            let answers = self.port.read(&questions).await.map_err(|error| error.of("ask for reports"))?;
            if answers.iter().any(|answer| *answer != Ok(Data::Bool(true))) {
                return Err(DeviceError::Disconnected {
                    operation: "ask for reports".to_owned(),
                    reason: "the server has disabled the reports".to_owned(),
                });
            }
            self.hear(resume, asked_at).await?;
            self.as_of = asked_at;
            if self.blocks.iter().all(|block| block.image.is_whole()) {
                return Ok(());
            }
            let asks = |block: &mut Block| block.image.asks().then(|| block.at.clone());
            let doubtful: Vec<Variable> = self.blocks.iter_mut().filter_map(asks).collect();
            for at in doubtful {
                self.write(&at, "GI", Data::Bool(true)).await?;
            }
            sleep(clock, PATIENCE).await;
        }
        Err(DeviceError::Timeout {
            operation: "wait for the general interrogation".to_owned(),
            waited: self.timeout,
        })
    }

    async fn hear(&mut self, resume: &mut Resume, now: MonoTime) -> Result<(), DeviceError> {
        let reports = self.port.reports().await.map_err(|error| error.of("take the reports"))?;
        for report in reports {
            let Some(block) = self.blocks.iter_mut().find(|block| block.report_id == report.id) else {
                continue;
            };
            let entry = report.entry_id.clone();
            block.image.apply(report, now).map_err(|reason| DeviceError::Malformed {
                operation: format!("take a report of {}", block.at),
                reason,
            })?;
            if let Some(entry) = entry {
                resume.entries.insert(block.at.to_string(), entry);
            }
        }
        Ok(())
    }

    /// The points: reported ones from the image, the others by a request.
    pub(crate) async fn snapshot(
        &mut self,
        plan: &Plan,
        poll: &mut dyn MmsPort,
        clock: &dyn Clock,
    ) -> Result<Snapshot, DeviceError> {
        let mut answers: Answers = vec![None; plan.variables.len()];
        let mut reported = vec![None; plan.variables.len()];
        for (index, variable) in plan.variables.iter().enumerate() {
            reported[index] = self.blocks.iter().position(|block| block.image.covers(variable));
            if let Some(block) = reported[index].and_then(|block| self.blocks.get(block)) {
                let value = block.image.value(variable, &plan.layouts[index]);
                answers[index] = value.map_err(|reason| DeviceError::Malformed {
                    operation: format!("take a report of {}", block.at),
                    reason,
                })?;
            }
        }
        let wanted = |index: usize| {
            plan.points
                .iter()
                .any(|point| point.values.iter().any(|measured| measured.value.variable == index))
        };
        let others: Vec<usize> =
            (0..plan.variables.len()).filter(|index| reported[*index].is_none() && wanted(*index)).collect();
        if !others.is_empty() {
            let variables: Vec<Variable> =
                others.iter().map(|index| plan.variables[*index].clone()).collect();
            let read = poll.read(&variables).await.map_err(|error| error.of("read what is not reported"))?;
            for (index, answer) in others.iter().zip(read) {
                let fits = answer.as_ref().ok().is_none_or(|data| plan.layouts[*index].fits(data));
                if !fits {
                    let reason = format!("{} is not what the server says it is", plan.variables[*index]);
                    return Err(DeviceError::Malformed { operation: "read".to_owned(), reason });
                }
                answers[*index] = answer.ok();
            }
        }
        let (as_of, polled_at) = (self.as_of, clock.now());
        let overdue = |block: usize| {
            !self.integrity_period.is_zero()
                && self.blocks.get(block).is_some_and(|block| {
                    block.image.whole_at().is_none_or(|at| {
                        as_of.since(at) > self.integrity_period.saturating_mul(OVERDUE_PERIODS)
                    })
                })
        };
        Ok(plan.snapshot(
            &answers,
            |index| if reported[index].is_some() { as_of } else { polled_at },
            |index| if reported[index].is_some_and(overdue) { Quality::Stale } else { Quality::Good },
        ))
    }
}

fn refused(at: &Variable, reason: &str) -> DeviceError {
    DeviceError::Disconnected { operation: format!("enable the reports of {at}"), reason: reason.to_owned() }
}

/// Whether any of the members is this variable or a part of it.
fn covers(members: &[Variable], variable: &Variable) -> bool {
    members.iter().any(|member| image::within(member, variable).is_some())
}

/// The control blocks that the settings name.
fn find(directory: &Directory, settings: &ReportSettings) -> Result<Vec<Variable>, DeviceError> {
    let malformed =
        |reason: String| DeviceError::Malformed { operation: "find the reports".to_owned(), reason };
    let mut found = Vec::new();
    for name in &settings.control_blocks {
        let sound = name.split_once('/').and_then(|(device, rest)| {
            let (node, path) = rest.split_once('.')?;
            Some((device, node, path))
        });
        let sound = sound.ok_or_else(|| {
            malformed(format!("`{name}` is no report control block, expected such as `INV/LLN0.brcbMeas01`"))
        })?;
        let (device, node, path) = sound;
        let domain = directory.domain(device).map_err(malformed)?.to_owned();
        let at = Variable { domain, node: node.to_owned(), fc: Fc::Br, path: path.to_owned() };
        let under = [at.clone(), at.under(Fc::Rp)].into_iter().find(|at| directory.has(&at.part("RptEna")));
        found.push(under.ok_or_else(|| malformed(format!("the server has no report control block {name}")))?);
    }
    Ok(found)
}

/// Every control block of the logical devices that the plan reads, buffered ones first.
fn all(directory: &Directory, plan: &Plan) -> Vec<Variable> {
    let mut blocks = Vec::new();
    for fc in [Fc::Br, Fc::Rp] {
        for domain in directory.domains() {
            if !plan.variables.iter().any(|variable| variable.domain == domain) {
                continue;
            }
            for node in directory.nodes(domain) {
                for path in directory.objects(domain, node, fc) {
                    let (domain, node) = (domain.to_owned(), node.to_owned());
                    blocks.push(Variable { domain, node, fc, path: path.to_owned() });
                }
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests;
