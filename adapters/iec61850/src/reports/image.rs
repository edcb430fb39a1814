//! What a control block has reported: [`Image`], pure.

use crate::data::{Data, Layout, Variable};
use crate::port::Report;
use gridloop_clock::MonoTime;

/// The values of a data set, as far as reports have told them.
#[derive(Debug, Clone)]
pub(super) struct Image {
    members: Vec<Variable>,
    held: Vec<Option<Held>>,
    last_sequence: Option<u16>,
    last_entry: Option<Vec<u8>>,
    conf_rev: Option<u32>,
    /// Members that have not been told since everything was last asked for.
    missing: Vec<bool>,
    /// A report went missing, and nobody has asked for everything yet.
    gap: bool,
    /// When everything was last told.
    whole_at: Option<MonoTime>,
}

#[derive(Debug, Clone, PartialEq)]
struct Held {
    data: Data,
    entry_time_ms: Option<u64>,
}

impl Image {
    /// Knows nothing yet; everything has been asked for.
    pub(super) fn new(members: Vec<Variable>) -> Self {
        Self {
            held: vec![None; members.len()],
            missing: vec![true; members.len()],
            members,
            last_sequence: None,
            last_entry: None,
            conf_rev: None,
            gap: false,
            whole_at: None,
        }
    }

    /// Folds a report in. An entry that was heard already is passed over. A value older than the one that is held does
    /// not replace it, but for the answer to a general interrogation, which is of the present whatever the server's
    /// clock says; a server whose clock went back is thus asked for everything.
    ///
    /// # Errors
    /// When the report is not about the data set as it was when the reports were enabled. Nothing of it is used.
    pub(super) fn apply(&mut self, report: Report, now: MonoTime) -> Result<(), String> {
        if report.size != self.members.len() || report.members.iter().any(|(index, _)| *index >= report.size)
        {
            return Err(format!("it has {} members, expected {}", report.size, self.members.len()));
        }
        if let (Some(known), Some(told)) = (self.conf_rev, report.conf_rev)
            && known != told
        {
            return Err(format!("the configuration revision has changed from {known} to {told}"));
        }
        self.conf_rev = self.conf_rev.or(report.conf_rev);
        let repeated = report.sequence.is_some() && report.sequence == self.last_sequence;
        let heard = report.entry_id.is_some() && report.entry_id == self.last_entry;
        if heard && !repeated {
            return Ok(());
        }
        let missed = match (self.last_sequence, report.sequence) {
            (Some(last), Some(told)) => !follows(last, told) && !repeated,
            _ => false,
        };
        if missed || report.overflow {
            self.doubt();
        }
        self.last_sequence = report.sequence;
        self.last_entry = report.entry_id;
        for (index, data) in report.members {
            if report.interrogated && !self.gap {
                self.missing[index] = false;
            }
            let older = self.held[index].as_ref().is_some_and(|held| {
                matches!((held.entry_time_ms, report.entry_time_ms), (Some(known), Some(told)) if told < known)
            });
            if older && !report.interrogated {
                self.doubt();
            } else {
                self.held[index] = Some(Held { data, entry_time_ms: report.entry_time_ms });
            }
        }
        if report.complete && self.is_whole() {
            self.whole_at = Some(now);
        }
        Ok(())
    }

    /// Nothing is sure until everything has been asked for and told.
    fn doubt(&mut self) {
        self.gap = true;
        self.missing.fill(true);
    }

    /// Whether everything has been told since it was last asked for, and no report has gone missing since.
    pub(super) fn is_whole(&self) -> bool {
        !self.gap && !self.missing.contains(&true)
    }

    /// Whether everything is to be asked for now. It then counts as asked for.
    pub(super) fn asks(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }

    /// When everything was last told.
    pub(super) fn whole_at(&self) -> Option<MonoTime> {
        self.whole_at
    }

    /// Whether it has any part of this variable.
    pub(super) fn covers(&self, variable: &Variable) -> bool {
        super::covers(&self.members, variable)
    }

    /// What is known of a variable. Parts of it that are not reported hold nothing that could be taken for a value.
    ///
    /// # Errors
    /// When a value is not what the server said that the variable has there.
    pub(super) fn value(&self, variable: &Variable, layout: &Layout) -> Result<Option<Data>, String> {
        let mut value = None;
        for (member, held) in self.members.iter().zip(&self.held) {
            let (Some(path), Some(held)) = (within(member, variable), held) else { continue };
            let Some((positions, part)) = layout.find(path).filter(|(_, part)| part.fits(&held.data)) else {
                return Err(format!("{member} is not what the server says it is"));
            };
            put(value.get_or_insert_with(|| blank(layout)), &positions, &held.data);
            debug_assert!(part.fits(&held.data));
        }
        Ok(value)
    }
}

/// The path of a member inside a variable; empty when it is the whole.
pub(super) fn within<'m>(member: &'m Variable, variable: &Variable) -> Option<&'m str> {
    let same = member.domain == variable.domain && member.node == variable.node && member.fc == variable.fc;
    let rest = member.path.strip_prefix(&variable.path).filter(|_| same)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// Sequence numbers wrap at 8 bits for unbuffered, at 16 for buffered reports.
fn follows(last: u16, told: u16) -> bool {
    told == last.wrapping_add(1) || (last == u16::from(u8::MAX) && told == 0)
}

/// A value in which nothing is known.
fn blank(layout: &Layout) -> Data {
    match layout {
        Layout::Leaf(_) => Data::Octets(Vec::new()),
        Layout::Structure(parts) => Data::Parts(parts.iter().map(|(_, part)| blank(part)).collect()),
    }
}

fn put(data: &mut Data, positions: &[usize], value: &Data) {
    match (positions, data) {
        ([], data) => *data = value.clone(),
        ([first, rest @ ..], Data::Parts(parts)) => {
            if let Some(part) = parts.get_mut(*first) {
                put(part, rest, value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
