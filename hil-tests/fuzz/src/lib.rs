//! What the fuzz targets share: a Modbus server that says whatever it is given, on a real socket, because the clients
//! that are fuzzed have no other entrance. [`ask`] and [`ask_rtu`] answer one request with given bytes, [`at_hand`] serves registers
//! from an [`Image`]; [`text_and_rest`] and [`registers`] cut inputs into parts.

use gridloop_clock::{SharedClock, WallClock};
use gridloop_modbus::{LinkSettings, Table, read_registers};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Long for an answer on loopback: a target that meets it has hung.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The operating system's clock.
pub fn clock() -> SharedClock {
    static CLOCK: OnceLock<SharedClock> = OnceLock::new();
    CLOCK.get_or_init(|| Arc::new(WallClock::start().expect("a clock"))).clone()
}

/// The input up to its first zero byte as text, and what comes after.
pub fn text_and_rest(input: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    (String::from_utf8_lossy(&input[..end]), input.get(end + 1..).unwrap_or_default())
}

/// Pairs of bytes as registers.
pub fn registers(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

struct Bench {
    runtime: Runtime,
    listener: TcpListener,
    link: LinkSettings,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// Runs `work` with the runtime and the socket that all inputs share.
fn with_bench<T>(work: impl FnOnce(&Bench) -> T) -> T {
    BENCH.with_borrow_mut(|bench| {
        work(bench.get_or_insert_with(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
            let address = listener.local_addr().expect("its number").into();
            let link = LinkSettings::new(address, 1, TIMEOUT);
            Bench { runtime, listener, link }
        }))
    })
}

/// The next connection. It is reset when it is dropped: closing a hundred thousand would use up the ports.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream.set_zero_linger().expect("an option");
    stream
}

/// What a server says to a request.
pub struct Answer {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the first two are replaced by the transaction of the request.
    pub right_transaction: bool,
}

/// Asks for registers, and gives what was answered and what was made of it.
pub fn ask(answer: Answer, table: Table, count: u16) -> (Vec<u8>, Result<Vec<u16>, String>) {
    with_bench(|Bench { runtime, listener, link }| {
        let server = async {
            let mut stream = accept(listener).await;
            let mut request = [0; 12];
            stream.read_exact(&mut request).await.expect("a request");
            let mut bytes = answer.bytes;
            if let (true, Some(transaction)) = (answer.right_transaction, bytes.get_mut(..2)) {
                transaction.copy_from_slice(&request[..2]);
            }
            // The client may have seen enough.
            let _ = stream.write_all(&bytes).await;
            // Its end is seen after the answer, not instead of it.
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0; 1]).await;
            bytes
        };
        let client = read_registers(link.clone(), clock(), table, 0, count);
        let (sent, taken) = runtime.block_on(async { tokio::join!(server, client) });
        (sent, taken.map_err(|error| error.to_string()))
    })
}

/// As [`ask`], in RTU frames. With `right_checksum` one is added to the bytes.
pub fn ask_rtu(
    bytes: &[u8],
    right_checksum: bool,
    table: Table,
    count: u16,
) -> (Vec<u8>, Result<Vec<u16>, String>) {
    with_bench(|Bench { runtime, listener, .. }| {
        let mut bytes = bytes.to_vec();
        if right_checksum {
            bytes.extend(checksum(&bytes).to_le_bytes());
        }
        let server = async {
            let mut stream = accept(listener).await;
            let mut request = [0; 8];
            stream.read_exact(&mut request).await.expect("a request");
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0; 1]).await;
        };
        let port = listener.local_addr().expect("its number").port();
        let address = format!("rtu+tcp://127.0.0.1:{port}").parse().expect("an address");
        // Before every request the line has to be quiet for so long.
        let quiet = Some(Duration::from_millis(1));
        let link = LinkSettings { quiet, ..LinkSettings::new(address, 1, TIMEOUT) };
        let client = read_registers(link, clock(), table, 0, count);
        let ((), taken) = runtime.block_on(async { tokio::join!(server, client) });
        (bytes.clone(), taken.map_err(|error| error.to_string()))
    })
}

/// CRC-16 as Modbus over serial line has it (specification V1.02, 6.2.2).
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    })
}

/// The holding registers of a device.
#[derive(Clone)]
pub struct Image {
    /// The address of the first.
    pub base: u16,
    /// They can be read and written.
    pub registers: Vec<u16>,
}

/// Runs `work` with a device that has these registers.
pub fn at_hand(image: Image, work: impl AsyncFnOnce(LinkSettings)) {
    with_bench(|Bench { runtime, listener, link }| {
        let serve = async {
            let mut image = image;
            loop {
                // One connection at a time: a client that connects again has dropped the last.
                let mut stream = accept(listener).await;
                while image.answer(&mut stream).await.is_ok() {}
            }
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = work(link.clone()) => {}
                () = serve => {}
            }
        });
    });
}

impl Image {
    async fn answer(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut header = [0; 7];
        stream.read_exact(&mut header).await?;
        let mut pdu = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]])) - 1];
        stream.read_exact(&mut pdu).await?;
        let reply = self.reply(&pdu).unwrap_or_else(|| vec![pdu[0] | 0x80, 2]);
        let length = u16::try_from(reply.len() + 1).expect("short");
        header[4..6].copy_from_slice(&length.to_be_bytes());
        stream.write_all(&[&header[..], &reply].concat()).await
    }

    /// The answer; `None` for an address that is not there.
    fn reply(&mut self, pdu: &[u8]) -> Option<Vec<u8>> {
        let at = |place: usize| Some(u16::from_be_bytes([*pdu.get(place)?, *pdu.get(place + 1)?]));
        let (first, count) = (usize::from(at(1)?.checked_sub(self.base)?), usize::from(at(3)?));
        let asked = self.registers.get_mut(first..first + count)?;
        match pdu[0] {
            3 => {
                let bytes = u8::try_from(count * 2).ok()?;
                Some([3, bytes].into_iter().chain(asked.iter().flat_map(|word| word.to_be_bytes())).collect())
            }
            16 => {
                asked.copy_from_slice(&registers(pdu.get(6..6 + 2 * count)?));
                Some(pdu[..5].to_vec())
            }
            _ => None,
        }
    }
}
