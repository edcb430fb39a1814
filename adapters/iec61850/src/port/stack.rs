//! [`MmsPort`] over the crate `iec61850-client`, whose types and errors end here.

use super::{Control, ControlModel, EXPIRED, MmsPort, Network, Outcome, PortError, Report};
use crate::address::Address;
use crate::cause::AddCause;
use crate::data::{Bits, Data, Kind, Layout, Variable};
use async_trait::async_trait;
use gridloop_clock::{SharedClock, until};
use iec61850_client::control::{ControlObjectClient, ControlOutcome, OriginValue};
use iec61850_client::mms_compat::mms_data_to_mms_value;
use iec61850_client::report::{ClientReport, ReasonForInclusion};
use iec61850_client::{AccessResult, ClientError, IedConnection, TypeSpecification};
use iec61850_mms::MmsClientBuilder;
use iec61850_model::{FC, MmsValue};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most names that a server may list in one domain.
const MOST_NAMES: usize = 50_000;
/// Reports that may wait to be taken. The oldest is dropped, which shows as a gap.
const MOST_REPORTS: usize = 1024;
/// `orCat` of a command from a remote control centre or gateway.
const REMOTE_CONTROL: i32 = 3;
/// Browsing takes a request for each page of names: so many times the time for one answer, all in all.
const MOST_PAGES: u32 = 100;

/// Opens associations over TCP.
pub(crate) struct Stack {
    pub(crate) address: Address,
    /// How long an association, and each answer, may take.
    pub(crate) timeout: Duration,
    /// How long a termination may take after the answer.
    pub(crate) termination: Duration,
    pub(crate) clock: SharedClock,
}

#[async_trait]
impl Network for Stack {
    async fn associate(&self) -> Result<Box<dyn MmsPort>, PortError> {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let client =
            MmsClientBuilder::new().connect_timeout_ms(timeout_ms).request_timeout_ms(timeout_ms).build();
        let connection = IedConnection::with_mms_client(client).with_max_name_list_names(MOST_NAMES);
        let port = StackPort {
            connection,
            timeout: self.timeout,
            termination: self.termination,
            clock: SharedClock::clone(&self.clock),
            controls: BTreeMap::new(),
            waiting: Arc::default(),
        };
        let opening = port.connection.connect(&self.address.host, self.address.port);
        port.bounded(self.timeout, opening).await?;
        Ok(Box::new(port))
    }
}

struct StackPort {
    connection: IedConnection,
    timeout: Duration,
    termination: Duration,
    clock: SharedClock,
    /// One for each object that was controlled, so that `ctlNum` counts on.
    controls: BTreeMap<String, ControlObjectClient>,
    waiting: Arc<Mutex<VecDeque<Report>>>,
}

impl StackPort {
    /// Waits for an answer, and no longer than this.
    async fn bounded<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, ClientError>> + Send,
    ) -> Result<T, PortError> {
        let deadline = self.clock.now() + timeout;
        until(&*self.clock, deadline, work).await.ok_or(PortError::Timeout(timeout))?.map_err(sorted)
    }

    fn in_time(&self, control: &Control) -> Result<(), PortError> {
        let late = control.expires_at.is_some_and(|expires_at| self.clock.now() >= expires_at);
        if late { Err(PortError::Refused(EXPIRED.to_owned())) } else { Ok(()) }
    }

    async fn ask<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>> + Send,
    ) -> Result<T, PortError> {
        self.bounded(self.timeout, work).await
    }
}

#[async_trait]
impl MmsPort for StackPort {
    async fn browse(&mut self) -> Result<Vec<(String, Vec<String>)>, PortError> {
        let patience = self.timeout.saturating_mul(MOST_PAGES);
        let model = self.bounded(patience, self.connection.get_device_model_from_server()).await?;
        Ok(model.logical_devices.into_iter().map(|device| (device.name, device.variables)).collect())
    }

    async fn layout(&mut self, variable: &Variable) -> Result<Layout, PortError> {
        let (reference, fc) = named(variable)?;
        let specification = self.ask(self.connection.get_variable_specification(&reference, fc)).await?;
        Ok(layout(&specification))
    }

    async fn read(&mut self, variables: &[Variable]) -> Result<Vec<Result<Data, String>>, PortError> {
        let names = variables.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let targets: Vec<(&str, FC)> = names.iter().map(|(name, fc)| (name.as_str(), *fc)).collect();
        let answers = self.ask(self.connection.read_objects(&targets)).await?;
        if answers.len() != targets.len() {
            return Err(PortError::Malformed(format!("{} values for {}", answers.len(), targets.len())));
        }
        Ok(answers.into_iter().map(access).collect())
    }

    async fn write(&mut self, variable: &Variable, value: Data) -> Result<(), PortError> {
        let (reference, fc) = named(variable)?;
        self.ask(self.connection.write_object(&reference, fc, to_stack(value))).await
    }

    async fn members(&mut self, reference: &str) -> Result<Vec<Variable>, PortError> {
        let directory = self.ask(self.connection.get_data_set_directory(reference)).await?;
        let member = |reference: &str, fc: FC| {
            let (domain, item) = reference.split_once('/')?;
            let (node, path) = item.split_once('.')?;
            Variable::from_item(domain, &format!("{node}${}${}", fc.as_str(), path.replace('.', "$")))
        };
        directory
            .members
            .iter()
            .map(|name| {
                member(&name.reference, name.fc).ok_or_else(|| {
                    PortError::Malformed(format!("{name:?} is no member of a data set that can be read here"))
                })
            })
            .collect()
    }

    async fn control(&mut self, control: &Control, value: Data) -> Result<Outcome, PortError> {
        if !self.controls.contains_key(&control.object) {
            let made = self.connection.create_control_object(&control.object, model(control.model));
            self.controls.insert(control.object.clone(), made.map_err(sorted)?);
        }
        let value = to_stack(value);
        let Some(handle) = self.controls.get_mut(&control.object) else {
            return Err(PortError::Malformed(format!("{} has no handle", control.object)));
        };
        handle.set_origin(OriginValue {
            or_cat: REMOTE_CONTROL,
            or_ident: control.originator.clone().into_bytes(),
        });
        handle.set_test(false);
        handle.set_interlock_check(control.check.interlock);
        handle.set_synchro_check(control.check.synchro);
        let Some(handle) = self.controls.get(&control.object) else {
            return Err(PortError::Malformed(format!("{} has no handle", control.object)));
        };
        self.in_time(control)?;
        let selected = match control.model {
            ControlModel::SboNormal => self.ask(handle.select()).await?,
            ControlModel::SboEnhanced => self.ask(handle.select_with_value(value.clone())).await?,
            ControlModel::DirectNormal | ControlModel::DirectEnhanced => ControlOutcome::Success,
        };
        if let Some(cause) = failure(&selected) {
            return Ok(Outcome::Refused { during: "select", cause });
        }
        let patience = match control.model {
            ControlModel::DirectNormal | ControlModel::SboNormal => self.timeout,
            ControlModel::DirectEnhanced | ControlModel::SboEnhanced => self.timeout + self.termination,
        };
        let selects = matches!(control.model, ControlModel::SboNormal | ControlModel::SboEnhanced);
        if let Err(late) = self.in_time(control) {
            if selects {
                self.ask(handle.cancel(value)).await?;
            }
            return Err(late);
        }
        let operated = self.bounded(patience, handle.operate(value.clone())).await?;
        let outcome = ended(control.model, &operated);
        if selects && matches!(outcome, Outcome::Refused { .. }) {
            // The selection may have ended with the refusal; that a cancel is then refused as well does not matter.
            self.ask(handle.cancel(value)).await?;
        }
        Ok(outcome)
    }

    async fn listen(&mut self, report_id: &str) -> Result<(), PortError> {
        let waiting = Arc::clone(&self.waiting);
        let keep = move |report: Arc<ClientReport>| {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() == MOST_REPORTS {
                waiting.pop_front();
            }
            waiting.push_back(taken(&report));
        };
        let id = report_id.to_owned();
        self.connection
            .install_report_handler(Some(id), report_id, None, Arc::new(keep))
            .await
            .map_err(sorted)
    }

    async fn reports(&mut self) -> Result<Vec<Report>, PortError> {
        // What the stack has put aside while it waited for an answer, and what is behind it. One poll may end before it
        // has taken everything, and one that finds nothing may have been too short.
        let deadline = self.clock.now() + self.timeout;
        let mut nothing = 0;
        while nothing < 2 {
            if self.clock.now() >= deadline {
                return Err(PortError::Timeout(self.timeout));
            }
            let found = self.ask(self.connection.poll_reports(Duration::from_millis(1))).await?;
            nothing = if found == 0 { nothing + 1 } else { 0 };
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(waiting.drain(..).collect())
    }
}

/// The stack's name of a variable.
fn named(variable: &Variable) -> Result<(String, FC), PortError> {
    let fc = FC::parse(variable.fc.letters())
        .map_err(|error| PortError::Malformed(format!("{variable}: {error}")))?;
    Ok((format!("{}/{}", variable.domain, variable.item()), fc))
}

fn model(model: ControlModel) -> iec61850_client::ControlModel {
    match model {
        ControlModel::DirectNormal => iec61850_client::ControlModel::DirectNormal,
        ControlModel::SboNormal => iec61850_client::ControlModel::SboNormal,
        ControlModel::DirectEnhanced => iec61850_client::ControlModel::DirectEnhanced,
        ControlModel::SboEnhanced => iec61850_client::ControlModel::SboEnhanced,
    }
}

/// Why it was not a success, if it was none.
fn failure(outcome: &ControlOutcome) -> Option<AddCause> {
    let cause = || AddCause(outcome.add_cause().map_or(0, |cause| cause as i32));
    (!outcome.is_success()).then(cause)
}

/// What an answer to operate means. With normal security a failure is a refusal. With enhanced security it may be a
/// negative termination as well, which comes after the command was accepted.
fn ended(model: ControlModel, operated: &ControlOutcome) -> Outcome {
    let normal = matches!(model, ControlModel::DirectNormal | ControlModel::SboNormal);
    match failure(operated) {
        None => Outcome::Done,
        Some(cause) if normal || cause.precedes_action() => Outcome::Refused { during: "operate", cause },
        Some(cause) => Outcome::Failed { cause },
    }
}

/// What an error of the stack means for the association.
fn sorted(error: ClientError) -> PortError {
    match error {
        ClientError::Timeout { after_ms, .. }
        | ClientError::ConnectTimeout { after_ms, .. }
        | ClientError::CommandTerminationTimeout { after_ms, .. } => {
            PortError::Timeout(Duration::from_millis(after_ms))
        }
        ClientError::DataAccessError(cause) => PortError::Refused(format!("data access error: {cause:?}")),
        ClientError::Service { .. } => PortError::Refused(error.to_string()),
        ClientError::NotConnected
        | ClientError::ConnectionLost
        | ClientError::ReleasedByPeer
        | ClientError::Transport(_)
        | ClientError::AssociateFailed
        | ClientError::InitiateFailed { .. }
        | ClientError::AuthenticationRejected { .. }
        | ClientError::SessionRefused { .. } => PortError::Lost(error.to_string()),
        other => PortError::Malformed(other.to_string()),
    }
}

fn access(result: AccessResult) -> Result<Data, String> {
    match result {
        AccessResult::Success(data) => Ok(from_stack(mms_data_to_mms_value(&data))),
        AccessResult::Failure(error) => Err(format!("{error:?}")),
    }
}

fn taken(report: &ClientReport) -> Report {
    let values = report.data_set_values.iter().zip(&report.included).enumerate();
    let members: Vec<(usize, Data)> = values
        .filter(|(_, (_, included))| **included)
        .filter_map(|(index, (value, _))| Some((index, from_stack(value.clone()?))))
        .collect();
    let silent = report.reasons.iter().all(ReasonForInclusion::is_empty);
    let full = !members.is_empty() && members.len() == report.included.len();
    let all_for = |reasons: ReasonForInclusion| {
        let is = |index: &usize| report.reasons.get(*index).is_some_and(|reason| reason.intersects(reasons));
        (silent && full) || (!members.is_empty() && members.iter().all(|(index, _)| is(index)))
    };
    let interrogated = all_for(ReasonForInclusion::GI);
    let complete = all_for(ReasonForInclusion::GI | ReasonForInclusion::INTEGRITY);
    Report {
        id: report.effective_rpt_id(),
        sequence: report.seq_num,
        conf_rev: report.conf_rev,
        entry_id: report.entry_id.clone(),
        entry_time_ms: report.timestamp_ms,
        overflow: report.buf_ovfl == Some(true),
        size: report.included.len(),
        interrogated,
        complete,
        members,
    }
}

fn from_stack(value: MmsValue) -> Data {
    match value {
        MmsValue::Boolean(value) => Data::Bool(value),
        MmsValue::Integer(value) => Data::Int(value),
        MmsValue::Unsigned(value) => Data::Unsigned(value),
        MmsValue::Float32(value) => Data::Float32(value),
        MmsValue::Float64(value) => Data::Float64(value),
        MmsValue::BitString { padding, data } => {
            let len = (data.len() * 8).saturating_sub(padding.into());
            Data::Bits(Bits { len, bytes: data })
        }
        MmsValue::OctetString(octets) => Data::Octets(octets),
        MmsValue::VisibleString(text) | MmsValue::MmsString(text) => Data::Text(text),
        MmsValue::UtcTime(time) => Data::Time(time),
        MmsValue::BinaryTime(time) => Data::EntryTime(time),
        MmsValue::Array(parts) | MmsValue::Structure(parts) => {
            Data::Parts(parts.into_iter().map(from_stack).collect())
        }
    }
}

fn to_stack(data: Data) -> MmsValue {
    match data {
        Data::Bool(value) => MmsValue::Boolean(value),
        Data::Int(value) => MmsValue::Integer(value),
        Data::Unsigned(value) => MmsValue::Unsigned(value),
        Data::Float32(value) => MmsValue::Float32(value),
        Data::Float64(value) => MmsValue::Float64(value),
        Data::Bits(Bits { len, bytes }) => {
            let padding = u8::try_from(bytes.len() * 8 - len.min(bytes.len() * 8)).unwrap_or(0);
            MmsValue::BitString { padding, data: bytes }
        }
        Data::Octets(octets) => MmsValue::OctetString(octets),
        Data::Text(text) => MmsValue::VisibleString(text),
        Data::Time(time) => MmsValue::UtcTime(time),
        Data::EntryTime(time) => MmsValue::BinaryTime(time),
        Data::Parts(parts) => MmsValue::Structure(parts.into_iter().map(to_stack).collect()),
    }
}

fn layout(specification: &TypeSpecification) -> Layout {
    match specification {
        TypeSpecification::Structure { components } => Layout::Structure(
            components.iter().map(|part| (part.name.clone(), layout(&part.type_spec))).collect(),
        ),
        TypeSpecification::Boolean => Layout::Leaf(Kind::Bool),
        TypeSpecification::Integer { .. } => Layout::Leaf(Kind::Int),
        TypeSpecification::Unsigned { .. } => Layout::Leaf(Kind::Unsigned),
        TypeSpecification::FloatingPoint { format_width: 64, .. } => Layout::Leaf(Kind::Float64),
        TypeSpecification::FloatingPoint { .. } => Layout::Leaf(Kind::Float32),
        TypeSpecification::BitString { .. } => Layout::Leaf(Kind::Bits),
        TypeSpecification::VisibleString { .. } | TypeSpecification::MmsString { .. } => {
            Layout::Leaf(Kind::Text)
        }
        _ => Layout::Leaf(Kind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iec61850_client::control::{ControlAddCause, ControlLastApplError, LastApplError};

    #[test]
    fn only_what_certainly_came_before_any_action_is_a_refusal() {
        let failed = |cause: i32| {
            let origin = OriginValue { or_cat: REMOTE_CONTROL, or_ident: Vec::new() };
            let cause = ControlAddCause::from_i32(cause);
            let error = LastApplError::new("", ControlLastApplError::NoError, origin, 1, cause);
            ControlOutcome::failure(Some(error))
        };
        for cause in 0..=27 {
            let cause_told = AddCause(cause);
            let refused = Outcome::Refused { during: "operate", cause: cause_told };
            for model in [ControlModel::DirectNormal, ControlModel::SboNormal] {
                assert_eq!(ended(model, &failed(cause)), refused);
            }
            let before = [1, 2, 4, 5, 7, 8, 10, 11, 12, 13, 14, 18, 19, 20, 26, 27].contains(&cause);
            let enhanced = if before { refused } else { Outcome::Failed { cause: cause_told } };
            for model in [ControlModel::DirectEnhanced, ControlModel::SboEnhanced] {
                assert_eq!(ended(model, &failed(cause)), enhanced);
            }
        }
        let silent = ended(ControlModel::DirectEnhanced, &ControlOutcome::failure(None));
        assert_eq!(silent, Outcome::Failed { cause: AddCause(0) });
        assert_eq!(ended(ControlModel::DirectEnhanced, &ControlOutcome::Success), Outcome::Done);
    }
}
