//! A small AMQP 0-9-1 client that shares no code with ours, to see what really is on the wire.
//!
//! It knows exactly the methods that these tests need and panics at anything else.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const FRAME_END: u8 = 0xCE;
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A logged-in connection with one open channel.
pub(crate) struct Foreign {
    stream: TcpStream,
}

/// A message as it is on the wire.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) routing_key: String,
    /// The property flags of the content header and the properties after them, undecoded.
    pub(crate) properties: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Foreign {
    /// Logs in as guest and opens channel 1.
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a broker");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut client = Self { stream };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01").expect("the header");
        client.expect((10, 10));
        let start_ok = [&table(), &short("PLAIN")[..], &long(b"\0guest\0guest"), &short("en_US")].concat();
        client.method(0, (10, 11), &start_ok);
        let tune = client.expect((10, 30));
        client.method(0, (10, 31), &tune);
        client.method(0, (10, 40), &[&short("/")[..], &[0, 0]].concat());
        client.expect((10, 41));
        client.method(1, (20, 10), &[0]);
        client.expect((20, 11));
        client
    }

    /// Declares a topic exchange; the error is the broker's reply code and text.
    pub(crate) fn declare(
        &mut self,
        name: &str,
        durable: bool,
        auto_delete: bool,
    ) -> Result<(), (u16, String)> {
        let bits = u8::from(durable) << 1 | u8::from(auto_delete) << 2;
        let arguments = [&[0, 0], &short(name)[..], &short("topic"), &[bits], &table()].concat();
        self.method(1, (40, 10), &arguments);
        let (method, arguments) = self.next_method();
        match method {
            (40, 11) => Ok(()),
            (20, 40) => {
                let size = usize::from(arguments[2]);
                let text = String::from_utf8_lossy(&arguments[3..3 + size]).into_owned();
                Err((u16::from_be_bytes([arguments[0], arguments[1]]), text))
            }
            other => panic!("unexpected method {other:?}"),
        }
    }

    /// Binds a new queue to the exchange and consumes from it without acknowledgements.
    pub(crate) fn listen(&mut self, exchange: &str, pattern: &str) {
        let queue = "foreign";
        self.method(1, (50, 10), &[&[0, 0], &short(queue)[..], &[0b1100], &table()].concat());
        self.expect((50, 11));
        let binding =
            [&[0, 0], &short(queue)[..], &short(exchange), &short(pattern), &[0], &table()].concat();
        self.method(1, (50, 20), &binding);
        self.expect((50, 21));
        self.method(1, (60, 20), &[&[0, 0], &short(queue)[..], &short(""), &[0b10], &table()].concat());
        self.expect((60, 21));
    }

    /// The next message of the queue.
    pub(crate) fn receive(&mut self) -> Received {
        let deliver = self.expect((60, 60));
        let mut rest = &deliver[..];
        let _consumer = take_short(&mut rest);
        rest = &rest[9..];
        let _exchange = take_short(&mut rest);
        let routing_key = take_short(&mut rest);
        let header = self.frame(HEADER);
        let size = u64::from_be_bytes(header[4..12].try_into().expect("eight bytes"));
        let mut body = Vec::new();
        while u64::try_from(body.len()).expect("a size") < size {
            body.extend(self.frame(BODY));
        }
        Received { routing_key, properties: header[12..].to_vec(), body }
    }

    /// Publishes as the Matlab connector does: default properties, not mandatory, no confirmation (contract 1.4).
    pub(crate) fn publish(&mut self, exchange: &str, topic: &str, body: &[u8]) {
        self.method(1, (60, 40), &[&[0, 0], &short(exchange)[..], &short(topic), &[0]].concat());
        let size = u64::try_from(body.len()).expect("a size").to_be_bytes();
        self.send(HEADER, 1, &[&[0, 60, 0, 0], &size[..], &[0, 0]].concat());
        self.send(BODY, 1, body);
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let payload = [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat();
        self.send(METHOD, channel, &payload);
    }

    fn send(&mut self, frame_type: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
        let frame = [&[frame_type], &channel.to_be_bytes()[..], &size, payload, &[FRAME_END]].concat();
        self.stream.write_all(&frame).expect("a frame sent");
    }

    fn expect(&mut self, expected: (u16, u16)) -> Vec<u8> {
        let (method, arguments) = self.next_method();
        assert_eq!(method, expected, "{}", String::from_utf8_lossy(&arguments));
        arguments
    }

    fn next_method(&mut self) -> ((u16, u16), Vec<u8>) {
        let payload = self.frame(METHOD);
        let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        ((number(0), number(2)), payload[4..].to_vec())
    }

    fn frame(&mut self, expected: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 7];
            self.stream.read_exact(&mut head).expect("a frame");
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
            let mut payload = vec![0; usize::try_from(size).expect("a size") + 1];
            self.stream.read_exact(&mut payload).expect("a payload");
            assert_eq!(payload.pop(), Some(FRAME_END));
            // Type 8 is a heartbeat.
            if head[0] != 8 {
                assert_eq!(head[0], expected, "frame type");
                return payload;
            }
        }
    }
}

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("a length").to_be_bytes(), bytes].concat()
}

/// An empty field table.
fn table() -> [u8; 4] {
    [0; 4]
}

fn take_short(rest: &mut &[u8]) -> String {
    let (text, behind) = rest[1..].split_at(usize::from(rest[0]));
    let text = String::from_utf8_lossy(text).into_owned();
    *rest = behind;
    text
}
