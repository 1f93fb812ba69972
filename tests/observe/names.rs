//! A server of names that can be told to answer something else: real DNS over UDP, for one name.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::net::UdpSocket;

/// Whatever it is asked for, it answers with these addresses, and that they are good for an hour.
pub struct Names {
    pub port: u16,
    addresses: Arc<Mutex<Vec<Ipv4Addr>>>,
}

impl Names {
    pub async fn start(addresses: &[Ipv4Addr]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        let addresses = Arc::new(Mutex::new(addresses.to_vec()));
        let known = Arc::clone(&addresses);
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, asker)) = socket.recv_from(&mut question).await {
                let reply = answer(&question[..length], &known.lock().expect("nobody panics"));
                let _ = socket.send_to(&reply, asker).await;
            }
        });
        Self { port, addresses }
    }

    pub fn change(&self, addresses: &[Ipv4Addr]) {
        *self.addresses.lock().expect("nobody panics") = addresses.to_vec();
    }
}

/// As RFC 1035 has it: the question again, and an A record for each address.
fn answer(question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    let count = u8::try_from(addresses.len()).expect("few");
    // The head: its number, an answer without an error, one question, so many answers.
    let mut reply = [&question[..2], &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    // The name ends with an empty label; its type and class follow.
    let name_len = question[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    reply.extend(&question[12..12 + name_len + 4]);
    for address in addresses {
        // The name of the question, A, IN, 3600 s, 4 bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}
