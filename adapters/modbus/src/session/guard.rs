//! A stream that lets through exactly one well-formed answer per request: [`Guarded`].
//!
//! The Modbus client below it clears its buffer before each request, and so might resume in the middle of a frame
//! that nobody asked for. Here every byte is accounted for: bytes before a request, after the end of its answer, or
//! a frame whose lengths disagree are an error of the stream, which ends the link. A frame that is longer than any
//! answer is recognised by its ninth byte and never collected.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that carries Modbus TCP frames, seen from the client.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    answer: Answer,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, answer: Answer::NotAsked }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.answer.take_in(&buffer.filled()[before..]))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if matches!(self.answer, Answer::NotAsked) {
            let mut probe = [0];
            let mut probe = ReadBuf::new(&mut probe);
            if Pin::new(&mut self.stream).poll_read(cx, &mut probe)?.is_ready() {
                let closed = probe.filled().is_empty();
                return Poll::Ready(Err(if closed {
                    ErrorKind::ConnectionAborted.into()
                } else {
                    unasked()
                }));
            }
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if matches!(self.answer, Answer::NotAsked) {
            self.answer = Answer::Awaited { head: [0; HEAD], seen: 0 };
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bytes after which the length of every answer is known: the header of 7, the function and one more.
const HEAD: usize = 9;

/// How much of the answer to the present request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    NotAsked,
    Awaited { head: [u8; HEAD], seen: usize },
}

impl Answer {
    fn take_in(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            let Self::Awaited { head, seen } = self else { return Err(unasked()) };
            if let Some(place) = head.get_mut(*seen) {
                *place = *byte;
            }
            *seen += 1;
            if *seen >= HEAD && *seen == frame_length(head)? {
                *self = Self::NotAsked;
            }
        }
        Ok(())
    }
}

/// The length of the frame with this beginning, which its header and its function must agree on.
fn frame_length(head: &[u8; HEAD]) -> io::Result<usize> {
    let [_, _, protocol_high, protocol_low, length_high, length_low, _, function, next] = *head;
    let invalid = |message: String| Err(io::Error::new(ErrorKind::InvalidData, message));
    if [protocol_high, protocol_low] != [0, 0] {
        return invalid(format!("protocol {protocol_high:02X}{protocol_low:02X} instead of 0000"));
    }
    let expected = match function {
        0x03 | 0x04 => 3 + usize::from(next),
        0x06 | 0x10 => 6,
        0x80.. => 3,
        other => return invalid(format!("an answer with function {other:02X}")),
    };
    let stated = usize::from(u16::from_be_bytes([length_high, length_low]));
    if stated != expected {
        return invalid(format!("a frame of length {stated} around an answer of length {expected}"));
    }
    Ok(6 + expected)
}

fn unasked() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "bytes that no request asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_REGISTERS: [u8; 13] = [0, 1, 0, 0, 0, 7, 1, 3, 4, 0xAB, 0xCD, 0, 9];

    fn awaited() -> Answer {
        Answer::Awaited { head: [0; HEAD], seen: 0 }
    }

    #[test]
    fn one_answer_passes_however_it_is_cut() {
        for cut in 0..TWO_REGISTERS.len() {
            let mut answer = awaited();
            answer.take_in(&TWO_REGISTERS[..cut]).unwrap();
            assert_ne!(answer, Answer::NotAsked);
            answer.take_in(&TWO_REGISTERS[cut..]).unwrap();
            assert_eq!(answer, Answer::NotAsked);
        }
    }

    #[test]
    fn a_byte_too_many_is_an_error() {
        let mut answer = awaited();
        answer.take_in(&TWO_REGISTERS).unwrap();
        assert_eq!(answer.take_in(&[0]).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn lengths_that_disagree_are_an_error_by_the_ninth_byte() {
        for (place, wrong) in [(5, 8), (4, 0xFF), (8, 2), (7, 0x10), (7, 0x83), (7, 0x2B), (2, 1)] {
            let mut head = TWO_REGISTERS;
            head[place] = wrong;
            assert!(awaited().take_in(&head[..HEAD]).is_err(), "byte {place} = {wrong}");
        }
    }
}
