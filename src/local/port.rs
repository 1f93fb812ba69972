//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use super::LocalError;

/// Below the ports that Linux (32768 up) and macOS (49152 up) give to outgoing connections. A client that reconnects to
/// a stopped server on such a port can be given that very port as its own and connect to itself; the server then cannot
/// come back on it.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const TRIES: usize = 200;

/// A port on 127.0.0.1 that nobody holds now. Somebody may take it before the caller does.
///
/// # Errors
/// When none was found.
pub fn free_port() -> Result<u16, LocalError> {
    (0..TRIES)
        .map(|_| rand::random_range(PORTS))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(LocalError::NoPort { tries: TRIES })
}
