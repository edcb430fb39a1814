//! One driver at a time: [`DeviceLock`], held by whoever may write to a device, seen by every process of this host.
//!
//! It is a socket with an abstract name (unix(7)): the kernel takes it back when its process ends, however that ends,
//! and tells whose it is. Processes on other hosts are not kept away.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

/// The right to drive a device; given back when it is dropped.
#[derive(Debug)]
pub struct DeviceLock {
    _socket: UnixListener,
}

/// Why a device cannot be driven from here.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process drives it.
    #[error("{endpoint} is driven by {holder} already; end that first, or leave this one read-only")]
    Taken {
        /// The device.
        endpoint: String,
        /// The process, as far as it can be told.
        holder: String,
    },
    /// The system refused.
    #[error("cannot take the lock of {endpoint}: {source}")]
    System {
        /// The device.
        endpoint: String,
        /// What it said.
        source: io::Error,
    },
}

impl DeviceLock {
    /// Takes the right to drive what is at this endpoint.
    pub(crate) fn take(endpoint: &str) -> Result<Self, LockError> {
        let system = |source| LockError::System { endpoint: endpoint.to_owned(), source };
        let name = name(endpoint).map_err(system)?;
        match UnixListener::bind_addr(&name) {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let pid = UnixStream::connect_addr(&name)
                    .ok()
                    .and_then(|stream| rustix::net::sockopt::socket_peercred(&stream).ok())
                    .map(|credentials| credentials.pid.as_raw_nonzero().get());
                let holder = match pid {
                    Some(pid) if u32::try_from(pid) == Ok(std::process::id()) => "this process".to_owned(),
                    Some(pid) => format!("process {pid}"),
                    None => "another process".to_owned(),
                };
                Err(LockError::Taken { endpoint: endpoint.to_owned(), holder })
            }
            Err(error) => Err(system(error)),
        }
    }
}

/// The name of an endpoint's socket. A name has room for 107 bytes.
fn name(endpoint: &str) -> io::Result<SocketAddr> {
    let mut hasher = DefaultHasher::new();
    endpoint.hash(&mut hasher);
    let readable: String = endpoint.chars().filter(char::is_ascii_graphic).take(60).collect();
    SocketAddr::from_abstract_name(format!("gridloop/device/{:016x}/{readable}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_driver_is_refused_and_told_of_the_first() {
        let endpoint = format!("tcp://192.0.2.10:502#1 {}", std::process::id());
        let first = DeviceLock::take(&endpoint).expect("free");
        let refusal = DeviceLock::take(&endpoint).expect_err("taken");
        assert!(refusal.to_string().contains("is driven by this process already"), "{refusal}");
        let another = DeviceLock::take(&(endpoint.clone() + "#2")).expect("another unit");
        drop((first, another));
        DeviceLock::take(&endpoint).expect("free again");
    }

    #[test]
    fn a_long_name_has_a_lock_of_its_own() {
        let long = |end: &str| "x".repeat(300) + end + &std::process::id().to_string();
        let _one = DeviceLock::take(&long("1")).expect("free");
        let _two = DeviceLock::take(&long("2")).expect("free");
    }
}
