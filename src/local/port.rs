//! Free ports on the loopback interface.

use std::{
    fmt,
    net::{Ipv4Addr, TcpListener, UdpSocket},
};

use super::LocalError;

/// Below the ports that Linux (32768 up) and macOS (49152 up) give to outgoing connections. A client that reconnects to
/// a stopped server on such a port can be given that very port as its own and connect to itself; the server then cannot
/// come back on it.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const TRIES: usize = 200;

/// A port of 127.0.0.1 on which nobody listens. No other one is found with the same number, in whatever process, until this
/// one is dropped: also not while the server that listens there has not started yet, or is down.
///
/// What is not found this way may still take it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// The port of the same number for datagrams, which no server of ours uses. It is free again when this process ends, however
    /// it does, and no file of it stays.
    _held: UdpSocket,
}

impl Port {
    /// Finds one.
    ///
    /// # Errors
    /// There is none: 200 were tried.
    pub fn find() -> Result<Self, LocalError> {
        (0..TRIES).find_map(|_| Self::hold(rand::random_range(PORTS))).ok_or(LocalError::NoPort { tries: TRIES })
    }

    fn hold(number: u16) -> Option<Self> {
        // In this order: who has the first may look whether anybody listens without another one looking at the same time.
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _held: held })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, TcpListener},
        time::{Duration, Instant},
    };

    use super::Port;

    #[test]
    fn a_port_is_found_once_until_it_is_dropped() {
        let port = Port::find().unwrap();
        let number = port.number();
        assert!(Port::hold(number).is_none(), "{number} is held, and nobody listens");
        drop(port);
        // A process that another test starts just then has the socket, too, until it is another program.
        let start = Instant::now();
        let port = loop {
            match Port::hold(number) {
                Some(port) => break port,
                None => assert!(start.elapsed() < Duration::from_secs(10), "{number} is free again"),
            }
        };
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).expect("its server can listen");
        drop(port);
        assert!(Port::hold(number).is_none(), "somebody else listens there");
        drop(server);
    }
}
