//! A device that is nothing but registers: [`Image`]. What it does not have it answers with exception 02.

use super::{Asked, Server, Step};
use gridloop_modbus::sunspec::models::{Kind, model};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// The holding registers of a device and what was written to them.
#[derive(Default)]
pub(crate) struct Image {
    pub(crate) registers: BTreeMap<u16, u16>,
    /// Every write: address and registers.
    pub(crate) writes: Vec<(u16, Vec<u16>)>,
    /// The function of every write.
    pub(crate) functions: Vec<u8>,
    /// The connection each request came by.
    pub(crate) connections: Vec<usize>,
    /// Writes to these addresses are confirmed and forgotten.
    pub(crate) deaf: Vec<u16>,
    /// Writes to these addresses are refused with this exception.
    pub(crate) refuses: Option<(u16, u8)>,
    /// Writes from now on are carried out, but not answered.
    pub(crate) mute_on_write: bool,
    /// Writes to this address are not answered and wait in a queue, out of which the next write brings them.
    pub(crate) queues: Option<u16>,
    queued: Vec<(u16, Vec<u16>)>,
    /// A write to the first address also puts this value at the second one.
    pub(crate) side_effect: Option<(u16, u16, u16)>,
    next: u16,
}

pub(crate) type Shared = Arc<Mutex<Image>>;

impl Image {
    /// An image that begins with the SunSpec marker.
    pub(crate) fn sunspec(base: u16) -> Self {
        let mut image = Self { next: base, ..Self::default() };
        image.push(&[0x5375, 0x6E53]);
        image
    }

    pub(crate) fn push(&mut self, registers: &[u16]) {
        for register in registers {
            self.registers.insert(self.next, *register);
            self.next += 1;
        }
    }

    /// Appends a model of `length` registers whose points are "not implemented" but for those given; gives the
    /// address of its ID.
    pub(crate) fn model(&mut self, id: u16, length: u16, points: &[(&str, &[u16])]) -> u16 {
        let at = self.next;
        self.push(&[id, length]);
        self.push(&vec![0xFFFF; usize::from(length)]);
        for point in model(id).map_or(&[][..], |model| model.points) {
            let absent = match point.kind {
                Kind::Int16 | Kind::ScaleFactor | Kind::Int32 => 0x8000,
                Kind::Text(_) | Kind::Acc32 | Kind::Acc64 => 0,
                _ => 0xFFFF,
            };
            for register in 0..point.kind.registers() {
                if point.offset + register < length + 2 {
                    self.registers.insert(at + point.offset + register, absent);
                }
            }
        }
        for (name, values) in points {
            let offset = model(id).unwrap().point(name).unwrap().offset;
            for (register, value) in (at + offset..).zip(*values) {
                self.registers.insert(register, *value);
            }
        }
        at
    }

    pub(crate) fn end(&mut self) {
        self.push(&[0xFFFF, 0]);
    }

    /// The registers of a point of the model whose ID is at `at`.
    pub(crate) fn point(&self, at: u16, name: &str) -> Vec<u16> {
        let point = model(self.registers[&at]).unwrap().point(name).unwrap();
        (at + point.offset..).take(point.kind.registers().into()).map(|a| self.registers[&a]).collect()
    }

    fn answer(&mut self, asked: &Asked) -> Vec<Step> {
        self.connections.push(asked.connection);
        let span = asked.address..asked.address.saturating_add(asked.count);
        if span.clone().any(|address| !self.registers.contains_key(&address)) {
            return asked.exception(2);
        }
        if ![0x06, 0x10].contains(&asked.function) {
            let registers: Vec<u16> = span.map(|address| self.registers[&address]).collect();
            return asked.honest(&registers);
        }
        if let Some((_, code)) = self.refuses.filter(|(address, _)| span.contains(address)) {
            return asked.exception(code);
        }
        if self.queues.is_some_and(|address| span.contains(&address)) {
            self.queued.push((asked.address, asked.values.clone()));
            return Vec::new();
        }
        self.flush();
        self.functions.push(asked.function);
        self.write(asked.address, &asked.values);
        if self.mute_on_write { Vec::new() } else { asked.honest(&[]) }
    }

    /// Carries out what waits in the queue.
    pub(crate) fn flush(&mut self) {
        for (address, values) in std::mem::take(&mut self.queued) {
            self.write(address, &values);
        }
    }

    fn write(&mut self, first: u16, values: &[u16]) {
        self.writes.push((first, values.to_vec()));
        for (address, value) in (first..).zip(values) {
            if !self.deaf.contains(&address) {
                self.registers.insert(address, *value);
            }
            if let Some((_, at, changed)) = self.side_effect.filter(|(written, ..)| *written == address) {
                self.registers.insert(at, changed);
            }
        }
    }

    /// Serves the image; the test keeps a handle to it.
    pub(crate) async fn serve(self) -> (Server, Shared) {
        let shared = Arc::new(Mutex::new(self));
        let image = Arc::clone(&shared);
        let server = Server::start(move |asked| locked(&image).answer(asked)).await;
        (server, shared)
    }
}

pub(crate) fn locked(image: &Shared) -> MutexGuard<'_, Image> {
    image.lock().unwrap()
}
