//! A Modbus TCP server that does exactly what a test tells it: [`Server`] decodes a request into [`Asked`] and plays
//! the [`Step`]s that the test's handler answers with, however wrong they are. Its framing is written out by hand, so
//! that nothing is shared with the code under test.

pub(crate) mod image;

use gridloop_clock::{SharedClock, WallClock};
use gridloop_modbus::{Address, LinkSettings};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The number of the connection, from 0.
    pub(crate) connection: usize,
    pub(crate) transaction: u16,
    pub(crate) unit: u8,
    pub(crate) function: u8,
    pub(crate) address: u16,
    /// How many registers are read or written.
    pub(crate) count: u16,
    /// The registers to write.
    pub(crate) values: Vec<u16>,
}

/// One thing a server does after a request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Waits for real time to pass.
    Pause(Duration),
    /// Waits until the test lets it go on.
    Await(Arc<Notify>),
    Close,
}

type Handler = Box<dyn FnMut(&Asked) -> Vec<Step> + Send>;

/// A server on a free port of the loopback interface. It ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: Address,
}

impl Server {
    pub(crate) async fn start(handler: impl FnMut(&Asked) -> Vec<Step> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, connection, Arc::clone(&handler)));
            }
        });
        Self { address }
    }

    pub(crate) fn link(&self, timeout: Duration) -> LinkSettings {
        LinkSettings::new(self.address.clone(), 1, timeout)
    }
}

async fn serve(mut stream: TcpStream, connection: usize, handler: Arc<Mutex<Handler>>) {
    while let Some(asked) = receive(&mut stream, connection).await {
        let steps = (handler.lock().unwrap())(&asked);
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Await(gate) => gate.notified().await,
                Step::Close => return,
            }
        }
    }
}

async fn receive(stream: &mut TcpStream, connection: usize) -> Option<Asked> {
    let mut header = [0; 7];
    stream.read_exact(&mut header).await.ok()?;
    let mut pdu = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]])) - 1];
    stream.read_exact(&mut pdu).await.ok()?;
    let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
    let values = match pdu[0] {
        0x06 => vec![word(3)],
        0x10 => (6..pdu.len()).step_by(2).map(word).collect(),
        _ => Vec::new(),
    };
    Some(Asked {
        connection,
        transaction: u16::from_be_bytes([header[0], header[1]]),
        unit: header[6],
        function: pdu[0],
        address: word(1),
        count: if pdu[0] == 0x06 { 1 } else { word(3) },
        values,
    })
}

/// A frame with this header around this PDU; `length` is what the header says.
pub(crate) fn frame(transaction: u16, length: usize, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let [t1, t2] = transaction.to_be_bytes();
    let [l1, l2] = u16::try_from(length).unwrap().to_be_bytes();
    [&[t1, t2, 0, 0, l1, l2, unit], pdu].concat()
}

impl Asked {
    /// The frame that answers this request with a PDU.
    pub(crate) fn framed(&self, pdu: &[u8]) -> Vec<u8> {
        frame(self.transaction, pdu.len() + 1, self.unit, pdu)
    }

    /// The PDU of a read answered with these registers.
    pub(crate) fn registers_pdu(&self, registers: &[u16]) -> Vec<u8> {
        let mut pdu = vec![self.function, u8::try_from(registers.len() * 2).unwrap()];
        pdu.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
        pdu
    }

    /// The PDU that confirms a write.
    pub(crate) fn written_pdu(&self) -> Vec<u8> {
        let last = if self.function == 0x06 { self.values[0] } else { self.count };
        let [[a1, a2], [c1, c2]] = [self.address, last].map(u16::to_be_bytes);
        vec![self.function, a1, a2, c1, c2]
    }

    /// An honest answer: the registers read, or the confirmation of a write.
    pub(crate) fn honest(&self, registers: &[u16]) -> Vec<Step> {
        let pdu = if [0x06, 0x10].contains(&self.function) {
            self.written_pdu()
        } else {
            self.registers_pdu(registers)
        };
        vec![Step::Send(self.framed(&pdu))]
    }

    pub(crate) fn exception(&self, code: u8) -> Vec<Step> {
        vec![Step::Send(self.framed(&[self.function | 0x80, code]))]
    }
}

pub(crate) fn clock() -> SharedClock {
    Arc::new(WallClock::start().unwrap())
}

/// A small generator of numbers that depend on nothing but the seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
